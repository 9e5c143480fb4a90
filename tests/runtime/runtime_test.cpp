#include "taskscope/runtime/runtime.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/time/sleep.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;

namespace {

Task<int> answer() { co_return 42; }
Task<void> for_ever() { co_await time::sleep(24h); }
Task<std::thread::id> where() {
  co_await yield_now();
  co_return std::this_thread::get_id();
}
Task<void> fails() {
  co_await yield_now();
  throw std::runtime_error("broken");
}

/// Counts itself while it lives.
struct Alive {
  explicit Alive(std::atomic<int>& counter) : count(counter) { ++count; }
  ~Alive() { --count; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  std::atomic<int>& count;
};
Task<void> alive_for_ever(std::atomic<int>& alive) {
  const Alive self(alive);
  co_await for_ever();
}

/// Waits, without a timeout, for what another thread does.
template <class Condition>
void until(Condition condition) {
  while (!condition()) std::this_thread::yield();
}

}  // namespace

// --- current_thread

TEST_CASE("a current_thread runtime runs everything on the thread in block_on") {
  auto runtime = Builder::current_thread().build();
  const auto body = []() -> Task<bool> {
    const auto here = std::this_thread::get_id();
    auto handle = spawn(where());
    const auto there = co_await handle;
    co_await time::sleep(1ms);
    co_return here == there&& here == std::this_thread::get_id();
  };
  CHECK(runtime.block_on(body()));
  CHECK(runtime.block_on(where()) == std::this_thread::get_id());
  const auto metrics = runtime.metrics();
  REQUIRE(metrics.workers.size() == 1);
  struct Parked final : observe::WorkerVisitor {
    void visit(const observe::WorkerView& worker) override { parked = worker.parked; }
    bool parked = false;
  } worker;
  runtime.inspector().visit_workers(worker);
  CHECK(worker.parked);
  CHECK(metrics.workers[0].poll_count == metrics.polls);  // all on the worker, block_on's too
  CHECK(metrics.live_tasks == 0);
}

TEST_CASE(
    "what is spawned onto a current_thread runtime from outside waits for the next block_on") {
  auto runtime = Builder::current_thread().build();
  auto handle = runtime.spawn(where());
  CHECK_FALSE(handle.is_finished());
  const auto take = [](JoinHandle<std::thread::id>& joined) -> Task<std::thread::id> {
    co_return co_await joined;
  };
  CHECK(runtime.block_on(take(handle)) == std::this_thread::get_id());
}

TEST_CASE("tasks, timers and wakes from other threads reach a current_thread runtime that sleeps") {
  auto runtime = Builder::current_thread().build();
  auto [sender, receiver] = sync::oneshot::channel<int>();
  const auto handle = runtime.handle();
  std::thread other([&, to = std::move(sender)]() mutable {
    until([&] { return runtime.metrics().workers[0].park_count > 0; });
    handle.spawn(answer()).detach();
    static_cast<void>(to.send(7));
  });
  const auto body = [](sync::oneshot::Receiver<int> from) -> Task<int> {
    auto received = co_await from.recv();
    co_return received.value();
  };
  CHECK(runtime.block_on(body(std::move(receiver))) == 7);
  other.join();
}

TEST_CASE("a root that never waits lets the tasks of its current_thread runtime run, and they it") {
  for (const std::uint32_t interval : {1u, 2u, 61u}) {
    auto runtime =
        Builder::current_thread().event_interval(interval).global_queue_interval(interval).build();
    std::atomic<int> turns{0};
    const auto spins = [](std::atomic<int>& count) -> Task<void> {
      for (;;) {
        co_await yield_now();
        ++count;
      }
    };
    const auto body = [](std::atomic<int>& count, Task<void> inner) -> Task<int> {
      auto spinner = spawn(std::move(inner));
      const auto handle = Handle::current();
      // From outside, while the worker has tasks of its own.
      auto remote = spawn_blocking([handle] { return handle.spawn(answer()); });
      while (count.load() < 1000) co_await yield_now();
      auto inner_handle = co_await remote;
      const int result = co_await inner_handle;
      spinner.abort();
      co_return result;
    };
    CHECK(runtime.block_on(body(turns, spins(turns))) == 42);
  }
}

TEST_CASE("of several threads in block_on one runs a current_thread runtime, and hands over") {
  auto runtime = Builder::current_thread().build();
  sync::Notify first_may_end, second_may_end;
  std::atomic<int> ended{0};
  const auto wait = [](sync::Notify& notify) -> Task<void> {
    co_await notify.notified();
    co_await time::sleep(1ms);  // needs somebody to drive
  };
  std::thread first([&] {
    runtime.block_on(wait(first_may_end));
    ++ended;
  });
  until([&] { return runtime.metrics().workers[0].park_count > 0; });
  std::thread second([&] {
    runtime.block_on(wait(second_may_end));
    ++ended;
  });
  until([&] { return runtime.metrics().spawned_tasks == 2; });
  first_may_end.notify_one();
  first.join();
  CHECK(ended.load() == 1);
  // Driven by the second thread now.
  auto task = runtime.spawn(answer());
  until([&] { return task.is_finished(); });
  second_may_end.notify_one();
  second.join();
  CHECK(ended.load() == 2);
}

TEST_CASE("many threads share a current_thread runtime by block_on") {
  auto runtime = Builder::current_thread().build();
  constexpr int kThreads = 4, kRounds = 300;
  std::atomic<long> sum{0};
  const auto body = []() -> Task<int> {
    auto handle = spawn(answer());
    co_await yield_now();
    co_return co_await handle;
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) sum += runtime.block_on(body());
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(sum.load() == 42L * kThreads * kRounds);
}

TEST_CASE("the end of a current_thread runtime destroys its tasks, begun or not") {
  std::atomic<int> alive{0};
  {
    auto runtime = Builder::current_thread().build();
    for (int i = 0; i < 100; ++i) runtime.spawn(alive_for_ever(alive)).detach();
    const auto body = [](std::atomic<int>& count) -> Task<void> {
      while (count.load() < 100) co_await yield_now();
    };
    runtime.block_on(body(alive));
    for (int i = 0; i < 100; ++i) runtime.spawn(alive_for_ever(alive)).detach();
  }
  CHECK(alive.load() == 0);
}

// --- contexts

TEST_CASE("block_on is refused where it would hold up a runtime, and not on blocking threads") {
  for (const bool many : {true, false}) {
    auto runtime =
        (many ? Builder::multi_thread().worker_threads(1) : Builder::current_thread()).build();
    const auto nested = []() -> Task<std::string> {
      try {
        Handle::current().block_on(answer());
      } catch (const std::logic_error& error) {
        co_return error.what();
      }
      co_return "";
    };
    CHECK_THAT(runtime.block_on(nested()), Catch::Contains("co_await the task instead"));
    const auto spawned = [](Task<std::string> task) -> Task<std::string> {
      auto handle = spawn(std::move(task));
      co_return co_await handle;
    };
    CHECK_THAT(runtime.block_on(spawned(nested())), Catch::Contains("co_await the task instead"));
    const auto blocking = []() -> Task<int> {
      auto call = spawn_blocking([] {
        const auto body = []() -> Task<int> {
          auto handle = spawn(answer());
          co_await time::sleep(1ms);
          co_return co_await handle;
        };
        return Handle::current().block_on(body());
      });
      co_return co_await call;
    };
    CHECK(runtime.block_on(blocking()) == 42);
  }
}

TEST_CASE("hooks of threads are called, and block_on in those of workers is refused") {
  std::atomic<int> started{0}, stopped{0}, parked{0}, unparked{0}, refused{0};
  {
    auto runtime = Builder::multi_thread()
                       .worker_threads(2)
                       .on_thread_start([&] {
                         ++started;
                         try {
                           Handle::current().block_on(answer());
                         } catch (const std::logic_error&) {
                           ++refused;
                         }
                       })
                       .on_thread_stop([&] { ++stopped; })
                       .on_thread_park([&] { ++parked; })
                       .on_thread_unpark([&] { ++unparked; })
                       .build();
    const auto body = []() -> Task<void> {
      auto call = spawn_blocking([] {});
      co_await call;
      co_await time::sleep(1ms);
    };
    runtime.block_on(body());
    until([&] { return started.load() == 3 && parked.load() >= 2; });
  }
  CHECK(refused.load() == 2);  // a thread of the pool may
  CHECK(started.load() == 3);
  CHECK(stopped.load() == 3);
  CHECK(unparked.load() == parked.load());
}

TEST_CASE("what a hook spawns before a current_thread runtime sleeps is run first") {
  std::atomic<int> parks{0};
  sync::Notify notify;
  auto runtime = Builder::current_thread()
                     .on_thread_park([&] {
                       const auto wake = [](sync::Notify& to) -> Task<void> {
                         to.notify_one();
                         co_return;
                       };
                       if (++parks == 1) spawn(wake(notify)).detach();
                     })
                     .build();
  const auto body = [](sync::Notify& from) -> Task<void> { co_await from.notified(); };
  runtime.block_on(body(notify));
  CHECK(parks.load() == 1);
}

TEST_CASE("enter makes a runtime current, for spawn and for Handle::current") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  CHECK_FALSE(Handle::try_current().has_value());
  CHECK_THROWS_AS(Handle::current(), std::logic_error);
  {
    const auto guard = runtime.enter();
    CHECK(Handle::try_current().has_value());
    auto handle = spawn(answer());
    until([&] { return handle.is_finished(); });
    auto other = Builder::current_thread().build();
    {
      const auto inner = other.handle().enter();
      spawn(answer()).detach();
      CHECK(other.metrics().spawned_tasks == 1);
    }
    CHECK(other.block_on(answer()) == 42);  // allowed: nothing is held up
    CHECK(runtime.block_on(answer()) == 42);
  }
  CHECK_FALSE(Handle::try_current().has_value());
  // A guard does not keep a runtime from being shut down.
  std::optional<Runtime> third(Builder::multi_thread().worker_threads(1).build());
  std::atomic<int> alive{0};
  {
    const auto guard = third->enter();
    spawn(alive_for_ever(alive)).detach();
    until([&] { return alive.load() == 1; });
    third.reset();
    CHECK(alive.load() == 0);
    CHECK(spawn(answer()).is_finished());
  }
}

