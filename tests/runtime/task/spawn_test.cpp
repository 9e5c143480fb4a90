#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/time/sleep.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

Task<int> add(int a, int b) { co_return a + b; }

Task<int> add_in_children(int depth) {
  if (depth == 0) co_return 1;
  const int below = co_await add_in_children(depth - 1);
  const int one = co_await add(0, 1);
  co_return below + one;
}

Task<int> throws() {
  co_await yield_now();
  throw std::runtime_error("broken");
}

/// Waits until it is cancelled.
Task<void> for_ever() { co_await time::sleep(24h); }

/// Counts itself while it lives.
struct Alive {
  explicit Alive(std::atomic<int>& counter) : count(counter) { ++count; }
  ~Alive() { --count; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  std::atomic<int>& count;
};

Task<void> alive_for_ever(std::atomic<int>& alive) {
  const Alive self(alive);
  co_await for_ever();
}

Task<void> yield_often(int times, std::atomic<long>& sum) {
  for (int i = 0; i < times; ++i) {
    co_await yield_now();
    ++sum;
  }
}

Task<long> spawn_many(int tasks, int yields) {
  std::atomic<long> sum{0};
  std::vector<JoinHandle<void>> handles;
  for (int i = 0; i < tasks; ++i) handles.push_back(spawn(yield_often(yields, sum)));
  for (auto& handle : handles) co_await handle;
  co_return sum.load();
}

}  // namespace

TEST_CASE("block_on gives the result of a task and of the tasks it awaits") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(add(1, 2)) == 3);
  CHECK(runtime.block_on(add_in_children(50)) == 51);
}

TEST_CASE("an exception travels through awaits, handles and block_on") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK_THROWS_WITH(runtime.block_on(throws()), "broken");
  const auto outer = []() -> Task<std::string> {
    auto handle = spawn(throws());
    try {
      co_await handle;
    } catch (const std::runtime_error& error) {
      co_return error.what();
    }
    co_return "nothing";
  };
  CHECK(runtime.block_on(outer()) == "broken");
}

TEST_CASE("spawned tasks all run, on every number of workers") {
  for (const std::uint32_t workers : {1u, 2u, 5u}) {
    auto runtime = Builder::multi_thread().worker_threads(workers).build();
    CHECK(runtime.block_on(spawn_many(1000, 20)) == 20'000);
    const auto metrics = runtime.metrics();
    CHECK(metrics.spawned_tasks == 1001);
    CHECK(metrics.finished_tasks == 1001);
    CHECK(metrics.live_tasks == 0);
    // Each task is polled once to begin, and once more a yield.
    CHECK(metrics.polls >= 1000 * 21);
  }
}

TEST_CASE("an aborted task is destroyed with all that it awaits, and its handle throws Cancelled") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  std::atomic<int> alive{0};
  const auto outer = [](std::atomic<int>& counter) -> Task<bool> {
    auto handle = spawn(alive_for_ever(counter));
    while (counter.load() == 0) co_await yield_now();
    handle.abort();
    handle.abort();
    bool cancelled = false;
    try {
      co_await handle;
    } catch (const Cancelled&) {
      cancelled = true;
    }
    co_return cancelled&& counter.load() == 0 && handle.is_finished();
  };
  CHECK(runtime.block_on(outer(alive)));
}

TEST_CASE("shutdown destroys what still runs, waits, or was never polled") {
  std::atomic<int> alive{0};
  {
    auto runtime = Builder::multi_thread().worker_threads(2).build();
    for (int i = 0; i < 1000; ++i) runtime.spawn(alive_for_ever(alive)).detach();
    const auto wait = [](std::atomic<int>& counter) -> Task<void> {
      while (counter.load() < 1000) co_await time::sleep(1ms);
    };
    runtime.block_on(wait(alive));
    for (int i = 0; i < 1000; ++i) runtime.spawn(alive_for_ever(alive)).detach();
  }
  CHECK(alive.load() == 0);
}

