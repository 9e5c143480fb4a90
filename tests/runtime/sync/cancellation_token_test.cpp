#include "taskscope/runtime/sync/cancellation_token.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
using sync::CancellationToken;

namespace {

Task<void> ends_when(CancellationToken token) { co_await token.cancelled(); }
Task<int> takes(int yielding, int value) {
  co_await yields(yielding);
  co_return value;
}
struct Flag {
  explicit Flag(bool& at) : destroyed(at) {}
  ~Flag() { destroyed = true; }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;
  bool& destroyed;
};
Task<void> holds(bool& begun, bool& destroyed) {
  begun = true;
  const Flag flag(destroyed);
  co_await time::sleep(24h);
}
Task<void> cancels(CancellationToken token) {
  token.cancel();
  co_return;
}

}  // namespace

TEST_CASE("cancelling a token ends every wait, once and for all") {
  auto runtime = runtime_with(4);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    const CancellationToken token("shared token");
    const CancellationToken copy = token;
    std::vector<JoinHandle<void>> handles;
    for (int i = 0; i < 100; ++i) handles.push_back(spawn(ends_when(i % 2 == 0 ? token : copy)));
    co_await until_waiting(inspected, "shared token", 100);
    if (token.is_cancelled()) co_return "too early";
    copy.cancel();
    token.cancel();
    if (!token.is_cancelled()) co_return "not cancelled";
    for (auto& handle : handles) co_await handle;
    co_await token.cancelled();  // at once, now
    co_return "ok";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}

TEST_CASE("children are cancelled with their parent, not their parent with them") {
  const CancellationToken root;
  const auto child = root.child_token();
  const auto other = root.child_token();
  const auto grandchild = child.child_token();
  {
    const auto gone = child.child_token();
    const auto below = gone.child_token();
  }
  child.cancel();
  CHECK(child.is_cancelled());
  CHECK(grandchild.is_cancelled());
  CHECK_FALSE(root.is_cancelled());
  CHECK_FALSE(other.is_cancelled());
  CHECK(child.child_token().is_cancelled());
  std::optional<CancellationToken> middle(root.child_token());
  const auto orphan = middle->child_token();
  middle.reset();  // its child still hears of the root
  root.cancel();
  CHECK(other.is_cancelled());
  CHECK(orphan.is_cancelled());
}

TEST_CASE("a long chain and a wide family of tokens are cancelled") {
  const CancellationToken root;
  std::vector<CancellationToken> all{root};
  for (std::size_t i = 0; i < 10'000; ++i) all.push_back(all[i % 3 == 0 ? i : i / 2].child_token());
  root.cancel();
  int left = 0;
  for (const auto& token : all) left += token.is_cancelled() ? 0 : 1;
  CHECK(left == 0);
}

TEST_CASE("a drop guard cancels when it dies, unless it was disarmed or moved from") {
  const CancellationToken token;
  {
    auto guard = token.drop_guard();
    guard.disarm();
  }
  CHECK_FALSE(token.is_cancelled());
  std::optional<sync::DropGuard> kept;
  {
    auto guard = token.drop_guard();
    kept.emplace(std::move(guard));
  }
  CHECK_FALSE(token.is_cancelled());
  kept.reset();
  CHECK(token.is_cancelled());
}

TEST_CASE("run_until_cancelled gives the result, or destroys the work") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    const CancellationToken token;
    const auto value = co_await token.run_until_cancelled(takes(3, 7));
    if (value != 7) co_return "value";
    const bool done = co_await token.run_until_cancelled(yields(2));
    if (!done) co_return "void";
    bool begun = false, destroyed = false;
    auto cancelling = spawn(cancels(token));
    const bool cancelled = co_await token.run_until_cancelled(holds(begun, destroyed));
    co_await cancelling;
    if (cancelled || begun != destroyed) co_return "not destroyed";
    begun = destroyed = false;
    const bool again = co_await token.run_until_cancelled(holds(begun, destroyed));
    co_return again || begun ? "begun though cancelled" : "ok";
  };
  for (int i = 0; i < 50; ++i) CHECK(runtime.block_on(on_worker(body())) == "ok");
}

TEST_CASE("a wait for a token that is cancelled itself leaves the line") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    const CancellationToken token("left token");
    const auto late = co_await time::timeout(1ms, token.cancelled());
    if (late || see(inspected, "left token")->waiters != 0) co_return "still in line";
    auto kept = token.cancelled();
    const auto lost = co_await select_biased(kept, at_once());
    if (lost.index() != 1) co_return "not cancelled yet";
    token.cancel();
    co_await kept;
    co_return "ok";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}

TEST_CASE("tokens are made, cancelled and dropped from many threads at once") {
  for (int round = 0; round < 50; ++round) {
    auto root = std::make_unique<CancellationToken>();
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([mine = *root, &wrong] {
        for (int n = 0; n < 50; ++n) {
          const auto child = mine.child_token();
          const auto below = child.child_token();
          if (n % 10 == 0) child.cancel();
          if (n % 10 == 0 && !below.is_cancelled()) ++wrong;
        }
        mine.cancel();
        if (!mine.child_token().is_cancelled()) ++wrong;
      });
    }
    root.reset();
    for (auto& thread : threads) thread.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("watchers see a token, and a runtime shuts down with waits for it") {
  auto runtime = runtime_with(1);
  const CancellationToken token("seen token");
  const auto child = token.child_token();
  const auto waiting = runtime.spawn(ends_when(token));
  auto waits = waits_of(runtime, waiting.id());
  while (waits.empty() || waits[0].op != observe::WaitOp::Notified)
    waits = waits_of(runtime, waiting.id());
  const auto seen = see(runtime, "seen token");
  REQUIRE(seen);
  CHECK(seen->type == "CancellationToken");
  CHECK(seen->waiters == 1);
  CHECK(seen->attributes.at("children") == 1);
  CHECK(seen->attributes.at("cancelled") == 0);
  CHECK(waits[0].resource == seen->id);
  runtime.shutdown();
  CHECK(see(runtime, "seen token")->waiters == 0);
}
