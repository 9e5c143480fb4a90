#include "taskscope/runtime/sync/mpsc.h"

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
namespace mpsc = taskscope::runtime::sync::mpsc;

namespace {

using Letter = std::unique_ptr<char>;

Task<void> send_letters(mpsc::Sender<Letter> to, char from, char last) {
  for (char letter = from; letter <= last; ++letter) {
    const auto sent = co_await to.send(std::make_unique<char>(letter));
    if (!sent) co_return;
  }
}
Task<std::string> receive_all(mpsc::Receiver<Letter>& from) {
  std::string text;
  for (;;) {
    const auto letter = co_await from.recv();
    if (!letter) co_return text;
    text.push_back(**letter);
  }
}
Task<bool> send_one(mpsc::Sender<int> to, int message) {
  const auto sent = co_await to.send(message);
  co_return sent.has_value();
}
Task<void> receive_and_end(mpsc::Receiver<int>& from, int& message) {
  const auto received = from.try_recv();
  message = received ? *received : -1;
  co_return;
}
Task<void> send_and_end(mpsc::Sender<int>& to, int message) {
  static_cast<void>(to.try_send(message));
  co_return;
}
Task<int> receive_one(mpsc::Receiver<int>& from) {
  const auto message = co_await from.recv();
  co_return message ? *message : -1;
}

struct CountsDeaths {
  explicit CountsDeaths(std::atomic<int>& counter) : count(&counter) {}
  CountsDeaths(CountsDeaths&& other) noexcept : count(std::exchange(other.count, nullptr)) {}
  CountsDeaths& operator=(CountsDeaths&&) = delete;
  ~CountsDeaths() {
    if (count != nullptr) ++*count;
  }
  std::atomic<int>* count;
};

}  // namespace

TEST_CASE("messages arrive in order, through a channel smaller than their number") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    auto [sender, receiver] = mpsc::channel<Letter>(2);
    auto sending = spawn(send_letters(std::move(sender), 'a', 'z'));
    auto text = co_await receive_all(receiver);
    co_await sending;
    co_return text;
  };
  CHECK(runtime.block_on(body()) == "abcdefghijklmnopqrstuvwxyz");
}

TEST_CASE("a receiver gets what is queued, and then the end, when the last sender is gone") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<std::string> {
    auto [first, receiver] = mpsc::channel<int>(8);
    {
      const auto gone = std::move(first);
      const auto copy = gone;
      if (!copy.same_channel(gone)) co_return "another channel";
      const auto sent = co_await copy.send(1);
      const auto sent_too = gone.try_send(2);
      if (!sent || !sent_too) co_return "not sent";
    }
    const int one = co_await receive_one(receiver);
    const auto two = receiver.try_recv();
    const auto end = co_await receiver.recv();
    const auto still = receiver.try_recv();
    if (one != 1 || !two || *two != 2 || end) co_return "wrong messages";
    co_return still.error() == mpsc::TryRecvError::Disconnected ? "ok" : "not disconnected";
  };
  CHECK(runtime.block_on(body()) == "ok");
}

TEST_CASE("a receiver that waits is told that the last sender is gone") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<int> {
    auto [sender, receiver] = mpsc::channel<int>(1, "last sender");
    auto receiving = spawn(receive_one(receiver));
    co_await until_waiting(inspected, "last sender", 1);
    {
      const auto gone = std::move(sender);
    }
    co_return co_await receiving;
  };
  CHECK(runtime.block_on(body(runtime)) == -1);
}

