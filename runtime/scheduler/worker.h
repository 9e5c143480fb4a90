/// A thread that runs tasks: its queue, its timers, its counters, and how it sleeps.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/metrics/counter.h"
#include "taskscope/runtime/metrics/mean_poll_time.h"
#include "taskscope/runtime/metrics/meters.h"
#include "taskscope/runtime/observe/facts.h"
#include "taskscope/runtime/scheduler/lifo_slot.h"
#include "taskscope/runtime/scheduler/local_queue.h"
#include "taskscope/runtime/scheduler/park_word.h"
#include "taskscope/runtime/scheduler/root.h"
#include "taskscope/runtime/scheduler/thread.h"
#include "taskscope/runtime/spin_gate.h"
#include "taskscope/runtime/task/header.h"
#include "taskscope/runtime/time/timers.h"

namespace taskscope::runtime::scheduler {

class Scheduler;

using metrics::Counter;

class Worker {
 public:
  /// What does not fit is shared by all, and a task that went to another core costs several cache
  /// misses; so there is room for all the runnable tasks of most programs.
  static constexpr std::size_t kQueueCapacity = 1024;
  static constexpr std::size_t kBatch = 128;  ///< at most so many tasks change queues at once
  using Queue = LocalQueue<task::Header, kQueueCapacity>;

  Worker(Scheduler& scheduler, std::uint32_t index, observe::WorkerId id, std::uint32_t workers);

  /// Until the runtime stops, or a task has this thread leave the worker. With a root, on the
  /// thread that is in block_on: until the root is complete, too.
  void run(Root* root);
  void submit(task::Header* task) noexcept;     // worker thread only: to the LIFO slot
  void push_back(task::Header* task) noexcept;  // worker thread only: behind what is queued
  void requeue(task::Header* task) noexcept;    // the same, for a task that ran here just now
  void unpark() noexcept;                       // any thread
  [[nodiscard]] observe::WorkerView view() const noexcept;  // any thread

  /// Being polled; any thread.
  [[nodiscard]] observe::TaskId current() const noexcept {
    return observe::TaskId{current_.load(std::memory_order_relaxed)};
  }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] observe::WorkerId id() const noexcept { return id_; }
  [[nodiscard]] time::Timers& timers() noexcept { return timers_; }
  [[nodiscard]] std::uint32_t now_ms() const noexcept { return now_ms_; }  // worker thread only
  [[nodiscard]] std::uint32_t next_random() noexcept;                      // worker thread only

  /// Null when no histogram is on. Any thread.
  [[nodiscard]] const metrics::Meters* meters() const noexcept { return meters_.get(); }

  Counter wakes, parks, park_unparks, noops, steals, steal_operations, local_schedules, overflows,
      budget_yields, spawns, finishes;

 private:
  friend class Scheduler;

  static constexpr std::uint64_t kNotCarried = ~std::uint64_t{0} - 1;

