/// The tasks of a LocalSet: they are made, polled and destroyed on one thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/task/header.h"
#include "taskscope/runtime/task/waiter.h"

namespace taskscope::runtime::scheduler {

class Root;
class Scheduler;
class Worker;

/// Runs while it is attached to a Root: the thread in block_on polls its tasks between the polls of
/// the root. Every function is the owner thread's, but submit().
class LocalTasks : public std::enable_shared_from_this<LocalTasks> {
 public:
  LocalTasks() : owner_(std::this_thread::get_id()) {}

  /// Queues a scheduled task. Any thread.
  void submit(task::Header* task) noexcept;

  /// Of the task that runs: that which it belongs to, or, in block_on, the last one attached.
  /// Throws std::logic_error if there is none.
  [[nodiscard]] static LocalTasks& current();
  /// The runtime whose tasks these are. Throws std::logic_error on another thread, or when there is
  /// none yet and the thread is in none.
  [[nodiscard]] Scheduler& bind();
  /// A task that bind()'s scheduler has adopted.
  void adopt(task::Header& task) noexcept;
  /// Destroys all tasks, and from now on every new one. The one that runs, if it is one of these,
  /// when its poll ends.
  void close() noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  [[nodiscard]] bool has_work() const noexcept {
    // Relaxed: who queues from elsewhere wakes this thread afterwards.
    return first_ != nullptr || has_remote_.load(std::memory_order_relaxed);
  }
  /// Polls some of what is queued. False: nothing was.
  bool run(Scheduler& scheduler, Worker* worker);

  /// For a scope within the root of a block_on. Throws std::logic_error anywhere else.
  class Attachment {
   public:
    explicit Attachment(std::shared_ptr<LocalTasks> tasks);
    ~Attachment();
    Attachment(const Attachment&) = delete;
    Attachment& operator=(const Attachment&) = delete;
    [[nodiscard]] LocalTasks& tasks() const noexcept { return *tasks_; }

   private:
    const std::shared_ptr<LocalTasks> tasks_;
  };

  /// Ends when no task is left.
  class Ended final : public task::Waiter {
   public:
    explicit Ended(std::shared_ptr<LocalTasks> tasks) : attached_(std::move(tasks)) {}
    ~Ended() { attached_.tasks().waiter_ = nullptr; }
    [[nodiscard]] bool await_ready() const noexcept { return attached_.tasks().size_ == 0; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      suspend(awaiting);
      attached_.tasks().waiter_ = this;
    }
    void await_resume() const noexcept {}
    [[nodiscard]] bool ready(bool) noexcept override { return await_ready(); }
    void describe(observe::Wait& wait) const noexcept override {
      wait.op = observe::WaitOp::Join;
      wait.resource_kind = observe::ResourceKind::Join;
    }

   private:
    Attachment attached_;
  };

 private:
  friend class Root;
  void push(task::Header* task) noexcept;
  [[nodiscard]] task::Header* pop() noexcept;
  void forget(task::Header& task) noexcept;
  void destroy(task::Header& task) noexcept;
  void destroy_all() noexcept;

  const std::thread::id owner_;
  std::shared_ptr<Scheduler> scheduler_;  // once bound, until closed
  task::Header* living_ = nullptr;        // linked by their labels; a reference each
  std::size_t size_ = 0;
  task::Header* first_ = nullptr;  // queued
  task::Header* last_ = nullptr;
  Ended* waiter_ = nullptr;
  LocalTasks* next_attached_ = nullptr;
  bool closed_ = false;

  ThreadMutex mutex_;
  Root* root_ = nullptr;  // attached to; under mutex_, as are those that follow
  task::Header* remote_first_ = nullptr;
  task::Header* remote_last_ = nullptr;
  std::atomic<bool> has_remote_{false};
};

}  // namespace taskscope::runtime::scheduler
