#include "taskscope/console/session/clock.h"

#include <catch2/catch.hpp>
#include <random>

using taskscope::console::session::Clock;

TEST_CASE("the clock converts piecewise and back") {
  Clock clock;
  clock.add({1'000'000, 5'000, 100'000});
  CHECK_FALSE(clock.calibrated());
  clock.add({4'000'000, 1'005'000, 1'100'000});  // 3 ticks a nanosecond
  clock.add({6'000'000, 2'005'000, 2'100'000});  // then 2
  REQUIRE(clock.calibrated());
  CHECK(clock.ns(1'000'000) == 0);
  CHECK(clock.ns(2'500'000) == 500'000);
  CHECK(clock.ns(4'000'000) == 1'000'000);
  CHECK(clock.ns(5'000'000) == 1'500'000);
  CHECK(clock.ns(8'000'000) == 3'000'000);  // the last piece goes on
  CHECK(clock.ns(400'000) == -200'000);     // the first one too
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const auto ticks = random() % 10'000'000;
    const auto back = clock.ticks(clock.ns(ticks));
    CHECK((back > ticks ? back - ticks : ticks - back) <= 3);
  }
  CHECK(clock.ns_of_monotonic(505'000) == 500'000);
  CHECK(clock.ticks_of_monotonic(505'000) == 2'500'000);
  CHECK(clock.wall_ns(500'000) == 600'000);
  CHECK(clock.duration_ns(5'000'000) == 2'000'000);
  CHECK(clock.duration_ticks(2'000'000) == 5'000'000);
}

TEST_CASE("the clock ignores points that go back, and far values do not overflow") {
  Clock clock;
  clock.add({1000, 1000, 0});
  clock.add({900, 2000, 0});
  clock.add({1000, 3000, 0});
  CHECK_FALSE(clock.calibrated());
  clock.add({2000, 2000, 0});
  CHECK(clock.ns(1500) == 500);
  CHECK(clock.ns(UINT64_MAX) > 0);
  CHECK(clock.ns(0) == -1000);
  CHECK(clock.ticks(INT64_MAX) > 0);
  CHECK(clock.ticks(INT64_MIN) == 0);
}

TEST_CASE("a clock that counts nanoseconds needs no calibration") {
  Clock clock;
  clock.set_ticks_are_tsc(false);
  clock.add({5'000, 5'000, 0});
  CHECK(clock.calibrated());
  CHECK(clock.ns(6'000) == 1'000);
}
