/// Builder, Runtime and Handle: where tasks run.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "taskscope/runtime/metrics/runtime_metrics.h"
#include "taskscope/runtime/observe/inspector.h"
#include "taskscope/runtime/scheduler/config.h"
#include "taskscope/runtime/scheduler/context.h"
#include "taskscope/runtime/spawn.h"

namespace taskscope::runtime {

/// Makes a runtime the current one of this thread, for spawn, sockets and timers outside of its
/// tasks. Guards end in the reverse order of their beginning, on their thread: none is kept across
/// an await.
/// Source   tokio::runtime::EnterGuard
class [[nodiscard]] EnterGuard {
 public:
  explicit EnterGuard(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept;
  EnterGuard(const EnterGuard&) = delete;
  EnterGuard& operator=(const EnterGuard&) = delete;

 private:
  const std::shared_ptr<scheduler::Scheduler> scheduler_;
  const scheduler::ContextScope scope_;
};

/// A reference to a runtime, for spawning onto it from any thread. Keeps the runtime's memory, not
/// its workers: what is spawned after shutdown is cancelled at once.
class Handle {
 public:
  explicit Handle(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept;

  /// Of the runtime that the calling thread is inside of, or has entered.
  /// Errors   std::logic_error when there is none. Source: tokio::runtime::Handle::current
  [[nodiscard]] static Handle current();
  [[nodiscard]] static std::optional<Handle> try_current() noexcept;
  [[nodiscard]] EnterGuard enter() const noexcept { return EnterGuard(scheduler_); }

  /// As Runtime::block_on. Also from threads of the blocking pool; while the clock is paused
  /// nothing that is awaited there makes it jump.
  template <class T>
  T block_on(Task<T> task, observe::Site site = observe::Site::current()) const {
    const auto runtime = scheduler_;  // this Handle may go meanwhile
    return task::block_on(*runtime, std::move(task), {.site = site});
  }
  template <class T>
  JoinHandle<T> spawn(Task<T> task, observe::Site site = observe::Site::current()) const {
    return task::spawn_on(*scheduler_, std::move(task), {.site = site});
  }
  template <class F>
  auto spawn_blocking(F call, observe::Site site = observe::Site::current()) const {
    return task::spawn_blocking_on(*scheduler_, std::move(call), {.site = site});
  }
  [[nodiscard]] RuntimeMetrics metrics() const;

 private:
  std::shared_ptr<scheduler::Scheduler> scheduler_;
};

/// Runs tasks. Its destructor stops the workers, cancels every block_on, waits for blocking calls
/// that run, and destroys every task that still lives. On a thread that belongs to the runtime, in
/// one of its tasks for one, where waiting would be for ever, it does so in the background.
class Runtime {
 public:
  /// The multi-thread runtime, with a worker a processor. Throws std::system_error when threads or
  /// descriptors can't be had.
  Runtime();
  Runtime(Runtime&&) noexcept = default;
  Runtime& operator=(Runtime&&) = delete;
  ~Runtime();

