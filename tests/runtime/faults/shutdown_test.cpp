// Runtimes that end while much still waits, wakers that outlive them, and workers that are blocked.

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/net/tcp_listener.h"
#include "taskscope/runtime/net/tcp_stream.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/task/waker.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/tests/runtime/faults/inject.h"
#include "taskscope/tests/runtime/faults/support.h"
#include "taskscope/tests/support/gate.h"
#include "taskscope/tests/support/loopback.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;
using faults::must;
using faults::Tracked;
using taskscope::tests::connected;
using taskscope::tests::Gate;
using taskscope::tests::Pair;

namespace {

/// What 100,000 tasks wait for. Outlives the runtime.
struct World {
  sync::Mutex<int> mutex{0};
  sync::Notify notify;
  std::pair<sync::mpsc::Sender<int>, sync::mpsc::Receiver<int>> channel =
      sync::mpsc::channel<int>(1);
  std::unique_ptr<Pair> sockets;
  std::mutex wakers_mutex;
  std::vector<task::Waker> wakers;
  std::atomic<int> waiting{0};
};

Task<> waits_for_lock(World& world, Tracked) {
  for (;;) {
    ++world.waiting;
    auto guard = co_await world.mutex.lock();
    ++*guard;
    co_await world.notify.notified();
  }
}
Task<> waits_for_place(World& world, Tracked) {
  auto sender = world.channel.first;
  for (;;) {
    ++world.waiting;
    const auto sent = co_await sender.send(1);
    if (!sent) co_return;
  }
}
Task<> waits_for_message(World& world, Tracked) {
  auto [sender, receiver] = sync::mpsc::channel<Tracked>(1);
  const auto kept = std::move(sender);
  auto mine = std::move(receiver);
  ++world.waiting;
  const auto never = co_await mine.recv();
  static_cast<void>(never);
}
Task<> waits_for_time(World& world, Tracked, int i) {
  ++world.waiting;
  co_await time::sleep(1h + std::chrono::milliseconds(i));
}
Task<> waits_for_socket(World& world, Tracked) {
  for (;;) {
    ++world.waiting;
    const auto ready = co_await io::readable(world.sockets->server.registration());
    if (!ready) co_return;
    world.sockets->server.registration().clear(*ready, io::kReadable);
  }
}
Task<> waits_for_any(World& world, Tracked) {
  for (;;) {
    ++world.waiting;
    const auto first = co_await select(time::sleep(1h), world.notify.notified());
    static_cast<void>(first);
  }
}
Task<> waits_for_waker(World& world, Tracked) {
  const auto look = [&world](task::Waker waker) {
    const std::lock_guard lock(world.wakers_mutex);
    if (world.wakers.size() < 1'000) world.wakers.push_back(std::move(waker));
    return false;
  };
  ++world.waiting;
  auto wait = poll_fn(look);
  co_await wait;
}

Task<> begin(World& world, int tasks) {
  auto made = co_await connected();
  world.sockets = std::make_unique<Pair>(std::move(made));
  // Full, and the lock taken: who comes now waits.
  const auto sent = co_await world.channel.first.send(0);
  static_cast<void>(sent);
  for (int i = 0; i < tasks; ++i) {
    switch (i % 7) {
      case 0:
        spawn(waits_for_lock(world, Tracked())).detach();
        break;
      case 1:
        spawn(waits_for_place(world, Tracked())).detach();
        break;
      case 2:
        spawn(waits_for_message(world, Tracked())).detach();
        break;
      case 3:
        spawn(waits_for_time(world, Tracked(), i)).detach();
        break;
      case 4:
        spawn(waits_for_socket(world, Tracked())).detach();
        break;
      case 5:
        spawn(waits_for_any(world, Tracked())).detach();
        break;
      default:
        spawn(waits_for_waker(world, Tracked())).detach();
        break;
    }
  }
}

/// Wakes tasks of every kind from outside, until it is stopped.
class Disturbance {
 public:
  explicit Disturbance(World& world) {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this, &world, i] { disturb(world, i); });
  }
  ~Disturbance() {
    over_ = true;
    for (auto& thread : threads_) thread.join();
  }

 private:
  void disturb(World& world, int number) {
    while (!over_) {
      world.notify.notify_one();
      if (number == 0) {
        static_cast<void>(world.channel.second.try_recv());
      } else {
        world.notify.notify_waiters();
      }
      const std::lock_guard lock(world.wakers_mutex);
      for (const auto& waker : world.wakers) waker.wake();
    }
  }
  std::atomic<bool> over_{false};
  std::vector<std::thread> threads_;
};

constexpr int kTasks = faults::kSanitized ? 7'000 : 100'000;

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * 4096;
}

}  // namespace

