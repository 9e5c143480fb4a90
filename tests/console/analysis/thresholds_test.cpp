#include "taskscope/console/analysis/thresholds.h"

#include <catch2/catch.hpp>
#include <set>

using namespace taskscope::console::analysis;

TEST_CASE("thresholds: each is set by its name, with units, and shown as it is set") {
  Thresholds thresholds;
  CHECK(!set(thresholds, "blocking-poll=25ms"));
  CHECK(thresholds.blocking_poll_ns == 25'000'000);
  CHECK(!set(thresholds, "orphan=0.5s"));
  CHECK(thresholds.orphan_ns == 500'000'000);
  CHECK(!set(thresholds, "large-frame=128KiB"));
  CHECK(thresholds.large_frame_bytes == 128 * 1024);
  CHECK(!set(thresholds, "tasks-per-finding=7"));
  CHECK(thresholds.tasks_per_finding == 7);

  std::set<std::string_view> names;
  for (const auto& setting : settings()) {
    CHECK(names.insert(setting.name).second);
    CHECK(!setting.what.empty());
    // What it says is what it takes.
    Thresholds again;
    const auto value = value_words(again, setting);
    CHECK(!set(again, std::string(setting.name) + "=" + value));
    CHECK(value_words(again, setting) == value);
  }
}

TEST_CASE("thresholds: what is wrong with a setting is said, and changes nothing") {
  Thresholds thresholds;
  CHECK(set(thresholds, "blocking-poll") == "blocking-poll needs a value: blocking-poll=10ms");
  for (const auto* wrong : {"blocking-poll=", "blocking-poll=25", "blocking-poll=-1ms",
                            "blocking-poll=1e300s", "blocking-poll=5KiB", "large-frame=1ms",
                            "large-frame=99GiB", "tasks-per-finding=few", "orphan=nans"}) {
    const auto said = set(thresholds, wrong);
    REQUIRE(said);
    CHECK(said->find("can't be") != std::string::npos);
  }
  const auto unknown = set(thresholds, "patience=1s");
  REQUIRE(unknown);
  CHECK(unknown->starts_with("there is no threshold patience; there are blocking-poll, "));
  CHECK(thresholds.blocking_poll_ns == Thresholds{}.blocking_poll_ns);
  CHECK(thresholds.large_frame_bytes == Thresholds{}.large_frame_bytes);
}
