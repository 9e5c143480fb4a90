/// Waiting for the next of a row of instants.
#pragma once

#include <cassert>

#include "taskscope/runtime/time/timers.h"

namespace taskscope::runtime::time {

/// What an interval does about ticks that came due while nobody awaited them: those that are taken
/// more than 5 ms after they were due.
///
/// Source   tokio::time::MissedTickBehavior
enum class MissedTickBehavior : std::uint8_t {
  Burst,  ///< they follow one another at once, until it has caught up
  Delay,  ///< the next one is a whole period after the late one
  Skip,   ///< they are left out; the next one is at a multiple of the period
};

/// The deadline of the tick after the one that was due at `due` and taken at `now`.
[[nodiscard]] std::uint64_t next_tick_after(std::uint64_t due, std::uint64_t now,
                                            std::uint64_t period_ns,
                                            MissedTickBehavior missed) noexcept;

/// Ticks at `start`, `start + period`, ...
///
/// Shape    `const Instant due = co_await interval.tick();` one task at a time.
/// Errors   none; needs a runtime. A period of zero or less counts as 1 ns, where tokio panics.
/// Cancel   safe: a cancelled tick() has taken no tick.
/// Watch    a wait of op Tick with its deadline; the wake's cause is Timer.
/// Source   tokio::time::Interval
class Interval {
 public:
  class [[nodiscard]] Tick final : public TimerNode {
   public:
    explicit Tick(Interval& interval) noexcept
        : TimerNode(interval.next_ns_), interval_(interval) {}

    // A tick in the past needs no wheel, and a late one must not wait for the next turn of it.
    [[nodiscard]] bool await_ready() const noexcept { return deadline_ns_ <= now_ns(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      suspend(awaiting);
      return start();
    }
    /// When the tick was due.
    Instant await_resume() noexcept {
      stop();
      interval_.take(deadline_ns_);
      return to_instant(deadline_ns_);
    }
    void describe(observe::Wait& wait) const noexcept override {
      TimerNode::describe(wait);
      wait.op = observe::WaitOp::Tick;
    }

   private:
    Interval& interval_;
  };

  Interval(std::uint64_t start_ns, Duration period) noexcept
      : next_ns_(start_ns),
        period_ns_(period.count() > 0 ? static_cast<std::uint64_t>(period.count()) : 1) {}

  [[nodiscard]] Tick tick() noexcept { return Tick(*this); }
  [[nodiscard]] Duration period() const noexcept {
    return Duration(static_cast<std::int64_t>(period_ns_));
  }
  void set_missed_tick_behavior(MissedTickBehavior missed) noexcept { missed_ = missed; }
  [[nodiscard]] MissedTickBehavior missed_tick_behavior() const noexcept { return missed_; }
  /// When the next tick comes: a period from now; at once; after a time, or at one, of its own. The
  /// period after that is as ever. Not while a tick is awaited.
  void reset() noexcept { next_ns_ = deadline_after(now_ns(), period()); }
  void reset_immediately() noexcept { next_ns_ = now_ns(); }
  void reset_after(Duration wait) noexcept { next_ns_ = deadline_after(now_ns(), wait); }
  void reset_at(Instant deadline) noexcept { next_ns_ = to_ns(deadline); }

 private:
  void take(std::uint64_t due) noexcept {
    next_ns_ = next_tick_after(due, now_ns(), period_ns_, missed_);
  }

  std::uint64_t next_ns_;
  std::uint64_t period_ns_;
  MissedTickBehavior missed_ = MissedTickBehavior::Burst;
};

/// The first tick is due at once.
[[nodiscard]] inline Interval interval(Duration period) noexcept {
  return Interval(now_ns(), period);
}
[[nodiscard]] inline Interval interval_at(Instant start, Duration period) noexcept {
  return Interval(to_ns(start), period);
}

}  // namespace taskscope::runtime::time
