/// Who sleeps and who searches: decides whether new work needs another worker.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "taskscope/runtime/atomic.h"

namespace taskscope::runtime::scheduler {

/// Rule: at most one wake-up is under way as long as a worker searches, because a searcher that
/// finds work wakes the next before it begins with it. So work never waits while a worker sleeps,
/// and no herd is woken.
///
/// The lost wake-up that has to be excluded: a submitter pushes a task and sees nobody asleep,
/// while the last worker looks into the empty queue and goes to sleep. Both sides write first and
/// read after, with seq_cst in between: the submitter pushes and then loads the state; the worker
/// counts itself out and then looks. The changes of the state are relaxed: they carry no data, and
/// these two are all the order there is between the state and the queues.
/// Source   the counters and the rule are those of tokio's Idle, after Go's spinning Ms.
class IdleSet {
 public:
  explicit IdleSet(std::uint32_t workers) : workers_(workers), state_(pack(workers, 0)) {
    sleepers_.reserve(workers);
  }

  static constexpr std::uint32_t kNobody = ~0u;

  /// After work was made visible by a seq_cst store, else after a seq_cst fence: the worker to
  /// unpark, or kNobody. It is counted as awake and searching.
  [[nodiscard]] std::uint32_t notify() noexcept {
    // seq_cst: forbids that this load is done before the push is visible.
    if (!needs_another(state_.load(std::memory_order_seq_cst))) return kNobody;
    const std::lock_guard lock(mutex_);
    if (!needs_another(state_.load(std::memory_order_relaxed)) || sleepers_.empty()) return kNobody;
    const auto worker = sleepers_.back();
    sleepers_.pop_back();
    state_.fetch_add(pack(1, 1), std::memory_order_relaxed);
    return worker;
  }

  /// What notify() would find, without its order: an estimate.
  [[nodiscard]] bool may_need_another() const noexcept {
    return needs_another(state_.load(std::memory_order_relaxed));
  }

  /// The same, after work was made visible by anything less than a seq_cst store.
  [[nodiscard]] std::uint32_t notify_after_fence() noexcept {
    // seq_cst: forbids that the load in notify() is done before the work is visible.
    fence(std::memory_order_seq_cst);
    return notify();
  }
  /// Stands before a look at all queues that follows sleep() or stop_searching().
  static void look_again() noexcept {
    // seq_cst: forbids that the queues are read before this worker is counted out.
    fence(std::memory_order_seq_cst);
  }

  /// The worker goes to sleep; it has to look at all queues once more afterwards.
  void sleep(std::uint32_t worker, bool was_searching) noexcept {
    const std::lock_guard lock(mutex_);
    state_.fetch_sub(pack(1, was_searching ? 1 : 0), std::memory_order_relaxed);
    sleepers_.push_back(worker);
  }
  /// Still asleep as far as everybody else is concerned?
  [[nodiscard]] bool is_asleep(std::uint32_t worker) noexcept {
    const std::lock_guard lock(mutex_);
    for (const auto sleeper : sleepers_) {
      if (sleeper == worker) return true;
    }
    return false;
  }
  /// Some worker that sleeps, or kNobody.
  [[nodiscard]] std::uint32_t any_sleeper() noexcept {
    const std::lock_guard lock(mutex_);
    return sleepers_.empty() ? kNobody : sleepers_.back();
  }
  /// The worker wakes by itself (I/O, a timer). False: somebody notified it before, so it counts as
  /// searching.
  [[nodiscard]] bool wake_self(std::uint32_t worker) noexcept {
    const std::lock_guard lock(mutex_);
    for (auto& sleeper : sleepers_) {
      if (sleeper != worker) continue;
      sleeper = sleepers_.back();
      sleepers_.pop_back();
      state_.fetch_add(pack(1, 0), std::memory_order_relaxed);
      return true;
    }
    return false;
  }

  /// May the worker search? At most half of them do.
  [[nodiscard]] bool try_search() noexcept {
    const auto state = state_.load(std::memory_order_relaxed);
    if (2 * searching(state) >= workers_) return false;
    state_.fetch_add(pack(0, 1), std::memory_order_relaxed);
    return true;
  }
  /// Found work. True: it was the last searcher, and has to notify another.
  [[nodiscard]] bool stop_searching() noexcept {
    return searching(state_.fetch_sub(pack(0, 1), std::memory_order_relaxed)) == 1;
  }

  [[nodiscard]] std::uint32_t awake() const noexcept {
    return static_cast<std::uint32_t>(state_.load(std::memory_order_relaxed) >> 32);
  }

 private:
  static constexpr std::uint64_t pack(std::uint32_t awake, std::uint32_t searching) noexcept {
    return (std::uint64_t{awake} << 32) | searching;
  }
  static constexpr std::uint32_t searching(std::uint64_t state) noexcept {
    return static_cast<std::uint32_t>(state);
  }
  [[nodiscard]] bool needs_another(std::uint64_t state) const noexcept {
    return searching(state) == 0 && static_cast<std::uint32_t>(state >> 32) < workers_;
  }

  const std::uint32_t workers_;
  Atomic<std::uint64_t> state_;  // awake << 32 | searching; written by workers and submitters
  ThreadMutex mutex_;
  std::vector<std::uint32_t> sleepers_;  // under mutex_
};

}  // namespace taskscope::runtime::scheduler
