#include "taskscope/console/panels/time_view.h"

#include <catch2/catch.hpp>

using namespace taskscope::console::panels;

TEST_CASE("time view: zooming leaves the moment under the pointer where it is") {
  const TimeView view{1'000'000, 5'000'000};
  const TimeView closer = zoomed(view, 0.5, 2'000'000);
  CHECK(closer.length() == 2'000'000);
  CHECK(closer.x(2'000'000, 1000) == Approx(view.x(2'000'000, 1000)));
  CHECK(zoomed(view, 1e-9, 2'000'000).length() == kShortestViewNs);
  CHECK(zoomed(view, 1e15, 2'000'000).length() == kLongestViewNs);
}

TEST_CASE("time view: places and moments are each other's inverse") {
  const TimeView view{-3'000'000'000, 7'000'000'000};
  for (const double x : {0.0, 1.0, 640.0, 1279.0}) {
    CHECK(view.x(view.time_at(x, 1280), 1280) == Approx(x).margin(1e-3));
  }
}

TEST_CASE("time view: some of the session stays in sight") {
  const std::int64_t first = 0, last = 10'000'000'000;
  const TimeView before = clamped({-90'000'000'000, -80'000'000'000}, first, last);
  CHECK(before.to_ns > first);
  const TimeView after = clamped({80'000'000'000, 90'000'000'000}, first, last);
  CHECK(after.from_ns < last);
  const TimeView huge = clamped({-1'000'000'000'000, 1'000'000'000'000}, first, last);
  CHECK(huge.length() <= 15'000'000'000);
  // A session of one record has a view too.
  CHECK(clamped({0, 1'000'000}, 5, 5).length() > 0);
}

TEST_CASE("time view: following keeps the length and has the newest moment at the right") {
  const TimeView view = following({0, 2'000'000'000}, 9'000'000'000);
  CHECK(view.length() == 2'000'000'000);
  CHECK(view.to_ns > 9'000'000'000);
  CHECK(view.x(9'000'000'000, 1000) > 950);
}

TEST_CASE("time view: ticks of the axis are round, in sight and far enough apart") {
  for (const std::int64_t length :
       {1'500LL, 80'000LL, 3'000'000LL, 777'000'000LL, 90'000'000'000LL}) {
    const TimeView view{123'456'789, 123'456'789 + length};
    const AxisTicks ticks = axis_ticks(view, 1200, 130);
    CAPTURE(length, ticks.step_ns);
    REQUIRE(!ticks.at_ns.empty());
    CHECK(ticks.at_ns.size() <= 11);
    CHECK(view.x(view.from_ns + ticks.step_ns, 1200) >= 129.9);
    for (const std::int64_t at : ticks.at_ns) {
      CHECK(at % ticks.step_ns == 0);
      CHECK(at >= view.from_ns);
      CHECK(at <= view.to_ns);
    }
  }
}

TEST_CASE("view history: a quick series of moves is undone as one, and can be redone") {
  ViewHistory history;
  const TimeView one{0, 100}, two{0, 50}, three{0, 25}, four{500, 600};
  CHECK_FALSE(history.can_go_back());
  history.about_to_move(one, 10'000);
  history.about_to_move(two, 10'100);  // the same turn of the wheel
  history.about_to_move(three, 20'000);
  CHECK(history.back(four) == three);
  CHECK(history.back(three) == one);
  CHECK_FALSE(history.can_go_back());
  CHECK(history.back(one) == one);
  CHECK(history.forward(one) == three);
  CHECK(history.forward(three) == four);
  CHECK_FALSE(history.can_go_forward());
  history.about_to_move(four, 30'000);
  CHECK_FALSE(history.can_go_forward());
}
