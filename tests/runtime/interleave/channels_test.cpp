// The channels in every interleaving: each message comes once and whole, and who waits for one, for
// a place or for the end is told.

#include <memory>
#include <optional>

#include "taskscope/runtime/sync/broadcast.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/sync/watch.h"
#include "taskscope/tests/runtime/interleave/workers.h"

using namespace taskscope::interleave;
using namespace taskscope::runtime;
namespace broadcast = sync::broadcast;
namespace mpsc = sync::mpsc;
namespace oneshot = sync::oneshot;
namespace watch = sync::watch;

namespace {

using Message = Tracked<int>;

Task<void> receive_all(mpsc::Receiver<Message> receiver, int expected) {
  int sum = 0;
  for (;;) {
    auto message = co_await receiver.recv();
    if (!message) break;
    sum = 10 * sum + message->read();
  }
  check(sum == expected, "all that was sent, in order");
}
Task<void> receive_one(mpsc::Receiver<Message> receiver) {
  auto message = co_await receiver.recv();
  if (message) check(message->read() == 1, "the first");
}
Task<void> send_two(mpsc::Sender<Message> sender) {
  const auto first = co_await sender.send(Message(1));
  const auto second = co_await sender.send(Message(2));
  static_cast<void>(first.has_value() && second.has_value());
}

/// A thread sends and goes; the receiver may sleep at any point of it.
void thread_sends() {
  Workers workers;
  auto [sender, receiver] = mpsc::unbounded_channel<Message>();
  workers.spawn(receive_all(std::move(receiver), 12)).detach();
  auto sending = std::make_optional(std::move(sender));
  threads([&] { workers.work(); },
          [&] {
            check(sending->send(Message(1)).has_value(), "open");
            check(sending->send(Message(2)).has_value(), "open");
            sending.reset();
          });
}
/// What two threads did before each let go of its end of a channel.
struct Done {
  Tracked<int> one, two;
  void is_seen() { check(one.read() + two.read() == 2, "both were through"); }
};
/// Two ends go, each on a thread of its own; `looks` run beside them.
template <class End, class... Looks>
void both_go(Done& done, End of_one, End of_two, Looks... looks) {
  auto first = std::make_optional(std::move(of_one));
  auto second = std::make_optional(std::move(of_two));
  threads(
      looks...,
      [&] {
        done.one.write(1);
        first.reset();
      },
      [&] {
        done.two.write(1);
        second.reset();
      });
}
/// A task, made by `waits`, waits for the last to go, and sees what both did.
template <class End, class Waits>
void is_told(End of_one, End of_two, Waits waits) {
  Workers workers;
  Done done;
  workers.spawn(waits(&done)).detach();
  both_go(done, std::move(of_one), std::move(of_two), [&] { workers.work(); });
}

Task<void> receive_end(mpsc::Receiver<Message> receiver, Done* done) {
  auto message = co_await receiver.recv();
  check(!message.has_value(), "nothing was sent");
  done->is_seen();
}
/// The last of two senders to go closes the channel, and all that both have done is seen.
void senders_go() {
  auto [sender, receiver] = mpsc::unbounded_channel<Message>();
  auto second = sender;
  is_told(std::move(sender), std::move(second),
          [&](Done* done) { return receive_end(std::move(receiver), done); });
}
/// What a sender did before it went is seen by who finds the channel ended without waiting.
void end_is_seen() {
  auto [sender, receiver] = mpsc::unbounded_channel<Message>();
  auto second = sender;
  Done done;
  both_go(done, std::move(sender), std::move(second), [&] {
    const auto got = receiver.try_recv();
    if (!got.has_value() && got.error() == mpsc::TryRecvError::Disconnected) done.is_seen();
  });
}
/// One place: the sender waits for the receiver and the receiver for the sender.
void bounded() {
  Workers workers;
  auto [sender, receiver] = mpsc::channel<Message>(1);
  workers.spawn(receive_all(std::move(receiver), 12)).detach();
  workers.spawn(send_two(std::move(sender))).detach();
  threads([&] { workers.work(); }, [&] { workers.work(); });
}
/// The receiver takes one and goes while the sender waits for a place.
void receiver_goes() {
  Workers workers;
  auto [sender, receiver] = mpsc::channel<Message>(1);
  workers.spawn(receive_one(std::move(receiver))).detach();
  workers.spawn(send_two(std::move(sender))).detach();
  threads([&] { workers.work(); }, [&] { workers.work(); });
}
/// A weak sender becomes a strong one while the last strong one goes.
void upgrade() {
  Workers workers;
  auto [sender, receiver] = mpsc::unbounded_channel<Message>();
  auto weak = sender.downgrade();
  auto strong = std::make_optional(std::move(sender));
  bool upgraded = false;
  int got = 0;
  threads([&] { strong.reset(); },
          [&] {
            if (auto again = weak.upgrade()) {
              upgraded = true;
              check(again->send(Message(1)).has_value(), "open");
            }
          });
  while (receiver.try_recv().has_value()) ++got;
  check(got == (upgraded ? 1 : 0), "what was sent is there");
}

Part mpsc_channels() {
  return {.files = {"sync/channel.h", "sync/channel.cpp", "sync/mpsc.h"},
          .cases = {{"a thread sends", thread_sends, {.preemptions = 3}},
                    {"senders go", senders_go, {.preemptions = 3}},
                    {"the end is seen", end_is_seen},
                    {"one place", bounded, {.preemptions = 1}},
                    {"the receiver goes", receiver_goes, {.preemptions = 1}},
                    {"upgrade", upgrade}}};
}

Task<void> receive_answer(oneshot::Receiver<Message> receiver, bool expected) {
  auto got = co_await receiver.recv();
  check(got.has_value() == expected, "sent or not");
  if (got.has_value()) check(got->read() == 7, "the message");
}
template <bool kSends>
void one_message() {
  Workers workers;
  auto [sender, receiver] = oneshot::channel<Message>();
  workers.spawn(receive_answer(std::move(receiver), kSends)).detach();
  auto sending = std::make_optional(std::move(sender));
  threads([&] { workers.work(); },
          [&] {
            if (kSends) check(sending->send(Message(7)).has_value(), "open");
            sending.reset();
          });
}

Task<void> see_changes(watch::Receiver<int> receiver, Tracked<int>* before) {
  for (;;) {
    const auto changed = co_await receiver.changed();
    if (!changed.has_value()) break;
    check(before->read() == 1, "done before it was sent");
  }
  check(receiver.get_and_update() == 1, "the last value");
}
void watched() {
  Workers workers;
  Tracked<int> before;
  auto [sender, receiver] = watch::channel<int>(0);
  workers.spawn(see_changes(std::move(receiver), &before)).detach();
  auto sending = std::make_optional(std::move(sender));
  threads([&] { workers.work(); },
          [&] {
            before.write(1);
            sending->send_replace(1);
            sending.reset();
          });
}

Task<void> see_end(watch::Receiver<int> receiver, Done* done) {
  const auto changed = co_await receiver.changed();
  check(!changed.has_value(), "nothing was sent");
  done->is_seen();
}
void watch_senders_go() {
  auto [sender, receiver] = watch::channel<int>(0);
  auto second = sender;
  is_told(std::move(sender), std::move(second),
          [&](Done* done) { return see_end(std::move(receiver), done); });
}
Task<void> see_receivers_go(watch::Sender<int> sender, Done* done) {
  co_await sender.closed();
  done->is_seen();
}
void watch_receivers_go() {
  auto [sender, receiver] = watch::channel<int>(0);
  auto second = receiver;
  is_told(std::move(receiver), std::move(second),
          [&](Done* done) { return see_receivers_go(std::move(sender), done); });
}

Part others() {
  return {.files = {"sync/oneshot.h", "sync/oneshot.cpp", "sync/watch.h", "sync/watch.cpp"},
          .cases = {{"oneshot: sends", one_message<true>, {.preemptions = 4}},
                    {"oneshot: goes", one_message<false>, {.preemptions = 4}},
                    {"watch", watched, {.preemptions = 3}},
                    {"watch: senders go", watch_senders_go, {.preemptions = 3}},
                    {"watch: receivers go", watch_receivers_go, {.preemptions = 3}}}};
}

bool is_closed(const broadcast::RecvError& error) {
  return error.kind == broadcast::RecvError::Kind::Closed;
}
Task<void> hear_all(broadcast::Receiver<int> receiver, Tracked<int>* before) {
  int heard = 0;
  for (;;) {
    const auto got = co_await receiver.recv();
    if (!got.has_value()) {
      check(is_closed(got.error()), "it lags behind nothing");
      break;
    }
    check(before->read() == 1, "done before it was sent");
    heard = 10 * heard + *got;
  }
  check(heard == 12, "all that was sent, in order");
}
/// A thread sends and goes; of two receivers each hears all.
void broadcast_sends() {
  Workers workers;
  Tracked<int> before;
  auto [sender, receiver] = broadcast::channel<int>(2);
  workers.spawn(hear_all(sender.subscribe(), &before)).detach();
  workers.spawn(hear_all(std::move(receiver), &before)).detach();
  auto sending = std::make_optional(std::move(sender));
  threads([&] { workers.work(); },
          [&] {
            before.write(1);
            check(sending->send(1).has_value(), "there are receivers");
            check(sending->send(2).has_value(), "there are receivers");
            sending.reset();
          });
}
Task<void> hear_end(broadcast::Receiver<int> receiver, Done* done) {
  const auto got = co_await receiver.recv();
  check(!got.has_value(), "nothing was sent");
  done->is_seen();
}
void broadcast_senders_go() {
  auto [sender, receiver] = broadcast::channel<int>(1);
  auto second = sender;
  is_told(std::move(sender), std::move(second),
          [&](Done* done) { return hear_end(std::move(receiver), done); });
}
/// What a sender did before it went is seen by who finds the channel ended, or no sender counted,
/// without waiting.
void broadcast_end_is_seen() {
  auto [sender, receiver] = broadcast::channel<int>(1);
  const auto weak = sender.downgrade();
  auto second = sender;
  Done done;
  both_go(
      done, std::move(sender), std::move(second),
      [&] {
        const auto got = receiver.try_recv();
        if (!got.has_value() && is_closed(got.error())) done.is_seen();
      },
      [&] {
        if (weak.strong_count() == 0) done.is_seen();
      });
}
Task<void> hear_receivers_go(broadcast::Sender<int> sender, Done* done) {
  co_await sender.closed();
  done->is_seen();
}
void broadcast_receivers_go() {
  auto [sender, receiver] = broadcast::channel<int>(1);
  auto second = sender.subscribe();
  is_told(std::move(receiver), std::move(second),
          [&](Done* done) { return hear_receivers_go(std::move(sender), done); });
}
/// A weak sender becomes a strong one while the last strong one goes.
void broadcast_upgrade() {
  auto [sender, receiver] = broadcast::channel<int>(1);
  auto weak = sender.downgrade();
  auto strong = std::make_optional(std::move(sender));
  bool upgraded = false;
  threads([&] { strong.reset(); },
          [&] {
            if (auto again = weak.upgrade()) {
              upgraded = true;
              check(again->send(1).has_value(), "there is a receiver");
            }
          });
  const auto got = receiver.try_recv();
  check(got.has_value() == upgraded, "what was sent is there");
  if (!upgraded) check(is_closed(got.error()), "nobody can send any more");
}

Part broadcasts() {
  return {.files = {"sync/broadcast.h", "sync/broadcast.cpp"},
          .cases = {{"broadcast", broadcast_sends, {.preemptions = 2}},
                    {"broadcast: senders go", broadcast_senders_go, {.preemptions = 3}},
                    {"broadcast: the end is seen", broadcast_end_is_seen, {.preemptions = 3}},
                    {"broadcast: receivers go", broadcast_receivers_go, {.preemptions = 3}},
                    {"broadcast: upgrade", broadcast_upgrade}}};
}

}  // namespace

TEST_CASE("interleavings: mpsc") { check_cases(mpsc_channels()); }
TEST_CASE("interleavings: every order of mpsc is needed") { check_orders(mpsc_channels()); }
TEST_CASE("interleavings: oneshot and watch") { check_cases(others()); }
TEST_CASE("interleavings: every order of oneshot and watch is needed") { check_orders(others()); }
TEST_CASE("interleavings: broadcast") { check_cases(broadcasts()); }
TEST_CASE("interleavings: every order of broadcast is needed") { check_orders(broadcasts()); }
