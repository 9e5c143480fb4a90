/// The scheduler as Inspector: what it shows of its tasks and workers to whoever asks, on the
/// asker's thread and while everything runs on.
#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "taskscope/runtime/scheduler/scheduler.h"
#include "taskscope/runtime/task/poll.h"
#include "taskscope/runtime/task/resource_registry.h"

namespace taskscope::runtime::scheduler {

namespace {

std::uint64_t full_ms(std::uint32_t low_ms, std::uint64_t now_ms) noexcept {
  return now_ms - static_cast<std::uint32_t>(static_cast<std::uint32_t>(now_ms) - low_ms);
}

}  // namespace

observe::RuntimeView Scheduler::runtime() {
  observe::RuntimeView view;
  view.runtime = id_;
  view.workers = static_cast<std::uint32_t>(workers_.size());
  view.live_tasks = registry_.live();
  view.spawned_tasks = count_spawned();
  view.injection_depth = static_cast<std::uint32_t>(injection_.size());
  view.remote_schedules = remote_schedules_.load(std::memory_order_relaxed);
  const auto pool = pool_.counters();
  view.blocking_threads = pool.threads;
  view.blocking_idle = pool.idle;
  view.blocking_queue = pool.queued;
  view.io_registrations = driver_.registrations();
  view.io_readiness = driver_.readiness();
  return view;
}

void Scheduler::visit_workers(observe::WorkerVisitor& visitor) {
  for (const auto& worker : workers_) visitor.visit(worker->view());
}

namespace {

/// Takes those of the tasks that are idle, as a worker would, and has what will be read of them
/// fetched: a parked task's memory is in no cache, and one after the other the misses would be most
/// of a census. Few at a time, because they can't run meanwhile. One bit a task taken.
std::uint32_t take_idle(std::span<task::Header* const> tasks) noexcept {
  std::array<const task::PromiseBase*, Registry::kSome> at{};
  std::uint32_t taken = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!tasks[i]->state.try_inspect()) continue;
    taken |= 1u << i;
    at[i] = tasks[i]->root.leaf;
    __builtin_prefetch(at[i]);
    __builtin_prefetch(tasks[i]->root.waiter);
    __builtin_prefetch(tasks[i]->arms);
  }
  constexpr int kRounds = 3;  // frames above the leaf, and arms
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (at[i] == nullptr) continue;
      at[i] = at[i]->awaiter();
      __builtin_prefetch(at[i]);
    }
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if ((taken & (1u << i)) == 0) continue;
      int arms = 0;
      for (const task::Arm* arm = tasks[i]->arms; arm != nullptr && arms < kRounds;
           arm = arm->next, ++arms) {
        const task::PromiseBase* leaf = arm->leaf;
        if (round == 0) __builtin_prefetch(arm->waiter);
        for (int up = 0; up < round && leaf != nullptr; ++up) leaf = leaf->awaiter();
        __builtin_prefetch(leaf);
      }
    }
  }
  return taken;
}

/// One that asked to run again stands in a queue with an owner, though nobody runs it.
bool is_polled(const task::Header& task, std::span<const std::unique_ptr<Worker>> workers) {
  if (task.kind != observe::TaskKind::Task) return true;
  return std::any_of(workers.begin(), workers.end(),
                     [&](const auto& worker) { return worker->current() == task.id; });
}

