/// The state word of a task: who may touch its body, and who keeps its memory.
///
/// Invariants, one a bit:
///   kRunning    the body has an owner: a worker that polls it, the inspector that reads it, or the
///               place in a queue where its last owner put it without letting go
///   kScheduled  the task is in a queue, or its owner will put it there
///   kComplete   the body has ended and its result is in place; final
///   kCancelled  somebody asked for its end; whoever takes it from the queue destroys the body
///               instead of polling
///   kJoinWaker  the join waiter's slot is filled, and the completing thread owns it
/// The rest counts references: one for the living body, one a JoinHandle, AbortHandle and Waker. A
/// queue holds none: a scheduled task can't complete before it is popped.
///
/// Source: the idea and the names of the bits are tokio's task state.
#pragma once

#include <cassert>
#include <cstdint>

#include "taskscope/runtime/atomic.h"

namespace taskscope::runtime::task {

class State {
 public:
  static constexpr std::uint64_t kRunning = 1, kScheduled = 2, kComplete = 4, kCancelled = 8,
                                 kJoinWaker = 16, kReference = 256;

  enum class Taken : std::uint8_t { Poll, Cancel };
  enum class Ended : std::uint8_t { WakeJoiner, Kept, Unreferenced };
  enum class Joined : std::uint8_t { Registered, Complete };

  /// A task that is about to be queued, with one reference for its body and one for its JoinHandle.
  void init_scheduled() noexcept {
    word_.store(kScheduled | 2 * kReference, std::memory_order_relaxed);
  }
  /// A frame that is no task (yet).
  void init_none() noexcept { word_.store(0, std::memory_order_relaxed); }
  [[nodiscard]] bool is_task() const noexcept { return load() != 0; }

  /// Popped from a queue: the caller owns the body now.
  /// Acquire: sees everything written by the owner that let go, and by whoever woke the task. Not
  /// in the load: where it decides alone there is nothing that the queue did not bring.
  [[nodiscard]] Taken to_running() noexcept {
    auto before = word_.load(std::memory_order_relaxed);
    if ((before & kRunning) != 0) {
      // Its last owner queued it without letting go: the queue handed the body over. A wake that
      // is not seen here stays for the end of this poll.
      if ((before & (kScheduled | kCancelled)) == 0) return Taken::Poll;
      before = word_.fetch_and(~kScheduled, std::memory_order_acquire);
    } else {
      // kScheduled off and kRunning on, as a subtraction: an addition gives the old value in one
      // instruction, where an exclusive or takes a loop.
      static_assert(kScheduled - kRunning == 1);
      before = word_.fetch_sub(kScheduled - kRunning, std::memory_order_acquire);
      assert((before & (kScheduled | kRunning)) == kScheduled);
    }
    return (before & kCancelled) != 0 ? Taken::Cancel : Taken::Poll;
  }

  /// Lets go of the body. True: it was woken meanwhile; the caller keeps it, and has to queue the
  /// task. Who wants to run again anyway queues it as it is, without a step on this word: what
  /// wakes or cancels it until then leaves it in that queue.
  /// Release: publishes the body to the next owner, whom a waker queues. What wakers wrote is for
  /// that one: to_running() acquires it, through this and any other change of the word.
  [[nodiscard]] bool to_idle() noexcept {
    auto before = word_.load(std::memory_order_relaxed);
    do {
      assert((before & kRunning) != 0);
      if ((before & kScheduled) != 0) return true;
    } while (!word_.compare_exchange_weak(before, before & ~kRunning, std::memory_order_release,
                                          std::memory_order_relaxed));
    return false;
  }

  /// Wakes. True: the caller has to queue the task.
  /// Release: publishes what the waker wrote before; acquire for the queueing that may follow,
  /// which uses the task's link after the last owner did: pairs with to_idle's release.
  [[nodiscard]] bool to_scheduled() noexcept {
    const auto before = word_.fetch_or(kScheduled, std::memory_order_acq_rel);
    return (before & (kScheduled | kRunning | kComplete)) == 0;
  }

