/// Plants, waits until what was planted can be seen, says what it is, and clears up.
///
/// The curator works on the main thread and from outside the runtimes: workers that are blocked by
/// a trouble hold up neither the next planting nor the end.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/instrumentation/examples/gallery/line.h"
#include "taskscope/instrumentation/examples/gallery/options.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/task/resource.h"

namespace taskscope::gallery {

using namespace std::chrono_literals;
using runtime::JoinHandle;
using runtime::Task;
using runtime::observe::WaitOp;
using std::chrono::milliseconds;

/// The place of an await, noted in the line where it happens, the first time:
/// `co_await here(where, mutex.lock());`
template <class A>
[[nodiscard]] A&& here(Site& where, A&& awaitable, Site site = Site::current()) noexcept {
  if (where.line() == 0) where = site;
  return static_cast<A&&>(awaitable);
}

/// Asked for once, at the end; for what would go on for ever otherwise.
class Closing {
 public:
  [[nodiscard]] bool asked() const noexcept { return asked_.load(std::memory_order_relaxed); }
  void ask();
  /// Blocks the thread; false: the end came first.
  bool doze(std::chrono::nanoseconds time) const;

 private:
  std::atomic<bool> asked_{false};  // relaxed: publishes nothing
  mutable std::mutex mutex_;
  mutable std::condition_variable condition_;
};

/// A signal asked for the end while something was being planted.
struct Interrupted {};

/// What can be seen of a task from outside.
struct Seen {
  bool is_alive = false;
  runtime::observe::TaskState state = runtime::observe::TaskState::Finished;
  std::uint32_t polls = 0, wakers = 0, frame_bytes = 0;
  std::vector<runtime::observe::Wait> waits;

  [[nodiscard]] bool waits_on(WaitOp op, ResourceId resource) const;
  [[nodiscard]] bool waits_on(WaitOp op) const;
  [[nodiscard]] bool waits_for(TaskId child) const;
};

/// What the line of a trouble says. `kind` is that of the finding it has to become.
struct Planted {
  std::string_view trouble, kind;
  std::string_view certainty = "suspect";  ///< the most that can be said with right
  std::vector<TaskId> tasks;
  std::vector<ResourceId> resources;  ///< `resource` is the first
  std::string where;                  ///< the await of the first task, or the call that blocks
  std::string shape;
  Line more = {};  ///< fields of this trouble only
};

using Tasks = std::vector<Task<void>>;
using Handles = std::vector<JoinHandle<void>>;

class Curator {
 public:
  /// SIGINT and SIGTERM must be blocked in all threads.
  explicit Curator(const Options& options);
  Curator(const Curator&) = delete;
  Curator& operator=(const Curator&) = delete;
  ~Curator() { close(); }

  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] const Closing& closing() const noexcept { return closing_; }
  /// Where everybody is.
  [[nodiscard]] runtime::Runtime& hall() noexcept { return *rooms_.front(); }
  /// Another runtime, with one worker.
  [[nodiscard]] runtime::Runtime& room_of_one();

  Handles spawn(runtime::Runtime& in, std::string name, Tasks tasks, Site site = Site::current());
  Handles spawn(std::string name, Tasks tasks, Site site = Site::current()) {
    return spawn(hall(), std::move(name), std::move(tasks), site);
  }
  /// A thread that is joined before the runtimes stop; it has to end when asked to.
  void start_thread(std::function<void()> body);
  /// Outlives every task and thread.
  void keep(std::shared_ptr<void> kept) { kept_.push_back(std::move(kept)); }

  [[nodiscard]] Seen look(runtime::Runtime& in, TaskId task);
  [[nodiscard]] Seen look(TaskId task) { return look(hall(), task); }
  /// Looks until it is so. Throws Interrupted; std::runtime_error after a minute.
  template <class IsSo>
  void until(IsSo is_so) {
    const auto give_up = std::chrono::steady_clock::now() + 1min;
    while (!is_so()) {
      pause();
      if (std::chrono::steady_clock::now() > give_up) throw std::runtime_error(too_late());
    }
  }

  void plant_all();
  void say(const Planted& planted) const;
  void say_decoy(std::string_view name, const Handles& tasks, std::string shape) const;
  /// Waits for a signal, or for the end of the opening hours.
  void open();
  void close();

 private:
  void pause();
  [[nodiscard]] std::string too_late() const;

  const Options& options_;
  const Exhibit* planting_ = nullptr;
  std::uint64_t seed_ = 0;
  Closing closing_;
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<std::unique_ptr<runtime::Runtime>> rooms_;
  std::vector<std::jthread> threads_;
};

[[nodiscard]] std::vector<TaskId> ids_of(const Handles& handles);
/// Healthy tasks that contend with each other.
void spawn_load(Curator& curator);

}  // namespace taskscope::gallery
