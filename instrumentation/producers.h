/// All producers of the process and the memory of their rings, as the collector keeps them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "taskscope/instrumentation/producer.h"

namespace taskscope::instrumentation {

struct RingSizes {
  std::size_t worker_bytes = std::size_t{8} << 20;
  std::size_t other_bytes = std::size_t{64} << 10;
  std::size_t limit_bytes = std::size_t{256} << 20;  ///< of all rings
};

/// Makes and keeps rings. Their memory stays mapped for the life of the process (see producer.h).
/// Not thread-safe.
class RingStore {
 public:
  void set_limit(std::size_t bytes) noexcept { limit_bytes_ = bytes; }

  /// A ring of `bytes` (a power of two), its pages present; null at the limit or without memory.
  EventRing* take(std::size_t bytes);
  void give_back(EventRing* ring);

  /// Hands the pages of all rings to the kernel; the rings stay usable.
  void release_pages();
  /// Brings the pages of all rings back.
  void fault_pages();
  /// Memory of the rings while their pages are present.
  [[nodiscard]] std::size_t bytes() const noexcept { return present_ ? mapped_bytes_ : 0; }

 private:
  struct Mapping {
    std::unique_ptr<EventRing> ring;
    void* memory;
    std::size_t bytes;
  };
  std::vector<Mapping> mappings_;
  std::vector<EventRing*> free_;
  std::size_t limit_bytes_ = 0, mapped_bytes_ = 0;
  bool present_ = true;
};

/// The producers, and who may take which. Lives as long as the process, as their threads may.
class Producers {
 public:
  static constexpr std::size_t kMaxProducers = 1024;

  [[nodiscard]] static Producers& of_process();

  /// Sizes of the rings made from now on, each a power of two; before anything is recorded.
  void configure(const RingSizes& sizes);

  // --- any thread

  /// Keeps so many large and small rings in stock for threads that come unannounced.
  void stock(std::size_t large, std::size_t small);
  [[nodiscard]] std::size_t ring_bytes() const;
  /// What threads without a producer dropped so far.
  [[nodiscard]] static Dropped dropped_without_producer() noexcept;

  // --- the collector

  /// Keeps a large ring for the thread `tid` (as worker `worker`), if it has none yet.
  void reserve(std::int32_t tid, std::uint32_t worker);
  /// Gives up what was reserved and never taken.
  void unreserve();
  /// Gives a worker that began with a small ring a large one.
  void enlarge(Producer& producer);
  /// Makes a closed and drained producer fit for its next owner.
  void recycle(Producer& producer);
  /// Follows the owner to the ring it changed to, once the one before is empty.
  void follow(Producer& producer);

  void release_pages();
  void fault_pages();

  /// Slots that were ever used, in no particular order. Those that are Empty are not the
  /// collector's.
  [[nodiscard]] static std::span<Producer> slots() noexcept;

  [[nodiscard]] std::size_t worker_ring_units() const noexcept {
    return sizes_.worker_bytes / sizeof(Unit);
  }

 private:
  Producers() = default;
  Producer* empty_slot();
  void equip(Producer& producer, EventRing* ring);

  RingSizes sizes_;
  std::vector<Producer*> spare_;  // slots without a ring
  mutable std::mutex mutex_;      // guards the store and the way of a slot to Stocked or Reserved
  RingStore store_;
};

}  // namespace taskscope::instrumentation
