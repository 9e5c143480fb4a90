#include "taskscope/runtime/task/frame_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <new>

namespace taskscope::runtime::task {
namespace {

using Block = FrameCache::Block;
using Class = FrameCache::Class;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kPools = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
constexpr bool kPools = false;
#else
constexpr bool kPools = true;
#endif
#else
constexpr bool kPools = true;
#endif

constexpr std::size_t kChunk = std::size_t{2} << 20;
constexpr std::size_t kBatchBytes = std::size_t{16} << 10;
/// Memory that came before this much is in use is not worth huge pages: each would be resident
/// whole.
constexpr std::size_t kSmallBytes = std::size_t{8} << 20;

constexpr std::size_t size_of(std::size_t size_class) { return size_class * FrameCache::kStep; }

constexpr std::uint32_t batch_of(std::size_t size_class) {
  return static_cast<std::uint32_t>(
      std::clamp<std::size_t>(kBatchBytes / size_of(size_class), 16, 256));
}

/// What no thread holds. Leaked: threads may end after static objects are destroyed.
class Depot {
 public:
  /// A batch, or null and a fresh run of the size of one.
  Block* take(std::size_t size_class, char*& run, char*& run_end) {
    const std::lock_guard lock(mutex_);
    if (Block* const batch = batches_[size_class]; batch != nullptr) {
      batches_[size_class] = batch->next_batch;
      return batch;
    }
    const std::size_t bytes = size_of(size_class) * batch_of(size_class);
    if (static_cast<std::size_t>(chunk_end_ - chunk_) < bytes) {
      chunk_ = map();
      chunk_end_ = chunk_ + kChunk;
    }
    run = chunk_;
    run_end = chunk_ += bytes;
    return nullptr;
  }
  /// Of `batch_of` blocks, or of fewer at the end of a thread.
  void put(std::size_t size_class, Block* batch) noexcept {
    const std::lock_guard lock(mutex_);
    batch->next_batch = batches_[size_class];
    batches_[size_class] = batch;
  }

 private:
  char* map() {
    // Twice the size finds an aligned chunk; what surrounds it goes back.
    void* const memory = ::mmap(nullptr, 2 * kChunk, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    const auto begin = reinterpret_cast<std::uintptr_t>(memory);
    const auto aligned = (begin + kChunk - 1) / kChunk * kChunk;
    if (aligned != begin) ::munmap(memory, aligned - begin);
    ::munmap(reinterpret_cast<void*>(aligned + kChunk), begin + kChunk - aligned);
    mapped_ += kChunk;
    if (mapped_ > kSmallBytes) ::madvise(reinterpret_cast<void*>(aligned), kChunk, MADV_HUGEPAGE);
    return reinterpret_cast<char*>(aligned);
  }

  std::mutex mutex_;
  std::array<Block*, FrameCache::kClasses> batches_{};
  char* chunk_ = nullptr;
  char* chunk_end_ = nullptr;
  std::size_t mapped_ = 0;
};

Depot& depot() {
  static auto* const only = new Depot;
  return *only;
}

/// Gives back what a thread holds when it ends.
struct Farewell {
  ~Farewell() {
    frame_cache.is_closed = true;
    for (std::size_t size_class = 1; size_class < FrameCache::kClasses; ++size_class) {
      Class& mine = frame_cache.classes[size_class];
      while (mine.run != mine.run_end) {
        auto* const block = reinterpret_cast<Block*>(mine.run);
        mine.run += size_of(size_class);
        block->next = mine.list;
        mine.list = block;
      }
      if (mine.list != nullptr) depot().put(size_class, mine.list);
      if (mine.spare != nullptr) depot().put(size_class, mine.spare);
      mine = {};
    }
  }
};

void register_thread() {
  static thread_local Farewell farewell;
  static_cast<void>(farewell);
  frame_cache.is_registered = true;
}

}  // namespace

void* allocate_frame_slowly(std::size_t bytes) {
  if (!kPools || bytes > FrameCache::kLargest) return ::operator new(bytes);
  const std::size_t size_class = (bytes + FrameCache::kStep - 1) / FrameCache::kStep;
  Class& mine = frame_cache.classes[size_class];
  if (frame_cache.is_closed) {
    char *run = nullptr, *run_end = nullptr;
    Block* batch = depot().take(size_class, run, run_end);
    if (batch == nullptr) {
      for (; run != run_end; run += size_of(size_class)) {
        auto* const block = reinterpret_cast<Block*>(run);
        block->next = batch;
        batch = block;
      }
    }
    if (batch->next != nullptr) depot().put(size_class, batch->next);
    return batch;
  }
  if (!frame_cache.is_registered) register_thread();
  mine.batch = batch_of(size_class);
  if (mine.spare != nullptr) {
    mine.list = mine.spare;
    mine.spare = nullptr;
    mine.count = mine.batch;
  } else {
    mine.list = depot().take(size_class, mine.run, mine.run_end);
    // The batch of a thread that ended is smaller, or larger by its run; the count is only a bound.
    mine.count = mine.list != nullptr ? mine.batch : 0;
  }
  return allocate_frame(bytes);
}

void free_frame_slowly(void* frame, std::size_t bytes) noexcept {
  if (!kPools || bytes > FrameCache::kLargest) {
    ::operator delete(frame);
    return;
  }
  const std::size_t size_class = (bytes + FrameCache::kStep - 1) / FrameCache::kStep;
  Class& mine = frame_cache.classes[size_class];
  auto* const block = static_cast<Block*>(frame);
  block->next = nullptr;
  if (frame_cache.is_closed) {
    depot().put(size_class, block);
    return;
  }
  if (!frame_cache.is_registered) register_thread();
  if (mine.batch == 0) {
    mine.batch = batch_of(size_class);
  } else {
    if (mine.spare != nullptr) depot().put(size_class, mine.spare);
    mine.spare = mine.list;
  }
  mine.list = block;
  mine.count = 1;
}

}  // namespace taskscope::runtime::task
