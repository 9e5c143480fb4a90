#include "taskscope/runtime/atomic.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace taskscope::runtime {

void sleep_briefly() noexcept {
  const timespec moment{.tv_sec = 0, .tv_nsec = 50'000};
  ::nanosleep(&moment, nullptr);
}

void futex_wait(Atomic<std::uint32_t>& word, std::uint32_t expected,
                std::uint64_t timeout_ns) noexcept {
  static_assert(sizeof(word) == sizeof(std::uint32_t));
  timespec timeout{};
  timeout.tv_sec = static_cast<std::time_t>(timeout_ns / 1'000'000'000u);
  timeout.tv_nsec = static_cast<long>(timeout_ns % 1'000'000'000u);
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected,
          timeout_ns == kForever ? nullptr : &timeout, nullptr, 0);
}

void futex_wake(Atomic<std::uint32_t>& word) noexcept {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace taskscope::runtime
