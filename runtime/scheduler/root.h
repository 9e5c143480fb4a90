/// A thread in block_on, as others see it.
#pragma once

#include <cstdint>
#include <utility>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/scheduler/local_tasks.h"
#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::scheduler {

/// Lives on the stack of block_on. Its task is in no queue: being woken sets kReady, and the thread
/// polls it.
class Root {
 public:
  static constexpr std::uint32_t kReady = 1;  ///< the task is scheduled
  static constexpr std::uint32_t kLook = 2;   ///< the runtime stops, or wants to be driven

  explicit Root(task::Header& of) noexcept : task(of) {}
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  /// Any thread. The thread may go on at once, and this be gone.
  void notify(std::uint32_t bits) noexcept {
    word_.fetch_or(bits, std::memory_order_release);  // (N) what was done before is seen
    futex_wake(word_);
  }
  /// Its own thread, while it runs: nobody has to be woken.
  void note_ready() noexcept { word_.fetch_or(kReady, std::memory_order_relaxed); }
  [[nodiscard]] bool is_ready() const noexcept {
    return (word_.load(std::memory_order_relaxed) & kReady) != 0;
  }
  /// Acquire: pairs with (N).
  [[nodiscard]] std::uint32_t take() noexcept {
    return word_.exchange(0, std::memory_order_acquire);
  }
  void sleep() noexcept { futex_wait(word_, 0, kForever); }
  [[nodiscard]] std::uint32_t next_random() noexcept {
    random_ = random_ * 1664525u + 1013904223u;  // Numerical Recipes
    return random_ >> 8;
  }

  /// The LocalSets that run here; the thread's own, as all that follows.
  [[nodiscard]] LocalTasks* local() const noexcept { return attached_; }
  void attach(LocalTasks& tasks) noexcept {
    tasks.next_attached_ = std::exchange(attached_, &tasks);
  }
  void detach(LocalTasks& tasks) noexcept {
    LocalTasks** at = &attached_;
    while (*at != &tasks) at = &(*at)->next_attached_;
    *at = tasks.next_attached_;
  }
  [[nodiscard]] bool has_local_work() const noexcept {
    bool any = false;
    for (auto* at = attached_; at != nullptr; at = at->next_attached_) any = any || at->has_work();
    return any;
  }
  /// Polls some of their tasks; not within a poll. False: nothing was queued.
  bool run_local(Scheduler& scheduler, Worker* worker) {
    bool any = false;
    for (auto* at = attached_; at != nullptr; at = at->next_attached_)
      any = at->run(scheduler, worker) || any;
    return any;
  }

  task::Header& task;

 private:
  friend class Scheduler;
  Atomic<std::uint32_t> word_{kReady};  // raised by anybody, taken by the thread
  std::uint32_t random_ = 0;            // the thread's
  LocalTasks* attached_ = nullptr;      // last first
  Root* next_ = nullptr;                // both: under the scheduler's roots_mutex_
  Root* previous_ = nullptr;
};

}  // namespace taskscope::runtime::scheduler
