#include "taskscope/runtime/metrics/runtime_metrics.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "taskscope/runtime/net/tcp_listener.h"
#include "taskscope/runtime/net/tcp_stream.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/scheduler/worker.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/tests/support/gate.h"

using namespace taskscope::runtime;
using taskscope::tests::Gate;
using namespace std::chrono_literals;

namespace {

/// Counts what has been done; a thread waits for it.
class Tally {
 public:
  void add() {
    done_.fetch_add(1);
    done_.notify_all();
  }
  void await(int count) {
    for (int now = done_.load(); now < count; now = done_.load()) done_.wait(now);
  }

 private:
  std::atomic<int> done_{0};
};

Task<void> passes(Gate& gate) {
  gate.pass();
  co_return;
}
Task<void> counts(Tally& tally) {
  tally.add();
  co_return;
}
Task<void> waits(sync::Notify& notify) { co_await notify.notified(); }
Task<void> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield_now();
}
Task<void> locks(int times) {
  sync::Mutex<int> mutex(0);
  for (int i = 0; i < times; ++i) {
    auto guard = co_await mutex.lock();
    ++*guard;
  }
}
Task<void> returns() { co_return; }

template <class T>
Task<T> joined(JoinHandle<T> handle) {
  co_return co_await std::move(handle);
}
/// Runs a task on a worker, and waits for it on this thread.
template <class T>
T on_worker(Runtime& runtime, Task<T> task) {
  return runtime.block_on(joined(runtime.spawn(std::move(task))));
}

void spin(std::chrono::nanoseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < until) {
  }
}
Task<void> spins_and_yields(int times, std::chrono::nanoseconds time) {
  for (int i = 0; i < times; ++i) {
    spin(time);
    co_await yield_now();
  }
  spin(time);
}

Runtime one_worker() { return Builder::multi_thread().worker_threads(1).build(); }

std::uint64_t sum(const HistogramCounts& histogram, std::size_t worker, std::size_t from = 0) {
  std::uint64_t sum = 0;
  for (std::size_t i = from; i < histogram.num_buckets(); ++i)
    sum += histogram.bucket_count(worker, i);
  return sum;
}
template <class Get>
std::uint64_t sum_workers(const RuntimeMetrics& metrics, Get get) {
  std::uint64_t sum = 0;
  for (const auto& worker : metrics.workers) sum += worker.*get;
  return sum;
}

/// Makes whoever sleeps in the driver look up, if the deadline is before all that there were.
Task<void> enters_and_drops_a_timer(std::chrono::seconds deadline) {
  const auto sleeps = [](std::chrono::seconds time) -> Task<void> { co_await time::sleep(time); };
  auto both = select_biased(sleeps(deadline), yields(1));
  const auto first = co_await std::move(both);
  static_cast<void>(first);
}

/// One byte through a connection, to a task that waits for it.
Task<void> exchanges() {
  auto bound = net::TcpListener::bind(net::SocketAddress::loopback(0));
  auto listener = std::move(*bound);
  const auto address = *listener.local_address();
  auto accepting = [](net::TcpListener& from) -> Task<net::TcpStream> {
    auto stream = co_await from.accept();
    co_return std::move(*stream);
  };
  auto both = co_await join(net::TcpStream::connect(address), accepting(listener));
  auto client = std::move(*std::get<0>(both));
  auto server = std::move(std::get<1>(both));
  auto reading = [](net::TcpStream& from) -> Task<void> {
    char byte = 0;
    const auto count = co_await from.read(std::span<char>(&byte, 1));
    static_cast<void>(count);
  };
  auto writing = [](net::TcpStream& to) -> Task<void> {
    const auto count = co_await to.write_all(std::string_view("x"));
    static_cast<void>(count);
  };
  // In this order: who reads finds nothing, and has to be told.
  const auto done = co_await join(reading(server), writing(client));
  static_cast<void>(done);
}

}  // namespace

