/// Builder, Runtime and Handle: where tasks run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "taskscope/runtime/metrics/runtime_metrics.h"
#include "taskscope/runtime/observe/inspector.h"
#include "taskscope/runtime/spawn.h"

namespace taskscope::runtime {

/// A reference to a runtime, for spawning onto it from any thread. Keeps the runtime's memory, not
/// its workers: what is spawned after shutdown is cancelled at once.
class Handle {
 public:
  explicit Handle(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept;

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

/// A multi-thread runtime. Its destructor stops the workers, waits for blocking calls that run, and
/// destroys every task that still lives.
class Runtime {
 public:
  /// With a worker a processor. Throws std::system_error when threads or descriptors can't be had.
  Runtime();
  Runtime(Runtime&&) noexcept = default;
  Runtime& operator=(Runtime&&) = delete;
  ~Runtime();

  /// Runs a task on the calling thread, as task of kind block_on, and others on the workers, until
  /// it ends.
  ///
  /// Shape    gives the task's result.
  /// Errors   rethrows what the task threw. std::logic_error when called inside a runtime: await
  /// instead.
  template <class T>
  T block_on(Task<T> task, observe::Site site = observe::Site::current()) {
    return task::block_on(*scheduler_, std::move(task), {.site = site});
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
  [[nodiscard]] RuntimeMetrics metrics() const { return handle().metrics(); }
  [[nodiscard]] observe::Inspector& inspector() noexcept;
  /// What the destructor does, now. Idempotent.
  void shutdown();

 private:
  friend class Builder;
  explicit Runtime(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept;
  std::shared_ptr<scheduler::Scheduler> scheduler_;
};

/// How a Runtime is to be. Source: tokio::runtime::Builder.
class Builder {
 public:
  [[nodiscard]] static Builder multi_thread() { return {}; }
  /// Default: the processors this process may use. At least 1; more than 1,024 is refused by
  /// build().
  Builder& worker_threads(std::uint32_t count) noexcept {
    workers_ = count;
    return *this;
  }
  Builder& max_blocking_threads(std::uint32_t count) noexcept {
    max_blocking_ = count;
    return *this;
  }
  /// Threads are called NAME-0, NAME-1, ...; the kernel keeps 15 bytes.
  Builder& thread_name(std::string name) {
    thread_name_ = std::move(name);
    return *this;
  }
  /// Polls between two looks at the driver, the wheels and the injection queue.
  Builder& event_interval(std::uint32_t polls) noexcept {
    event_interval_ = polls;
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
  /// Errors   std::invalid_argument for a count of zero or a histogram that makes no sense;
  /// std::system_error when the system has none
  /// to give.
  [[nodiscard]] Runtime build() const;

 private:
  std::uint32_t workers_ = 0;
  std::uint32_t max_blocking_ = 512;
  std::string thread_name_ = "taskscope";
  std::uint32_t event_interval_ = 61;
  metrics::HistogramOptions histograms_;
};

}  // namespace taskscope::runtime
