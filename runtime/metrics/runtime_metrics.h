/// A snapshot of what a runtime counted.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "taskscope/runtime/metrics/histogram.h"
#include "taskscope/runtime/observe/facts.h"

namespace taskscope::runtime {

/// What one worker counted. tokio's `worker_NAME(i)` is `workers[i].NAME`.
struct WorkerMetrics {
  std::int32_t thread_id = 0;           ///< of the kernel; 0: not started
  std::uint64_t park_count = 0;         ///< how often its thread went to sleep
  std::uint64_t park_unpark_count = 0;  ///< and woke: odd while it sleeps
  /// How often it went to sleep without a poll since it did before; the first time counts when
  /// there was none at all.
  std::uint64_t noop_count = 0;
  std::uint64_t steal_count = 0;  ///< tasks it took from other workers' queues
  std::uint64_t steal_operations = 0;
  std::uint64_t poll_count = 0;
  /// Exponentially weighted, 0.1 a poll; 0 before the first. Known a batch at a time: from one look
  /// at the driver, or sleep, to the next. Of busy stretches of very short polls it is a sample.
  std::chrono::nanoseconds mean_poll_time{0};
  /// Not asleep: polling, and looking for work, timers and I/O.
  std::chrono::nanoseconds total_busy_duration{0};
  std::uint64_t local_schedule_count = 0;  ///< spawned, woken or yielding on this worker
  std::uint64_t overflow_count = 0;        ///< how often a part of its full queue was moved
  std::uint32_t local_queue_depth = 0;     ///< with the LIFO slot

  // --- not tokio's
  observe::WorkerId id = observe::WorkerId::None;
  std::uint64_t budget_forced_yield_count = 0;
  std::uint64_t timers_fired = 0;  ///< of its wheel, whoever fired them
  std::uint64_t timers_late = 0;  ///< of these, a whole tick or more after the one they were due in
  std::chrono::nanoseconds late_max{0};
  std::array<std::uint32_t, observe::kWheelLevels> wheel{};  ///< timers on each level
};

/// Counts since the runtime started, kept always. Read while workers run, so what belongs together
/// may be a moment apart; exact once the runtime is shut down.
///
/// Names are tokio's: a method NAME there is a field or method NAME here, except that
///
///     worker_NAME(i)                      is  workers[i].NAME
///     HISTOGRAM_enabled(), _num_buckets(), _bucket_range(b), _bucket_count(worker, b)
///                                         are HISTOGRAM.enabled(), .num_buckets(), ...
///
/// with poll_time_histogram and schedule_latency_histogram. poll_count_histogram is ours; in tokio
/// it is an old name of poll_time_histogram.
/// Source   tokio::runtime::RuntimeMetrics.
struct RuntimeMetrics {
  [[nodiscard]] std::size_t num_workers() const noexcept { return workers.size(); }
  std::uint64_t num_alive_tasks = 0;      ///< spawned and not over
  std::uint64_t spawned_tasks_count = 0;  ///< neither blocking calls nor block_on
  std::uint64_t global_queue_depth = 0;
  std::uint64_t num_blocking_threads = 0, num_idle_blocking_threads = 0;
  std::uint64_t blocking_queue_depth = 0;       ///< calls that no thread has taken
  std::uint64_t remote_schedule_count = 0;      ///< spawned or woken by a thread that is no worker
  std::uint64_t budget_forced_yield_count = 0;  ///< of tasks, block_on included
  std::uint64_t io_driver_fd_registered_count = 0, io_driver_fd_deregistered_count = 0;
  std::uint64_t io_driver_ready_count = 0;  ///< readiness events

  // Switched on by Builder; of what workers poll, not of block_on and blocking calls.
  HistogramCounts poll_time_histogram;         ///< ns
  HistogramCounts schedule_latency_histogram;  ///< ns from being queued to the poll
  HistogramCounts poll_count_histogram;  ///< polls that a task took in all, counted as it ends

  std::vector<WorkerMetrics> workers;

  // --- not tokio's: what the stream of events tells of, tasks of every kind, blocking calls and
  // block_on included
  std::uint64_t live_tasks = 0;
  std::uint64_t spawned_tasks = 0;
  std::uint64_t finished_tasks = 0;
  std::uint64_t polls = 0;  ///< a blocking call counts as one
  std::uint64_t wakes = 0;  ///< wakes of waits; yields and aborts are none
};

}  // namespace taskscope::runtime
