#include "taskscope/runtime/time/sleep.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/scheduler/driver_access.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

Task<bool> sleeps_at_least(std::chrono::milliseconds wait) {
  const auto start = time::now();
  co_await time::sleep(wait);
  co_return time::now() - start >= wait;
}
Task<bool> past_is_now() {
  co_await time::sleep_until(time::Instant{});
  co_await time::sleep(-5s);
  co_return true;
}
Task<bool> kept_and_reset() {
  auto sleep = time::sleep(1ms);
  if (sleep.is_elapsed()) co_return false;
  co_await sleep;
  co_await sleep;  // over: ready at once
  if (!sleep.is_elapsed()) co_return false;
  const auto again = time::now() + 2ms;
  sleep.reset(again);
  if (sleep.is_elapsed() || sleep.deadline() != again) co_return false;
  co_await sleep;
  co_return time::now() >= again;
}
Task<std::uint32_t> timers_left_by_losers() {
  for (int i = 0; i < 20; ++i) {
    co_await select(time::sleep(24h), yield_now(), time::sleep(365 * 24h));
  }
  const auto levels = scheduler::current_timers().occupancy();
  co_return std::accumulate(levels.begin(), levels.end(), 0u);
}

/// Enters a timer into this worker's wheel and then keeps the worker until it has fired.
Task<bool> block_until_fired() {
  auto& timers = scheduler::current_timers();
  const auto before = timers.fired();
  const auto block = [](time::Timers& mine, std::uint64_t fired) -> Task<bool> {
    while (mine.fired() == fired) std::this_thread::yield();
    co_return true;
  };
  const auto result = co_await select_biased(time::sleep(2ms), block(timers, before));
  co_return result.index() == 1;
}

Task<bool> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield_now();
  co_return true;
}
Task<bool> yields_and_sleeps(int times) {
  for (int i = 0; i < times; ++i) co_await yield_now();
  co_return co_await sleeps_at_least(1ms);
}
Task<bool> await_handle(JoinHandle<bool> handle) { co_return co_await std::move(handle); }

}  // namespace

TEST_CASE("sleep: never ends early") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(sleeps_at_least(3ms)));
  std::vector<JoinHandle<bool>> handles;
  for (int i = 0; i < 20; ++i) {
    handles.push_back(runtime.spawn(sleeps_at_least(std::chrono::milliseconds(i))));
  }
  int early = 0;
  for (auto& handle : handles) early += runtime.block_on(await_handle(std::move(handle))) ? 0 : 1;
  CHECK(early == 0);
}

TEST_CASE("sleep: the past is now") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(past_is_now()));
}

TEST_CASE("sleep: one that is kept is ready once over, until reset") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  CHECK(runtime.block_on(kept_and_reset()));
  CHECK(runtime.block_on(await_handle(runtime.spawn(kept_and_reset()))));
}

TEST_CASE("sleep: what loses a select leaves no timer behind") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  CHECK(runtime.block_on(timers_left_by_losers()) == 0);
}

TEST_CASE("sleep: the timers of a blocked worker fire") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  for (int i = 0; i < 5; ++i) {
    CHECK(runtime.block_on(await_handle(runtime.spawn(block_until_fired()))));
  }
}

TEST_CASE("sleep: a runtime shuts down with sleepers of every length") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  for (int i = 0; i < 200; ++i) {
    runtime.spawn(sleeps_at_least(std::chrono::milliseconds(i * i))).detach();
  }
}

TEST_CASE("sleep: a worker that goes to sleep tells the one in the driver of its timers") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  // One worker runs out of work and sleeps in the driver without end; then the other one enters a
  // timer and sleeps, too. How long each has to do differs from round to round.
  int early = 0;
  for (int round = 0; round < 300; ++round) {
    auto brief = runtime.spawn(yields(round % 7 * 10));
    auto sleeper = runtime.spawn(yields_and_sleeps(round % 11 * 10));
    early += runtime.block_on(await_handle(std::move(sleeper))) ? 0 : 1;
    early += runtime.block_on(await_handle(std::move(brief))) ? 0 : 1;
  }
  CHECK(early == 0);
}
