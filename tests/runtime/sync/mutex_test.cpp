#include "taskscope/runtime/sync/mutex.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
using sync::Mutex;

namespace {

using Text = Mutex<std::string>;
static_assert(!std::is_move_constructible_v<Text::Guard>);
static_assert(std::is_nothrow_move_constructible_v<Text::OwnedGuard>);

Task<void> append(Text& mutex, char letter) {
  auto guard = co_await mutex.lock();
  guard->push_back(letter);
}

/// Holds the lock while `body` of the test goes on, then appends.
Task<void> hold_until(Text& mutex, std::atomic<bool>& let_go) {
  auto guard = co_await mutex.lock();
  while (!let_go) co_await yield_now();
  guard->push_back('.');
}

Task<bool> lock_and_end(Text::OwnedGuard& held) {
  held.unlock();  // grants the lock to the other arm, which is not resumed before we win
  co_return true;
}

}  // namespace

TEST_CASE("a mutex gives its value to one task at a time") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    Text mutex("a");
    {
      auto guard = co_await mutex.lock();
      guard->push_back('b');
      const auto refused = mutex.try_lock();
      if (refused) co_return "locked twice";
      const auto refused_owned = mutex.try_lock_owned();
      if (refused_owned) co_return "locked twice";
    }
    auto guard = mutex.try_lock();
    if (!guard) co_return "still locked";
    guard->push_back('c');
    guard.unlock();
    if (guard) co_return "guard holds what it unlocked";
    auto owned = co_await mutex.lock_owned();
    const auto moved = std::move(owned);
    if (owned) co_return "both guards hold";
    co_return *moved;
  };
  CHECK(runtime.block_on(body()) == "abc");
}

TEST_CASE("a mutex is handed over in order of arrival") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text mutex(std::string(), "ordered");
    auto guard = co_await mutex.lock();
    std::vector<JoinHandle<void>> handles;
    for (char letter = 'a'; letter <= 'h'; ++letter) {
      handles.push_back(spawn(append(mutex, letter)));
      co_await until_waiting(inspected, "ordered", static_cast<std::uint32_t>(letter - 'a' + 1));
    }
    guard.unlock();
    // Between unlock and the first in line nobody else gets in.
    {
      const auto barged = mutex.try_lock();
      if (barged && barged->size() != 8) co_return "barged in";
    }
    for (auto& handle : handles) co_await handle;
    auto last = co_await mutex.lock();
    co_return *last;
  };
  CHECK(runtime.block_on(body(runtime)) == "abcdefgh");
}

TEST_CASE("a lock() that is cancelled in line leaves the line") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text mutex(std::string(), "cancelled");
    auto guard = co_await mutex.lock();
    const auto lost = co_await select_biased(mutex.lock_owned(), at_once());
    if (lost.index() != 1) co_return "locked twice";
    if (see(inspected, "cancelled")->waiters != 0) co_return "still in line";
    guard.unlock();
    const auto free = mutex.try_lock();
    co_return free ? "free" : "lost";
  };
  CHECK(runtime.block_on(body(runtime)) == "free");
}

TEST_CASE("a lock() that is cancelled after the lock was granted passes it on") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text mutex(std::string(), "granted");
    auto held = co_await mutex.lock_owned();
    std::optional<JoinHandle<void>> next;
    {
      // The first arm is first in line, the task second; the last arm unlocks and wins at once.
      auto locking = mutex.lock_owned();
      const auto first = co_await select_biased(locking, at_once());
      if (first.index() != 1) co_return "locked twice";
      next.emplace(spawn(append(mutex, 'n')));
      co_await until_waiting(inspected, "granted", 2);
      const auto second = co_await select_biased(locking, lock_and_end(held));
      if (second.index() != 1) co_return "the cancelled arm won";
    }
    co_await *next;
    auto guard = co_await mutex.lock();
    co_return *guard;
  };
  CHECK(runtime.block_on(body(runtime)) == "n");
}

TEST_CASE("a lock() kept across a cancelled select keeps its place, and gets its lock meanwhile") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text mutex(std::string(), "kept");
    auto held = co_await mutex.lock_owned();
    auto locking = mutex.lock_owned();
    const auto first = co_await select_biased(locking, at_once());
    if (first.index() != 1) co_return "locked twice";
    auto later = spawn(append(mutex, 'l'));
    co_await until_waiting(inspected, "kept", 2);
    held.unlock();
    const auto seen = see(inspected, "kept");
    if (seen->waiters != 1) co_return "not granted while nobody awaits";
    {
      auto guard = co_await locking;
      guard->push_back('k');
      const auto holders = see(inspected, "kept")->holders;
      if (holders.size() != 1 || holders[0].task == observe::TaskId::None) co_return "nameless";
    }
    co_await later;
    auto guard = co_await mutex.lock();
    co_return *guard;
  };
  CHECK(runtime.block_on(body(runtime)) == "kl");
}

