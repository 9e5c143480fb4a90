#include "taskscope/runtime/scheduler/scheduler.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/scheduler/context.h"
#include "taskscope/runtime/scheduler/directory.h"
#include "taskscope/runtime/scheduler/driver_access.h"
#include "taskscope/runtime/scheduler/random.h"
#include "taskscope/runtime/task/block_in_place.h"
#include "taskscope/runtime/task/blocking_body.h"
#include "taskscope/runtime/task/poll.h"
#include "taskscope/runtime/task/task_local.h"
#include "taskscope/runtime/task/thread_wait.h"

namespace taskscope::runtime::scheduler {

namespace {

std::atomic<std::uint32_t> next_runtime{1};
std::atomic<std::uint32_t> next_worker{1};

/// Ids come from blocks, so that spawning threads share a line once in a thousand times.
observe::TaskId new_task_id() noexcept {
  static std::atomic<std::uint64_t> next_block{1};
  constexpr std::uint64_t kBlock = 1024;
  thread_local std::uint64_t next = 0;
  thread_local std::uint64_t end = 0;
  if (next == end) {
    // Relaxed: only uniqueness matters.
    next = next_block.fetch_add(kBlock, std::memory_order_relaxed);
    end = next + kBlock;
  }
  return observe::TaskId{next++};
}

/// What metrics count apart from tasks.
bool is_call(const task::Header& task) noexcept {
  return task.kind == observe::TaskKind::Blocking || task.kind == observe::TaskKind::BlockOn;
}
/// Where the seeds of roots begin, behind those of workers.
constexpr std::uint64_t kRootSeeds = 1u << 16;

/// Where a slot of the wheel's fourth level begins.
std::uint64_t round_time_after(std::uint64_t now_ns) noexcept {
  constexpr std::uint64_t kSlotNs =
      time::ns_of_tick(std::uint64_t{1} << 3 * time::Wheel::kSlotBits);
  return (now_ns / kSlotNs + 1) * kSlotNs;
}

}  // namespace

Scheduler::Scheduler(Config config)
    : config_(std::move(config)),
      id_(observe::RuntimeId{next_runtime.fetch_add(1, std::memory_order_relaxed)}),
      idle_(config_.workers),
      driver_(config_.max_io_events),
      pool_({.max_threads = config_.max_blocking_threads,
             .keep_alive = config_.thread_keep_alive,
             .thread_name = config_.thread_name + "-b",
             .thread_name_fn = config_.thread_name_fn,
             .thread_stack_bytes = config_.thread_stack_bytes,
             .on_thread_start = on_pool_thread(config_.on_thread_start),
             .on_thread_stop = on_pool_thread(config_.on_thread_stop)}) {
  if (config_.current_thread) {
    clock_.emplace();
    if (config_.start_paused) clock_->pause();
    // The order in which timers of one tick fire depends on where the wheel's slots begin.
    if (config_.start_paused && config_.shuffle_tasks)
      clock_->advance_to(round_time_after(clock_->now_ns()));
  }
  workers_.reserve(config_.workers);
  for (std::uint32_t i = 0; i < config_.workers; ++i) {
    const observe::WorkerId id{next_worker.fetch_add(1, std::memory_order_relaxed)};
    workers_.push_back(std::make_unique<Worker>(*this, i, id, config_.workers));
  }
  Directory::instance().enter(id_, *this);
}

Scheduler::~Scheduler() { Directory::instance().leave(id_); }

void Scheduler::start() {
  if (auto* observer = observe::observer()) observer->on_runtime_started(*this);
  try {
    if (config_.current_thread) return;
    for (auto& worker : workers_) {
      const std::lock_guard lock(threads_mutex_);
      start_thread(*worker);
    }
  } catch (...) {
    shutdown();
    throw;
  }
}

void Scheduler::shutdown() {
  const std::lock_guard once(shutdown_mutex_);
  if (std::exchange(shut_down_, true)) return;
  stop();
  {
    std::unique_lock lock(roots_mutex_);
    core_left_.wait(lock, [this] { return !is_driven_; });
  }
  join_threads();
  pool_.shutdown();
  destroy_all_tasks();
  if (auto* observer = observe::observer()) observer->on_runtime_stopping(*this);
}

void Scheduler::stop() noexcept {
  stopping_.store(true, std::memory_order_seq_cst);
  registry_.close();
  for (auto& worker : workers_) worker->unpark();
  {
    const std::lock_guard lock(threads_mutex_);
    orphaned_.notify_all();
  }
  const std::lock_guard lock(roots_mutex_);
  for (Root* root = roots_; root != nullptr; root = root->next_) root->notify(Root::kLook);
}

void Scheduler::shutdown_elsewhere(std::shared_ptr<Scheduler> scheduler,
                                   std::function<void()> done) {
  scheduler->stop();
  try {
    std::thread([scheduler, done = std::move(done)] {
      scheduler->shutdown();
      done();
    }).detach();
  } catch (const std::system_error&) {
    // No thread to be had: the tasks stay as they are, for ever.
    static_cast<void>(new std::shared_ptr<Scheduler>(std::move(scheduler)));
  }
}

bool Scheduler::is_inside() const noexcept {
  for (const Context* at = &context(); at != nullptr; at = at->outer) {
    if (at->scheduler == this && !at->entered) return true;
  }
  return false;
}

// --- threads of workers
// ------------------------------------------------------------------------------

/// Locked.
void Scheduler::start_thread(Worker& worker) {
  struct Start {
    Scheduler& scheduler;
    Worker& worker;
  };
  const std::string name = config_.thread_name_fn
                               ? config_.thread_name_fn()
                               : config_.thread_name + "-" + std::to_string(worker.index());
  auto start = std::make_unique<Start>(Start{*this, worker});
  auto& thread = *threads_.emplace_back(std::make_unique<Thread>());
  const auto run = [](void* argument) noexcept -> void* {
    const std::unique_ptr<Start> begun(static_cast<Start*>(argument));
    begun->scheduler.run_thread(&begun->worker);
    return nullptr;
  };
  try {
    thread.start(config_.thread_stack_bytes, name, run, start.get());
  } catch (...) {
    threads_.pop_back();
    throw;
  }
  static_cast<void>(start.release());
}

void Scheduler::run_thread(Worker* worker) {
  const auto call = [this](const std::function<void()>& hook) {
    if (!hook) return;
    const ContextScope scope({.scheduler = this});
    hook();
  };
  call(config_.on_thread_start);
  for (; worker != nullptr; worker = adopt_worker()) worker->run(nullptr);
  call(config_.on_thread_stop);
}

Worker* Scheduler::adopt_worker() {
  std::unique_lock lock(threads_mutex_);
  ++spare_threads_;
  orphaned_.wait(lock, [this] { return !orphans_.empty() || is_stopping(); });
  --spare_threads_;
  if (is_stopping()) return nullptr;
  Worker* const worker = orphans_.back();
  orphans_.pop_back();
  return worker;
}

void Scheduler::orphan(Worker& worker) {
  const std::lock_guard lock(threads_mutex_);
  if (spare_threads_ <= orphans_.size()) {
    start_thread(worker);
    return;
  }
  orphans_.push_back(&worker);
  orphaned_.notify_one();
}

void Scheduler::join_threads() {
  for (;;) {
    std::unique_ptr<Thread> thread;
    {
      const std::lock_guard lock(threads_mutex_);
      if (threads_.empty()) return;
      thread = std::move(threads_.back());
      threads_.pop_back();
    }
    thread->join();
  }
}

void Scheduler::leave_worker() {
  Context& here = context();
  Worker& worker = *here.worker;
  task::Header& task = *here.task;
  if (is_stopping()) return;  // it has nothing more to do
  // For watchers the poll ends here, and one on no worker begins: polls of a worker never overlap.
  const bool watched = observe::wants(observe::Event::Poll);
  const observe::Ticks now = watched ? observe::read_ticks() : observe::Ticks{};
  worker.leave();
  here.worker = nullptr;
  try {
    orphan(worker);
  } catch (...) {
    here.worker = &worker;
    worker.come_back(task);
    throw;
  }
  task.polls.store(task.polls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  foreign_polls_.fetch_add(1, std::memory_order_relaxed);
  if (watched) {
    observe::observer()->on_poll_ended(task.id, worker.id(), now, observe::PollEnd::Yielded, {});
    observe::observer()->on_poll_started(task.id, observe::WorkerId::None, now);
  }
}

// --- block_on
// ----------------------------------------------------------------------------------------

void Scheduler::drive(task::Header& task) {
  Root root(task);
  task.thread = &root;
  enlist(root);
  {
    const ContextScope scope({.scheduler = this, .root = &root});
    while (!task.state.is_complete()) {
      if (is_stopping()) [[unlikely]] {
        // False: it is scheduled, and its next poll is the last.
        if (task.state.to_cancelled()) root.note_ready();
      } else if (config_.current_thread && take_core()) {
        workers_.front()->run(&root);
        leave_core(root);
        continue;
      }
      const auto bits = root.take();
      if ((bits & Root::kReady) != 0) poll_elsewhere(task, nullptr);
      if (!root.run_local(*this, nullptr) && bits == 0) root.sleep();
    }
  }
  delist(root);
  if (task.outcome == observe::Outcome::Cancelled) rethrow_unhandled();
}

void Scheduler::enlist(Root& root) noexcept {
  const std::lock_guard lock(roots_mutex_);
  root.random_ =
      static_cast<std::uint32_t>(mixed(config_.rng_seed.value_or(0) + kRootSeeds + roots_made_++));
  root.next_ = roots_;
  if (roots_ != nullptr) roots_->previous_ = &root;
  roots_ = &root;
}

void Scheduler::delist(Root& root) noexcept {
  const std::lock_guard lock(roots_mutex_);
  (root.previous_ != nullptr ? root.previous_->next_ : roots_) = root.next_;
  if (root.next_ != nullptr) root.next_->previous_ = root.previous_;
  // It may have been told to drive, and ended instead.
  offer_core(nullptr);
}

bool Scheduler::take_core() noexcept {
  const std::lock_guard lock(roots_mutex_);
  return !is_stopping() && !std::exchange(is_driven_, true);
}

void Scheduler::leave_core(const Root& root) noexcept {
  const std::lock_guard lock(roots_mutex_);
  is_driven_ = false;
  core_left_.notify_all();
  offer_core(&root);
}

/// Has some thread in block_on drive the runtime, if none does. Locked.
void Scheduler::offer_core(const Root* except) noexcept {
  if (!config_.current_thread || is_driven_) return;
  Root* const heir = roots_ == except && roots_ != nullptr ? roots_->next_ : roots_;
  if (heir != nullptr) heir->notify(Root::kLook);
}

void Scheduler::unhandled(std::exception_ptr exception) noexcept {
  if (config_.unhandled == UnhandledException::Ignore || is_stopping()) return;
  if (config_.unhandled == UnhandledException::Terminate) {
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "taskscope: a task ended with an exception that nobody awaited: %s\n",
                   error.what());
    } catch (...) {
      std::fputs("taskscope: a task ended with an exception that nobody awaited\n", stderr);
    }
    std::terminate();
  }
  {
    const std::lock_guard lock(roots_mutex_);
    if (!failure_) failure_ = std::move(exception);
  }
  stop();
}

