/// A real runtime, watched: what the stream says equals what the runtime counted itself.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "taskscope/instrumentation/engine.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/instrumentation/console.h"
#include "taskscope/tests/support/gate.h"

using namespace taskscope;
using namespace taskscope::instrumentation;
using namespace taskscope::test;
using namespace std::chrono_literals;
using protocol::EventKind;
using runtime::Builder;
using runtime::JoinHandle;
using runtime::Runtime;
using runtime::RuntimeMetrics;
using runtime::Task;

namespace {

Task<int> add(runtime::sync::Mutex<int>& sum, int value) {
  co_await runtime::yield_now();
  auto guard = co_await sum.lock();
  *guard += value;
  co_await runtime::yield_now();
  co_return value;
}

Task<void> send(runtime::sync::mpsc::Sender<int> to, int count) {
  for (int i = 0; i < count; ++i) {
    const auto sent = co_await to.send(i);
    static_cast<void>(sent);
  }
}

Task<int> receive(runtime::sync::mpsc::Receiver<int> from) {
  int received = 0;
  while (true) {
    const auto message = co_await from.recv();
    if (!message) break;
    ++received;
  }
  co_return received;
}

Task<void> for_ever() { co_await runtime::time::sleep(1h); }

Task<void> fails() {
  co_await runtime::yield_now();
  throw std::runtime_error("on purpose");
}

/// Something of everything: locks, channels, timers, blocking calls, errors, aborts.
Task<int> mix(int tasks) {
  runtime::sync::Mutex<int> sum;
  std::vector<JoinHandle<int>> adders;
  for (int i = 0; i < tasks; ++i) adders.push_back(runtime::spawn(add(sum, 1)));
  auto ends = runtime::sync::mpsc::channel<int>(4);
  auto sender = runtime::spawn(send(std::move(ends.first), tasks));
  auto receiver = runtime::spawn(receive(std::move(ends.second)));
  int total = 0;
  for (auto& adder : adders) {
    const int value = co_await adder;
    total += value;
  }
  const int received = co_await receiver;
  co_await sender;
  for (int i = 0; i < 20; ++i) {
    auto blocking = runtime::spawn_blocking([i] { return i; });
    const int value = co_await blocking;
    total += value - value;
  }
  auto failing = runtime::spawn(fails());
  try {
    co_await failing;
  } catch (const std::runtime_error&) {
  }
  auto sleeper = runtime::spawn(for_ever());
  co_await runtime::time::sleep(2ms);
  sleeper.abort();
  const auto elapsed = co_await runtime::time::timeout(1ms, for_ever());
  static_cast<void>(elapsed);
  auto forgotten = runtime::spawn(for_ever());  // destroyed when the runtime is
  static_cast<void>(forgotten);
  co_return total + received;
}

/// What a console on a thread of its own hears until the stream ends.
class Reader {
 public:
  explicit Reader(const std::string& path) : console(path) {
    console.attach(0x7f, 20);
    thread_ = std::thread([this] {
      const auto limit = std::chrono::steady_clock::now() + 2min;
      while (!console.has_ended && std::chrono::steady_clock::now() < limit) {
        const auto seen = console.updates.size();
        console.read_until([&] { return console.updates.size() > seen; });
      }
    });
  }
  ~Reader() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  Console console;

 private:
  std::thread thread_;
};

struct Totals {
  std::uint64_t spawned = 0, finished = 0, polls = 0, wakes = 0;
  explicit Totals(const Console& console)
      : spawned(console.count(EventKind::TaskSpawned)),
        finished(console.count(EventKind::TaskFinished)),
        polls(console.count(EventKind::PollEnded)) {
    for (const auto& event : console.events())
      wakes += event.kind == EventKind::Woken &&
                       event.detail != static_cast<int>(protocol::WakeCause::Abort)
                   ? 1
                   : 0;
    for (const auto& loss : console.all<protocol::Loss>()) {
      spawned += loss.spawns;
      polls += loss.polls;
      wakes += loss.wakes;
    }
  }
};

}  // namespace

