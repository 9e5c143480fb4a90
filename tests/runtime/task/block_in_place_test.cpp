#include "taskscope/runtime/task/block_in_place.h"

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

template <class Condition>
void until(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

Task<int> answer() { co_return 42; }
Task<void> raises(std::atomic<int>& count) {
  co_await time::sleep(1ms);
  ++count;
}

}  // namespace

TEST_CASE("while a call blocks in place the worker's other tasks and timers go on") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  std::atomic<int> count{0};
  const auto blocks = [](std::atomic<int>& counter) -> Task<int> {
    // Queued on this worker, behind this task.
    for (int i = 0; i < 10; ++i) spawn(raises(counter)).detach();
    const int seen = block_in_place([&counter] {
      until([&] { return counter.load() == 10; });
      return counter.load();
    });
    // And it goes on as any task.
    co_await time::sleep(1ms);
    auto handle = spawn(answer());
    co_return seen + co_await handle;
  };
  for (int round = 0; round < 20; ++round) {
    count.store(0);
    auto handle = runtime.spawn(blocks(count));
    const auto take = [](JoinHandle<int> joined) -> Task<int> { co_return co_await joined; };
    CHECK(runtime.block_on(take(std::move(handle))) == 52);
  }
  CHECK(runtime.metrics().live_tasks == 0);
}

TEST_CASE("more calls block in place at a time than there are workers") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  std::atomic<int> inside{0};
  constexpr int kTasks = 16;
  const auto blocks = [](std::atomic<int>& counter) -> Task<void> {
    block_in_place([&counter] {
      ++counter;
      until([&] { return counter.load() == kTasks; });
    });
    co_await yield_now();
  };
  std::vector<JoinHandle<void>> handles;
  for (int i = 0; i < kTasks; ++i) handles.push_back(runtime.spawn(blocks(inside)));
  const auto join = [](std::vector<JoinHandle<void>> joined) -> Task<void> {
    for (auto& handle : joined) co_await handle;
  };
  runtime.block_on(join(std::move(handles)));
  CHECK(inside.load() == kTasks);
}

TEST_CASE("block_on is allowed in a call that blocks in place") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto outer = []() -> Task<int> {
    const auto handle = Handle::current();
    const int first = block_in_place([&] { return handle.block_on(answer()); });
    // And afterwards it is not.
    bool refused = false;
    try {
      handle.block_on(answer());
    } catch (const std::logic_error&) {
      refused = true;
    }
    co_return refused ? first : -1;
  };
  const auto spawned = [](Task<int> task) -> Task<int> {
    auto handle = spawn(std::move(task));
    co_return co_await handle;
  };
  CHECK(runtime.block_on(spawned(outer())) == 42);
  CHECK(runtime.block_on(outer()) == 42);
}

TEST_CASE("elsewhere block_in_place just makes the call, and passes on what it throws") {
  CHECK(block_in_place([] { return 7; }) == 7);
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto body = []() -> Task<int> {
    const auto here = std::this_thread::get_id();
    auto call = spawn_blocking([] { return block_in_place([] { return 1; }); });
    const int one = co_await call;
    const bool same = block_in_place([&] { return std::this_thread::get_id() == here; });
    const auto fails = []() -> Task<int> {
      block_in_place([] { throw std::runtime_error("no"); });
      co_return 0;
    };
    auto failing = spawn(fails());
    try {
      co_await failing;
    } catch (const std::runtime_error&) {
      co_return same ? one : -1;
    }
    co_return -2;
  };
  CHECK(runtime.block_on(body()) == 1);
}

TEST_CASE("a current_thread runtime refuses to block in place") {
  auto runtime = Builder::current_thread().build();
  const auto body = []() -> Task<std::string> {
    try {
      block_in_place([] {});
    } catch (const std::logic_error& error) {
      co_return error.what();
    }
    co_return "";
  };
  CHECK_THAT(runtime.block_on(body()), Catch::Contains("use spawn_blocking"));
  auto call = runtime.spawn_blocking([] { return block_in_place([] { return 3; }); });
  const auto take = [](JoinHandle<int> joined) -> Task<int> { co_return co_await joined; };
  CHECK(runtime.block_on(take(std::move(call))) == 3);
}

TEST_CASE("shutdown waits for a call that blocks in place, and an abort for its end") {
  std::atomic<bool> inside{false}, release{false}, ended{false};
  {
    auto runtime = Builder::multi_thread().worker_threads(1).build();
    const auto blocks = [](std::atomic<bool>& in, std::atomic<bool>& out,
                           std::atomic<bool>& over) -> Task<void> {
      block_in_place([&] {
        in.store(true);
        until([&] { return out.load(); });
        over.store(true);
      });
      co_await time::sleep(24h);
    };
    auto handle = runtime.spawn(blocks(inside, release, ended));
    until([&] { return inside.load(); });
    handle.abort();
    CHECK_FALSE(handle.is_finished());
    std::thread releases([&] { release.store(true); });
    runtime.shutdown();
    CHECK(ended.load());
    CHECK(handle.is_finished());
    releases.join();
  }
}

TEST_CASE("hooks are called once for each thread, spare ones too") {
  std::atomic<int> started{0}, stopped{0};
  {
    auto runtime = Builder::multi_thread()
                       .worker_threads(1)
                       .on_thread_start([&] { ++started; })
                       .on_thread_stop([&] { ++stopped; })
                       .build();
    const auto blocks = []() -> Task<void> {
      for (int i = 0; i < 5; ++i) {
        block_in_place([] {});
        co_await yield_now();
      }
    };
    auto handle = runtime.spawn(blocks());
    until([&] { return handle.is_finished(); });
  }
  CHECK(started.load() == stopped.load());
  CHECK(started.load() >= 2);
  CHECK(started.load() <= 6);
}
