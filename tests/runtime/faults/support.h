/// What the fault tests share.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <thread>
#include <utility>

#include "taskscope/runtime/result.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/tests/support/loopback.h"

namespace faults {

using taskscope::tests::must;

#if defined(__has_feature)  // GCC is not used with sanitizers here
inline constexpr bool kSanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif

/// Counts its living copies: what a task was given and has to give back.
class Tracked {
 public:
  Tracked() noexcept { ++living_; }
  Tracked(const Tracked&) noexcept { ++living_; }
  Tracked& operator=(const Tracked&) noexcept = default;
  ~Tracked() { --living_; }
  [[nodiscard]] static std::int64_t living() noexcept { return living_.load(); }

 private:
  inline static std::atomic<std::int64_t> living_{0};
};

/// Waits for what other threads bring about; only what never comes makes it give up.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::yield();
  }
  return true;
}

inline std::ptrdiff_t entries_of(const char* directory) {
  return std::distance(std::filesystem::directory_iterator(directory), {});
}
inline std::ptrdiff_t threads() { return entries_of("/proc/self/task"); }
inline std::ptrdiff_t descriptors() { return entries_of("/proc/self/fd"); }

template <class T>
taskscope::runtime::Task<T> joined(taskscope::runtime::JoinHandle<T> handle) {
  co_return co_await std::move(handle);
}

}  // namespace faults