/// Reads one task under the registry's lock, so that it can't end; `taken`: it is this thread's.
/// Returns true if it has to be queued.
bool visit_header(task::Header& task, std::span<const std::unique_ptr<Worker>> workers,
                  observe::Detail detail, bool taken, std::uint64_t now_ms,
                  observe::TaskVisitor& visitor) {
  std::array<observe::Field, 16> fields;
  std::size_t field_count = 0;
  observe::TaskView view;
  view.task = task.id;
  view.parent = task.parent;
  view.kind = task.kind;
  view.runtime = task.runtime;
  view.site = task.site;
  if (task.label != nullptr) {
    view.name = task.label->name;
    for (const auto& [key, value] : task.label->fields) {
      if (field_count < fields.size()) fields[field_count++] = {key, value};
    }
  }
  view.fields = std::span(fields.data(), field_count);
  view.frame_bytes = task.frame_bytes;
  view.polls = task.polls.load(std::memory_order_relaxed);
  view.spawned_ms = full_ms(task.spawned_ms, now_ms);
  const auto last_poll_ms = task.last_poll_ms.load(std::memory_order_relaxed);
  view.last_poll_ms = view.polls == 0 ? 0 : full_ms(last_poll_ms, now_ms);
  view.wakers = task.wakers.load(std::memory_order_relaxed);
  // It ran when it was tried, and waits by now: then what it waits for is to be told.
  const auto is_idle = [](std::uint64_t state) {
    return (state & (task::State::kRunning | task::State::kScheduled | task::State::kComplete)) ==
           0;
  };
  auto state = task.state.load();
  while (!taken && detail != observe::Detail::Facts && is_idle(state)) {
    taken = task.state.try_inspect();
    state = task.state.load();
  }
  view.state =
      taken                                   ? observe::TaskState::Idle
      : (state & task::State::kComplete) != 0 ? observe::TaskState::Finished
      : (state & task::State::kRunning) != 0
          ? is_polled(task, workers) ? observe::TaskState::Running : observe::TaskState::Scheduled
      : (state & task::State::kScheduled) != 0 ? observe::TaskState::Scheduled
                                               : observe::TaskState::Idle;
  if (!taken) {
    visitor.visit(view);
    return false;
  }
  // The task is this thread's now, as if it were a worker: nothing of it can move.
  struct Branches {
    std::vector<std::pair<std::size_t, std::size_t>> ranges;
    std::vector<task::Site> frames;
    std::vector<observe::BranchView> views;
  };
  // Kept from task to task: a census must not allocate for each.
  thread_local Branches kept;
  kept.ranges.clear();
  kept.frames.clear();
  kept.views.clear();
  task::visit_branches(
      task, detail == observe::Detail::Stacks,
      [](const observe::Wait& wait, std::span<const task::Site> frames, bool cut, void* context) {
        auto& into = *static_cast<Branches*>(context);
        into.views.push_back({wait, {}, cut});
        into.ranges.emplace_back(into.frames.size(), frames.size());
        into.frames.insert(into.frames.end(), frames.begin(), frames.end());
      },
      &kept);
  view.polls = task.polls.load(std::memory_order_relaxed);
  const bool requeue = task.state.to_idle();
  // Now that they don't move any more.
  for (std::size_t i = 0; i < kept.views.size(); ++i) {
    const auto [first, count] = kept.ranges[i];
    kept.views[i].frames = std::span(kept.frames).subspan(first, count);
  }
  view.branches = kept.views;
  visitor.visit(view);
  return requeue;
}

}  // namespace

void Scheduler::visit_tasks(observe::TaskCursor& cursor, std::size_t piece, observe::Detail detail,
                            observe::TaskVisitor& visitor) {
  // Small lock scopes: a spawning worker waits for one at most.
  constexpr std::size_t kLocked = 32;
  const std::uint64_t now_ms = observe::monotonic_ns() / 1'000'000;
  for (std::size_t visited = 0; visited < piece && !cursor.done; visited += kLocked) {
    std::array<task::Header*, kLocked> requeue{};
    std::size_t count = 0;
    cursor.done = !registry_.visit_some(
        cursor.shard, cursor.after_id, std::min(kLocked, piece - visited),
        [&](std::span<task::Header* const> tasks) noexcept {
          const auto taken = detail != observe::Detail::Facts ? take_idle(tasks) : 0u;
          for (std::size_t i = 0; i < tasks.size(); ++i) {
            const bool mine = (taken & (1u << i)) != 0;
            if (visit_header(*tasks[i], workers_, detail, mine, now_ms, visitor))
              requeue[count++] = tasks[i];
          }
        });
    for (std::size_t i = 0; i < count; ++i) submit(requeue[i]);
  }
}

bool Scheduler::visit_task(observe::TaskId id, observe::Detail detail,
                           observe::TaskVisitor& visitor) {
  const std::uint64_t now_ms = observe::monotonic_ns() / 1'000'000;
  std::uint32_t shard = 0;
  std::uint64_t index = 0;
  bool found = false;
  for (bool more = true; more && !found;) {
    task::Header* requeue = nullptr;
    more = registry_.visit(shard, index, 64, [&](task::Header& task) {
      if (task.id != id) return;
      found = true;
      const bool mine = detail != observe::Detail::Facts && task.state.try_inspect();
      if (visit_header(task, workers_, detail, mine, now_ms, visitor)) requeue = &task;
    });
    if (requeue != nullptr) submit(requeue);
  }
  return found;
}

void Scheduler::visit_resources(observe::ResourceVisitor& visitor) {
  task::ResourceRegistry::instance().visit(visitor);
}

}  // namespace taskscope::runtime::scheduler
