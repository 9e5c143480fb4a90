/// How long polls take on average, without a clock read a poll.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace taskscope::runtime::metrics {

/// An exponentially weighted mean over batches of polls: each poll weighs 0.1, as if it had taken
/// what its batch took on average. Source   tokio's Stats (task_poll_time_ewma), without the value
/// that it begins with.
class MeanPollTime {
 public:
  /// Its worker only.
  void add_batch(std::uint64_t elapsed_ns, std::uint64_t polls) noexcept {
    if (polls == 0) return;
    const double batch_ns = static_cast<double>(elapsed_ns) / static_cast<double>(polls);
    const double kept = any_ ? kKept[std::min<std::size_t>(polls, kKept.size() - 1)] : 0;
    any_ = true;
    mean_ns_ = kept * mean_ns_ + (1 - kept) * batch_ns;
    // Relaxed: publishes nothing.
    published_ns_.store(static_cast<std::uint64_t>(mean_ns_), std::memory_order_relaxed);
  }
  /// Anybody. 0 before the first batch.
  [[nodiscard]] std::uint64_t get_ns() const noexcept {
    return published_ns_.load(std::memory_order_relaxed);
  }

 private:
  /// What is left of the weight of the past after so many polls; after 127 a millionth.
  static constexpr auto kKept = [] {
    std::array<double, 128> kept{};
    double weight = 1;
    for (double& entry : kept) {
      entry = weight;
      weight *= 0.9;
    }
    return kept;
  }();

  double mean_ns_ = 0;
  bool any_ = false;
  std::atomic<std::uint64_t> published_ns_{0};
};

}  // namespace taskscope::runtime::metrics
