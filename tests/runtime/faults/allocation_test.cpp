// Memory that runs out at any point of what makes tasks: std::bad_alloc leaves through the caller,
// and nothing stays behind.

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "taskscope/runtime/net/tcp_listener.h"
#include "taskscope/runtime/net/tcp_stream.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/scheduler/registry.h"
#include "taskscope/runtime/sync/broadcast.h"
#include "taskscope/runtime/sync/cancellation_token.h"
#include "taskscope/runtime/sync/join_set.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/sync/watch.h"
#include "taskscope/tests/runtime/faults/inject.h"
#include "taskscope/tests/runtime/faults/support.h"

using namespace taskscope::runtime;
using faults::FailingAllocation;
using faults::Tracked;

namespace {

/// More than the frame pool keeps: each is an allocation of its own, in every build.
struct Large {
  std::array<char, 2048> bytes{};
};

Task<> small(Tracked) { co_return; }
/// Its frame has room for all of it, whatever the compiler finds out.
Task<> large(Tracked) {
  Large kept;
  asm volatile("" : : "r"(kept.bytes.data()) : "memory");
  co_await yield_now();
  asm volatile("" : : "r"(kept.bytes.data()) : "memory");
}

enum class Ended { Made, Absorbed, OutOfMemory };
/// Makes one attempt with its nth allocation failing, on this thread.
template <class Attempt>
Ended fail_once(std::uint32_t nth, Attempt& attempt) {
  const FailingAllocation failing(nth);
  try {
    attempt();
  } catch (const std::bad_alloc&) {
    return Ended::OutOfMemory;
  }
  return failing.hit() ? Ended::Absorbed : Ended::Made;
}
template <class Attempt>
Task<Ended> fail_once_inside(std::uint32_t nth, Attempt& attempt) {
  co_return fail_once(nth, attempt);
}

struct Walk {
  int failures = 0;  ///< points that threw
  int absorbed = 0;  ///< points at which the attempt did without
};
/// What is allocated once and kept, such as a thread of the pool, is there afterwards.
template <class Attempt>
bool attempt_unharmed(Runtime& runtime, bool inside, Attempt& attempt) {
  constexpr std::uint32_t kBeyond = ~0u;
  const auto ended =
      inside ? runtime.block_on(faults::joined(runtime.spawn(fail_once_inside(kBeyond, attempt))))
             : fail_once(kBeyond, attempt);
  return ended == Ended::Made &&
         faults::eventually([&] { return runtime.metrics().live_tasks == 0; }) &&
         faults::eventually([] { return Tracked::living() == 0; });
}
/// Fails every allocation of `attempt` in turn, until it is made without a failure. After each
/// nothing lives that did not before. `inside`: on a worker, else on a foreign thread.
template <class Attempt>
Walk walk(Runtime& runtime, bool inside, Attempt attempt) {
  REQUIRE(attempt_unharmed(runtime, inside, attempt));
  Walk walked;
  for (std::uint32_t nth = 0;; ++nth) {
    const auto before = faults::live_allocations();
    const auto ended =
        inside ? runtime.block_on(faults::joined(runtime.spawn(fail_once_inside(nth, attempt))))
               : fail_once(nth, attempt);
    // All before the framework says a word, which allocates as well.
    const bool ended_all = faults::eventually([&] { return runtime.metrics().live_tasks == 0; });
    const bool destroyed = faults::eventually([] { return Tracked::living() == 0; });
    const bool freed = faults::eventually([&] { return faults::live_allocations() <= before; });
    if (!ended_all || !destroyed || !freed) {
      const auto more = faults::live_allocations() - before;
      FAIL("after allocation " << nth << " failed: " << Tracked::living() << " objects live, "
                               << more << " allocations more");
    }
    if (ended == Ended::Made) break;
    ++(ended == Ended::OutOfMemory ? walked.failures : walked.absorbed);
  }
  const auto metrics = runtime.metrics();
  CHECK(metrics.spawned_tasks == metrics.finished_tasks);
  return walked;
}

/// With memory in every shard of the registry, which is kept.
Runtime two_workers() {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  for (std::uint32_t shard = 0; shard < scheduler::Registry::kShards; ++shard)
    runtime.block_on(small(Tracked()));
  return runtime;
}

/// As long as every frame is an allocation of its own there are more points to fail at.
constexpr int kFrame = faults::kSanitized ? 1 : 0;

}  // namespace

