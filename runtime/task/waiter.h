/// The one way to suspend: a Waiter, kept in the awaiter, kept in the awaiting frame.
///
/// A wake never resumes a coroutine by itself. It marks the waiter or names its branch, and
/// schedules the task; the worker that polls the task asks the waiter whether it may go on. So a
/// stale or a spurious wake costs a poll and nothing else, and a waiter that is destroyed (select,
/// timeout, abort) only has to unlink itself.
#pragma once

#include <coroutine>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::task {

class Waiter {
 public:
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// May the branch go on? `woken`: a wake named the branch since the last time.
  /// Called only by the worker that polls the task. Acquire what the waker wrote.
  [[nodiscard]] virtual bool ready(bool woken) noexcept = 0;
  /// Says what is waited for: op, resource or task or fd or deadline. Branch and site are filled by
  /// the caller. Called by whoever holds the task's kRunning bit, any thread.
  virtual void describe(observe::Wait& wait) const noexcept = 0;

  [[nodiscard]] Branch* branch() const noexcept { return branch_; }

 protected:
  Waiter() noexcept = default;
  ~Waiter() = default;

  /// Suspends the awaiting coroutine on this waiter; call it first in await_suspend, before anybody
  /// can wake. The branch is read from the promise: no thread-local, which a compiler may keep
  /// across a suspension.
  template <class Promise>
  void suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    auto& promise = awaiting.promise();
    branch_ = promise.branch();
    branch_->leaf = &promise;
    branch_->waiter = this;
  }

  Branch* branch_ = nullptr;
};

/// A waiter that ends when somebody fires it, once: the base of everything with a wait list of its
/// own.
///
/// `fire` and the owner's unlinking exclude each other by the lock of that list: fire while holding
/// it, after removing the waiter from the list, and submit the returned task after letting go of
/// it. A waiter that is fired touches neither the task nor itself any more, so its destructor needs
/// the lock only while `fired()` is false.
class FireWaiter : public Waiter {
 public:
  [[nodiscard]] bool ready(bool) noexcept final { return fired(); }
  /// True once fired. May be asked with or without the lock.
  [[nodiscard]] bool fired() const noexcept {
    auto phase = phase_.load(std::memory_order_acquire);
    // Firing holds no more than two instructions of another thread; it must not touch a task that
    // is gone.
    while (phase == kFiring) [[unlikely]]
      phase = wait_until_fired();
    return phase == kFired;
  }

  /// Ends the wait. Returns the task that the caller has to pass to `task::submit` (task/wake.h
  /// collects them), or null. The wake is told to the observer here, with the cause of the calling
  /// context.
  [[nodiscard]] Header* fire(observe::ResourceId resource = observe::ResourceId::None) noexcept;

 protected:
  ~FireWaiter() = default;
  /// Makes the waiter usable again; only while it is in no list.
  void reset_fired() noexcept { phase_.store(kWaiting, std::memory_order_relaxed); }

 private:
  static constexpr std::uint8_t kWaiting = 0, kFiring = 1, kFired = 2;
  std::uint8_t wait_until_fired() const noexcept;

  /// Three phases, because a wake is two steps. Were the waiter marked first, a task that runs for
  /// another reason could go on, end and be freed before the second step touches it; were the task
  /// scheduled first, a poll in between would find the waiter unready and nothing would wake the
  /// task again.
  Atomic<std::uint8_t> phase_{kWaiting};
};

}  // namespace taskscope::runtime::task
