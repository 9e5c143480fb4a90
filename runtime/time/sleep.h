/// Waiting for a time.
#pragma once

#include "taskscope/runtime/time/timers.h"

namespace taskscope::runtime::time {

/// Ends at its deadline, rounded up to the next ms; never early.
///
/// Units    deadlines are of CLOCK_MONOTONIC, in ns; see clock.h.
/// Shape    `co_await sleep(10ms)`, or kept in a variable and awaited any number of times: once
///          over it is ready at once, until reset.
/// Errors   none; needs a runtime. While every worker is inside a poll that blocks, no timer fires;
///          one that is free fires those of all.
/// Cancel   safe; a Sleep that nobody awaits is in no wheel and costs nothing.
/// Watch    a wait of op Sleep with its deadline; the wake's cause is Timer.
/// Source   tokio::time::Sleep
class [[nodiscard]] Sleep final : public TimerNode {
 public:
  explicit Sleep(std::uint64_t deadline_ns) noexcept : TimerNode(deadline_ns) {}

  [[nodiscard]] Instant deadline() const noexcept { return to_instant(deadline_ns_); }
  /// It was awaited to its end since it was made or reset. (tokio's is so once it has fired.)
  [[nodiscard]] bool is_elapsed() const noexcept { return elapsed_; }
  /// A new deadline, for the next await; not while it is awaited.
  void reset(Instant deadline) noexcept {
    stop();
    deadline_ns_ = to_ns(deadline);
    elapsed_ = false;
  }

  [[nodiscard]] bool await_ready() const noexcept { return elapsed_; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    suspend(awaiting);
    return start();
  }
  void await_resume() noexcept {
    stop();
    elapsed_ = true;
  }
};

/// From now, not from the await.
[[nodiscard]] inline Sleep sleep(Duration wait) noexcept {
  return Sleep(deadline_after(now_ns(), wait));
}
[[nodiscard]] inline Sleep sleep_until(Instant deadline) noexcept { return Sleep(to_ns(deadline)); }

}  // namespace taskscope::runtime::time
