/// The scheduler: workers, the queue they share, the driver, and the tasks that live.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/blocking/pool.h"
#include "taskscope/runtime/io/driver.h"
#include "taskscope/runtime/metrics/runtime_metrics.h"
#include "taskscope/runtime/observe/inspector.h"
#include "taskscope/runtime/scheduler/config.h"
#include "taskscope/runtime/scheduler/driver_deadline.h"
#include "taskscope/runtime/scheduler/idle_set.h"
#include "taskscope/runtime/scheduler/injection_queue.h"
#include "taskscope/runtime/scheduler/registry.h"
#include "taskscope/runtime/scheduler/root.h"
#include "taskscope/runtime/scheduler/watch.h"
#include "taskscope/runtime/scheduler/worker.h"
#include "taskscope/runtime/task/wake.h"
#include "taskscope/runtime/time/test_clock.h"

namespace taskscope::runtime::scheduler {

struct SpawnOptions {
  observe::TaskKind kind = observe::TaskKind::Task;
  task::Site site;
  task::Label* label = nullptr;  ///< owned by the task from then on
};

class Scheduler final : public observe::Inspector, public std::enable_shared_from_this<Scheduler> {
 public:
  /// How long what a blocked worker holds up may go unnoticed; see worker.cpp.
  static constexpr std::uint64_t kWatchNs = 10'000'000;

  explicit Scheduler(Config config);
  ~Scheduler() override;

  /// Starts the workers. Throws std::system_error when not even one thread can be had; fewer are
  /// accepted by none: those that were started are stopped again.
  void start();
  /// Stops the workers, cancels every block_on, waits for running blocking calls, and destroys
  /// every task. Idempotent; not from a thread that it waits for, see is_inside().
  void shutdown();
  /// The beginning of it, which waits for nothing: workers end after the poll they are in, and
  /// what is spawned is cancelled at once.
  void stop() noexcept;
  /// The same as shutdown(), on a thread of its own; `done` is called there at its end.
  static void shutdown_elsewhere(std::shared_ptr<Scheduler> scheduler, std::function<void()> done);
  /// Relaxed: who was refused by the pool because of it has seen it under the pool's lock.
  [[nodiscard]] bool is_stopping() const noexcept {
    return stopping_.load(std::memory_order_relaxed);
  }
  /// Does the calling thread run for this runtime, so that shutdown() would wait for it?
  [[nodiscard]] bool is_inside() const noexcept;

  /// The thread in block_on: polls the task whenever it is woken, until it is complete. In a
  /// current_thread runtime one of these threads runs the worker, too. When the runtime stops the
  /// task is cancelled.
  void drive(task::Header& task);
  /// A task ended with an exception that nobody took.
  void unhandled(std::exception_ptr exception) noexcept;
  /// Throws if an unhandled exception stopped the runtime.
  void rethrow_unhandled();

  /// By the clock of this runtime.
  [[nodiscard]] std::uint64_t now_ns() const noexcept {
    return clock_ ? clock_->now_ns() : observe::monotonic_ns();
  }
  /// Null: the clock can't be paused.
  [[nodiscard]] time::TestClock* clock() noexcept { return clock_ ? &*clock_ : nullptr; }
  void clock_moved() noexcept;
  void blocking_began() noexcept {
    if (clock_) blocking_calls_.fetch_add(1, std::memory_order_relaxed);
  }
  void blocking_ended() noexcept;

