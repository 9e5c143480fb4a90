#include "taskscope/runtime/sync/lock.h"

namespace taskscope::runtime::sync {

namespace {
constexpr int kSpins = 100;  // about the length of a critical section of a few list operations
constexpr int kTurns = 32;   // then the holder was preempted: it may want this core
}  // namespace

void Lock::lock_slowly() noexcept {
  for (int tries = 0;; ++tries) {
    // Relaxed: only a hint that the exchange may succeed. Acquire: as in lock().
    if (state_.load(std::memory_order_relaxed) == kFree &&
        state_.exchange(kHeld, std::memory_order_acquire) == kFree) {
      return;
    }
    if (tries < spins(kSpins)) {
      spin_pause();
    } else if (tries < spins(kSpins) + kTurns) {
      yield_thread();
    } else {
      // A thread of lower priority gets no turn from one that only yields.
      sleep_briefly();
    }
  }
}

}  // namespace taskscope::runtime::sync