TEST_CASE("out of memory: the registry says so and stays as it was") {
  auto registry = std::make_unique<scheduler::Registry>();
  using Entered = scheduler::Registry::Entered;
  std::vector<std::unique_ptr<task::Header>> tasks;
  const auto enter = [&](std::uint32_t failing_allocation) {
    auto task = std::make_unique<task::Header>();
    Entered entered;
    {
      const FailingAllocation failing(failing_allocation);
      entered = registry->insert(*task, 3);
    }
    if (entered == Entered::Yes) tasks.push_back(std::move(task));
    return entered;
  };
  constexpr std::uint32_t kBeyond = ~0u;
  int refused = 0;
  while (tasks.size() < 10'000) {
    // In a new block two allocations can fail, else none is made.
    for (std::uint32_t nth = 0; enter(nth) == Entered::OutOfMemory; ++nth) {
      ++refused;
      REQUIRE(registry->live() == tasks.size());
    }
  }
  CHECK(refused > 3);
  std::size_t seen = 0;
  std::uint32_t shard = 0;
  std::uint64_t index = 0;
  while (registry->visit(shard, index, 64, [&](task::Header&) { ++seen; })) {
  }
  CHECK(seen == tasks.size());
  for (auto& task : tasks) registry->remove(*task);
  CHECK(registry->live() == 0);
  CHECK(enter(kBeyond) == Entered::Yes);
  registry->close();
  CHECK(enter(0) == Entered::Closed);
}

TEST_CASE("out of memory: spawn throws to the spawner, and the task is destroyed") {
  auto runtime = two_workers();
  const auto handle = runtime.handle();
  for (const bool inside : {true, false}) {
    const auto spawn_large = [&] { handle.spawn(large(Tracked())).detach(); };
    const auto one = walk(runtime, inside, spawn_large);
    CHECK(one.failures == 1);
    const auto spawn_small = [&] { handle.spawn(small(Tracked())).detach(); };
    CHECK(walk(runtime, inside, spawn_small).failures == kFrame);
    const auto spawn_named = [&] {
      task::Builder()
          .name("a name that does not fit where short ones do")
          .field("a key that is long, too, for good measure", "and a value that is as well")
          .spawn(large(Tracked()))
          .detach();
    };
    if (inside) CHECK(walk(runtime, inside, spawn_named).failures >= 6);
  }
}

