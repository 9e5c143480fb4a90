/// The worker's loop, and how it sleeps.
///
/// Order of looking for work: LIFO slot (a few times in a row), own queue, injection queue; then
/// the other workers' queues; then sleep. Every `event_interval` polls the worker looks after the
/// driver, the wheels and the injection queue first, so that none of them starves.
///
/// One sleeping worker sits in the driver, until the earliest deadline of all wheels. Of the others
/// one keeps watch while anybody works: it wakes every kWatch to see whether the driver is
/// unattended or a worker is stuck in one poll with a task in its LIFO slot, because a poll that
/// blocks must not hold up timers, I/O and other tasks while a worker sleeps. When everybody sleeps
/// nobody wakes for nothing.
#include "taskscope/runtime/scheduler/worker.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/scheduler/context.h"
#include "taskscope/runtime/scheduler/random.h"
#include "taskscope/runtime/scheduler/scheduler.h"

namespace taskscope::runtime::scheduler {

namespace {
constexpr std::uint64_t kWatchNs = Scheduler::kWatchNs;
/// After so many watches in which nothing moved the watch ends until a worker has something to do.
constexpr std::uint32_t kQuietWatches = 100;
/// Tasks run from the LIFO slot in a row before the queue has its turn; as in tokio.
constexpr std::uint32_t kLifoPolls = 3;
/// Beside a batch of polls that takes that long a clock read is nothing; of shorter ones one in so
/// many is timed.
constexpr std::uint64_t kTimedBatchNs = 16'000;
constexpr std::uint32_t kUntimedBatches = 16;

/// Never 0, from which xorshift does not come away.
std::uint32_t seed_of(std::optional<std::uint64_t> seed, std::uint32_t index) noexcept {
  if (!seed) return 0x9e3779b9u * (index + 1);
  return static_cast<std::uint32_t>(mixed(*seed + index)) | 1u;
}
}  // namespace

Worker::Worker(Scheduler& scheduler, std::uint32_t index, observe::WorkerId id,
               std::uint32_t workers)
    : scheduler_(scheduler),
      index_(index),
      id_(id),
      random_(seed_of(scheduler.config().rng_seed, index)),
      until_look_(scheduler.config().shuffle_tasks
                      ? 1
                      : std::min(scheduler.config().event_interval,
                                 scheduler.config().global_queue_interval)),
      until_events_(scheduler.config().event_interval),
      until_global_(scheduler.config().global_queue_interval),
      look_(until_look_),
      use_lifo_(!scheduler.config().disable_lifo_slot && !scheduler.config().shuffle_tasks),
      alone_(workers == 1),
      shuffles_(scheduler.config().shuffle_tasks),
      meters_(metrics::Meters::wanted(scheduler.config_.histograms)
                  ? std::make_unique<metrics::Meters>(scheduler.config_.histograms)
                  : nullptr),
      seen_polls_(workers),
      timers_(scheduler.now_ns()) {}

void Worker::run(Root* root) {
  tid_.store(static_cast<std::int32_t>(syscall(SYS_gettid)), std::memory_order_relaxed);
  const ContextScope scope({.scheduler = &scheduler_, .worker = this, .root = root});
  root_ = root;
  if (root != nullptr && observe::wants(observe::Event::Worker)) {
    observe::observer()->on_worker_unparked(id_, observe::read_ticks());
  }
  begin_work();
  const bool stayed = meters_ == nullptr ? work<false>() : work<true>();
  if (!stayed) return;  // another thread's by now
  end_busy(observe::monotonic_ns());
  if (root == nullptr) return;
  // Nobody drives the runtime until the next block_on, which looks at everything first.
  root_ = nullptr;
  carried_after_ = kNotCarried;
  if (observe::wants(observe::Event::Worker)) {
    observe::observer()->on_worker_parked(id_, observe::read_ticks());
  }
}

template <bool kMetered>
bool Worker::work() {
  while (!scheduler_.stopping_.load(std::memory_order_relaxed)) {
    task::Header* task = next_task();
    if (task == nullptr) {
      if (root_is_over()) break;
      if (run_root()) continue;
      task = search();
      if (task == nullptr) task = spin();
      if (task == nullptr) {
        if (!has_work()) park();
        continue;
      }
    }
    found_work();
    if (!scheduler_.poll<kMetered>(*task, *this)) [[unlikely]]
      return false;
  }
  return true;
}

void Worker::leave() noexcept {
  carried_after_ = kNotCarried;
  current_.store(0, std::memory_order_relaxed);
  end_busy(observe::monotonic_ns());
}

void Worker::come_back(task::Header& task) noexcept {
  current_.store(observe::number(task.id), std::memory_order_relaxed);
  begin_work();
}

void Worker::begin_work() noexcept {
  refresh_clock();
  awake_since_ns_ = observe::monotonic_ns();
  awake_since_published_ns_.store(awake_since_ns_, std::memory_order_relaxed);
  begin_batch(awake_since_ns_);
}

observe::Ticks Worker::carry_ticks() noexcept {
  const auto sequence = poll_sequence_.load(std::memory_order_relaxed);
  if (carried_after_ != sequence) {
    carried_ticks_ = observe::read_ticks();
    carried_after_ = sequence;
  }
  return carried_ticks_;
}

observe::Ticks Worker::meter_start(const task::Header& task) noexcept {
  if (!meters_->poll_time && !meters_->schedule_latency) return {};
  // This reading serves the hook too, and the one of its end before served this.
  const observe::Ticks started = carry_ticks();
  if (meters_->schedule_latency) {
    meters_->schedule_latency->record(
        meters_->to_ns(metrics::QueueStamp::ticks_since(task.scheduled_at, started)));
  }
  return started;
}

void Worker::meter_end(observe::Ticks started, std::uint32_t polls) noexcept {
  if (meters_->poll_time) {
    meters_->poll_time->record(meters_->to_ns(static_cast<std::uint64_t>(carry_ticks()) -
                                              static_cast<std::uint64_t>(started)));
  }
  if (polls != 0 && meters_->poll_count) meters_->poll_count->record(polls);
}

void Worker::stamp(task::Header& task, bool poll_ends) noexcept {
  if (!meters_->schedule_latency) return;
  task.scheduled_at = metrics::QueueStamp::at(poll_ends ? carry_ticks() : observe::read_ticks());
}

void Worker::found_work() {
  if (!searching_) return;
  searching_ = false;
  // Whoever queued something while this worker searched woke nobody: then it is to be seen now.
  if (scheduler_.idle_.stop_searching() && scheduler_.anything_queued()) scheduler_.notify_one();
}

std::uint32_t Worker::next_random() noexcept {
  // xorshift32 (Marsaglia 2003)
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  return random_;
}

void Worker::submit(task::Header* task) noexcept {
  local_schedules.add();
  if (meters_ != nullptr) [[unlikely]]
    return submit_metered(task);
  put_first(task);
}

void Worker::submit_metered(task::Header* task) noexcept {
  stamp(*task, false);
  put_first(task);
}

[[gnu::always_inline]] inline void Worker::put_first(task::Header* task) noexcept {
  if (!use_lifo_) [[unlikely]]
    return push_back(task);
  if (task::Header* displaced = lifo_.swap(task, alone_)) push_back(displaced);
}

void Worker::requeue(task::Header* task) noexcept {
  local_schedules.add();
  if (!queue_.push(task)) return overflow(task);
  // Without the order that push_back pays for: a worker that falls asleep just now may be missed.
  // This one gets to the task itself, and asks again in maintain().
  if (!alone_ && scheduler_.idle_.may_need_another()) scheduler_.notify_one();
}

void Worker::push_back(task::Header* task) noexcept {
  // Nobody else could take it.
  if (alone_) {
    if (!queue_.push(task)) overflow(task);
    return;
  }
  if (queue_.push<std::memory_order_seq_cst>(task)) {
    scheduler_.notify_one_published();
  } else {
    overflow(task);
    scheduler_.notify_one();
  }
}

/// A part of a full queue, and the task that did not fit, go where every worker finds them.
void Worker::overflow(task::Header* task) noexcept {
  overflows.add();
  task::Header* first = nullptr;
  task::Header* last = nullptr;
  std::size_t count = 0;
  const auto append = [&](task::Header* item) {
    item->queue_next = nullptr;
    if (last == nullptr) {
      first = item;
    } else {
      last->queue_next = item;
    }
    last = item;
    ++count;
  };
  while (count < kBatch) {
    task::Header* item = pop();
    if (item == nullptr) break;
    append(item);
  }
  append(task);
  scheduler_.injection_.push_chain(first, last, count);
}

task::Header* Worker::take_injected(std::size_t limit) {
  std::size_t count = 0;
  task::Header* first = scheduler_.injection_.pop_chain(limit, count);
  if (first == nullptr) return nullptr;
  carried_after_ = kNotCarried;  // it may have been woken since: no poll begins before its wake
  for (task::Header* task = first->queue_next; task != nullptr;) {
    task::Header* next = task->queue_next;
    if (!queue_.push(task)) overflow(task);
    task = next;
  }
  if (count > 1) scheduler_.notify_one();
  return first;
}

task::Header* Worker::next_task() {
  if (--until_look_ == 0) [[unlikely]] {
    if (task::Header* task = look_around()) return task;
    if (root_is_over()) return nullptr;
  }
  if (task::Header* task = lifo_.take(alone_)) {
    if (++lifo_polls_ <= kLifoPolls || queue_.empty()) return task;
    if (!queue_.push(task)) overflow(task);
  }
  lifo_polls_ = 0;
  if (task::Header* task = pop()) return task;
  if (scheduler_.injection_.size() == 0) return nullptr;
  const std::size_t share = scheduler_.injection_.size() / scheduler_.workers_.size() + 1;
  return take_injected(std::min(share, kBatch));
}

/// At its intervals: what would starve if the worker's own queue never ended.
task::Header* Worker::look_around() {
  if (shuffles_) return shuffle();
  until_events_ -= look_;
  until_global_ -= look_;
  if (until_events_ == 0) {
    until_events_ = scheduler_.config_.event_interval;
    maintain();
    run_root();
  }
  task::Header* task = nullptr;
  if (until_global_ == 0) {
    until_global_ = scheduler_.config_.global_queue_interval;
    task = take_injected(1);
  }
  look_ = until_look_ = std::min(until_events_, until_global_);
  return task;
}

/// For tests, in the place of looking around, before every poll: any of the first kQueueCapacity
/// tasks, or the root. Null: nothing is left in the queues.
task::Header* Worker::shuffle() {
  until_look_ = 1;
  if (--until_events_ == 0) {
    until_events_ = scheduler_.config_.event_interval;
    maintain();
  }
  for (;;) {
    while (queue_.size() < kQueueCapacity && scheduler_.injection_.size() != 0) {
      std::size_t count = 0;
      carried_after_ = kNotCarried;  // as in take_injected
      static_cast<void>(queue_.push(scheduler_.injection_.pop_chain(1, count)));
    }
    const auto tasks = static_cast<std::uint32_t>(queue_.size());
    const bool with_root = root_ != nullptr && (root_->is_ready() || root_->has_local_work());
    if (root_is_over() || tasks + with_root == 0) return nullptr;
    const std::uint32_t chosen = next_random() % (tasks + with_root);
    if (chosen == tasks) {
      run_root();
      continue;
    }
    for (std::uint32_t i = 0; i < chosen; ++i) static_cast<void>(queue_.push(queue_.pop_alone()));
    return queue_.pop_alone();
  }
}

/// The root of block_on, and the local tasks of its thread, have their turn when nothing else is to
/// be done, and at an interval. False: none of them is scheduled.
bool Worker::run_root() {
  if (root_ == nullptr) return false;
  carried_after_ = kNotCarried;  // as in take_injected
  const bool ready = root_->is_ready();
  if (ready) {
    static_cast<void>(root_->take());  // who runs this worker need not be told to look
    scheduler_.poll_elsewhere(root_->task, this);
  }
  return root_->run_local(scheduler_, this) || ready;
}

bool Worker::root_is_over() const noexcept {
  return root_ != nullptr && root_->task.state.is_complete();
}

task::Header* Worker::steal_from(Worker& victim) {
  std::array<task::Header*, kBatch> stolen;
  const std::size_t count = victim.queue_.steal(stolen.data(), stolen.size());
  if (count == 0) return nullptr;
  carried_after_ = kNotCarried;  // as in take_injected
  steals.add(count);
  steal_operations.add();
  if (observe::wants(observe::Event::Worker)) {
    observe::observer()->on_worker_stole(id_, victim.id_, static_cast<std::uint32_t>(count),
                                         observe::read_ticks());
  }
  for (std::size_t i = 1; i < count; ++i) {
    if (!queue_.push(stolen[i])) overflow(stolen[i]);
  }
  return stolen[0];
}

task::Header* Worker::search() {
  if (alone_) return nullptr;
  if (!searching_) {
    if (!scheduler_.idle_.try_search()) return nullptr;
    searching_ = true;
  }
  if (task::Header* task = steal_from_any()) return task;
  return take_injected(1);
}

task::Header* Worker::steal_from_any() {
  const auto workers = static_cast<std::uint32_t>(scheduler_.workers_.size());
  const std::uint32_t start = next_random() % workers;
  for (std::uint32_t i = 0; i < workers; ++i) {
    Worker& victim = *scheduler_.workers_[(start + i) % workers];
    if (&victim == this || victim.queue_.empty()) continue;
    if (task::Header* task = steal_from(victim)) return task;
  }
  return nullptr;
}

/// Goes on looking for about as long as it would take to be woken. It counts as awake, or as the
/// searcher, so nobody wakes a thread for what it will see.
task::Header* Worker::spin() {
  // A paused clock is not waited for: it jumps.
  if ((!alone_ && !searching_) || scheduler_.is_paused() || !spin_gate_.opens()) return nullptr;
  constexpr int kLooks = 8;  // between two looks at the clock
  constexpr int kLooksAtDriver = 8;
  const std::uint64_t from_ns = observe::monotonic_ns();
  const std::uint64_t until_ns =
      std::min(from_ns + SpinGate::kLongestNs, scheduler_.next_deadline_ns());
  std::uint64_t now_ns = from_ns;
  end_batch(from_ns);
  task::Header* found = nullptr;
  for (int round = 1; now_ns < until_ns && found == nullptr; ++round) {
    for (int i = 0; i < kLooks && found == nullptr; ++i) {
      spin_pause();
      if (scheduler_.stopping_.load(std::memory_order_relaxed)) return nullptr;
      if (scheduler_.injection_.size() != 0) found = take_injected(1);
      if (found == nullptr && !alone_) found = steal_from_any();
    }
    if (root_wants()) break;
    if (found == nullptr && round % kLooksAtDriver == 0) {
      maintain();
      found = next_task();
    }
    now_ns = observe::monotonic_ns();
  }
  spin_gate_.closes(found != nullptr || root_wants());
  // Waiting is not work: to watchers the worker was parked.
  carried_after_ = kNotCarried;
  begin_batch(now_ns);
  awake_since_ns_ += now_ns - from_ns;
  awake_since_published_ns_.store(awake_since_ns_, std::memory_order_relaxed);
  return found;
}

void Worker::refresh_clock() noexcept {
  now_ms_ = static_cast<std::uint32_t>(observe::monotonic_ns() / 1'000'000);
}

void Worker::begin_batch(std::uint64_t now_ns) noexcept {
  batch_began_ns_ = now_ns;
  polls_at_batch_ = poll_sequence_.load(std::memory_order_relaxed);
}

void Worker::end_batch(std::uint64_t now_ns) noexcept {
  if (batch_began_ns_ == 0) return;
  mean_poll_time_.add_batch(now_ns - batch_began_ns_,
                            poll_sequence_.load(std::memory_order_relaxed) - polls_at_batch_);
  batch_began_ns_ = 0;
}

void Worker::end_busy(std::uint64_t now_ns) noexcept {
  end_batch(now_ns);
  busy_ns_.store(busy_ns_.load(std::memory_order_relaxed) + now_ns - awake_since_ns_,
                 std::memory_order_relaxed);
  awake_since_published_ns_.store(0, std::memory_order_relaxed);
}

void Worker::maintain() {
  const std::uint64_t now_ns = observe::monotonic_ns();
  end_batch(now_ns);
  const std::uint64_t since_ns = now_ns - maintained_at_ns_;
  maintained_at_ns_ = now_ns;
  now_ms_ = static_cast<std::uint32_t>(now_ns / 1'000'000);
  carried_after_ = kNotCarried;
  task::WakeBatch batch;
  if (scheduler_.driver_mutex_.try_lock()) {
    scheduler_.driver_.poll(0, batch);
    scheduler_.driver_mutex_.unlock();
  }
  scheduler_.advance_timers(scheduler_.is_real_time() ? now_ns : scheduler_.now_ns(), batch);
  if (!alone_ && !queue_.empty()) scheduler_.notify_one();  // see requeue()
  if (since_ns >= kTimedBatchNs || ++untimed_batches_ == kUntimedBatches) {
    untimed_batches_ = 0;
    begin_batch(observe::monotonic_ns());
  }
}

void Worker::park() {
  carried_after_ = kNotCarried;
  const Config& config = scheduler_.config();
  if (config.on_thread_park) {
    config.on_thread_park();
    if (has_work()) {
      if (config.on_thread_unpark) config.on_thread_unpark();
      return;
    }
  }
  const bool was_searching = searching_;
  searching_ = false;
  scheduler_.idle_.sleep(index_, was_searching);
  // Every worker looks once more, not only the last searcher: one that was refused to search
  // because another did may fall asleep just after that one found something and woke nobody.
  if (scheduler_.anything_queued()) scheduler_.notify_one();

  end_busy(observe::monotonic_ns());
  if (observe::wants(observe::Event::Worker)) {
    observe::observer()->on_worker_parked(id_, observe::read_ticks());
  }
  for (;;) {
    if (scheduler_.stopping_.load(std::memory_order_relaxed)) break;
    parks.add();
    park_unparks.add();
    // As in tokio: to sleep again without a poll is to have woken for nothing.
    const auto polls = poll_sequence_.load(std::memory_order_relaxed);
    if (polls == polls_at_park_) noops.add();
    polls_at_park_ = polls;
    sleep_until_woken();
    park_unparks.add();
    if (has_work()) {
      // If somebody notified this worker as well it has to search when its own work is done.
      if (!scheduler_.idle_.wake_self(index_)) searching_ = true;
      break;
    }
    if (!scheduler_.idle_.is_asleep(index_)) {
      searching_ = true;
      break;
    }
  }
  if (observe::wants(observe::Event::Worker)) {
    observe::observer()->on_worker_unparked(id_, observe::read_ticks());
  }
  begin_work();
  scheduler_.end_watch(index_);
  if (config.on_thread_unpark) config.on_thread_unpark();
}

void Worker::sleep_until_woken() {
  if (scheduler_.driver_mutex_.try_lock()) {
    task::WakeBatch batch;
    bool jumps = false;
    if (park_word_.begin(true)) {
      // Who sits in the driver watches by its deadline, not by sleeping on its word.
      scheduler_.watch_.give_up(index_);
      // Before the deadlines are read, and before anybody is looked at: see timer_inserted() and
      // end_watch().
      scheduler_.driver_deadline_.begin();
      const bool others_work = scheduler_.idle_.awake() > 0;
      const std::uint64_t deadline_ns = scheduler_.next_deadline_ns();
      const std::uint64_t now_ns = scheduler_.now_ns();
      std::int64_t timeout_ns = -1;
      if (scheduler_.is_paused()) {
        // Nothing comes due by itself: with nothing else to do the clock jumps.
        jumps = scheduler_.may_jump() && deadline_ns != kForever;
        if (jumps) timeout_ns = 0;
      } else if (deadline_ns != kForever) {
        scheduler_.driver_deadline_.set(deadline_ns);
        timeout_ns = deadline_ns > now_ns ? static_cast<std::int64_t>(deadline_ns - now_ns) : 0;
      }
      // With nobody to keep watch the one in the driver does.
      if (others_work && (timeout_ns < 0 || timeout_ns > static_cast<std::int64_t>(kWatchNs)) &&
          scheduler_.watch_.keeper() == IdleSet::kNobody) {
        timeout_ns = static_cast<std::int64_t>(kWatchNs);
        scheduler_.driver_deadline_.set(now_ns + kWatchNs);
      }
      scheduler_.driver_.poll(timeout_ns, batch);
      scheduler_.driver_deadline_.end();
    }
    const bool notified = park_word_.end();
    scheduler_.driver_mutex_.unlock();
    if (jumps && !notified && batch.size() == 0 && !has_work()) scheduler_.jump_to_next_deadline();
    refresh_clock();
    scheduler_.advance_timers(scheduler_.now_ns(), batch);
    batch.submit_all();
    if (!has_work()) scheduler_.rescue(*this);
    return;
  }

  if (!park_word_.begin(false)) {
    static_cast<void>(park_word_.end());
    return;
  }
  // Who sleeps in the driver has not seen the timers that were entered here since.
  scheduler_.wake_driver_before(timers_.next_deadline_ns());
  const bool watching = scheduler_.watch_.begin(index_);
  const bool timed =
      watching && !scheduler_.watch_.try_deep(quiet_watches_ >= kQuietWatches, scheduler_.idle_);
  park_word_.wait(timed ? kWatchNs : kForever);
  if (park_word_.end()) {
    quiet_watches_ = 0;
    return;
  }
  if (!watching) return;
  // Woken by the clock, or by a worker that began to work while the watch was deep.
  quiet_watches_ =
      scheduler_.rescue(*this) || !timed || scheduler_.idle_.awake() > 0 ? 0 : quiet_watches_ + 1;
}

void Worker::unpark() noexcept {
  if (park_word_.notify()) scheduler_.driver_.unpark();
}

observe::WorkerView Worker::view() const noexcept {
  observe::WorkerView view;
  view.worker = id_;
  view.runtime = scheduler_.id_;
  view.index = index_;
  view.tid = tid_.load(std::memory_order_relaxed);
  view.current = observe::TaskId{current_.load(std::memory_order_relaxed)};
  view.poll_sequence = poll_sequence_.load(std::memory_order_relaxed);
  const auto awake_since_ns = awake_since_published_ns_.load(std::memory_order_relaxed);
  view.parked = awake_since_ns == 0;
  view.queue_depth = static_cast<std::uint32_t>(queue_.size()) + (lifo_.empty() ? 0 : 1);
  const auto occupancy = timers_.occupancy();
  std::copy(occupancy.begin(), occupancy.end(), std::begin(view.wheel));
  view.late_max_ns = timers_.late_max_ns();
  auto& counters = view.counters;
  counters.busy_ns = busy_ns_.load(std::memory_order_relaxed);
  if (!view.parked) {
    const auto now_ns = observe::monotonic_ns();
    if (now_ns > awake_since_ns) counters.busy_ns += now_ns - awake_since_ns;
  }
  counters.polls = view.poll_sequence;
  counters.parks = parks.get();
  counters.park_unparks = park_unparks.get();
  counters.mean_poll_ns = mean_poll_time_.get_ns();
  counters.noops = noops.get();
  counters.steals = steals.get();
  counters.steal_operations = steal_operations.get();
  counters.local_schedules = local_schedules.get();
  counters.overflows = overflows.get();
  counters.budget_yields = budget_yields.get();
  counters.timers_fired = timers_.fired();
  counters.timers_late = timers_.late();
  return view;
}

}  // namespace taskscope::runtime::scheduler