void Scheduler::rethrow_unhandled() {
  std::exception_ptr failure;
  {
    const std::lock_guard lock(roots_mutex_);
    failure = failure_;
  }
  if (!failure) return;
  // A thread of the pool can't wait for its own end; then who owns the runtime shuts it down.
  if (!is_inside()) shutdown();
  try {
    std::rethrow_exception(std::move(failure));
  } catch (const std::exception& error) {
    std::throw_with_nested(std::runtime_error(
        std::string("the runtime was shut down: a task ended with an exception that nobody "
                    "awaited: ") +
        error.what()));
  } catch (...) {
    std::throw_with_nested(std::runtime_error(
        "the runtime was shut down: a task ended with an exception that nobody awaited"));
  }
}

// --- the test clock
// ----------------------------------------------------------------------------------

void Scheduler::clock_moved() noexcept {
  Worker& worker = *workers_.front();
  if (context().worker != &worker) return worker.unpark();
  task::WakeBatch batch;
  advance_timers(now_ns(), batch);
}

void Scheduler::jump_to_next_deadline() noexcept {
  const auto deadline_ns = next_deadline_ns();
  if (deadline_ns != kForever) clock_->advance_to(deadline_ns);
}

void Scheduler::blocking_ended() noexcept {
  if (!clock_) return;
  blocking_calls_.fetch_sub(1, std::memory_order_relaxed);
  // It may jump now.
  if (is_paused()) workers_.front()->unpark();
}

