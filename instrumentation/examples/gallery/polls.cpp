/// Troubles with polls: those that block, those that never end, those that others wait behind.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <system_error>

#include "taskscope/instrumentation/examples/gallery/curator.h"
#include "taskscope/instrumentation/examples/gallery/plants.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/runtime/time/sleep.h"

namespace taskscope::gallery {

namespace mpsc = runtime::sync::mpsc;
namespace time = runtime::time;
using runtime::sync::Notify;
using runtime::sync::Semaphore;

/// A little work that no compiler leaves out.
[[gnu::noinline]] void crunch(std::uint64_t& number) {
  for (int i = 0; i < 1000; ++i) number = number * 6364136223846793005u + 1442695040888963407u;
  asm volatile("" : "+r"(number));
}

// --- blocks
//
// The names of these functions are what a native stack has to show.

enum class Call { ReadsPipe, LocksStdMutex, Computes };

struct Blocker {
  explicit Blocker(Call how) : call(how) {
    if (pipe2(pipe.data(), O_CLOEXEC) != 0)
      throw std::system_error(errno, std::generic_category(), "pipe");
  }
  ~Blocker() {
    for (const int fd : pipe) ::close(fd);
  }
  Blocker(const Blocker&) = delete;
  Blocker& operator=(const Blocker&) = delete;

