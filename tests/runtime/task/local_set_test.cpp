#include "taskscope/runtime/task/local_set.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/observe/inspector.h"
#include "taskscope/runtime/sync/join_set.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

Runtime a_runtime(bool many) {
  return (many ? Builder::multi_thread().worker_threads(2) : Builder::current_thread()).build();
}

Task<int> answer() { co_return 42; }
Task<void> for_ever() { co_await time::sleep(24h); }

/// Yields, sleeps and counts, without any lock: that is right only on one thread.
Task<bool> stays(std::shared_ptr<int> count) {
  const auto here = std::this_thread::get_id();
  bool same = true;
  for (int i = 0; i < 20; ++i) {
    ++*count;
    if (i % 5 == 0) {
      co_await time::sleep(1ms);
    } else {
      co_await yield_now();
    }
    same = same && std::this_thread::get_id() == here;
  }
  co_return same;
}

/// Ends on the thread it was made on, or says no.
struct EndsHere {
  EndsHere(int& counter, bool& was_right) : count(&counter), right(&was_right) { ++counter; }
  EndsHere(EndsHere&& other) noexcept
      : count(std::exchange(other.count, nullptr)), right(other.right), made(other.made) {}
  EndsHere& operator=(EndsHere&&) = delete;
  ~EndsHere() {
    if (count == nullptr) return;
    --*count;
    *right = *right && std::this_thread::get_id() == made;
  }
  int* count;
  bool* right;
  std::thread::id made = std::this_thread::get_id();
};
Task<void> kept_for_ever(EndsHere) { co_await for_ever(); }

template <class Condition>
void until(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

}  // namespace

TEST_CASE("local tasks stay on the thread in block_on, on either kind of runtime") {
  auto runtime = a_runtime(GENERATE(true, false));
  LocalSet local;
  const auto count = std::make_shared<int>(0);
  const auto body = [](std::shared_ptr<int> counted) -> Task<bool> {
    const auto here = std::this_thread::get_id();
    std::vector<JoinHandle<bool>> handles;
    for (int i = 0; i < 50; ++i) handles.push_back(spawn_local(stays(counted)));
    bool all = true;
    for (auto& handle : handles) {
      const bool stayed = co_await handle;
      all = all && stayed;
    }
    co_return all&& here == std::this_thread::get_id();
  };
  CHECK(local.block_on(runtime, body(count)));
  CHECK(*count == 50 * 20);
  CHECK(local.size() == 0);
  CHECK(runtime.metrics().live_tasks == 0);
}

