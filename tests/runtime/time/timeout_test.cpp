#include "taskscope/runtime/time/timeout.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/scheduler/driver_access.h"
#include "taskscope/runtime/time/interval.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

struct Flag {
  explicit Flag(bool& at) : destroyed(at) {}
  ~Flag() { destroyed = true; }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;
  bool& destroyed;
};

Task<int> takes(std::chrono::nanoseconds wait, int value) {
  co_await time::sleep(wait);
  co_return value;
}
Task<> nothing() { co_await yield_now(); }
Task<int> fails() {
  co_await yield_now();
  throw std::runtime_error("body");
}
Task<int> sleeps_until(time::Instant deadline) {
  co_await time::sleep_until(deadline);
  co_return 1;
}
Task<int> at_once() { co_return 1; }
Task<> holds(bool& destroyed) {
  const Flag flag(destroyed);
  co_await time::sleep(24h);
}

Task<std::string> body_wins() {
  const auto result = co_await time::timeout(1h, takes(1ms, 7));
  if (!result) co_return "elapsed";
  const auto none = co_await time::timeout(1h, nothing());
  if (!none) co_return "void elapsed";
  co_return std::to_string(*result);
}
Task<std::string> deadline_wins() {
  bool destroyed = false;
  const auto result = co_await time::timeout(2ms, holds(destroyed));
  if (result) co_return "not elapsed";
  co_return destroyed ? "ok" : "the body lives";
}
Task<bool> tie(time::Instant deadline, std::atomic<time::Timers*>& wheel) {
  wheel.store(&scheduler::current_timers());
  const auto result = co_await time::timeout_at(deadline, sleeps_until(deadline));
  co_return result.has_value();
}
Task<bool> past_deadline_still_begins() {
  const auto result = co_await time::timeout_at(time::Instant{}, at_once());
  const auto leaf = co_await time::timeout_at(time::now() - 1s, time::sleep(24h));
  co_return result.has_value() && !leaf.has_value();
}
Task<std::string> failure() {
  std::string what;
  try {
    const auto result = co_await time::timeout(1h, fails());
    what = result ? "value" : "elapsed";
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  co_return what;
}
Task<bool> inner() {
  const auto result = co_await time::timeout(1ms, time::sleep(24h));
  co_return !result.has_value();
}
Task<bool> nested() {
  const auto result = co_await time::timeout(1h, inner());
  co_return result.has_value() && *result;
}
Task<bool> leaf_of_an_interval() {
  auto interval = time::interval_at(time::now() + 1h, 1h);
  const auto result = co_await time::timeout(1ms, interval.tick());
  co_return !result.has_value();
}
template <class T>
Task<T> joined(JoinHandle<T> handle) {
  co_return co_await std::move(handle);
}

}  // namespace

TEST_CASE("timeout: gives the body's result when it comes first") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(body_wins()) == "7");
  CHECK(runtime.block_on(joined(runtime.spawn(body_wins()))) == "7");
}

TEST_CASE("timeout: destroys the body when the deadline comes first") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(deadline_wins()) == "ok");
  CHECK(runtime.block_on(joined(runtime.spawn(deadline_wins()))) == "ok");
  CHECK(runtime.block_on(leaf_of_an_interval()));
}

TEST_CASE("timeout: the body goes first when both may go on") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(past_deadline_still_begins()));
  // Both timers fire in one turn of the wheel, which the test makes.
  std::atomic<time::Timers*> wheel{nullptr};
  const auto deadline = time::now() + 24h;
  auto tied = runtime.spawn(tie(deadline, wheel));
  const auto entered = [&wheel] {
    const auto* timers = wheel.load();
    if (timers == nullptr) return 0u;
    const auto levels = timers->occupancy();
    return std::accumulate(levels.begin(), levels.end(), 0u);
  };
  while (entered() != 2) std::this_thread::yield();
  {
    task::WakeBatch wakes;
    CHECK(wheel.load()->advance(time::to_ns(deadline) + time::kTickNs, wakes) == 2);
  }
  CHECK(runtime.block_on(joined(std::move(tied))));
}

TEST_CASE("timeout: passes on what the body throws") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  CHECK(runtime.block_on(failure()) == "body");
}

TEST_CASE("timeout: may be nested") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  CHECK(runtime.block_on(nested()));
}