TEST_CASE("what is spawned after shutdown is cancelled at once") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto handle = runtime.handle();
  runtime.shutdown();
  std::atomic<int> alive{0};
  const auto join = handle.spawn(alive_for_ever(alive));
  CHECK(join.is_finished());
  CHECK(alive.load() == 0);
  CHECK_THROWS_AS(runtime.block_on(add(1, 1)), std::logic_error);
}

TEST_CASE("handles and results outlive the runtime") {
  std::unique_ptr<JoinHandle<int>> handle;
  {
    auto runtime = Builder::multi_thread().worker_threads(2).build();
    handle = std::make_unique<JoinHandle<int>>(runtime.spawn(add(20, 22)));
    const auto wait = [](const JoinHandle<int>& joined) -> Task<void> {
      while (!joined.is_finished()) co_await time::sleep(1ms);
    };
    runtime.block_on(wait(*handle));
  }
  auto other = Builder::multi_thread().worker_threads(1).build();
  const auto take = [](JoinHandle<int>& joined) -> Task<int> { co_return co_await joined; };
  CHECK(other.block_on(take(*handle)) == 42);
}

TEST_CASE("a nested block_on and a spawn outside are refused in words") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto nested = [](Runtime& inner) -> Task<std::string> {
    try {
      inner.block_on(add(1, 1));
    } catch (const std::logic_error& error) {
      co_return error.what();
    }
    co_return "";
  };
  CHECK_THAT(runtime.block_on(nested(runtime)), Catch::Contains("co_await the task instead"));
  CHECK_THROWS_AS(spawn(add(1, 1)), std::logic_error);
}

TEST_CASE("blocking calls run on the pool and give their results and exceptions") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto outer = []() -> Task<int> {
    const auto here = std::this_thread::get_id();
    auto elsewhere = spawn_blocking([here] { return std::this_thread::get_id() != here; });
    const bool is_elsewhere = co_await elsewhere;
    auto failing = spawn_blocking([]() -> int { throw std::runtime_error("no"); });
    bool thrown = false;
    try {
      co_await failing;
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    int sum = 0;
    std::vector<JoinHandle<int>> handles;
    for (int i = 0; i < 100; ++i) handles.push_back(spawn_blocking([i] { return i; }));
    for (auto& handle : handles) sum += co_await handle;
    co_return is_elsewhere&& thrown ? sum : -1;
  };
  CHECK(runtime.block_on(outer()) == 4950);
}

TEST_CASE("a task that always finds its awaits ready still lets others run") {
  // One worker: without the budget the second task would never be polled.
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  std::atomic<bool> stop{false};
  const auto greedy = [](std::atomic<bool>& flag) -> Task<int> {
    int joins = 0;
    while (!flag.load()) {
      auto ready = spawn(add(1, 1));
      while (!ready.is_finished()) co_await yield_now();
      for (int i = 0; i < 1000 && !flag.load(); ++i) {
        time::Sleep passed(0);
        co_await passed;
        ++joins;
      }
    }
    co_return joins;
  };
  const auto stopper = [](std::atomic<bool>& flag) -> Task<void> {
    flag.store(true);
    co_return;
  };
  auto first = runtime.spawn(greedy(stop));
  auto second = runtime.spawn(stopper(stop));
  const auto both = [](JoinHandle<int>& a, JoinHandle<void>& b) -> Task<void> {
    co_await b;
    co_await a;
  };
  runtime.block_on(both(first, second));
  CHECK(stop.load());
}

TEST_CASE("a task that consumes its budget lets others run") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto body = []() -> Task<bool> {
    std::atomic<bool> ran{false};
    const auto other = [](std::atomic<bool>& flag) -> Task<void> {
      flag = true;
      co_return;
    };
    const auto busy = [](std::atomic<bool>& flag) -> Task<void> {
      while (!flag) co_await consume_budget();
    };
    auto works = spawn(busy(ran));
    auto runs = spawn(other(ran));
    co_await works;
    co_await runs;
    co_return true;
  };
  const auto on_worker = [](Task<bool> inner) -> Task<bool> {
    auto handle = spawn(std::move(inner));
    co_return co_await handle;
  };
  CHECK(runtime.block_on(on_worker(body())));
}
