#include "taskscope/runtime/metrics/histogram.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>
#include <string>

namespace taskscope::runtime {

namespace {

constexpr std::uint32_t kLeastPrecision = 2, kMostPrecision = 10;
/// A worker each keeps them.
constexpr std::size_t kMostBuckets = 65'536;
constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

[[noreturn]] void refuse(std::string_view option, const std::string& why) {
  throw std::invalid_argument(std::string(option) + ": " + why);
}

std::uint32_t precision_of(const LogHistogram& log, std::string_view option) {
  if (log.precision_exact) {
    if (*log.precision_exact < kLeastPrecision || *log.precision_exact > kMostPrecision)
      refuse(option, "precision_exact must be from 2 to 10");
    return *log.precision_exact;
  }
  // So that not-a-number is refused too.
  if (!(log.max_error >= 0 && log.max_error <= 1)) refuse(option, "max_error must be from 0 to 1");
  std::uint32_t precision = kLeastPrecision;
  while (precision < kMostPrecision && 1.0 / (1 << precision) > log.max_error) ++precision;
  return precision;
}

void check_buckets(std::size_t buckets, std::string_view option) {
  if (buckets > kMostBuckets) {
    refuse(option, std::to_string(buckets) + " buckets are more than the " +
                       std::to_string(kMostBuckets) + " that are supported");
  }
}

}  // namespace

namespace metrics {

std::size_t BucketScale::log_index(std::uint64_t value, std::uint32_t precision) noexcept {
  const auto digits = static_cast<std::uint32_t>(std::bit_width(value));
  // How many of the lowest digits are dropped: none of values that have no more than are kept.
  const std::uint32_t dropped = digits > precision + 1 ? digits - precision - 1 : 0;
  // What is kept lies in [2^precision, 2^(precision + 1)): each digit dropped is one such row more.
  return (std::size_t{dropped} << precision) + (value >> dropped);
}

std::size_t BucketScale::bucket_of(std::uint64_t value) const noexcept {
  const std::size_t index =
      width_ != 0 ? value / width_ : std::max(log_index(value, precision_), skipped_) - skipped_;
  return std::min(index, buckets_ - 1);
}

std::uint64_t BucketScale::start(std::size_t bucket) const noexcept {
  if (bucket == 0) return 0;
  if (width_ != 0) return width_ * bucket;
  const std::uint64_t index = bucket + skipped_;
  const std::uint64_t rows = index >> precision_;
  // The inverse of log_index.
  const std::uint64_t dropped = rows > 1 ? rows - 1 : 0;
  return (index - (dropped << precision_)) << dropped;
}

BucketRange BucketScale::range(std::size_t bucket) const noexcept {
  return {start(bucket), bucket + 1 < buckets_ ? start(bucket + 1) : kLargest};
}

std::vector<std::uint64_t> Histogram::counts() const {
  std::vector<std::uint64_t> counts;
  counts.reserve(counts_.size());
  for (const Counter& count : counts_) counts.push_back(count.get());
  return counts;
}

HistogramScales HistogramOptions::scales() const {
  HistogramScales scales;
  if (poll_time) scales.poll_time = poll_time->scale("metrics_poll_time_histogram");
  if (schedule_latency)
    scales.schedule_latency = schedule_latency->scale("metrics_schedule_latency_histogram");
  if (poll_count) scales.poll_count = poll_count->scale("metrics_poll_count_histogram");
  return scales;
}

}  // namespace metrics

metrics::BucketScale HistogramConfiguration::scale(std::string_view option) const {
  if (const Linear* linear = std::get_if<Linear>(&kind_)) {
    const std::int64_t width = linear->width.units();
    if (width <= 0) refuse(option, "the width of a bucket must be greater than 0");
    if (linear->buckets == 0) refuse(option, "it needs at least one bucket");
    check_buckets(linear->buckets, option);
    if (static_cast<std::uint64_t>(width) > kLargest / linear->buckets)
      refuse(option, "buckets that wide go beyond the largest number");
    return metrics::BucketScale::linear(static_cast<std::uint64_t>(width), linear->buckets);
  }
  const auto& log = std::get<LogHistogram>(kind_);
  const std::uint32_t precision = precision_of(log, option);
  const std::int64_t min = log.min_value.units();
  const std::int64_t max = log.max_value.units();
  if (min < 0) refuse(option, "min_value must not be negative");
  if (max <= 0) refuse(option, "max_value must be greater than 0");
  if (min >= max) refuse(option, "min_value must be less than max_value");
  // The power of two that is not below max_value. Never below the precision: those buckets are all
  // of width 1.
  const auto bits = std::max(
      static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(max) - 1)), precision);
  // One bucket less, because the one of min_value may begin below it.
  const std::size_t of_min =
      metrics::BucketScale::log_index(static_cast<std::uint64_t>(min), precision);
  const auto scale =
      metrics::BucketScale::log(bits, precision, std::max(of_min, std::size_t{1}) - 1);
  if (scale.size() > log.max_buckets) {
    refuse(option, std::to_string(scale.size()) + " buckets are needed, and max_buckets allows " +
                       std::to_string(log.max_buckets));
  }
  check_buckets(scale.size(), option);
  return scale;
}

BucketRange HistogramCounts::bucket_range(std::size_t bucket) const {
  if (bucket >= num_buckets()) throw std::out_of_range("bucket_range: there is no such bucket");
  return scale_->range(bucket);
}

}  // namespace taskscope::runtime