TEST_CASE("a full channel: try_send keeps the message, send waits for its turn") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = mpsc::channel<int>(2, "full");
    auto first = sender.try_send(1);
    auto second = sender.try_send(2);
    const auto third = sender.try_send(3);
    if (!first || !second || third || third.error() != mpsc::TrySendError::Full) co_return "full";
    auto waiting = spawn(send_one(sender, 3));
    co_await until_waiting(inspected, "full", 1);
    auto behind = spawn(send_one(sender, 4));
    co_await until_waiting(inspected, "full", 2);
    const int one = co_await receive_one(receiver);
    // The place belongs to the first in line already.
    const auto barged = sender.try_send(9);
    if (barged) co_return "barged in";
    std::array<int, 8> rest{};
    const auto two = co_await receiver.recv_many(std::span(rest).first(1));
    const bool sent = co_await waiting;
    const bool sent_behind = co_await behind;
    const auto more = co_await receiver.recv_many(std::span(rest).subspan(1));
    if (one != 1 || two != 1 || !sent || !sent_behind || more != 2) co_return "counts";
    if (rest[0] != 2 || rest[1] != 3 || rest[2] != 4) co_return "order";
    co_return sender.capacity() == 2 && sender.max_capacity() == 2 ? "ok" : "capacity";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a send() cancelled in line has sent nothing, and one granted passes its place on") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = mpsc::channel<int>(1, "cancelled send");
    const auto filled = sender.try_send(1);
    const auto lost = co_await select_biased(sender.send(2), at_once());
    if (!filled || lost.index() != 1) co_return "sent into a full channel";
    if (see(inspected, "cancelled send")->waiters != 0) co_return "still in line";
    int received = 0;
    const auto granted =
        co_await select_biased(sender.send(3), receive_and_end(receiver, received));
    if (granted.index() != 1 || received != 1) co_return "the cancelled arm won";
    if (sender.capacity() != 1 || !receiver.empty()) co_return "place lost";
    const auto again = sender.try_send(4);
    const int message = co_await receive_one(receiver);
    co_return again&& message == 4 ? "ok" : "message of a cancelled send";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a recv() that is cancelled loses no message") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = mpsc::channel<int>(4, "cancelled recv");
    const auto late = co_await time::timeout(1ms, receiver.recv());
    if (late || see(inspected, "cancelled recv")->waiters != 0) co_return "still in line";
    // The message comes while recv waits, and the wait is cancelled before it goes on.
    const auto lost = co_await select_biased(receiver.recv(), send_and_end(sender, 5));
    if (lost.index() != 1) co_return "the cancelled arm won";
    std::array<int, 2> some{};
    const auto lost_many =
        co_await select_biased(receiver.recv_many(some), send_and_end(sender, 6));
    if (lost_many.index() != 0 || std::get<0>(lost_many) != 1 || some[0] != 5) co_return "lost";
    const auto nothing = receiver.try_recv();  // the other arm never ran
    if (nothing || nothing.error() != mpsc::TryRecvError::Empty) co_return "not empty";
    const auto cancelled_many =
        co_await select_biased(receiver.recv_many(some), send_and_end(sender, 7));
    const int seven = co_await receive_one(receiver);
    co_return cancelled_many.index() == 1 && seven == 7 ? "ok" : "lost by recv_many";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("recv_many takes what is there, up to the length it is given") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<std::string> {
    auto [sender, receiver] = mpsc::channel<int>(100);
    for (int i = 0; i < 50; ++i) {
      const auto sent = sender.try_send(i);
      if (!sent) co_return "full";
    }
    std::vector<int> out(40, -1);
    const auto none = co_await receiver.recv_many(std::span<int>());
    const auto first = co_await receiver.recv_many(out);
    for (int i = 0; i < 40; ++i)
      if (out[static_cast<std::size_t>(i)] != i) co_return "order";
    const auto second = co_await receiver.recv_many(out);
    if (none != 0 || first != 40 || second != 10 || out[9] != 49 || out[10] != 10)
      co_return "counts";
    {
      const auto gone = std::move(sender);
    }
    const auto end = co_await receiver.recv_many(out);
    co_return end == 0 ? "ok" : "no end";
  };
  CHECK(runtime.block_on(body()) == "ok");
}

TEST_CASE("a permit keeps a place, and its message counts even when the channel closes meanwhile") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = mpsc::channel<int>(1, "permit");
    auto permit = co_await sender.reserve();
    const auto full = sender.try_send(1);
    if (!permit || full || sender.capacity() != 0) co_return "no place kept";
    {
      const auto moved = std::move(permit);
      if (permit) co_return "two permits";
    }
    if (sender.capacity() != 1) co_return "place lost";
    permit = co_await sender.reserve();
    receiver.close();
    auto receiving = spawn(receive_one(receiver));
    co_await until_waiting(inspected, "permit", 1);  // not at its end: a permit is out
    permit.send(7);
    const int seven = co_await receiving;
    const auto end = co_await receiver.recv();
    const auto refused = co_await sender.reserve();
    const auto closed = co_await sender.send(8);
    if (refused || closed || closed.error() != mpsc::SendError::Closed)
      co_return "sent when closed";
    co_return seven == 7 && !end ? "ok" : "lost";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("senders are told when the receiver is gone, and what was queued is destroyed") {
  auto runtime = runtime_with(2);
  std::atomic<int> deaths{0};
  const auto body = [](Runtime& inspected, std::atomic<int>& count) -> Task<std::string> {
    auto [sender, receiver] = mpsc::channel<CountsDeaths>(1, "receiver gone");
    auto queued = sender.try_send(CountsDeaths(count));
    const auto waits_for_place = [](mpsc::Sender<CountsDeaths> to,
                                    std::atomic<int>& counter) -> Task<bool> {
      CountsDeaths message(counter);
      const auto sent = co_await to.send(std::move(message));
      co_return sent.has_value();
    };
    const auto waits_for_end = [](mpsc::Sender<CountsDeaths> to) -> Task<void> {
      co_await to.closed();
    };
    auto sending = spawn(waits_for_place(sender, count));
    auto closing = spawn(waits_for_end(sender));
    co_await until_waiting(inspected, "receiver gone", 2);
    if (!queued || sender.is_closed()) co_return "closed too early";
    {
      const auto gone = std::move(receiver);
    }
    const bool sent = co_await sending;
    co_await closing;
    co_return !sent && sender.is_closed() ? "ok" : "sent to nobody";
  };
  CHECK(runtime.block_on(body(runtime, deaths)) == "ok");
  CHECK(deaths == 2);
}