std::function<void()> Scheduler::on_pool_thread(const std::function<void()>& hook) {
  if (!hook) return {};
  return [this, &hook] {
    const ContextScope scope({.scheduler = this, .may_block = true});
    hook();
  };
}

void Scheduler::destroy_all_tasks() noexcept {
  const ContextScope scope({.scheduler = this});
  // Who takes a task owns it alone: idle ones are taken here; those that were woken are in a queue,
  // or in the hands of a thread outside the runtime that is about to put them into one. Destroying
  // one may wake others, never revive them.
  // Not a vector: a shutdown must not fail for want of memory.
  constexpr std::size_t kAtOnce = 64;
  std::array<task::Header*, kAtOnce> taken;
  for (;;) {
    bool living = false;
    bool progress = false;
    std::uint32_t shard = 0;
    std::uint64_t index = 0;
    for (bool more = true; more;) {
      std::size_t count = 0;
      more = registry_.visit(shard, index, kAtOnce, [&](task::Header& task) {
        // These belong to their threads.
        if (task.kind == observe::TaskKind::BlockOn || task.kind == observe::TaskKind::Local)
          return;
        living = true;
        if (task.kind == observe::TaskKind::Blocking) return;
        if (task.state.to_cancelled()) taken[count++] = &task;
      });
      progress = progress || count != 0;
      for (std::size_t i = 0; i < count; ++i) destroy_scheduled(*taken[i]);
    }
    if (!living) return;
    progress = destroy_queued() || progress;
    if (!progress) std::this_thread::yield();
  }
}

