/// Letting others run, at once or when it is time.
#pragma once

#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime {

/// Goes behind the tasks that are queued on this worker.
///
/// Cancel   safe.
/// Watch    the poll ends as Yielded, and no wait is told of.
/// Source   tokio::task::yield_now
class [[nodiscard]] YieldNow final : public task::Waiter {
 public:
  static constexpr bool kUnbudgeted = true;  // it ends the poll, and the next one has a new budget
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    suspend(awaiting);
    task::Header& task = branch_->task();
    task.again |= task::Header::kYielded;
    poll_ = task.polls.load(std::memory_order_relaxed);
    // The worker queues the task again, and the root is asked in every poll. An arm has to be
    // named.
    if (branch_->is_arm()) {
      static_cast<void>(task.notify(branch_->id));
    } else {
      task.again |= task::Header::kRootYielded;
    }
  }
  void await_resume() const noexcept {}
  [[nodiscard]] bool ready(bool) noexcept override {
    return branch_->task().polls.load(std::memory_order_relaxed) != poll_;
  }
  void describe(observe::Wait& wait) const noexcept override { wait.op = observe::WaitOp::Yield; }

 private:
  std::uint32_t poll_ = 0;  // the one it ended
};

[[nodiscard]] inline YieldNow yield_now() noexcept { return {}; }

/// Counts as an await that found everything ready: lets others run when the task has made its share
/// of those in this poll. For long work that awaits nothing else.
///
/// Cancel   safe.
/// Source   tokio::task::consume_budget
class [[nodiscard]] ConsumeBudget final : public task::Waiter {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return true; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise>) noexcept {
    return false;
  }
  void await_resume() const noexcept {}
  [[nodiscard]] bool ready(bool) noexcept override { return true; }
  void describe(observe::Wait& wait) const noexcept override { wait.op = observe::WaitOp::Yield; }
};

[[nodiscard]] inline ConsumeBudget consume_budget() noexcept { return {}; }

}  // namespace taskscope::runtime
