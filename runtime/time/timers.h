/// The timers of one worker: a wheel behind a lock, advanced by whoever comes by.
///
/// A sleeping task moves between workers, so its timer is removed from other threads than the one
/// that entered it; and a worker that is stuck in a poll can't fire its own timers, so others
/// advance its wheel. Hence the lock; nobody takes it to learn that nothing is due.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/sync/lock.h"
#include "taskscope/runtime/task/waiter.h"
#include "taskscope/runtime/task/wake.h"
#include "taskscope/runtime/time/clock.h"
#include "taskscope/runtime/time/wheel.h"

namespace taskscope::runtime::time {

class Timers;

enum class Inserted : std::uint8_t {
  Past,      ///< not entered: the deadline has passed already
  Later,     ///< entered
  Earliest,  ///< entered, before all others: who sleeps until the next deadline has to know
};

/// A wait for a deadline. All but the wheel's links belongs to the task that awaits.
class TimerNode : public task::FireWaiter, private WheelEntry {
 public:
  [[nodiscard]] std::uint64_t deadline_ns() const noexcept { return deadline_ns_; }
  void describe(observe::Wait& wait) const noexcept override;
  /// The await is over or destroyed, the node is not: nobody may be woken through its branch.
  void abandon() noexcept { stop(); }

 protected:
  explicit TimerNode(std::uint64_t deadline_ns) noexcept : deadline_ns_(deadline_ns) {}
  ~TimerNode() { stop(); }

  /// Enters the calling worker's wheel and tells the scheduler; false if the deadline has passed
  /// already. Call it after suspend().
  [[nodiscard]] bool start() noexcept;
  /// Enters a given wheel; telling the scheduler is the caller's.
  [[nodiscard]] Inserted start_in(Timers& timers) noexcept;
  /// Leaves the wheel, fired or not; nothing if it is in none. After it nobody else knows the node.
  void stop() noexcept;

  bool elapsed_ = false;  // of Sleep; here, because it fits behind the entry's small members
  std::uint64_t deadline_ns_;

 private:
  friend class Timers;
  Timers* timers_ = nullptr;  // the wheel it was entered into; null once stopped
};

/// Deadlines are CLOCK_MONOTONIC ns and rounded up to the next tick: a timer never fires early.
/// Every call may come from any thread.
class Timers {
 public:
  explicit Timers(std::uint64_t now = now_ns()) noexcept : wheel_(tick_at_or_before(now)) {}
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  [[nodiscard]] Inserted insert(TimerNode& node) noexcept;
  /// Takes a node out that was inserted here, fired or not; waits for a fire under way.
  void remove(TimerNode& node) noexcept;

  /// Fires what is due at `now`; returns how many. The woken tasks are in `wakes`, or were
  /// submitted when that was full. Costs one load when nothing is due.
  ///
  /// Stops when about kEnough tasks were woken, with next_deadline_ns() still in the past: they had
  /// better run while their memory is near, and not queue behind ten thousand others.
  std::size_t advance(std::uint64_t now, task::WakeBatch& wakes) noexcept;
  static constexpr std::size_t kEnough = 64;

  /// When `advance` has something to do next; never later than the earliest deadline, kNever if
  /// there is none.
  ///
  /// Relaxed: a worker that is going to sleep reads it behind the fence of DriverDeadline::begin().
  [[nodiscard]] std::uint64_t next_deadline_ns() const noexcept {
    return next_ns_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] std::array<std::uint32_t, Wheel::kLevels> occupancy() const noexcept;
  // Counts, which publish nothing: relaxed.
  [[nodiscard]] std::uint64_t fired() const noexcept {
    return fired_.load(std::memory_order_relaxed);
  }
  /// Those of `fired` that came a whole tick or more after the tick they were due in.
  [[nodiscard]] std::uint64_t late() const noexcept {
    return late_.load(std::memory_order_relaxed);
  }
  /// The longest time from a deadline to its fire so far.
  [[nodiscard]] std::uint64_t late_max_ns() const noexcept {
    return late_max_ns_.load(std::memory_order_relaxed);
  }

 private:
  void publish_next() noexcept;

  mutable sync::Lock mutex_;
  Wheel wheel_;                            // under mutex_
  Atomic<std::uint64_t> next_ns_{kNever};  // written under mutex_
  std::atomic<std::uint64_t> fired_{0};    // all three: written under mutex_
  std::atomic<std::uint64_t> late_{0};
  std::atomic<std::uint64_t> late_max_ns_{0};
};

}  // namespace taskscope::runtime::time
