#include "taskscope/runtime/sync/lock.h"

namespace taskscope::runtime::sync {

namespace {
/// With 1 pause after the first, then twice as many each time. Who takes and leaves the lock over
/// and over, as a sender does that has much to send, loses its cache line with every look of
/// others.
constexpr int kLooks = 8;
constexpr int kTurns = 32;  // then the holder was preempted: it may want this core
}  // namespace

void Lock::lock_slowly() noexcept {
  for (int looks = 0;; ++looks) {
    // Relaxed: only a hint that the exchange may succeed. Acquire: as in lock().
    if (state_.load(std::memory_order_relaxed) == kFree &&
        state_.exchange(kHeld, std::memory_order_acquire) == kFree) {
      return;
    }
    if (looks < spins(kLooks)) {
      for (int i = 0; i < spins(1 << looks); ++i) spin_pause();
    } else if (looks < spins(kLooks) + kTurns) {
      yield_thread();
    } else {
      // A thread of lower priority gets no turn from one that only yields.
      sleep_briefly();
    }
  }
}

}  // namespace taskscope::runtime::sync