TEST_CASE("metrics: polls, schedules and yields of one task are counted exactly") {
  auto runtime = one_worker();
  on_worker(runtime, yields(10));
  runtime.shutdown();
  const auto metrics = runtime.metrics();
  REQUIRE(metrics.num_workers() == 1);
  CHECK(metrics.workers[0].poll_count == 11);
  CHECK(metrics.remote_schedule_count == 1);
  CHECK(metrics.workers[0].local_schedule_count == 10);
  CHECK(metrics.budget_forced_yield_count == 0);
  CHECK(metrics.spawned_tasks_count == 1);
  CHECK(metrics.num_alive_tasks == 0);
  CHECK(metrics.spawned_tasks == 2);  // with block_on
  CHECK(metrics.finished_tasks == 2);
  CHECK(metrics.workers[0].thread_id > 0);
}

TEST_CASE("metrics: alive tasks are those that were spawned and are not over") {
  auto runtime = one_worker();
  sync::Notify notify;
  std::vector<JoinHandle<void>> waiting;
  for (int i = 0; i < 5; ++i) waiting.push_back(runtime.spawn(waits(notify)));
  Gate gate;
  auto call = runtime.spawn_blocking([&gate] { gate.pass(); });
  gate.await_inside(1);
  auto metrics = runtime.metrics();
  CHECK(metrics.num_alive_tasks == 5);
  CHECK(metrics.spawned_tasks_count == 5);
  CHECK(metrics.live_tasks == 6);
  CHECK(metrics.spawned_tasks == 6);
  gate.open();
  runtime.block_on(joined(std::move(call)));
  waiting.front().abort();
  runtime.block_on([](JoinHandle<void> handle) -> Task<void> {
    try {
      co_await std::move(handle);
    } catch (const Cancelled&) {
    }
  }(std::move(waiting.front())));
  metrics = runtime.metrics();
  CHECK(metrics.num_alive_tasks == 4);
  CHECK(metrics.spawned_tasks_count == 5);
  runtime.shutdown();
  metrics = runtime.metrics();
  CHECK(metrics.num_alive_tasks == 0);
  CHECK(metrics.live_tasks == 0);
}

TEST_CASE("metrics: the budget forces a yield before every 129th await, on workers and off them") {
  auto runtime = one_worker();
  on_worker(runtime, locks(1000));
  CHECK(runtime.metrics().budget_forced_yield_count == 7);
  CHECK(runtime.metrics().workers[0].budget_forced_yield_count == 7);
  CHECK(runtime.metrics().workers[0].poll_count == 8);
  runtime.block_on(locks(257));
  CHECK(runtime.metrics().budget_forced_yield_count == 9);
  on_worker(runtime, locks(128));
  CHECK(runtime.metrics().budget_forced_yield_count == 9);
}

TEST_CASE("metrics: a task that is aborted after its budget ran out was forced to yield once") {
  auto runtime = one_worker();
  const auto aborts = []() -> Task<void> {
    auto handle = spawn(locks(1000));
    co_await yield_now();  // it runs out, and is queued behind this one
    handle.abort();
    try {
      co_await std::move(handle);
    } catch (const Cancelled&) {
    }
  };
  on_worker(runtime, aborts());
  runtime.shutdown();
  CHECK(runtime.metrics().budget_forced_yield_count == 1);
}

TEST_CASE("metrics: a worker that spawns more than its queue holds counts each time it overflows") {
  auto runtime = one_worker();
  constexpr std::uint64_t kSpawned = 10'000;
  const auto spawn_all = [](Handle handle) -> Task<RuntimeMetrics> {
    for (std::uint64_t i = 0; i < kSpawned; ++i) spawn(returns()).detach();
    co_return handle.metrics();
  };
  const auto metrics = on_worker(runtime, spawn_all(runtime.handle()));
  // The last one is in the LIFO slot. The others went to the queue: when one finds it full, a batch
  // and that one move on, and as many fit again.
  constexpr std::uint64_t kCapacity = scheduler::Worker::kQueueCapacity;
  constexpr std::uint64_t kMoved = scheduler::Worker::kBatch + 1;
  constexpr std::uint64_t kOverflows = (kSpawned - 1 - (kCapacity + 1)) / kMoved + 1;
  CHECK(metrics.workers[0].overflow_count == kOverflows);
  CHECK(metrics.global_queue_depth == kOverflows * kMoved);
  CHECK(metrics.workers[0].local_queue_depth == kSpawned - kOverflows * kMoved);
  CHECK(metrics.workers[0].local_schedule_count == kSpawned);
  CHECK(metrics.num_alive_tasks == kSpawned + 1);
  CHECK(metrics.spawned_tasks_count == kSpawned + 1);
}

