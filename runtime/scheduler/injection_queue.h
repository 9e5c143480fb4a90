/// Where tasks queue that no worker put into its own queue: from foreign threads, and overflow.
#pragma once

#include <cstddef>
#include <mutex>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::scheduler {

/// An unbounded list through the tasks themselves; it never allocates.
class InjectionQueue {
 public:
  /// Approximate without the lock; exact for a thread that pushed or popped last.
  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

  void push(task::Header* task) noexcept {
    task->queue_next = nullptr;
    const std::lock_guard lock(mutex_);
    append(task, task, 1);
  }
  /// Pushes a chain linked by queue_next.
  void push_chain(task::Header* first, task::Header* last, std::size_t count) noexcept {
    const std::lock_guard lock(mutex_);
    append(first, last, count);
  }
  /// Takes up to `limit` tasks, oldest first, as a chain; sets `count`.
  [[nodiscard]] task::Header* pop_chain(std::size_t limit, std::size_t& count) noexcept {
    count = 0;
    if (size() == 0) return nullptr;
    const std::lock_guard lock(mutex_);
    task::Header* first = head_;
    task::Header* last = nullptr;
    while (head_ != nullptr && count < limit) {
      last = head_;
      head_ = head_->queue_next;
      ++count;
    }
    if (last != nullptr) last->queue_next = nullptr;
    if (head_ == nullptr) tail_ = nullptr;
    // Relaxed: an estimate for readers without the lock; sleeping workers are excluded by IdleSet's
    // fence.
    size_.store(size_.load(std::memory_order_relaxed) - count, std::memory_order_relaxed);
    return first;
  }

 private:
  void append(task::Header* first, task::Header* last, std::size_t count) noexcept {
    if (tail_ == nullptr) {
      head_ = first;
    } else {
      tail_->queue_next = first;
    }
    tail_ = last;
    size_.store(size_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }

  ThreadMutex mutex_;
  task::Header* head_ = nullptr;
  task::Header* tail_ = nullptr;
  Atomic<std::size_t> size_{0};  // written under the lock
};

}  // namespace taskscope::runtime::scheduler
