/// Until when the worker in the driver sleeps, for those who need it to wake earlier.
#pragma once

#include <cstdint>

#include "taskscope/runtime/atomic.h"

namespace taskscope::runtime::scheduler {

/// Written by the worker in the driver, whichever that is.
///
/// What has to be excluded: the worker reads the wheels, sees no timer, and sleeps for ever, while
/// who enters one sees nobody asleep who would have to be told. The worker says that it sleeps and
/// then reads; the other enters its timer and then reads this. One of them sees the other.
class DriverDeadline {
 public:
  /// The worker is going to sleep. It reads the wheels, and who is awake, afterwards.
  void begin() noexcept {
    until_ns_.store(kForever, std::memory_order_relaxed);
    // seq_cst: forbids that what is read from here on is read before the store is visible.
    fence(std::memory_order_seq_cst);
  }
  /// It found that it need not sleep for ever. Relaxed: whoever still reads the time before wakes
  /// it for nothing.
  void set(std::uint64_t until_ns) noexcept {
    until_ns_.store(until_ns, std::memory_order_relaxed);
  }
  void end() noexcept { set(0); }

  /// 0 if nobody sleeps. For who has entered a timer with a seq_cst store, or stands behind a
  /// seq_cst fence.
  [[nodiscard]] std::uint64_t load() const noexcept {
    // seq_cst: forbids that this is read before that store is visible.
    return until_ns_.load(std::memory_order_seq_cst);
  }
  /// Does it sleep past a deadline that has been entered?
  [[nodiscard]] bool sleeps_beyond(std::uint64_t deadline_ns) const noexcept {
    const auto until_ns = load();
    return until_ns != 0 && deadline_ns < until_ns;
  }

 private:
  Atomic<std::uint64_t> until_ns_{0};
};

}  // namespace taskscope::runtime::scheduler
