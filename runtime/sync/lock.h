/// The lock under every wait list: four bytes, a short spin, then sleep.
///
/// It guards a few list operations at a time and never a user's code, so it is nearly always free.
/// A thread that held it may be preempted, though; who waits for that must not burn the core the
/// holder needs.
#pragma once

#include <cstdint>

#include "taskscope/runtime/atomic.h"

namespace taskscope::runtime::sync {

/// Shape    for std::lock_guard and std::unique_lock; not recursive, not fair.
/// Source   Drepper, Futexes Are Tricky, mutex 2.
class Lock {
 public:
  void lock() noexcept {
    std::uint32_t expected = kFree;
    // Acquire: pairs with unlock's release; sees what the last holder wrote.
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire,
                                        std::memory_order_relaxed)) [[unlikely]]
      lock_slowly();
  }
  void unlock() noexcept {
    if (state_.exchange(kFree, std::memory_order_release) == kWaitedFor) [[unlikely]]
      wake_one();
  }
  /// Returns when whoever held the lock has let go of it: for the destructor of what it guards.
  /// The last to let go may still be on its way out of the lock when the woken task destroys it.
  void wait_until_left() noexcept {
    lock();
    unlock();
  }

 private:
  static constexpr std::uint32_t kFree = 0, kHeld = 1, kWaitedFor = 2;
  void lock_slowly() noexcept;
  void wake_one() noexcept;

  Atomic<std::uint32_t> state_{kFree};  // written by any thread
};

}  // namespace taskscope::runtime::sync
