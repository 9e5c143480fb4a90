#include "taskscope/runtime/sync/lock.h"

namespace taskscope::runtime::sync {

namespace {
constexpr int kSpins = 100;  // about the length of a critical section of a few list operations
}  // namespace

void Lock::lock_slowly() noexcept {
  for (int i = 0; i < spins(kSpins); ++i) {
    // Relaxed: only a hint that the exchange may succeed.
    if (state_.load(std::memory_order_relaxed) == kFree) {
      std::uint32_t expected = kFree;
      // Acquire: as in lock().
      if (state_.compare_exchange_weak(expected, kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed))
        return;
    }
    spin_pause();
  }
  // From here on the word says that somebody may sleep, even when it is us who get the lock.
  // Acquire: as in lock().
  while (state_.exchange(kWaitedFor, std::memory_order_acquire) != kFree)
    futex_wait(state_, kWaitedFor);
}

void Lock::wake_one() noexcept { futex_wake(state_); }

}  // namespace taskscope::runtime::sync
