#include "taskscope/runtime/sync/join_set.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
using sync::JoinSet;

namespace {

struct Alive {
  explicit Alive(std::atomic<int>& counter) : count(counter) { ++count; }
  ~Alive() { --count; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  std::atomic<int>& count;
};

Task<int> gives(int yielding, int value) {
  co_await yields(yielding);
  co_return value;
}
Task<int> gives_after(sync::Notify& go, int value) {
  co_await go.notified();
  co_return value;
}
Task<int> fails() {
  co_await yield_now();
  throw std::runtime_error("member");
}
Task<void> for_ever(std::atomic<int>& alive) {
  const Alive self(alive);
  co_await time::sleep(24h);
}
Task<void> counts(std::atomic<int>& count) {
  co_await yield_now();
  ++count;
}

Task<std::string> all_ok(std::vector<JoinHandle<std::string>>& handles) {
  for (auto& handle : handles) {
    auto result = co_await handle;
    if (result != "ok") co_return result;
  }
  co_return "ok";
}

}  // namespace

TEST_CASE("a join set gives every task once, in the order in which they end") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    JoinSet<int> set;
    auto none = co_await set.join_next();
    if (none || set.try_join_next()) co_return "an empty set gives nothing";
    sync::Notify last;
    static_cast<void>(set.spawn(gives_after(last, 99)));
    int sum = 0;
    for (int i = 0; i < 500; ++i) {
      static_cast<void>(set.spawn(gives(i % 3, i)));
      if (i % 7 == 0) {
        auto ended = co_await set.join_next();
        sum += ended->take();
      }
    }
    if (set.size() != 501 - 72) co_return "size";
    while (set.size() > 1) {
      auto ended = co_await set.join_next();
      if (ended->outcome() != observe::Outcome::Done) co_return "outcome";
      sum += ended->take();
    }
    if (set.try_join_next()) co_return "one that runs was joined";
    last.notify_one();
    auto ended = co_await set.join_next();
    if (ended->take() != 99 || !set.empty()) co_return "the last";
    co_return sum == 499 * 500 / 2 ? "ok" : "sum";
  };
  CHECK(runtime.block_on(on_worker(body())) == "ok");
}

TEST_CASE("the failure of a task of a set is its own, and so is its end by abort") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    JoinSet<int> set;
    sync::Notify never;
    const auto failing = set.spawn(fails());
    const auto aborted = set.spawn(gives_after(never, 1));
    const auto call = set.add(spawn_blocking([] { return 5; }));
    aborted.abort();
    int thrown = 0, cancelled = 0, value = 0;
    for (;;) {
      auto ended = co_await set.join_next();
      if (!ended) break;
      try {
        value = ended->take();
        if (ended->id() != call.id()) co_return "id";
      } catch (const Cancelled&) {
        cancelled += ended->id() == aborted.id() ? 1 : 0;
      } catch (const std::runtime_error&) {
        thrown += ended->id() == failing.id() ? 1 : 0;
      }
    }
    co_return thrown == 1 && cancelled == 1 && value == 5 ? "ok" : "lost";
  };
  for (int i = 0; i < 50; ++i) CHECK(runtime.block_on(on_worker(body())) == "ok");
}

TEST_CASE("a set aborts its tasks when it is shut down or dies, and not when they are detached") {
  auto runtime = runtime_with(2);
  std::atomic<int> alive{0}, ran{0};
  const auto body = [](std::atomic<int>& living, std::atomic<int>& count) -> Task<std::string> {
    {
      JoinSet<> set;
      for (int i = 0; i < 100; ++i) static_cast<void>(set.spawn(for_ever(living)));
      while (living != 100) co_await yield_now();
      co_await set.shutdown();
      if (living != 0 || !set.empty()) co_return "shutdown";
      for (int i = 0; i < 100; ++i) static_cast<void>(set.spawn(for_ever(living)));
      set.abort_all();
      if (set.size() != 100) co_return "abort_all forgets";
      for (int i = 0; i < 100; ++i) static_cast<void>(co_await set.join_next());
      if (living != 0) co_return "abort_all";
      for (int i = 0; i < 100; ++i) static_cast<void>(set.spawn(for_ever(living)));
      while (living != 100) co_await yield_now();
    }
    while (living != 0) co_await yield_now();
    {
      JoinSet<> set;
      for (int i = 0; i < 100; ++i) static_cast<void>(set.spawn(counts(count)));
      set.detach_all();
      if (!set.empty()) co_return "detach_all";
    }
    while (count != 100) co_await yield_now();
    co_return "ok";
  };
  CHECK(runtime.block_on(on_worker(body(alive, ran))) == "ok");
}

TEST_CASE("a cancelled join_next takes no task") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    JoinSet<int> set("cancelled set");
    sync::Notify go;
    static_cast<void>(set.spawn(gives_after(go, 7)));
    const auto late = co_await time::timeout(1ms, set.join_next());
    if (late || see(inspected, "cancelled set")->waiters != 0) co_return "still in line";
    {
      // Granted while nobody awaits it, and given back.
      auto kept = set.join_next();
      const auto lost = co_await select_biased(kept, at_once());
      if (lost.index() != 1) co_return "joined nobody";
      go.notify_one();
      while (see(inspected, "cancelled set")->waiters != 0) co_await yield_now();
      if (set.try_join_next()) co_return "joined twice";
    }
    auto ended = co_await set.join_next();
    co_return ended && ended->take() == 7 ? "ok" : "lost";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}

