#include "taskscope/runtime/metrics/runtime_metrics.h"

#include <iterator>

#include "taskscope/runtime/scheduler/scheduler.h"

namespace taskscope::runtime::scheduler {

namespace {

WorkerMetrics metrics_of(const observe::WorkerView& view) {
  using std::chrono::nanoseconds;
  const auto& counters = view.counters;
  WorkerMetrics worker;
  worker.thread_id = view.tid;
  worker.park_count = counters.parks;
  worker.park_unpark_count = counters.park_unparks;
  worker.noop_count = counters.noops;
  worker.steal_count = counters.steals;
  worker.steal_operations = counters.steal_operations;
  worker.poll_count = counters.polls;
  worker.mean_poll_time = nanoseconds(counters.mean_poll_ns);
  worker.total_busy_duration = nanoseconds(counters.busy_ns);
  worker.local_schedule_count = counters.local_schedules;
  worker.overflow_count = counters.overflows;
  worker.local_queue_depth = view.queue_depth;
  worker.id = view.worker;
  worker.budget_forced_yield_count = counters.budget_yields;
  worker.timers_fired = counters.timers_fired;
  worker.timers_late = counters.timers_late;
  worker.late_max = nanoseconds(view.late_max_ns);
  std::copy(std::begin(view.wheel), std::end(view.wheel), worker.wheel.begin());
  return worker;
}

}  // namespace

RuntimeMetrics Scheduler::metrics() {
  RuntimeMetrics metrics;
  const auto view = runtime();
  metrics.live_tasks = view.live_tasks;
  metrics.spawned_tasks = view.spawned_tasks;
  metrics.finished_tasks = count_finished();
  metrics.polls = count_polls();
  metrics.wakes = count_wakes();
  // Relaxed: counts, which publish nothing.
  const auto calls = calls_spawned_.load(std::memory_order_relaxed);
  const auto calls_over = calls_finished_.load(std::memory_order_relaxed);
  const auto not_below_0 = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; };
  metrics.spawned_tasks_count = not_below_0(metrics.spawned_tasks, calls);
  metrics.num_alive_tasks = not_below_0(metrics.live_tasks, not_below_0(calls, calls_over));
  metrics.global_queue_depth = view.injection_depth;
  metrics.num_blocking_threads = view.blocking_threads;
  metrics.num_idle_blocking_threads = view.blocking_idle;
  metrics.blocking_queue_depth = view.blocking_queue;
  metrics.remote_schedule_count = view.remote_schedules;
  metrics.io_driver_fd_registered_count = driver_.registered();
  metrics.io_driver_fd_deregistered_count = driver_.deregistered();
  metrics.io_driver_ready_count = view.io_readiness;
  metrics.budget_forced_yield_count = foreign_budget_yields_.load(std::memory_order_relaxed);

  std::vector<std::vector<std::uint64_t>> poll_times, latencies, poll_counts;
  for (const auto& worker : workers_) {
    metrics.workers.push_back(metrics_of(worker->view()));
    metrics.budget_forced_yield_count += metrics.workers.back().budget_forced_yield_count;
    if (const metrics::Meters* const meters = worker->meters()) {
      if (meters->poll_time) poll_times.push_back(meters->poll_time->counts());
      if (meters->schedule_latency) latencies.push_back(meters->schedule_latency->counts());
      if (meters->poll_count) poll_counts.push_back(meters->poll_count->counts());
    }
  }
  const auto& scales = config_.histograms;
  metrics.poll_time_histogram = {scales.poll_time, std::move(poll_times)};
  metrics.schedule_latency_histogram = {scales.schedule_latency, std::move(latencies)};
  metrics.poll_count_histogram = {scales.poll_count, std::move(poll_counts)};
  return metrics;
}

}  // namespace taskscope::runtime::scheduler
