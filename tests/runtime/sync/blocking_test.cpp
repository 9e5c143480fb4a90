/// The calls that wait with a thread.
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "taskscope/runtime/sync/broadcast.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/sync/rw_lock.h"
#include "taskscope/tests/runtime/sync/sync_support.h"
#include "taskscope/tests/support/recording_observer.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace taskscope::runtime::sync;

namespace {

/// `wait` waits for the resource of that name until `complete`, after `prepare`.
struct Call {
  const char* resource;
  std::function<void()> prepare;
  std::function<void()> wait;
  std::function<void()> complete;
};

void until_one_waits(Runtime& runtime, const char* resource) {
  for (;;) {
    const auto seen = see(runtime, resource);
    if (seen && seen->waiters == 1) return;
    std::this_thread::yield();
  }
}

Task<bool> is_refused(const Call& call) {
  try {
    call.wait();
  } catch (const std::logic_error& error) {
    co_return std::string(error.what()).find("spawn_blocking") != std::string::npos;
  }
  co_return false;
}

template <class T>
Task<T> end_of(JoinHandle<T>& handle) {
  co_return co_await handle;
}

void check(const Call& call) {
  INFO(call.resource);
  auto runtime = runtime_with(1);
  call.prepare();
  std::thread outside(call.wait);
  until_one_waits(runtime, call.resource);
  call.complete();
  outside.join();
  CHECK(see(runtime, call.resource)->waiters == 0);

  call.prepare();
  auto in_pool = runtime.spawn_blocking(call.wait);
  until_one_waits(runtime, call.resource);
  call.complete();
  runtime.block_on(end_of(in_pool));
  CHECK(see(runtime, call.resource)->waiters == 0);

  CHECK(runtime.block_on(is_refused(call)));
  CHECK(runtime.block_on(on_worker(is_refused(call))));
}

}  // namespace

TEST_CASE(
    "a thread waits for a lock in the line of the tasks, and not where it would hold up some") {
  Mutex<int> mutex(0, "a mutex");
  Mutex<int>::OwnedGuard held;
  const auto take = [&] { held = mutex.try_lock_owned(); };
  const auto let_go = [&] { held.unlock(); };
  check({"a mutex", take, [&] { ++*mutex.blocking_lock(); }, let_go});
  check({"a mutex", take, [&] { ++*mutex.blocking_lock_owned(); }, let_go});
  CHECK(std::move(mutex).into_inner() == 4);

  RwLock<int> lock(0, "a rwlock");
  RwLock<int>::OwnedWriteGuard written;
  const auto write = [&] { written = lock.try_write_owned(); };
  const auto end_writing = [&] { written.unlock(); };
  check({"a rwlock", write, [&] { static_cast<void>(*lock.blocking_read()); }, end_writing});
  check({"a rwlock", write, [&] { ++*lock.blocking_write(); }, end_writing});
  CHECK(lock.get_mut() == 2);
}

TEST_CASE("a thread sends to tasks and receives from them") {
  auto [sender, receiver] = mpsc::channel<int>(1, "an mpsc channel");
  const auto fill = [&] { REQUIRE(sender.try_send(1)); };
  const auto drain = [&] { REQUIRE(receiver.try_recv()); };
  check({"an mpsc channel", fill,
         [&] {
           if (!sender.blocking_send(2)) throw 1;
           static_cast<void>(receiver.try_recv().has_value());
         },
         drain});
  const auto nothing = [] {};
  check({"an mpsc channel", nothing,
         [&] {
           if (receiver.blocking_recv() != 1) throw 1;
         },
         fill});
  check({"an mpsc channel", nothing,
         [&] {
           std::array<int, 2> out{};
           if (receiver.blocking_recv_many(out) != 1) throw 1;
         },
         fill});

  auto [notice, heard] = broadcast::channel<int>(4, "a broadcast channel");
  check({"a broadcast channel", nothing,
         [&] {
           if (!heard.blocking_recv()) throw 1;
         },
         [&] { REQUIRE(notice.send(1)); }});

  std::optional<oneshot::Sender<int>> once;
  std::optional<oneshot::Receiver<int>> other;
  const auto anew = [&] {
    other.reset();
    auto [tx, rx] = oneshot::channel<int>("a oneshot");
    once.emplace(std::move(tx));
    other.emplace(std::move(rx));
  };
  check({"a oneshot", anew,
         [&] {
           if (!other->blocking_recv()) throw 1;
         },
         [&] { REQUIRE(once->send(1)); }});
}

TEST_CASE("a blocking call that waits for a lock is known to hold it then, a thread has no name") {
  auto& heard = taskscope::tests::recording();
  auto runtime = runtime_with(1);
  Mutex<int> mutex(0, "whose");
  auto held = mutex.try_lock_owned();
  std::atomic<bool> let_go{false};
  const auto wait = [&] {
    const auto guard = mutex.blocking_lock();
    while (!let_go) std::this_thread::yield();
  };
  auto call = runtime.spawn_blocking(wait);
  until_one_waits(runtime, "whose");
  held.unlock();
  auto seen = see(runtime, "whose");
  REQUIRE(seen->holders.size() == 1);
  CHECK(seen->holders[0].task == call.id());
  CHECK(seen->holders[0].certain);
  let_go = true;
  runtime.block_on(end_of(call));

  let_go = false;
  held = mutex.try_lock_owned();
  std::thread outside(wait);
  until_one_waits(runtime, "whose");
  held.unlock();
  seen = see(runtime, "whose");
  REQUIRE(seen->holders.size() == 1);
  CHECK(seen->holders[0].task == observe::TaskId::None);
  CHECK_FALSE(seen->holders[0].certain);
  let_go = true;
  outside.join();
  // No poll followed those wakes: they are not told of.
  const std::lock_guard lock(heard.mutex);
  CHECK(heard.wakes[call.id()].empty());
  CHECK(heard.wakes[observe::TaskId::None].empty());
}

TEST_CASE("stress: threads and tasks share a mutex and a channel") {
  auto runtime = runtime_with(2);
  Mutex<int> mutex(0);
  constexpr int kTimes = 500;
  const auto add = [](Mutex<int>& to) -> Task<void> {
    for (int i = 0; i < kTimes; ++i) {
      auto guard = co_await to.lock();
      ++*guard;
      co_await yield_now();
    }
  };
  auto [sender, receiver] = mpsc::channel<int>(2);
  const auto send = [](mpsc::Sender<int> to) -> Task<void> {
    for (int i = 0; i < kTimes; ++i) {
      const auto sent = co_await to.send(1);
      if (!sent) co_return;
    }
  };
  auto adding = runtime.spawn(add(mutex));
  auto sending = runtime.spawn(send(sender));
  std::thread adds([&] {
    for (int i = 0; i < kTimes; ++i) ++*mutex.blocking_lock();
  });
  std::thread sends([to = std::move(sender)]() mutable {
    for (int i = 0; i < kTimes; ++i)
      if (!to.blocking_send(1)) return;
    const auto dropped = std::move(to);
  });
  int received = 0;
  while (receiver.blocking_recv()) ++received;
  adds.join();
  sends.join();
  runtime.block_on(end_of(adding));
  runtime.block_on(end_of(sending));
  CHECK(received == 2 * kTimes);
  CHECK(*mutex.blocking_lock() == 2 * kTimes);
}