TEST_CASE("a wait for a set ends when its tasks are let go of") {
  sync::Notify go;  // outlives the task that is let go of
  auto runtime = runtime_with(1);
  const auto body = [](sync::Notify& until) -> Task<bool> {
    JoinSet<int> set;
    static_cast<void>(set.spawn(gives_after(until, 1)));
    const auto release = [](JoinSet<int>& all) -> Task<void> {
      co_await yield_now();
      all.detach_all();
    };
    const auto both = co_await join(set.join_next(), release(set));
    co_return !std::get<0>(both).has_value();
  };
  CHECK(runtime.block_on(on_worker(body(go))));
}

TEST_CASE("stress: sets that die, shut down and are joined while their tasks end") {
  auto runtime = runtime_with(4);
  const auto body = [](std::uint64_t seed) -> Task<std::string> {
    Random random(seed);
    for (int round = 0; round < 300; ++round) {
      JoinSet<int> set;
      const int tasks = random.below(20);
      for (int i = 0; i < tasks; ++i) {
        const auto handle = set.spawn(gives(random.below(4), i));
        if (random.below(5) == 0) handle.abort();
      }
      int left = tasks;
      for (int i = random.below(20); i > 0 && left > 0; --i) {
        auto result = co_await select_biased(set.join_next(), yields(random.below(3)));
        if (result.index() != 0) continue;
        if (!std::get<0>(result)) co_return "ended early";
        --left;
      }
      if (static_cast<int>(set.size()) != left) co_return "lost or doubled";
      const int end = random.below(3);
      if (end == 0) co_await set.shutdown();
      if (end == 1) set.detach_all();
    }
    co_return "ok";
  };
  std::vector<JoinHandle<std::string>> handles;
  for (std::uint64_t i = 1; i <= 4; ++i) handles.push_back(runtime.spawn(body(i)));
  CHECK(runtime.block_on(all_ok(handles)) == "ok");
}

TEST_CASE("stress: a set takes a task over whose wait was given up while it ended") {
  auto runtime = runtime_with(4);
  const auto body = [](std::uint64_t seed) -> Task<std::string> {
    Random random(seed);
    for (int round = 0; round < 500; ++round) {
      auto handle = spawn(gives(random.below(3), round));
      const auto first = co_await select_biased(handle, yields(random.below(4)));
      if (first.index() == 0) {
        if (std::get<0>(first) != round) co_return "another result";
        continue;
      }
      JoinSet<int> set;
      static_cast<void>(set.add(std::move(handle)));
      auto joined = co_await set.join_next();
      if (!joined || joined->take() != round) co_return "not joined";
      if (set.size() != 0) co_return "joined twice";
    }
    co_return "ok";
  };
  std::vector<JoinHandle<std::string>> handles;
  for (std::uint64_t i = 1; i <= 4; ++i) handles.push_back(runtime.spawn(body(i)));
  CHECK(runtime.block_on(all_ok(handles)) == "ok");
}

TEST_CASE("watchers see a set, its running tasks and who waits; a runtime shuts down with it") {
  auto runtime = runtime_with(1);
  JoinSet<> set("seen set");
  std::atomic<int> alive{0};
  const auto member = set.spawn_on(runtime.handle(), for_ever(alive));
  const auto waits = [](JoinSet<>& all) -> Task<void> {
    static_cast<void>(co_await all.join_next());
  };
  const auto waiter = runtime.spawn(waits(set));
  auto seen = see(runtime, "seen set");
  while (seen->waiters != 1) seen = see(runtime, "seen set");
  CHECK(seen->type == "JoinSet");
  CHECK(seen->attributes.at("running") == 1);
  REQUIRE(seen->holders.size() == 1);
  CHECK(seen->holders[0].task == member.id());
  runtime.shutdown();
  CHECK(alive == 0);
  CHECK(waiter.is_finished());
  // Ended by the shutdown, and there to be joined.
  auto ended = set.try_join_next();
  REQUIRE(ended);
  CHECK_THROWS_AS(ended->take(), Cancelled);
}

TEST_CASE("a set joins all its tasks, blocking calls among them, or ends with the first failure") {
  auto runtime = runtime_with(2);
  const auto all = [](Handle handle) -> Task<int> {
    JoinSet<int> set;
    for (int i = 1; i <= 3; ++i) set.spawn(gives(i, i));
    set.spawn_blocking([] { return 10; });
    set.spawn_blocking_on(handle, [] { return 20; });
    const auto results = co_await set.join_all();
    int sum = 0;
    for (const int one : results) sum += one;
    co_return results.size() == 5 && set.empty() ? sum : -1;
  };
  CHECK(runtime.block_on(all(runtime.handle())) == 36);
  const auto failing = [](sync::Notify& never) -> Task<std::string> {
    JoinSet<int> set;
    set.spawn(gives_after(never, 1));
    set.spawn(fails());
    try {
      const auto results = co_await set.join_all();
      static_cast<void>(results);
    } catch (const std::runtime_error& error) {
      if (std::string(error.what()) != "member") co_return error.what();
    }
    // The other one was aborted.
    auto left = co_await set.join_next();
    if (!left) co_return "nothing is left";
    co_return left->outcome() == observe::Outcome::Cancelled ? "ok" : "runs on";
  };
  sync::Notify never;
  CHECK(runtime.block_on(failing(never)) == "ok");
}
