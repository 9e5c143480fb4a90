/// Queueing what was woken: collect under the lock, submit after it.
#pragma once

#include <cstddef>
#include <exception>
#include <utility>

#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::task {

/// Puts a task that `fire`, `notify` or a state transition returned into the queue where it
/// belongs: the LIFO slot or local queue of the calling worker, else the injection queue. Null is
/// ignored. Must be called without a lock that a polled task could want.
void submit(Header* task) noexcept;
/// The same for a task of kind block_on, or a thread that waits in its place: has no link, takes no
/// lock.
void wake_thread(Header& task) noexcept;

/// Tasks woken under a lock, submitted when it is gone. Declare it *before* the lock guard, or call
/// submit_all. Holds any number; who may wake very many under one lock lets them run in between:
/// `if (batch.full()) { unlock; batch.submit_all(); lock; }`.
class WakeBatch {
 public:
  WakeBatch() = default;
  WakeBatch(const WakeBatch&) = delete;
  WakeBatch& operator=(const WakeBatch&) = delete;
  ~WakeBatch() { submit_all(); }

  void add(Header* task) noexcept {
    if (task == nullptr) return;
    if (task->kind == TaskKind::BlockOn) {
      wake_thread(*task);
      return;
    }
    // Until it is queued the link is free for whoever has to queue it.
    task->queue_next = nullptr;
    (last_ != nullptr ? last_->queue_next : first_) = task;
    last_ = task;
    ++size_;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  static constexpr std::size_t kFull = 32;
  [[nodiscard]] bool full() const noexcept { return size_ >= kFull; }
  void submit_all() noexcept {
    last_ = nullptr;
    size_ = 0;
    // Read the link first: a submitted task is another one's.
    for (Header* task = std::exchange(first_, nullptr); task != nullptr;) {
      submit(std::exchange(task, task->queue_next));
    }
  }

 private:
  Header* first_ = nullptr;
  Header* last_ = nullptr;
  std::size_t size_ = 0;
};

/// Says for the current scope why the wakes of this thread happen: the driver and the wheels use
/// it. Without one, the cause is the task being polled, else a foreign thread.
class WakeOrigin {
 public:
  explicit WakeOrigin(observe::WakeCause cause, int fd = -1) noexcept;
  ~WakeOrigin();
  WakeOrigin(const WakeOrigin&) = delete;
  WakeOrigin& operator=(const WakeOrigin&) = delete;
  void set_fd(int fd) noexcept;

 private:
  bool had_ = false;
  observe::WakeCause cause_before_{};
  int fd_before_ = -1;
};

/// Tells the observer about a wake, if it wants to know; `by` and cause come from the calling
/// context.
void report_wake(Header& task, BranchId branch, observe::ResourceId resource) noexcept;

/// A task ended with an exception, and is forgotten without that anybody took it.
void report_unhandled(const Header& task, std::exception_ptr exception) noexcept;

/// The id of the task that the calling thread polls; None outside a task.
[[nodiscard]] TaskId current_task_id() noexcept;

}  // namespace taskscope::runtime::task