  /// Completes the header in front of a body and makes it a living task; queues it unless it is a
  /// blocking call or a block_on. If the runtime has shut down the task is cancelled at once; so it
  /// is when there is no memory to enter it, and then this throws std::bad_alloc. Either way one
  /// reference is left, the caller's.
  void adopt(task::Header& task, const task::BodyOps& ops, const SpawnOptions& options);
  /// Queues a scheduled task. Any thread.
  void submit(task::Header* task) noexcept;
  /// Polls a task popped from a queue, on behalf of `worker`, which calls it; kMetered: it keeps
  /// histograms. False: the task left the worker, see leave_worker().
  template <bool kMetered>
  bool poll(task::Header& task, Worker& worker);
  /// The same for a task that stays on its thread: of block_on, a local one, or a blocking call.
  /// `worker` is null unless that thread runs it.
  void poll_elsewhere(task::Header& task, Worker* worker);
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
  /// The task being polled goes on without its worker, which another thread goes on with; see
  /// block_in_place. Throws std::system_error, and changes nothing, if there is no thread for that.
  void leave_worker();
  /// Wakes a thread in block_on of this runtime, wherever it sleeps. Not that thread.
  void wake_root(Root& root, std::uint32_t bits) noexcept;
  /// Destroys a task that is scheduled and in no queue, instead of polling it.
  void destroy_scheduled(task::Header& task) noexcept;

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

  [[nodiscard]] bool is_real_time() const noexcept { return !clock_; }
  [[nodiscard]] bool is_paused() const noexcept { return clock_ && clock_->is_paused(); }
  /// Relaxed: who ends a call wakes the worker afterwards.
  [[nodiscard]] bool may_jump() const noexcept {
    return blocking_calls_.load(std::memory_order_relaxed) == 0;
  }
  void jump_to_next_deadline() noexcept;
  void end_elsewhere(task::Header& task, Worker* worker, bool done) noexcept;
  void start_thread(Worker& worker);
  void run_thread(Worker* worker);
  [[nodiscard]] Worker* adopt_worker();
  void orphan(Worker& worker);
  void join_threads();
  void enlist(Root& root) noexcept;
  void delist(Root& root) noexcept;
  [[nodiscard]] bool take_core() noexcept;
  void leave_core(const Root& root) noexcept;
  void offer_core(const Root* except) noexcept;
  /// A hook of the user's, within the runtime.
  [[nodiscard]] std::function<void()> on_pool_thread(const std::function<void()>& hook);
  void submit_special(task::Header* task) noexcept;
  void advance_timers(std::uint64_t now_ns, task::WakeBatch& batch);
  /// Wakes the worker in the driver if it sleeps past a deadline that is in a wheel.
  void wake_driver_before(std::uint64_t deadline_ns) noexcept;
  [[nodiscard]] std::uint64_t next_deadline_ns() noexcept;
  void end_watch(std::uint32_t worker) noexcept;
  bool rescue(Worker& worker);
  void destroy_all_tasks() noexcept;
  /// Destroys what is queued anywhere; no worker runs. False: nothing was.
  bool destroy_queued() noexcept;

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
  std::mutex shutdown_mutex_;                     ///< held throughout shutdown()
  bool shut_down_ = false;                        // under shutdown_mutex_
  std::optional<time::TestClock> clock_;          ///< of a current_thread runtime
  std::atomic<std::uint64_t> blocking_calls_{0};  ///< spawned and not over, if there is a clock_
  std::mutex threads_mutex_;
  std::condition_variable orphaned_;
  // All under threads_mutex_.
  std::vector<std::unique_ptr<Thread>> threads_;  ///< of workers, and spare ones
  std::vector<Worker*> orphans_;                  ///< left by their threads
  std::size_t spare_threads_ = 0;                 ///< wait for an orphan
  mutable std::mutex roots_mutex_;
  std::condition_variable core_left_;
  // All under roots_mutex_.
  Root* roots_ = nullptr;       ///< the threads in block_on
  bool is_driven_ = false;      ///< one of them runs the worker of a current_thread runtime
  std::exception_ptr failure_;  ///< what the runtime was shut down for
  std::uint32_t roots_made_ = 0;
  std::atomic<std::uint64_t> remote_schedules_{0}, foreign_polls_{0}, foreign_wakes_{0},
      foreign_spawns_{0}, foreign_finishes_{0}, foreign_budget_yields_{0};
  /// Of the spawned and the finished: blocking calls and block_on.
  std::atomic<std::uint64_t> calls_spawned_{0}, calls_finished_{0};
  std::atomic<std::uint32_t> next_shard_{0};
};

}  // namespace taskscope::runtime::scheduler
