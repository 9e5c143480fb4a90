#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

struct Mark {
  Mark(std::vector<int>& into, int value) : order(into), number(value) {}
  ~Mark() { order.push_back(number); }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
  std::vector<int>& order;
  int number;
};

Task<int> after(std::chrono::milliseconds wait, int value) {
  co_await time::sleep(wait);
  co_return value;
}
Task<int> marked(std::vector<int>& order, int value) {
  const Mark mark(order, value);
  co_await time::sleep(24h);
  co_return value;
}
Task<int> at_once(int value) { co_return value; }
Task<int> fails() {
  co_await yield_now();
  throw std::runtime_error("arm");
}
Task<void> nothing() { co_await yield_now(); }
/// A wait for a task, kept by its owner across a select that it lost.
Task<int> kept_join() {
  auto handle = spawn(after(1ms, 5));
  auto joining = handle.awaiter();
  const auto result = co_await select_biased(joining, nothing());
  if (result.index() == 0) co_return std::get<0>(result);
  while (!handle.is_finished()) co_await yield_now();
  co_return co_await joining;
}

/// Both notified before it is polled: the inner select is in the arm that comes second.
Task<std::string> nested(sync::Notify& first, sync::Notify& second) {
  const auto inner = [](sync::Notify& notify) -> Task<std::size_t> {
    const auto result = co_await select(notify.notified(), after(24h, 0));
    co_return result.index();
  };
  const auto result = co_await select_biased(first.notified(), inner(second));
  co_return result.index() == 0 ? "first" : "second";
}
Task<std::string> nested_loses(sync::Notify& first, sync::Notify& second) {
  auto selecting = spawn(nested(first, second));
  auto next = spawn(nested(first, second));
  co_await yield_now();
  second.notify_one();
  first.notify_one();
  const auto winner = co_await selecting;
  if (winner != "first") co_return winner;
  co_return co_await next;
}

}  // namespace

TEST_CASE("select gives the first arm, and the losers are gone before it returns") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto outer = []() -> Task<std::string> {
    std::vector<int> order;
    const auto result = co_await select(marked(order, 1), after(1ms, 7), marked(order, 2));
    if (result.index() != 1 || std::get<1>(result) != 7) co_return "wrong winner";
    co_return order.size() == 2 ? "ok" : "losers alive";
  };
  CHECK(runtime.block_on(outer()) == "ok");
  auto spawned = runtime.spawn(outer());
  const auto wait = [](JoinHandle<std::string>& handle) -> Task<std::string> {
    co_return co_await handle;
  };
  CHECK(runtime.block_on(wait(spawned)) == "ok");
}

TEST_CASE("select takes an arm that is ready at once, and void arms give monostate") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto outer = []() -> Task<bool> {
    const auto first = co_await select_biased(at_once(1), at_once(2));
    const auto second = co_await select(nothing(), after(1h, 0));
    co_return std::get<0>(first) == 1 && second.index() == 0;
  };
  CHECK(runtime.block_on(outer()));
}

TEST_CASE("select takes awaitables that are no tasks") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto outer = []() -> Task<std::size_t> {
    auto handle = spawn(after(1ms, 5));
    auto long_sleep = time::sleep(1h);
    const auto result = co_await select(long_sleep, handle);
    co_return result.index() * 10 + static_cast<std::size_t>(std::get<1>(result));
  };
  CHECK(runtime.block_on(outer()) == 15);
}

TEST_CASE("a wait for a task survives a select that it lost") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  for (int i = 0; i < 20; ++i) CHECK(runtime.block_on(kept_join()) == 5);
}

TEST_CASE("select rethrows what the winning arm threw, after destroying the losers") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  std::vector<int> order;
  const auto outer = [](std::vector<int>& into) -> Task<void> {
    const auto result = co_await select(fails(), marked(into, 1));
    static_cast<void>(result);
  };
  CHECK_THROWS_WITH(runtime.block_on(outer(order)), "arm");
  CHECK(order == std::vector<int>{1});
}

TEST_CASE("join runs its arms concurrently and gives all results") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  const auto outer = []() -> Task<int> {
    const auto [a, b, c] = co_await join(after(3ms, 1), after(1ms, 2), at_once(4));
    const auto result = co_await join(nothing(), after(1ms, 8));
    co_return a + b + c + std::get<1>(result);
  };
  CHECK(runtime.block_on(outer()) == 15);
}

