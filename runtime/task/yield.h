/// Letting others run.
#pragma once

#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime {

/// Goes behind the tasks that are queued on this worker.
///
/// Cancel   safe.
/// Source   tokio::task::yield_now.
class [[nodiscard]] YieldNow final : public task::Waiter {
 public:
  static constexpr bool kUnbudgeted = true;  // it ends the poll, and the next one has a new budget
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    suspend(awaiting);
    branch_->task->yielded = true;
    static_cast<void>(branch_->task->notify(branch_->id));
  }
  void await_resume() const noexcept {}
  [[nodiscard]] bool ready(bool woken) noexcept override { return woken; }
  void describe(observe::Wait& wait) const noexcept override { wait.op = observe::WaitOp::Yield; }
};

[[nodiscard]] inline YieldNow yield_now() noexcept { return {}; }

}  // namespace taskscope::runtime
