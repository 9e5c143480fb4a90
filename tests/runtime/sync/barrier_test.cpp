#include "taskscope/runtime/sync/barrier.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
using sync::Barrier;

namespace {

Task<int> passes(Barrier& barrier) {
  const auto result = co_await barrier.wait();
  co_return result.is_leader() ? 1 : 0;
}

/// Counts rounds; nobody may be more than one round ahead of another.
Task<std::string> run_rounds(Barrier& barrier, std::atomic<int>& sum, int tasks, int rounds) {
  int led = 0;
  for (int round = 0; round < rounds; ++round) {
    ++sum;
    const auto all_in = co_await barrier.wait();
    if (sum.load() < (round + 1) * tasks) co_return "ahead";
    const auto all_seen = co_await barrier.wait();
    led += (all_in.is_leader() ? 1 : 0) + (all_seen.is_leader() ? 1 : 0);
  }
  co_return std::to_string(led);
}

Task<std::string> all_rounds(int tasks, int rounds) {
  Barrier barrier(static_cast<std::size_t>(tasks));
  std::atomic<int> sum{0};
  std::vector<JoinHandle<std::string>> handles;
  for (int i = 0; i < tasks; ++i) handles.push_back(spawn(run_rounds(barrier, sum, tasks, rounds)));
  int led = 0;
  for (auto& handle : handles) {
    const auto result = co_await handle;
    if (result == "ahead") co_return result;
    led += std::stoi(result);
  }
  co_return led == 2 * rounds ? "ok" : "leaders " + std::to_string(led);
}

}  // namespace

TEST_CASE("a barrier lets its tasks go together, round after round, one of them leading") {
  auto runtime = runtime_with(4);
  CHECK(runtime.block_on(on_worker(all_rounds(1, 100))) == "ok");
  CHECK(runtime.block_on(on_worker(all_rounds(2, 500))) == "ok");
  CHECK(runtime.block_on(on_worker(all_rounds(100, 50))) == "ok");
}

TEST_CASE("a barrier of none is one of one") {
  auto runtime = runtime_with(1);
  Barrier barrier(0);
  CHECK(runtime.block_on(passes(barrier)) == 1);
  CHECK(runtime.block_on(passes(barrier)) == 1);
}

TEST_CASE("a cancelled wait at a barrier has not arrived") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Barrier barrier(3, "cancelled barrier");
    const auto late = co_await time::timeout(1ms, barrier.wait());
    if (late || see(inspected, "cancelled barrier")->attributes.at("arrived") != 0)
      co_return "still counted";
    auto first = spawn(passes(barrier));
    auto doomed = spawn(passes(barrier));
    co_await until_waiting(inspected, "cancelled barrier", 2);
    doomed.abort();
    try {
      static_cast<void>(co_await doomed);
    } catch (const Cancelled&) {
    }
    auto second = spawn(passes(barrier));
    co_await until_waiting(inspected, "cancelled barrier", 2);
    const int mine = co_await passes(barrier);
    const int one = co_await first;
    const int two = co_await second;
    if (mine != 1 || one != 0 || two != 0) co_return "leaders";
    // Kept across a select that it loses it has arrived, and goes on when the others come.
    auto kept = barrier.wait();
    const auto lost = co_await select_biased(kept, at_once());
    if (lost.index() != 1) co_return "passed alone";
    auto other = spawn(passes(barrier));
    co_await until_waiting(inspected, "cancelled barrier", 2);
    const int last = co_await passes(barrier);
    const auto result = co_await kept;
    static_cast<void>(co_await other);
    co_return last == 1 && !result.is_leader() ? "ok" : "the kept wait";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}

TEST_CASE("watchers see a barrier, how many are expected and have come, and who waits") {
  auto runtime = runtime_with(1);
  Barrier barrier(3, "seen barrier");
  const auto waiting = runtime.spawn(passes(barrier));
  auto waits = waits_of(runtime, waiting.id());
  while (waits.empty() || waits[0].op != observe::WaitOp::Arrive)
    waits = waits_of(runtime, waiting.id());
  const auto seen = see(runtime, "seen barrier");
  REQUIRE(seen);
  CHECK(seen->kind == observe::ResourceKind::Barrier);
  CHECK(seen->waiters == 1);
  CHECK(seen->attributes.at("expected") == 3);
  CHECK(seen->attributes.at("arrived") == 1);
  CHECK(waits[0].resource == seen->id);
  runtime.shutdown();  // with a wait in line
}
