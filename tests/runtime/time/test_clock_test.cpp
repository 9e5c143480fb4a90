#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/time/interval.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/test_clock.h"
#include "taskscope/runtime/time/timeout.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

Runtime paused() { return Builder::current_thread().start_paused(true).build(); }

Task<void> note_after(time::Duration wait, int mark, std::vector<int>& marks) {
  co_await time::sleep(wait);
  marks.push_back(mark);
}

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const std::logic_error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a paused clock jumps to the next deadline when there is nothing to do") {
  auto runtime = paused();
  const auto body = []() -> Task<time::Duration> {
    const auto began = time::now();
    co_await time::sleep(1000h);
    co_return time::now() - began;
  };
  const auto real = std::chrono::steady_clock::now();
  CHECK(runtime.block_on(body()) == 1000h);
  CHECK(std::chrono::steady_clock::now() - real < 1h);
}

TEST_CASE("under a paused clock sleeps end in the order of their deadlines") {
  auto runtime = paused();
  std::vector<int> marks;
  const auto body = [](std::vector<int>& into) -> Task<void> {
    auto late = spawn(note_after(70min, 3, into));
    auto early = spawn(note_after(1ms, 1, into));
    auto middle = spawn(note_after(5s, 2, into));
    co_await late;
    co_await early;
    co_await middle;
  };
  runtime.block_on(body(marks));
  CHECK(marks == std::vector<int>{1, 2, 3});
}

TEST_CASE("advance moves the clock at once and runs what came due on the way") {
  auto runtime = paused();
  struct Seen {
    std::vector<int> marks;
    std::size_t before = 9, after = 9;
    time::Duration moved{};
  } seen;
  const auto body = [](Seen& into) -> Task<void> {
    auto task = spawn(note_after(10s, 1, into.marks));
    auto later = spawn(note_after(11s, 2, into.marks));
    co_await yield_now();
    const auto began = time::now();
    co_await time::advance(9999ms);
    into.before = into.marks.size();
    co_await time::advance(1ms);
    into.after = into.marks.size();
    into.moved = time::now() - began;
    later.abort();
    co_await task;
  };
  runtime.block_on(body(seen));
  CHECK(seen.before == 0);
  CHECK(seen.after == 1);
  CHECK(seen.moved == 10s);
}

TEST_CASE("intervals and timeouts follow the paused clock") {
  auto runtime = paused();
  const auto body = []() -> Task<bool> {
    const auto began = time::now();
    auto hourly = time::interval(1h);
    for (int i = 0; i < 4; ++i) co_await hourly.tick();
    const bool right = time::now() - began == 3h;
    const auto late = co_await time::timeout(30min, time::sleep(1h));
    co_return right && !late.has_value() && time::now() - began == 3h + 30min;
  };
  CHECK(runtime.block_on(body()));
}

TEST_CASE("the clock does not jump while a blocking call is under way") {
  auto runtime = paused();
  const auto body = []() -> Task<time::Duration> {
    const auto began = time::now();
    std::vector<int> marks;
    // So long that the clock has every chance to jump.
    auto call = spawn_blocking([] { std::this_thread::sleep_for(20ms); });
    auto sleeper = spawn(note_after(1h, 1, marks));
    co_await call;
    const auto stood = time::now() - began;
    sleeper.abort();
    co_return stood;
  };
  CHECK(runtime.block_on(body()) == 0s);
}

TEST_CASE("a clock that is resumed runs on from where it stands") {
  auto runtime = Builder::current_thread().build();
  const auto body = []() -> Task<bool> {
    const auto began = time::now();
    time::pause();
    const auto stopped = time::now();
    co_await time::advance(1h);
    const bool stands = time::now() - stopped == 1h;
    time::resume();
    co_await time::sleep(2ms);
    const auto after = time::now() - stopped;
    // And can be paused again.
    time::pause();
    const auto again = time::now();
    const bool stands_again = again == time::now();
    co_return stopped >= began&& stands&& after >= 1h + 2ms && stands_again&& again >= stopped;
  };
  CHECK(runtime.block_on(body()));
}

TEST_CASE("a clock that can't be paused, advanced or resumed says why") {
  auto many = Builder::multi_thread().worker_threads(1).build();
  const auto pauses = []() -> Task<std::string> { co_return message_of([] { time::pause(); }); };
  const auto advances = []() -> Task<void> { co_await time::advance(1s); };
  CHECK_THAT(many.block_on(pauses()), Catch::Contains("outside a current_thread runtime"));
  CHECK_THROWS_AS(many.block_on(advances()), std::logic_error);
  CHECK_THAT(message_of([] { time::pause(); }), Catch::Contains("current_thread"));

  auto one = Builder::current_thread().build();
  CHECK_THROWS_AS(one.block_on(advances()), std::logic_error);
  const auto resumes = []() -> Task<std::string> { co_return message_of([] { time::resume(); }); };
  CHECK_THAT(one.block_on(resumes()), Catch::Contains("pause it first"));
  auto stopped = paused();
  CHECK_THAT(stopped.block_on(pauses()), Catch::Contains("is paused"));
  CHECK_THROWS_AS(Builder::multi_thread().start_paused(true).build(), std::invalid_argument);
}

TEST_CASE("each runtime has its own clock, and threads outside see the true time") {
  auto stopped = paused();
  auto running = Builder::current_thread().build();
  const auto sleeps = []() -> Task<time::Instant> {
    co_await time::sleep(1000h);
    co_return time::now();
  };
  const auto now = []() -> Task<time::Instant> { co_return time::now(); };
  const auto far = stopped.block_on(sleeps());
  CHECK(running.block_on(now()) < far);
  CHECK(time::now() < far);
  CHECK(stopped.block_on(now()) == far);
}
