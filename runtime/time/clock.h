/// The clock of timers: CLOCK_MONOTONIC in ns, unless a test paused it, and the ticks of the wheel.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "taskscope/runtime/observe/ticks.h"

namespace taskscope::runtime::time {

/// CLOCK_MONOTONIC.
using Clock = std::chrono::steady_clock;
using Duration = std::chrono::nanoseconds;
using Instant = std::chrono::time_point<Clock, Duration>;

constexpr std::uint64_t kTickNs = 1'000'000;  ///< 1 tick = 1 ms
/// No deadline.
constexpr std::uint64_t kNever = UINT64_MAX;

namespace detail {
/// Some runtime's clock is or was paused, so that runtimes may differ in what time it is. Relaxed:
/// set before the clock it speaks of, by the thread that pauses it.
inline std::atomic<bool> clock_was_paused{false};
/// By the clock of the current runtime; see test_clock.h.
[[nodiscard]] std::uint64_t runtime_now_ns() noexcept;
}  // namespace detail

/// By the clock of the current runtime, which is CLOCK_MONOTONIC unless it was paused.
[[nodiscard]] inline std::uint64_t now_ns() noexcept {
  if (detail::clock_was_paused.load(std::memory_order_relaxed)) [[unlikely]]
    return detail::runtime_now_ns();
  return observe::monotonic_ns();
}

/// The tick in which `deadline_ns` has certainly passed.
[[nodiscard]] constexpr std::uint64_t tick_at_or_after(std::uint64_t deadline_ns) noexcept {
  return deadline_ns / kTickNs + (deadline_ns % kTickNs != 0 ? 1 : 0);
}
[[nodiscard]] constexpr std::uint64_t tick_at_or_before(std::uint64_t now) noexcept {
  return now / kTickNs;
}
/// The first ns of a tick; kNever if that is past the end of time.
[[nodiscard]] constexpr std::uint64_t ns_of_tick(std::uint64_t tick) noexcept {
  return tick > kNever / kTickNs ? kNever : tick * kTickNs;
}

/// Instants before boot count as boot.
[[nodiscard]] constexpr std::uint64_t to_ns(Instant at) noexcept {
  const auto ns = at.time_since_epoch().count();
  return ns > 0 ? static_cast<std::uint64_t>(ns) : 0;
}
[[nodiscard]] constexpr Instant to_instant(std::uint64_t ns) noexcept {
  return Instant(Duration(ns > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(ns)));
}
[[nodiscard]] inline Instant now() noexcept { return to_instant(now_ns()); }
/// `from + wait`, at the end of time when that overflows; negative waits count as zero.
[[nodiscard]] constexpr std::uint64_t deadline_after(std::uint64_t from, Duration wait) noexcept {
  if (wait.count() <= 0) return from;
  const auto ns = static_cast<std::uint64_t>(wait.count());
  return ns > kNever - 1 - from ? kNever - 1 : from + ns;
}

}  // namespace taskscope::runtime::time
