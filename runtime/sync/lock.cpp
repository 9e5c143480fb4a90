#include "taskscope/runtime/sync/lock.h"

#include <algorithm>

namespace taskscope::runtime::sync {

namespace {
/// Between two looks, in pauses: twice as many each time. Who takes and leaves the lock over and
/// over, as a sender does that has much to send, loses its cache line with every look of others.
constexpr int kLongestPause = 128;
constexpr int kLooks = 8;
constexpr int kTurns = 32;  // then the holder was preempted: it may want this core
}  // namespace

void Lock::lock_slowly() noexcept {
  int pauses = 1;
  for (int looks = 0;; ++looks) {
    // Relaxed: only a hint that the exchange may succeed. Acquire: as in lock().
    if (state_.load(std::memory_order_relaxed) == kFree &&
        state_.exchange(kHeld, std::memory_order_acquire) == kFree) {
      return;
    }
    if (looks < spins(kLooks)) {
      for (int i = 0; i < spins(pauses); ++i) spin_pause();
      pauses = std::min(2 * pauses, kLongestPause);
    } else if (looks < spins(kLooks) + kTurns) {
      yield_thread();
    } else {
      // A thread of lower priority gets no turn from one that only yields.
      sleep_briefly();
    }
  }
}

}  // namespace taskscope::runtime::sync
