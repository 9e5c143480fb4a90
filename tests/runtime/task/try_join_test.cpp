#include "taskscope/runtime/task/try_join.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

enum class Trouble : std::uint8_t { Small, Large };

struct Mark {
  Mark(std::vector<int>& into, int value) : order(into), number(value) {}
  ~Mark() { order.push_back(number); }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
  std::vector<int>& order;
  int number;
};

Task<Result<int, Trouble>> gives(int yielding, int value) {
  for (int i = 0; i < yielding; ++i) co_await yield_now();
  co_return value;
}
Task<Result<std::unique_ptr<int>, Trouble>> gives_owned(int value) {
  co_return std::make_unique<int>(value);
}
Task<Result<void, Trouble>> nothing() {
  co_await yield_now();
  co_return Result<void, Trouble>();
}
Task<Result<int, Trouble>> fails(int yielding, Trouble trouble) {
  for (int i = 0; i < yielding; ++i) co_await yield_now();
  co_return trouble;
}
Task<Result<int, Trouble>> throws() {
  co_await yield_now();
  throw std::runtime_error("arm");
}
Task<Result<int, Trouble>> marked(std::vector<int>& order, int value) {
  const Mark mark(order, value);
  co_await time::sleep(24h);
  co_return value;
}
Task<bool> waits(std::vector<int>& order) {
  const auto all = co_await try_join(marked(order, 1), gives(0, 1), marked(order, 2));
  co_return all.has_value();
}
Task<bool> gives_up(std::vector<int>& order) {
  const auto late = co_await time::timeout(1ms, waits(order));
  co_return late.has_value();
}

}  // namespace

TEST_CASE("try_join gives all results when none fails") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto body = []() -> Task<int> {
    auto all = co_await try_join(gives(3, 1), gives_owned(2), nothing(), gives(0, 4));
    if (!all) co_return -1;
    const auto& [a, b, c, d] = *all;
    static_cast<void>(c);
    co_return a + *b + d;
  };
  for (int i = 0; i < 20; ++i) CHECK(runtime.block_on(body()) == 7);
}

TEST_CASE("try_join gives the first error, and the others are gone before it returns") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto body = []() -> Task<std::string> {
    std::vector<int> order;
    const auto all = co_await try_join(marked(order, 1), fails(5, Trouble::Small),
                                       fails(2, Trouble::Large), marked(order, 2), gives(0, 1));
    if (all || all.error() != Trouble::Large) co_return "not the first";
    if (order != std::vector<int>{2, 1}) co_return "the others live";
    // One that fails at once keeps those behind it from beginning.
    const auto at_once = co_await try_join(fails(0, Trouble::Small), marked(order, 3));
    co_return !at_once && order.size() == 2 ? "ok" : "begun";
  };
  CHECK(runtime.block_on(body()) == "ok");
}

TEST_CASE("try_join rethrows what an arm threw, after destroying the others") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  std::vector<int> order;
  const auto body = [](std::vector<int>& into) -> Task<void> {
    const auto all = co_await try_join(marked(into, 1), throws());
    static_cast<void>(all.has_value());
  };
  CHECK_THROWS_WITH(runtime.block_on(body(order)), "arm");
  CHECK(order == std::vector<int>{1});
}

TEST_CASE("a try_join that is cancelled, or left by a shutdown, destroys its arms") {
  std::vector<int> order;
  {
    auto runtime = Builder::multi_thread().worker_threads(1).build();
    CHECK_FALSE(runtime.block_on(gives_up(order)));
    CHECK(order.size() == 2);
    auto left = runtime.spawn(waits(order));
    const auto wait = []() -> Task<void> { co_await time::sleep(2ms); };
    runtime.block_on(wait());
  }
  CHECK((order.size() == 2 || order.size() == 4));
}