  /// Runs a task on the calling thread, as task of kind block_on, until it ends. A current_thread
  /// runtime runs its other tasks, timers and I/O on this thread meanwhile; when several threads
  /// are in block_on one of them does, and another one goes on when that leaves.
  ///
  /// Shape    gives the task's result.
  /// Errors   rethrows what the task threw. Cancelled when the runtime is shut down meanwhile;
  ///          std::runtime_error when that is due to an exception that nobody awaited, see
  ///          UnhandledException. std::logic_error when called where it would hold up a runtime, in
  ///          a task or a hook of a worker: await instead.
  /// Source   tokio::runtime::Runtime::block_on
  template <class T>
  T block_on(Task<T> task, observe::Site site = observe::Site::current()) {
    const auto runtime = scheduler_;  // the task may destroy this Runtime
    return task::block_on(*runtime, std::move(task), {.site = site});
  }
  template <class T>
  JoinHandle<T> spawn(Task<T> task, observe::Site site = observe::Site::current()) {
    return task::spawn_on(*scheduler_, std::move(task), {.site = site});
  }
  template <class F>
  auto spawn_blocking(F call, observe::Site site = observe::Site::current()) {
    return task::spawn_blocking_on(*scheduler_, std::move(call), {.site = site});
  }
  [[nodiscard]] Handle handle() const noexcept { return Handle(scheduler_); }
  [[nodiscard]] EnterGuard enter() const noexcept { return EnterGuard(scheduler_); }
  [[nodiscard]] RuntimeMetrics metrics() const { return handle().metrics(); }
  [[nodiscard]] observe::Inspector& inspector() noexcept;
  /// What the destructor does, now. Idempotent.
  void shutdown();
  /// Begins to shut down, and waits until that is done, but no longer than `wait`. What is not done
  /// then goes on by itself: calls that block too long, above all.
  /// Source   tokio::runtime::Runtime::shutdown_timeout
  void shutdown_timeout(std::chrono::nanoseconds wait);
  /// Begins to shut down, and does not wait. Tasks are destroyed on a thread made for that.
  /// Source   tokio::runtime::Runtime::shutdown_background
  void shutdown_background();

 private:
  friend class Builder;
  explicit Runtime(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept;
  std::shared_ptr<scheduler::Scheduler> scheduler_;
};

/// How a Runtime is to be. Hooks are called on the threads in question, several at once maybe, and
/// must not throw. Source: tokio::runtime::Builder.
class Builder {
 public:
  /// Workers on threads of their own.
  [[nodiscard]] static Builder multi_thread() { return Builder(false); }
  /// No threads but those of the blocking pool: tasks, timers and I/O run in block_on, on the
  /// thread that calls it. What is spawned outside waits for the next block_on.
  [[nodiscard]] static Builder current_thread() { return Builder(true); }

