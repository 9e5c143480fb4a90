#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <coroutine>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/task/waker.h"
#include "taskscope/runtime/time/sleep.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

/// Somebody else's awaitable: resumes the coroutine on a thread of its own.
struct OnAnotherThread {
  int value;
  std::thread& thread;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting) const {
    // The new thread may free this awaiter before the assignment.
    std::thread& started = thread;
    started = std::thread([awaiting] { awaiting.resume(); });
  }
  [[nodiscard]] int await_resume() const {
    if (value < 0) throw std::runtime_error("negative");
    return value;
  }
};

Task<int> adapted(int value, std::thread& thread) {
  OnAnotherThread foreign{value, thread};
  const int result = co_await adapt(foreign);
  co_return result * 2;
}

/// A flag with one waker, set from a plain thread.
struct Flag {
  std::mutex mutex;
  bool set = false;
  std::optional<task::Waker> waker;

  void raise() {
    std::optional<task::Waker> waiting;
    {
      const std::lock_guard lock(mutex);
      set = true;
      waiting = waker;
    }
    if (waiting) waiting->wake();
  }
};

Task<void> wait_for(Flag& flag) {
  const auto look = [&flag](task::Waker waker) {
    const std::lock_guard lock(flag.mutex);
    flag.waker = std::move(waker);
    return flag.set;
  };
  auto wait = poll_fn(look);
  co_await wait;
}

}  // namespace

TEST_CASE("adapt awaits a foreign awaitable and goes on inside the runtime") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  for (int i = 0; i < 50; ++i) {
    std::thread thread;
    CHECK(runtime.block_on(adapted(i, thread)) == 2 * i);
    thread.join();
  }
  std::thread thread;
  CHECK_THROWS_WITH(runtime.block_on(adapted(-1, thread)), "negative");
  thread.join();
}

TEST_CASE("a waker wakes from any thread, again and again, and after the task is over") {
  std::optional<task::Waker> kept;
  {
    auto runtime = Builder::multi_thread().worker_threads(2).build();
    for (int i = 0; i < 50; ++i) {
      Flag flag;
      auto handle = runtime.spawn(wait_for(flag));
      std::thread thread([&flag] { flag.raise(); });
      const auto join = [](JoinHandle<void>& joined) -> Task<void> { co_await joined; };
      runtime.block_on(join(handle));
      thread.join();
      kept = flag.waker;
      kept->wake();
    }
  }
  kept->wake();
  CHECK(kept.has_value());
}

TEST_CASE("a waker of an earlier wait costs a poll and nothing else") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto outer = []() -> Task<bool> {
    Flag flag;
    flag.set = true;
    co_await wait_for(flag);
    const task::Waker stale = *flag.waker;
    std::thread thread([stale] {
      for (int i = 0; i < 1000; ++i) stale.wake();
    });
    const auto begin = std::chrono::steady_clock::now();
    co_await time::sleep(20ms);
    const auto slept = std::chrono::steady_clock::now() - begin;
    thread.join();
    co_return slept >= 20ms;
  };
  auto handle = runtime.spawn(outer());
  const auto join = [](JoinHandle<bool>& joined) -> Task<bool> { co_return co_await joined; };
  CHECK(runtime.block_on(join(handle)));
}