  [[nodiscard]] task::Header* pop() noexcept {
    task::Header* const task = alone_ ? queue_.pop_alone() : queue_.pop();
    // By the time it has its turn it is here: a task that waited long is in no cache, and one that
    // was stolen is in another core's.
    if (const task::Header* const next = queue_.ahead(1)) next->prefetch();
    return task;
  }
  [[nodiscard]] task::Header* next_task();
  [[nodiscard]] task::Header* look_around();
  [[nodiscard]] task::Header* shuffle();
  bool run_root();
  [[nodiscard]] bool root_is_over() const noexcept;
  void begin_work() noexcept;
  /// Its thread leaves it in the middle of a poll, for another one; or none was to be had.
  void leave() noexcept;
  void come_back(task::Header& task) noexcept;
  [[nodiscard]] task::Header* take_injected(std::size_t limit);
  [[nodiscard]] task::Header* search();
  [[nodiscard]] task::Header* steal_from_any();
  [[nodiscard]] task::Header* spin();
  [[nodiscard]] task::Header* steal_from(Worker& victim);
  /// False: a task had this thread leave the worker.
  template <bool kMetered>
  bool work();
  /// Metered: a poll begins; returns when. 0 when no time is asked for.
  [[nodiscard]] observe::Ticks meter_start(const task::Header& task) noexcept;
  /// Metered: it is over; `polls` of a task that has ended with it, else 0.
  void meter_end(observe::Ticks started, std::uint32_t polls) noexcept;
  /// Metered: the task is about to be queued; as its poll ends, or now.
  void stamp(task::Header& task, bool poll_ends) noexcept;
  /// The clock as it was when the last poll here ended, if nothing came between; else now.
  [[nodiscard]] observe::Ticks carry_ticks() noexcept;
  void submit_metered(task::Header* task) noexcept;
  void put_first(task::Header* task) noexcept;  // into the LIFO slot
  void park();
  void sleep_until_woken();
  void maintain();
  void refresh_clock() noexcept;
  void begin_batch(std::uint64_t now_ns) noexcept;
  void end_batch(std::uint64_t now_ns) noexcept;
  void end_busy(std::uint64_t now_ns) noexcept;
  void overflow(task::Header* task) noexcept;
  void found_work();
  [[nodiscard]] bool has_work() const noexcept {
    return !lifo_.empty() || !queue_.empty() || root_wants();
  }
  [[nodiscard]] bool root_wants() const noexcept {
    return root_ != nullptr && (root_->is_ready() || root_->has_local_work() || root_is_over());
  }

  // --- this worker only
  Scheduler& scheduler_;
  const std::uint32_t index_;
  const observe::WorkerId id_;
  std::uint32_t random_;
  std::uint32_t until_look_;                   ///< polls, as are those that follow
  std::uint32_t until_events_, until_global_;  ///< as of the last look
  std::uint32_t look_;                         ///< what until_look_ began with
  std::uint32_t now_ms_ = 0;
  std::uint32_t lifo_polls_ = 0;
  bool searching_ = false;
  const bool use_lifo_;
  const bool alone_;      ///< no other worker takes from here
  const bool shuffles_;   ///< for tests; read when it looks around, which it then does at each poll
  Root* root_ = nullptr;  ///< of the block_on that this worker runs in
  SpinGate spin_gate_;
  const std::unique_ptr<metrics::Meters> meters_;  ///< null: no histogram is on
  observe::Ticks carried_ticks_{};             ///< a poll's end that is also the next one's start
  std::uint64_t carried_after_ = kNotCarried;  ///< that poll's sequence number
  std::uint64_t awake_since_ns_ = 0;
  std::uint64_t batch_began_ns_ = 0;  ///< the polls since are timed together; 0: they are not
  std::uint64_t polls_at_batch_ = 0;
  std::uint64_t maintained_at_ns_ = 0;
  std::uint32_t untimed_batches_ = 0;
  std::uint64_t polls_at_park_ = 0;
  std::uint32_t quiet_watches_ = 0;
  std::uint64_t looked_at_ns_ = 0;         ///< when rescue() last noted the others' polls
  std::vector<std::uint64_t> seen_polls_;  ///< a worker each: its poll_sequence_ then
  // --- written by this worker, read by others
  alignas(64) std::atomic<std::uint64_t> current_{0};  ///< id of the task being polled
  std::atomic<std::uint64_t> poll_sequence_{0};
  std::atomic<std::uint64_t> busy_ns_{0};                   ///< up to the last park
  std::atomic<std::uint64_t> awake_since_published_ns_{0};  ///< 0: parked
  metrics::MeanPollTime mean_poll_time_;
  std::atomic<std::int32_t> tid_{0};
  // --- shared
  alignas(64) LifoSlot<task::Header> lifo_;  ///< used by the worker and by thieves
  Queue queue_;
  alignas(64) ParkWord park_word_;
  time::Timers timers_;
};

}  // namespace taskscope::runtime::scheduler
