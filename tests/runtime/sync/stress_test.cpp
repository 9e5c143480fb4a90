// Many tasks on several workers, cancelled at random moments: nothing is lost, nothing is had
// twice.
#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/sync/rw_lock.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
namespace mpsc = taskscope::runtime::sync::mpsc;
namespace oneshot = taskscope::runtime::sync::oneshot;

namespace {

constexpr int kTasks = 16;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kRounds = 2000;
#elif defined(__has_feature)
constexpr int kRounds =
    __has_feature(thread_sanitizer) || __has_feature(address_sanitizer) ? 2000 : 10000;
#else
constexpr int kRounds = 10000;
#endif

template <class T>
Task<void> join_all(std::vector<JoinHandle<T>>& handles) {
  for (auto& handle : handles) co_await handle;
}

// --- mutex

struct Books {
  long in = 0, out = 0;  // always equal outside the lock
};

Task<long> book(sync::Mutex<Books>& mutex, std::uint64_t seed) {
  Random random(seed);
  long done = 0;
  for (int round = 0; round < kRounds; ++round) {
    if (random.below(2) == 0) {
      auto guard = co_await mutex.lock();
      ++guard->in;
      if (random.below(4) == 0) co_await yield_now();
      ++guard->out;
      ++done;
    } else {
      auto result = co_await select_biased(mutex.lock_owned(), yields(random.below(3)));
      if (result.index() != 0) continue;
      auto guard = std::get<0>(std::move(result));
      ++guard->in;
      if (random.below(4) == 0) co_await yield_now();
      ++guard->out;
      ++done;
    }
  }
  co_return done;
}

Task<std::string> book_all() {
  sync::Mutex<Books> mutex;
  std::vector<JoinHandle<long>> handles;
  for (std::uint64_t i = 1; i <= kTasks; ++i) handles.push_back(spawn(book(mutex, i)));
  long done = 0;
  for (auto& handle : handles) done += co_await handle;
  auto guard = mutex.try_lock();
  if (!guard) co_return "still locked";
  if (guard->in != done || guard->out != done) co_return "not exclusive";
  co_return done > 0 ? "ok" : "none";
}

// --- semaphore

struct Load {
  std::atomic<int> permits{0};
  std::atomic<bool> exceeded{false};
};
constexpr int kPermits = 5;

Task<void> work_with(sync::Semaphore& semaphore, Load& load, std::uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < kRounds; ++round) {
    const int wanted = 1 + random.below(kPermits);
    const auto count = static_cast<std::size_t>(wanted);
    sync::Semaphore::OwnedPermit permit;
    if (random.below(3) == 0) {
      permit = co_await semaphore.acquire_owned(count);
    } else {
      auto result = co_await select_biased(semaphore.acquire_owned(count), yields(random.below(4)));
      if (result.index() == 0) permit = std::get<0>(std::move(result));
    }
    if (!permit) continue;
    if (load.permits.fetch_add(wanted) + wanted > kPermits) load.exceeded = true;
    if (random.below(2) == 0) co_await yield_now();
    load.permits -= wanted;
  }
}

Task<std::string> work_all() {
  sync::Semaphore semaphore(kPermits);
  Load load;
  std::vector<JoinHandle<void>> handles;
  for (std::uint64_t i = 1; i <= kTasks; ++i)
    handles.push_back(spawn(work_with(semaphore, load, i)));
  co_await join_all(handles);
  if (load.exceeded) co_return "more permits than there are";
  co_return semaphore.available_permits() == kPermits ? "ok" : "permits lost";
}

// --- notify

struct Counted {
  sync::Notify notify;
  std::atomic<int> items{0};
  std::atomic<int> taken{0};
};

bool take_one(std::atomic<int>& items) {
  auto count = items.load();
  while (count > 0) {
    if (items.compare_exchange_weak(count, count - 1)) return true;
  }
  return false;
}

