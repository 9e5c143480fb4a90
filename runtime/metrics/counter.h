/// A count that one thread writes and anybody reads.
#pragma once

#include <atomic>
#include <cstdint>

namespace taskscope::runtime::metrics {

/// Relaxed: it publishes nothing. One writer, so no read-modify-write.
class Counter {
 public:
  void add(std::uint64_t amount = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace taskscope::runtime::metrics
