#include "taskscope/runtime/sync/watch.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
namespace watch = taskscope::runtime::sync::watch;

namespace {

/// Sees values until the last; they never go backwards.
Task<int> follows(watch::Receiver<int> from, int last) {
  int seen = 0;
  for (;;) {
    const auto changed = co_await from.changed();
    if (!changed) co_return -1;
    const int value = from.get_and_update();
    if (value < seen) co_return -2;
    seen = value;
    if (value == last) co_return seen;
  }
}
Task<int> until_closed(watch::Receiver<int> from) {
  int changes = 0;
  for (;;) {
    const auto changed = co_await from.changed();
    if (!changed) co_return changes;
    ++changes;
  }
}
Task<void> waits_until_closed(watch::Sender<int> to) { co_await to.closed(); }

}  // namespace

TEST_CASE("a watch channel shows its latest value, and that it changed") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    auto [sender, receiver] = watch::channel<std::string>("first");
    if (*receiver.borrow() != "first" || *receiver.has_changed()) co_return "the first is seen";
    auto copy = receiver;
    if (!sender.send("second") || !sender.send("third")) co_return "send";
    if (!*receiver.has_changed() || *receiver.borrow() != "third") co_return "not changed";
    const auto once = co_await receiver.changed();
    if (!once || *receiver.has_changed()) co_return "changed is not seen";
    if (*copy.borrow_and_update() != "third" || *copy.has_changed()) co_return "the copy";
    copy.mark_changed();
    const auto again = co_await copy.changed();
    if (!again) co_return "marked";
    if (sender.send_replace("fourth") != "third") co_return "replace";
    sender.send_modify([](std::string& value) { value += "!"; });
    if (sender.send_if_modified([](std::string&) { return false; })) co_return "modified";
    auto late = sender.subscribe();
    if (*late.has_changed() || *late.borrow() != "fourth!") co_return "late";
    if (sender.receiver_count() != 3) co_return "count";
    co_return late.get_and_update();
  };
  CHECK(runtime.block_on(body()) == "fourth!");
}

TEST_CASE("every receiver of a watch channel comes to its last value") {
  auto runtime = runtime_with(4);
  const auto body = []() -> Task<std::string> {
    constexpr int kLast = 2000;
    auto [sender, receiver] = watch::channel(0);
    std::vector<JoinHandle<int>> handles;
    for (int i = 0; i < 100; ++i) handles.push_back(spawn(follows(receiver, kLast)));
    for (int i = 1; i <= kLast; ++i) {
      if (!sender.send(i)) co_return "closed";
      if (i % 16 == 0) co_await yield_now();
    }
    for (auto& handle : handles) {
      const int seen = co_await handle;
      if (seen != kLast) co_return "seen " + std::to_string(seen);
    }
    co_return "ok";
  };
  CHECK(runtime.block_on(on_worker(body())) == "ok");
}

TEST_CASE("the ends of a watch channel hear of each other's end") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    auto [first, receiver] = watch::channel(0);
    std::optional<watch::Sender<int>> sender(std::move(first));
    std::optional<watch::Sender<int>> other(*sender);
    std::vector<JoinHandle<int>> handles;
    for (int i = 0; i < 50; ++i) handles.push_back(spawn(until_closed(receiver)));
    sender.reset();
    if (!other->send(1)) co_return "closed early";
    other.reset();
    for (auto& handle : handles) {
      const int changes = co_await handle;
      if (changes != 1) co_return "the last value was not seen";
    }
    const auto last = co_await receiver.changed();
    const auto none = co_await receiver.changed();
    if (!last || none || receiver.has_changed()) co_return "not closed";

    auto [to, from] = watch::channel(0);
    auto closing = spawn(waits_until_closed(to));
    {
      const auto gone = std::move(from);
    }
    co_await closing;
    if (!to.is_closed() || to.send(1)) co_return "sent to nobody";
    static_cast<void>(to.send_replace(2));
    auto again = to.subscribe();
    if (to.is_closed() || !to.send(3)) co_return "not open again";
    co_return again.get_and_update() == 3 ? "ok" : "value";
  };
  for (int i = 0; i < 20; ++i) CHECK(runtime.block_on(on_worker(body())) == "ok");
}

TEST_CASE("wait_for returns when the value is as asked, or nobody can set it") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    auto [first, receiver] = watch::channel(0);
    std::optional<watch::Sender<int>> sender(std::move(first));
    const auto large = [](int value) { return value >= 10; };
    const auto sends = [](watch::Sender<int> to) -> Task<void> {
      for (int i = 1; i <= 10; ++i) {
        static_cast<void>(to.send(i));
        co_await yield_now();
      }
    };
    auto sending = spawn(sends(*sender));
    const auto reached = co_await receiver.wait_for(large);
    co_await sending;
    if (!reached || *receiver.borrow() != 10) co_return "not reached";
    const auto at_once_too = co_await receiver.wait_for(large);
    sender.reset();
    const auto never = co_await receiver.wait_for([](int value) { return value > 10; });
    co_return at_once_too && !never ? "ok" : "closed";
  };
  CHECK(runtime.block_on(on_worker(body())) == "ok");
}

TEST_CASE("a cancelled wait for a change has seen nothing") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = watch::channel(0, "cancelled watch");
    const auto late = co_await time::timeout(1ms, receiver.changed());
    if (late || see(inspected, "cancelled watch")->waiters != 0) co_return "still in line";
    {
      auto kept = receiver.changed();
      const auto lost = co_await select_biased(kept, at_once());
      if (lost.index() != 1) co_return "no change yet";
      static_cast<void>(sender.send(1));
    }
    const auto changed = co_await receiver.changed();
    const auto closing = co_await time::timeout(1ms, sender.closed());
    co_return changed && !closing ? "ok" : "lost";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}

TEST_CASE("watchers see a watch channel; a runtime shuts down with waits on it") {
  auto runtime = runtime_with(1);
  auto [sender, receiver] = watch::channel(0, "seen watch");
  const auto waiting = runtime.spawn(until_closed(std::move(receiver)));
  auto waits = waits_of(runtime, waiting.id());
  while (waits.empty() || waits[0].op != observe::WaitOp::Changed)
    waits = waits_of(runtime, waiting.id());
  const auto seen = see(runtime, "seen watch");
  REQUIRE(seen);
  CHECK(seen->kind == observe::ResourceKind::Watch);
  CHECK(seen->waiters == 1);
  CHECK(seen->attributes.at("senders") == 1);
  CHECK(seen->attributes.at("receivers") == 1);
  CHECK(waits[0].resource == seen->id);
  runtime.shutdown();
  CHECK(sender.is_closed());
}

TEST_CASE("a borrowed value says whether it was news, and senders know each other") {
  auto [sender, receiver] = taskscope::runtime::sync::watch::channel<int>(0);
  CHECK_FALSE(receiver.borrow().has_changed());
  sender.send_replace(1);
  CHECK(receiver.borrow().has_changed());
  CHECK(receiver.borrow_and_update().has_changed());
  CHECK_FALSE(receiver.borrow_and_update().has_changed());
  CHECK_FALSE(sender.borrow().has_changed());
  const auto other = sender;
  CHECK(sender.sender_count() == 2);
  CHECK(sender.same_channel(other));
}