/// Takes `share` items; each item was announced by one notify_one.
Task<void> take_items(Counted& counted, int share, std::uint64_t seed) {
  Random random(seed);
  while (share > 0) {
    auto notified = counted.notify.notified();
    static_cast<void>(notified.enable());
    if (take_one(counted.items)) {
      ++counted.taken;
      --share;
      continue;
    }
    if (random.below(2) == 0) {
      co_await notified;
    } else {
      const auto result = co_await select_biased(notified, yields(random.below(4)));
      static_cast<void>(result);
    }
  }
}
Task<void> make_items(Counted& counted, int count) {
  for (int i = 0; i < count; ++i) {
    ++counted.items;
    counted.notify.notify_one();
    if (i % 16 == 0) co_await yield_now();
  }
}

Task<std::string> notify_all_items() {
  Counted counted;
  std::vector<JoinHandle<void>> handles;
  for (std::uint64_t i = 1; i <= kTasks; ++i)
    handles.push_back(spawn(take_items(counted, kRounds, i)));
  for (int i = 0; i < 4; ++i) handles.push_back(spawn(make_items(counted, kTasks / 4 * kRounds)));
  co_await join_all(handles);
  co_return counted.taken == kTasks* kRounds&& counted.items == 0 ? "ok" : "miscounted";
}

Task<void> wait_for_gate(sync::Notify& gate, std::atomic<int>& passed, std::atomic<bool>& open,
                         std::uint64_t seed) {
  Random random(seed);
  for (;;) {
    auto notified = gate.notified();
    if (open) break;
    const auto result = co_await select_biased(notified, yields(random.below(8)));
    static_cast<void>(result);
    if (random.below(4) == 0 && !open) co_await notified;
  }
  ++passed;
}
Task<std::string> open_gates() {
  for (int round = 0; round < kRounds / 20; ++round) {
    sync::Notify gate;
    std::atomic<int> passed{0};
    std::atomic<bool> open{false};
    std::vector<JoinHandle<void>> handles;
    for (std::uint64_t i = 1; i <= 100; ++i)
      handles.push_back(spawn(wait_for_gate(gate, passed, open, i)));
    co_await yields(round % 10);
    open = true;
    gate.notify_waiters();
    co_await join_all(handles);
    if (passed != 100) co_return "left behind";
  }
  co_return "ok";
}

// --- mpsc

struct Sent {
  long count = 0, sum = 0;
};

Task<Sent> send_some(mpsc::Sender<int> to, std::uint64_t seed) {
  Random random(seed);
  Sent sent;
  for (int round = 0; round < kRounds; ++round) {
    const int message = random.below(1000);
    bool done = false;
    switch (random.below(4)) {
      case 0: {
        const auto result = co_await to.send(message);
        done = result.has_value();
        break;
      }
      case 1: {
        const auto result = co_await select_biased(to.send(message), yields(random.below(3)));
        done = result.index() == 0 && std::get<0>(result).has_value();
        break;
      }
      case 2: {
        auto result = co_await select_biased(to.reserve(), yields(random.below(3)));
        if (result.index() != 0) break;
        auto permit = std::get<0>(std::move(result));
        if (!permit || random.below(4) == 0) break;  // given back
        if (random.below(4) == 0) co_await yield_now();
        permit.send(message);
        done = true;
        break;
      }
      default: {
        const auto result = to.try_send(message);
        done = result.has_value();
        break;
      }
    }
    if (done) {
      ++sent.count;
      sent.sum += message;
    }
  }
  co_return sent;
}

Task<Sent> receive_everything(mpsc::Receiver<int> from, std::uint64_t seed) {
  Random random(seed);
  Sent received;
  std::array<int, 8> many{};
  const auto count = [&received](int message) {
    ++received.count;
    received.sum += message;
  };
  for (;;) {
    switch (random.below(3)) {
      case 0: {
        const auto message = co_await from.recv();
        if (!message) co_return received;
        count(*message);
        break;
      }
      case 1: {
        const auto result = co_await select_biased(from.recv(), yields(random.below(3)));
        if (result.index() != 0) break;
        if (!std::get<0>(result)) co_return received;
        count(*std::get<0>(result));
        break;
      }
      default: {
        const auto result = co_await select_biased(from.recv_many(many), yields(random.below(3)));
        if (result.index() != 0) break;
        if (std::get<0>(result) == 0) co_return received;
        for (std::size_t i = 0; i < std::get<0>(result); ++i) count(many[i]);
        break;
      }
    }
  }
}

