#include "taskscope/runtime/metrics/mean_poll_time.h"

#include <catch2/catch.hpp>
#include <cmath>

using taskscope::runtime::metrics::MeanPollTime;

TEST_CASE("mean poll time: the first batch sets it, and a batch of nothing changes nothing") {
  MeanPollTime mean;
  CHECK(mean.get_ns() == 0);
  mean.add_batch(1'000'000, 0);
  CHECK(mean.get_ns() == 0);
  mean.add_batch(1000, 4);
  CHECK(mean.get_ns() == 250);
  mean.add_batch(1'000'000, 0);
  CHECK(mean.get_ns() == 250);
}

TEST_CASE("mean poll time: a poll weighs a tenth, and a batch as much as its polls in turn") {
  for (const int polls : {1, 2, 7, 61, 500}) {
    MeanPollTime mean;
    mean.add_batch(1'000'000, 1);
    mean.add_batch(static_cast<std::uint64_t>(2000 * polls), static_cast<std::uint64_t>(polls));
    double expected = 1'000'000;
    for (int i = 0; i < polls; ++i) expected = 0.1 * 2000 + 0.9 * expected;
    CHECK(std::abs(static_cast<double>(mean.get_ns()) - expected) <= 3);
  }
}
