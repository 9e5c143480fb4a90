/// Troubles with what tasks share: permits, channels, guards, timers.
#include <deque>
#include <optional>

#include "taskscope/instrumentation/examples/gallery/curator.h"
#include "taskscope/instrumentation/examples/gallery/plants.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/runtime/time/sleep.h"

namespace taskscope::gallery {

namespace mpsc = runtime::sync::mpsc;
namespace time = runtime::time;
using runtime::sync::Mutex;
using runtime::sync::Semaphore;

// --- lost-permit

namespace {

struct Counter {
  explicit Counter(std::size_t permits) : semaphore(permits) {}
  Semaphore semaphore;
  std::atomic<std::size_t> forgotten{0};  // relaxed: a count
  std::deque<Site> where;
};

Task<void> forget_permits(std::shared_ptr<Counter> counter, std::size_t permits, bool ends) {
  {
    auto permit = co_await counter->semaphore.acquire(permits);
    permit.forget();
  }
  counter->forgotten.fetch_add(permits, std::memory_order_relaxed);
  while (!ends) co_await time::sleep(100ms);
}

Task<void> acquire_in(Counter& counter, std::size_t i, std::size_t permits, std::size_t depth) {
  if (depth > 0) {
    co_await acquire_in(counter, i, permits, depth - 1);
  } else {
    const auto permit = co_await here(counter.where[i], counter.semaphore.acquire(permits));
  }
}

Task<void> want_permits(std::shared_ptr<Counter> counter, std::size_t i, std::size_t permits,
                        std::size_t depth) {
  co_await acquire_in(*counter, i, permits, depth);
}

}  // namespace

void plant_lost_permit(Curator& curator, Shape& shape) {
  const std::size_t permits = shape.between(1, 4);
  const std::size_t at_once = shape.once_in(2) ? permits : 1;
  const bool ends = shape.once_in(2);
  const std::size_t count = shape.between(1, 8);
  const std::size_t depth = shape.between(0, 5);
  const auto counter = std::make_shared<Counter>(permits);
  counter->where.resize(count);
  Tasks leakers;
  for (std::size_t taken = 0; taken < permits; taken += at_once)
    leakers.push_back(forget_permits(counter, at_once, ends));
  const Handles leaking = curator.spawn("forgets permits", std::move(leakers));
  curator.until([&] { return counter->forgotten.load(std::memory_order_relaxed) == permits; });

  Tasks tasks;
  for (std::size_t i = 0; i < count; ++i)
    tasks.push_back(want_permits(counter, i, shape.between(1, permits), depth));
  const Handles waiting = curator.spawn("wants a permit", std::move(tasks));
  for (const auto& handle : waiting) {
    curator.until([&] {
      return curator.look(handle.id()).waits_on(WaitOp::Acquire, counter->semaphore.id());
    });
  }
  Planted planted{.trouble = "lost-permit", .kind = "permit-leak"};
  planted.tasks = ids_of(waiting);
  planted.resources = {counter->semaphore.id()};
  planted.where = place(counter->where.front());
  planted.shape = counted(permits, "permit") + " forgotten by tasks that " +
                  (ends ? "ended, " : "live, ") + std::to_string(count) + " waiting, depth " +
                  std::to_string(depth);
  planted.more.ids<TaskId>("by", ids_of(leaking));
  curator.say(planted);
}

// --- orphan

namespace {

enum class Legacy { Guard, Permits, Sender, Receiver };
constexpr const char* name_of(Legacy legacy) {
  switch (legacy) {
    case Legacy::Guard:
      return "an owned guard";
    case Legacy::Permits:
      return "owned permits";
    case Legacy::Sender:
      return "the only sender";
    case Legacy::Receiver:
      return "the receiver of a full channel";
  }
  return "";
}

/// A task has taken something, put it here, and ended; nobody looks here again.
struct Attic {
  Attic() : ends(mpsc::channel<int>(1)) {}