Task<std::string> exchange(std::size_t capacity) {
  auto [sender, receiver] = mpsc::channel<int>(capacity);
  std::vector<JoinHandle<Sent>> handles;
  for (std::uint64_t i = 1; i <= kTasks; ++i) handles.push_back(spawn(send_some(sender, i)));
  auto receiving = spawn(receive_everything(std::move(receiver), 99));
  {
    const auto gone = std::move(sender);
  }
  Sent sent;
  for (auto& handle : handles) {
    const auto one = co_await handle;
    sent.count += one.count;
    sent.sum += one.sum;
  }
  const auto received = co_await receiving;
  co_return received.count == sent.count&& received.sum == sent.sum ? "ok" : "lost or doubled";
}

Task<void> send_until_closed(mpsc::Sender<int> to) {
  for (;;) {
    const auto sent = co_await to.send(1);
    if (!sent) co_return;
  }
}
Task<void> receive_a_few(mpsc::Receiver<int> from, int count) {
  for (int i = 0; i < count; ++i) {
    const auto message = co_await from.recv();
    if (!message) co_return;
  }
}
Task<std::string> drop_receivers() {
  for (int round = 0; round < kRounds / 4; ++round) {
    auto [sender, receiver] = mpsc::channel<int>(3);
    std::vector<JoinHandle<void>> handles;
    for (int i = 0; i < 8; ++i) handles.push_back(spawn(send_until_closed(sender)));
    handles.push_back(spawn(receive_a_few(std::move(receiver), round % 50)));
    if (round % 3 == 0) handles[static_cast<std::size_t>(round % 8)].abort();
    for (auto& handle : handles) {
      try {
        co_await handle;
      } catch (const Cancelled&) {
      }
    }
    if (!sender.is_closed()) co_return "open";
  }
  co_return "ok";
}

// --- oneshot

Task<void> answer(oneshot::Sender<int> to, int message, int delay) {
  co_await yields(delay);
  if (message >= 0) static_cast<void>(to.send(message));
}
Task<std::string> ask_often(std::uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < kRounds; ++round) {
    auto [sender, receiver] = oneshot::channel<int>();
    const bool answers = random.below(4) != 0;
    spawn(answer(std::move(sender), answers ? round : -1, random.below(3))).detach();
    for (;;) {
      const auto result = co_await select_biased(receiver.recv(), yields(random.below(4)));
      if (result.index() != 0) {
        if (random.below(8) == 0) break;  // the receiver dies
        continue;
      }
      const auto& message = std::get<0>(result);
      if (message.has_value() != answers) co_return "lost or invented";
      if (message && *message != round) co_return "another's";
      break;
    }
  }
  co_return "ok";
}
Task<std::string> ask_all() {
  std::vector<JoinHandle<std::string>> handles;
  for (std::uint64_t i = 1; i <= kTasks; ++i) handles.push_back(spawn(ask_often(i)));
  for (auto& handle : handles) {
    auto result = co_await handle;
    if (result != "ok") co_return result;
  }
  co_return "ok";
}

// --- all of it, destroyed at any moment

Task<void> use_everything(sync::Mutex<int>& mutex, sync::Semaphore& semaphore, sync::Notify& notify,
                          mpsc::Sender<int> sender, std::uint64_t seed) {
  Random random(seed);
  for (;;) {
    auto permit = co_await semaphore.acquire(1 + static_cast<std::size_t>(random.below(2)));
    auto guard = co_await mutex.lock();
    ++*guard;
    guard.unlock();
    static_cast<void>(co_await sender.send(1));
    // Who waits with permits would starve those who could notify.
    permit.release();
    notify.notify_one();
    co_await notify.notified();
  }
}
Task<std::string> abort_often() {
  for (int round = 0; round < kRounds / 10; ++round) {
    sync::Mutex<int> mutex;
    sync::Semaphore semaphore(3);
    sync::Notify notify;
    auto [sender, receiver] = mpsc::channel<int>(2);
    std::vector<JoinHandle<void>> handles;
    for (std::uint64_t i = 1; i <= kTasks; ++i)
      handles.push_back(spawn(use_everything(mutex, semaphore, notify, sender, i)));
    for (int i = 0; i < round % 60; ++i) {
      const auto message = co_await receiver.recv();
      if (!message) co_return "ended";
    }
    for (auto& handle : handles) handle.abort();
    for (auto& handle : handles) {
      try {
        co_await handle;
        co_return "not aborted";
      } catch (const Cancelled&) {
      }
    }
    const auto guard = mutex.try_lock();
    if (!guard) co_return "still locked";
    if (semaphore.available_permits() != 3) co_return "permits lost";
  }
  co_return "ok";
}