TEST_CASE("metrics: what a worker steals from one that is held up is counted") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  constexpr int kChildren = 8;
  Gate together, release_thief;
  Tally done;
  std::atomic<std::int32_t> victim_thread{0};
  auto thief = runtime.spawn([](Gate& in, Gate& until) -> Task<void> {
    in.pass();
    until.pass();
    co_return;
  }(together, release_thief));
  struct Before {
    std::uint64_t steals = 0, operations = 0;
  } before;
  auto victim = runtime.spawn([](Handle handle, Gate& in, Gate& thief_may, Tally& all, Before& then,
                                 std::atomic<std::int32_t>& thread) -> Task<void> {
    in.pass();
    // Both workers are held. The other one is let go when all children are queued here.
    for (int i = 0; i < kChildren; ++i) spawn(counts(all)).detach();
    const auto metrics = handle.metrics();
    then.steals = sum_workers(metrics, &WorkerMetrics::steal_count);
    then.operations = sum_workers(metrics, &WorkerMetrics::steal_operations);
    for (const auto& worker : metrics.workers)
      if (worker.local_queue_depth == kChildren) thread.store(worker.thread_id);
    thief_may.open();
    all.await(kChildren);
    co_return;
  }(runtime.handle(), together, release_thief, done, before, victim_thread));
  together.await_inside(2);
  together.open();
  runtime.block_on(joined(std::move(thief)));
  runtime.block_on(joined(std::move(victim)));
  runtime.shutdown();
  const auto metrics = runtime.metrics();
  // The one in the LIFO slot is rescued, which is no steal.
  CHECK(sum_workers(metrics, &WorkerMetrics::steal_count) - before.steals == kChildren - 1);
  const auto operations =
      sum_workers(metrics, &WorkerMetrics::steal_operations) - before.operations;
  CHECK(operations >= 1);
  CHECK(operations <= kChildren - 1);
  CHECK(victim_thread.load() != 0);
}

