#include "taskscope/runtime/sync/mutex.h"

#include <array>

namespace taskscope::runtime::sync {

observe::Holder MutexCore::holder_in(std::uint64_t word) noexcept {
  observe::Holder holder;
  holder.task = TaskId{word >> kTaskShift};
  // A thread that runs no task has no id to be certain of.
  holder.certain = (word & kCertain) != 0 && holder.task != TaskId::None;
  return holder;
}

/// Locked. Takes the mutex, or marks it as waited for.
bool MutexCore::lock_or_mark(std::uint64_t taken) noexcept {
  auto word = word_.load(std::memory_order_relaxed);
  for (;;) {
    if ((word & kLocked) == 0) {
      // Acquire: as in try_lock.
      if (word_.compare_exchange_weak(word, taken, std::memory_order_acquire,
                                      std::memory_order_relaxed))
        return true;
    } else if ((word & kWaiters) != 0 ||
               // Relaxed: the mark carries no data. It is one step with finding the mutex locked,
               // so the holder can't release without seeing it.
               word_.compare_exchange_weak(word, word | kWaiters, std::memory_order_relaxed,
                                           std::memory_order_relaxed)) {
      return false;
    }
  }
}

bool MutexCore::Locking::start(task::PromiseBase& awaiting) noexcept {
  return wait_in(owner().line_, awaiting, [this, &awaiting] {
    const auto taken = held_by(awaiting.branch()->task().id, certain_);
    const bool locked = owner().lock_or_mark(taken);
    if (locked && observe::wants(observe::Event::Resource))
      owner().report_acquired(holder_in(taken));
    return locked;
  });
}

/// The lock may have come while nobody was suspended here; then the word names no task yet.
bool MutexCore::Locking::granted_before(TaskId task) noexcept {
  if (!settled()) return false;
  auto& shared = owner().word_;
  auto word = shared.load(std::memory_order_relaxed);
  // Relaxed: we hold the lock, and only change its name tag.
  while (!shared.compare_exchange_weak(word, held_by(task, certain_) | (word & kWaiters),
                                       std::memory_order_relaxed, std::memory_order_relaxed)) {
  }
  return true;
}

void MutexCore::hand_over() noexcept {
  task::WakeBatch batch;
  const std::lock_guard guard(lock_);
  auto* next = static_cast<Locking*>(line_.front());
  if (next == nullptr) {
    // Release: as in unlock().
    word_.store(0, std::memory_order_release);
    return;
  }
  const auto taken = held_by(next->task_id(), next->certain_);
  // Relaxed: the next holder gets what we wrote through the wake, or through lock_.
  word_.store(line_.size() > 1 ? taken | kWaiters : taken, std::memory_order_relaxed);
  if (observe::wants(observe::Event::Resource)) report_acquired(holder_in(taken));
  line_.wake(*next, true, batch);
}

void MutexCore::describe(observe::ResourceView& view,
                         void (*visit)(const observe::ResourceView&, void*), void* context) {
  std::uint64_t word = 0;
  {
    const std::lock_guard guard(lock_);
    word = word_.load(std::memory_order_relaxed);
    view.waiters = line_.size();
  }
  const std::array holders{holder_in(word)};
  if ((word & kLocked) != 0) view.holders = holders;
  const std::array attributes{observe::Attribute{"locked", "", word & kLocked}};
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
