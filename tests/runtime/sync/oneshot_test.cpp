#include "taskscope/runtime/sync/oneshot.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
namespace oneshot = taskscope::runtime::sync::oneshot;

namespace {

using Message = std::unique_ptr<int>;

Task<int> receive(oneshot::Receiver<Message> from) {
  const auto message = co_await from.recv();
  co_return message ? **message : -1;
}
Task<void> send_and_end(oneshot::Sender<int>& to, int message) {
  static_cast<void>(to.send(message));
  co_return;
}

}  // namespace

TEST_CASE("a oneshot carries one message, sent before or after the wait begins") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [early, late_receiver] = oneshot::channel<Message>();
    const auto sent = early.send(std::make_unique<int>(1));
    auto kept = std::make_unique<int>(9);
    const auto twice = early.send(std::move(kept));
    if (!sent || twice || !kept) co_return "sent twice";
    const int one = co_await receive(std::move(late_receiver));
    auto [sender, receiver] = oneshot::channel<Message>("one message");
    auto receiving = spawn(receive(std::move(receiver)));
    co_await until_waiting(inspected, "one message", 1);
    const auto sent_late = sender.send(std::make_unique<int>(2));
    const int two = co_await receiving;
    co_return sent_late&& one == 1 && two == 2 ? "ok" : "wrong";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a oneshot whose sender dies gives an error") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = oneshot::channel<Message>("sender dies");
    const auto empty = receiver.try_recv();
    if (empty || empty.error() != oneshot::TryRecvError::Empty) co_return "not empty";
    auto receiving = spawn(receive(std::move(receiver)));
    co_await until_waiting(inspected, "sender dies", 1);
    {
      const auto gone = std::move(sender);
    }
    const int nothing = co_await receiving;
    co_return nothing == -1 ? "ok" : "wrong";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a oneshot's sender is told when nobody wants the message") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = oneshot::channel<int>("unwanted");
    const auto waits = [](oneshot::Sender<int>& to) -> Task<void> { co_await to.closed(); };
    auto closing = spawn(waits(sender));
    co_await until_waiting(inspected, "unwanted", 1);
    if (sender.is_closed()) co_return "closed too early";
    {
      const auto gone = std::move(receiver);
    }
    co_await closing;
    const auto refused = sender.send(1);
    if (refused || !sender.is_closed()) co_return "sent to nobody";
    auto [other, closes] = oneshot::channel<int>();
    const auto sent = other.send(2);
    closes.close();
    const auto still = co_await closes.recv();
    const auto taken = closes.try_recv();
    if (taken || taken.error() != oneshot::TryRecvError::Closed) co_return "taken twice";
    co_return sent&& still && *still == 2 ? "ok" : "a message sent before close was lost";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a cancelled oneshot recv() loses nothing") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    auto [sender, receiver] = oneshot::channel<int>("oneshot cancelled");
    const auto late = co_await time::timeout(1ms, receiver.recv());
    if (late || see(inspected, "oneshot cancelled")->waiters != 0) co_return "still in line";
    const auto lost = co_await select_biased(receiver.recv(), send_and_end(sender, 3));
    if (lost.index() != 1) co_return "the cancelled arm won";
    const auto seen = see(inspected, "oneshot cancelled");
    if (seen->attributes.at("sent") != 1 || seen->holders.size() != 1 ||
        seen->holders[0].role != "receives")
      co_return "facts";
    const auto message = co_await receiver.recv();
    co_return message && *message == 3 ? "ok" : "lost";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}
