/// A small histogram of durations.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace taskscope::console::session {

/// Two buckets an octave, from 256 ticks to 2^32 ticks and beyond; counts saturate.
class LogHistogram {
 public:
  static constexpr int kBuckets = 50;

  void add(std::uint64_t ticks) noexcept {
    auto& bucket = counts_[static_cast<std::size_t>(bucket_of(ticks))];
    if (bucket != UINT32_MAX) ++bucket;
  }
  /// Where a value like this one is counted, to have it at hand.
  [[nodiscard]] const void* near(std::uint64_t ticks) const noexcept {
    return &counts_[static_cast<std::size_t>(bucket_of(ticks))];
  }
  void merge(const LogHistogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(std::uint64_t{counts_[i]} + other.counts_[i], UINT32_MAX));
  }
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const auto count : counts_) sum += count;
    return sum;
  }
  [[nodiscard]] std::uint32_t count(int bucket) const noexcept {
    return counts_[static_cast<std::size_t>(bucket)];
  }
  /// The largest value that falls into the bucket where this share (0..1) of all values is reached;
  /// 0 when empty.
  [[nodiscard]] std::uint64_t quantile_ticks(double share) const noexcept {
    const auto all = total();
    if (all == 0) return 0;
    const auto wanted =
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(share * static_cast<double>(all)));
    std::uint64_t seen = 0;
    for (int i = 0; i < kBuckets; ++i) {
      seen += count(i);
      if (seen >= wanted) return to_ticks(i);
    }
    return to_ticks(kBuckets - 1);
  }

  /// Bucket i holds [from_ticks(i), to_ticks(i)).
  [[nodiscard]] static std::uint64_t from_ticks(int bucket) noexcept {
    if (bucket == 0) return 0;
    const int half = bucket - 1 + 2 * 8;
    const std::uint64_t base = std::uint64_t{1} << (half / 2);
    return half % 2 == 0 ? base : base + base / 2;
  }
  [[nodiscard]] static std::uint64_t to_ticks(int bucket) noexcept {
    return from_ticks(bucket + 1);
  }
  [[nodiscard]] static int bucket_of(std::uint64_t ticks) noexcept {
    if (ticks < 256) return 0;
    const int octave = static_cast<int>(std::bit_width(ticks)) - 1;
    const int half = 2 * octave + static_cast<int>((ticks >> (octave - 1)) & 1);
    return std::min(half - 2 * 8 + 1, kBuckets - 1);
  }

 private:
  std::array<std::uint32_t, kBuckets> counts_{};
};

}  // namespace taskscope::console::session