  const Call call;
  Notify turn;
  std::array<int, 2> pipe{};
  std::mutex mutex;
  std::atomic<bool> released{false};       // relaxed: publishes nothing
  std::atomic<std::uint64_t> since_ns{0};  // release and acquire: `where` is seen with it
  std::atomic<std::uint64_t> rounds{0};    // relaxed: a count
  Site where;                              // of the call that blocks
};

/// Written in the line of the call that blocks.
Blocker& begin(Blocker& blocker, Site site = Site::current()) {
  if (blocker.where.line() == 0) blocker.where = site;
  blocker.since_ns.store(runtime::observe::monotonic_ns(), std::memory_order_release);
  return blocker;
}

[[gnu::noinline]] void read_from_a_pipe(Blocker& blocker) {
  char byte = 0;
  while (::read(begin(blocker).pipe[0], &byte, 1) < 0 && errno == EINTR) {
  }
  asm volatile("");  // no tail call
}

[[gnu::noinline]] void lock_a_std_mutex(Blocker& blocker) {
  const std::lock_guard lock(begin(blocker).mutex);
  asm volatile("");
}

[[gnu::noinline]] void compute_in_a_loop(Blocker& blocker) {
  std::uint64_t number = blocker.rounds.load(std::memory_order_relaxed);
  for (begin(blocker); !blocker.released.load(std::memory_order_relaxed);) crunch(number);
}

[[gnu::noinline]] void block_at_depth(Blocker& blocker, std::size_t depth) {
  if (depth > 0) {
    block_at_depth(blocker, depth - 1);
  } else if (blocker.call == Call::ReadsPipe) {
    read_from_a_pipe(blocker);
  } else if (blocker.call == Call::LocksStdMutex) {
    lock_a_std_mutex(blocker);
  } else {
    compute_in_a_loop(blocker);
  }
  asm volatile("");
}

namespace {

constexpr const char* function_of(Call call) {
  switch (call) {
    case Call::ReadsPipe:
      return "read_from_a_pipe";
    case Call::LocksStdMutex:
      return "lock_a_std_mutex";
    case Call::Computes:
      return "compute_in_a_loop";
  }
  return "";
}

Task<void> block_in_turn(Blocker& blocker, std::size_t calls) {
  for (;;) {
    co_await blocker.turn.notified();
    block_at_depth(blocker, calls);
    blocker.since_ns.store(0, std::memory_order_release);
    blocker.rounds.fetch_add(1, std::memory_order_relaxed);
  }
}

Task<void> block(std::shared_ptr<Blocker> blocker, std::size_t awaits, std::size_t calls) {
  if (awaits > 0) {
    co_await block(blocker, awaits - 1, calls);
  } else {
    co_await block_in_turn(*blocker, calls);
  }
}

/// Lets the task block, for a time, again and again; a thread.
void drive(Blocker& blocker, const Closing& closing, milliseconds time) {
  std::unique_lock held(blocker.mutex, std::defer_lock);
  for (bool go_on = true; go_on;) {
    const auto round = blocker.rounds.load(std::memory_order_relaxed);
    blocker.released.store(false, std::memory_order_relaxed);
    if (blocker.call == Call::LocksStdMutex) held.lock();
    blocker.turn.notify_one();
    while (go_on && blocker.since_ns.load(std::memory_order_acquire) == 0 &&
           blocker.rounds.load(std::memory_order_relaxed) == round) {
      go_on = closing.doze(1ms);
    }
    go_on = go_on && closing.doze(time);
    blocker.released.store(true, std::memory_order_relaxed);
    if (held) held.unlock();
    if (blocker.call == Call::ReadsPipe) static_cast<void>(!::write(blocker.pipe[1], "", 1));
    go_on = go_on && closing.doze(time / 2);
    while (go_on && blocker.rounds.load(std::memory_order_relaxed) == round) {
      go_on = closing.doze(1ms);
    }
  }
}

}  // namespace

void plant_blocks(Curator& curator, Shape& shape) {
  constexpr Call kCalls[] = {Call::ReadsPipe, Call::LocksStdMutex, Call::Computes};
  const Call call = shape.one_of(kCalls);
  const std::size_t awaits = shape.between(0, 4), calls = shape.between(0, 6);
  const auto blocker = std::make_shared<Blocker>(call);
  Tasks one;
  one.push_back(block(blocker, awaits, calls));
  const Handles handles = curator.spawn("blocks", std::move(one));
  const milliseconds time = curator.options().block;
  curator.start_thread([blocker, &curator, time] { drive(*blocker, curator.closing(), time); });
  std::uint64_t since_ns = 0;
  curator.until([&] {
    since_ns = blocker->since_ns.load(std::memory_order_acquire);
    return since_ns != 0;
  });
  Planted planted{.trouble = "blocks", .kind = "blocking-poll", .certainty = "certain"};
  planted.tasks = ids_of(handles);
  planted.where = place(blocker->where);
  planted.shape = std::string(function_of(call)) + ", " + std::to_string(awaits) + " awaits and " +
                  std::to_string(calls) + " calls deep, " + std::to_string(time.count()) + " ms";
  planted.more.text("function", function_of(call)).number("since_ns", since_ns);
  curator.say(planted);
}

// --- never-yields

namespace {

struct Endless {
  explicit Endless(const Closing& end) : closing(end) {}
  const Closing& closing;
  std::atomic<std::uint64_t> since_ns{0};  // release and acquire: `where` is seen with it
  Site where;
};

}  // namespace

[[gnu::noinline]] void compute_without_end(const Closing& closing) {
  std::uint64_t number = 1;
  while (!closing.asked()) crunch(number);
}

namespace {

Task<std::uint64_t> add_without_waiting(std::uint64_t number) {
  crunch(number);
  co_return number;
}

Task<void> never_yield(std::shared_ptr<Endless> endless, bool awaits, std::size_t depth) {
  if (depth > 0) {
    co_await never_yield(endless, awaits, depth - 1);
    co_return;
  }
  endless->where = Site::current();
  endless->since_ns.store(runtime::observe::monotonic_ns(), std::memory_order_release);
  if (!awaits) compute_without_end(endless->closing);
  // Awaits, but what is awaited never waits.
  for (std::uint64_t number = 0; !endless->closing.asked();)
    number = co_await add_without_waiting(number);
}

}  // namespace

void plant_never_yields(Curator& curator, Shape& shape) {
  const bool awaits = shape.once_in(2);
  const std::size_t depth = shape.between(0, 5);
  const auto endless = std::make_shared<Endless>(curator.closing());
  Tasks one;
  one.push_back(never_yield(endless, awaits, depth));
  const Handles handles = curator.spawn("never yields", std::move(one));
  curator.until([&] { return endless->since_ns.load(std::memory_order_acquire) != 0; });
  Planted planted{.trouble = "never-yields", .kind = "never-yielded", .certainty = "certain"};
  planted.tasks = ids_of(handles);
  planted.where = place(endless->where);
  planted.shape = std::string(awaits ? "awaits what never waits" : "computes") + ", depth " +
                  std::to_string(depth);
  planted.more.number("since_ns", endless->since_ns.load(std::memory_order_relaxed))
      .text("also", "blocking-poll");
  curator.say(planted);
}

// --- starved

namespace {

enum class Bell { Notify, Semaphore, Channel };

/// In a runtime with one worker: a hog wakes the others, and computes before they get a turn.
struct Stall {
  Stall(const Closing& end, Bell how) : closing(end), bell(how) {}
  const Closing& closing;
  const Bell bell;
  Notify notify;
  Semaphore semaphore{0};
  std::vector<mpsc::Sender<int>> senders;
  milliseconds time{};
  std::atomic<std::uint64_t> since_ns{0};  // relaxed: publishes nothing
  std::vector<Site> where;
};

Task<void> listen(Stall& stall, std::size_t i, mpsc::Receiver<int>& receiver, std::size_t depth) {
  if (depth > 0) {
    co_await listen(stall, i, receiver, depth - 1);
  } else if (stall.bell == Bell::Notify) {
    co_await here(stall.where[i], stall.notify.notified());
  } else if (stall.bell == Bell::Semaphore) {
    auto permit = co_await here(stall.where[i], stall.semaphore.acquire());
    permit.forget();
  } else {
    static_cast<void>(co_await here(stall.where[i], receiver.recv()));
  }
}

Task<void> starve(std::shared_ptr<Stall> stall, std::size_t i, mpsc::Receiver<int> receiver,
                  std::size_t depth) {
  for (;;) co_await listen(*stall, i, receiver, depth);
}

}  // namespace

[[gnu::noinline]] void hog_the_worker(const Closing& closing, milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  std::uint64_t number = 1;
  while (!closing.asked() && std::chrono::steady_clock::now() < end) crunch(number);
}

namespace {

Task<void> hog(std::shared_ptr<Stall> stall) {
  for (;;) {
    co_await time::sleep(200ms);
    if (stall->bell == Bell::Notify) stall->notify.notify_waiters();
    if (stall->bell == Bell::Semaphore) stall->semaphore.add_permits(stall->where.size());
    if (stall->bell == Bell::Channel) {
      for (const auto& sender : stall->senders) static_cast<void>(sender.try_send(0));
    }
    stall->since_ns.store(runtime::observe::monotonic_ns(), std::memory_order_relaxed);
    hog_the_worker(stall->closing, stall->time);
  }
}

}  // namespace

void plant_starved(Curator& curator, Shape& shape) {
  constexpr Bell kBells[] = {Bell::Notify, Bell::Semaphore, Bell::Channel};
  const Bell bell = shape.one_of(kBells);
  const std::size_t count = shape.between(1, 7), depth = shape.between(0, 5);
  auto& room = curator.room_of_one();
  const auto stall = std::make_shared<Stall>(curator.closing(), bell);
  stall->time = curator.options().block;
  stall->where.resize(count);
  Tasks tasks;
  for (std::size_t i = 0; i < count; ++i) {
    auto ends = mpsc::channel<int>(1);
    stall->senders.push_back(std::move(ends.first));
    tasks.push_back(starve(stall, i, std::move(ends.second), depth));
  }
  const Handles starved = curator.spawn(room, "starves", std::move(tasks));
  for (const auto& handle : starved) {
    curator.until([&] {
      const Seen seen = curator.look(room, handle.id());
      return seen.polls > 0 && seen.state == runtime::observe::TaskState::Idle;
    });
  }
  const std::string where = place(stall->where.front());
  Tasks one;
  one.push_back(hog(stall));
  const Handles hogs = curator.spawn(room, "hogs the worker", std::move(one));
  curator.until([&] {
    return stall->since_ns.load(std::memory_order_relaxed) != 0 &&
           curator.look(room, starved.front().id()).state == runtime::observe::TaskState::Scheduled;
  });
  Planted planted{.trouble = "starved", .kind = "starvation", .certainty = "certain"};
  planted.tasks = ids_of(starved);
  planted.where = where;
  planted.shape = counted(count, "task") + " on the only worker of a runtime, woken through " +
                  (bell == Bell::Notify      ? "a notification"
                   : bell == Bell::Semaphore ? "permits"
                                             : "channels") +
                  " before a poll of " + std::to_string(stall->time.count()) + " ms, depth " +
                  std::to_string(depth);
  planted.more.task("behind", hogs.front().id()).text("also", "blocking-poll");
  curator.say(planted);
}

// --- large-frame

namespace {

[[gnu::noinline]] void fill(std::span<std::byte> bytes) {
  for (std::byte& byte : bytes) byte = std::byte{1};
  asm volatile("" : : "r"(bytes.data()) : "memory");
}

template <std::size_t kBytes>
Task<void> carry(std::shared_ptr<Site> where) {
  std::array<std::byte, kBytes> luggage;
  for (;;) {
    fill(luggage);
    co_await here(*where, time::sleep(50ms));
  }
}

}  // namespace

void plant_large_frame(Curator& curator, Shape& shape) {
  const std::size_t count = shape.between(1, 8), size = shape.between(0, 2);
  constexpr std::size_t kBytes[] = {96u << 10, 256u << 10, 1u << 20};
  std::vector<std::shared_ptr<Site>> where;
  Tasks tasks;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& site = where.emplace_back(std::make_shared<Site>());
    tasks.push_back(size == 0   ? carry<kBytes[0]>(site)
                    : size == 1 ? carry<kBytes[1]>(site)
                                : carry<kBytes[2]>(site));
  }
  const Handles handles = curator.spawn("carries much", std::move(tasks));
  for (const auto& handle : handles)
    curator.until([&] { return curator.look(handle.id()).waits_on(WaitOp::Sleep); });
  Planted planted{.trouble = "large-frame", .kind = "large-frame", .certainty = "certain"};
  planted.tasks = ids_of(handles);
  planted.where = place(*where.front());
  planted.shape =
      counted(count, "task") + " with " + std::to_string(kBytes[size]) + " bytes on the frame";
  planted.more.number("bytes", curator.look(handles.front().id()).frame_bytes);
  curator.say(planted);
}

}  // namespace taskscope::gallery
