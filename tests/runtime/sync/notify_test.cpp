#include "taskscope/runtime/sync/notify.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
using sync::Notify;

namespace {

Task<void> log_when_notified(Notify& notify, char letter, std::string& log) {
  co_await notify.notified();
  log.push_back(letter);
}
Task<void> notify_and_end(Notify& notify, bool all) {
  all ? notify.notify_waiters() : notify.notify_one();
  co_return;
}
/// Whether a notification is there to be had.
Task<bool> pending(Notify& notify) {
  const auto result = co_await select_biased(notify.notified(), at_once());
  co_return result.index() == 0;
}

}  // namespace

TEST_CASE("notify_one without a waiter leaves one permit") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<std::string> {
    Notify notify;
    const bool before = co_await pending(notify);
    notify.notify_one();
    notify.notify_one();
    const bool first = co_await pending(notify);
    const bool second = co_await pending(notify);
    co_return !before && first && !second ? "ok" : "wrong";
  };
  CHECK(runtime.block_on(body()) == "ok");
}

TEST_CASE("notify_one wakes the first in line, notify_waiters all") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Notify notify("line");
    std::string log;
    std::vector<JoinHandle<void>> handles;
    for (int i = 0; i < 40; ++i) {
      const char letter = static_cast<char>('A' + i);
      handles.push_back(spawn(log_when_notified(notify, letter, log)));
      co_await until_waiting(inspected, "line", static_cast<std::uint32_t>(i + 1));
    }
    notify.notify_one();
    while (log.empty()) co_await yield_now();
    if (log != "A") co_return "not the first";
    notify.notify_waiters();
    for (auto& handle : handles) co_await handle;
    const bool left = co_await pending(notify);
    if (left) co_return "notify_waiters left a permit";
    co_return log.size() == 40 ? "ok" : "not all";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}

TEST_CASE("notify_waiters counts for every notified() called before it") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<std::string> {
    Notify notify;
    auto early = notify.notified();
    notify.notify_waiters();
    auto late = notify.notified();
    co_await early;
    co_await early;  // done is done
    const auto result = co_await select_biased(late, at_once());
    co_return result.index() == 1 ? "ok" : "woke one that came later";
  };
  CHECK(runtime.block_on(body()) == "ok");
}

TEST_CASE("an enabled notified() stands in line before it is awaited") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Notify notify("enabled");
    auto first = notify.notified();
    auto second = notify.notified();
    if (first.enable() || second.enable()) co_return "notified by nobody";
    if (see(inspected, "enabled")->waiters != 2) co_return "not in line";
    notify.notify_one();
    notify.notify_one();
    co_await second;
    co_await first;
    const bool left = co_await pending(notify);
    if (left) co_return "a permit too many";
    notify.notify_one();
    auto third = notify.notified();
    co_return third.enable() ? "ok" : "enable left the permit";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a notified() cancelled in line costs nobody a notification") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Notify notify("cancelled notified");
    const auto late = co_await time::timeout(1ms, notify.notified());
    if (late || see(inspected, "cancelled notified")->waiters != 0) co_return "still in line";
    notify.notify_one();
    const bool left = co_await pending(notify);
    co_return left ? "ok" : "lost";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a notification of notify_one goes on when the wait it reached is cancelled") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Notify notify("goes on");
    // To the next in line ...
    std::string log;
    {
      auto mine = notify.notified();
      static_cast<void>(mine.enable());
      auto next = spawn(log_when_notified(notify, 'n', log));
      co_await until_waiting(inspected, "goes on", 2);
      const auto result = co_await select_biased(mine, notify_and_end(notify, false));
      if (result.index() != 1) co_return "the cancelled arm won";
      std::move(next).detach();
    }
    while (log.empty()) co_await yield_now();
    // ... or into the permit.
    const auto result = co_await select_biased(notify.notified(), notify_and_end(notify, false));
    if (result.index() != 1) co_return "the cancelled arm won";
    const bool kept = co_await pending(notify);
    if (!kept) co_return "lost";
    // One of notify_waiters was for that wait only.
    const auto all = co_await select_biased(notify.notified(), notify_and_end(notify, true));
    const bool left = co_await pending(notify);
    co_return all.index() == 1 && !left ? "ok" : "notify_waiters was passed on";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}

TEST_CASE("watchers see a notify and its permit") {
  auto runtime = runtime_with(1);
  Notify notify("seen notify");
  notify.notify_one();
  const auto seen = see(runtime, "seen notify");
  REQUIRE(seen);
  CHECK(seen->kind == observe::ResourceKind::Notify);
  CHECK(seen->holders.empty());
  CHECK(seen->attributes.at("permit") == 1);
}

TEST_CASE("notify_last wakes the last in line, and the one before when that is cancelled") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Notify notify("last");
    std::string log;
    std::vector<JoinHandle<void>> handles;
    for (int i = 0; i < 4; ++i) {
      handles.push_back(spawn(log_when_notified(notify, static_cast<char>('A' + i), log)));
      co_await until_waiting(inspected, "last", static_cast<std::uint32_t>(i + 1));
    }
    notify.notify_last();
    co_await handles[3];
    notify.notify_last();
    handles[2].abort();
    co_await handles[1];
    notify.notify_one();
    co_await handles[0];
    notify.notify_last();
    const bool left = co_await pending(notify);
    if (!left) co_return "left no permit";
    co_return log;
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "DBA");
}