TEST_CASE("runtime: what the stream says equals what the runtime counted") {
  const Directory directory;
  Engine engine(
      {.queue_bytes = std::size_t{1} << 30, .linger = 30s, .socket_directory = directory.path()});
  RuntimeMetrics metrics;
  Reader reader(engine.socket_path());
  {
    Runtime runtime = Builder::multi_thread().worker_threads(2).build();
    CHECK(runtime.block_on(mix(500)) == 1000);
    runtime.shutdown();
    metrics = runtime.metrics();
  }
  engine.finish("done");
  reader.join();
  const Console& console = reader.console;
  REQUIRE(console.has_ended);
  CHECK(console.errors == 0);
  CHECK(console.all<protocol::Loss>().empty());
  const Totals totals(console);
  CHECK(totals.spawned == metrics.spawned_tasks);
  CHECK(totals.finished == metrics.finished_tasks);
  CHECK(totals.polls == metrics.polls);
  CHECK(totals.wakes == metrics.wakes);
  CHECK(metrics.live_tasks == 0);

  // The last sample was taken when the runtime had stopped.
  std::optional<protocol::RuntimeSample> last;
  for (const auto& samples : console.all<protocol::Samples>())
    if (!samples.runtimes.empty()) last = samples.runtimes.front();
  REQUIRE(last);
  CHECK(last->spawned_tasks == metrics.spawned_tasks);

  // Whatever begins ends, on the same ring, and every task that spoke was spawned before.
  std::set<std::uint64_t> spawned;
  std::map<std::uint64_t, std::uint64_t> polled;
  std::size_t wrong = 0, workers_seen = 0;
  for (const auto& event : console.events())
    if (event.kind == EventKind::TaskSpawned) spawned.insert(event.task);
  for (const auto& run : console.all<protocol::Events>()) {
    workers_seen += run.worker != 0 ? 1 : 0;
    for (const auto& event : run.events) {
      if (event.kind == EventKind::PollStarted) {
        wrong += polled[run.ring] != 0 || spawned.count(event.task) == 0 ? 1 : 0;
        polled[run.ring] = event.task;
      } else if (event.kind == EventKind::PollEnded) {
        wrong += polled[run.ring] != event.task ? 1 : 0;
        polled[run.ring] = 0;
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(workers_seen > 0);

  bool has_error = false;
  for (const auto& run : console.all<protocol::Events>()) {
    for (const auto& event : run.events)
      has_error = has_error || (event.kind == EventKind::TaskFinished && event.text != 0 &&
                                run.texts.at(event.text - 1) == "on purpose");
  }
  CHECK(has_error);
}

TEST_CASE("runtime: with rings of 64 KiB under load, recorded and lost add up to its own counts") {
  const Directory directory;
  Engine engine({.worker_ring_bytes = std::size_t{64} << 10,
                 .queue_bytes = std::size_t{1} << 30,
                 .linger = 30s,
                 .socket_directory = directory.path()});
  RuntimeMetrics metrics;
  Reader reader(engine.socket_path());
  {
    Runtime runtime = Builder::multi_thread().worker_threads(2).build();
    for (int round = 0; round < 10; ++round) CHECK(runtime.block_on(mix(3000)) == 6000);
    runtime.shutdown();
    metrics = runtime.metrics();
  }
  engine.finish("done");
  reader.join();
  REQUIRE(reader.console.has_ended);
  CHECK(reader.console.errors == 0);
  const Totals totals(reader.console);
  CHECK(totals.spawned == metrics.spawned_tasks);
  CHECK(totals.polls == metrics.polls);
  // An abort is a wake to the recorder and none to the metrics; lost ones can't be told apart.
  CHECK(totals.wakes >= metrics.wakes);
  CHECK(totals.wakes <= metrics.wakes + reader.console.lost(protocol::LossCause::RingFull).wakes);
}

namespace {

Task<void> waits_for(runtime::sync::Notify& notify) { co_await notify.notified(); }

Task<void> outer(runtime::sync::Notify& notify) { co_await waits_for(notify); }

Task<void> holds(runtime::sync::Mutex<int>& mutex, runtime::sync::Notify& notify) {
  auto guard = co_await mutex.lock();
  co_await notify.notified();
}

Task<void> wants_the_lock(runtime::sync::Mutex<int>& mutex) { auto guard = co_await mutex.lock(); }

}  // namespace

TEST_CASE("runtime: workers that sleep keep their names, however often a console comes") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  constexpr std::size_t kWorkers = 4;
  const Runtime runtime = Builder::multi_thread().worker_threads(kWorkers).build();
  std::map<std::uint32_t, std::string> first;
  for (int visit = 0; visit < 5; ++visit) {
    Console console(engine.socket_path());
    console.attach();
    std::map<std::uint32_t, std::string> names;
    const auto has_all = [&] {
      for (const auto& run : console.all<protocol::Events>())
        if (run.worker != 0) names[run.worker] = run.thread_name;
      return names.size() == kWorkers;
    };
    REQUIRE(console.read_until(has_all));
    if (first.empty()) first = names;
    CHECK(names == first);
  }
}

TEST_CASE("runtime: a worker that begins while it is watched, and tells nothing, has a name") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  constexpr int kWorkers = 2;
  tests::Gate gate;
  const Runtime runtime = Builder::multi_thread()
                              .worker_threads(kWorkers)
                              .thread_name("late")
                              .on_thread_start([&] { gate.pass(); })
                              .build();
  gate.await_inside(kWorkers);
  Console console(engine.socket_path());
  constexpr auto kTasks = static_cast<std::uint32_t>(runtime::observe::Event::Task);
  console.attach(kTasks);  // not of workers
  const auto named = [&] {
    std::set<std::uint32_t> workers;
    for (const auto& run : console.all<protocol::Events>()) {
      if (run.worker != 0 && run.thread_name.starts_with("late")) workers.insert(run.worker);
    }
    return workers.size();
  };
  CHECK(named() == 0);
  gate.open();
  CHECK(console.read_until([&] { return named() == kWorkers; }));
}

TEST_CASE("runtime: attaching late lists every live task with call site, wait and holder") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  runtime::sync::Notify notify;
  runtime::sync::Mutex<int> mutex;
  Runtime runtime = Builder::multi_thread().worker_threads(2).build();
  constexpr std::size_t kWaiting = 1000;
  for (std::size_t i = 0; i < kWaiting; ++i) runtime.spawn(outer(notify)).detach();
  runtime.spawn(holds(mutex, notify)).detach();
  // A poll counts when it begins; the tasks wait when it has ended.
  struct Busy final : runtime::observe::TaskVisitor {
    std::size_t count = 0;
    void visit(const runtime::observe::TaskView& task) override {
      if (task.state != runtime::observe::TaskState::Idle) ++count;
    }
  };
  const auto settle = [&](std::uint64_t polls) {
    for (;;) {
      Busy busy;
      runtime::observe::TaskCursor cursor;
      while (!cursor.done) {
        runtime.inspector().visit_tasks(cursor, 256, runtime::observe::Detail::Facts, busy);
      }
      if (busy.count == 0 && runtime.metrics().polls >= polls) return;
      std::this_thread::yield();
    }
  };
  settle(kWaiting + 1);
  runtime.spawn(wants_the_lock(mutex)).detach();
  settle(kWaiting + 2);

  Console console(engine.socket_path());
  console.attach();
  console.say(protocol::RequestSnapshot{.waits = true, .stacks = true});
  const auto has_stacks = [&] {
    const auto snapshot = console.whole_snapshot();
    return snapshot && snapshot->has_stacks;
  };
  // The walk of the attach comes first.
  REQUIRE(console.read_until([&] { return console.whole_snapshot().has_value(); }));
  if (!has_stacks()) {
    console.updates.erase(std::remove_if(console.updates.begin(), console.updates.end(),
                                         [](const auto& update) {
                                           const auto* const piece =
                                               std::get_if<protocol::Snapshot>(&update);
                                           return piece != nullptr && !piece->has_stacks;
                                         }),
                          console.updates.end());
  }
  REQUIRE(console.read_until(has_stacks));
  const auto snapshot = *console.whole_snapshot();
  REQUIRE(snapshot.tasks.size() == kWaiting + 2);
  std::size_t notified = 0, locked = 0;
  std::uint64_t lock = 0, holder = 0;
  for (const auto& task : snapshot.tasks) {
    REQUIRE(console.site(task.site) != nullptr);
    CHECK(console.site(task.site)->file.ends_with("runtime_test.cpp"));
    REQUIRE(task.branches.size() == 1);
    const auto& branch = task.branches.front();
    REQUIRE(console.site(branch.site) != nullptr);
    if (branch.op == protocol::WaitOp::Notified) {
      ++notified;
      if (branch.frames.size() == 1) holder = task.task;
      CHECK((branch.frames.size() == 2 || branch.frames.size() == 1));
    } else if (branch.op == protocol::WaitOp::Lock) {
      ++locked;
      lock = branch.other;
      CHECK(branch.resource_kind == protocol::ResourceKind::Mutex);
    }
  }
  CHECK(notified == kWaiting + 1);
  CHECK(locked == 1);
  bool has_holder = false;
  for (const auto& resource : snapshot.resources) {
    if (resource.resource != lock) continue;
    for (const auto& one : resource.holders)
      has_holder = has_holder || (one.task == holder && one.certain);
  }
  CHECK(has_holder);
  notify.notify_waiters();
}
