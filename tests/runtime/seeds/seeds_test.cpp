// Some seeds of every scenario; taskscope-seeds runs as many as one wants.
#include <catch2/catch.hpp>
#include <set>

#include "taskscope/tests/runtime/seeds/world.h"

using namespace taskscope::runtime::seeds;

namespace {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t kSeeds = 50;
#elif defined(__has_feature)
constexpr std::uint64_t kSeeds =
    __has_feature(thread_sanitizer) || __has_feature(address_sanitizer) ? 50 : 500;
#else
constexpr std::uint64_t kSeeds = 500;
#endif
}  // namespace

TEST_CASE("no seed breaks a scenario") {
  for (const auto& scenario : scenarios()) {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      INFO(scenario.name << ", seed " << seed);
      REQUIRE(run(scenario, seed).failure.empty());
    }
  }
}

TEST_CASE("a seed is an interleaving, and another seed mostly another one") {
  constexpr std::uint64_t kTries = 40;
  for (const auto& scenario : scenarios()) {
    std::set<std::uint64_t> traces;
    for (std::uint64_t seed = 1; seed <= kTries; ++seed) {
      const auto trace = run(scenario, seed).trace;
      INFO(scenario.name << ", seed " << seed);
      REQUIRE(run(scenario, seed).trace == trace);
      traces.insert(trace);
    }
    INFO(scenario.name);
    CHECK(traces.size() >= kTries * 3 / 4);
  }
}

TEST_CASE("a lost wake-up is found, and found again by its seed") {
  std::uint64_t found = 0;
  for (std::uint64_t seed = 1; seed <= 200 && found == 0; ++seed) {
    if (!run(broken_scenario(), seed).failure.empty()) found = seed;
  }
  REQUIRE(found != 0);
  const auto first = run(broken_scenario(), found);
  const auto again = run(broken_scenario(), found);
  CHECK(first.failure == "a wait that nothing will end");
  CHECK(again.failure == first.failure);
  CHECK(again.trace == first.trace);
}