TEST_CASE("out of memory: a spawn that finds no place in the registry throws, and so on") {
  auto runtime = two_workers();
  sync::Notify never;
  const auto waits = [](sync::Notify& notify, Tracked) -> Task<> { co_await notify.notified(); };
  struct Done {
    int spawned = 0;
    int refused = 0;
  };
  // All from one worker, whose shard fills block after block.
  const auto spawn_many = [](auto& wait, sync::Notify& notify) -> Task<Done> {
    Done done;
    for (; done.spawned < 20'000; ++done.spawned) {
      for (std::uint32_t nth = 0;; ++nth) {
        const auto attempt = [&] { spawn(wait(notify, Tracked())).detach(); };
        if (fail_once(nth, attempt) != Ended::OutOfMemory) break;
        ++done.refused;
      }
    }
    co_return done;
  };
  const auto done = runtime.block_on(faults::joined(runtime.spawn(spawn_many(waits, never))));
  CHECK(done.refused >= 2);
  CHECK(runtime.metrics().live_tasks == 20'000);
  CHECK(Tracked::living() == 20'000);
  never.notify_waiters();
  REQUIRE(faults::eventually([&] {
    never.notify_waiters();  // those that began to wait since
    return runtime.metrics().live_tasks == 0;
  }));
  CHECK(Tracked::living() == 0);
}

TEST_CASE("out of memory: block_on throws and can be called again") {
  auto runtime = two_workers();
  const auto attempt = [&] { runtime.block_on(large(Tracked())); };
  CHECK(walk(runtime, false, attempt).failures == 1);
}

TEST_CASE("out of memory: spawn_blocking throws to the spawner, and the call is destroyed") {
  auto runtime = two_workers();
  const auto handle = runtime.handle();
  for (const bool inside : {true, false}) {
    const auto attempt = [&] {
      handle.spawn_blocking([kept = Tracked(), more = Large()] { return more.bytes[0]; }).detach();
    };
    CHECK(walk(runtime, inside, attempt).failures >= 1);
  }
}

TEST_CASE("out of memory: a JoinSet holds the task, or there is none") {
  auto runtime = two_workers();
  const auto handle = runtime.handle();
  for (const bool inside : {true, false}) {
    sync::JoinSet<> set;
    std::atomic<int> ran{0};
    int spawned = 0;
    const auto runs = [](std::atomic<int>& count, Tracked tracked) -> Task<> {
      ++count;
      co_await large(tracked);
    };
    const auto attempt = [&] {
      set.spawn_on(handle, runs(ran, Tracked()));
      ++spawned;
      while (!set.try_join_next()) std::this_thread::yield();
    };
    // The task has to be able to run elsewhere while the attempt waits for it.
    CHECK(walk(runtime, inside, attempt).failures == 1 + kFrame);
    CHECK(set.empty());
    CHECK(ran == spawned);
  }
}

TEST_CASE("out of memory: what is sent is in the channel, or stays with the sender") {
  auto runtime = two_workers();
  for (const bool inside : {true, false}) {
    const auto send_many = [] {
      auto [to, from] = sync::mpsc::unbounded_channel<Tracked>();
      for (std::size_t sent = 0; sent < 9; ++sent) {  // the ring grows more than once
        try {
          static_cast<void>(to.send(Tracked()));
        } catch (const std::bad_alloc&) {
          if (from.size() != sent) throw std::logic_error("sent, and not");
          for (; sent != 0; --sent) {
            if (!from.try_recv()) throw std::logic_error("lost");
          }
          throw;
        }
      }
    };
    CHECK(walk(runtime, inside, send_many).failures >= 3);

    const auto send_to_all = [] {
      auto [to, from] = sync::broadcast::channel<Tracked>(4);
      try {
        static_cast<void>(to.send(Tracked()));
      } catch (const std::bad_alloc&) {
        if (from.size() != 0) throw std::logic_error("sent, and not");
        throw;
      }
    };
    CHECK(walk(runtime, inside, send_to_all).failures >= 3);
    const auto send_one = [] {
      auto [to, from] = sync::oneshot::channel<Tracked>();
      static_cast<void>(std::move(to).send(Tracked()));
    };
    CHECK(walk(runtime, inside, send_one).failures == 1);
    const auto watch_one = [] {
      auto [to, from] = sync::watch::channel<Tracked>(Tracked());
      static_cast<void>(to.send(Tracked()));
    };
    CHECK(walk(runtime, inside, watch_one).failures == 1);
    const auto make_child = [] {
      const sync::CancellationToken parent;
      const auto child = parent.child_token();
      parent.cancel();
      if (!child.is_cancelled()) throw std::logic_error("a child that was not told");
    };
    CHECK(walk(runtime, inside, make_child).failures >= 2);
  }
}

namespace {

/// A bounded send that had to wait and finds, when it is its turn, that the ring can't grow.
Task<std::string> send_late(Runtime& runtime) {
  static_cast<void>(runtime);
  auto [sender, receiver] = sync::mpsc::channel<Tracked>(1);
  auto& to = sender;
  auto& from = receiver;
  bool refused = false;
  try {
    const FailingAllocation failing(0);
    const auto sent = co_await to.send(Tracked());
    static_cast<void>(sent);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  if (!refused) co_return "sent without memory";
  if (to.capacity() != 1) co_return "the place was not given back";
  const auto sent = co_await to.send(Tracked());
  if (!sent) co_return "not sent";
  const auto got = co_await from.recv();
  co_return got ? "ok" : "nothing came";
}

}  // namespace

TEST_CASE("out of memory: a place that was reserved is given back") {
  auto runtime = two_workers();
  CHECK(runtime.block_on(send_late(runtime)) == "ok");
  CHECK(Tracked::living() == 0);
}

TEST_CASE("out of memory: a runtime is built whole or not at all") {
  const auto build = [] {
    auto runtime = Builder::multi_thread().worker_threads(3).build();
    runtime.block_on(small(Tracked()));
  };
  {
    constexpr std::uint32_t kBeyond = ~0u;
    REQUIRE(fail_once(kBeyond, build) == Ended::Made);
  }
  const auto descriptors = faults::descriptors();
  int failures = 0;
  for (std::uint32_t nth = 0;; ++nth) {
    const auto before = faults::live_allocations();
    const auto ended = fail_once(nth, build);
    const bool freed = faults::live_allocations() <= before;
    INFO("allocation " << nth);
    REQUIRE(freed);
    REQUIRE(faults::descriptors() == descriptors);
    REQUIRE(Tracked::living() == 0);
    if (ended == Ended::Made) break;
    ++failures;
  }
  CHECK(failures > 10);
}

namespace {

/// Every point at which a socket is made, on a worker, where none of it waits.
Task<std::string> sockets_without_memory() {
  using net::SocketAddress;
  using net::TcpListener;
  using net::TcpStream;
  auto bound = TcpListener::bind(SocketAddress::loopback(0));
  auto listener = faults::must(std::move(bound));
  const auto address = faults::must(listener.local_address());
  const auto descriptors = faults::descriptors();
  std::error_code bind_error, accept_error, connect_error;
  {
    const FailingAllocation failing(0);
    const auto other = TcpListener::bind(SocketAddress::loopback(0));
    if (!other) bind_error = other.error();
  }
  if (bind_error != std::errc::not_enough_memory) co_return "bind: " + bind_error.message();
  {
    const FailingAllocation failing(0);
    const auto stream = co_await TcpStream::connect(address);
    if (!stream) connect_error = stream.error();
  }
  if (connect_error != std::errc::not_enough_memory)
    co_return "connect: " + connect_error.message();
  if (faults::descriptors() != descriptors) co_return "a descriptor is left";
  // The one that gave up is accepted, and found closed or reset.
  auto given_up = co_await listener.accept();
  auto first = faults::must(std::move(given_up));
  std::array<char, 8> buffer{};
  const auto nothing = co_await first.read(std::span<char>(buffer));
  if (nothing && *nothing != 0) co_return "read something";

  auto both = co_await join(TcpStream::connect(address), listener.accept());
  auto client = faults::must(std::move(std::get<0>(both)));
  auto server = faults::must(std::move(std::get<1>(both)));
  auto connecting = co_await TcpStream::connect(address);
  auto unlucky = faults::must(std::move(connecting));
  {
    const FailingAllocation failing(0);
    const auto stream = co_await listener.accept();
    if (!stream) accept_error = stream.error();
  }
  if (accept_error != std::errc::not_enough_memory) co_return "accept: " + accept_error.message();
  // The peer is told, and the listener and the other connection go on.
  const auto closed = co_await unlucky.read(std::span<char>(buffer));
  if (closed && *closed != 0) co_return "read something";
  const auto sent = co_await server.write_all("alive");
  if (!sent) co_return sent.error().message();
  const auto count = co_await client.read(std::span<char>(buffer));
  if (!count) co_return count.error().message();
  co_return std::string(buffer.data(), *count);
}

}  // namespace

TEST_CASE("out of memory: a socket that can't be registered is closed, and an error says why") {
  auto runtime = two_workers();
  CHECK(runtime.block_on(faults::joined(runtime.spawn(sockets_without_memory()))) == "alive");
}
