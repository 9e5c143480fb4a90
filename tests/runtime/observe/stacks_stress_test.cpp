// Await stacks taken without pause while tasks are spawned, moved, aborted and destroyed: what is
// read is whole, and nothing is lost by reading it. Meant for the sanitizers.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;
using sync_test::Random;
namespace mpsc = taskscope::runtime::sync::mpsc;

namespace {

constexpr int kTasks = 10'000;
constexpr int kAtOnce = 400;

/// What the tasks contend for.
struct World {
  sync::Mutex<int> mutex{0};
  sync::Semaphore semaphore{3};
  sync::Notify never, often;
  std::atomic<int> alive{0};
};

struct Alive {
  explicit Alive(std::atomic<int>& counter) : count(counter) { ++count; }
  ~Alive() { --count; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  std::atomic<int>& count;
};

Task<void> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield_now();
}
Task<int> deep(World& world, int depth, std::chrono::microseconds wait) {
  if (depth != 0) co_return co_await deep(world, depth - 1, wait) + 1;
  co_await time::sleep(wait);
  co_return 0;
}
Task<void> locks(World& world) {
  auto guard = co_await world.mutex.lock();
  ++*guard;
  co_await yield_now();
}
Task<void> never_ends(World& world) { co_await world.never.notified(); }
Task<int> races(World& world, int depth) {
  // The losers are cancelled in line, granted, or asleep.
  const auto first = co_await select(world.mutex.lock_owned(), yields(2), never_ends(world));
  const auto second = co_await select(deep(world, depth, 100us), world.semaphore.acquire_owned(2),
                                      world.often.notified());
  world.often.notify_one();
  co_return static_cast<int>(first.index() + second.index());
}
Task<void> gives_up(World& world) {
  const auto locked = co_await time::timeout(300us, locks(world));
  const auto ended = co_await time::timeout(100us, never_ends(world));
  static_cast<void>(locked.has_value());
  static_cast<void>(ended.has_value());
}
Task<void> joins(World& world) {
  const auto results = co_await join(races(world, 2), deep(world, 3, 200us), yields(3));
  static_cast<void>(results);
}
Task<void> sends(mpsc::Sender<int> to, int count) {
  for (int i = 0; i < count; ++i) {
    const auto sent = co_await to.send(i);
    if (!sent) co_return;
  }
}
Task<void> exchanges() {
  auto [sender, receiver] = mpsc::channel<int>(2);
  auto sending = spawn(sends(std::move(sender), 10));
  for (;;) {
    const auto message = co_await receiver.recv();
    if (!message) break;
  }
  co_await sending;
}
Task<void> calls() {
  auto call = spawn_blocking([] { return 1; });
  static_cast<void>(co_await call);
}

Task<void> one_of_many(World& world, int number) {
  const Alive self(world.alive);
  switch (number % 8) {
    case 0:
      static_cast<void>(co_await deep(world, number % 80, 500us));
      break;
    case 1:
      co_await locks(world);
      break;
    case 2:
      static_cast<void>(co_await races(world, number % 5));
      break;
    case 3:
      co_await gives_up(world);
      break;
    case 4:
      co_await joins(world);
      break;
    case 5:
      co_await exchanges();
      break;
    case 6:
      if (number % 64 == 6) co_await calls();
      co_await yields(5);
      break;
    default:
      co_await never_ends(world);
      break;
  }
}

/// Spawns all, never more than kAtOnce, and aborts those that would never end and some others.
Task<int> churn(World& world) {
  Random random(7);
  int cancelled = 0;
  std::vector<std::pair<int, JoinHandle<void>>> handles;
  for (int next = 0; next < kTasks || !handles.empty();) {
    if (next < kTasks && handles.size() < kAtOnce) {
      handles.emplace_back(next, spawn(one_of_many(world, next)));
      ++next;
      if (next % 16 == 0) co_await yield_now();
      continue;
    }
    const int chosen = random.below(static_cast<int>(handles.size()));
    auto& place = handles[static_cast<std::size_t>(chosen)];
    std::swap(place, handles.back());
    auto [number, handle] = std::move(handles.back());
    handles.pop_back();
    if (number % 8 == 7 || random.below(4) == 0) handle.abort();
    try {
      co_await handle;
    } catch (const Cancelled&) {
      ++cancelled;
    }
  }
  co_return cancelled;
}

/// Reads every frame that it is shown.
struct Reader final : observe::TaskVisitor, observe::ResourceVisitor, observe::WorkerVisitor {
  void visit(const observe::TaskView& view) override {
    if (view.branches.empty()) return;
    ++stacks;
    arms += view.branches.size() - 1;
    for (const auto& branch : view.branches) {
      frames += branch.frames.size();
      cut += branch.cut ? 1 : 0;
      for (const auto& frame : branch.frames) {
        if (frame.line() == 0 || std::strlen(frame.function_name()) == 0) ++nameless;
      }
      // Whoever waits says for what, if it is no branching await.
      if (branch.wait.mode == observe::BranchMode::Single &&
          branch.wait.op == observe::WaitOp::None && view.polls != 0)
        ++aimless;
    }
  }
  void visit(const observe::ResourceView& view) override { waiters += view.waiters; }
  void visit(const observe::WorkerView& view) override { polls = view.counters.polls; }
  std::uint64_t stacks = 0, arms = 0, frames = 0, cut = 0, nameless = 0, aimless = 0, waiters = 0;
  std::uint64_t polls = 0;
};

/// Walks on a thread of its own until told to stop.
class Walk {
 public:
  explicit Walk(observe::Inspector& inspector)
      : inspector_(inspector), thread_([this] { run(); }) {}
  ~Walk() { stop(); }
  void stop() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  Reader reader;
  std::uint64_t walks = 0;

