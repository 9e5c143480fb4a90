#include "taskscope/runtime/sync/broadcast.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
namespace broadcast = taskscope::runtime::sync::broadcast;
using Kind = broadcast::RecvError::Kind;

namespace {

struct Totals {
  long count = 0, missed = 0;
  bool in_order = true;
};

/// Receives to the end; now and then gives up a wait or falls behind.
Task<Totals> receives(broadcast::Receiver<int> from, std::uint64_t seed) {
  Random random(seed);
  Totals totals;
  int last = -1;
  for (;;) {
    if (random.below(8) == 0) co_await yield_now();
    auto result = co_await select_biased(from.recv(), yields(1 + random.below(3)));
    if (result.index() != 0) continue;
    const auto& message = std::get<0>(result);
    if (message) {
      totals.in_order = totals.in_order && *message > last;
      last = *message;
      ++totals.count;
    } else if (message.error().kind == Kind::Lagged) {
      totals.missed += static_cast<long>(message.error().missed);
    } else {
      co_return totals;
    }
  }
}
Task<void> sends(broadcast::Sender<int> to, int count, int pause) {
  for (int i = 0; i < count; ++i) {
    static_cast<void>(to.send(i));
    if (i % pause == 0) co_await yield_now();
  }
}
Task<bool> receives_one(broadcast::Receiver<int>& from) {
  const auto message = co_await from.recv();
  co_return message.has_value();
}

}  // namespace

TEST_CASE("a broadcast channel gives every message to every receiver of that time") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    auto [sender, first] = broadcast::channel<std::string>(4);
    const auto one = sender.send("a");
    auto second = sender.subscribe();
    const auto two = sender.send("b");
    if (!one || *one != 1 || !two || *two != 2 || sender.receiver_count() != 2) co_return "count";
    std::string got;
    for (int i = 0; i < 2; ++i) {
      const auto message = co_await first.recv();
      got += *message;
    }
    const auto message = co_await second.recv();
    got += *message;
    const auto nothing = second.try_recv();
    if (nothing || nothing.error().kind != Kind::Empty || !second.empty()) co_return "not empty";
    auto third = first.resubscribe();
    static_cast<void>(sender.send("c"));
    got += *third.try_recv();
    co_return got;
  };
  CHECK(runtime.block_on(body()) == "abbc");
}

TEST_CASE("a receiver that is too slow is told how much it missed, and goes on with the oldest") {
  auto [sender, receiver] = broadcast::channel<int>(3);
  for (int i = 0; i < 5; ++i) CHECK(sender.send(i).has_value());
  CHECK(receiver.size() == 5);
  const auto lagged = receiver.try_recv();
  REQUIRE_FALSE(lagged);
  CHECK(lagged.error().kind == Kind::Lagged);
  CHECK(lagged.error().missed == 2);
  for (int i = 2; i < 5; ++i) CHECK(*receiver.try_recv() == i);
  {
    const auto gone = std::move(sender);
  }
  CHECK(receiver.try_recv().error().kind == Kind::Closed);
  CHECK_THROWS_AS(broadcast::channel<int>(0), std::invalid_argument);
}

TEST_CASE("a broadcast message lives until its last receiver has it or is gone") {
  const auto value = std::make_shared<int>(7);
  auto [sender, first] = broadcast::channel<std::shared_ptr<int>>(64);
  std::optional<broadcast::Receiver<std::shared_ptr<int>>> second(sender.subscribe());
  for (int i = 0; i < 50; ++i) static_cast<void>(sender.send(value));
  CHECK(value.use_count() == 51);
  for (int i = 0; i < 20; ++i) static_cast<void>(first.try_recv());
  CHECK(value.use_count() == 51);
  second.reset();
  CHECK(value.use_count() == 31);
  for (int i = 0; i < 30; ++i) static_cast<void>(first.try_recv());
  CHECK(value.use_count() == 1);
  {
    const auto gone = std::move(first);
  }
  CHECK_FALSE(sender.send(value));
  auto again = sender.subscribe();
  CHECK(sender.send(value));
}

