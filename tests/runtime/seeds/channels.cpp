// Channels: nothing is lost, nothing comes twice, and each sender's messages come in its order.
#include "taskscope/runtime/sync/broadcast.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/sync/watch.h"
#include "taskscope/tests/runtime/seeds/scenarios.h"

namespace taskscope::runtime::seeds {

namespace mpsc = sync::mpsc;

namespace {

// --- mpsc

constexpr int kSenders = 3;
constexpr int kMessages = 4;

/// A message says whose it is, and is counted while it lives.
struct Message {
  Message(World& world, int from, int at) : sender(from), number(at), live(world) {}
  int sender;
  int number;
  World::Live live;
};

struct Books {
  std::vector<int> sent[kSenders];
  std::vector<int> received[kSenders];
};
template <class R>
struct MpscState {
  explicit MpscState(R&& end) : receiver(std::move(end)) {}
  R receiver;
  Books books;
};

void received(World& world, Books& books, const Message& message) {
  world.note("receives of", message.sender);
  books.received[message.sender].push_back(message.number);
}

Task<bool> send_one(World& world, const mpsc::Sender<Message>& to, int sender, int number) {
  switch (world.below(4)) {
    case 0: {
      Message message(world, sender, number);
      const auto sent = co_await to.send(std::move(message));
      co_return sent.has_value();
    }
    case 1: {
      const auto send = [&] { return to.send(Message(world, sender, number)); };
      const auto sent = co_await maybe(world, send);
      co_return sent && sent->has_value();
    }
    case 2: {
      const auto reserve = [&to] { return to.reserve(); };
      auto permit = co_await maybe(world, reserve);
      co_await pause(world);
      if (!permit || !*permit || world.one_in(4)) co_return false;
      permit->send(Message(world, sender, number));
      co_return true;
    }
    default:
      co_return to.try_send(Message(world, sender, number)).has_value();
  }
}
Task<bool> send_one(World& world, const mpsc::UnboundedSender<Message>& to, int sender,
                    int number) {
  co_return to.send(Message(world, sender, number)).has_value();
}

template <class S>
Task<void> send_all(World& world, S to, Books& books, int sender) {
  for (int number = 0; number < kMessages; ++number) {
    const bool sent = co_await send_one(world, to, sender, number);
    if (sent) {
      books.sent[sender].push_back(number);
      world.note("sends", number);
    }
    if (!to.is_closed() && world.one_in(8)) {
      const auto closed = [&to] { return to.closed(); };
      auto waiting = closed();
      const auto result = co_await select(waiting, pause(world));
      world.check(result.index() == 1 || to.is_closed(), "closed() of an open channel");
    }
    co_await pause(world);
  }
}

/// False: the channel has ended.
template <class State>
Task<bool> receive_some(World& world, State& state) {
  switch (world.below(4)) {
    case 0: {
      const auto message = co_await state.receiver.recv();
      if (!message) co_return false;
      received(world, state.books, *message);
      break;
    }
    case 1: {
      const auto receive = [&state] { return state.receiver.recv(); };
      const auto result = co_await maybe(world, receive);
      if (!result) break;
      if (!*result) co_return false;
      received(world, state.books, **result);
      break;
    }
    case 2: {
      std::vector<Message> out;
      for (int i = 0; i < 2; ++i) out.emplace_back(world, 0, 0);
      const auto count = co_await state.receiver.recv_many(out);
      if (count == 0) co_return false;
      for (std::size_t i = 0; i < count; ++i) received(world, state.books, out[i]);
      break;
    }
    default: {
      const auto message = state.receiver.try_recv();
      if (message) received(world, state.books, *message);
      if (!message && message.error() == mpsc::TryRecvError::Disconnected) co_return false;
      co_await yield_now();
    }
  }
  co_return true;
}

template <class State>
Task<void> receive_for_a_while(World& world, State& state, bool closes) {
  for (int left = world.below(10); left > 0; --left) {
    const bool more = co_await receive_some(world, state);
    if (!more) co_return;
    co_await pause(world);
  }
  if (closes) {
    state.receiver.close();
    world.note("closes");
  }
}
/// What a receiver that was aborted has left.
template <class State>
Task<void> receive_rest(World& world, State& state, JoinHandle<void> before) {
  try {
    co_await before;
  } catch (const Cancelled&) {
    world.note("takes over");
  }
  for (;;) {
    const bool more = co_await receive_some(world, state);
    if (!more) break;
  }
  world.note("has seen the end");
}
Task<void> abort_later(World& world, AbortHandle task) {
  co_await pause(world);
  co_await pause(world);
  task.abort();
}

template <class State, class S, class R>
Task<void> use_mpsc(World& world, std::pair<S, R> ends) {
  auto& state = world.keep<State>(std::move(ends.second));
  auto first = spawn(receive_for_a_while(world, state, world.one_in(4)));
  auto aborting = spawn(abort_later(world, first.abort_handle()));
  auto rest = spawn(receive_rest(world, state, std::move(first)));
  std::vector<Task<void>> senders;
  for (int i = 0; i < kSenders; ++i) senders.push_back(send_all(world, ends.first, state.books, i));
  {
    const S dropped = std::move(ends.first);
  }
  co_await crowd(world, std::move(senders));
  co_await aborting;
  co_await rest;
  for (int i = 0; i < kSenders; ++i) {
    world.check(state.books.sent[i] == state.books.received[i],
                "what was received is not what was sent");
  }
}

// --- oneshot

struct OneshotState {
  explicit OneshotState(sync::oneshot::Receiver<Message>&& end) : receiver(std::move(end)) {}
  sync::oneshot::Receiver<Message> receiver;
  bool sent = false, received = false, closed = false, ended = false;
};

Task<void> send_once(World& world, OneshotState& state, sync::oneshot::Sender<Message> to) {
  co_await pause(world);
  if (world.one_in(3)) {
    const auto closed = [&to] { return to.closed(); };
    auto waiting = closed();
    const auto result = co_await select(waiting, pause(world));
    world.check(result.index() == 1 || state.closed, "closed() of an open channel");
  }
  if (world.one_in(4)) co_return;
  state.sent = to.send(Message(world, 0, 7)).has_value();
  world.check(state.sent || state.closed, "an open channel refuses a message");
  world.note("sends", state.sent ? 1 : 0);
}
Task<void> receive_once(World& world, OneshotState& state) {
  for (int i = 0; i < 2 && !state.ended; ++i) {
    co_await pause(world);
    if (world.one_in(6)) {
      state.receiver.close();
      state.closed = true;
      world.note("closes");
    }
    const auto receive = [&state] { return state.receiver.recv(); };
    const auto result = co_await maybe(world, receive);
    if (!result) continue;
    state.ended = true;
    state.received = result->has_value();
    world.note("receives", state.received ? 1 : 0);
  }
}

// --- broadcast

struct BroadcastState {
  int sent = 0;
};
Task<void> broadcast_some(World& world, BroadcastState& state, sync::broadcast::Sender<int> to) {
  for (int i = 0; i < kMessages; ++i) {
    if (to.send(state.sent)) world.note("sends", state.sent++);
    co_await pause(world);
  }
}
Task<void> listen(World& world, BroadcastState& state, sync::broadcast::Receiver<int> from,
                  int next) {
  for (;;) {
    const auto receive = [&from] { return from.recv(); };
    const auto result = co_await maybe(world, receive);
    if (!result) continue;
    if (*result) {
      world.note("hears", **result);
      world.check(**result == next, "a message is missing, or came twice");
      ++next;
    } else if (result->error().kind == sync::broadcast::RecvError::Kind::Lagged) {
      world.note("lags by", static_cast<long>(result->error().missed));
      next += static_cast<int>(result->error().missed);
    } else {
      break;
    }
    co_await pause(world);
  }
  world.check(next == state.sent, "ended before all was heard");
}
Task<void> listen_later(World& world, BroadcastState& state, sync::broadcast::WeakSender<int> to) {
  co_await pause(world);
  auto sender = to.upgrade();
  if (!sender) co_return;
  auto receiver = sender->subscribe();
  sender.reset();
  auto listening = listen(world, state, std::move(receiver), state.sent);
  co_await std::move(listening);
}

// --- watch

struct WatchState {
  int last = 0;
};
Task<void> set_some(World& world, WatchState& state, sync::watch::Sender<int> to) {
  for (int i = 0; i < kMessages; ++i) {
    const int value = state.last + 1;
    if (to.send(value)) {
      state.last = value;
      world.note("sets", value);
    }
    co_await pause(world);
  }
}
Task<void> watch_until(World& world, sync::watch::Receiver<int> from, int wanted) {
  const auto reached = [wanted](const int& value) { return value >= wanted; };
  const auto result = co_await from.wait_for(reached);
  const int value = from.get_and_update();
  world.check(!result || value >= wanted, "wait_for ended too early");
  world.note("has waited for", wanted);
}
Task<void> watch_all(World& world, WatchState& state, sync::watch::Receiver<int> from) {
  int seen = from.get_and_update();
  for (;;) {
    const auto change = [&from] { return from.changed(); };
    const auto result = co_await maybe(world, change);
    if (!result) continue;
    if (!*result) break;
    const int value = from.get_and_update();
    world.note("sees", value);
    world.check(value > seen, "a change to what was seen");
    seen = value;
    co_await pause(world);
  }
  world.check(seen == state.last, "the last value was not seen");
}

}  // namespace

Task<void> mpsc_bounded(World& world) {
  using Receiver = mpsc::Receiver<Message>;
  auto ends = mpsc::channel<Message>(static_cast<std::size_t>(1 + world.below(3)));
  auto using_it = use_mpsc<MpscState<Receiver>>(world, std::move(ends));
  co_await std::move(using_it);
}

Task<void> mpsc_unbounded(World& world) {
  using Receiver = mpsc::Receiver<Message>;
  auto ends = mpsc::unbounded_channel<Message>();
  auto using_it = use_mpsc<MpscState<Receiver>>(world, std::move(ends));
  co_await std::move(using_it);
}

Task<void> oneshot(World& world) {
  std::vector<OneshotState*> states;
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 3; ++i) {
    auto [sender, receiver] = sync::oneshot::channel<Message>();
    states.push_back(&world.keep<OneshotState>(std::move(receiver)));
    tasks.push_back(send_once(world, *states.back(), std::move(sender)));
    tasks.push_back(receive_once(world, *states.back()));
  }
  co_await crowd(world, std::move(tasks));
  for (OneshotState* const state : states) {
    if (!state->ended) {
      const auto result = co_await state->receiver.recv();
      state->received = result.has_value();
    }
    world.check(state->received == state->sent, "what was received is not what was sent");
  }
}