  /// Default: the processors this process may use. 1 to 1,024. A current_thread runtime has one,
  /// whatever is set here.
  Builder& worker_threads(std::uint32_t count) noexcept {
    config_.workers = count;
    has_workers_ = true;
    return *this;
  }
  /// For spawn_blocking; more calls queue. Default 512, at least 1. What takes over a worker during
  /// block_in_place comes on top.
  Builder& max_blocking_threads(std::uint32_t count) noexcept {
    config_.max_blocking_threads = count;
    return *this;
  }
  /// How long a thread of the blocking pool lives idle. Default 10 s; not negative.
  Builder& thread_keep_alive(std::chrono::nanoseconds keep_alive) noexcept {
    config_.thread_keep_alive = keep_alive;
    return *this;
  }
  /// Of workers and of the blocking pool. Default: the system's; at least its PTHREAD_STACK_MIN.
  Builder& thread_stack_size(std::size_t bytes) noexcept {
    config_.thread_stack_bytes = bytes;
    return *this;
  }
  /// Workers are called NAME-0, NAME-1, ..., threads of the blocking pool NAME-b; the kernel keeps
  /// 15 bytes.
  Builder& thread_name(std::string name) {
    config_.thread_name = std::move(name);
    return *this;
  }
  /// Called for each thread's name, in the place of thread_name.
  Builder& thread_name_fn(std::function<std::string()> name) {
    config_.thread_name_fn = std::move(name);
    return *this;
  }
  /// Called on each worker and each thread of the blocking pool, as the first and the last thing
  /// there. Not for threads in block_on.
  Builder& on_thread_start(std::function<void()> hook) {
    config_.on_thread_start = std::move(hook);
    return *this;
  }
  Builder& on_thread_stop(std::function<void()> hook) {
    config_.on_thread_stop = std::move(hook);
    return *this;
  }
  /// Called on a worker before it goes to sleep, and after. What the first one spawns is run before
  /// it sleeps. In a current_thread runtime on the thread in block_on that runs it.
  Builder& on_thread_park(std::function<void()> hook) {
    config_.on_thread_park = std::move(hook);
    return *this;
  }
  Builder& on_thread_unpark(std::function<void()> hook) {
    config_.on_thread_unpark = std::move(hook);
    return *this;
  }
  /// Polls between two looks at I/O and timers. Default 61, at least 1.
  Builder& event_interval(std::uint32_t polls) noexcept {
    config_.event_interval = polls;
    return *this;
  }
  /// Polls between two looks at what came from outside, while the worker has tasks of its own.
  /// Default: as event_interval; 31 in a current_thread runtime. At least 1.
  Builder& global_queue_interval(std::uint32_t polls) noexcept {
    config_.global_queue_interval = polls;
    has_global_queue_interval_ = true;
    return *this;
  }
  /// Readiness events taken from the system in one go. Default 1,024; 1 to 1,048,576.
  Builder& max_io_events_per_tick(std::uint32_t events) noexcept {
    config_.max_io_events = events;
    return *this;
  }
  /// A woken task goes behind those that are queued, rather than next; other workers may take it.
  Builder& disable_lifo_slot() noexcept {
    config_.disable_lifo_slot = true;
    return *this;
  }
  /// For tests: the clock of a current_thread runtime begins paused; see time::pause.
  Builder& start_paused(bool paused) noexcept {
    config_.start_paused = paused;
    return *this;
  }
  /// For tests: what is left to chance, the order of select's arms and whom a worker steals from
  /// first, is the same in every run as far as one thread goes.
  Builder& rng_seed(std::uint64_t seed) noexcept {
    config_.rng_seed = seed;
    return *this;
  }
  /// For tests, of a current_thread runtime: the next task to be polled is any of those that could
  /// run, the one of block_on among them, rather than the one whose turn it is. With start_paused
  /// and rng_seed a seed is an interleaving, whenever it runs, as far as one thread goes: only at
  /// its awaits does a task give way. The clock begins at a round time then, minutes ahead.
  Builder& shuffle_tasks(bool shuffle) noexcept {
    config_.shuffle_tasks = shuffle;
    return *this;
  }
  /// Default: Ignore.
  Builder& unhandled_exception(UnhandledException policy) noexcept {
    config_.unhandled = policy;
    return *this;
  }
  // Histograms, one a worker, in RuntimeMetrics; off by default. Times cost two clock reads a poll.
  /// How long polls take, in 10 buckets of 100 us.
  Builder& enable_metrics_poll_time_histogram() {
    return metrics_poll_time_histogram_configuration(metrics::HistogramOptions::default_times());
  }
  Builder& metrics_poll_time_histogram_configuration(HistogramConfiguration buckets) {
    histograms_.poll_time = std::move(buckets);
    return *this;
  }
  /// How long tasks were queued, from being spawned, woken or yielding to the poll; likewise.
  Builder& enable_metrics_schedule_latency_histogram() {
    return metrics_schedule_latency_histogram_configuration(
        metrics::HistogramOptions::default_times());
  }
  Builder& metrics_schedule_latency_histogram_configuration(HistogramConfiguration buckets) {
    histograms_.schedule_latency = std::move(buckets);
    return *this;
  }
  /// How many polls tasks took, recorded as they end. Exact up to 7, then within 25 %.
  Builder& enable_metrics_poll_count_histogram() {
    return metrics_poll_count_histogram_configuration(metrics::HistogramOptions::default_polls());
  }
  Builder& metrics_poll_count_histogram_configuration(HistogramConfiguration buckets) {
    histograms_.poll_count = std::move(buckets);
    return *this;
  }
  /// Errors   std::invalid_argument, which names the option, for one out of its range or
  ///          start_paused or shuffle_tasks with multi_thread, or a histogram that makes no sense;
  ///          std::system_error when the system has no threads or descriptors to give.
  [[nodiscard]] Runtime build() const;

 private:
  explicit Builder(bool current_thread) { config_.current_thread = current_thread; }

  scheduler::Config config_;
  metrics::HistogramOptions histograms_;
  bool has_workers_ = false;  ///< and likewise: was set
  bool has_global_queue_interval_ = false;
};

}  // namespace taskscope::runtime
