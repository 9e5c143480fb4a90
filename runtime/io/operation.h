/// An I/O operation as a leaf: a system call that is tried, and tried again when it may succeed.
#pragma once

#include <coroutine>
#include <system_error>

#include "taskscope/runtime/io/driver.h"

namespace taskscope::runtime::io {

/// Base of `Op`, which has
///     bool attempt(std::uint64_t seen)     the system call; false: it would block
///     void fail(std::error_code)           the driver is gone
/// and an await_resume() that first calls unlink(). No frame of its own: the operation lives in the
/// awaiting one, and the worker that polls the task makes the call.
template <class Op>
class Operation : public ReadinessWaiter {
 public:
  [[nodiscard]] bool await_ready() noexcept { return run(); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    suspend(awaiting);
    if (!link()) {
      op().fail(std::make_error_code(std::errc::operation_canceled));
      return false;
    }
    // An event before the linking has woken nobody, but it is in the word.
    return !run();
  }
  [[nodiscard]] bool ready(bool) noexcept final { return take_notified() && run(); }

 protected:
  using ReadinessWaiter::ReadinessWaiter;
  ~Operation() = default;

 private:
  [[nodiscard]] Op& op() noexcept { return static_cast<Op&>(*this); }

  [[nodiscard]] bool run() noexcept {
    const auto worth_a_try = bits_of(direction());
    for (;;) {
      const auto seen = registration_->readiness();
      if ((seen & worth_a_try) == 0) return false;
      if (op().attempt(seen)) return true;
      registration_->clear(seen, worth_a_try);
    }
  }
};

/// Waits until the descriptor was reported ready and not found otherwise since. Who then makes a
/// system call that would block says so with `Registration::clear(seen, bits)`, where `seen` is
/// what this gave.
class [[nodiscard]] Readiness final : public Operation<Readiness> {
 public:
  Readiness(Registration& registration, Direction direction) noexcept
      : Operation(
            &registration, direction,
            direction == Direction::Read ? observe::WaitOp::Readable : observe::WaitOp::Writable) {}

  /// The registration's word; errors: operation_canceled when the runtime is gone.
  Result<std::uint64_t, std::error_code> await_resume() noexcept {
    unlink();
    if (error_) return error_;
    return seen_;
  }

  [[nodiscard]] bool attempt(std::uint64_t seen) noexcept {
    seen_ = seen;
    return true;
  }
  void fail(std::error_code error) noexcept { error_ = error; }

 private:
  std::uint64_t seen_ = 0;
  std::error_code error_;
};

/// Cancel   both safe: nothing is taken.
[[nodiscard]] inline Readiness readable(Registration& registration) noexcept {
  return Readiness(registration, Direction::Read);
}
[[nodiscard]] inline Readiness writable(Registration& registration) noexcept {
  return Readiness(registration, Direction::Write);
}

}  // namespace taskscope::runtime::io
