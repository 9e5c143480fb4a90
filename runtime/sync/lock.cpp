#include "taskscope/runtime/sync/lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace taskscope::runtime::sync {

namespace {
constexpr int kSpins = 100;  // about the length of a critical section of a few list operations

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) noexcept {
  static_assert(sizeof(word) == sizeof(std::uint32_t));
  // A wake that comes after the word is gone finds nobody, or wakes one who looks again.
  syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}
}  // namespace

void Lock::lock_slowly() noexcept {
  for (int i = 0; i < kSpins; ++i) {
    // Relaxed: only a hint that the exchange may succeed.
    if (state_.load(std::memory_order_relaxed) == kFree) {
      std::uint32_t expected = kFree;
      // Acquire: as in lock().
      if (state_.compare_exchange_weak(expected, kHeld, std::memory_order_acquire,
                                       std::memory_order_relaxed))
        return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  // From here on the word says that somebody may sleep, even when it is us who get the lock.
  // Acquire: as in lock().
  while (state_.exchange(kWaitedFor, std::memory_order_acquire) != kFree)
    futex(state_, FUTEX_WAIT, kWaitedFor);
}

void Lock::wake_one() noexcept { futex(state_, FUTEX_WAKE, 1); }

}  // namespace taskscope::runtime::sync
