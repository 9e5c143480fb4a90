/// What looks like a trouble and is none: in time, everybody goes on.
#include <deque>

#include "taskscope/instrumentation/examples/gallery/curator.h"
#include "taskscope/instrumentation/examples/gallery/plants.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/runtime/time/interval.h"
#include "taskscope/runtime/time/timeout.h"

namespace taskscope::gallery {

namespace mpsc = runtime::sync::mpsc;
namespace time = runtime::time;
using runtime::sync::Mutex;
using runtime::sync::Notify;
using runtime::sync::Semaphore;

namespace {

std::string in_ms(milliseconds time) { return std::to_string(time.count()) + " ms"; }

/// Moves all of `more` to the end of `all`.
void append(Handles& all, Handles more) {
  for (auto& handle : more) all.push_back(std::move(handle));
}

struct Shared {
  Mutex<> mutex, other;
  std::atomic<std::uint64_t> rounds{0};  // relaxed: a count
};
using TheShared = std::shared_ptr<Shared>;

/// Wants the lock, has it for a moment, and wants it again.
Task<void> want_lock(TheShared shared) {
  for (;;) {
    const auto guard = co_await shared->mutex.lock();
    co_await runtime::yield_now();
  }
}

Handles spawn_wanting(Curator& curator, const TheShared& shared, std::size_t count) {
  Tasks tasks;
  for (std::size_t i = 0; i < count; ++i) tasks.push_back(want_lock(shared));
  return curator.spawn("wants the lock", std::move(tasks));
}

}  // namespace

// --- contended

namespace {

enum class Use { Yields, Sleeps, Asks };

Task<void> answer_at_once() { co_return; }

Task<void> contend(TheShared shared, Use use) {
  for (;;) {
    const auto guard = co_await shared->mutex.lock();
    shared->rounds.fetch_add(1, std::memory_order_relaxed);
    if (use == Use::Yields) co_await runtime::yield_now();
    if (use == Use::Sleeps) co_await time::sleep(1ms);
    if (use == Use::Asks) {
      auto child = runtime::spawn(answer_at_once());
      co_await child;
    }
  }
}

}  // namespace

void plant_contended(Curator& curator, Shape& shape) {
  constexpr std::size_t kTasks = 10'000;
  constexpr Use kUses[] = {Use::Yields, Use::Sleeps, Use::Asks};
  const Use use = shape.one_of(kUses);
  const auto shared = std::make_shared<Shared>();
  Tasks tasks;
  tasks.reserve(kTasks);
  for (std::size_t i = 0; i < kTasks; ++i) tasks.push_back(contend(shared, use));
  const Handles handles = curator.spawn("contends", std::move(tasks));
  curator.until([&] { return shared->rounds.load(std::memory_order_relaxed) > 100; });
  curator.until([&] {
    return curator.look(handles.back().id()).waits_on(WaitOp::Lock, shared->mutex.resource().id());
  });
  curator.say_decoy("contended", handles,
                    counted(kTasks, "task") + " and one mutex, whose holder " +
                        (use == Use::Yields   ? "yields"
                         : use == Use::Sleeps ? "sleeps a millisecond"
                                              : "waits for a child"));
}

// --- timeout-cycle

namespace {

struct Circle {
  explicit Circle(std::size_t count) : mutexes(count) {}
  std::deque<Mutex<>> mutexes;
};

Task<void> wait_in_circle(Circle& circle, std::size_t i, milliseconds patience, std::size_t depth) {
  Mutex<>& next = circle.mutexes[(i + 1) % circle.mutexes.size()];
  if (depth > 0) {
    co_await wait_in_circle(circle, i, patience, depth - 1);
  } else if (i == 0) {
    const auto got = co_await time::timeout(patience, next.lock_owned());
  } else {
    const auto guard = co_await next.lock();
  }
}

Task<void> stand_in_circle(std::shared_ptr<Circle> circle, std::size_t i, milliseconds patience,
                           std::size_t depth) {
  for (;;) {
    {
      const auto own = co_await circle->mutexes[i].lock();
      co_await time::sleep(20ms);  // until the others have theirs
      co_await wait_in_circle(*circle, i, patience, depth);
    }
    co_await time::sleep(10ms);
  }
}

}  // namespace

void plant_timeout_cycle(Curator& curator, Shape& shape) {
  constexpr milliseconds kPatience[] = {400ms, 4s, 1h};
  const std::size_t count = shape.between(2, 8), depth = shape.between(0, 5);
  const milliseconds patience = shape.one_of(kPatience);
  const auto circle = std::make_shared<Circle>(count);
  Tasks tasks;
  for (std::size_t i = 0; i < count; ++i)
    tasks.push_back(stand_in_circle(circle, i, patience, depth));
  const Handles handles = curator.spawn("stands in a circle", std::move(tasks));
  curator.until([&] {
    for (std::size_t i = 0; i < count; ++i) {
      Mutex<>& next = circle->mutexes[(i + 1) % count];
      if (!curator.look(handles[i].id()).waits_on(WaitOp::Lock, next.resource().id())) return false;
    }
    return true;
  });
  curator.say_decoy("timeout-cycle", handles,
                    counted(count, "member") + ", the first waits for " + in_ms(patience) +
                        ", depth " + std::to_string(depth));
}

// --- moved-guard

namespace {

using Guard = Mutex<>::OwnedGuard;

Task<void> take_and_pass_on(TheShared shared, mpsc::Sender<Guard> sender) {
  auto guard = co_await shared->mutex.lock_owned();
  static_cast<void>(co_await sender.send(std::move(guard)));
}

/// The last taker waits for what it took: by the hint, it waits for itself.
Task<void> take_again(TheShared shared, mpsc::Sender<Guard> sender) {
  for (;;) co_await take_and_pass_on(shared, sender);
}

Task<void> release_after(TheShared shared, mpsc::Receiver<Guard> receiver, milliseconds time) {
  for (;;) {
    const auto guard = co_await receiver.recv();
    if (!guard) co_return;
    shared->rounds.fetch_add(1, std::memory_order_relaxed);
    co_await time::sleep(time);
  }
}

/// Has the lock taken by a task that ends at once.
Task<void> have_taken(TheShared shared, mpsc::Sender<Guard> sender, mpsc::Receiver<Guard> receiver,
                      milliseconds time) {
  for (;;) {
    runtime::task::Builder()
        .name("takes and ends")
        .spawn(take_and_pass_on(shared, sender))
        .detach();
    const auto guard = co_await receiver.recv();
    shared->rounds.fetch_add(1, std::memory_order_relaxed);
    co_await time::sleep(time);
  }
}

/// With the other one of these, a circle by the hint.
Task<void> take_then_want_other(TheShared shared, mpsc::Sender<Guard> sender) {
  for (;;) {
    co_await take_and_pass_on(shared, sender);
    const auto other = co_await shared->other.lock();
  }
}

Task<void> hold_other_and_want(TheShared shared) {
  for (;;) {
    const auto other = co_await shared->other.lock();
    co_await time::sleep(5ms);
    const auto guard = co_await shared->mutex.lock();
  }
}

}  // namespace

void plant_moved_guard(Curator& curator, Shape& shape) {
  enum class Taker { WaitsAgain, Ends, InCircle };
  constexpr Taker kTakers[] = {Taker::WaitsAgain, Taker::Ends, Taker::InCircle};
  const Taker taker = shape.one_of(kTakers);
  const auto time = milliseconds(shape.between(500, 2'500));
  const auto shared = std::make_shared<Shared>();
  auto ends = mpsc::channel<Guard>(1);
  Tasks tasks;
  if (taker == Taker::Ends) {
    tasks.push_back(have_taken(shared, ends.first, std::move(ends.second), time));
  } else {
    tasks.push_back(release_after(shared, std::move(ends.second), time));
    if (taker == Taker::WaitsAgain) {
      tasks.push_back(take_again(shared, ends.first));
    } else {
      tasks.push_back(take_then_want_other(shared, ends.first));
      tasks.push_back(hold_other_and_want(shared));
    }
  }
  Handles handles = curator.spawn("moves a guard", std::move(tasks));
  curator.until([&] { return shared->rounds.load(std::memory_order_relaxed) > 0; });
  if (taker == Taker::Ends) append(handles, spawn_wanting(curator, shared, shape.between(1, 4)));
  const auto waits = [&](std::size_t i) {
    return curator.look(handles[i].id()).waits_on(WaitOp::Lock, shared->mutex.resource().id());
  };
  curator.until([&] { return waits(handles.size() - 1); });
  curator.say_decoy("moved-guard", handles,
                    std::string(taker == Taker::Ends         ? "the taker is over"
                                : taker == Taker::WaitsAgain ? "the taker waits for it again"
                                                             : "the taker waits in a circle") +
                        ", released after " + in_ms(time));
}

// --- signal-semaphore

namespace {

struct Signal {
  explicit Signal(std::size_t permits) : semaphore(permits) {}
  Semaphore semaphore;
};

Task<void> wait_for_signal(std::shared_ptr<Signal> signal) {
  for (;;) {
    auto permit = co_await signal->semaphore.acquire();
    permit.forget();
  }
}

/// Holds the only permit and waits for another one.
Task<void> wait_beside_own(std::shared_ptr<Signal> signal) {
  const auto own = co_await signal->semaphore.acquire();
  for (;;) {
    auto permit = co_await signal->semaphore.acquire();
    permit.forget();
  }
}

Task<void> give_signals(std::shared_ptr<Signal> signal, std::size_t count, milliseconds time) {
  for (;;) {
    co_await time::sleep(time);
    signal->semaphore.add_permits(count);
  }
}

}  // namespace

void plant_signal_semaphore(Curator& curator, Shape& shape) {
  const bool holds = shape.once_in(2);
  const std::size_t count = holds ? 1 : shape.between(1, 7);
  const auto time = milliseconds(shape.between(500, 2'500));
  const auto signal = std::make_shared<Signal>(holds ? 1 : 0);
  Tasks tasks;
  for (std::size_t i = 0; i < count; ++i)
    tasks.push_back(holds ? wait_beside_own(signal) : wait_for_signal(signal));
  Handles handles = curator.spawn("waits for a signal", std::move(tasks));
  for (const auto& handle : handles) {
    curator.until([&] {
      return curator.look(handle.id()).waits_on(WaitOp::Acquire, signal->semaphore.id());
    });
  }
  Tasks one;
  one.push_back(give_signals(signal, count, time));
  append(handles, curator.spawn("gives signals", std::move(one)));
  curator.say_decoy("signal-semaphore", handles,
                    (holds ? "a task that holds the only permit waits for another"
                           : counted(count, "task") + " wait") +
                        std::string(", signalled every ") + in_ms(time));
}

// --- blocking-holder

namespace {

Task<void> hold_across_call(TheShared shared, const Closing& closing, milliseconds time) {
  const Closing* const end = &closing;
  const auto call = [end, time] { static_cast<void>(end->doze(time)); };
  for (;;) {
    const auto guard = co_await shared->mutex.lock();
    shared->rounds.fetch_add(1, std::memory_order_relaxed);
    co_await runtime::spawn_blocking(call);
  }
}

}  // namespace

void plant_blocking_holder(Curator& curator, Shape& shape) {
  const auto time = milliseconds(shape.between(500, 2'500));
  const auto shared = std::make_shared<Shared>();
  Tasks one;
  one.push_back(hold_across_call(shared, curator.closing(), time));
  Handles handles = curator.spawn("holds a lock across a call", std::move(one));
  curator.until([&] { return shared->rounds.load(std::memory_order_relaxed) > 0; });
  append(handles, spawn_wanting(curator, shared, shape.between(1, 7)));
  curator.until([&] {
    return curator.look(handles.back().id()).waits_on(WaitOp::Lock, shared->mutex.resource().id());
  });
  curator.say_decoy("blocking-holder", handles,
                    std::to_string(handles.size() - 1) + " wait, a call takes " + in_ms(time));
}

// --- slow-sender

namespace {

enum class Medium { Channel, Notify, Mail };

struct Letters {
  Notify notify;
};

Task<void> send_slowly(mpsc::Sender<int> sender, milliseconds time) {
  for (int message = 0;; ++message) {
    static_cast<void>(co_await sender.send(message));
    co_await time::sleep(time);
  }
}

Task<void> receive_all(mpsc::Receiver<int> receiver) {
  for (;;) {
    const auto message = co_await receiver.recv();
    if (!message) co_return;
  }
}

Task<void> notify_slowly(std::shared_ptr<Letters> letters, milliseconds time) {
  for (;;) {
    letters->notify.notify_one();
    co_await time::sleep(time);
  }
}

Task<void> hear_all(std::shared_ptr<Letters> letters) {
  for (;;) co_await letters->notify.notified();
}

Task<int> write_slowly(milliseconds time) {
  co_await time::sleep(time);
  co_return 1;
}

Task<void> await_letters(milliseconds time) {
  for (;;) {
    auto writing = runtime::spawn(write_slowly(time));
    static_cast<void>(co_await writing);
  }
}

}  // namespace

void plant_slow_sender(Curator& curator, Shape& shape) {
  constexpr Medium kMedia[] = {Medium::Channel, Medium::Notify, Medium::Mail};
  const Medium medium = shape.one_of(kMedia);
  const auto time = milliseconds(shape.between(1'000, 5'000));
  Tasks tasks;
  WaitOp op = WaitOp::Join;
  if (medium == Medium::Channel) {
    op = WaitOp::Recv;
    auto ends = mpsc::channel<int>(shape.between(1, 4));
    tasks.push_back(send_slowly(std::move(ends.first), time));
    tasks.push_back(receive_all(std::move(ends.second)));
  } else if (medium == Medium::Notify) {
    op = WaitOp::Notified;
    const auto letters = std::make_shared<Letters>();
    tasks.push_back(notify_slowly(letters, time));
    tasks.push_back(hear_all(letters));
  } else {
    tasks.push_back(await_letters(time));
  }
  const Handles handles = curator.spawn("waits for slow letters", std::move(tasks));
  curator.until([&] { return curator.look(handles.back().id()).waits_on(op); });
  curator.say_decoy("slow-sender", handles,
                    std::string(medium == Medium::Channel  ? "a channel"
                                : medium == Medium::Notify ? "a notification"
                                                           : "a child task") +
                        " every " + in_ms(time));
}

// --- long-yielding

[[gnu::noinline]] void compute_a_slice(std::chrono::microseconds slice, std::uint64_t& number) {
  const auto end = std::chrono::steady_clock::now() + slice;
  while (std::chrono::steady_clock::now() < end) {
    number = number * 6364136223846793005u + 1;
    asm volatile("" : "+r"(number));
  }
}

namespace {

Task<void> compute_and_yield(TheShared shared, std::chrono::microseconds slice) {
  for (std::uint64_t number = 1;;) {
    compute_a_slice(slice, number);
    shared->rounds.fetch_add(1, std::memory_order_relaxed);
    co_await runtime::yield_now();
  }
}

}  // namespace

void plant_long_yielding(Curator& curator, Shape& shape) {
  const auto slice = std::chrono::microseconds(shape.between(100, 2'000));
  const auto shared = std::make_shared<Shared>();
  Tasks one;
  one.push_back(compute_and_yield(shared, slice));
  const Handles handles = curator.spawn("computes and yields", std::move(one));
  curator.until([&] { return shared->rounds.load(std::memory_order_relaxed) > 10; });
  curator.say_decoy("long-yielding", handles, "slices of " + std::to_string(slice.count()) + " us");
}

// --- long-sleep

namespace {

Task<void> sleep_long(std::size_t way) {
  if (way == 0) co_await time::sleep(1h);
  if (way == 1) co_await time::sleep_until(time::now() + 1h);
  if (way == 2) {
    auto interval = time::interval_at(time::now() + 1h, 1h);
    static_cast<void>(co_await interval.tick());
  }
}

}  // namespace

void plant_long_sleep(Curator& curator, Shape& shape) {
  const std::size_t count = shape.between(1, 8);
  Tasks tasks;
  for (std::size_t i = 0; i < count; ++i) tasks.push_back(sleep_long(shape.between(0, 2)));
  const Handles handles = curator.spawn("sleeps for an hour", std::move(tasks));
  for (const auto& handle : handles) {
    curator.until([&] {
      const Seen seen = curator.look(handle.id());
      return seen.waits_on(WaitOp::Sleep) || seen.waits_on(WaitOp::Tick);
    });
  }
  curator.say_decoy("long-sleep", handles, counted(count, "task"));
}

}  // namespace taskscope::gallery
