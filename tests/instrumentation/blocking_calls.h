/// Functions that block in known ways, and how to find them in a native stack.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "taskscope/protocol/update.h"

namespace taskscope::test {

struct Block {
  Block();
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// Lets all three go on.
  void release();

  std::atomic<std::int32_t> tid{0};  // of who blocks
  std::atomic<bool> is_released{false};
  int pipe[2] = {-1, -1};
  std::mutex mutex;  // held by who made it until release()
  std::uint64_t number = 1;
};

// Each runs until release(), under its caller `block_deeply`.
void compute_in_a_loop(Block& block);
void read_from_a_pipe(Block& block);
void lock_a_mutex(Block& block);
using Blocking = void (*)(Block&);
void block_deeply(Block& block, Blocking how, int depth);

/// True under ThreadSanitizer, which holds back signals from a thread that only computes.
bool signals_are_late();

/// How often the function is in the stack.
std::size_t times_in(const std::vector<protocol::NativeFrame>& frames, const void* function);
/// 0 is the leaf; the frame that is deepest. SIZE_MAX: it is not there.
std::size_t place_in(const std::vector<protocol::NativeFrame>& frames, const void* function);

template <class Function>
const void* address_of(Function* function) {
  return reinterpret_cast<const void*>(function);
}

}  // namespace taskscope::test