 private:
  void run() {
    while (!stop_.load()) {
      observe::TaskCursor cursor;
      while (!cursor.done) inspector_.visit_tasks(cursor, 50, observe::Detail::Stacks, reader);
      if (++walks % 16 == 0) {
        inspector_.visit_resources(reader);
        inspector_.visit_workers(reader);
      }
    }
  }
  observe::Inspector& inspector_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

Task<void> receives(mpsc::Receiver<int> from, std::atomic<int>& alive) {
  const Alive self(alive);
  for (;;) {
    const auto message = co_await from.recv();
    if (!message) co_return;
  }
}

}  // namespace

TEST_CASE("stacks are read without pause while ten thousand tasks come, move and go") {
  World world;
  auto runtime = Builder::multi_thread().worker_threads(4).build();
  Walk walk(runtime.inspector());
  const auto body = [](World& shared) -> Task<int> {
    auto all = spawn(churn(shared));
    co_return co_await all;
  };
  const int cancelled = runtime.block_on(body(world));
  walk.stop();
  CHECK(cancelled >= kTasks / 8);
  CHECK(world.alive.load() == 0);
  CHECK(world.semaphore.available_permits() == 3);
  CHECK(static_cast<bool>(world.mutex.try_lock()));
  CHECK(walk.walks > 0);
  CHECK(walk.reader.stacks > 0);
  CHECK(walk.reader.arms > 0);
  CHECK(walk.reader.frames > walk.reader.stacks);
  CHECK(walk.reader.nameless == 0);
  CHECK(walk.reader.aimless == 0);
  // Senders whose exchange was aborted are joined by nobody; they end by themselves.
  const auto give_up = std::chrono::steady_clock::now() + 30s;
  while (runtime.metrics().live_tasks != 0 && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::yield();
  }
  const auto metrics = runtime.metrics();
  CHECK(metrics.live_tasks == 0);
  CHECK(metrics.spawned_tasks == metrics.finished_tasks);
}

TEST_CASE("stacks are read while the runtime shuts down under tasks that wait for everything") {
  for (int round = 0; round < 20; ++round) {
    World world;
    auto runtime = Builder::multi_thread().worker_threads(3).build();
    std::optional<Walk> walk(std::in_place, runtime.inspector());
    for (int i = 0; i < 300; ++i) runtime.spawn(one_of_many(world, i + round)).detach();
    runtime.shutdown();
    walk.reset();  // before the inspector goes
    CHECK(world.alive.load() == 0);
    CHECK(runtime.metrics().live_tasks == 0);
  }
}

TEST_CASE("tasks woken by a foreign thread are destroyed once when the runtime shuts down") {
  std::atomic<int> alive{0};
  for (int round = 0; round < 50; ++round) {
    auto runtime = Builder::multi_thread().worker_threads(2).build();
    std::vector<mpsc::UnboundedSender<int>> senders;
    for (int i = 0; i < 64; ++i) {
      auto [sender, receiver] = mpsc::unbounded_channel<int>();
      runtime.spawn(receives(std::move(receiver), alive)).detach();
      senders.push_back(std::move(sender));
    }
    std::thread foreign([senders = std::move(senders)] {
      for (bool any = true; any;) {
        any = false;
        for (const auto& sender : senders) any = sender.send(1).has_value() || any;
      }
    });
    runtime.shutdown();
    foreign.join();
    CHECK(alive.load() == 0);
  }
}
