/// taskscope-seeds: looks for interleavings of the sync types that break them, and replays one.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "taskscope/tests/runtime/seeds/world.h"

using namespace taskscope::runtime::seeds;

namespace {

int usage() {
  std::fputs(
      "usage: taskscope-seeds [--from N] [--seeds N] [--scenario NAME] [--trace]\n"
      "  Runs the scenarios with so many seeds in turn (100,000 from 1), or one scenario with "
      "all.\n"
      "  --trace prints who ran when and what it did.\nscenarios:",
      stderr);
  for (const auto& scenario : scenarios()) std::fprintf(stderr, " %s", scenario.name);
  std::fprintf(stderr, "; %s, which has a mistake in it\n", broken_scenario().name);
  return 2;
}

const Scenario* find(std::string_view name) {
  for (const auto& scenario : scenarios()) {
    if (name == scenario.name) return &scenario;
  }
  return name == broken_scenario().name ? &broken_scenario() : nullptr;
}

bool parse(const char* text, unsigned long long& into) {
  char* end = nullptr;
  into = std::strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == '\0';
}

}  // namespace

int main(int argc, char** argv) {
  unsigned long long from = 1;
  unsigned long long seeds = 100'000;
  const Scenario* only = nullptr;
  bool trace = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--trace") {
      trace = true;
      continue;
    }
    if (option == "--from" && parse(value, from)) {
    } else if (option == "--seeds" && parse(value, seeds)) {
    } else if (option == "--scenario" && (only = find(value)) != nullptr) {
    } else {
      return usage();
    }
    ++i;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const auto began = std::chrono::steady_clock::now();
  unsigned long long failures = 0;
  for (unsigned long long seed = from; seed < from + seeds; ++seed) {
    const auto all = scenarios();
    const Scenario& scenario = only != nullptr ? *only : all[seed % all.size()];
    const auto outcome = run(scenario, seed, trace);
    if (outcome.failure.empty()) continue;
    ++failures;
    std::printf("%s, seed %llu: %s; taskscope-seeds --scenario %s --from %llu --seeds 1 --trace\n",
                scenario.name, seed, outcome.failure.c_str(), scenario.name, seed);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%llu seeds, %llu failures, %.1f s\n", seeds, failures, took.count());
  return failures == 0 ? 0 : 1;
}
