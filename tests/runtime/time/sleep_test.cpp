#include "taskscope/runtime/time/sleep.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
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

/// A sleep of the caller's that loses, is over meanwhile, and is awaited again.
Task<bool> kept_across_a_lost_select(bool over) {
  auto kept = time::sleep(over ? 1ms : 24h);
  const auto first = co_await select_biased(kept, yield_now());
  if (first.index() != 1 || kept.is_elapsed()) co_return false;
  const auto levels = scheduler::current_timers().occupancy();
  if (std::accumulate(levels.begin(), levels.end(), 0u) != 0) co_return false;
  co_await time::sleep(3ms);
  if (!over) kept.reset(time::now() + 1ms);
  co_await kept;
  co_return kept.is_elapsed();
}

struct Workers final : observe::WorkerVisitor {
  void visit(const observe::WorkerView& view) override { views.push_back(view); }
  std::vector<observe::WorkerView> views;
};
/// The system call in which a thread of this process sleeps; -1: none, or the kernel doesn't tell.
long system_call_of(int tid) {
  std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/syscall");
  long number = -1;
  return file >> number ? number : -1;
}
bool sleeps_in_driver(int tid) {
  const long call = system_call_of(tid);
  return call == SYS_epoll_pwait || call == SYS_epoll_pwait2
#if defined(SYS_epoll_wait)
         || call == SYS_epoll_wait
#endif
      ;
}
/// Sleeps, or blocks the worker until a timer has fired; gives the thread that began it.
Task<int> thread_that_enters_a_timer(bool blocks) {
  const auto tid = static_cast<int>(syscall(SYS_gettid));
  if (blocks) {
    const bool fired = co_await block_until_fired();
    co_return fired ? tid : 0;
  }
  co_await time::sleep(1ms);
  co_return tid;
}
Task<int> await_tid(JoinHandle<int> handle) { co_return co_await std::move(handle); }

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

TEST_CASE(
    "sleep: one kept by its owner across a select that it lost wakes nobody, and works again") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  for (const bool over : {true, false})
    CHECK(runtime.block_on(await_handle(runtime.spawn(kept_across_a_lost_select(over)))));
}

TEST_CASE("sleep: a timer entered while another worker sits in the driver without end fires") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  // Both sleep, one of them in the driver; the other one is woken, enters a timer and sleeps again,
  // or blocks until it has fired. Which one is woken is the runtime's choice: until it was not the
  // one in the driver.
  for (const bool blocks : {false, true}) {
    bool met = false;
    for (int round = 0; round < 100 && !met; ++round) {
      int in_driver = -1;
      for (int looks = 0; looks < 10'000; ++looks) {
        Workers workers;
        runtime.inspector().visit_workers(workers);
        const auto& both = workers.views;
        if (both[0].parked && both[1].parked) {
          in_driver = sleeps_in_driver(both[0].tid)   ? both[0].tid
                      : sleeps_in_driver(both[1].tid) ? both[1].tid
                                                      : -1;
          if (in_driver != -1) break;
        }
        std::this_thread::yield();
      }
      const int began =
          runtime.block_on(await_tid(runtime.spawn(thread_that_enters_a_timer(blocks))));
      CHECK(began != 0);
      met = in_driver != -1 && began != in_driver;
    }
    if (!met) WARN("the workers never slept as the test wants them to");
  }
}
