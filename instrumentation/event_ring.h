/// The ring of one thread: its owner pushes units, the collector pops them.
///
/// A record is 1..n units, all pushed or all dropped, and published by one store: what the
/// collector finds always ends with a whole record. Full means that the owner drops and counts; it
/// never waits. The memory belongs to whoever made the ring.
#pragma once

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "taskscope/instrumentation/unit.h"

namespace taskscope::instrumentation {

class EventRing {
 public:
  /// `memory.size()` is a power of two, so that positions survive wrap-around.
  explicit EventRing(std::span<Unit> memory) noexcept
      : units_(memory.data()), mask_(memory.size() - 1) {
    assert(std::has_single_bit(memory.size()));
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

  // --- the owner

  /// True when `n` units fit as far as the owner knows; refresh() asks the collector's position.
  [[nodiscard]] bool fits(std::size_t n) const noexcept { return written_ + n <= limit_; }
  /// Units that can be written now.
  std::size_t refresh() noexcept {
    // Acquire pairs with (P): the collector has read what was in the slots.
    limit_ = head_.load(std::memory_order_acquire) + capacity();
    return static_cast<std::size_t>(limit_ - written_);
  }
  /// Makes fits() say no until the next refresh, so that one comparison serves every reason to look
  /// closer.
  void hold() noexcept { limit_ = 0; }
  /// Writes the `i`th unit of the record in the making; only after fits().
  void put(std::size_t i, Unit unit) noexcept { units_[(written_ + i) & mask_] = unit; }
  /// Publishes a record of `n` units.
  void commit(std::size_t n) noexcept {
    written_ += n;
    tail_.store(written_, std::memory_order_release);  // (W) publishes the units
  }
  /// Nothing follows; the collector may take the ring away once it is empty.
  void close() noexcept {
    closed_.store(true, std::memory_order_release);
  }  // (C) after the last (W)

  // --- the collector

  [[nodiscard]] bool closed() const noexcept {
    return closed_.load(std::memory_order_acquire);  // pairs with (C): all is published
  }
  /// First unit that was not popped, and the end of what is published.
  [[nodiscard]] std::uint64_t head() const noexcept {
    return head_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t tail() const noexcept {
    return tail_.load(std::memory_order_acquire);  // pairs with (W)
  }
  [[nodiscard]] Unit at(std::uint64_t position) const noexcept { return units_[position & mask_]; }
  /// Hands all before `position` back to the owner.
  void pop_to(std::uint64_t position) noexcept {
    head_.store(position, std::memory_order_release);  // (P) the slots are free
  }
  /// Makes a drained, closed ring fit for its next owner.
  void reopen() noexcept {
    closed_.store(false, std::memory_order_relaxed);  // the slot's state publishes it
    hold();
  }

 private:
  Unit* units_;
  std::size_t mask_;
  std::uint64_t written_ = 0;                       // the owner's copy of tail_
  std::uint64_t limit_ = 0;                         // the owner's: it may write up to here
  std::atomic<bool> closed_{false};                 // written by the owner
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the owner
  alignas(64) std::atomic<std::uint64_t> head_{0};  // written by the collector
};

}  // namespace taskscope::instrumentation
