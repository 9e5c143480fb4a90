/// The owner's end of a task: await its result, abort it, or let it go.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "taskscope/runtime/task/blocking_body.h"
#include "taskscope/runtime/task/task.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime {

namespace sync {
template <class T>
class JoinSet;
}

/// Thrown by `co_await handle` when the task was aborted, or its runtime shut down, before it
/// ended.
class Cancelled : public std::runtime_error {
 public:
  Cancelled() : std::runtime_error("the awaited task was cancelled") {}
};

namespace task {

/// A counted reference to a task's header.
class Reference {
 public:
  Reference() noexcept = default;
  /// Takes over a reference that was counted already.
  [[nodiscard]] static Reference adopt(Header* header) noexcept {
    Reference reference;
    reference.header_ = header;
    return reference;
  }
  [[nodiscard]] static Reference to(Header& header) noexcept {
    header.add_reference();
    return adopt(&header);
  }
  Reference(Reference&& other) noexcept : header_(std::exchange(other.header_, nullptr)) {}
  Reference(const Reference& other) noexcept : header_(other.header_) {
    if (header_ != nullptr) header_->add_reference();
  }
  Reference& operator=(Reference other) noexcept {
    std::swap(header_, other.header_);
    return *this;
  }
  ~Reference() {
    if (header_ != nullptr) header_->drop_reference();
  }

  [[nodiscard]] Header* get() const noexcept { return header_; }
  Header* operator->() const noexcept { return header_; }
  explicit operator bool() const noexcept { return header_ != nullptr; }

 private:
  Header* header_ = nullptr;
};

inline void abort(Header& task) noexcept {
  if (task.state.to_cancelled()) submit(&task);
}

/// Aborts: two tasks await one JoinHandle at a time, and only one of them could be woken.
[[noreturn]] void awaited_twice() noexcept;

/// Waits until a task is complete. Registers the awaiting branch in the task's one slot.
class JoinWaiter : public Waiter {
 public:
  explicit JoinWaiter(Reference joined) noexcept : joined_(std::move(joined)) {}

  [[nodiscard]] bool await_ready() const noexcept { return joined_->state.is_complete(); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    suspend(awaiting);
    return enlist();
  }
  [[nodiscard]] bool ready(bool) noexcept final { return joined_->state.is_complete(); }
  void describe(observe::Wait& wait) const noexcept final {
    const bool blocking = joined_->kind == TaskKind::Blocking;
    wait.op = blocking ? observe::WaitOp::Blocking : observe::WaitOp::Join;
    wait.resource_kind = blocking ? observe::ResourceKind::Blocking : observe::ResourceKind::Join;
    wait.task = joined_->id;
  }

  /// The await is over or destroyed: nobody may be woken through its branch.
  void abandon() noexcept {
    if (!std::exchange(enlisted_, false)) return;
    // Complete: the completing thread took the slot, and drops the reference itself.
    if (joined_->state.clear_join_waker() == State::Joined::Registered) {
      branch_->task().drop_reference();
    }
  }

 protected:
  ~JoinWaiter() { abandon(); }
  Reference joined_;

 private:
  bool enlist() noexcept {
    if (joined_->state.has_join_waker()) awaited_twice();
    // The slot keeps this task's memory: the wake may come when the wait is over and the task gone.
    branch_->task().add_reference();
    joined_->join_task = &branch_->task();
    joined_->join_branch = branch_->id;
    if (joined_->state.set_join_waker() == State::Joined::Complete) {
      branch_->task().drop_reference();
      return false;
    }
    enlisted_ = true;
    return true;
  }
  bool enlisted_ = false;
};

template <class T>
class JoinAwaiter final : public JoinWaiter {
 public:
  JoinAwaiter(Reference joined, T (*take)(Header&)) noexcept
      : JoinWaiter(std::move(joined)), take_(take) {}
  T await_resume() {
    if (joined_->outcome == observe::Outcome::Cancelled) throw Cancelled();
    return take_(*joined_.get());
  }

 private:
  T (*take_)(Header&);
};

}  // namespace task

/// Aborts a task from anywhere; keeps only its memory.
///
/// Source   tokio::task::AbortHandle
class AbortHandle {
 public:
  explicit AbortHandle(task::Reference task) noexcept : task_(std::move(task)) {}
  /// Asks for the task's end: its body is destroyed at its next turn on a worker. A blocking call
  /// is ended only before it begins. No effect on what is over.
  void abort() const noexcept { task::abort(*task_.get()); }
  [[nodiscard]] bool is_finished() const noexcept { return task_->state.is_complete(); }
  [[nodiscard]] observe::TaskId id() const noexcept { return task_->id; }

 private:
  task::Reference task_;
};

/// What spawn returns. Dropping it detaches the task, which runs on.
///
/// Shape    `co_await std::move(handle)` (or `co_await handle`, once) gives the T. One task at a
///          time: two that await it at once end the program.
/// Errors   rethrows what the task threw; throws Cancelled if it was aborted or its runtime shut
///          down before it ended.
/// Cancel   safe: a cancelled await leaves the task running, and a handle that was not moved into
///          the await usable.
/// Resumes  on the awaiting task's runtime.
/// Source   tokio::task::JoinHandle
template <class T>
class [[nodiscard]] JoinHandle {
 public:
  using Take = T (*)(task::Header&);
  JoinHandle(task::Reference task, Take take) noexcept : task_(std::move(task)), take_(take) {}
  JoinHandle(JoinHandle&&) noexcept = default;
  JoinHandle& operator=(JoinHandle&&) noexcept = default;
  JoinHandle(const JoinHandle&) = delete;
  JoinHandle& operator=(const JoinHandle&) = delete;

  [[nodiscard]] task::JoinAwaiter<T> awaiter() & noexcept { return {task_, take_}; }
  [[nodiscard]] task::JoinAwaiter<T> awaiter() && noexcept { return {std::move(task_), take_}; }

  /// As AbortHandle::abort; the handle may still be awaited.
  void abort() const noexcept { task::abort(*task_.get()); }
  /// Outlives this handle.
  [[nodiscard]] AbortHandle abort_handle() const noexcept { return AbortHandle(task_); }
  /// Acquire: when true, the result is in place.
  [[nodiscard]] bool is_finished() const noexcept { return task_->state.is_complete(); }
  [[nodiscard]] observe::TaskId id() const noexcept { return task_->id; }
  /// Lets the task run on by itself, in words.
  void detach() && noexcept { const JoinHandle dropped = std::move(*this); }

 private:
  template <class U>
  friend class sync::JoinSet;
  task::Reference task_;
  Take take_;
};

}  // namespace taskscope::runtime
