/// recorded + lost = what happened, whatever is too small or too slow.

#include <atomic>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "taskscope/instrumentation/engine.h"
#include "taskscope/instrumentation/recorder.h"
#include "taskscope/tests/instrumentation/console.h"

using namespace taskscope;
using namespace taskscope::instrumentation;
using namespace taskscope::test;
using namespace taskscope::runtime::observe;
using protocol::EventKind;
using protocol::LossCause;

namespace {

struct Happened {
  std::uint64_t events = 0, spawns = 0, polls = 0, wakes = 0;
};

/// What a busy worker does: spawns, polls with waits, wakes.
Happened work(std::uint64_t first_task, std::uint64_t rounds, WorkerId worker) {
  Happened happened;
  std::vector<Wait> waits(3);
  const std::string name = "a task with a name that takes some units";
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const TaskId task{first_task + round};
    recorder::task_spawned({.task = task, .site = Site::current(), .name = name}, read_ticks());
    recorder::poll_started(task, worker, read_ticks());
    recorder::woken({.task = task, .by = task}, read_ticks());
    const auto count = round % 4;
    recorder::poll_ended(task, read_ticks(), PollEnd::Pending, std::span(waits).first(count));
    recorder::woken({.task = task, .cause = WakeCause::Io, .fd = 3}, read_ticks());
    recorder::poll_started(task, worker, read_ticks());
    recorder::poll_ended(task, read_ticks(), PollEnd::Ready, {});
    recorder::task_finished({.task = task, .site = Site::current()}, read_ticks());
    happened.events += 8 + count;
    happened.spawns += 1;
    happened.polls += 2;
    happened.wakes += 2;
  }
  return happened;
}

struct Watched {
  std::uint64_t events = 0, spawns = 0, polls = 0, wakes = 0;
  explicit Watched(const Console& console) : events(console.recorded()) {
    spawns = console.count(EventKind::TaskSpawned);
    polls = console.count(EventKind::PollEnded);
    wakes = console.count(EventKind::Woken);
    for (const auto& loss : console.all<protocol::Loss>()) {
      events += loss.events;
      spawns += loss.spawns;
      polls += loss.polls;
      wakes += loss.wakes;
    }
  }
};

}  // namespace

TEST_CASE("loss: with rings of 64 KiB under load, recorded and lost add up to what happened") {
  const Directory directory;
  Engine engine({.worker_ring_bytes = std::size_t{64} << 10,
                 .queue_bytes = std::size_t{1} << 30,
                 .linger = std::chrono::seconds(30),
                 .socket_directory = directory.path()});
  ScriptedInspector inspector;
  inspector.tasks.push_back({.task = TaskId{1}});
  engine.runtime_started(inspector);
  Console console(engine.socket_path());
  console.attach();

  constexpr int kThreads = 3;
  std::vector<Happened> happened(kThreads);
  std::vector<std::thread> threads;
  std::atomic<int> running{kThreads};
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      const auto number = static_cast<std::uint32_t>(i) + 1;
      happened[static_cast<std::size_t>(i)] = work(1'000'000 * number, 60'000, WorkerId{number});
      --running;
    });
  std::thread finisher([&] {
    for (auto& thread : threads) thread.join();
    engine.finish("done");
  });
  REQUIRE(console.read_to_end());
  finisher.join();

  Happened all;
  for (const auto& one : happened) {
    all.events += one.events;
    all.spawns += one.spawns;
    all.polls += one.polls;
    all.wakes += one.wakes;
  }
  const Watched watched(console);
  CHECK(console.errors == 0);
  CHECK(watched.events == all.events);
  CHECK(watched.spawns == all.spawns);
  CHECK(watched.polls == all.polls);
  CHECK(watched.wakes == all.wakes);
  CHECK(console.lost(LossCause::RingFull).events > 0);
  CHECK(console.lost(LossCause::SlowConsumer).events == 0);

  // A gap ends with a resync, and what comes between has the order of the ring.
  const auto resyncs = console.count(EventKind::Resync);
  CHECK(resyncs > 0);
  std::size_t losses = 0;
  for (const auto& loss : console.all<protocol::Loss>()) {
    losses += loss.events > 0 ? 1 : 0;
    CHECK(loss.producer != 0);
    CHECK(loss.from_ticks <= loss.to_ticks);
  }
  CHECK(losses > 0);
  std::map<std::uint64_t, std::uint64_t> last;
  std::size_t disordered = 0;
  for (const auto& run : console.all<protocol::Events>()) {
    for (const auto& event : run.events) {
      disordered += event.ticks < last[run.ring] ? 1 : 0;
      last[run.ring] = event.ticks;
    }
  }
  CHECK(disordered == 0);
  engine.runtime_stopping(inspector);
}

TEST_CASE("loss: a gap is followed by a fresh snapshot") {
  const Directory directory;
  Engine engine({.worker_ring_bytes = std::size_t{64} << 10, .socket_directory = directory.path()});
  ScriptedInspector inspector;
  inspector.tasks.push_back({.task = TaskId{1}});
  engine.runtime_started(inspector);
  Console console(engine.socket_path());
  console.attach();
  REQUIRE(console.read_until([&] { return console.whole_snapshot().has_value(); }));
  std::atomic<bool> is_enough{false};
  std::thread thread([&] {
    while (!is_enough) work(1, 1000, WorkerId{1});
  });
  REQUIRE(console.read_until([&] { return console.lost(LossCause::RingFull).events > 0; }));
  is_enough = true;
  const auto before = console.count<protocol::Snapshot>();
  CHECK(console.read_until([&] { return console.count<protocol::Snapshot>() > before; }));
  thread.join();
  engine.runtime_stopping(inspector);
}

