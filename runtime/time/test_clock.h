/// Time under a test's control: paused, advanced, resumed.
#pragma once

#include <atomic>
#include <cstdint>

#include "taskscope/runtime/task/yield.h"
#include "taskscope/runtime/time/clock.h"

namespace taskscope::runtime::time {

/// The clock of a current_thread runtime. Runs with CLOCK_MONOTONIC until it is paused, and behind
/// or ahead of it afterwards. It is set by one thread at a time, and read by any.
class TestClock {
 public:
  [[nodiscard]] std::uint64_t now_ns() const noexcept {
    // Acquire: pairs with resume(), which sets the offset first.
    const auto paused_at_ns = paused_at_ns_.load(std::memory_order_acquire);
    return paused_at_ns != 0 ? paused_at_ns : running_ns();
  }
  [[nodiscard]] bool is_paused() const noexcept {
    return paused_at_ns_.load(std::memory_order_relaxed) != 0;
  }
  /// At the next tick, so that what is a whole number of ms away comes exactly then.
  void pause() noexcept {
    detail::clock_was_paused.store(true, std::memory_order_relaxed);
    paused_at_ns_.store(ns_of_tick(tick_at_or_after(running_ns())), std::memory_order_relaxed);
  }
  void resume() noexcept {
    offset_ns_.store(paused_at_ns_.load(std::memory_order_relaxed) - observe::monotonic_ns(),
                     std::memory_order_relaxed);
    paused_at_ns_.store(0, std::memory_order_release);
  }
  /// Only while paused, and never back.
  void advance_to(std::uint64_t at_ns) noexcept {
    if (at_ns > paused_at_ns_.load(std::memory_order_relaxed))
      paused_at_ns_.store(at_ns, std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] std::uint64_t running_ns() const noexcept {
    return observe::monotonic_ns() + offset_ns_.load(std::memory_order_relaxed);
  }

  std::atomic<std::uint64_t> paused_at_ns_{0};  // 0: it runs
  std::atomic<std::uint64_t> offset_ns_{0};     // to CLOCK_MONOTONIC, modulo 2^64
};

/// Stops the clock of the current runtime: now() stays the same, and what sleeps waits for
/// advance(). Whenever the runtime has nothing to do, and no blocking call is under way, its clock
/// jumps to the next deadline by itself; so a test that sleeps for an hour takes no time.
///
/// Errors   std::logic_error outside a current_thread runtime, or when the clock is paused already.
/// Source   tokio::time::pause, with the same jumps.
void pause();
/// Lets the clock run on from where it stands.
///
/// Errors   std::logic_error outside a current_thread runtime, or when the clock is not paused.
/// Source   tokio::time::resume
void resume();
/// Moves the paused clock on by `by`, at once, and lets run what came due on the way: timers see
/// the new time only. A negative time counts as zero.
///
/// Errors   as resume().
/// Cancel   the clock stays moved.
/// Source   tokio::time::advance
Task<void> advance(Duration by);

}  // namespace taskscope::runtime::time
