/// All living tasks of a runtime: for shutdown, and for the Inspector.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <vector>

#include "taskscope/runtime/sync/lock.h"
#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::scheduler {

/// Sharded tables of slots. A task knows its slot, so leaving is one store, and a walk is an index:
/// it can pause anywhere without holding a lock, and it sees every task that lives throughout
/// exactly once.
class Registry {
 public:
  static constexpr std::uint32_t kShards = 128;

  /// The shard for a worker's next task after `spawned`. Up to sixteen workers have eight each,
  /// more share them. They change between them, so that who ends a stolen task is mostly at another
  /// lock.
  [[nodiscard]] static std::uint32_t shard_of(std::uint32_t worker,
                                              std::uint64_t spawned) noexcept {
    return 8 * worker + static_cast<std::uint32_t>(spawned / 64 % 8);
  }

  enum class Entered : std::uint8_t { Yes, Closed, OutOfMemory };
  /// Enters a task into the shard `hint`.
  [[nodiscard]] Entered insert(task::Header& task, std::uint32_t hint) noexcept {
    const std::uint32_t number = hint % kShards;
    Shard& shard = shards_[number];
    const std::lock_guard lock(shard.mutex);
    if (shard.closed) return Entered::Closed;
    std::uint32_t index = shard.free;
    if (index == kNone) {
      if (shard.size / kBlock == shard.blocks.size() && !shard.grow()) return Entered::OutOfMemory;
      index = shard.size++;
    } else {
      shard.free = static_cast<std::uint32_t>(shard.at(index) >> 1);
    }
    shard.at(index) = reinterpret_cast<std::uintptr_t>(&task);
    task.slot = index * kShards + number;
    ++shard.live;
    return Entered::Yes;
  }

  void remove(task::Header& task) noexcept {
    Shard& shard = shards_[task.slot % kShards];
    const std::uint32_t index = task.slot / kShards;
    const std::lock_guard lock(shard.mutex);
    // Free slots hold the next free one, shifted, with the lowest bit set.
    shard.at(index) = (std::uintptr_t{shard.free} << 1) | 1;
    shard.free = index;
    --shard.live;
  }

  /// From now on nothing enters.
  void close() noexcept {
    for (Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      shard.closed = true;
    }
  }

  [[nodiscard]] std::size_t live() noexcept {
    std::size_t sum = 0;
    for (Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      sum += shard.live;
    }
    return sum;
  }

  /// Calls `visit(Header&)` for up to `limit` tasks from (shard, index) on, under the shard's lock;
  /// moves both on. False: that was the end.
  template <class Visit>
  bool visit(std::uint32_t& shard_number, std::uint64_t& index, std::size_t limit, Visit&& visit) {
    return visit_some(shard_number, index, limit, [&](std::span<task::Header* const> tasks) {
      for (task::Header* task : tasks) visit(*task);
    });
  }
  /// The same with up to kSome tasks at once, so that memory can be fetched for all before it is
  /// read.
  static constexpr std::size_t kSome = 8;
  template <class Visit>
  bool visit_some(std::uint32_t& shard_number, std::uint64_t& index, std::size_t limit,
                  Visit&& visit) {
    std::array<task::Header*, kSome> some;
    std::size_t count = 0;
    std::size_t visited = 0;
    std::size_t looked_at = 0;
    while (shard_number < kShards) {
      Shard& shard = shards_[shard_number];
      {
        const std::lock_guard lock(shard.mutex);
        const auto pass_on = [&] {
          if (count != 0) visit(std::span(some).first(count));
          count = 0;
        };
        for (; index < shard.size; ++index) {
          // Holes count a little: a table that was large once must not hold the lock for long.
          if (visited == limit || ++looked_at > 16 * limit) {
            pass_on();
            return true;
          }
          const auto slot = shard.at(static_cast<std::uint32_t>(index));
          if ((slot & 1) != 0) continue;
          fetch_ahead(shard, index + kSome);
          ++visited;
          some[count++] = reinterpret_cast<task::Header*>(slot);
          if (count == kSome) pass_on();
        }
        pass_on();
      }
      ++shard_number;
      index = 0;
    }
    return false;
  }

 private:
  static constexpr std::uint32_t kBlock = 1024;
  // "No free slot" has to survive the shift that marks free slots.
  static constexpr std::uint32_t kNone = 0x7fffffff;
  using Slots = std::array<std::uintptr_t, kBlock>;

  struct alignas(64) Shard {
    sync::Lock mutex;
    std::vector<std::unique_ptr<Slots>> blocks;
    std::uint32_t size = 0;
    std::uint32_t free = kNone;
    std::size_t live = 0;
    bool closed = false;

    std::uintptr_t& at(std::uint32_t index) { return (*blocks[index / kBlock])[index % kBlock]; }
    /// False: there is no memory, and nothing has changed.
    [[nodiscard]] bool grow() noexcept {
      try {
        blocks.push_back(std::make_unique<Slots>());
        return true;
      } catch (const std::bad_alloc&) {
        return false;
      }
    }
  };

  /// Headers are wherever the allocator put them.
  static void fetch_ahead(Shard& shard, std::uint64_t index) noexcept {
    if (index >= shard.size) return;
    const auto slot = shard.at(static_cast<std::uint32_t>(index));
    if ((slot & 1) != 0) return;
    for (std::size_t line = 0; line < sizeof(task::Header); line += 64)
      __builtin_prefetch(reinterpret_cast<const char*>(slot) + line);
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace taskscope::runtime::scheduler