Task<void> broadcast(World& world) {
  auto& state = world.keep<BroadcastState>();
  std::vector<Task<void>> tasks;
  {
    auto [sender, receiver] =
        sync::broadcast::channel<int>(static_cast<std::size_t>(1 + world.below(4)));
    tasks.push_back(listen_later(world, state, sender.downgrade()));
    tasks.push_back(listen(world, state, sender.subscribe(), 0));
    tasks.push_back(listen(world, state, std::move(receiver), 0));
    tasks.push_back(broadcast_some(world, state, sender));
    tasks.push_back(broadcast_some(world, state, std::move(sender)));
  }
  co_await crowd(world, std::move(tasks));
}

Task<void> watch(World& world) {
  auto& state = world.keep<WatchState>();
  std::vector<Task<void>> tasks;
  {
    auto [sender, receiver] = sync::watch::channel<int>(0);
    tasks.push_back(watch_all(world, state, receiver));
    tasks.push_back(watch_all(world, state, receiver));
    tasks.push_back(watch_until(world, std::move(receiver), 1 + world.below(2 * kMessages)));
    tasks.push_back(set_some(world, state, sender));
    tasks.push_back(set_some(world, state, std::move(sender)));
  }
  co_await crowd(world, std::move(tasks));
}

}  // namespace taskscope::runtime::seeds
