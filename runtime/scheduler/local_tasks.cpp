#include "taskscope/runtime/scheduler/local_tasks.h"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "taskscope/runtime/scheduler/context.h"
#include "taskscope/runtime/scheduler/root.h"
#include "taskscope/runtime/scheduler/scheduler.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime::scheduler {

namespace {
/// Polled in a row before the root and the other tasks of the thread have their turn; as in tokio.
constexpr int kTurn = 61;
}  // namespace

void LocalTasks::submit(task::Header* task) noexcept {
  // The thread looks here before it sleeps.
  if (std::this_thread::get_id() == owner_) return push(task);
  task->queue_next = nullptr;
  const std::lock_guard lock(mutex_);
  (remote_last_ != nullptr ? remote_last_->queue_next : remote_first_) = task;
  remote_last_ = task;
  has_remote_.store(true, std::memory_order_relaxed);  // published by the wake, or the lock
  if (root_ != nullptr) task->scheduler->wake_root(*root_, Root::kLook);
}

LocalTasks& LocalTasks::current() {
  const Context& here = context();
  if (here.task != nullptr && here.task->kind == task::TaskKind::Local)
    return *here.task->label->local;
  if (here.root != nullptr && here.task == &here.root->task && here.root->local() != nullptr)
    return *here.root->local();
  throw std::logic_error(
      "spawn_local was called outside a LocalSet: call it from a local task or within "
      "LocalSet::run_until, or call LocalSet::spawn_local");
}

Scheduler& LocalTasks::bind() {
  if (std::this_thread::get_id() != owner_) {
    throw std::logic_error("a LocalSet was used on another thread than it was made on");
  }
  if (!scheduler_) {
    Scheduler* const here = context().scheduler;
    if (here == nullptr) {
      throw std::logic_error(
          "LocalSet::spawn_local was called outside a runtime: call it within block_on, or enter "
          "the runtime first");
    }
    scheduler_ = here->shared_from_this();
  }
  return *scheduler_;
}

void LocalTasks::adopt(task::Header& task) noexcept {
  if (task.state.is_complete()) return;  // the runtime had shut down
  if (closed_) {
    static_cast<void>(task.state.to_cancelled());
    const ContextScope scope({.scheduler = task.scheduler, .root = context().root});
    task.scheduler->destroy_scheduled(task);
    return;
  }
  task.add_reference();
  task.label->next_local = living_;
  if (living_ != nullptr) living_->label->previous_local = &task;
  living_ = &task;
  ++size_;
  push(&task);
}

void LocalTasks::push(task::Header* task) noexcept {
  task->queue_next = nullptr;
  (last_ != nullptr ? last_->queue_next : first_) = task;
  last_ = task;
}

task::Header* LocalTasks::pop() noexcept {
  if (has_remote_.load(std::memory_order_relaxed)) {
    const std::lock_guard lock(mutex_);
    (last_ != nullptr ? last_->queue_next : first_) = std::exchange(remote_first_, nullptr);
    last_ = std::exchange(remote_last_, nullptr);
    has_remote_.store(false, std::memory_order_relaxed);
  }
  task::Header* const task = first_;
  if (task == nullptr) return nullptr;
  first_ = task->queue_next;
  if (first_ == nullptr) last_ = nullptr;
  return task;
}

bool LocalTasks::run(Scheduler& scheduler, Worker* worker) {
  int polls = 0;
  const auto kept = weak_from_this().lock();  // a task may drop the set
  while (polls < kTurn) {
    task::Header* const task = pop();
    if (task == nullptr) break;
    ++polls;
    scheduler.poll_elsewhere(*task, worker);
    if (task->state.is_complete()) forget(*task);
    if (closed_) destroy_all();
  }
  return polls != 0;
}

void LocalTasks::forget(task::Header& task) noexcept {
  task::Label& label = *task.label;
  (label.previous_local != nullptr ? label.previous_local->label->next_local : living_) =
      label.next_local;
  if (label.next_local != nullptr) label.next_local->label->previous_local = label.previous_local;
  task.drop_reference();
  if (--size_ != 0 || waiter_ == nullptr) return;
  const task::Branch& branch = *waiter_->branch();
  task::report_wake(branch.task(), branch.id, observe::ResourceId::None);
  task::submit(branch.task().notify(branch.id));
}

void LocalTasks::destroy(task::Header& task) noexcept {
  task.scheduler->destroy_scheduled(task);
  forget(task);
}

void LocalTasks::close() noexcept {
  if (std::this_thread::get_id() != owner_) {
    std::fputs("taskscope: a LocalSet was dropped on another thread than it was made on\n", stderr);
    std::abort();
  }
  closed_ = true;
  destroy_all();
}

void LocalTasks::destroy_all() noexcept {
  const auto kept = weak_from_this().lock();
  const Context& here = context();
  task::Header* const running = here.task;
  // Their destructors run where the tasks ran, in none of them.
  const ContextScope scope(
      {.scheduler = here.scheduler != nullptr ? here.scheduler : scheduler_.get(),
       .worker = here.worker,
       .root = here.root});
  for (;;) {
    while (task::Header* task = pop()) {
      static_cast<void>(task->state.to_cancelled());
      destroy(*task);
    }
    task::Header* task = living_;
    if (task != nullptr && task == running) task = task->label->next_local;
    if (task == nullptr) break;
    if (task->state.to_cancelled()) {
      destroy(*task);
    } else {
      yield_thread();  // another thread is about to queue it
    }
  }
  if (living_ == nullptr) scheduler_.reset();
}

LocalTasks::Attachment::Attachment(std::shared_ptr<LocalTasks> tasks) : tasks_(std::move(tasks)) {
  const Context& here = context();
  if (here.root == nullptr || here.task != &here.root->task) {
    throw std::logic_error(
        "a LocalSet was awaited by a spawned task: its tasks run on the thread in block_on, so "
        "await it in the task that block_on was given");
  }
  if (&tasks_->bind() != here.scheduler) {
    throw std::logic_error("a LocalSet was awaited in another runtime than its tasks belong to");
  }
  const std::lock_guard lock(tasks_->mutex_);
  if (tasks_->root_ != nullptr) throw std::logic_error("a LocalSet was awaited twice at a time");
  tasks_->root_ = here.root;
  here.root->attach(*tasks_);
}

LocalTasks::Attachment::~Attachment() {
  const std::lock_guard lock(tasks_->mutex_);
  tasks_->root_->detach(*tasks_);
  tasks_->root_ = nullptr;
}

}  // namespace taskscope::runtime::scheduler