// --- the end

TEST_CASE("block_on throws Cancelled when its runtime is shut down meanwhile") {
  for (const bool many : {true, false}) {
    auto runtime =
        (many ? Builder::multi_thread().worker_threads(1) : Builder::current_thread()).build();
    std::atomic<int> alive{0}, cancelled{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        try {
          runtime.block_on(alive_for_ever(alive));
        } catch (const Cancelled&) {
          ++cancelled;
        }
      });
    }
    until([&] { return alive.load() == 3; });
    runtime.shutdown();
    for (auto& thread : threads) thread.join();
    CHECK(alive.load() == 0);
    CHECK(cancelled.load() == 3);
  }
}

TEST_CASE("a runtime destroyed in one of its own tasks ends in the background") {
  const bool many = GENERATE(true, false);
  const std::string where_from = GENERATE("a task", "block_on", "a blocking call");
  auto runtime = std::make_unique<Runtime>(
      (many ? Builder::multi_thread().worker_threads(2) : Builder::current_thread()).build());
  auto& running = *runtime;
  std::atomic<int> alive{0};
  std::atomic<bool> went_on{false};
  running.spawn(alive_for_ever(alive)).detach();
  const auto destroys = [](std::unique_ptr<Runtime> own, std::atomic<int>& count,
                           std::atomic<bool>& on) -> Task<void> {
    while (count.load() == 0) co_await yield_now();
    own.reset();
    on.store(true);
    co_await for_ever();
  };
  if (where_from == "a task") {
    running.spawn(destroys(std::move(runtime), alive, went_on)).detach();
    if (!many) CHECK_THROWS_AS(running.block_on(for_ever()), Cancelled);
  } else if (where_from == "block_on") {
    CHECK_THROWS_AS(running.block_on(destroys(std::move(runtime), alive, went_on)), Cancelled);
  } else {
    if (many) until([&] { return alive.load() == 1; });
    auto call = running.spawn_blocking([own = std::move(runtime), &went_on]() mutable {
      own.reset();
      went_on.store(true);
    });
    until([&] { return call.is_finished(); });
  }
  until([&] { return went_on.load() && alive.load() == 0; });
}