TEST_CASE(
    "metrics: sleeping again without a poll is a no-op, and what sleeps has parked once more") {
  auto runtime = one_worker();
  // It never polled, and so every sleep is one.
  const auto parks = [&] { return runtime.metrics().workers[0].park_count; };
  while (parks() == 0) std::this_thread::yield();
  const auto before = parks();
  for (auto deadline = 100'000s; parks() < before + 3 && deadline > 0s; deadline -= 1s)
    runtime.block_on(enters_and_drops_a_timer(deadline));
  CHECK(parks() >= before + 3);
  while (runtime.metrics().workers[0].park_unpark_count % 2 == 0) std::this_thread::yield();
  runtime.shutdown();
  const auto worker = runtime.metrics().workers[0];
  CHECK(worker.poll_count == 0);
  CHECK(worker.noop_count == worker.park_count);
  CHECK(worker.park_unpark_count == 2 * worker.park_count);
}

TEST_CASE("metrics: a sleep that follows a poll is no no-op") {
  auto runtime = one_worker();
  constexpr int kTimes = 20;
  for (int i = 0; i < kTimes; ++i) {
    const auto before = runtime.metrics().workers[0].park_count;
    on_worker(runtime, returns());
    while (runtime.metrics().workers[0].park_count == before) std::this_thread::yield();
  }
  runtime.shutdown();
  const auto worker = runtime.metrics().workers[0];
  CHECK(worker.poll_count == kTimes);
  // Two polls may share a sleep, never the other way round.
  CHECK(worker.park_count - worker.noop_count >= 1);
  CHECK(worker.park_count - worker.noop_count <= kTimes);
  CHECK(worker.park_unpark_count == 2 * worker.park_count);
}

TEST_CASE("metrics: busy time and the mean poll time are at least what the polls took") {
  for (const std::uint32_t interval : {2u, 61u}) {
    auto runtime = Builder::multi_thread().worker_threads(1).event_interval(interval).build();
    on_worker(runtime, spins_and_yields(10, 200us));
    runtime.shutdown();
    const auto worker = runtime.metrics().workers[0];
    CHECK(worker.poll_count == 11);
    CHECK(worker.total_busy_duration >= 11 * 200us);
    CHECK(worker.mean_poll_time >= 200us);
    CHECK(worker.mean_poll_time <= worker.total_busy_duration);
    // Nobody works any more.
    CHECK(runtime.metrics().workers[0].total_busy_duration == worker.total_busy_duration);
  }
}

TEST_CASE("metrics: the mean poll time of short polls is known while the worker never sleeps") {
  auto runtime = one_worker();
  const auto yields_and_looks = [](Handle handle) -> Task<std::chrono::nanoseconds> {
    // More than as many batches as may go by untimed.
    for (int i = 0; i < 61 * 40; ++i) co_await yield_now();
    co_return handle.metrics().workers[0].mean_poll_time;
  };
  CHECK(on_worker(runtime, yields_and_looks(runtime.handle())) > 0ns);
}

TEST_CASE("metrics: blocking threads are busy or idle, and calls without one are queued") {
  auto runtime = Builder::multi_thread().worker_threads(1).max_blocking_threads(1).build();
  Gate gate;
  std::vector<JoinHandle<void>> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(runtime.spawn_blocking([&gate] { gate.pass(); }));
  gate.await_inside(1);
  const auto held = runtime.metrics();
  CHECK(held.num_blocking_threads == 1);
  CHECK(held.num_idle_blocking_threads == 0);
  CHECK(held.blocking_queue_depth == 2);
  CHECK(held.num_alive_tasks == 0);
  gate.open();
  for (auto& call : calls) runtime.block_on(joined(std::move(call)));
  while (runtime.metrics().num_idle_blocking_threads == 0) std::this_thread::yield();
  const auto idle = runtime.metrics();
  CHECK(idle.num_blocking_threads == 1);
  CHECK(idle.blocking_queue_depth == 0);
}

TEST_CASE("metrics: descriptors come and go with the driver, and events make some ready") {
  auto runtime = one_worker();
  on_worker(runtime, exchanges());
  const auto metrics = runtime.metrics();
  CHECK(metrics.io_driver_fd_registered_count == 3);
  CHECK(metrics.io_driver_fd_deregistered_count == 3);
  CHECK(metrics.io_driver_ready_count >= 1);
}

TEST_CASE("metrics: histograms are off by default") {
  auto runtime = one_worker();
  on_worker(runtime, yields(3));
  const auto metrics = runtime.metrics();
  CHECK_FALSE(metrics.poll_time_histogram.enabled());
  CHECK_FALSE(metrics.schedule_latency_histogram.enabled());
  CHECK_FALSE(metrics.poll_count_histogram.enabled());
  CHECK(metrics.poll_time_histogram.num_buckets() == 0);
}

TEST_CASE("metrics: each poll is in the poll time histogram, in the bucket of its time") {
  auto runtime =
      Builder::multi_thread()
          .worker_threads(1)
          .metrics_poll_time_histogram_configuration(HistogramConfiguration::linear(100us, 5))
          .build();
  on_worker(runtime, spins_and_yields(10, 250us));
  runtime.shutdown();
  const auto metrics = runtime.metrics();
  const auto& histogram = metrics.poll_time_histogram;
  REQUIRE(histogram.enabled());
  CHECK(histogram.num_buckets() == 5);
  CHECK(histogram.bucket_range(1) == BucketRange{100'000, 200'000});
  CHECK(sum(histogram, 0) == 11);
  CHECK(sum(histogram, 0, 2) == 11);  // at least 200 us
  CHECK_FALSE(metrics.schedule_latency_histogram.enabled());
  CHECK_FALSE(metrics.poll_count_histogram.enabled());
}

TEST_CASE("metrics: schedule latency is from spawn, wake or yield to the poll") {
  auto runtime = Builder::multi_thread()
                     .worker_threads(1)
                     .metrics_schedule_latency_histogram_configuration(
                         HistogramConfiguration::linear(100us, 5))
                     .build();
  sync::Notify notify;
  Gate gate;
  auto waiting = runtime.spawn(waits(notify));
  while (runtime.metrics().workers[0].poll_count == 0) std::this_thread::yield();
  const auto latencies = [&](std::size_t from) {
    return sum(runtime.metrics().schedule_latency_histogram, 0, from);
  };
  auto holder = runtime.spawn(passes(gate));
  gate.await_inside(1);
  const auto before = latencies(2);
  CHECK(latencies(0) == 2);
  SECTION("of tasks that another thread spawned or woke") {
    auto spawned = runtime.spawn(returns());
    notify.notify_one();
    spin(250us);
    gate.open();
    runtime.block_on(joined(std::move(spawned)));
    runtime.block_on(joined(std::move(waiting)));
    runtime.block_on(joined(std::move(holder)));
    runtime.shutdown();
    CHECK(latencies(0) == 4);
    CHECK(latencies(2) == before + 2);
  }
  SECTION("of tasks that a task spawned, and of one that yields to them") {
    gate.open();
    const auto spawns = []() -> Task<void> {
      auto child = spawn([]() -> Task<void> {
        spin(250us);
        co_return;
      }());
      spin(250us);
      co_await yield_now();  // behind the child
      co_await std::move(child);
    };
    runtime.block_on(joined(std::move(holder)));
    on_worker(runtime, spawns());
    runtime.shutdown();
    CHECK(latencies(0) == 5);
    CHECK(latencies(2) >= before + 2);
    CHECK(latencies(2) <= before + 3);  // not known of the first poll
  }
}

TEST_CASE("metrics: a task's polls are counted as it ends, in the bucket of their number") {
  auto runtime =
      Builder::multi_thread()
          .worker_threads(1)
          .metrics_poll_count_histogram_configuration(HistogramConfiguration::linear(1, 5))
          .build();
  for (int times = 0; times < 6; ++times) on_worker(runtime, yields(times));
  runtime.shutdown();
  const auto metrics = runtime.metrics();
  const auto& histogram = metrics.poll_count_histogram;
  const std::vector<std::uint64_t> expected{0, 1, 1, 1, 3};
  for (std::size_t i = 0; i < expected.size(); ++i)
    CHECK(histogram.bucket_count(0, i) == expected[i]);
}

TEST_CASE("metrics: histograms of several workers hold every poll and every task") {
  auto runtime = Builder::multi_thread()
                     .worker_threads(3)
                     .metrics_poll_time_histogram_configuration(HistogramConfiguration::log())
                     .enable_metrics_schedule_latency_histogram()
                     .enable_metrics_poll_count_histogram()
                     .build();
  const auto churn = []() -> Task<void> {
    std::vector<JoinHandle<void>> handles;
    for (int i = 0; i < 2000; ++i) handles.push_back(spawn(yields(i % 10)));
    for (auto& handle : handles) co_await std::move(handle);
  };
  on_worker(runtime, churn());
  runtime.shutdown();
  const auto metrics = runtime.metrics();
  std::uint64_t ended = 0, one_poll = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(sum(metrics.poll_time_histogram, i) == metrics.workers[i].poll_count);
    CHECK(sum(metrics.schedule_latency_histogram, i) == metrics.workers[i].poll_count);
    ended += sum(metrics.poll_count_histogram, i);
    one_poll += metrics.poll_count_histogram.bucket_count(i, 1);
  }
  CHECK(ended == 2001);
  CHECK(one_poll == 200);
}

