#include "taskscope/runtime/sync/rw_lock.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
using sync::RwLock;

namespace {

using Text = RwLock<std::string>;
static_assert(!std::is_move_constructible_v<Text::ReadGuard>);
static_assert(!std::is_move_constructible_v<Text::WriteGuard>);
static_assert(std::is_nothrow_move_constructible_v<Text::OwnedReadGuard>);
static_assert(std::is_nothrow_move_constructible_v<Text::OwnedWriteGuard>);

Task<void> append(Text& lock, char letter) {
  auto guard = co_await lock.write();
  guard->push_back(letter);
}
/// Reads until told to let go, and counts those that read at the same time.
Task<void> reads_until(Text& lock, std::atomic<int>& readers, std::atomic<bool>& let_go) {
  auto guard = co_await lock.read();
  ++readers;
  while (!let_go) co_await yield_now();
}
Task<void> reads(Text& lock, std::string& log, char letter) {
  auto guard = co_await lock.read();
  log.push_back(letter);
}
template <class Guard>
Task<bool> unlock_and_end(Guard& held) {
  held.unlock();  // grants the lock to the other arm, which is not resumed before we win
  co_return true;
}

}  // namespace

TEST_CASE("an rwlock lets readers in together, and a writer alone") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    Text lock("a");
    {
      auto one = co_await lock.read();
      auto two = co_await lock.read();
      const auto three = lock.try_read();
      const auto refused = lock.try_write();
      if (!three || refused || *one != "a" || two->size() != 1) co_return "readers";
    }
    {
      auto guard = co_await lock.write();
      guard->push_back('b');
      const auto reader = lock.try_read();
      const auto writer = lock.try_write_owned();
      if (reader || writer) co_return "not alone";
      guard.unlock();
      if (guard) co_return "guard holds what it unlocked";
    }
    auto owned = co_await lock.write_owned();
    auto moved = std::move(owned);
    if (owned || !moved) co_return "both guards hold";
    moved->push_back('c');
    moved.unlock();
    Text::OwnedReadGuard reading = co_await lock.read_owned();
    Text::OwnedReadGuard other;
    other = std::move(reading);
    co_return *other;
  };
  CHECK(runtime.block_on(body()) == "abc");
}

TEST_CASE("an rwlock serves in order of arrival: readers don't pass a waiting writer") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text lock(std::string(), "rw order");
    std::string log;
    std::optional<Text::OwnedReadGuard> first(co_await lock.read_owned());
    auto writing = spawn(append(lock, 'w'));
    co_await until_waiting(inspected, "rw order", 1);
    auto reading = spawn(reads(lock, log, 'r'));
    auto more = spawn(reads(lock, log, 'r'));
    co_await until_waiting(inspected, "rw order", 3);
    auto last = spawn(append(lock, 'x'));
    co_await until_waiting(inspected, "rw order", 4);
    const auto barged = lock.try_read();
    if (barged) co_return "passed the writer";
    first.reset();
    // Granted to the writer at once: nobody else gets in before it ran.
    const auto stolen = lock.try_write();
    if (stolen) co_return "stolen";
    co_await writing;
    co_await reading;
    co_await more;
    if (log != "rr") co_return "readers " + log;
    co_await last;
    auto guard = co_await lock.read();
    co_return *guard;
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "wx");
}

TEST_CASE("readers behind a writer are let in together when it is done") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<bool> {
    Text lock(std::string(), "rw together");
    std::atomic<int> readers{0};
    std::atomic<bool> let_go{false};
    std::vector<JoinHandle<void>> handles;
    {
      auto guard = co_await lock.write();
      for (int i = 0; i < 50; ++i) handles.push_back(spawn(reads_until(lock, readers, let_go)));
      co_await until_waiting(inspected, "rw together", 50);
    }
    while (readers != 50) co_await yield_now();
    let_go = true;
    for (auto& handle : handles) co_await handle;
    co_return static_cast<bool>(lock.try_write());
  };
  CHECK(runtime.block_on(on_worker(body(runtime))));
}

TEST_CASE("a write guard downgrades to a read guard with no writer between") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text lock("v", "rw downgrade");
    std::string log;
    auto writing = co_await lock.write();
    auto reader = spawn(reads(lock, log, 'r'));
    co_await until_waiting(inspected, "rw downgrade", 1);
    auto writer = spawn(append(lock, 'w'));
    co_await until_waiting(inspected, "rw downgrade", 2);
    {
      auto reading = writing.downgrade();
      if (writing || !reading) co_return "which holds";
      co_await reader;
      if (*reading != "v" || log != "r") co_return "a writer came between";
      const auto holders = see(inspected, "rw downgrade")->holders;
      if (holders.size() != 1 || !holders[0].certain) co_return "the holder is not known";
    }
    co_await writer;
    auto owned = co_await lock.write_owned();
    const auto shared = owned.downgrade();
    const auto other = lock.try_read();
    co_return other ? *shared : "still exclusive";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "vw");
}