bool Scheduler::destroy_queued() noexcept {
  bool any = false;
  const auto destroy = [&](task::Header* task) {
    any = any || task != nullptr;
    if (task != nullptr) destroy_scheduled(*task);
    return task != nullptr;
  };
  for (auto& worker : workers_) {
    destroy(worker->lifo_.steal());
    while (destroy(worker->queue_.pop())) {
    }
  }
  std::size_t count = 0;
  while (destroy(injection_.pop_chain(1, count))) {
  }
  return any;
}

void Scheduler::destroy_scheduled(task::Header& task) noexcept {
  static_cast<void>(task.state.to_running());
  context().task = &task;
  cancel_taken(task);
  finish(task, {});
  context().task = nullptr;
}

void Scheduler::adopt(task::Header& task, const task::BodyOps& ops, const SpawnOptions& options) {
  Context& here = context();
  Worker* worker = here.scheduler == this ? here.worker : nullptr;
  task.scheduler = this;
  task.ops = &ops;
  task.id = new_task_id();
  task.parent = here.task != nullptr ? here.task->id : observe::TaskId::None;
  task.site = options.site;
  task.label = options.label;
  task.kind = options.kind;
  task.runtime = id_;
  task.spawned_ms = worker != nullptr
                        ? worker->now_ms()
                        : static_cast<std::uint32_t>(observe::monotonic_ns() / 1'000'000);
  task.state.init_scheduled();
  if (worker != nullptr) {
    worker->spawns.add();
  } else {
    foreign_spawns_.fetch_add(1, std::memory_order_relaxed);
  }
  if (observe::wants(observe::Event::Task)) [[unlikely]]
    report_spawned(task);
  const std::uint32_t shard = worker != nullptr
                                  ? Registry::shard_of(worker->index(), worker->spawns.get())
                                  : next_shard_.fetch_add(1, std::memory_order_relaxed);
  const auto entered = registry_.insert(task, shard);
  if (entered != Registry::Entered::Yes) {
    task.slot = ~0u;
    if (is_call(task)) calls_spawned_.fetch_add(1, std::memory_order_relaxed);
    static_cast<void>(task.state.to_cancelled());
    static_cast<void>(task.state.to_running());
    cancel_taken(task);
    finish(task, {});
    if (entered == Registry::Entered::OutOfMemory) throw std::bad_alloc();
    return;
  }
  if (is_call(task)) {
    calls_spawned_.fetch_add(1, std::memory_order_relaxed);
  } else if (task.kind != observe::TaskKind::Task) {
    return;
  } else if (worker != nullptr) {
    worker->submit(&task);
  } else {
    submit(&task);
  }
}

void Scheduler::report_spawned(const task::Header& task) const noexcept {
  std::array<observe::Field, 16> fields;
  std::size_t count = 0;
  observe::TaskSpawned spawned;
  if (task.label != nullptr) {
    spawned.name = task.label->name;
    for (const auto& [key, value] : task.label->fields) {
      if (count < fields.size()) fields[count++] = {key, value};
    }
  }
  spawned.task = task.id;
  spawned.parent = task.parent;
  spawned.kind = task.kind;
  spawned.runtime = id_;
  spawned.site = task.site;
  spawned.fields = std::span(fields.data(), count);
  spawned.frame_bytes = task.frame_bytes;
  observe::observer()->on_task_spawned(spawned, observe::read_ticks());
}

void Scheduler::submit(task::Header* task) noexcept {
  if (task->kind != observe::TaskKind::Task) [[unlikely]]
    return submit_special(task);
  const Context& here = context();
  if (here.worker != nullptr && here.scheduler == this) {
    here.worker->submit(task);
    return;
  }
  remote_schedules_.fetch_add(1, std::memory_order_relaxed);
  if (config_.histograms.schedule_latency) [[unlikely]]
    task->scheduled_at = metrics::QueueStamp::at(observe::read_ticks());
  injection_.push(task);
  notify_one();
}

void Scheduler::submit_special(task::Header* task) noexcept {
  if (task->kind == observe::TaskKind::Blocking) return;  // the pool has it
  if (task->kind == observe::TaskKind::Local) return task->label->local->submit(task);
  Root& root = *task->thread;
  if (context().root == &root) return root.note_ready();
  wake_root(root, Root::kReady);
}

