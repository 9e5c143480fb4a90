/// Numbers for places in the source, found without a lock, an allocation or a string.
///
/// A std::source_location is a pointer to static data; the table maps that pointer to the slot it
/// was put into first. The strings behind it are copied later, by the collector. The same line can
/// have several pointers (inline functions, templates); the dictionary makes them one.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "taskscope/runtime/observe/ids.h"

namespace taskscope::instrumentation {

using runtime::observe::Site;
static_assert(sizeof(Site) == sizeof(const void*));

class SiteTable {
 public:
  static constexpr std::size_t kCapacity = std::size_t{1} << 16;  // an id fits 16 bits of a unit

  constexpr SiteTable() = default;

  /// The number of a site, or 0 for none, or when the table is crowded around it. Any thread.
  [[nodiscard]] std::uint32_t id(const Site& site) noexcept {
    const auto* const key = std::bit_cast<const void*>(site);
    if (key == nullptr) return 0;
    std::size_t slot = first_slot(key);
    for (int probe = 0; probe < kProbes; ++probe, slot = next_slot(slot)) {
      // Relaxed throughout: the pointer is all that is stored, and what it names is constant.
      const void* found = slots_[slot].load(std::memory_order_relaxed);
      if (found == key) return static_cast<std::uint32_t>(slot);
      if (found != nullptr) continue;
      if (slots_[slot].compare_exchange_strong(found, key, std::memory_order_relaxed) ||
          found == key)
        return static_cast<std::uint32_t>(slot);
    }
    return 0;
  }

  /// The site of a number that id() gave.
  [[nodiscard]] Site at(std::uint32_t id) const noexcept {
    return std::bit_cast<Site>(slots_[id % kCapacity].load(std::memory_order_relaxed));
  }

 private:
  static constexpr int kProbes = 64;

  static std::size_t first_slot(const void* key) noexcept {
    const auto hash =
        static_cast<std::uint64_t>(std::bit_cast<std::uintptr_t>(key)) * 0x9E3779B97F4A7C15u;
    const auto slot = static_cast<std::size_t>(hash >> 48);
    return slot == 0 ? 1 : slot;  // 0 means none
  }
  static std::size_t next_slot(std::size_t slot) noexcept {
    return slot + 1 == kCapacity ? 1 : slot + 1;
  }

  std::atomic<const void*> slots_[kCapacity] = {};  // each written once, by whoever comes first
};

/// The table of the process.
extern constinit SiteTable sites;

}  // namespace taskscope::instrumentation