TEST_CASE("an unbounded channel takes everything") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<std::string> {
    auto [sender, receiver] = mpsc::unbounded_channel<std::string>();
    for (int i = 0; i < 1000; ++i) {
      const auto sent = sender.send(std::to_string(i));
      if (!sent) co_return "refused";
    }
    for (int i = 0; i < 1000; ++i) {
      const auto message = co_await receiver.recv();
      if (!message || *message != std::to_string(i)) co_return "order";
    }
    receiver.close();
    const std::string kept = "kept";
    const auto closed = sender.send(kept);
    co_return !closed && receiver.is_closed() ? "ok" : "not closed";
  };
  CHECK(runtime.block_on(body()) == "ok");
}

TEST_CASE("watchers see a channel's queue and its last users") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = mpsc::channel<int>(3, "seen channel");
    if (!see(inspected, "seen channel")->holders.empty()) co_return "used by nobody yet";
    auto sending = spawn(send_one(sender, 1));
    const auto sending_id = sending.id();
    co_await sending;
    auto receiving = spawn(receive_one(receiver));
    const auto receiving_id = receiving.id();
    co_await receiving;
    const auto more = sender.try_send(2);
    const auto seen = see(inspected, "seen channel");
    if (!more || seen->type != "mpsc::channel" || seen->holders.size() != 2) co_return "holders";
    if (seen->holders[1].role != "receives" || seen->holders[1].task != receiving_id ||
        seen->holders[1].certain)
      co_return "receives";
    if (seen->holders[0].role != "sends" || seen->holders[0].task == sending_id) co_return "sends";
    if (seen->attributes.at("queued") != 1 || seen->attributes.at("capacity") != 3 ||
        seen->attributes.at("senders") != 1)
      co_return "attributes";
    co_return "ok";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a channel without a place is refused") {
  CHECK_THROWS_AS(mpsc::channel<int>(0), std::invalid_argument);
}

TEST_CASE("a weak sender becomes a sender while there is one, and keeps nothing open") {
  auto runtime = runtime_with(1);
  const auto body = []() -> Task<std::string> {
    auto [first, receiver] = mpsc::channel<int>(2);
    std::optional<mpsc::Sender<int>> sender(std::move(first));
    const auto weak = sender->downgrade();
    {
      auto strong = weak.upgrade();
      if (!strong || weak.strong_count() != 2) co_return "not upgraded";
      const auto sent = co_await strong->send(1);
      if (!sent) co_return "not sent";
    }
    if (sender->strong_count() != 1) co_return "count";
    sender.reset();
    if (weak.upgrade()) co_return "out of nothing";
    const auto one = co_await receiver.recv();
    const auto end = co_await receiver.recv();
    if (one != 1 || end) co_return "not ended";
    auto [to, from] = mpsc::unbounded_channel<int>();
    const auto weak_too = to.downgrade();
    const auto strong = weak_too.upgrade();
    co_return strong && strong->send(2) && *from.try_recv() == 2 ? "ok" : "unbounded";
  };
  CHECK(runtime.block_on(body()) == "ok");
}

TEST_CASE("try_reserve takes a place that nobody else gets") {
  auto [sender, receiver] = mpsc::channel<int>(1);
  {
    auto permit = sender.try_reserve();
    REQUIRE(permit);
    const auto refused = sender.try_reserve();
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == mpsc::TrySendError::Full);
    CHECK_FALSE(sender.try_send(1));
    permit->send(7);
  }
  CHECK(*receiver.try_recv() == 7);
  {
    const auto unused = sender.try_reserve();
    CHECK(sender.capacity() == 0);
  }
  CHECK(sender.capacity() == 1);
  receiver.close();
  const auto closed = sender.try_reserve();
  REQUIRE_FALSE(closed);
  CHECK(closed.error() == mpsc::TrySendError::Closed);
}

TEST_CASE("a receiver knows how much room and how many senders there are") {
  auto [sender, receiver] = mpsc::channel<int>(3);
  CHECK(receiver.capacity() == 3);
  REQUIRE(sender.try_send(1));
  const auto other = sender;
  CHECK(receiver.capacity() == 2);
  CHECK(receiver.max_capacity() == 3);
  CHECK(receiver.sender_strong_count() == 2);
}