// --- rwlock

Task<std::string> read_or_write(sync::RwLock<Books>& lock, std::uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < kRounds; ++round) {
    switch (random.below(6)) {
      case 0: {
        auto guard = co_await lock.write();
        ++guard->in;
        if (random.below(4) == 0) co_await yield_now();
        ++guard->out;
        if (random.below(4) != 0) break;
        const auto reading = guard.downgrade();
        if (reading->in != reading->out) co_return "a writer came between";
        break;
      }
      case 1: {
        auto result = co_await select_biased(lock.write_owned(), yields(random.below(3)));
        if (result.index() != 0) break;
        auto guard = std::get<0>(std::move(result));
        ++guard->in;
        ++guard->out;
        break;
      }
      case 2: {
        auto result = co_await select_biased(lock.read_owned(), yields(random.below(3)));
        if (result.index() != 0) break;
        const auto guard = std::get<0>(std::move(result));
        if (guard->in != guard->out) co_return "read in between";
        break;
      }
      case 3: {
        const auto guard = lock.try_read();
        if (guard && guard->in != guard->out) co_return "read in between";
        break;
      }
      default: {
        const auto guard = co_await lock.read();
        const long in = guard->in;
        if (random.below(4) == 0) co_await yield_now();
        if (guard->in != in || guard->out != in) co_return "written while read";
        break;
      }
    }
  }
  co_return "ok";
}
Task<std::string> read_and_write_all() {
  sync::RwLock<Books> lock;
  std::vector<JoinHandle<std::string>> handles;
  for (std::uint64_t i = 1; i <= kTasks; ++i) handles.push_back(spawn(read_or_write(lock, i)));
  for (auto& handle : handles) {
    auto result = co_await handle;
    if (result != "ok") co_return result;
  }
  co_return lock.try_write() ? "ok" : "still locked";
}

std::string run_on_workers(Task<std::string> body) {
  auto runtime = runtime_with(4);
  return runtime.block_on(on_worker(std::move(body)));
}

}  // namespace

TEST_CASE("stress: a mutex under cancellation is exclusive and ends free") {
  CHECK(run_on_workers(book_all()) == "ok");
}
TEST_CASE("stress: a semaphore under cancellation never has more out than it has") {
  CHECK(run_on_workers(work_all()) == "ok");
}
TEST_CASE("stress: no notification of notify_one is lost under cancellation") {
  CHECK(run_on_workers(notify_all_items()) == "ok");
}
TEST_CASE("stress: notify_waiters leaves nobody behind") {
  CHECK(run_on_workers(open_gates()) == "ok");
}
TEST_CASE("stress: mpsc delivers what was sent, once, under cancellation of both ends") {
  CHECK(run_on_workers(exchange(1)) == "ok");
  CHECK(run_on_workers(exchange(7)) == "ok");
  CHECK(run_on_workers(exchange(1000)) == "ok");
}
TEST_CASE("stress: senders end when the receiver dies at any moment") {
  CHECK(run_on_workers(drop_receivers()) == "ok");
}
TEST_CASE("stress: a oneshot delivers or says that it is closed") {
  CHECK(run_on_workers(ask_all()) == "ok");
}
TEST_CASE("stress: aborting tasks anywhere gives everything back") {
  CHECK(run_on_workers(abort_often()) == "ok");
}
TEST_CASE("stress: an rwlock under cancellation keeps writers alone and ends free") {
  CHECK(run_on_workers(read_and_write_all()) == "ok");
}
