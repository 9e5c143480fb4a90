#include "taskscope/runtime/metrics/histogram.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>

#include "taskscope/runtime/runtime.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;
using metrics::BucketScale;

namespace {

constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

BucketScale scale_of(const LogHistogram& log) {
  return HistogramConfiguration::log(log).scale("test");
}
std::string refusal(const HistogramConfiguration& configuration) {
  try {
    static_cast<void>(
        Builder::multi_thread().metrics_poll_time_histogram_configuration(configuration).build());
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}
std::string refusal(const LogHistogram& log) { return refusal(HistogramConfiguration::log(log)); }

/// What has to hold of every scale. The first thing that does not.
std::string fault(const BucketScale& scale) {
  std::uint64_t end = 0;
  for (std::size_t bucket = 0; bucket < scale.size(); ++bucket) {
    const BucketRange range = scale.range(bucket);
    if (range.start != end) return "a gap before bucket " + std::to_string(bucket);
    if (range.end <= range.start) return "nothing in bucket " + std::to_string(bucket);
    if (scale.bucket_of(range.start) != bucket || scale.bucket_of(range.end - 1) != bucket)
      return "a value in the wrong bucket " + std::to_string(bucket);
    end = range.end;
  }
  if (end != kLargest || scale.bucket_of(kLargest) != scale.size() - 1) return "the last one ends";
  return "";
}

}  // namespace

TEST_CASE("a linear histogram has buckets of equal width and an open last one") {
  const auto scale = HistogramConfiguration::linear(100us, 10).scale("test");
  CHECK(scale.size() == 10);
  CHECK(scale.range(0) == BucketRange{0, 100'000});
  CHECK(scale.range(8) == BucketRange{800'000, 900'000});
  CHECK(scale.range(9) == BucketRange{900'000, kLargest});
  CHECK(scale.bucket_of(0) == 0);
  CHECK(scale.bucket_of(99'999) == 0);
  CHECK(scale.bucket_of(100'000) == 1);
  CHECK(scale.bucket_of(899'999) == 8);
  CHECK(scale.bucket_of(900'000) == 9);
  CHECK(fault(scale) == "");
  CHECK(fault(HistogramConfiguration::linear(1, 1).scale("test")) == "");
  CHECK(fault(HistogramConfiguration::linear(7, 65'536).scale("test")) == "");
}

TEST_CASE("a logarithmic histogram is exact for small values, and then halves its steps") {
  // Precision 2: rows of four buckets, of width 1, 1, 2, 4, 8, ...
  const auto scale = scale_of({.min_value = 0, .max_value = 64});
  CHECK(scale.size() == 20);
  for (std::uint64_t value = 0; value < 8; ++value)
    CHECK(scale.range(value) == BucketRange{value, value + 1});
  CHECK(scale.range(8) == BucketRange{8, 10});
  CHECK(scale.range(11) == BucketRange{14, 16});
  CHECK(scale.range(12) == BucketRange{16, 20});
  CHECK(scale.range(18) == BucketRange{48, 56});
  CHECK(scale.range(19) == BucketRange{56, kLargest});
  CHECK(scale.bucket_of(9) == 8);
  CHECK(scale.bucket_of(55) == 18);
  CHECK(scale.bucket_of(1'000'000) == 19);
}

TEST_CASE("the buckets below min_value are one, and it is in the next at the latest") {
  const auto scale = scale_of({.min_value = 100, .max_value = 1024});
  // 100 is in [96, 112); what is below that is one bucket, whose end is [96's bucket - 1]'s.
  CHECK(scale.range(0) == BucketRange{0, 96});
  CHECK(scale.range(1) == BucketRange{96, 112});
  CHECK(scale.bucket_of(3) == 0);
}

TEST_CASE("the default logarithmic histogram is tokio's: from 100 ns to 68 s within 25 %") {
  const auto scale = scale_of({});
  CHECK(scale.range(scale.size() - 2).end < 68'719'476'736u);
  CHECK(scale.range(0).end <= 100);
  CHECK(scale.bucket_of(60'000'000'000u) < scale.size() - 1);
}

TEST_CASE("every logarithmic histogram keeps its promise over its values") {
  std::mt19937_64 random(20240611);
  int checked = 0;
  for (std::uint32_t precision = 2; precision <= 10; ++precision) {
    for (int round = 0; round < 20; ++round) {
      const auto max = static_cast<std::int64_t>(1 + (random() >> (2 + random() % 61)));
      const auto min = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(max));
      const LogHistogram log{.min_value = min, .max_value = max, .precision_exact = precision};
      const auto scale = scale_of(log);
      INFO("precision " << precision << " min " << min << " max " << max);
      REQUIRE(fault(scale) == "");
      CHECK((min == 0 || scale.range(0).end <= static_cast<std::uint64_t>(min) ||
             scale.range(0).end == 1));
      for (int i = 0; i < 200; ++i) {
        const std::uint64_t value =
            static_cast<std::uint64_t>(min) + random() % static_cast<std::uint64_t>(max - min);
        const std::size_t bucket = scale.bucket_of(value);
        const BucketRange range = scale.range(bucket);
        REQUIRE(range.start <= value);
        REQUIRE(value < range.end);
        // But for the two that are open: any value of a bucket stands for any other within 2^-p.
        if (bucket == 0 || bucket + 1 == scale.size()) continue;
        REQUIRE(((range.end - 1 - range.start) << precision) <= range.start);
        ++checked;
      }
    }
  }
  CHECK(checked > 10'000);
}

TEST_CASE("max_error is rounded down to a power of two, and precision_exact is taken as it is") {
  const auto buckets = [](LogHistogram log) {
    log.min_value = 0;
    log.max_value = 1 << 20;
    return scale_of(log).size();
  };
  const auto of_precision = [](std::size_t p) { return (20 - p + 1) << p; };
  CHECK(buckets({.max_error = 1}) == of_precision(2));
  CHECK(buckets({.max_error = 0.25}) == of_precision(2));
  CHECK(buckets({.max_error = 0.2}) == of_precision(3));
  CHECK(buckets({.max_error = 0.01}) == of_precision(7));
  CHECK(buckets({.max_error = 0}) == of_precision(10));
  CHECK(buckets({.precision_exact = 5}) == of_precision(5));
}

TEST_CASE("a histogram that makes no sense is refused when the runtime is built, and says why") {
  const auto has = [](const std::string& text, const char* part) {
    INFO(text);
    CHECK(text.find("metrics_poll_time_histogram: ") == 0);
    CHECK(text.find(part) != std::string::npos);
  };
  has(refusal(HistogramConfiguration::linear(0us, 10)), "width of a bucket");
  has(refusal(HistogramConfiguration::linear(-1us, 10)), "width of a bucket");
  has(refusal(HistogramConfiguration::linear(1us, 0)), "at least one");
  has(refusal(HistogramConfiguration::linear(1us, 65'537)), "65537 buckets are more than");
  has(refusal(HistogramConfiguration::linear(std::chrono::nanoseconds::max(), 3)), "largest");
  has(refusal(LogHistogram{.max_error = -0.1}), "max_error");
  has(refusal(LogHistogram{.max_error = 1.1}), "max_error");
  has(refusal(LogHistogram{.max_error = std::numeric_limits<double>::quiet_NaN()}), "max_error");
  has(refusal(LogHistogram{.precision_exact = 1}), "precision_exact");
  has(refusal(LogHistogram{.precision_exact = 11}), "precision_exact");
  has(refusal(LogHistogram{.min_value = -1}), "min_value must not");
  has(refusal(LogHistogram{.min_value = 0, .max_value = 0s}), "max_value must be");
  has(refusal(LogHistogram{.min_value = 1s, .max_value = 1s}), "less than max_value");
  has(refusal(LogHistogram{.max_buckets = 10}), "max_buckets allows 10");
  CHECK(refusal(HistogramConfiguration::linear(1ns, 65'536)) == "accepted");
  CHECK(refusal(LogHistogram{
            .min_value = 0, .max_value = std::chrono::nanoseconds::max(), .precision_exact = 10}) ==
        "accepted");
  CHECK(refusal(LogHistogram{.max_buckets = scale_of({}).size()}) == "accepted");
}

TEST_CASE("a histogram counts values by bucket") {
  metrics::Histogram histogram(BucketScale::linear(10, 4));
  for (const std::uint64_t value : {0u, 9u, 10u, 25u, 29u, 30u, 1000u}) histogram.record(value);
  CHECK(histogram.counts() == std::vector<std::uint64_t>{2, 1, 2, 2});
}

TEST_CASE("a histogram that is off has no buckets, and one that is on no others") {
  const HistogramCounts off;
  CHECK_FALSE(off.enabled());
  CHECK(off.num_buckets() == 0);
  CHECK_THROWS_AS(off.bucket_range(0), std::out_of_range);
  CHECK_THROWS_AS(off.bucket_count(0, 0), std::out_of_range);
  const HistogramCounts on(BucketScale::linear(5, 2), {{3, 4}});
  CHECK(on.enabled());
  CHECK(on.bucket_range(1) == BucketRange{5, kLargest});
  CHECK(on.bucket_count(0, 1) == 4);
  CHECK_THROWS_AS(on.bucket_range(2), std::out_of_range);
  CHECK_THROWS_AS(on.bucket_count(1, 0), std::out_of_range);
  CHECK_THROWS_AS(on.bucket_count(0, 2), std::out_of_range);
}
