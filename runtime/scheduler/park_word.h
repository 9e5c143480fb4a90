/// The word that a worker sleeps on.
#pragma once

#include <cstdint>

#include "taskscope/runtime/atomic.h"

namespace taskscope::runtime::scheduler {

/// Notified means: there is something to do, and it stays so until the worker has looked. Stirred
/// means: look around, which may be lost on one that is awake.
class ParkWord {
 public:
  // The worker:
  /// False: notified already. Either way end() has to follow.
  [[nodiscard]] bool begin(bool in_driver) noexcept {
    auto expected = kAwake;
    // Relaxed: publishes nothing; what the notifier did is seen through end().
    return word_.compare_exchange_strong(expected, in_driver ? kInDriver : kSleeping,
                                         std::memory_order_relaxed, std::memory_order_relaxed);
  }
  /// After begin(false). May return early.
  void wait(std::uint64_t timeout_ns) noexcept { futex_wait(word_, kSleeping, timeout_ns); }
  /// True: notified since the last end().
  [[nodiscard]] bool end() noexcept {
    // Acquire: pairs with notify().
    return word_.exchange(kAwake, std::memory_order_acquire) == kNotified;
  }

  // Any thread:
  /// True: the worker sits in the driver, and the caller has to wake it there.
  [[nodiscard]] bool notify() noexcept {
    // Release: pairs with end(); what the notifier did before is seen.
    const auto before = word_.exchange(kNotified, std::memory_order_release);
    if (before == kSleeping) futex_wake(word_);
    return before == kInDriver;
  }
  /// Not by a wake alone: one that is about to sleep would not hear it.
  void stir() noexcept {
    auto expected = kSleeping;
    if (word_.compare_exchange_strong(expected, kAwake, std::memory_order_relaxed,
                                      std::memory_order_relaxed))
      futex_wake(word_);
  }

 private:
  static constexpr std::uint32_t kAwake = 0, kNotified = 1, kSleeping = 2, kInDriver = 3;
  Atomic<std::uint32_t> word_{kAwake};
};

}  // namespace taskscope::runtime::scheduler
