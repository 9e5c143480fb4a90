/// An observer that keeps what it hears. A process has one, which is set once and never freed.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "taskscope/runtime/observe/observer.h"

namespace taskscope::tests {

/// Read it with `mutex` held, or when the runtimes are gone.
struct RecordingObserver final : runtime::observe::Observer {
  using TaskId = runtime::observe::TaskId;
  using ResourceId = runtime::observe::ResourceId;
  using Ticks = runtime::observe::Ticks;
  struct Resource {
    runtime::observe::ResourceKind kind{};
    std::string type;
    int registered = 0, dropped = 0;
    std::vector<TaskId> acquired, released;  // by whom, in order
  };

  std::mutex mutex;
  std::map<TaskId, std::string> names;
  std::map<TaskId, runtime::observe::Outcome> outcomes;
  std::map<TaskId, int> started, ended;
  std::map<TaskId, std::vector<runtime::observe::Wait>> waits;  // of the last pending end
  std::map<TaskId, std::vector<runtime::observe::Woken>> wakes;
  std::map<TaskId, std::vector<runtime::observe::BranchId>> cancelled;
  std::map<ResourceId, Resource> resources;
  std::uint64_t polls = 0, all_wakes = 0, spawned = 0;
  bool time_went_back = false;
  std::map<runtime::observe::WorkerId, Ticks> last;

  void on_task_spawned(const runtime::observe::TaskSpawned& task, Ticks) noexcept override {
    const std::lock_guard lock(mutex);
    ++spawned;
    names[task.task] = std::string(task.name);
  }
  void on_task_finished(const runtime::observe::TaskFinished& task, Ticks) noexcept override {
    const std::lock_guard lock(mutex);
    outcomes[task.task] = task.outcome;
  }
  void on_poll_started(TaskId task, runtime::observe::WorkerId worker,
                       Ticks ticks) noexcept override {
    const std::lock_guard lock(mutex);
    ++polls;
    ++started[task];
    check_time(worker, ticks);
  }
  void on_poll_ended(TaskId task, runtime::observe::WorkerId worker, Ticks ticks,
                     runtime::observe::PollEnd,
                     std::span<const runtime::observe::Wait> now) noexcept override {
    const std::lock_guard lock(mutex);
    ++ended[task];
    check_time(worker, ticks);
    if (!now.empty()) waits[task].assign(now.begin(), now.end());
  }
  void on_wait_cancelled(TaskId task, runtime::observe::BranchId branch, Ticks) noexcept override {
    const std::lock_guard lock(mutex);
    cancelled[task].push_back(branch);
  }
  void on_woken(const runtime::observe::Woken& wake, Ticks) noexcept override {
    const std::lock_guard lock(mutex);
    ++all_wakes;
    wakes[wake.task].push_back(wake);
  }
  void on_resource_registered(const runtime::observe::ResourceRegistered& resource,
                              Ticks) noexcept override {
    const std::lock_guard lock(mutex);
    auto& kept = resources[resource.id];
    kept.kind = resource.kind;
    kept.type = std::string(resource.concrete_type);
    ++kept.registered;
  }
  void on_resource_dropped(ResourceId id, Ticks) noexcept override {
    const std::lock_guard lock(mutex);
    ++resources[id].dropped;
  }
  void on_resource_acquired(ResourceId id, const runtime::observe::Holder& holder,
                            Ticks) noexcept override {
    const std::lock_guard lock(mutex);
    resources[id].acquired.push_back(holder.task);
  }
  void on_resource_released(ResourceId id, const runtime::observe::Holder& holder,
                            Ticks) noexcept override {
    const std::lock_guard lock(mutex);
    resources[id].released.push_back(holder.task);
  }

 private:
  void check_time(runtime::observe::WorkerId worker, Ticks ticks) {
    if (worker == runtime::observe::WorkerId::None) return;
    if (ticks < last[worker]) time_went_back = true;
    last[worker] = ticks;
  }
};

/// The program's observer, empty, and told of everything from now on.
inline RecordingObserver& recording() {
  static RecordingObserver& only = []() -> RecordingObserver& {
    auto& made = *new RecordingObserver;
    if (!runtime::observe::set_observer(made))
      throw std::logic_error("the program has an observer already");
    return made;
  }();
  const std::lock_guard lock(only.mutex);
  only.names.clear(), only.outcomes.clear(), only.started.clear(), only.ended.clear();
  only.waits.clear(), only.wakes.clear(), only.cancelled.clear(), only.last.clear();
  only.resources.clear();
  only.polls = only.all_wakes = only.spawned = 0;
  only.time_went_back = false;
  runtime::observe::set_mask(runtime::observe::kAllEvents);
  return only;
}

}  // namespace taskscope::tests
