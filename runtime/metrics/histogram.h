/// Histograms of what workers measure: how they are configured, kept and read.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "taskscope/runtime/metrics/counter.h"

namespace taskscope::runtime {

/// A value of a histogram's unit: nanoseconds, written as a duration, or a number of polls.
class HistogramValue {
 public:
  template <class Rep, class Period>
  constexpr HistogramValue(std::chrono::duration<Rep, Period> time) noexcept
      : units_(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count()) {}
  constexpr HistogramValue(std::int64_t units) noexcept : units_(units) {}
  [[nodiscard]] constexpr std::int64_t units() const noexcept { return units_; }

 private:
  std::int64_t units_;
};

/// Buckets whose width grows with their values, so that no value is told with a larger error than
/// `max_error` of itself. The first bucket begins at 0, the last one has no end.
///
/// Source   tokio::runtime::LogHistogram.
struct LogHistogram {
  /// Values below share the first bucket, or few: it ends at or below this.
  HistogramValue min_value = std::chrono::nanoseconds(100);
  /// Values below are told apart as promised; at least up to the next power of two.
  HistogramValue max_value = std::chrono::seconds(60);
  /// From 0 to 1. Rounded down to 2^-p with p from 2 to 10: between 25 % and 0.1 %.
  double max_error = 0.25;
  /// That p itself, in the place of max_error.
  std::optional<std::uint32_t> precision_exact = std::nullopt;
  /// Refused by build() if it takes more.
  std::size_t max_buckets = std::numeric_limits<std::size_t>::max();
};

/// The values of one bucket: [start, end) in ns or polls. The last bucket of a histogram ends at
/// the largest number, which it includes.
struct BucketRange {
  std::uint64_t start = 0, end = 0;
  friend bool operator==(const BucketRange&, const BucketRange&) = default;
};

namespace metrics {

/// Which bucket a value belongs to.
///
/// Both kinds are the same arithmetic: buckets of equal width, or, of a value's binary digits, the
/// highest one and `precision` more. Source   H2 histogram, https://iop.systems/blog/h2-histogram/,
/// with an open first and last bucket as in tokio.
class BucketScale {
 public:
  [[nodiscard]] static BucketScale linear(std::uint64_t width, std::size_t buckets) noexcept {
    return BucketScale(width, 0, 0, buckets);
  }
  /// Of values up to 2^bits; `skipped` buckets are part of the first one that is kept.
  [[nodiscard]] static BucketScale log(std::uint32_t bits, std::uint32_t precision,
                                       std::size_t skipped) noexcept {
    return BucketScale(0, precision, skipped,
                       log_index(std::uint64_t{1} << bits, precision) - skipped);
  }
  /// The bucket of a value were there no first and no last one.
  [[nodiscard]] static std::size_t log_index(std::uint64_t value, std::uint32_t precision) noexcept;

  [[nodiscard]] std::size_t size() const noexcept { return buckets_; }
  [[nodiscard]] std::size_t bucket_of(std::uint64_t value) const noexcept;
  [[nodiscard]] BucketRange range(std::size_t bucket) const noexcept;

 private:
  BucketScale(std::uint64_t width, std::uint32_t precision, std::size_t skipped,
              std::size_t buckets) noexcept
      : width_(width), precision_(precision), skipped_(skipped), buckets_(buckets) {}
  [[nodiscard]] std::uint64_t start(std::size_t bucket) const noexcept;

  std::uint64_t width_;  // 0: logarithmic
  std::uint32_t precision_;
  std::size_t skipped_, buckets_;
};

/// The counts of one worker, which writes them; anybody reads.
class Histogram {
 public:
  explicit Histogram(BucketScale scale) : scale_(scale), counts_(scale.size()) {}
  void record(std::uint64_t value) noexcept { counts_[scale_.bucket_of(value)].add(); }
  [[nodiscard]] std::vector<std::uint64_t> counts() const;

 private:
  const BucketScale scale_;
  std::vector<Counter> counts_;
};

}  // namespace metrics

/// The buckets of a histogram. Bad arguments are refused by Builder::build().
///
/// Source   tokio::runtime::HistogramConfiguration.
class HistogramConfiguration {
 public:
  /// `buckets` of equal width from 0 on; the last one has no end.
  [[nodiscard]] static HistogramConfiguration linear(HistogramValue width,
                                                     std::size_t buckets) noexcept {
    return HistogramConfiguration(Linear{width, buckets});
  }
  [[nodiscard]] static HistogramConfiguration log(LogHistogram buckets = {}) noexcept {
    return HistogramConfiguration(buckets);
  }

  /// Errors   std::invalid_argument, which names `option`.
  [[nodiscard]] metrics::BucketScale scale(std::string_view option) const;

 private:
  struct Linear {
    HistogramValue width;
    std::size_t buckets;
  };
  explicit HistogramConfiguration(std::variant<Linear, LogHistogram> kind) noexcept : kind_(kind) {}
  std::variant<Linear, LogHistogram> kind_;
};

namespace metrics {

/// Which histograms the workers of a runtime keep.
struct HistogramScales {
  std::optional<BucketScale> poll_time, schedule_latency, poll_count;
};

/// What Builder was told of histograms: off, or how.
struct HistogramOptions {
  std::optional<HistogramConfiguration> poll_time, schedule_latency, poll_count;

  /// 10 buckets of 100 us, as in tokio.
  [[nodiscard]] static HistogramConfiguration default_times() noexcept {
    return HistogramConfiguration::linear(std::chrono::microseconds(100), 10);
  }
  /// Exact up to 7 polls, then within 25 %, up to a million.
  [[nodiscard]] static HistogramConfiguration default_polls() noexcept {
    return HistogramConfiguration::log({.min_value = 1, .max_value = 1 << 20});
  }
  /// Errors   std::invalid_argument.
  [[nodiscard]] HistogramScales scales() const;
};

}  // namespace metrics

/// A histogram as it was when it was read, of all workers. When it is off it has no buckets.
class HistogramCounts {
 public:
  HistogramCounts() = default;
  HistogramCounts(std::optional<metrics::BucketScale> scale,
                  std::vector<std::vector<std::uint64_t>> workers) noexcept
      : scale_(scale), workers_(std::move(workers)) {}

  [[nodiscard]] bool enabled() const noexcept { return scale_.has_value(); }
  [[nodiscard]] std::size_t num_buckets() const noexcept { return scale_ ? scale_->size() : 0; }
  /// Errors   std::out_of_range.
  [[nodiscard]] BucketRange bucket_range(std::size_t bucket) const;
  /// Errors   std::out_of_range.
  [[nodiscard]] std::uint64_t bucket_count(std::size_t worker, std::size_t bucket) const {
    return workers_.at(worker).at(bucket);
  }

 private:
  std::optional<metrics::BucketScale> scale_;
  std::vector<std::vector<std::uint64_t>> workers_;  // of each its counts by bucket
};

}  // namespace taskscope::runtime