TEST_CASE("shutdown_timeout does not wait for longer, shutdown_background not at all") {
  std::atomic<bool> release{false};
  std::atomic<int> alive{0};
  const auto stuck = [&] { until([&] { return release.load(); }); };
  auto first = Builder::multi_thread().worker_threads(1).build();
  auto call = first.spawn_blocking(stuck);
  first.spawn(alive_for_ever(alive)).detach();
  auto second = Builder::multi_thread().worker_threads(1).build();
  auto other_call = second.spawn_blocking(stuck);
  second.spawn(alive_for_ever(alive)).detach();
  until([&] {
    return alive.load() == 2 &&
           first.metrics().blocking_queue_depth + second.metrics().blocking_queue_depth == 0;
  });

  first.shutdown_timeout(1ms);
  second.shutdown_background();
  CHECK_FALSE(call.is_finished());
  CHECK(first.spawn(answer()).is_finished());  // cancelled
  CHECK_THROWS_AS(first.block_on(answer()), std::logic_error);
  release.store(true);
  until([&] { return alive.load() == 0; });

  auto third = Builder::current_thread().build();
  third.spawn(answer()).detach();
  third.shutdown_timeout(24h);  // ends as soon as it is done
  CHECK(third.metrics().live_tasks == 0);
}

// --- exceptions nobody awaits

