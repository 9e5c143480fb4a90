#include "taskscope/runtime/time/wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace taskscope::runtime::time {

void Wheel::Slot::push(WheelEntry& entry) noexcept {
  if (size == 0) in = out = 0;
  entry.strand_ = in;
  List& list = strands[in];
  in = next(in);
  entry.previous_ = list.tail;
  entry.next_ = nullptr;
  (list.tail != nullptr ? list.tail->next_ : list.head) = &entry;
  list.tail = &entry;
  ++size;
}

void Wheel::Slot::remove(WheelEntry& entry) noexcept {
  List& list = strands[entry.strand_];
  (entry.previous_ != nullptr ? entry.previous_->next_ : list.head) = entry.next_;
  (entry.next_ != nullptr ? entry.next_->previous_ : list.tail) = entry.previous_;
  --size;
}

WheelEntry& Wheel::Slot::pop() noexcept {
  assert(size != 0);
  while (strands[out].head == nullptr) out = next(out);
  WheelEntry& entry = *strands[out].head;
  out = next(out);
  remove(entry);
  if (entry.next_ != nullptr) {
    // It may lie across two lines.
    __builtin_prefetch(entry.next_, 1);
    __builtin_prefetch(entry.next_ + 1, 1);
  }
  return entry;
}

void Wheel::place(WheelEntry& entry) noexcept {
  // The highest bit in which deadline and now differ, at least one of level 0 and at most one of
  // the top level: beyond the horizon an entry goes round the top level until it comes within.
  const auto differ = std::min((entry.tick_ ^ now_) | (kSlots - 1), kHorizon - 1);
  const auto level = (static_cast<std::size_t>(std::bit_width(differ)) - 1) / kSlotBits;
  const auto slot = (entry.tick_ >> (level * kSlotBits)) % kSlots;
  entry.level_ = static_cast<std::uint8_t>(level);
  entry.slot_ = static_cast<std::uint8_t>(slot);

  slots_[level][slot].push(entry);
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
  Slot& slot = slots_[entry.level_][entry.slot_];
  slot.remove(entry);
  if (slot.size == 0) occupied_[entry.level_] &= ~(std::uint64_t{1} << entry.slot_);
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
    Slot& slot = slots_[next->level][next->slot];
    if (next->level == 0) {
      WheelEntry& due = slot.pop();
      if (slot.size == 0) occupied_[0] &= ~(std::uint64_t{1} << next->slot);
      --count_[0];
      due.level_ = WheelEntry::kNowhere;
      return &due;
    }
    // Down a level or more; one beyond the horizon back into this slot, behind the others. All
    // slots below are empty by now, so the order is kept.
    const auto count = slot.size;
    occupied_[next->level] &= ~(std::uint64_t{1} << next->slot);
    count_[next->level] -= count;
    for (std::uint32_t i = 0; i < count; ++i) place(slot.pop());
  }
  now_ = now_tick;
  return nullptr;
}

}  // namespace taskscope::runtime::time
