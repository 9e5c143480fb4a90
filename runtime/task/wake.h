/// Queueing what was woken: collect under the lock, submit after it.
#pragma once

#include <array>
#include <cstddef>

#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::task {

/// Puts a task that `fire`, `notify` or a state transition returned into the queue where it
/// belongs: the LIFO slot or local queue of the calling worker, else the injection queue. Null is
/// ignored. Must be called without a lock that a polled task could want.
void submit(Header* task) noexcept;

/// Tasks woken under a lock, submitted when it is gone. Declare it *before* the lock guard, or call
/// submit_all. When full it asks to be emptied: `if (batch.full()) { unlock; batch.submit_all();
/// lock; }`.
class WakeBatch {
 public:
  WakeBatch() = default;
  WakeBatch(const WakeBatch&) = delete;
  WakeBatch& operator=(const WakeBatch&) = delete;
  ~WakeBatch() { submit_all(); }

  void add(Header* task) noexcept {
    if (task != nullptr) tasks_[size_++] = task;
  }
  [[nodiscard]] bool full() const noexcept { return size_ == tasks_.size(); }
  void submit_all() noexcept {
    for (std::size_t i = 0; i < size_; ++i) submit(tasks_[i]);
    size_ = 0;
  }

 private:
  std::array<Header*, 32> tasks_{};
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

/// The id of the task that the calling thread polls; None outside a task.
[[nodiscard]] TaskId current_task_id() noexcept;

}  // namespace taskscope::runtime::task
