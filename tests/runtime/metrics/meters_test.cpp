#include "taskscope/runtime/metrics/meters.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <thread>

using namespace taskscope::runtime;
using metrics::QueueStamp;

TEST_CASE("a queue stamp tells how long ago, across its wrap-around") {
  constexpr std::uint64_t kUnit = std::uint64_t{1} << QueueStamp::kShift;
  constexpr std::uint64_t kWrap = kUnit << 32;
  for (const std::uint64_t queued : {std::uint64_t{0}, std::uint64_t{12'345'678}, kWrap - 1, kWrap,
                                     7 * kWrap - kUnit, 7 * kWrap + 5}) {
    for (const std::uint64_t waited : {std::uint64_t{0}, kUnit, std::uint64_t{1'000'000},
                                       std::uint64_t{3'000'000'000}, kWrap / 2}) {
      const auto stamp = QueueStamp::at(observe::Ticks{queued});
      const auto told = QueueStamp::ticks_since(stamp, observe::Ticks{queued + waited});
      CHECK(told <= waited + kUnit);
      CHECK(told + kUnit >= waited);
    }
  }
}

TEST_CASE("a poll that seems to begin before its task was queued waited for nothing") {
  const auto stamp = QueueStamp::at(observe::Ticks{1'000'000});
  CHECK(QueueStamp::ticks_since(stamp, observe::Ticks{990'000}) == 0);
  CHECK(QueueStamp::ticks_since(stamp, observe::Ticks{1'000'000}) == 0);
}

TEST_CASE("ticks convert to the nanoseconds of the clock") {
  static_cast<void>(metrics::ns_per_tick());  // measured now
  const metrics::Meters meters({.poll_time = metrics::BucketScale::linear(1, 1)});
  // Both clocks are read before and after, so one span lies within the other.
  const auto outer_ns = observe::monotonic_ns();
  const auto ticks = static_cast<std::uint64_t>(observe::read_ticks());
  const auto inner_ns = observe::monotonic_ns();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto inner_end_ns = observe::monotonic_ns();
  const auto end_ticks = static_cast<std::uint64_t>(observe::read_ticks());
  const auto outer_end_ns = observe::monotonic_ns();
  const auto ns = static_cast<double>(meters.to_ns(end_ticks - ticks));
  CHECK(ns >= 0.99 * static_cast<double>(inner_end_ns - inner_ns));
  CHECK(ns <= 1.01 * static_cast<double>(outer_end_ns - outer_ns));
}

TEST_CASE("meters keep the histograms that are wanted") {
  CHECK_FALSE(metrics::Meters::wanted({}));
  const metrics::HistogramScales scales{.poll_count = metrics::BucketScale::linear(1, 3)};
  CHECK(metrics::Meters::wanted(scales));
  const metrics::Meters meters(scales);
  CHECK(meters.poll_time == nullptr);
  CHECK(meters.schedule_latency == nullptr);
  CHECK(meters.poll_count != nullptr);
}