TEST_CASE("awaiting a LocalSet runs it until no task is left") {
  auto runtime = a_runtime(GENERATE(true, false));
  LocalSet local;
  std::vector<int> order;
  {
    const auto guard = runtime.enter();
    const auto first = [](std::vector<int>& into) -> Task<void> {
      into.push_back(1);
      co_await time::sleep(1ms);
      const auto second = [](std::vector<int>& inner) -> Task<void> {
        co_await yield_now();
        inner.push_back(3);
      };
      spawn_local(second(into)).detach();
      into.push_back(2);
    };
    local.spawn_local(first(order)).detach();
    CHECK(local.size() == 1);
  }
  CHECK(order.empty());
  const auto body = [](LocalSet& set) -> Task<void> {
    co_await set;
    co_await set;  // nothing is left: at once
  };
  runtime.block_on(body(local));
  CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("local tasks are woken from other threads while their thread sleeps") {
  auto runtime = a_runtime(GENERATE(true, false));
  LocalSet local;
  auto [sender, receiver] = sync::mpsc::channel<int>(1);
  const auto body = [](sync::mpsc::Sender<int> to, sync::mpsc::Receiver<int> from) -> Task<long> {
    const auto sums = [](sync::mpsc::Receiver<int> in) -> Task<long> {
      long sum = 0;
      for (;;) {
        auto value = co_await in.recv();
        if (!value) co_return sum;
        sum += *value;
      }
    };
    const auto sends = [](sync::mpsc::Sender<int> out) -> Task<void> {
      for (int i = 0; i < 500; ++i) {
        const auto sent = co_await out.send(1);
        static_cast<void>(sent);
      }
    };
    auto sum = spawn_local(sums(std::move(from)));
    auto sending = spawn(sends(to));
    auto from_outside = spawn_blocking([to = std::move(to)]() mutable {
      for (int i = 0; i < 500;) {
        if (to.try_send(1)) ++i;
      }
    });
    co_await sending;
    co_await from_outside;
    co_return co_await sum;
  };
  CHECK(local.block_on(runtime, body(std::move(sender), std::move(receiver))) == 1000);
}

TEST_CASE("a root and local tasks that never wait let each other and the others run") {
  auto runtime = a_runtime(GENERATE(true, false));
  LocalSet local;
  const auto body = []() -> Task<int> {
    const auto spins = [](std::shared_ptr<std::atomic<int>> count) -> Task<void> {
      for (;;) {
        co_await yield_now();
        ++*count;
      }
    };
    const auto locals = std::make_shared<std::atomic<int>>(0);
    const auto others = std::make_shared<std::atomic<int>>(0);
    auto one = spawn_local(spins(locals));
    auto two = spawn_local(spins(locals));
    auto three = spawn(spins(others));
    while (locals->load() < 1000 || others->load() < 1000) co_await yield_now();
    one.abort();
    three.abort();
    while (!one.is_finished()) co_await yield_now();
    co_return 1;
  };
  CHECK(local.block_on(runtime, body()) == 1);
  CHECK(local.size() == 1);
}

TEST_CASE("a LocalSet keeps its tasks between awaits, and destroys them on its thread") {
  auto runtime = a_runtime(GENERATE(true, false));
  int alive = 0;
  bool right = true;
  {
    LocalSet local;
    const auto body = [](int& count, bool& was_right) -> Task<void> {
      for (int i = 0; i < 10; ++i) spawn_local(kept_for_ever(EndsHere(count, was_right))).detach();
      co_await yield_now();
      co_return;
    };
    local.block_on(runtime, body(alive, right));
    CHECK(alive == 10);
    local.block_on(runtime, body(alive, right));
    CHECK(alive == 20);
    CHECK(local.size() == 20);
    runtime.shutdown();
    CHECK(alive == 20);
  }
  CHECK(alive == 0);
  CHECK(right);
}

TEST_CASE("abort ends a local task, from its thread and from another") {
  auto runtime = a_runtime(GENERATE(true, false));
  LocalSet local;
  int alive = 0;
  bool right = true;
  const auto body = [](int& count, bool& was_right) -> Task<int> {
    auto here = spawn_local(kept_for_ever(EndsHere(count, was_right)));
    auto there = spawn_local(kept_for_ever(EndsHere(count, was_right)));
    co_await yield_now();
    here.abort();
    auto aborts = spawn_blocking([handle = there.abort_handle()] { handle.abort(); });
    co_await aborts;
    int cancelled = 0;
    try {
      co_await here;
    } catch (const Cancelled&) {
      ++cancelled;
    }
    try {
      co_await there;
    } catch (const Cancelled&) {
      ++cancelled;
    }
    co_return cancelled;
  };
  CHECK(local.block_on(runtime, body(alive, right)) == 2);
  CHECK(alive == 0);
  CHECK(right);
}

TEST_CASE("a LocalSet dropped by its root, or by one of its tasks, takes them along") {
  auto runtime = a_runtime(GENERATE(true, false));
  int alive = 0;
  bool right = true;
  const auto in_root = [](int& count, bool& was_right) -> Task<int> {
    LocalSet inner;
    inner.spawn_local(kept_for_ever(EndsHere(count, was_right))).detach();
    const int result = co_await inner.run_until(answer());
    co_return result;
  };
  CHECK(runtime.block_on(in_root(alive, right)) == 42);
  CHECK(alive == 0);

  const auto own = std::make_shared<std::optional<LocalSet>>(std::in_place);
  const auto drops = [](std::shared_ptr<std::optional<LocalSet>> set, int& count,
                        bool& was_right) -> Task<void> {
    const EndsHere self(count, was_right);
    spawn_local(kept_for_ever(EndsHere(count, was_right))).detach();
    co_await yield_now();
    set->reset();
    // What comes now is cancelled at once.
    auto late = spawn_local(kept_for_ever(EndsHere(count, was_right)));
    if (!late.is_finished()) was_right = false;
    co_await for_ever();
  };
  const auto body = [](std::shared_ptr<std::optional<LocalSet>> set) -> Task<void> {
    auto& local = **set;
    co_await local;
  };
  {
    const auto guard = runtime.enter();
    (*own)->spawn_local(drops(own, alive, right)).detach();
  }
  runtime.block_on(body(own));
  CHECK(alive == 0);
  CHECK(right);
}

TEST_CASE("shutting the runtime down while a LocalSet is awaited ends the wait") {
  auto runtime = a_runtime(GENERATE(true, false));
  std::atomic<bool> waits{false};
  std::thread other([&] {
    until([&] { return waits.load(); });
    runtime.shutdown();
  });
  int alive = 0;
  bool right = true;
  {
    LocalSet local;
    const auto body = [](int& count, bool& was_right, std::atomic<bool>& waiting) -> Task<void> {
      spawn_local(kept_for_ever(EndsHere(count, was_right))).detach();
      co_await yield_now();
      waiting.store(true);
      co_await for_ever();
    };
    CHECK_THROWS_AS(local.block_on(runtime, body(alive, right, waits)), Cancelled);
    CHECK(alive == 1);
  }
  other.join();
  CHECK(alive == 0);
  CHECK(right);
}

TEST_CASE("a LocalSet used wrongly says what to do") {
  auto runtime = a_runtime(GENERATE(true, false));
  const auto message = [&](Task<void> task) -> std::string {
    try {
      runtime.block_on(std::move(task));
    } catch (const std::logic_error& error) {
      return error.what();
    }
    return "";
  };
  const auto outside = []() -> Task<void> {
    spawn_local(answer()).detach();
    co_return;
  };
  CHECK_THAT(message(outside()), Catch::Contains("outside a LocalSet"));
  const auto in_spawned = []() -> Task<void> {
    const auto awaits = []() -> Task<void> {
      LocalSet inner;
      co_await inner.run_until(answer());
    };
    auto handle = spawn(awaits());
    co_await handle;
  };
  CHECK_THAT(message(in_spawned()),
             Catch::Contains("await it in the task that block_on was given"));
  const auto in_spawned_too = []() -> Task<void> {
    const auto awaits = []() -> Task<void> {
      LocalSet inner;
      co_await inner;
    };
    auto handle = spawn(awaits());
    co_await handle;
  };
  CHECK_THAT(message(in_spawned_too()), Catch::Contains("was awaited by a spawned task"));
  LocalSet local;
  CHECK_THROWS_WITH(local.spawn_local(answer()), Catch::Contains("enter the runtime first"));
  CHECK_NOTHROW(runtime.block_on(local.run_until(answer())));
  std::string thread_message;
  std::thread([&] { thread_message = message(local.run_until(for_ever())); }).join();
  CHECK_THAT(thread_message, Catch::Contains("on another thread"));
  const auto twice = [](LocalSet& set) -> Task<void> {
    const auto result = co_await select(set.run_until(for_ever()), set.run_until(for_ever()));
    static_cast<void>(result);
  };
  CHECK_THAT(message(twice(local)), Catch::Contains("awaited twice"));
  auto second = a_runtime(false);
  CHECK_THROWS_WITH(second.block_on(local.run_until(answer())), Catch::Contains("another runtime"));
}

TEST_CASE("a cancelled await of a LocalSet leaves its tasks for the next") {
  auto runtime = a_runtime(GENERATE(true, false));
  LocalSet local;
  const auto body = [](LocalSet& set) -> Task<int> {
    auto handle = set.spawn_local(answer());
    auto waits = [](LocalSet& inner) -> Task<void> {
      inner.spawn_local(for_ever()).detach();
      co_await inner;
    };
    const auto timed_out = co_await time::timeout(2ms, waits(set));
    if (timed_out.has_value()) co_return -1;
    co_return co_await handle;
  };
  CHECK(runtime.block_on(body(local)) == 42);
  CHECK(local.size() == 1);
}

TEST_CASE("a JoinSet holds local tasks, too, and they are named as others are") {
  auto runtime = a_runtime(GENERATE(true, false));
  LocalSet local;
  const auto body = [](LocalSet& set) -> Task<int> {
    sync::JoinSet<int> joins;
    joins.spawn_local(answer());
    joins.spawn_local_on(set, answer());
    joins.spawn(answer());
    joins.spawn_blocking([] { return 42; });
    const auto results = co_await joins.join_all();
    int sum = 0;
    for (const int result : results) sum += result;
    auto named = task::Builder().name("local").spawn_local(answer());
    const int last = co_await named;
    joins.spawn_local(answer());
    joins.abort_all();
    co_await joins.shutdown();
    co_return sum + last;
  };
  CHECK(local.block_on(runtime, body(local)) == 5 * 42);
}