TEST_CASE("shutdown: a hundred thousand tasks that wait are destroyed, and their memory is back") {
  constexpr int kRounds = 4;
  std::size_t resident = 0;
  std::int64_t allocations = 0;
  for (int round = 0; round < kRounds; ++round) {
    {
      World world;
      auto runtime = Builder::multi_thread().worker_threads(2).build();
      runtime.block_on(begin(world, kTasks));
      REQUIRE(faults::eventually([&] { return world.waiting >= kTasks; }));
      CHECK(Tracked::living() >= kTasks);
      CHECK(runtime.metrics().live_tasks >= static_cast<std::size_t>(kTasks));
      const auto yields = faults::yields();
      bool allocated = true;
      {
        const faults::FailingAllocation failing(0);
        runtime.shutdown();
        allocated = failing.hit();
      }
      CHECK_FALSE(allocated);
      // One walk finds them all: nobody else has any of them in his hands.
      CHECK(faults::yields() == yields);
      CHECK(Tracked::living() == 0);
      const auto metrics = runtime.metrics();
      CHECK(metrics.live_tasks == 0);
      CHECK(metrics.spawned_tasks == metrics.finished_tasks);
      world.sockets.reset();
      const auto after = runtime.metrics();
      CHECK(after.io_driver_fd_registered_count == after.io_driver_fd_deregistered_count);
      CHECK(after.io_driver_fd_registered_count > 0);
    }
    if (round == 0) {
      resident = resident_bytes();
      allocations = faults::live_allocations();
    }
  }
  const auto left = faults::live_allocations() - allocations;
  CHECK(left <= 0);
  // Lost frames would be 40 MB a round.
  if (!faults::kSanitized) CHECK(resident_bytes() < resident + (30u << 20));
}

TEST_CASE("shutdown: tasks that others keep waking are destroyed as well") {
  for (int round = 0; round < 3; ++round) {
    World world;
    auto runtime = Builder::multi_thread().worker_threads(2).build();
    runtime.block_on(begin(world, kTasks / 4));
    REQUIRE(faults::eventually([&] { return world.waiting >= kTasks / 4; }));
    {
      const Disturbance others(world);
      runtime.shutdown();
      CHECK(Tracked::living() == 0);
      CHECK(runtime.metrics().live_tasks == 0);
    }
  }
}

TEST_CASE("waker: one that outlives its runtime wakes nobody, on any thread") {
  std::vector<task::Waker> kept;
  {
    World world;
    auto runtime = Builder::multi_thread().worker_threads(1).build();
    runtime.block_on(begin(world, 70));
    REQUIRE(faults::eventually([&] { return world.waiting >= 70; }));
    REQUIRE(faults::eventually([&] {
      const std::lock_guard lock(world.wakers_mutex);
      kept = world.wakers;
      return kept.size() == 10;
    }));
  }
  CHECK(Tracked::living() == 0);
  for (const auto& waker : kept) waker.wake();
  std::thread([&] {
    for (const auto& waker : kept) waker.wake();
  }).join();
  // Inside another runtime, which may lie where the first one did.
  auto other = Builder::multi_thread().worker_threads(1).build();
  const auto wake_all = [](std::vector<task::Waker>& wakers) -> Task<std::size_t> {
    for (const auto& waker : wakers) waker.wake();
    const auto copies = wakers;
    co_return copies.size();
  };
  CHECK(other.block_on(faults::joined(other.spawn(wake_all(kept)))) == 10);
  other.shutdown();
  CHECK(other.metrics().live_tasks == 0);
  kept = {};
}

TEST_CASE("blocked workers: timers and sockets go on as long as one worker is free") {
  const auto sleeps = [](std::atomic<int>& over, int ms) -> Task<> {
    for (int i = 0; i < 3; ++i) co_await time::sleep(std::chrono::milliseconds(ms));
    ++over;
  };
  const auto blocks = [](Gate& gate, std::atomic<int>& over, auto& sleep) -> Task<> {
    // Some of these are entered into this worker's wheel, which it will not look at.
    for (int ms = 1; ms <= 20; ++ms) spawn(sleep(over, ms)).detach();
    co_await time::sleep(1ms);
    gate.pass();
  };
  const auto talks = [](int times) -> Task<int> {
    auto pair = co_await connected();
    int heard = 0;
    for (int i = 0; i < times; ++i) {
      const auto sent = co_await pair.client.write_all("x");
      if (!sent) co_return -1;
      std::array<char, 1> buffer{};
      const auto count = co_await pair.server.read(std::span<char>(buffer));
      heard += count && *count == 1 ? 1 : 0;
    }
    co_return heard;
  };
  for (const std::uint32_t workers : {2u, 3u}) {
    const int blocked = static_cast<int>(workers) - 1;
    Gate gate;  // outlives who is inside
    std::atomic<int> over{0};
    auto runtime = Builder::multi_thread().worker_threads(workers).build();
    for (int i = 0; i < blocked; ++i) runtime.spawn(blocks(gate, over, sleeps)).detach();
    gate.await_inside(blocked);
    // From here on one worker has all there is to do.
    CHECK(runtime.block_on(faults::joined(runtime.spawn(talks(100)))) == 100);
    CHECK(faults::eventually([&] { return over == 20 * blocked; }));
    gate.open();
  }
}