TEST_CASE("loss: threads that come and go at any time lose nothing uncounted") {
  const Directory directory;
  Engine engine({.queue_bytes = std::size_t{1} << 30,
                 .linger = std::chrono::seconds(30),
                 .socket_directory = directory.path()});
  Console console(engine.socket_path());
  console.attach();
  std::uint64_t happened = 0;
  std::thread driver([&] {
    for (int round = 0; round < 20; ++round) {
      std::vector<std::thread> threads;
      std::vector<Happened> results(8);
      for (std::size_t i = 0; i < results.size(); ++i)
        threads.emplace_back([&, i] { results[i] = work(1000 * (i + 1), 50, WorkerId::None); });
      for (auto& thread : threads) thread.join();
      for (const auto& result : results) happened += result.events;
    }
    engine.finish("done");
  });
  REQUIRE(console.read_to_end());
  driver.join();
  CHECK(Watched(console).events == happened);
  CHECK(console.errors == 0);
}

TEST_CASE("loss: a slow console loses chunks, counted; a fast one beside it loses nothing") {
  const Directory directory;
  Engine engine({.queue_bytes = std::size_t{256} << 10,
                 .linger = std::chrono::seconds(30),
                 .socket_directory = directory.path()});
  ScriptedInspector inspector;
  inspector.tasks.push_back({.task = TaskId{1}});
  engine.runtime_started(inspector);
  Console slow(engine.socket_path());
  slow.attach();
  std::atomic<bool> has_attached{false}, is_done{false};
  std::atomic<std::uint64_t> fast_has{0};
  std::unique_ptr<Console> fast;
  std::thread reader([&] {
    fast = std::make_unique<Console>(engine.socket_path());
    fast->attach();
    has_attached = true;
    has_attached.notify_all();
    while (!fast->has_ended) {
      const auto seen = fast->updates.size();
      fast->read_until([&] { return fast->updates.size() > seen; });
      // The worker starts with a small ring, which a whole portion may overflow.
      fast_has = fast->recorded() + fast->lost(LossCause::RingFull).events;
    }
  });
  has_attached.wait(false);
  Happened all;
  std::thread worker([&] {
    // In portions that the fast console has time to take.
    for (std::uint64_t round = 0; round < 60; ++round) {
      const Happened one = work(1 + round * 1000, 1000, WorkerId{1});
      all.events += one.events;
      while (fast_has < all.events && !fast->has_ended) std::this_thread::yield();
    }
    is_done = true;
  });
  worker.join();
  // Now the slow one reads: first what was queued, then the loss, then what comes since.
  REQUIRE(slow.read_until([&] { return slow.recorded() > 0; }));
  std::thread finisher([&] { engine.finish("done"); });
  REQUIRE(slow.read_to_end());
  finisher.join();
  reader.join();
  const std::uint64_t unrecorded = fast->lost(LossCause::RingFull).events;
  CHECK(fast->recorded() + unrecorded == all.events);
  CHECK(slow.lost(LossCause::RingFull).events == unrecorded);
  CHECK(fast->lost(LossCause::SlowConsumer).chunks == 0);
  CHECK(slow.lost(LossCause::SlowConsumer).chunks > 0);
  CHECK(slow.recorded() + slow.lost(LossCause::SlowConsumer).events + unrecorded == all.events);
  CHECK(slow.errors == 0);
  CHECK(slow.count<protocol::Goodbye>() == 1);
  engine.runtime_stopping(inspector);
}

TEST_CASE("loss: consoles that vanish at any moment disturb nobody") {
  const Directory directory;
  Engine engine({.linger = std::chrono::seconds(30), .socket_directory = directory.path()});
  ScriptedInspector inspector;
  for (std::uint64_t id = 1; id <= 3000; ++id) inspector.tasks.push_back({.task = TaskId{id}});
  engine.runtime_started(inspector);
  Console steady(engine.socket_path());
  steady.attach(0x7f, 5);
  std::atomic<bool> is_enough{false};
  std::atomic<std::uint64_t> happened{0};
  std::thread worker([&] {
    std::uint64_t first = 1;
    while (!is_enough) {
      happened += work(first, 20, WorkerId{1}).events;
      first += 20;
      std::this_thread::yield();
    }
  });
  std::minstd_rand random(7);
  for (int round = 0; round < 60; ++round) {
    Console guest(engine.socket_path());
    const auto steps = random() % 5;
    if (steps > 0) guest.hello();
    if (steps > 1) guest.say(protocol::Subscribe{.sample_every_ms = 1});
    if (steps > 2) guest.say(protocol::RequestSnapshot{.stacks = true});
    if (steps > 3) guest.read_until([&] { return guest.updates.size() > random() % 20; });
    guest.hang_up();
    const auto seen = steady.updates.size();
    steady.read_until([&] { return steady.updates.size() > seen; });
  }
  is_enough = true;
  worker.join();
  std::thread finisher([&] { engine.finish("done"); });
  REQUIRE(steady.read_to_end());
  finisher.join();
  CHECK(steady.errors == 0);
  CHECK(Watched(steady).events == happened);
  engine.runtime_stopping(inspector);
}
