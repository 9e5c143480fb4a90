#include "taskscope/runtime/time/wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace taskscope::runtime::time {

void Wheel::place(WheelEntry& entry) noexcept {
  // The highest bit in which deadline and now differ, at least one of level 0 and at most one of
  // the top level: beyond the horizon an entry goes round the top level until it comes within.
  const auto differ = std::min((entry.tick_ ^ now_) | (kSlots - 1), kHorizon - 1);
  const auto level = (static_cast<std::size_t>(std::bit_width(differ)) - 1) / kSlotBits;
  const auto slot = (entry.tick_ >> (level * kSlotBits)) % kSlots;
  entry.level_ = static_cast<std::uint8_t>(level);
  entry.slot_ = static_cast<std::uint8_t>(slot);

  List& list = slots_[level][slot];
  entry.previous_ = list.tail;
  entry.next_ = nullptr;
  (list.tail != nullptr ? list.tail->next_ : list.head) = &entry;
  list.tail = &entry;
  occupied_[level] |= std::uint64_t{1} << slot;
  ++count_[level];
}

bool Wheel::insert(WheelEntry& entry, std::uint64_t tick) noexcept {
  assert(!entry.linked());
  if (tick <= now_) return false;
  entry.tick_ = tick;
  place(entry);
  return true;
}

void Wheel::remove(WheelEntry& entry) noexcept {
  assert(entry.linked());
  List& list = slots_[entry.level_][entry.slot_];
  (entry.previous_ != nullptr ? entry.previous_->next_ : list.head) = entry.next_;
  (entry.next_ != nullptr ? entry.next_->previous_ : list.tail) = entry.previous_;
  if (list.head == nullptr) occupied_[entry.level_] &= ~(std::uint64_t{1} << entry.slot_);
  --count_[entry.level_];
  entry.level_ = WheelEntry::kNowhere;
}

std::optional<Wheel::Expiration> Wheel::next_slot() const noexcept {
  // A lower level lies wholly before the next slot of a higher one, so the first hit is the
  // earliest.
  for (std::size_t level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    const auto shift = level * kSlotBits;
    // Above level 0 the present slot was emptied when time reached it: what lies in it now comes
    // a round later. On level 0 it holds what is due.
    const auto at = (now_ >> shift) + (level == 0 ? 0 : 1);
    const auto ahead = static_cast<std::uint64_t>(
        std::countr_zero(std::rotr(occupied_[level], static_cast<int>(at % kSlots))));
    return Expiration{level, (at + ahead) % kSlots, (at + ahead) << shift};
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Wheel::next_expiration() const noexcept {
  const auto next = next_slot();
  return next ? std::optional(next->tick) : std::nullopt;
}

WheelEntry* Wheel::pop_expired(std::uint64_t now_tick) noexcept {
  now_tick = std::max(now_tick, now_);
  for (auto next = next_slot(); next && next->tick <= now_tick; next = next_slot()) {
    now_ = next->tick;
    List& list = slots_[next->level][next->slot];
    if (next->level == 0) {
      WheelEntry* const due = list.head;
      remove(*due);
      return due;
    }
    // Down a level or more. All slots below are empty by now, so the order is kept.
    WheelEntry* entry = std::exchange(list, List{}).head;
    occupied_[next->level] &= ~(std::uint64_t{1} << next->slot);
    while (entry != nullptr) {
      WheelEntry* const after = entry->next_;
      --count_[next->level];
      place(*entry);
      entry = after;
    }
  }
  now_ = now_tick;
  return nullptr;
}

}  // namespace taskscope::runtime::time
