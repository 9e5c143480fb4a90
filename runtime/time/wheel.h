/// Timers by deadline, in constant time however many there are.
///
///     level 0   64 slots of       1 tick    the next 64 ticks, exactly
///     level 1   64 slots of      64 ticks   the next 4,096
///       ...
///     level 5   64 slots of 64^5 ticks      the horizon; what lies beyond goes round again
///
/// An entry lies on the level of the highest group of six bits in which its deadline differs from
/// now, in the slot that these bits name. When time reaches a slot of level 0 its entries are due;
/// when it reaches one of a higher level its entries move down (each at most five times). A bitmap
/// a level finds the next slot in one instruction, so idle time costs nothing.
///
/// A slot is several lists, filled and emptied in turn. A long list of timers is in no cache, and
/// to follow one pointer after the other costs a miss each; of several lists the next entries are
/// fetched while others are dealt with.
///
/// A heap would compare and move O(log n) entries for every insert and every cancel, and most
/// timers are cancelled: for them this is two pointers.
///
/// Unit     1 tick; the wheel has no clock and knows no time. With 1 ms: 64^6 ms, 2.2 years.
/// Threads  none; its owner locks.
/// Source   Varghese and Lauck 1987, hierarchical timing wheels; level arithmetic as in tokio's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace taskscope::runtime::time {

/// One timer; its owner keeps the memory until it is out of the wheel.
class WheelEntry {
 public:
  WheelEntry() = default;
  WheelEntry(const WheelEntry&) = delete;
  WheelEntry& operator=(const WheelEntry&) = delete;

  [[nodiscard]] std::uint64_t tick() const noexcept { return tick_; }
  [[nodiscard]] bool linked() const noexcept { return level_ != kNowhere; }

 private:
  friend class Wheel;
  static constexpr std::uint8_t kNowhere = 0xff;

  WheelEntry* previous_ = nullptr;
  WheelEntry* next_ = nullptr;
  std::uint64_t tick_ = 0;
  std::uint8_t level_ = kNowhere;
  std::uint8_t slot_ = 0;
  std::uint8_t strand_ = 0;
};

class Wheel {
 public:
  static constexpr std::size_t kLevels = 6;
  static constexpr std::size_t kSlots = 64;
  static constexpr unsigned kSlotBits = 6;
  static constexpr std::uint64_t kHorizon = std::uint64_t{1} << (kSlotBits * kLevels);

  explicit Wheel(std::uint64_t now_tick = 0) noexcept : now_(now_tick) {}
  Wheel(const Wheel&) = delete;
  Wheel& operator=(const Wheel&) = delete;

  /// False, and nothing is entered, if `tick` is not after now: the timer is due already.
  [[nodiscard]] bool insert(WheelEntry& entry, std::uint64_t tick) noexcept;
  /// Takes a linked entry out, due or not.
  void remove(WheelEntry& entry) noexcept;

  /// The tick at which pop_expired has something to do next: the earliest deadline, or an earlier
  /// tick at which entries move down a level. Nullopt: the wheel is empty.
  [[nodiscard]] std::optional<std::uint64_t> next_expiration() const noexcept;
  /// The same, were a linked entry the only one.
  [[nodiscard]] static std::uint64_t expiration_of(const WheelEntry& entry) noexcept {
    const auto shift = entry.level_ * kSlotBits;
    return entry.tick_ >> shift << shift;
  }

  /// Moves time to `now_tick` and takes out the next entry that is due, in the order of ticks and
  /// within a tick in about that of insertion (exactly, where none was removed); null when none is
  /// left. Until then time stands at the tick
  /// of the returned entry, and the wheel may be changed between two calls. A `now_tick` in the
  /// past counts as now.
  [[nodiscard]] WheelEntry* pop_expired(std::uint64_t now_tick) noexcept;

  [[nodiscard]] std::uint64_t now() const noexcept { return now_; }
  [[nodiscard]] bool empty() const noexcept { return !next_slot().has_value(); }
  /// Entries a level.
  [[nodiscard]] const std::array<std::uint32_t, kLevels>& occupancy() const noexcept {
    return count_;
  }

 private:
  static constexpr std::uint8_t kStrands = 8;
  struct List {
    WheelEntry* head = nullptr;
    WheelEntry* tail = nullptr;
  };
  struct Slot {
    std::array<List, kStrands> strands;
    std::uint32_t size = 0;
    std::uint8_t in = 0, out = 0;  // the strand that has the next turn

    [[nodiscard]] static std::uint8_t next(std::uint8_t strand) noexcept {
      return static_cast<std::uint8_t>((strand + 1) % kStrands);
    }
    void push(WheelEntry& entry) noexcept;
    /// Of a slot that is not empty. Has what follows fetched.
    [[nodiscard]] WheelEntry& pop() noexcept;
    void remove(WheelEntry& entry) noexcept;
  };
  struct Expiration {
    std::size_t level = 0;
    std::size_t slot = 0;
    std::uint64_t tick = 0;
  };
  [[nodiscard]] std::optional<Expiration> next_slot() const noexcept;
  void place(WheelEntry& entry) noexcept;

  std::uint64_t now_;
  std::array<std::uint64_t, kLevels> occupied_{};  // one bit a slot
  std::array<std::uint32_t, kLevels> count_{};
  std::array<std::array<Slot, kSlots>, kLevels> slots_{};
};

}  // namespace taskscope::runtime::time