TEST_CASE("metrics: each of tokio's has its name here, and moves") {
  // Nothing to begin with; all of them begin at 0.
  struct Metric {
    const char* name;
    std::uint64_t (*get)(const RuntimeMetrics&);
    bool moved = false;
  };
#define OF_RUNTIME(name) {#name, [](const RuntimeMetrics& m) -> std::uint64_t { return m.name; }}
#define OF_WORKERS(name)                                             \
  {"worker_" #name, [](const RuntimeMetrics& m) -> std::uint64_t {   \
     std::uint64_t sum = 0;                                          \
     for (const auto& worker : m.workers) sum += value(worker.name); \
     return sum;                                                     \
   }}
#define OF_HISTOGRAM(name)                                                                       \
  {#name "_enabled", [](const RuntimeMetrics& m) -> std::uint64_t { return m.name.enabled(); }}, \
      {#name "_num_buckets",                                                                     \
       [](const RuntimeMetrics& m) -> std::uint64_t { return m.name.num_buckets(); }},           \
      {#name "_bucket_range",                                                                    \
       [](const RuntimeMetrics& m) -> std::uint64_t { return m.name.bucket_range(1).start; }},   \
  {                                                                                              \
    #name "_bucket_count", [](const RuntimeMetrics& m) -> std::uint64_t {                        \
      std::uint64_t all = 0;                                                                     \
      for (std::size_t i = 0; i < m.num_workers(); ++i) all += sum(m.name, i);                   \
      return all;                                                                                \
    }                                                                                            \
  }
  struct {
    std::uint64_t operator()(std::chrono::nanoseconds time) const {
      return static_cast<std::uint64_t>(time.count());
    }
    std::uint64_t operator()(std::uint64_t count) const { return count; }
    std::uint64_t operator()(std::int32_t id) const { return static_cast<std::uint64_t>(id); }
    std::uint64_t operator()(std::uint32_t count) const { return count; }
  } static constexpr value;
  std::vector<Metric> all{
      OF_RUNTIME(num_workers()),
      OF_RUNTIME(num_alive_tasks),
      OF_RUNTIME(spawned_tasks_count),
      OF_RUNTIME(global_queue_depth),
      OF_RUNTIME(num_blocking_threads),
      OF_RUNTIME(num_idle_blocking_threads),
      OF_RUNTIME(blocking_queue_depth),
      OF_RUNTIME(remote_schedule_count),
      OF_RUNTIME(budget_forced_yield_count),
      OF_RUNTIME(io_driver_fd_registered_count),
      OF_RUNTIME(io_driver_fd_deregistered_count),
      OF_RUNTIME(io_driver_ready_count),
      OF_WORKERS(thread_id),
      OF_WORKERS(park_count),
      OF_WORKERS(park_unpark_count),
      OF_WORKERS(noop_count),
      OF_WORKERS(steal_count),
      OF_WORKERS(steal_operations),
      OF_WORKERS(poll_count),
      OF_WORKERS(mean_poll_time),
      OF_WORKERS(total_busy_duration),
      OF_WORKERS(local_schedule_count),
      OF_WORKERS(overflow_count),
      OF_WORKERS(local_queue_depth),
      OF_HISTOGRAM(poll_time_histogram),
      OF_HISTOGRAM(schedule_latency_histogram),
      OF_HISTOGRAM(poll_count_histogram),
  };