TEST_CASE("aborting a task unlocks what it holds and takes it out of line") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text mutex(std::string(), "aborted");
    std::atomic<bool> never{false};
    auto holder = spawn(hold_until(mutex, never));
    for (;;) {
      const auto seen = see(inspected, "aborted");
      if (!seen->holders.empty()) break;
      co_await yield_now();
    }
    auto waiting = spawn(append(mutex, 'w'));
    co_await until_waiting(inspected, "aborted", 1);
    auto behind = spawn(append(mutex, 'b'));
    co_await until_waiting(inspected, "aborted", 2);
    waiting.abort();
    co_await until_waiting(inspected, "aborted", 1);
    holder.abort();
    co_await behind;
    auto guard = co_await mutex.lock();
    co_return *guard;
  };
  CHECK(runtime.block_on(body(runtime)) == "b");
}

TEST_CASE("a lock with a timeout gives up, and can be had later") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<std::string> {
    Text mutex;
    auto held = co_await mutex.lock();
    const auto late = co_await time::timeout(1ms, mutex.lock_owned());
    if (late) co_return "locked twice";
    held.unlock();
    auto result = co_await time::timeout(24h, mutex.lock_owned());
    co_return result ? "later" : "never";
  };
  CHECK(runtime.block_on(body()) == "later");
}

TEST_CASE("watchers see the holder of a mutex, and who waits for it") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text mutex(std::string(), "watched");
    std::atomic<bool> let_go{false};
    const auto free = see(inspected, "watched");
    if (!free || free->kind != observe::ResourceKind::Mutex || free->type != "Mutex" ||
        !free->holders.empty() || free->attributes.at("locked") != 0)
      co_return "a free mutex";
    auto holder = spawn(hold_until(mutex, let_go));
    while (see(inspected, "watched")->holders.empty()) co_await yield_now();
    auto waiting = spawn(append(mutex, 'w'));
    co_await until_waiting(inspected, "watched", 1);
    const auto seen = see(inspected, "watched");
    if (seen->holders.size() != 1 || seen->holders[0].task != holder.id() ||
        !seen->holders[0].certain || seen->holders[0].role != "holds")
      co_return "the holder";
    std::vector<observe::Wait> waits;
    while (waits.empty()) waits = waits_of(inspected, waiting.id());
    if (waits.size() != 1 || waits[0].op != observe::WaitOp::Lock ||
        waits[0].resource != seen->id || waits[0].resource_kind != observe::ResourceKind::Mutex)
      co_return "the wait";
    let_go = true;
    co_await holder;
    co_await waiting;
    auto owned = co_await mutex.lock_owned();
    const auto hint = see(inspected, "watched")->holders;
    if (hint.size() != 1 || hint[0].certain) co_return "an owned guard is a hint";
    co_return "ok";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a mutex that a thread outside holds has a holder without a task") {
  auto runtime = runtime_with(1);
  Mutex<int> mutex(1, "foreign");
  {
    const auto guard = mutex.try_lock();
    REQUIRE(guard);
    const auto seen = see(runtime, "foreign");
    REQUIRE(seen->holders.size() == 1);
    CHECK(seen->holders[0].task == observe::TaskId::None);
    CHECK_FALSE(seen->holders[0].certain);
  }
  CHECK(see(runtime, "foreign")->holders.empty());
}

TEST_CASE("a task that only locks lets others run: the cooperative budget") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<bool> {
    Mutex<int> mutex;
    std::atomic<bool> ran{false};
    const auto other = [](std::atomic<bool>& flag) -> Task<void> {
      flag = true;
      co_return;
    };
    const auto locker = [](Mutex<int>& counted, std::atomic<bool>& flag) -> Task<int> {
      while (!flag) {
        auto guard = co_await counted.lock();
        ++*guard;
      }
      auto guard = co_await counted.lock();
      co_return *guard;
    };
    auto locking = spawn(locker(mutex, ran));
    auto running = spawn(other(ran));
    co_await running;
    co_await locking;
    co_return true;
  };
  CHECK(runtime.block_on(on_worker(body())));
}