void Scheduler::wake_root(Root& root, std::uint32_t bits) noexcept {
  root.notify(bits);
  // Its thread may be the one that drives, and sleep there.
  if (config_.current_thread) workers_.front()->unpark();
}

void Scheduler::notify_one() noexcept {
  const auto worker = idle_.notify_after_fence();
  if (worker != IdleSet::kNobody) workers_[worker]->unpark();
}

bool Scheduler::anything_queued() const noexcept {
  IdleSet::look_again();
  bool any = injection_.size() != 0;
  for (const auto& worker : workers_) any = any || !worker->queue_.empty();
  return any;
}

void Scheduler::notify_one_published() noexcept {
  const auto worker = idle_.notify();
  if (worker != IdleSet::kNobody) workers_[worker]->unpark();
}

template <bool kMetered>
bool Scheduler::poll(task::Header& task, Worker& worker) {
  observe::Ticks metered_from{};
  if constexpr (kMetered) metered_from = worker.meter_start(task);
  const auto taken = task.state.to_running();
  Context& here = context();
  here.task = &task;
  const auto sequence = worker.poll_sequence_.load(std::memory_order_relaxed) + 1;
  worker.poll_sequence_.store(sequence, std::memory_order_relaxed);
  worker.current_.store(observe::number(task.id), std::memory_order_relaxed);
  task.last_poll_ms.store(worker.now_ms_, std::memory_order_relaxed);
  task.polls.store(task.polls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  if (observe::wants_any()) [[unlikely]]
    report_poll_started(task, &worker);

  bool done = true;
  if (taken == task::State::Taken::Poll) [[likely]] {
    task::poll_body(task);
    done = task.body_done();
    if (done && task.ops->end(task)) [[unlikely]]
      task.outcome = observe::Outcome::Exception;
  } else {
    cancel_taken(task);
  }

  if (here.worker != &worker) [[unlikely]] {
    end_elsewhere(task, nullptr, done);
    return false;
  }
  observe::Ticks now{};
  if (observe::wants_any()) [[unlikely]]
    now = report_poll_ended(task, &worker, done);
  worker.current_.store(0, std::memory_order_relaxed);
  here.task = nullptr;
  if (done) {
    std::uint32_t polls = 0;
    if constexpr (kMetered) polls = task.polls.load(std::memory_order_relaxed);
    finish(task, now);
    if constexpr (kMetered) worker.meter_end(metered_from, polls);
    return true;
  }
  if (task.again != 0) {
    if ((task.again & task::Header::kOutOfBudget) != 0) worker.budget_yields.add();
    if constexpr (kMetered) worker.stamp(task, true);
    worker.requeue(&task);
  } else if (task.state.to_idle()) {
    worker.submit(&task);
  }
  if constexpr (kMetered) worker.meter_end(metered_from, 0);
  return true;
}
template bool Scheduler::poll<false>(task::Header&, Worker&);
template bool Scheduler::poll<true>(task::Header&, Worker&);

void Scheduler::poll_elsewhere(task::Header& task, Worker* worker) {
  const auto taken = task.state.to_running();
  Context& here = context();
  here.task = &task;
  if (worker != nullptr) {
    worker->poll_sequence_.store(worker->poll_sequence_.load(std::memory_order_relaxed) + 1,
                                 std::memory_order_relaxed);
    worker->current_.store(observe::number(task.id), std::memory_order_relaxed);
  } else {
    foreign_polls_.fetch_add(1, std::memory_order_relaxed);
  }
  task.last_poll_ms.store(static_cast<std::uint32_t>(observe::monotonic_ns() / 1'000'000),
                          std::memory_order_relaxed);
  task.polls.store(task.polls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  report_poll_started(task, worker);

  bool done = true;
  if (taken == task::State::Taken::Cancel) {
    cancel_taken(task);
  } else {
    bool threw = false;
    if (task.ops->run != nullptr) {
      threw = task.ops->run(task);
    } else {
      task::poll_body(task);
      done = task.body_done();
      if (done) threw = task.ops->end(task);
    }
    if (threw) task.outcome = observe::Outcome::Exception;
  }

  end_elsewhere(task, worker, done);
}

void Scheduler::end_elsewhere(task::Header& task, Worker* worker, bool done) noexcept {
  const observe::Ticks now = report_poll_ended(task, worker, done);
  if (worker != nullptr) worker->current_.store(0, std::memory_order_relaxed);
  context().task = nullptr;
  if (done) {
    finish(task, now);
    return;
  }
  if ((task.again & task::Header::kOutOfBudget) != 0) {
    if (worker != nullptr) {
      worker->budget_yields.add();
    } else {
      foreign_budget_yields_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  if (task.again != 0 || task.state.to_idle()) submit(&task);
}

void Scheduler::report_poll_started(const task::Header& task, Worker* worker) noexcept {
  if (!observe::wants(observe::Event::Poll)) return;
  // The end of the poll before, where nothing came between.
  const bool carried =
      worker != nullptr &&
      worker->carried_after_ + 1 == worker->poll_sequence_.load(std::memory_order_relaxed);
  observe::observer()->on_poll_started(task.id,
                                       worker != nullptr ? worker->id() : observe::WorkerId::None,
                                       carried ? worker->carried_ticks_ : observe::read_ticks());
}

observe::Ticks Scheduler::report_poll_ended(task::Header& task, Worker* worker,
                                            bool done) noexcept {
  using observe::Event;
  if (!observe::wants(Event::Poll)) {
    return done && observe::wants(Event::Task) ? observe::read_ticks() : observe::Ticks{};
  }
  const observe::Ticks now = observe::read_ticks();
  if (worker != nullptr) {
    worker->carried_ticks_ = now;
    worker->carried_after_ = worker->poll_sequence_.load(std::memory_order_relaxed);
  }
  const auto end = done                                             ? observe::PollEnd::Ready
                   : (task.again & task::Header::kOutOfBudget) != 0 ? observe::PollEnd::OutOfBudget
                   : task.again != 0                                ? observe::PollEnd::Yielded
                                                                    : observe::PollEnd::Pending;
  std::array<observe::Wait, task::kMaxReportedWaits> waits;
  std::size_t count = 0;
  if (end == observe::PollEnd::Pending && observe::wants(Event::Wait)) {
    count = task::collect_waits(task, waits);
  }
  observe::observer()->on_poll_ended(task.id,
                                     worker != nullptr ? worker->id() : observe::WorkerId::None,
                                     now, end, std::span(waits.data(), count));
  return now;
}

void Scheduler::cancel_taken(task::Header& task) noexcept {
  task.outcome = observe::Outcome::Cancelled;
  task.ops->destroy(task);
}

void Scheduler::finish(task::Header& task, observe::Ticks now) noexcept {
  if (observe::wants(observe::Event::Task)) [[unlikely]]
    report_finished(task, now != observe::Ticks{} ? now : observe::read_ticks());
  const Context& here = context();
  if (Worker* const worker = here.worker; worker != nullptr && here.scheduler == this) {
    worker->finishes.add();
  } else {
    foreign_finishes_.fetch_add(1, std::memory_order_relaxed);
    // No worker runs these.
    if (is_call(task)) calls_finished_.fetch_add(1, std::memory_order_relaxed);
  }
  if (task.slot != ~0u) registry_.remove(task);
  task::complete(task);
}

void Scheduler::report_finished(task::Header& task, observe::Ticks now) noexcept {
  observe::TaskFinished finished;
  finished.task = task.id;
  finished.outcome = task.outcome;
  finished.site = task.site;
  if (task.outcome != observe::Outcome::Exception) {
    observe::observer()->on_task_finished(finished, now);
    return;
  }
  try {
    std::rethrow_exception(task.ops->exception(task));
  } catch (const std::exception& error) {
    finished.error = error.what();
    observe::observer()->on_task_finished(finished, now);
  } catch (...) {
    finished.error = "an exception that is no std::exception";
    observe::observer()->on_task_finished(finished, now);
  }
}

void Scheduler::advance_timers(std::uint64_t now_ns, task::WakeBatch& batch) {
  for (auto& worker : workers_) {
    if (worker->timers_.next_deadline_ns() <= now_ns) worker->timers_.advance(now_ns, batch);
  }
}

std::uint64_t Scheduler::next_deadline_ns() noexcept {
  std::uint64_t earliest = kForever;
  for (auto& worker : workers_) earliest = std::min(earliest, worker->timers_.next_deadline_ns());
  return earliest;
}

void Scheduler::timer_inserted(time::Timers& timers, std::uint64_t deadline_ns) noexcept {
  // A worker that enters a timer into its own wheel says so before it sleeps; and should it get
  // stuck, the watch does.
  const Context& here = context();
  if (here.worker != nullptr && &here.worker->timers_ == &timers) return;
  wake_driver_before(deadline_ns);
}
void Scheduler::wake_driver_before(std::uint64_t deadline_ns) noexcept {
  if (driver_deadline_.sleeps_beyond(deadline_ns)) driver_.unpark();
}

/// `worker` begins to work: somebody who still sleeps has to keep watch.
void Scheduler::end_watch(std::uint32_t worker) noexcept {
  watch_.give_up(worker);
  if (stopping_.load(std::memory_order_relaxed) || idle_.awake() == workers_.size()) return;
  // This worker counts as awake and watches no more, and now reads until when the one in the driver
  // sleeps, or whether the watch is deep; that one wrote this and then reads who is awake and who
  // watches. seq_cst: forbids that both read what was before.
  fence(std::memory_order_seq_cst);
  auto watcher = watch_.keeper();
  if (watcher == IdleSet::kNobody) {
    if (const auto until_ns = driver_deadline_.load(); until_ns != 0) {
      // It sleeps on an event, not on its word. Unless it wakes soon anyway, it has to sleep anew.
      if (until_ns > observe::monotonic_ns() + kWatchNs) driver_.unpark();
      return;
    }
    watcher = idle_.any_sleeper();
  } else if (!watch_.is_deep()) {
    return;
  }
  // It looks around and goes on sleeping, with a limit.
  if (watcher != IdleSet::kNobody && watcher != worker) workers_[watcher]->park_word_.stir();
}

bool Scheduler::rescue(Worker& worker) {
  const std::uint64_t now_ns = observe::monotonic_ns();
  if (next_deadline_ns() <= now_ns) {
    task::WakeBatch batch;
    advance_timers(now_ns, batch);
  }
  // Two looks at least half a watch apart at the same poll: that worker is stuck in it.
  if (now_ns - worker.looked_at_ns_ >= 5'000'000) {
    worker.looked_at_ns_ = now_ns;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Worker& other = *workers_[i];
      if (&other == &worker) continue;
      const auto sequence = other.poll_sequence_.load(std::memory_order_relaxed);
      const bool stuck =
          sequence == worker.seen_polls_[i] && other.current_.load(std::memory_order_relaxed) != 0;
      worker.seen_polls_[i] = sequence;
      if (!stuck) continue;
      if (task::Header* task = other.lifo_.steal()) {
        worker.push_back(task);
      } else if (task::Header* stolen = worker.steal_from(other)) {
        worker.push_back(stolen);
      }
    }
  }
  return worker.has_work();
}

std::uint64_t Scheduler::count_wakes() const noexcept {
  std::uint64_t sum = foreign_wakes_.load(std::memory_order_relaxed);
  for (const auto& worker : workers_) sum += worker->wakes.get();
  return sum;
}
std::uint64_t Scheduler::count_polls() const noexcept {
  std::uint64_t sum = foreign_polls_.load(std::memory_order_relaxed);
  for (const auto& worker : workers_) sum += worker->poll_sequence_.load(std::memory_order_relaxed);
  return sum;
}
std::uint64_t Scheduler::count_finished() const noexcept {
  std::uint64_t sum = foreign_finishes_.load(std::memory_order_relaxed);
  for (const auto& worker : workers_) sum += worker->finishes.get();
  return sum;
}

std::uint64_t Scheduler::count_spawned() const noexcept {
  std::uint64_t sum = foreign_spawns_.load(std::memory_order_relaxed);
  for (const auto& worker : workers_) sum += worker->spawns.get();
  return sum;
}

// --- what time, io and blocking ask
// -------------------------------------------------------------------

time::Timers& current_timers() noexcept {
  const Context& here = context();
  return here.worker != nullptr ? here.worker->timers() : here.scheduler->any_timers();
}

time::TestClock* current_clock() noexcept {
  Scheduler* const scheduler = context().scheduler;
  return scheduler != nullptr ? scheduler->clock() : nullptr;
}

void clock_moved() noexcept { context().scheduler->clock_moved(); }

void timer_inserted(time::Timers& timers, std::uint64_t deadline_ns) noexcept {
  context().scheduler->timer_inserted(timers, deadline_ns);
}

namespace {
Scheduler& current_scheduler(const char* what) {
  Scheduler* scheduler = context().scheduler;
  if (scheduler == nullptr) {
    throw std::logic_error(
        std::string(what) +
        " outside a runtime: call it from a task or from within Runtime::block_on");
  }
  return *scheduler;
}
}  // namespace

io::Driver& current_driver() { return current_scheduler("a socket or pipe was used").driver(); }
blocking::Pool& current_pool() { return current_scheduler("spawn_blocking was called").pool(); }

}  // namespace taskscope::runtime::scheduler

std::uint64_t taskscope::runtime::time::detail::runtime_now_ns() noexcept {
  const auto* const scheduler = scheduler::context().scheduler;
  return scheduler != nullptr ? scheduler->now_ns() : observe::monotonic_ns();
}

// --- what tasks ask
// -----------------------------------------------------------------------------------

namespace taskscope::runtime::task {

using scheduler::Context;
using scheduler::context;

namespace {
/// Calls `visit` with the scheduler of a task, if it still lives.
template <class Visit>
void with_scheduler(const Header& task, Visit&& visit) noexcept {
  // A thread inside the runtime keeps it alive.
  if (context().scheduler == task.scheduler) return visit(*task.scheduler);
  scheduler::Directory::instance().visit(task.runtime, visit);
}
}  // namespace

void submit(Header* task) noexcept {
  if (task == nullptr) return;
  const Context& here = context();
  if (here.worker != nullptr && here.scheduler == task->scheduler && task->kind == TaskKind::Task)
      [[likely]] {
    here.worker->submit(task);
    return;
  }
  with_scheduler(*task, [task](scheduler::Scheduler& scheduler) { scheduler.submit(task); });
}

void wake_thread(Header& task) noexcept {
  if (ThreadHeader::is(task)) {
    static_cast<ThreadHeader&>(task).wake();
  } else {
    submit(&task);
  }
}

TaskId current_task_id() noexcept {
  const Header* task = context().task;
  return task != nullptr ? task->id : TaskId::None;
}

WakeOrigin::WakeOrigin(observe::WakeCause cause, int fd) noexcept {
  Context& here = context();
  had_ = here.has_origin;
  cause_before_ = here.cause;
  fd_before_ = here.fd;
  here.has_origin = true;
  here.cause = cause;
  here.fd = fd;
}
WakeOrigin::~WakeOrigin() {
  Context& here = context();
  here.has_origin = had_;
  here.cause = cause_before_;
  here.fd = fd_before_;
}
void WakeOrigin::set_fd(int fd) noexcept { context().fd = fd; }

namespace {
void tell_of_wake(const Header& task, BranchId branch, observe::ResourceId resource) noexcept {
  const Context& here = context();
  if (ThreadHeader::is(task)) return;  // no poll follows
  observe::Woken woken;
  woken.task = task.id;
  woken.branch = branch;
  woken.resource = resource;
  if (here.has_origin) {
    woken.cause = here.cause;
    woken.fd = here.fd;
  } else if (here.task != nullptr) {
    woken.cause = here.task->kind == TaskKind::Blocking ? observe::WakeCause::Blocking
                                                        : observe::WakeCause::Task;
    woken.by = here.task->id;
  }
  observe::observer()->on_woken(woken, observe::read_ticks());
}

/// Apart, so that the usual way needs no frame.
[[gnu::noinline]] void report_foreign_wake(const Header& task, BranchId branch,
                                           observe::ResourceId resource) noexcept {
  with_scheduler(task, [](scheduler::Scheduler& scheduler) { scheduler.count_foreign_wake(); });
  if (observe::wants(observe::Event::Wake)) tell_of_wake(task, branch, resource);
}
}  // namespace

void report_wake(Header& task, BranchId branch, observe::ResourceId resource) noexcept {
  const Context& here = context();
  if (here.worker == nullptr || here.scheduler != task.scheduler) [[unlikely]]
    return report_foreign_wake(task, branch, resource);
  here.worker->wakes.add();
  if (observe::wants(observe::Event::Wake)) [[unlikely]]
    tell_of_wake(task, branch, resource);
}

const LocalValue*& local_values() noexcept { return context().locals; }

OffWorker::OffWorker() {
  Context& here = context();
  if (here.scheduler != nullptr && here.scheduler->config().current_thread && !here.may_block) {
    throw std::logic_error(
        "block_in_place was called in a current_thread runtime, which has no other thread to go "
        "on with: use spawn_blocking");
  }
  if (here.worker != nullptr && here.task != nullptr) here.scheduler->leave_worker();
  might_block_ = std::exchange(here.may_block, true);
}
OffWorker::~OffWorker() { context().may_block = might_block_; }

void report_unhandled(const Header& task, std::exception_ptr exception) noexcept {
  with_scheduler(task, [&exception](scheduler::Scheduler& scheduler) {
    scheduler.unhandled(std::move(exception));
  });
}

std::uint32_t next_random() noexcept {
  const Context& here = context();
  if (here.worker != nullptr) return here.worker->next_random();
  if (here.root != nullptr) return here.root->next_random();
  thread_local std::uint32_t state = 0x2545f491u;
  state = state * 1664525u + 1013904223u;  // Numerical Recipes; only off the workers
  return state >> 8;
}

void run_blocking(Header& call) noexcept {
  auto& scheduler = *call.scheduler;
  const scheduler::ContextScope scope({.scheduler = &scheduler, .may_block = true});
  scheduler.poll_elsewhere(call, nullptr);
  scheduler.blocking_ended();
}

void cancel_blocking(Header& call) noexcept {
  auto& scheduler = *call.scheduler;
  const scheduler::ContextScope scope({.scheduler = &scheduler});
  static_cast<void>(call.state.to_cancelled());
  scheduler.poll_elsewhere(call, nullptr);
  scheduler.blocking_ended();
}

}  // namespace taskscope::runtime::task
