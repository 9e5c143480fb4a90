#include "taskscope/runtime/blocking/pool.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/tests/support/gate.h"

using namespace taskscope::runtime;
using taskscope::tests::Gate;
using namespace std::chrono_literals;

namespace {

template <class T>
Task<T> joined(JoinHandle<T> handle) {
  co_return co_await std::move(handle);
}
template <class T>
Task<std::string> outcome_of(JoinHandle<T> handle) {
  std::string outcome;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await handle;
    } else {
      const auto value = co_await handle;
      static_cast<void>(value);
    }
    outcome = "done";
  } catch (const Cancelled&) {
    outcome = "cancelled";
  } catch (const std::exception& error) {
    outcome = error.what();
  }
  co_return outcome;
}

/// As spawn_blocking, on another pool than the runtime's.
template <class F>
JoinHandle<void> call_on(blocking::Pool& pool, F call) {
  using Body = task::BlockingBody<F, void>;
  void* const memory = task::allocate_body(sizeof(Body));
  task::Header& header = task::make_header(memory);
  new (memory) Body(std::move(call));
  task::adopt(task::current_scheduler(), header, Body::kOps,
              {.kind = observe::TaskKind::Blocking, .site = observe::Site::current()});
  JoinHandle<void> handle(task::Reference::adopt(&header),
                          [](task::Header& done) { Body::of(done).take(); });
  if (!pool.submit(header)) task::cancel_blocking(header);
  return handle;
}

}  // namespace

TEST_CASE("blocking: calls run elsewhere and give their result") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto here = std::this_thread::get_id();
  CHECK(runtime.block_on(joined(runtime.spawn_blocking([] { return 6 * 7; }))) == 42);
  CHECK(runtime.block_on(
            joined(runtime.spawn_blocking([] { return std::this_thread::get_id(); }))) != here);
  CHECK(runtime.block_on(outcome_of(runtime.spawn_blocking(
            []() -> int { throw std::runtime_error("the call"); }))) == "the call");
}

TEST_CASE("blocking: at the limit calls queue, oldest first") {
  auto runtime = Builder::multi_thread().worker_threads(1).max_blocking_threads(1).build();
  Gate gate;
  std::vector<JoinHandle<void>> handles;
  handles.push_back(runtime.spawn_blocking([&gate] { gate.pass(); }));
  gate.await_inside(1);
  std::vector<int> order;
  for (int i = 0; i < 20; ++i) {
    handles.push_back(runtime.spawn_blocking([&order, i] { order.push_back(i); }));
  }
  CHECK(runtime.metrics().num_blocking_threads == 1);
  CHECK(runtime.metrics().blocking_queue_depth == 20);
  gate.open();
  for (auto& handle : handles) runtime.block_on(joined(std::move(handle)));
  std::vector<int> expected(20);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(order == expected);
  CHECK(runtime.metrics().blocking_queue_depth == 0);
  CHECK(runtime.metrics().num_blocking_threads == 1);
}

TEST_CASE("blocking: an idle thread is used again") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  for (int i = 0; i < 50; ++i) {
    runtime.block_on(joined(runtime.spawn_blocking([] {})));
    while (runtime.metrics().num_idle_blocking_threads == 0) std::this_thread::yield();
  }
  CHECK(runtime.metrics().num_blocking_threads == 1);
}

TEST_CASE("blocking: shutdown cancels queued calls and waits for those that run") {
  auto runtime = Builder::multi_thread().worker_threads(1).max_blocking_threads(1).build();
  auto after = Builder::multi_thread().worker_threads(1).build();
  Gate gate;
  std::atomic<bool> finished{false};
  auto running = runtime.spawn_blocking([&] {
    gate.pass();
    finished.store(true);
  });
  gate.await_inside(1);
  std::atomic<int> made{0};
  std::vector<JoinHandle<void>> queued;
  for (int i = 0; i < 10; ++i) queued.push_back(runtime.spawn_blocking([&made] { ++made; }));
  std::thread opener([&] {
    while (!queued.back().is_finished()) std::this_thread::yield();
    gate.open();
  });
  runtime.shutdown();
  opener.join();
  CHECK(finished.load());
  CHECK(made.load() == 0);
  CHECK(after.block_on(outcome_of(std::move(running))) == "done");
  CHECK(after.block_on(outcome_of(std::move(queued[0]))) == "cancelled");
  CHECK(after.block_on(outcome_of(runtime.spawn_blocking([] {}))) == "cancelled");
}

TEST_CASE("blocking: many calls from many tasks") {
  auto runtime = Builder::multi_thread().worker_threads(2).max_blocking_threads(8).build();
  std::atomic<int> made{0};
  const auto caller = [](std::atomic<int>& count) -> Task<int> {
    int sum = 0;
    for (int i = 0; i < 50; ++i) {
      auto call = spawn_blocking([&count] { return count.fetch_add(1) >= 0 ? 1 : 0; });
      const int one = co_await call;
      sum += one;
    }
    co_return sum;
  };
  std::vector<JoinHandle<int>> handles;
  for (int i = 0; i < 20; ++i) handles.push_back(runtime.spawn(caller(made)));
  int sum = 0;
  for (auto& handle : handles) sum += runtime.block_on(joined(std::move(handle)));
  CHECK(sum == 1000);
  CHECK(made.load() == 1000);
  CHECK(runtime.metrics().num_blocking_threads <= 8);
}

TEST_CASE("blocking: a pool that can't start its first thread says so") {
  // No system has such a stack to give.
  blocking::Pool pool({.thread_stack_bytes = std::size_t{1} << 60});
  task::Header call;
  CHECK_FALSE(pool.submit(call));
  CHECK(pool.counters().threads == 0);
  CHECK(pool.counters().queued == 0);
  pool.shutdown();
  CHECK_FALSE(pool.submit(call));
}

TEST_CASE("blocking: idle threads end after keep_alive, and new ones begin") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  blocking::Pool pool({.keep_alive = 0ns});
  const auto use = [](blocking::Pool& mine) -> Task<int> {
    int made = 0;
    for (int i = 0; i < 50; ++i) {
      auto call = call_on(mine, [&made] { ++made; });
      co_await call;
      while (mine.counters().threads != 0) co_await yield_now();
    }
    co_return made;
  };
  CHECK(runtime.block_on(use(pool)) == 50);
  pool.shutdown();
  CHECK(pool.counters().threads == 0);
}