  Mutex<> mutex;
  Semaphore semaphore{1};
  std::pair<mpsc::Sender<int>, mpsc::Receiver<int>> ends;
  Mutex<>::OwnedGuard guard;
  Semaphore::OwnedPermit permit;
  std::deque<Site> where;
};

Task<void> leave_behind(std::shared_ptr<Attic> attic, Legacy legacy) {
  if (legacy == Legacy::Guard) {
    auto guard = co_await attic->mutex.lock_owned();
    attic->guard = std::move(guard);
  } else if (legacy == Legacy::Permits) {
    auto permit = co_await attic->semaphore.acquire_owned();
    attic->permit = std::move(permit);
  } else if (legacy == Legacy::Sender) {
    static_cast<void>(co_await attic->ends.first.send(1));
  } else {
    static_cast<void>(attic->ends.first.try_send(1));
    static_cast<void>(co_await attic->ends.second.recv());
  }
}

Task<void> wait_for_legacy(std::shared_ptr<Attic> attic, Legacy legacy, std::size_t i,
                           std::size_t depth) {
  Site& where = attic->where[i];
  if (depth > 0) {
    co_await wait_for_legacy(attic, legacy, i, depth - 1);
  } else if (legacy == Legacy::Guard) {
    const auto guard = co_await here(where, attic->mutex.lock());
  } else if (legacy == Legacy::Permits) {
    const auto permit = co_await here(where, attic->semaphore.acquire());
  } else if (legacy == Legacy::Sender) {
    static_cast<void>(co_await attic->ends.second.recv());  // what was sent before the end
    static_cast<void>(co_await here(where, attic->ends.second.recv()));
  } else {
    // The channel is full of what nobody will receive; the first one fills it.
    if (i == 0) static_cast<void>(co_await attic->ends.first.send(0));
    static_cast<void>(co_await here(where, attic->ends.first.send(0)));
  }
}

}  // namespace

void plant_orphan(Curator& curator, Shape& shape) {
  constexpr Legacy kLegacies[] = {Legacy::Guard, Legacy::Permits, Legacy::Sender, Legacy::Receiver};
  const Legacy legacy = shape.one_of(kLegacies);
  const std::size_t count = legacy == Legacy::Sender ? 1 : shape.between(1, 8);
  const std::size_t depth = shape.between(0, 5);
  const auto attic = std::make_shared<Attic>();
  curator.keep(attic);
  attic->where.resize(count);
  Tasks one;
  one.push_back(leave_behind(attic, legacy));
  const JoinHandle<void> dead =
      std::move(curator.spawn("leaves something behind", std::move(one)).front());
  curator.until([&] { return dead.is_finished(); });

  runtime::task::Resource& resource = legacy == Legacy::Guard     ? attic->mutex.resource()
                                      : legacy == Legacy::Permits ? attic->semaphore
                                                                  : attic->ends.first.resource();
  const WaitOp op = legacy == Legacy::Guard     ? WaitOp::Lock
                    : legacy == Legacy::Permits ? WaitOp::Acquire
                    : legacy == Legacy::Sender  ? WaitOp::Recv
                                                : WaitOp::Send;
  Handles waiting;
  for (std::size_t i = 0; i < count; ++i) {
    Tasks next;
    next.push_back(wait_for_legacy(attic, legacy, i, depth));
    waiting.push_back(std::move(curator.spawn("waits for a legacy", std::move(next)).front()));
    curator.until([&] { return curator.look(waiting[i].id()).waits_on(op, resource.id()); });
  }
  Planted planted{.trouble = "orphan", .kind = "orphan"};
  planted.tasks = ids_of(waiting);
  planted.resources = {resource.id()};
  planted.where = place(attic->where.front());
  planted.shape = std::string(name_of(legacy)) + " left by a task that is over, " +
                  std::to_string(count) + " waiting, depth " + std::to_string(depth);
  planted.more.task("last_user", dead.id());
  curator.say(planted);
}

// --- slow-consumer

namespace {

enum class Pace { Sleeps, Blocks, Computes };

struct Belt {
  explicit Belt(const Closing& end) : closing(end) {}
  const Closing& closing;
  runtime::task::Resource* resource = nullptr;
  milliseconds rest{};
  std::deque<Site> where;
  std::atomic<std::size_t> received{0};  // relaxed: a count
};

Task<void> produce(std::shared_ptr<Belt> belt, std::size_t i, mpsc::Sender<int> sender) {
  for (int message = 0;; ++message) {
    const auto sent = co_await here(belt->where[i], sender.send(message));
    if (!sent) co_return;
  }
}

Task<void> consume(std::shared_ptr<Belt> belt, Pace pace, mpsc::Receiver<int> receiver) {
  for (;;) {
    const auto message = co_await receiver.recv();
    if (!message) co_return;
    belt->received.fetch_add(1, std::memory_order_relaxed);
    if (pace == Pace::Blocks) {
      Belt* const here_too = belt.get();
      const auto work = [here_too] { static_cast<void>(here_too->closing.doze(here_too->rest)); };
      co_await runtime::spawn_blocking(work);
    } else {
      if (pace == Pace::Computes) {
        const auto until = std::chrono::steady_clock::now() + 4ms;
        while (std::chrono::steady_clock::now() < until) {
        }
      }
      co_await time::sleep(belt->rest);
    }
  }
}

}  // namespace

void plant_slow_consumer(Curator& curator, Shape& shape) {
  constexpr Pace kPaces[] = {Pace::Sleeps, Pace::Blocks, Pace::Computes};
  const Pace pace = shape.one_of(kPaces);
  const std::size_t capacity = shape.between(1, 16);
  const std::size_t count = shape.between(1, 7);
  const auto belt = std::make_shared<Belt>(curator.closing());
  curator.keep(belt);  // for a blocking call that runs at the end
  belt->rest = milliseconds(shape.between(80, 400));
  belt->where.resize(count);
  auto ends = mpsc::channel<int>(capacity);
  belt->resource = &ends.first.resource();
  Tasks producers;
  for (std::size_t i = 0; i < count; ++i) producers.push_back(produce(belt, i, ends.first));
  Tasks consumers;
  consumers.push_back(consume(belt, pace, std::move(ends.second)));
  const Handles senders = curator.spawn("produces", std::move(producers));
  const Handles consumer = curator.spawn("consumes slowly", std::move(consumers));
  curator.until([&] { return belt->received.load(std::memory_order_relaxed) > 0; });
  for (const auto& handle : senders) {
    curator.until(
        [&] { return curator.look(handle.id()).waits_on(WaitOp::Send, belt->resource->id()); });
  }
  Planted planted{.trouble = "slow-consumer", .kind = "slow-consumer", .certainty = "certain"};
  planted.tasks = ids_of(consumer);
  planted.resources = {belt->resource->id()};
  planted.where = place(belt->where.front());
  planted.shape = counted(count, "sender") + ", capacity " + std::to_string(capacity) +
                  ", a message in " + std::to_string(belt->rest.count()) + " ms, the consumer " +
                  (pace == Pace::Sleeps   ? "sleeps"
                   : pace == Pace::Blocks ? "waits for a blocking call"
                                          : "computes and sleeps");
  planted.more.ids<TaskId>("waiting", ids_of(senders));
  curator.say(planted);
}

// --- timer-burst

namespace {

struct Clockwork {
  time::Instant start{};
  time::Duration period{};
  std::atomic<std::uint64_t> fired{0};  // release and acquire: `where` is seen with it
  Site where;                           // written by the first task only
};

Task<void> tick(std::shared_ptr<Clockwork> clockwork, bool is_first) {
  Site elsewhere;
  Site& where = is_first ? clockwork->where : elsewhere;
  for (time::Instant due = clockwork->start;; due += clockwork->period) {
    co_await here(where, time::sleep_until(due));
    clockwork->fired.fetch_add(1, std::memory_order_release);
  }
}

}  // namespace

void plant_timer_burst(Curator& curator, Shape& shape) {
  const std::size_t count = shape.between(2'000, 8'000);
  const auto clockwork = std::make_shared<Clockwork>();
  clockwork->period = milliseconds(shape.between(300, 1'000));
  clockwork->start = time::now() + 100ms;
  Tasks tasks;
  tasks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) tasks.push_back(tick(clockwork, i == 0));
  const Handles handles = curator.spawn("ticks", std::move(tasks));
  // Twice: at the first the last tasks may have been late.
  curator.until([&] { return clockwork->fired.load(std::memory_order_acquire) >= 2 * count; });
  Planted planted{.trouble = "timer-burst", .kind = "timer-burst", .certainty = "certain"};
  planted.tasks = ids_of(handles);
  planted.where = place(clockwork->where);
  planted.shape =
      std::to_string(count) + " timers every " +
      std::to_string(std::chrono::duration_cast<milliseconds>(clockwork->period).count()) + " ms";
  curator.say(planted);
}

}  // namespace taskscope::gallery
