#include "taskscope/runtime/sync/once_cell.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
using sync::OnceCell;

namespace {

/// How the value is made: after `yielding` turns, or never, or not at all.
struct Maker {
  std::atomic<int>& calls;
  int yielding = 0;
  bool fails = false;
  sync::Notify* until = nullptr;
  Task<std::string> operator()() const { return make(*this); }
  static Task<std::string> make(Maker self) {
    ++self.calls;
    co_await yields(self.yielding);
    if (self.until != nullptr) co_await self.until->notified();
    if (self.fails) throw std::runtime_error("factory");
    co_return "made";
  }
};

Task<std::string> get(OnceCell<std::string>& cell, Maker maker) {
  const std::string* value = co_await cell.get_or_init(maker);
  co_return *value;
}

}  // namespace

TEST_CASE("a once cell is filled once, however many ask at once") {
  auto runtime = runtime_with(4);
  const auto body = []() -> Task<std::string> {
    OnceCell<std::string> cell;
    std::atomic<int> calls{0};
    if (cell.get() != nullptr || cell.initialized()) co_return "full";
    std::vector<JoinHandle<std::string>> handles;
    for (int i = 0; i < 100; ++i) handles.push_back(spawn(get(cell, Maker{calls, 5})));
    for (auto& handle : handles) {
      const auto value = co_await handle;
      if (value != "made") co_return "value";
    }
    if (calls != 1 || cell.set("other")) co_return "twice";
    co_return *cell.get();
  };
  for (int i = 0; i < 20; ++i) CHECK(runtime.block_on(on_worker(body())) == "made");
}

TEST_CASE("a once cell can be set from outside, once") {
  OnceCell<std::string> cell;
  CHECK(cell.set("first"));
  CHECK_FALSE(cell.set("second"));
  CHECK(*cell.get() == "first");
  auto runtime = runtime_with(1);
  std::atomic<int> calls{0};
  CHECK(runtime.block_on(get(cell, Maker{calls})) == "first");
  CHECK(calls == 0);
}

TEST_CASE("a factory that fails leaves the cell to the next in line") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    OnceCell<std::string> cell("failing cell");
    std::atomic<int> calls{0};
    sync::Notify go;
    auto failing = spawn(get(cell, Maker{calls, 0, true, &go}));
    while (calls != 1) co_await yield_now();
    auto next = spawn(get(cell, Maker{calls}));
    co_await until_waiting(inspected, "failing cell", 1);
    if (cell.set("no")) co_return "set while it is made";
    go.notify_one();
    std::string what;
    try {
      what = co_await failing;
    } catch (const std::runtime_error& error) {
      what = error.what();
    }
    const auto value = co_await next;
    co_return what == "factory" && calls == 2 ? value : what;
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "made");
}

TEST_CASE("a once cell's waits and factories may be cancelled anywhere") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    OnceCell<std::string> cell("cancelled cell");
    std::atomic<int> calls{0};
    sync::Notify never;
    // While it makes the value, with one behind it.
    auto filling = spawn(get(cell, Maker{calls, 0, false, &never}));
    while (calls != 1) co_await yield_now();
    const auto late = co_await time::timeout(1ms, get(cell, Maker{calls}));
    if (late || see(inspected, "cancelled cell")->waiters != 0) co_return "still in line";
    auto next = spawn(get(cell, Maker{calls, 0, false, &never}));
    co_await until_waiting(inspected, "cancelled cell", 1);
    filling.abort();
    while (calls != 2) co_await yield_now();
    next.abort();
    const auto value = co_await get(cell, Maker{calls});
    co_return calls == 3 ? value : "calls";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "made");
}

TEST_CASE("watchers see who fills a once cell and who waits; a runtime shuts down with both") {
  auto runtime = runtime_with(1);
  OnceCell<std::string> cell("seen cell");
  std::atomic<int> calls{0};
  sync::Notify never;
  const auto filling = runtime.spawn(get(cell, Maker{calls, 0, false, &never}));
  while (calls != 1) std::this_thread::yield();
  const auto waiting = runtime.spawn(get(cell, Maker{calls}));
  auto seen = see(runtime, "seen cell");
  while (seen->waiters != 1) seen = see(runtime, "seen cell");
  CHECK(seen->kind == observe::ResourceKind::OnceCell);
  CHECK(seen->attributes.at("initialized") == 0);
  REQUIRE(seen->holders.size() == 1);
  CHECK(seen->holders[0].task == filling.id());
  CHECK(seen->holders[0].certain);
  auto waits = waits_of(runtime, waiting.id());
  while (waits.empty()) waits = waits_of(runtime, waiting.id());
  CHECK(waits[0].op == observe::WaitOp::Get);
  runtime.shutdown();
  CHECK_FALSE(cell.initialized());
  CHECK(see(runtime, "seen cell")->holders.empty());
}

TEST_CASE("a once cell says why it was not set, and can be emptied by its only user") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<std::string> {
    OnceCell<std::string> cell;
    std::atomic<int> calls{0};
    sync::Notify go;
    auto making = spawn(get(cell, Maker{calls, 0, false, &go}));
    while (calls != 1) co_await yield_now();
    const auto while_made = cell.set("no");
    if (while_made || while_made.error() != sync::SetError::Initializing) co_return "initializing";
    go.notify_one();
    const auto made = co_await making;
    const auto too_late = cell.set("no");
    if (too_late || too_late.error() != sync::SetError::AlreadyInitialized) co_return "initialized";
    auto taken = cell.take();
    if (!taken || *taken != made || cell.initialized()) co_return "taken";
    if (cell.take()) co_return "taken twice";
    const auto again = cell.set("again");
    co_return again && *cell.get() == "again" ? "ok" : "not set again";
  };
  CHECK(runtime.block_on(on_worker(body())) == "ok");
}

TEST_CASE("a factory that gives an error leaves the cell to the next in line") {
  auto runtime = runtime_with(1);
  using Made = Result<std::string, int>;
  struct Trying {
    static Task<Made> make(bool fails, sync::Notify* until) {
      if (until != nullptr) co_await until->notified();
      if (fails) co_return 5;
      co_return std::string("made");
    }
    static Task<std::string> get(OnceCell<std::string>& cell, bool fails, sync::Notify* until) {
      const auto factory = [fails, until] { return make(fails, until); };
      const auto value = co_await cell.get_or_try_init(factory);
      if (!value) co_return "error " + std::to_string(value.error());
      co_return **value;
    }
  };
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    OnceCell<std::string> cell("trying cell");
    sync::Notify go;
    auto failing = spawn(Trying::get(cell, true, &go));
    while (!see(inspected, "trying cell") || see(inspected, "trying cell")->holders.empty())
      co_await yield_now();
    auto next = spawn(Trying::get(cell, false, nullptr));
    co_await until_waiting(inspected, "trying cell", 1);
    go.notify_one();
    auto what = co_await failing;
    const auto value = co_await next;
    const auto there = co_await Trying::get(cell, true, nullptr);
    what += ", " + value + ", " + there;
    co_return what;
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "error 5, made, made");
}
