#include "taskscope/runtime/time/interval.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <vector>

#include "taskscope/runtime/runtime.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;
using time::MissedTickBehavior;
using time::next_tick_after;

namespace {

constexpr std::uint64_t kMs = time::kTickNs;

Task<std::vector<time::Instant>> ticks_of(time::Instant start, time::Duration period, int count) {
  auto interval = time::interval_at(start, period);
  std::vector<time::Instant> ticks;
  for (int i = 0; i < count; ++i) {
    const auto tick = co_await interval.tick();
    ticks.push_back(tick);
  }
  co_return ticks;
}
Task<bool> cancelled_tick_is_not_taken() {
  const auto start = time::now() + 24h;
  auto interval = time::interval_at(start, 1h);
  const auto lost = co_await select_biased(interval.tick(), yield_now());
  co_return lost.index() == 1 && interval.tick().deadline_ns() == time::to_ns(start);
}
Task<bool> reset_is_a_period_from_now() {
  auto interval = time::interval(2ms);
  const auto first = co_await interval.tick();
  static_cast<void>(first);
  const auto before = time::now();
  interval.reset();
  const auto next = co_await interval.tick();
  co_return next >= before + 2ms && time::now() >= next;
}

}  // namespace

TEST_CASE("interval: a punctual tick is followed by the next one, whatever the behaviour") {
  for (const auto missed :
       {MissedTickBehavior::Burst, MissedTickBehavior::Delay, MissedTickBehavior::Skip}) {
    CHECK(next_tick_after(100 * kMs, 100 * kMs, 10 * kMs, missed) == 110 * kMs);
    CHECK(next_tick_after(100 * kMs, 101 * kMs, 10 * kMs, missed) == 110 * kMs);
  }
}

TEST_CASE("interval: missed ticks burst, delay or are skipped") {
  const auto due = 100 * kMs, now = 137 * kMs, period = 10 * kMs;
  CHECK(next_tick_after(due, now, period, MissedTickBehavior::Burst) == 110 * kMs);
  CHECK(next_tick_after(due, now, period, MissedTickBehavior::Delay) == 147 * kMs);
  CHECK(next_tick_after(due, now, period, MissedTickBehavior::Skip) == 140 * kMs);
  CHECK(next_tick_after(due, 140 * kMs, period, MissedTickBehavior::Skip) == 150 * kMs);
}

TEST_CASE("interval: nothing overflows at the end of time") {
  CHECK(next_tick_after(time::kNever - 5, time::kNever - 5, kMs, MissedTickBehavior::Burst) ==
        time::kNever - 1);
  CHECK(time::deadline_after(time::kNever - 5, 1h) == time::kNever - 1);
  CHECK(time::deadline_after(7, -1h) == 7);
}

TEST_CASE("interval: ticks are exactly a period apart, the first at the start") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  // In the past: all due at once, and none is left out.
  const auto start = time::now() - 100ms;
  const auto ticks = runtime.block_on(ticks_of(start, 2ms, 60));
  REQUIRE(ticks.size() == 60);
  int wrong = 0;
  for (std::size_t i = 0; i < 60; ++i) wrong += ticks[i] == start + i * 2ms ? 0 : 1;
  CHECK(wrong == 0);
  CHECK(time::now() >= ticks.back());
}

TEST_CASE("interval: a cancelled tick was not taken; reset starts anew") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  CHECK(runtime.block_on(cancelled_tick_is_not_taken()));
  CHECK(runtime.block_on(reset_is_a_period_from_now()));
}

TEST_CASE("interval: the next tick can be put anywhere, and its period stays") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto row = [](time::Interval& interval) -> Task<std::vector<time::Instant>> {
    std::vector<time::Instant> ticks;
    for (int i = 0; i < 2; ++i) {
      const auto due = co_await interval.tick();
      ticks.push_back(due);
    }
    co_return ticks;
  };
  auto interval = time::interval_at(time::now() + 24h, 50ms);
  const auto past = time::now() - 100ms;
  interval.reset_at(past);
  CHECK(runtime.block_on(row(interval)) == std::vector{past, past + 50ms});
  interval.reset_after(-1h);
  const auto now = time::now();
  const auto one = [](time::Interval& from) -> Task<time::Instant> {
    co_return co_await from.tick();
  };
  CHECK(runtime.block_on(one(interval)) <= now);
  interval.reset_after(1ms);
  CHECK(runtime.block_on(one(interval)) >= now + 1ms);
  const auto before = time::now();
  interval.reset_immediately();
  CHECK(runtime.block_on(one(interval)) >= before);
}