TEST_CASE("an exception nobody awaits ends its task only, unless the policy says otherwise") {
  for (const bool many : {true, false}) {
    auto runtime =
        (many ? Builder::multi_thread().worker_threads(1) : Builder::current_thread()).build();
    const auto body = []() -> Task<int> {
      spawn(fails()).detach();
      co_await time::sleep(2ms);
      co_return co_await answer();
    };
    CHECK(runtime.block_on(body()) == 42);
  }
}

TEST_CASE("ShutdownRuntime: block_on throws what nobody awaited, and all tasks end") {
  for (const bool many : {true, false}) {
    auto runtime = (many ? Builder::multi_thread().worker_threads(2) : Builder::current_thread())
                       .unhandled_exception(UnhandledException::ShutdownRuntime)
                       .build();
    std::atomic<int> alive{0};
    const auto awaited = []() -> Task<bool> {
      auto handle = spawn(fails());
      try {
        co_await handle;
      } catch (const std::runtime_error&) {
        co_return true;
      }
      co_return false;
    };
    CHECK(runtime.block_on(awaited()));  // somebody did
    const auto body = [](std::atomic<int>& count) -> Task<void> {
      spawn(alive_for_ever(count)).detach();
      while (count.load() == 0) co_await yield_now();
      spawn(fails()).detach();
      co_await for_ever();
    };
    CHECK_THROWS_WITH(runtime.block_on(body(alive)), Catch::Contains("nobody awaited: broken"));
    CHECK(alive.load() == 0);
    CHECK_THROWS_WITH(runtime.block_on(answer()), Catch::Contains("nobody awaited: broken"));
  }
}

TEST_CASE("ShutdownRuntime: a handle dropped after the failure is as good as none") {
  auto runtime = Builder::multi_thread()
                     .worker_threads(1)
                     .unhandled_exception(UnhandledException::ShutdownRuntime)
                     .build();
  const auto body = []() -> Task<void> {
    {
      auto handle = spawn(fails());
      while (!handle.is_finished()) co_await yield_now();
    }
    co_await for_ever();
  };
  try {
    runtime.block_on(body());
    FAIL("it returned");
  } catch (const std::runtime_error& error) {
    CHECK_THROWS_WITH(std::rethrow_if_nested(error), "broken");
  }
}

TEST_CASE("Terminate: an exception that nobody awaits ends the process, with a line that says so") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    ::dup2(ends[1], STDERR_FILENO);
    // No threads: the sanitizers allow none after a fork.
    auto runtime =
        Builder::current_thread().unhandled_exception(UnhandledException::Terminate).build();
    const auto body = []() -> Task<void> {
      spawn(fails()).detach();
      co_await for_ever();
    };
    runtime.block_on(body());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string said;
  char buffer[256];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK_THAT(said, Catch::Contains("nobody awaited: broken"));
}

// --- options

TEST_CASE("options out of their range are refused in words") {
  const auto refused = [](Builder builder, const std::string& option) {
    CHECK_THROWS_WITH(builder.build(), Catch::StartsWith(option));
    CHECK_THROWS_AS(builder.build(), std::invalid_argument);
  };
  refused(Builder::multi_thread().worker_threads(0), "worker_threads");
  refused(Builder::multi_thread().worker_threads(1025), "worker_threads");
  refused(Builder::multi_thread().max_blocking_threads(0), "max_blocking_threads");
  refused(Builder::multi_thread().thread_keep_alive(-1s), "thread_keep_alive");
  refused(Builder::multi_thread().thread_stack_size(1), "thread_stack_size");
  refused(Builder::multi_thread().event_interval(0), "event_interval");
  refused(Builder::multi_thread().global_queue_interval(0), "global_queue_interval");
  refused(Builder::multi_thread().max_io_events_per_tick(0), "max_io_events_per_tick");
  refused(Builder::multi_thread().start_paused(true), "start_paused");
  refused(Builder::multi_thread().shuffle_tasks(true), "shuffle_tasks");
}

