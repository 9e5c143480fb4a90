/// The multi-thread scheduler: workers, the queue they share, the driver, and the tasks that live.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/blocking/pool.h"
#include "taskscope/runtime/io/driver.h"
#include "taskscope/runtime/metrics/runtime_metrics.h"
#include "taskscope/runtime/observe/inspector.h"
#include "taskscope/runtime/scheduler/driver_deadline.h"
#include "taskscope/runtime/scheduler/idle_set.h"
#include "taskscope/runtime/scheduler/injection_queue.h"
#include "taskscope/runtime/scheduler/registry.h"
#include "taskscope/runtime/scheduler/watch.h"
#include "taskscope/runtime/scheduler/worker.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime::scheduler {

struct Config {
  std::uint32_t workers = 1;
  std::uint32_t max_blocking_threads = 512;
  std::string thread_name = "taskscope-rt";
  /// Every so many polls a worker looks at the driver, the wheels and the injection queue.
  std::uint32_t event_interval = 61;
  metrics::HistogramScales histograms;
};

struct SpawnOptions {
  observe::TaskKind kind = observe::TaskKind::Task;
  task::Site site;
  task::Label* label = nullptr;  ///< owned by the task from then on
};

class Scheduler final : public observe::Inspector {
 public:
  /// How long what a blocked worker holds up may go unnoticed; see worker.cpp.
  static constexpr std::uint64_t kWatchNs = 10'000'000;

  explicit Scheduler(Config config);
  ~Scheduler() override;

  /// Starts the workers. Throws std::system_error when not even one thread can be had; fewer are
  /// accepted by none: those that were started are stopped again.
  void start();
  /// Stops the workers, waits for running blocking calls, and destroys every task. Once; not from a
  /// worker.
  void shutdown();
  /// Relaxed: who was refused by the pool because of it has seen it under the pool's lock.
  [[nodiscard]] bool is_stopping() const noexcept {
    return stopping_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool is_shut_down() const noexcept {
    return shut_down_.load(std::memory_order_acquire);
  }

  /// Completes the header in front of a body and makes it a living task; queues it unless it is a
  /// blocking call or a block_on. If the runtime has shut down the task is cancelled at once; so it
  /// is when there is no memory to enter it, and then this throws std::bad_alloc. Either way one
  /// reference is left, the caller's.
  void adopt(task::Header& task, const task::BodyOps& ops, const SpawnOptions& options);
  /// Queues a scheduled task. Any thread.
  void submit(task::Header* task) noexcept;
  /// Polls a task popped from a queue, on behalf of `worker`, which calls it; kMetered: it keeps
  /// histograms.
  template <bool kMetered>
  void poll(task::Header& task, Worker& worker);
  /// The same on a thread that is no worker: block_on, the blocking pool.
  void poll_elsewhere(task::Header& task);
  /// The one way a task ends: outcome is set, the body has ended or is destroyed. `now` is zero
  /// where nobody has read the clock.
  void finish(task::Header& task, observe::Ticks now) noexcept;
  /// The owner of kRunning destroys the body and ends the task.
  void cancel_taken(task::Header& task) noexcept;
  void notify_one() noexcept;
  /// What a worker could take from others, after a change of the idle set; see IdleSet.
  [[nodiscard]] bool anything_queued() const noexcept;
  /// notify_one() after a seq_cst store made the work visible.
  void notify_one_published() noexcept;

  [[nodiscard]] io::Driver& driver() noexcept { return driver_; }
  [[nodiscard]] blocking::Pool& pool() noexcept { return pool_; }
  [[nodiscard]] time::Timers& any_timers() noexcept { return workers_.front()->timers(); }
  void timer_inserted(time::Timers& timers, std::uint64_t deadline_ns) noexcept;
  [[nodiscard]] const Config& config() const noexcept { return config_; }
  [[nodiscard]] std::uint64_t count_wakes() const noexcept;
  [[nodiscard]] std::uint64_t count_polls() const noexcept;
  [[nodiscard]] std::uint64_t count_spawned() const noexcept;
  [[nodiscard]] std::uint64_t count_finished() const noexcept;
  [[nodiscard]] RuntimeMetrics metrics();  // in metrics/runtime_metrics.cpp
  void count_foreign_wake() noexcept { foreign_wakes_.fetch_add(1, std::memory_order_relaxed); }

  // Inspector
  observe::RuntimeView runtime() override;
  void visit_workers(observe::WorkerVisitor& visitor) override;
  void visit_tasks(observe::TaskCursor& cursor, std::size_t piece, observe::Detail detail,
                   observe::TaskVisitor& visitor) override;
  bool visit_task(observe::TaskId id, observe::Detail detail,
                  observe::TaskVisitor& visitor) override;
  void visit_resources(observe::ResourceVisitor& visitor) override;

 private:
  friend class Worker;

  // Out of the way of those that nobody watches.
  [[gnu::cold]] void report_spawned(const task::Header& task) const noexcept;
  [[gnu::cold]] void report_poll_started(const task::Header& task, Worker* worker) noexcept;
  [[gnu::cold]] observe::Ticks report_poll_ended(task::Header& task, Worker* worker,
                                                 bool done) noexcept;
  [[gnu::cold]] void report_finished(task::Header& task, observe::Ticks now) noexcept;

  void advance_timers(std::uint64_t now_ns, task::WakeBatch& batch);
  /// Wakes the worker in the driver if it sleeps past a deadline that is in a wheel.
  void wake_driver_before(std::uint64_t deadline_ns) noexcept;
  [[nodiscard]] std::uint64_t next_deadline_ns() noexcept;
  void end_watch(std::uint32_t worker) noexcept;
  bool rescue(Worker& worker);
  void destroy_all_tasks() noexcept;
  /// Destroys what is queued anywhere; no worker runs. False: nothing was.
  bool destroy_queued() noexcept;
  void destroy_scheduled(task::Header& task) noexcept;

  const Config config_;
  const observe::RuntimeId id_;
  std::vector<std::unique_ptr<Worker>> workers_;
  InjectionQueue injection_;
  IdleSet idle_;
  Registry registry_;
  std::mutex driver_mutex_;  ///< held by the worker that polls the driver
  io::Driver driver_;
  DriverDeadline driver_deadline_;
  blocking::Pool pool_;
  Watch watch_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> shut_down_{false};
  std::atomic<std::uint64_t> remote_schedules_{0}, foreign_polls_{0}, foreign_wakes_{0},
      foreign_spawns_{0}, foreign_finishes_{0}, foreign_budget_yields_{0};
  /// Of the spawned and the finished: blocking calls and block_on.
  std::atomic<std::uint64_t> calls_spawned_{0}, calls_finished_{0};
  std::atomic<std::uint32_t> next_shard_{0};
};

}  // namespace taskscope::runtime::scheduler
