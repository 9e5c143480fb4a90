/// A worker's own queue: bounded, first in first out, stolen from in halves.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "taskscope/runtime/atomic.h"

namespace taskscope::runtime::scheduler {

/// One owner pushes and pops; anybody steals.
///
/// Owner and thieves both take from the head, by compare-exchange on it; only the owner moves the
/// tail. A thief copies first and claims after: if the head moved meanwhile the claim fails and the
/// copy is forgotten, so a slot that the owner overwrote was never used. Indices are 64 bits wide
/// and never wrap. Source   the shape is that of Go's run queue (runqgrab) and of tokio's local
/// queue.
template <class Item, std::size_t kCapacity>
class LocalQueue {
  static_assert(std::has_single_bit(kCapacity));

 public:
  [[nodiscard]] std::size_t size() const noexcept {
    // Relaxed: a moment's estimate. Behind IdleSet::look_again a thread sees what was pushed by
    // whoever did not see it go to sleep.
    const auto head = head_.load(std::memory_order_relaxed);
    const auto tail = tail_.load(std::memory_order_relaxed);
    return tail > head ? static_cast<std::size_t>(tail - head) : 0;
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// False when full. kPublished seq_cst: for a pusher that then asks who sleeps; see IdleSet.
  template <std::memory_order kPublished = std::memory_order_release>
  [[nodiscard]] bool push(Item* item) noexcept {              // owner only
    const auto tail = tail_.load(std::memory_order_relaxed);  // own index
    // Acquire: pairs with the release of a claim; the thief has read the slot.
    if (tail - head_.load(std::memory_order_acquire) >= kCapacity) return false;
    slot(tail).store(item, std::memory_order_relaxed);
    tail_.store(tail + 1, kPublished);  // (W) publishes the slot and the item
    return true;
  }

  [[nodiscard]] Item* pop() noexcept {  // owner only
    auto head = head_.load(std::memory_order_relaxed);
    const auto tail = tail_.load(std::memory_order_relaxed);  // own index
    while (head != tail) {
      Item* item = slot(head).load(std::memory_order_relaxed);
      // Relaxed: the owner reads what it wrote itself, and only the owner writes slots anew.
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_relaxed,
                                      std::memory_order_relaxed)) {
        return item;
      }
    }
    return nullptr;
  }

  /// What pop() will return after some others, as it looks now; null when there are fewer.
  [[nodiscard]] Item* ahead(std::size_t others) noexcept {  // owner only
    const auto at = head_.load(std::memory_order_relaxed) + others;
    return at < tail_.load(std::memory_order_relaxed) ? slot(at).load(std::memory_order_relaxed)
                                                      : nullptr;
  }

  /// pop() of a queue from which nobody ever steals.
  [[nodiscard]] Item* pop_alone() noexcept {  // owner only
    const auto head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_relaxed)) return nullptr;
    Item* item = slot(head).load(std::memory_order_relaxed);
    head_.store(head + 1, std::memory_order_relaxed);
    return item;
  }

  /// Takes up to half of what is there (at least one), at most out_size. Returns how many.
  [[nodiscard]] std::size_t steal(Item** out, std::size_t out_size) noexcept {
    // Relaxed, also below: an old head makes the claim fail, whatever was copied.
    auto head = head_.load(std::memory_order_relaxed);
    for (;;) {
      const auto tail = tail_.load(std::memory_order_acquire);  // pairs with (W)
      if (tail <= head) return 0;
      const auto available = static_cast<std::size_t>(tail - head);
      const auto count = std::min({available - available / 2, kCapacity / 2, out_size});
      for (std::size_t i = 0; i < count; ++i) {
        out[i] = slot(head + i).load(std::memory_order_relaxed);
      }
      // Release: pairs with push's acquire.
      if (head_.compare_exchange_weak(head, head + count, std::memory_order_release,
                                      std::memory_order_relaxed)) {
        return count;
      }
    }
  }

 private:
  Atomic<Item*>& slot(std::uint64_t index) noexcept { return slots_[index % kCapacity]; }

  alignas(64) Atomic<std::uint64_t> head_{0};  // moved by owner and thieves
  alignas(64) Atomic<std::uint64_t> tail_{0};  // moved by the owner
  std::array<Atomic<Item*>, kCapacity> slots_{};
};

}  // namespace taskscope::runtime::scheduler
