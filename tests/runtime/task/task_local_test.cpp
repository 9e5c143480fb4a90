#include "taskscope/runtime/task/task_local.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

const TaskLocal<int> number;
const TaskLocal<std::string> word;

Task<int> reads() { co_return number.get(); }
Task<int> reads_late(int yields) {
  for (int i = 0; i < yields; ++i) co_await yield_now();
  co_await time::sleep(1ms);
  co_return co_await reads();
}
Task<bool> nothing_set() { co_return !number.try_get().has_value() && !word.try_get().has_value(); }

/// Writes down what is in force when it ends.
struct Last {
  explicit Last(std::vector<int>& where) : into(&where) {}
  Last(Last&& other) noexcept : into(std::exchange(other.into, nullptr)) {}
  Last& operator=(Last&&) = delete;
  ~Last() {
    if (into != nullptr) into->push_back(number.try_get().value_or(-1));
  }
  std::vector<int>* into;
};
Task<void> waits_for_ever(Last) { co_await time::sleep(24h); }

}  // namespace

TEST_CASE("a scope's value is seen by all that is awaited inside, and by nobody outside") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto body = []() -> Task<bool> {
    const bool before = co_await nothing_set();
    const int inside = co_await number.scope(7, reads_late(3));
    const bool after = co_await nothing_set();
    co_return before&& inside == 7 && after;
  };
  CHECK(runtime.block_on(body()));
  const auto spawned = []() -> Task<int> {
    auto handle = spawn(number.scope(9, reads_late(50)));
    co_return co_await handle;
  };
  CHECK(runtime.block_on(spawned()) == 9);
}

TEST_CASE("scopes nest, and end where they end") {
  auto runtime = Builder::current_thread().build();
  const auto inner = []() -> Task<std::string> {
    const int outside = number.get();
    const int inside = co_await number.scope(2, reads_late(1));
    const int again = number.get();
    co_return word.get() + std::to_string(outside) + std::to_string(inside) + std::to_string(again);
  };
  const auto middle = [](Task<std::string> task) -> Task<std::string> {
    co_await yield_now();
    auto named = word.scope("w", std::move(task));
    auto result = co_await std::move(named);
    co_return word.try_get().has_value() ? "leaked" : result;
  };
  CHECK(runtime.block_on(number.scope(1, middle(inner()))) == "w121");
}

TEST_CASE("arms of select and join have the values of their scope, each its own") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto body = []() -> Task<bool> {
    const auto both = co_await join(number.scope(1, reads_late(4)), number.scope(2, reads_late(3)),
                                    reads_late(5));
    const auto first = co_await select(reads_late(2), time::sleep(24h));
    const auto timed = co_await time::timeout(24h, reads_late(2));
    co_return both == std::tuple(1, 2, 5) && std::get<0>(first) == 5 && timed.value() == 5;
  };
  for (int round = 0; round < 50; ++round) CHECK(runtime.block_on(number.scope(5, body())));
}

TEST_CASE("spawned tasks inherit no value") {
  auto runtime = Builder::current_thread().build();
  const auto body = []() -> Task<bool> {
    auto handle = spawn(nothing_set());
    auto blocking = spawn_blocking([] { return !number.try_get().has_value(); });
    const bool task = co_await handle;
    const bool call = co_await blocking;
    co_return task&& call&& number.get() == 3;
  };
  CHECK(runtime.block_on(number.scope(3, body())));
}

TEST_CASE("many tasks on several workers keep their own values apart") {
  auto runtime = Builder::multi_thread().worker_threads(3).build();
  const auto body = []() -> Task<int> {
    std::vector<JoinHandle<int>> handles;
    for (int i = 0; i < 200; ++i) handles.push_back(spawn(number.scope(i, reads_late(i % 7))));
    int right = 0;
    for (int i = 0; i < 200; ++i) {
      const int got = co_await handles[static_cast<std::size_t>(i)];
      if (got == i) ++right;
    }
    co_return right;
  };
  CHECK(runtime.block_on(body()) == 200);
}

TEST_CASE("a value is destroyed with its scope, after what the body held") {
  auto runtime = Builder::current_thread().build();
  static const TaskLocal<std::shared_ptr<int>> shared;
  const auto value = std::make_shared<int>(1);
  std::vector<int> last;
  const auto done = [](std::shared_ptr<int> given) -> Task<long> {
    const auto uses = []() -> Task<long> {
      co_await yield_now();
      co_return shared.with([](const std::shared_ptr<int>& one) { return one.use_count(); });
    };
    co_return co_await shared.scope(std::move(given), uses());
  };
  CHECK(runtime.block_on(done(value)) > 1);
  CHECK(value.use_count() == 1);

  SECTION("cancelled by select") {
    const auto body = [](std::vector<int>& into) -> Task<void> {
      const auto won = co_await select(number.scope(6, waits_for_ever(Last(into))), yield_now());
      static_cast<void>(won);
    };
    runtime.block_on(body(last));
  }
  SECTION("aborted") {
    const auto body = [](std::vector<int>& into) -> Task<void> {
      auto handle = spawn(number.scope(6, waits_for_ever(Last(into))));
      co_await yield_now();
      handle.abort();
      while (!handle.is_finished()) co_await yield_now();
    };
    runtime.block_on(body(last));
  }
  SECTION("at shutdown") {
    runtime.spawn(number.scope(6, waits_for_ever(Last(last)))).detach();
    const auto yields = []() -> Task<void> { co_await yield_now(); };
    runtime.block_on(yields());
    runtime.shutdown();
  }
  SECTION("thrown out of") {
    const auto throws = [](Last) -> Task<void> {
      co_await yield_now();
      throw std::runtime_error("broken");
    };
    CHECK_THROWS_WITH(runtime.block_on(number.scope(6, throws(Last(last)))), "broken");
  }
  CHECK(last == std::vector<int>{6});
}

TEST_CASE("sync_scope, with and try_with need no coroutine, and reading outside says so") {
  CHECK(number.sync_scope(4, [] { return number.get(); }) == 4);
  CHECK(number.sync_scope(4, [] { return number.sync_scope(5, [] { return number.get(); }); }) ==
        5);
  CHECK_FALSE(number.try_get().has_value());
  CHECK_THROWS_WITH(number.get(), Catch::Contains("outside of a scope"));
  const auto none = number.try_with([](int value) { return value; });
  CHECK_FALSE(none.has_value());
  const auto some =
      number.sync_scope(8, [] { return number.try_with([](int value) { return value + 1; }); });
  CHECK(some.value() == 9);
  auto runtime = Builder::current_thread().build();
  const auto body = []() -> Task<int> {
    const int inside = number.sync_scope(1, [] { return number.get(); });
    co_await yield_now();
    co_return inside * 10 + number.get();
  };
  CHECK(runtime.block_on(number.scope(2, body())) == 12);
}