TEST_CASE("threads have the stack and the name that were asked for") {
  // More than usual: a stack that was kept of a thread that ended may be too large.
  constexpr std::size_t kStack = 32u << 20;
  std::atomic<int> named{0};
  auto runtime = Builder::multi_thread()
                     .worker_threads(1)
                     .thread_stack_size(kStack)
                     .thread_name_fn([&] { return "mine-" + std::to_string(named++); })
                     .build();
  struct Facts {
    std::size_t stack = 0;
    std::string name;
  };
  const auto look = [] {
    Facts facts;
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &facts.stack);
    pthread_attr_destroy(&attributes);
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof name);
    facts.name = name;
    return facts;
  };
  const auto body = [](Facts (*call)()) -> Task<std::vector<Facts>> {
    const auto on_worker = [](Facts (*inner)()) -> Task<Facts> { co_return inner(); };
    auto worker = spawn(on_worker(call));
    auto blocking = spawn_blocking(call);
    std::vector<Facts> facts;
    facts.push_back(co_await worker);
    facts.push_back(co_await blocking);
    co_return facts;
  };
  const auto facts = runtime.block_on(body(+look));
  for (const auto& fact : facts) CHECK(fact.stack == kStack);
  CHECK(facts[0].name == "mine-0");
  CHECK(facts[1].name == "mine-1");
}

TEST_CASE("without the LIFO slot a woken task goes behind those that are queued") {
  const auto order_of = [](Builder builder) {
    auto runtime = builder.build();
    std::vector<int> order;
    const auto notes = [](std::vector<int>& into, int mark) -> Task<void> {
      into.push_back(mark);
      co_return;
    };
    const auto body = [](Task<void> one, Task<void> two) -> Task<void> {
      auto first = spawn(std::move(one));
      auto second = spawn(std::move(two));
      co_await first;
      co_await second;
    };
    runtime.block_on(body(notes(order, 1), notes(order, 2)));
    return order;
  };
  CHECK(order_of(Builder::current_thread()) == std::vector<int>{2, 1});
  CHECK(order_of(Builder::current_thread().disable_lifo_slot()) == std::vector<int>{1, 2});
}

TEST_CASE("the same seed gives select the same choices") {
  const auto choices = [](std::optional<std::uint64_t> seed) {
    auto builder = Builder::current_thread();
    if (seed) builder.rng_seed(*seed);
    auto runtime = builder.build();
    const auto body = []() -> Task<std::vector<std::size_t>> {
      std::vector<std::size_t> chosen;
      for (int i = 0; i < 64; ++i) {
        const auto won = co_await select(answer(), answer());
        chosen.push_back(won.index());
      }
      co_return chosen;
    };
    return runtime.block_on(body());
  };
  CHECK(choices(1) == choices(1));
  CHECK(choices(1) != choices(2));
}

TEST_CASE("shuffled tasks run in an order that the seed decides") {
  // More than a queue holds, some of them from outside, and the task of block_on.
  constexpr int kTasks = 300;
  const auto order_of = [](std::uint64_t seed) {
    auto runtime =
        Builder::current_thread().start_paused(true).rng_seed(seed).shuffle_tasks(true).build();
    std::vector<int> order;
    const auto notes = [](std::vector<int>& into, int mark) -> Task<void> {
      into.push_back(mark);
      co_await yield_now();
      into.push_back(mark);
      co_await time::sleep(1ms);
      into.push_back(mark);
    };
    std::vector<JoinHandle<void>> handles;
    for (int i = 1; i < kTasks / 2; ++i) handles.push_back(runtime.spawn(notes(order, i)));
    const auto body = [](std::vector<JoinHandle<void>>& tasks, auto make,
                         std::vector<int>& into) -> Task<void> {
      for (int i = kTasks / 2; i < kTasks; ++i) tasks.push_back(spawn(make(into, i)));
      for (int i = 0; i < 3; ++i) {
        co_await yield_now();
        into.push_back(0);
      }
      for (auto& task : tasks) co_await task;
    };
    runtime.block_on(body(handles, notes, order));
    return order;
  };
  const auto first = order_of(1);
  CHECK(order_of(1) == first);
  CHECK(order_of(2) != first);
  std::vector<int> times(kTasks);
  for (const int mark : first) ++times[static_cast<std::size_t>(mark)];
  CHECK(times == std::vector<int>(kTasks, 3));
}

TEST_CASE("idle threads of the pool end after thread_keep_alive") {
  auto runtime = Builder::current_thread().thread_keep_alive(0s).build();
  auto call = runtime.spawn_blocking([] {});
  until([&] { return call.is_finished(); });
  until([&] { return runtime.metrics().num_blocking_threads == 0; });
  CHECK(runtime.metrics().num_idle_blocking_threads == 0);
}
