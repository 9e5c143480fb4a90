/// The slot of the task that a worker runs next.
#pragma once

#include "taskscope/runtime/atomic.h"

namespace taskscope::runtime::scheduler {

/// Holds the item that was put in last, whose memory the worker has just touched. A worker that is
/// held up in a poll may lose it to another. `alone`: nobody ever steals.
///
/// Source   the LIFO slot of tokio's multi_thread scheduler, Go's runnext
template <class T>
class LifoSlot {
 public:
  // The worker:
  /// Puts `item` in; what was there, or null, comes out.
  [[gnu::always_inline]] inline T* swap(T* item, bool alone) noexcept {
    // Release: a thief sees what is in the item. What comes out only the worker can have put in.
    if (!alone) return item_.exchange(item, std::memory_order_release);
    T* const before = item_.load(std::memory_order_relaxed);
    item_.store(item, std::memory_order_relaxed);
    return before;
  }
  /// Null: empty.
  [[nodiscard]] T* take(bool alone) noexcept { return empty() ? nullptr : swap(nullptr, alone); }

  // Any thread:
  /// A hint: others may steal meanwhile.
  [[nodiscard]] bool empty() const noexcept {
    return item_.load(std::memory_order_relaxed) == nullptr;
  }
  /// Null: empty.
  [[nodiscard]] T* steal() noexcept {
    // Acquire: pairs with swap().
    return item_.exchange(nullptr, std::memory_order_acquire);
  }

 private:
  Atomic<T*> item_{nullptr};
};

}  // namespace taskscope::runtime::scheduler
