/// Waiting for something, but not for ever.
#pragma once

#include <exception>
#include <optional>
#include <utility>

#include "taskscope/runtime/result.h"
#include "taskscope/runtime/task/select.h"
#include "taskscope/runtime/time/sleep.h"

namespace taskscope::runtime::time {

/// The deadline came first.
struct Elapsed {};

/// The arm that ends at the deadline; shown at the site of the timeout.
Task<void> until(std::uint64_t deadline_ns);

/// One await with two arms: the body and the deadline. The body goes first whenever both may go on.
template <class T>
class [[nodiscard]] Timeout final : public task::Arms<T, void> {
 public:
  using Result = runtime::Result<T, Elapsed>;

  Timeout(std::uint64_t deadline_ns, Task<T>&& body)
      : task::Arms<T, void>(observe::BranchMode::Any, std::move(body), until(deadline_ns)) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) {
    return this->start(awaiting, 0);
  }
  Result await_resume() {
    if (!body_won_) {
      this->destroy_all();
      return Elapsed{};
    }
    std::optional<Result> result;
    std::exception_ptr failure;
    try {
      if constexpr (std::is_void_v<T>) {
        this->template promise<0>().take();
        result.emplace();
      } else {
        result.emplace(this->template promise<0>().take());
      }
    } catch (...) {
      failure = std::current_exception();
    }
    this->destroy_all();
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }
  void arm_done(task::Arm& arm) noexcept override {
    if (this->satisfied_) return;
    body_won_ = arm.index == 0;
    this->satisfy();
  }

 private:
  bool body_won_ = false;
};

/// Awaits `body`, a Task or an awaitable of this runtime, until `deadline` at the latest; then the
/// body is destroyed.
///
/// Shape    Result<T, Elapsed>; write `co_await timeout(...)` in one go, as with select. The body
///          is always begun, even when the deadline has passed.
/// Errors   Elapsed; what the body throws.
/// Cancel   cancels the body.
/// Watch    two arms, any of which ends it: what the body waits for, and a Sleep.
/// Source   tokio::time::timeout
template <class A>
[[nodiscard]] auto timeout_at(Instant deadline, A&& body) {
  return Timeout<task::ArmResult<A>>(to_ns(deadline), task::as_task(std::forward<A>(body)));
}
/// The same, `wait` from now.
template <class A>
[[nodiscard]] auto timeout(Duration wait, A&& body) {
  return Timeout<task::ArmResult<A>>(deadline_after(now_ns(), wait),
                                     task::as_task(std::forward<A>(body)));
}

}  // namespace taskscope::runtime::time