  /// Asks for the end. True: the caller has to queue the task. Orders as in to_scheduled.
  [[nodiscard]] bool to_cancelled() noexcept {
    auto before = word_.load(std::memory_order_relaxed);
    do {
      if ((before & (kComplete | kCancelled)) != 0) return false;
    } while (!word_.compare_exchange_weak(before, before | kCancelled | kScheduled,
                                          std::memory_order_acq_rel, std::memory_order_relaxed));
    return (before & (kScheduled | kRunning)) == 0;
  }

  /// The owner ends the task; its result is written. Without a join waiter the body's reference
  /// goes in the same step; with one the waiter is the caller's now, and the reference is still to
  /// be dropped. Release: publishes the result to is_complete(); acquire: as drop_reference().
  [[nodiscard]] Ended to_complete() noexcept {
    auto before = word_.load(std::memory_order_relaxed);
    for (;;) {
      assert((before & (kRunning | kComplete)) == kRunning);
      const bool joined = (before & kJoinWaker) != 0;
      const auto after = (before ^ (kRunning | kComplete)) - (joined ? 0 : kReference);
      if (word_.compare_exchange_weak(before, after, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
        return joined ? Ended::WakeJoiner : after < kReference ? Ended::Unreferenced : Ended::Kept;
      }
    }
  }

  /// The inspector takes an idle task as a worker would. False: it is queued, running or over.
  [[nodiscard]] bool try_inspect() noexcept {
    auto before = word_.load(std::memory_order_relaxed);
    if ((before & (kRunning | kScheduled | kComplete)) != 0) return false;
    // Acquire: pairs with to_idle's release. One try: a task that moves just now is not idle.
    return word_.compare_exchange_strong(before, before | kRunning, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  /// The slot of the join waiter is filled; hands it to the completing thread, unless that came
  /// first.
  [[nodiscard]] Joined set_join_waker() noexcept { return change_unless_complete(kJoinWaker, 0); }
  /// Takes the slot back. Complete: the completing thread has it or had it.
  [[nodiscard]] Joined clear_join_waker() noexcept { return change_unless_complete(0, kJoinWaker); }

  /// Acquire: pairs with to_complete; the result may be read.
  [[nodiscard]] bool is_complete() const noexcept { return (load() & kComplete) != 0; }
  [[nodiscard]] bool has_join_waker() const noexcept {
    return (load() & (kJoinWaker | kComplete)) == kJoinWaker;
  }
  [[nodiscard]] bool is_cancelled() const noexcept { return (load() & kCancelled) != 0; }
  [[nodiscard]] std::uint64_t load() const noexcept {
    return word_.load(std::memory_order_acquire);
  }

  /// Relaxed: a new reference is made from one that exists.
  void add_reference() noexcept { word_.fetch_add(kReference, std::memory_order_relaxed); }
  /// True: that was the last one. Release for all, acquire for the last: it frees what the others
  /// used.
  [[nodiscard]] bool drop_reference() noexcept {
    // Who holds the only one is alone: a new one is made from one that exists.
    if (word_.load(std::memory_order_acquire) < 2 * kReference) return true;
    const auto before = word_.fetch_sub(kReference, std::memory_order_acq_rel);
    assert(before >= kReference);
    return before < 2 * kReference;
  }

 private:
  // Release: publishes the slot to the completing thread. Acquire, if that came first: pairs with
  // to_complete; the result may be read.
  [[nodiscard]] Joined change_unless_complete(std::uint64_t set, std::uint64_t clear) noexcept {
    auto before = word_.load(std::memory_order_acquire);
    do {
      if ((before & kComplete) != 0) return Joined::Complete;
    } while (!word_.compare_exchange_weak(before, (before | set) & ~clear,
                                          std::memory_order_release, std::memory_order_acquire));
    return Joined::Registered;
  }

  Atomic<std::uint64_t> word_;
};

}  // namespace taskscope::runtime::task
