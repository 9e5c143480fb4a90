/// Memory for task frames: free lists a thread, in size classes of 16 bytes, carved from 2 MiB
/// chunks.
///
///     thread: [ list | spare batch | run not yet cut ]  ⇄ whole batches ⇄  depot of the process
///
/// A frame may be freed on any thread; it stays with the one that freed it, until that has two
/// batches to spare. Memory of ended tasks is kept for the next ones and not given back to the
/// system. In a library built for a sanitizer every frame is an allocation of its own, so that
/// misuse is seen.
///
/// Source: the thread caches and transfer of whole batches are those of Bonwick's magazines
/// ("Magazines and Vmem", USENIX 2001) and of TCMalloc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace taskscope::runtime::task {

/// The frames of one thread. Trivial, so that reaching it costs no check.
struct FrameCache {
  static constexpr std::size_t kStep = 16;
  static constexpr std::size_t kLargest = 1024;  ///< larger ones go to operator new
  static constexpr std::size_t kClasses = kLargest / kStep + 1;

  struct Block {
    Block* next;
    Block* next_batch;  ///< in the first of a batch
  };
  struct Class {
    Block* list;    // at most a batch
    Block* spare;   // a whole batch, or null
    char* run;      // cut from the front
    char* run_end;  // the rest of the run
    std::uint32_t count;
    std::uint32_t batch;  // blocks; 0: not used yet
  };
  std::array<Class, kClasses> classes;
  bool is_registered;  ///< the thread's end gives everything back
  bool is_closed;      ///< the thread ends: keeps nothing any more
};
inline constinit thread_local FrameCache frame_cache{};

/// What the lists of this thread can't serve. Throws std::bad_alloc.
[[nodiscard]] void* allocate_frame_slowly(std::size_t bytes);
void free_frame_slowly(void* frame, std::size_t bytes) noexcept;

/// At least `bytes`, aligned to 16. Throws std::bad_alloc.
[[nodiscard]] inline void* allocate_frame(std::size_t bytes) {
  if (bytes <= FrameCache::kLargest) [[likely]] {
    auto& of_size = frame_cache.classes[(bytes + FrameCache::kStep - 1) / FrameCache::kStep];
    if (auto* const block = of_size.list; block != nullptr) [[likely]] {
      of_size.list = block->next;
      --of_size.count;
      return block;
    }
    if (of_size.run != of_size.run_end) {
      char* const block = of_size.run;
      of_size.run += (bytes + FrameCache::kStep - 1) / FrameCache::kStep * FrameCache::kStep;
      return block;
    }
  }
  return allocate_frame_slowly(bytes);
}

/// `bytes` as allocated; any thread.
inline void free_frame(void* frame, std::size_t bytes) noexcept {
  if (bytes <= FrameCache::kLargest) [[likely]] {
    auto& of_size = frame_cache.classes[(bytes + FrameCache::kStep - 1) / FrameCache::kStep];
    if (of_size.count < of_size.batch) [[likely]] {
      auto* const block = static_cast<FrameCache::Block*>(frame);
      block->next = of_size.list;
      of_size.list = block;
      ++of_size.count;
      return;
    }
  }
  free_frame_slowly(frame, bytes);
}

}  // namespace taskscope::runtime::task