TEST_CASE("a cancelled wait for an rwlock leaves the line, and lets in those behind it") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text lock(std::string(), "rw cancelled");
    std::string log;
    auto reading = co_await lock.read();
    {
      // A reader stands behind the writer that gives up.
      auto writing = spawn(append(lock, 'w'));
      co_await until_waiting(inspected, "rw cancelled", 1);
      auto behind = spawn(reads(lock, log, 'b'));
      co_await until_waiting(inspected, "rw cancelled", 2);
      writing.abort();
      co_await behind;
      bool cancelled = false;
      try {
        co_await writing;
      } catch (const Cancelled&) {
        cancelled = true;
      }
      if (!cancelled || log != "b") co_return "the reader still waits";
    }
    const auto late = co_await time::timeout(1ms, lock.write_owned());
    if (late || see(inspected, "rw cancelled")->waiters != 0) co_return "still in line";
    reading.unlock();
    const auto free = lock.try_write();
    co_return free ? "free" : "lost";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "free");
}

TEST_CASE("an rwlock granted to a wait that is cancelled goes to the next in line") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Text lock(std::string(), "rw granted");
    std::string log;
    {
      auto held = co_await lock.write_owned();
      const auto result = co_await select_biased(lock.write_owned(), unlock_and_end(held));
      if (result.index() != 1) co_return "the cancelled arm won";
    }
    if (!lock.try_write()) co_return "a granted write is lost";
    {
      // Kept across the select: it has its lock, and a name, when it is awaited again.
      auto held = co_await lock.write_owned();
      auto kept = lock.read_owned();
      const auto result = co_await select_biased(kept, unlock_and_end(held));
      if (result.index() != 1) co_return "the cancelled arm won";
      if (lock.try_write()) co_return "the kept one has lost its lock";
      auto waiting = spawn(append(lock, 'n'));
      co_await until_waiting(inspected, "rw granted", 1);
      const auto guard = co_await kept;
      const auto holders = see(inspected, "rw granted")->holders;
      if (!guard || holders.size() != 1 || holders[0].task == observe::TaskId::None)
        co_return "nameless";
      std::move(waiting).detach();
    }
    auto guard = co_await lock.write();
    co_return *guard;
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "n");
}

TEST_CASE("watchers see an rwlock, who holds it how surely, and who waits for what") {
  auto runtime = runtime_with(1);
  Text lock(std::string(), "seen rwlock");
  std::atomic<int> readers{0};
  std::atomic<bool> let_go{false};
  std::vector<JoinHandle<void>> handles;
  for (int i = 0; i < 3; ++i) handles.push_back(runtime.spawn(reads_until(lock, readers, let_go)));
  while (readers != 3) std::this_thread::yield();
  const auto hint = lock.try_read_owned();
  auto writer = runtime.spawn(append(lock, 'w'));
  auto seen = see(runtime, "seen rwlock");
  while (seen->waiters != 1) seen = see(runtime, "seen rwlock");
  CHECK(seen->kind == observe::ResourceKind::RwLock);
  CHECK(seen->type == "RwLock");
  CHECK(seen->attributes.at("readers") == 4);
  CHECK(seen->attributes.at("writer") == 0);
  REQUIRE(seen->holders.size() == 4);
  CHECK(std::count_if(seen->holders.begin(), seen->holders.end(),
                      [](const SeenHolder& holder) { return holder.certain; }) == 3);
  CHECK(seen->holders[0].role == "reads");
  for (const auto& handle : handles)
    CHECK(std::count_if(seen->holders.begin(), seen->holders.end(),
                        [&](const SeenHolder& holder) { return holder.task == handle.id(); }) == 1);
  auto waits = waits_of(runtime, writer.id());
  while (waits.empty()) waits = waits_of(runtime, writer.id());
  CHECK(waits[0].op == observe::WaitOp::WriteLock);
  CHECK(waits[0].resource == seen->id);
  let_go = true;
  runtime.shutdown();  // with guards held and a wait in line
}

TEST_CASE("an rwlock lets no more readers in than it was told") {
  auto lock = RwLock<int>::with_max_readers(1, 2);
  auto first = lock.try_read_owned();
  auto second = lock.try_read_owned();
  CHECK(first);
  CHECK(second);
  CHECK_FALSE(lock.try_read_owned());
  first.unlock();
  CHECK(lock.try_read_owned());
  second.unlock();
  CHECK(lock.try_write_owned());
  CHECK_THROWS_AS(RwLock<int>::with_max_readers(1, 0), std::invalid_argument);
}
