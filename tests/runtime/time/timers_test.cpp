#include "taskscope/runtime/time/timers.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "taskscope/runtime/runtime.h"

using namespace taskscope::runtime;
using time::Inserted;
using time::kNever;
using time::Timers;

namespace {

constexpr std::uint64_t kMs = time::kTickNs;

/// Waits in a wheel whose clock is the test's.
class ManualSleep final : public time::TimerNode {
 public:
  ManualSleep(Timers& timers, std::uint64_t deadline_ns, Inserted* how = nullptr)
      : TimerNode(deadline_ns), timers_(timers), how_(how) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    suspend(awaiting);
    const auto how = start_in(timers_);
    if (how_ != nullptr) *how_ = how;
    return how != Inserted::Past;
  }
  void await_resume() noexcept { stop(); }

 private:
  Timers& timers_;
  Inserted* how_;
};

std::uint32_t waiting(const Timers& timers) {
  const auto levels = timers.occupancy();
  return std::accumulate(levels.begin(), levels.end(), 0u);
}
void await_waiting(const Timers& timers, std::uint32_t count) {
  while (waiting(timers) != count) std::this_thread::yield();
}
std::size_t advance(Timers& timers, std::uint64_t now_ns) {
  task::WakeBatch wakes;
  return timers.advance(now_ns, wakes);
}

Task<int> sleeper(Timers& timers, std::uint64_t deadline_ns, int result) {
  co_await ManualSleep(timers, deadline_ns);
  co_return result;
}
template <class T>
Task<T> joined(JoinHandle<T> handle) {
  co_return co_await std::move(handle);
}
Task<Inserted> how_inserted(Timers& timers, std::uint64_t deadline_ns) {
  auto how = Inserted::Later;
  co_await ManualSleep(timers, deadline_ns, &how);
  co_return how;
}

}  // namespace

TEST_CASE("timers: a timer fires in the first tick that begins at its deadline or after it") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  Timers timers(100 * kMs);
  auto exact = runtime.spawn(sleeper(timers, 105 * kMs, 1));
  auto between = runtime.spawn(sleeper(timers, 105 * kMs + 1, 2));
  await_waiting(timers, 2);
  CHECK(timers.next_deadline_ns() == 105 * kMs);
  CHECK(advance(timers, 105 * kMs - 1) == 0);
  CHECK(advance(timers, 105 * kMs) == 1);
  CHECK(runtime.block_on(joined(std::move(exact))) == 1);
  CHECK(timers.next_deadline_ns() == 106 * kMs);
  CHECK(advance(timers, 106 * kMs - 1) == 0);
  CHECK(advance(timers, 106 * kMs) == 1);
  CHECK(runtime.block_on(joined(std::move(between))) == 2);
  CHECK(timers.next_deadline_ns() == kNever);
  CHECK(timers.fired() == 2);
}

TEST_CASE("timers: lateness is counted from the tick a timer was due in") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  Timers timers(0);
  auto punctual = runtime.spawn(sleeper(timers, 5 * kMs, 1));
  await_waiting(timers, 1);
  CHECK(advance(timers, 6 * kMs - 1) == 1);
  CHECK(timers.late() == 0);
  CHECK(timers.late_max_ns() == kMs - 1);
  auto late = runtime.spawn(sleeper(timers, 10 * kMs, 1));
  await_waiting(timers, 1);
  CHECK(advance(timers, 30 * kMs) == 1);
  CHECK(timers.late() == 1);
  CHECK(timers.late_max_ns() == 20 * kMs);
  CHECK(runtime.block_on(joined(std::move(punctual))) + runtime.block_on(joined(std::move(late))) ==
        2);
}

TEST_CASE("timers: inserting says whether the deadline is the earliest") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  Timers timers(0);
  auto first = runtime.spawn(how_inserted(timers, 50 * kMs));
  await_waiting(timers, 1);
  auto later = runtime.spawn(how_inserted(timers, 60 * kMs));
  await_waiting(timers, 2);
  auto earlier = runtime.spawn(how_inserted(timers, 40 * kMs));
  await_waiting(timers, 3);
  CHECK(advance(timers, 60 * kMs) == 3);
  CHECK(runtime.block_on(joined(std::move(first))) == Inserted::Earliest);
  CHECK(runtime.block_on(joined(std::move(later))) == Inserted::Later);
  CHECK(runtime.block_on(joined(std::move(earlier))) == Inserted::Earliest);
  CHECK(runtime.block_on(how_inserted(timers, 60 * kMs)) == Inserted::Past);
  CHECK(waiting(timers) == 0);
}

TEST_CASE("timers: more timers at once than a batch of wakes holds") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  Timers timers(0);
  std::vector<JoinHandle<int>> handles;
  for (int i = 0; i < 1000; ++i) handles.push_back(runtime.spawn(sleeper(timers, 7 * kMs, i)));
  await_waiting(timers, 1000);
  std::size_t fired = 0;
  for (int calls = 0; fired < 1000; ++calls) {
    REQUIRE(timers.next_deadline_ns() <= 7 * kMs);  // what is due and not fired is not forgotten
    fired += advance(timers, 7 * kMs);
    REQUIRE(calls < 1000);
  }
  CHECK(fired == 1000);
  CHECK(timers.next_deadline_ns() == kNever);
  int wrong = 0;
  for (int i = 0; i < 1000; ++i) {
    wrong += runtime.block_on(joined(std::move(handles[static_cast<std::size_t>(i)]))) == i ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("timers: an aborted sleeper leaves the wheel") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  Timers timers(0);
  std::vector<JoinHandle<int>> handles;
  for (int i = 0; i < 50; ++i) handles.push_back(runtime.spawn(sleeper(timers, 5 * kMs, i)));
  await_waiting(timers, 50);
  for (std::size_t i = 0; i < 50; i += 2) handles[i].abort();
  await_waiting(timers, 25);
  CHECK(advance(timers, 5 * kMs) == 25);
  CHECK(timers.fired() == 25);
}

TEST_CASE("timers: inserting, firing and cancelling exclude each other") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  Timers timers(0);
  std::atomic<bool> stop{false};
  std::uint64_t now = 0;
  // Two threads advance, as worker and helper do.
  std::thread helper([&] {
    while (!stop.load(std::memory_order_relaxed)) {
      advance(timers, timers.next_deadline_ns() == kNever ? 0 : timers.next_deadline_ns());
    }
  });
  std::uint64_t ended = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<JoinHandle<int>> handles;
    for (std::uint64_t i = 0; i < 20; ++i) {
      handles.push_back(runtime.spawn(sleeper(timers, now + (i % 7) * kMs, 1)));
    }
    for (std::size_t i = 0; i < handles.size(); i += 3) handles[i].abort();
    for (auto& handle : handles) {
      while (!handle.is_finished()) {
        now += kMs;
        advance(timers, now);
      }
      ++ended;
    }
  }
  stop.store(true, std::memory_order_relaxed);
  helper.join();
  CHECK(ended == 4000);
  CHECK(waiting(timers) == 0);
}
