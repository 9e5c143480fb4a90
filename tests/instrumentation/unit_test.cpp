#include "taskscope/instrumentation/unit.h"

#include <catch2/catch.hpp>

using namespace taskscope::instrumentation;

TEST_CASE("unit: a head keeps kind, ticks, id and aux apart") {
  const std::uint64_t id = (std::uint64_t{1} << 48) - 2;
  const auto ticks = taskscope::runtime::observe::Ticks{kTickMask - 5};
  const Unit unit = head(Record::Woken, ticks, id, aux(0xab, 0xcdef));
  CHECK(kind_of(unit) == Record::Woken);
  CHECK(ticks50_of(unit) == kTickMask - 5);
  CHECK(id_of(unit) == id);
  CHECK(aux8_of(unit) == 0xab);
  CHECK(aux16_of(unit) == 0xcdef);
  CHECK(aux_of(head(Record::PollStarted, ticks, id, 0xfedcba)) == 0xfedcba);
}

TEST_CASE("unit: ticks are extended to the reading nearest to now") {
  const std::uint64_t base = std::uint64_t{7} << kTickBits;
  const auto round_trip = [](std::uint64_t ticks, std::uint64_t now) {
    return extend_ticks(ticks & kTickMask, now);
  };
  CHECK(round_trip(base + 100, base + 200) == base + 100);
  CHECK(round_trip(base + 200, base + 200) == base + 200);
  CHECK(round_trip(base + 300, base + 200) == base + 300);  // read a moment later on another core
  CHECK(round_trip(base - 5, base + 5) == base - 5);        // the 50 bits wrapped in between
  CHECK(round_trip(base + 5, base - 5) == base + 5);
  const std::uint64_t days = std::uint64_t{1} << (kTickBits - 2);
  CHECK(round_trip(base - days, base) == base - days);
}