TEST_CASE("stress: broadcast receivers miss only what they are told of, under cancellation") {
  auto runtime = runtime_with(4);
  const auto body = []() -> Task<std::string> {
    constexpr int kCount = 5000, kReceivers = 60;
    auto [first, receiver] = broadcast::channel<int>(16);
    std::optional<broadcast::Sender<int>> sender(std::move(first));
    std::vector<JoinHandle<Totals>> handles;
    for (std::uint64_t i = 1; i <= kReceivers; ++i)
      handles.push_back(spawn(receives(sender->subscribe(), i)));
    {
      const auto gone = std::move(receiver);
    }
    auto sending = spawn(sends(*sender, kCount, 8));
    sender.reset();
    co_await sending;
    for (auto& handle : handles) {
      const auto totals = co_await handle;
      if (!totals.in_order) co_return "out of order";
      if (totals.count + totals.missed != kCount) co_return "lost or doubled";
    }
    co_return "ok";
  };
  CHECK(runtime.block_on(on_worker(body())) == "ok");
}

TEST_CASE("a cancelled wait for a broadcast takes nothing") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = broadcast::channel<int>(2, "cancelled broadcast");
    const auto late = co_await time::timeout(1ms, receiver.recv());
    if (late || see(inspected, "cancelled broadcast")->waiters != 0) co_return "still in line";
    {
      auto kept = receiver.recv();
      const auto lost = co_await select_biased(kept, at_once());
      if (lost.index() != 1) co_return "received nothing";
      static_cast<void>(sender.send(1));
    }
    const auto message = co_await receiver.recv();
    co_return message && *message == 1 ? "ok" : "lost";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}

TEST_CASE("watchers see a broadcast channel; a runtime shuts down with waits on it") {
  auto [sender, receiver] = broadcast::channel<int>(2, "seen broadcast");
  auto runtime = runtime_with(1);
  const auto waiting = runtime.spawn(receives_one(receiver));
  auto waits = waits_of(runtime, waiting.id());
  while (waits.empty() || waits[0].op != observe::WaitOp::Recv)
    waits = waits_of(runtime, waiting.id());
  const auto seen = see(runtime, "seen broadcast");
  REQUIRE(seen);
  CHECK(seen->kind == observe::ResourceKind::Broadcast);
  CHECK(seen->waiters == 1);
  CHECK(seen->attributes.at("capacity") == 2);
  CHECK(seen->attributes.at("receivers") == 1);
  CHECK(waits[0].resource == seen->id);
  runtime.shutdown();
  CHECK(see(runtime, "seen broadcast")->waiters == 0);
}

TEST_CASE("a broadcast sender knows what is not received, and when nobody listens") {
  auto [sender, first] = broadcast::channel<int>(4);
  {
    auto second = sender.subscribe();
    CHECK(sender.empty());
    for (int i = 0; i < 3; ++i) REQUIRE(sender.send(i));
    CHECK(sender.size() == 3);
    static_cast<void>(first.try_recv().has_value());
    CHECK(sender.size() == 3);
    static_cast<void>(second.try_recv().has_value());
    CHECK(sender.size() == 2);
    for (int i = 0; i < 9; ++i) REQUIRE(sender.send(i));
    CHECK(sender.size() == 4);
    CHECK(first.same_channel(second));
  }
  auto runtime = runtime_with(1);
  const auto closes = [](broadcast::Sender<int>& from,
                         broadcast::Receiver<int> last) -> Task<bool> {
    const auto before = co_await select_biased(from.closed(), at_once());
    {
      const auto dropped = std::move(last);
    }
    co_await from.closed();
    co_return before.index() == 1;
  };
  CHECK(runtime.block_on(closes(sender, std::move(first))));
}

TEST_CASE("a weak broadcast sender becomes a sender while there is one, and keeps nothing open") {
  auto [sender, receiver] = broadcast::channel<int>(4);
  const auto weak = sender.downgrade();
  CHECK(weak.strong_count() == 1);
  {
    const auto strong = weak.upgrade();
    REQUIRE(strong);
    CHECK(receiver.sender_strong_count() == 2);
    REQUIRE(strong->send(1));
  }
  CHECK_FALSE(receiver.is_closed());
  {
    const auto dropped = std::move(sender);
  }
  CHECK(receiver.is_closed());
  CHECK_FALSE(weak.upgrade());
  CHECK(receiver.try_recv());
  CHECK(receiver.try_recv().error().kind == Kind::Closed);
}