#undef OF_RUNTIME
#undef OF_WORKERS
#undef OF_HISTOGRAM

  auto runtime = Builder::multi_thread()
                     .worker_threads(2)
                     .max_blocking_threads(1)
                     .enable_metrics_poll_time_histogram()
                     .enable_metrics_schedule_latency_histogram()
                     .enable_metrics_poll_count_histogram()
                     .build();
  const auto look = [&] {
    const auto metrics = runtime.metrics();
    for (auto& metric : all) metric.moved = metric.moved || metric.get(metrics) != 0;
  };
  // Both fall asleep before there is anything to do.
  for (std::size_t i = 0; i < 2; ++i)
    while (runtime.metrics().workers[i].noop_count == 0) std::this_thread::yield();

  // Both workers are held, one of them with more children than its queue holds; then the other
  // one steals.
  constexpr int kChildren = 2 * scheduler::Worker::kQueueCapacity;
  Gate together, release_thief;
  Tally spawned, done;
  auto thief = runtime.spawn([](Gate& in, Gate& until) -> Task<void> {
    in.pass();
    until.pass();
    co_return;
  }(together, release_thief));
  auto victim = runtime.spawn([](Gate& in, Tally& ready, Tally& children) -> Task<void> {
    in.pass();
    for (int i = 0; i < kChildren; ++i) spawn(counts(children)).detach();
    ready.add();
    children.await(kChildren);
    co_return;
  }(together, spawned, done));
  together.await_inside(2);
  together.open();
  spawned.await(1);
  look();
  release_thief.open();
  runtime.block_on(joined(std::move(thief)));
  runtime.block_on(joined(std::move(victim)));

  on_worker(runtime, locks(129));
  on_worker(runtime, exchanges());
  Gate gate;
  auto call = runtime.spawn_blocking([&gate] { gate.pass(); });
  auto queued = runtime.spawn_blocking([] {});
  gate.await_inside(1);
  look();
  gate.open();
  runtime.block_on(joined(std::move(call)));
  runtime.block_on(joined(std::move(queued)));
  while (runtime.metrics().num_idle_blocking_threads == 0) std::this_thread::yield();
  look();
  runtime.shutdown();
  look();
  for (const auto& metric : all) {
    INFO(metric.name);
    CHECK(metric.moved);
  }
}
