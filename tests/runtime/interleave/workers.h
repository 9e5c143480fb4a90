/// Runs real tasks on threads of a case: the way of Scheduler::poll, with a queue that is right.
#pragma once

#include "taskscope/runtime/spawn.h"
#include "taskscope/tests/runtime/interleave/part.h"

namespace taskscope::interleave {

/// One at a time, made by the body of a case. What wakes a task finds it through `task::submit`.
class Workers {
 public:
  Workers();
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  template <class T>
  runtime::JoinHandle<T> spawn(runtime::Task<T> task) {
    return runtime::task::spawn_on(as_scheduler(), std::move(task), {});
  }
  /// Polls tasks until all that were spawned have ended.
  void work();

  void submit(runtime::task::Header& task) { queue_.put(&task); }
  void adopted(runtime::task::Header& task) {
    ++alive_;
    newest_ = &task;
  }
  /// Wakes the newest task without naming a branch, as the inspector does that held it up.
  void wake_newest() {
    if (newest_->state.to_scheduled()) submit(*newest_);
  }

 private:
  /// Never looked into: no more than the name of a runtime.
  runtime::scheduler::Scheduler& as_scheduler() {
    return reinterpret_cast<runtime::scheduler::Scheduler&>(*this);
  }
  void finish(runtime::task::Header& task);

  Handoff queue_;
  int alive_ = 0;
  runtime::task::Header* newest_ = nullptr;
};

}  // namespace taskscope::interleave