TEST_CASE("branches nest: a join of selects of joins") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto pair = [](int base) -> Task<int> {
    const auto [a, b] = co_await join(after(1ms, base), after(2ms, base * 10));
    co_return a + b;
  };
  const auto race = [](Task<int> first) -> Task<int> {
    const auto result = co_await select(std::move(first), after(1h, 0));
    co_return result.index() == 0 ? std::get<0>(result) : std::get<1>(result);
  };
  const auto outer = [](Task<int> a, Task<int> b) -> Task<int> {
    const auto [x, y] = co_await join(std::move(a), std::move(b));
    co_return x + y;
  };
  for (int i = 0; i < 50; ++i) {
    CHECK(runtime.block_on(outer(race(pair(1)), race(pair(2)))) == 33);
  }
}

TEST_CASE("aborting a task destroys every arm") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  std::vector<int> order;
  const auto arms = [](std::vector<int>& into) -> Task<void> {
    const auto result = co_await join(marked(into, 1), marked(into, 2), marked(into, 3));
    static_cast<void>(result);
  };
  auto handle = runtime.spawn(arms(order));
  const auto end = [](JoinHandle<void>& joined) -> Task<bool> {
    co_await time::sleep(2ms);
    joined.abort();
    bool cancelled = false;
    try {
      co_await joined;
    } catch (const Cancelled&) {
      cancelled = true;
    }
    co_return cancelled;
  };
  CHECK(runtime.block_on(end(handle)));
  CHECK(order.size() <= 3);
  CHECK((order.empty() || order.size() == 3));
}

TEST_CASE("more arms than wake bits: two hundred sleeps in one task all end") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  // Eight levels of two arms each, nested: 2^8 leaves.
  struct Tree {
    static Task<int> grow(int depth) {
      if (depth == 0) co_return co_await after(1ms, 1);
      const auto [left, right] = co_await join(grow(depth - 1), grow(depth - 1));
      co_return left + right;
    }
  };
  CHECK(runtime.block_on(Tree::grow(8)) == 256);
}

TEST_CASE("the arms of a select that loses have taken nothing that the winner's turn takes away") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  sync::Notify first, second;
  const auto on_worker = [](sync::Notify& one, sync::Notify& two) -> Task<std::string> {
    auto handle = spawn(nested_loses(one, two));
    co_return co_await handle;
  };
  // What was notified in the loser reaches the next that waits for it.
  CHECK(runtime.block_on(on_worker(first, second)) == "second");
}

namespace {

/// What two channels give, until both have ended.
Task<std::string> drain(sync::mpsc::Receiver<char> first, sync::mpsc::Receiver<char> second) {
  std::string got;
  for (;;) {
    const auto result = co_await select(if_some(first.recv()), if_some(second.recv()), otherwise);
    if (result.index() == 2) co_return got;
    got.push_back(result.index() == 0 ? *std::get<0>(result) : *std::get<1>(result));
  }
}
Task<std::size_t> with_conditions(bool one, bool two) {
  const auto result =
      co_await select_biased(only_if(one, at_once(1)), only_if(two, nothing()), otherwise);
  co_return result.index();
}
Task<bool> nobody_left() {
  try {
    const auto result = co_await select(only_if(false, nothing()));
    static_cast<void>(result);
  } catch (const std::logic_error&) {
    co_return true;
  }
  co_return false;
}
/// The first arm ends empty after a while, and its frame lives until the select is over.
Task<std::optional<int>> ends_empty(std::vector<int>& order) {
  const Mark mark(order, 1);
  co_await yield_now();
  co_return std::nullopt;
}
Task<std::string> declines_and_goes_on(std::vector<int>& order) {
  const auto result = co_await select_biased(if_some(ends_empty(order)), after(1ms, 7));
  if (result.index() != 1) co_return "an arm without a result won";
  co_return order.empty() ? "it was not begun" : "ok";
}

}  // namespace

TEST_CASE("an arm without a value is out, and when none is left the select is over") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  auto [send_first, first] = sync::mpsc::channel<char>(4);
  auto [send_second, second] = sync::mpsc::channel<char>(4);
  for (const char letter : {'a', 'b'}) {
    REQUIRE(send_first.try_send(letter));
    REQUIRE(send_second.try_send(letter));
  }
  auto draining = runtime.spawn(drain(std::move(first), std::move(second)));
  {
    const auto dropped_first = std::move(send_first);
    const auto dropped_second = std::move(send_second);
  }
  const auto join_it = [](JoinHandle<std::string>& handle) -> Task<std::string> {
    co_return co_await handle;
  };
  auto got = runtime.block_on(join_it(draining));
  std::sort(got.begin(), got.end());
  CHECK(got == "aabb");
  std::vector<int> order;
  CHECK(runtime.block_on(declines_and_goes_on(order)) == "ok");
}

TEST_CASE("an arm takes part in a select only if its condition holds") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(with_conditions(true, true)) == 0);
  CHECK(runtime.block_on(with_conditions(false, true)) == 1);
  CHECK(runtime.block_on(with_conditions(false, false)) == 2);
  CHECK(runtime.block_on(nobody_left()));
}
