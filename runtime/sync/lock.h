/// The lock under every wait list: a spin, then turns given away.
///
/// It guards a few list operations at a time and never a user's code, so it is nearly always free,
/// and every type of this folder takes it often. So what counts is the way in and out when nobody
/// else is there: one atomic step in, and none out, as nobody sleeps on the word who would have to
/// be woken. A thread that held it may be preempted, though; who waits for that gives its turns
/// away, and then sleeps for moments, lest it keep the holder from the core.
#pragma once

#include <cstdint>

#include "taskscope/runtime/atomic.h"

namespace taskscope::runtime::sync {

/// Shape    for std::lock_guard and std::unique_lock; not recursive, not fair.
class Lock {
 public:
  void lock() noexcept {
    // Acquire: pairs with unlock's release; sees what the last holder wrote.
    if (state_.exchange(kHeld, std::memory_order_acquire) != kFree) [[unlikely]]
      lock_slowly();
  }
  /// Touches nothing of the lock once others can have it: they may destroy it.
  void unlock() noexcept { state_.store(kFree, std::memory_order_release); }
  /// Returns when whoever held the lock has let go of it: for the destructor of what it guards.
  void wait_until_left() noexcept {
    // Acquire: as in lock().
    if (state_.load(std::memory_order_acquire) != kFree) [[unlikely]] {
      lock_slowly();
      unlock();
    }
  }

 private:
  static constexpr std::uint32_t kFree = 0, kHeld = 1;
  void lock_slowly() noexcept;

  Atomic<std::uint32_t> state_{kFree};  // written by any thread
};

}  // namespace taskscope::runtime::sync
