#include "taskscope/tests/instrumentation/blocking_calls.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <cerrno>
#include <cstdint>

namespace taskscope::test {

Block::Block() {
  if (pipe2(pipe, O_CLOEXEC) != 0) return;
  mutex.lock();
}

Block::~Block() {
  release();
  for (const int fd : pipe) close(fd);
}

void Block::release() {
  if (is_released.exchange(true)) return;
  [[maybe_unused]] const auto written = write(pipe[1], "x", 1);
  mutex.unlock();
}

[[gnu::noinline]] void compute_in_a_loop(Block& block) {
  std::uint64_t number = block.number;
  while (!block.is_released.load(std::memory_order_relaxed))
    for (int i = 0; i < 1000; ++i) number = number * 6364136223846793005u + 1442695040888963407u;
  block.number = number;
}

[[gnu::noinline]] void read_from_a_pipe(Block& block) {
  char byte = 0;
  if (read(block.pipe[0], &byte, 1) != 1) block.number = 0;  // seen by the tests
  asm volatile("");                                          // no tail call
}

[[gnu::noinline]] void lock_a_mutex(Block& block) {
  block.mutex.lock();
  block.mutex.unlock();
  asm volatile("");
}

[[gnu::noinline]] void block_deeply(Block& block, Blocking how, int depth) {
  if (depth > 0) {
    block_deeply(block, how, depth - 1);
  } else {
    block.tid.store(static_cast<std::int32_t>(syscall(SYS_gettid)));
    how(block);
  }
  asm volatile("");
}

bool signals_are_late() {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  return true;
#endif
#endif
  return false;
}

std::size_t times_in(const std::vector<protocol::NativeFrame>& frames, const void* function) {
  std::size_t times = 0;
  for (const auto& frame : frames) {
    const auto at = frame.address - (&frame == frames.data() ? 0 : 1);
    times += _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(at)) == function ? 1 : 0;
  }
  return times;
}

std::size_t place_in(const std::vector<protocol::NativeFrame>& frames, const void* function) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto at = frames[i].address - (i == 0 ? 0 : 1);
    if (_Unwind_FindEnclosingFunction(reinterpret_cast<void*>(at)) == function) return i;
  }
  return SIZE_MAX;
}

}  // namespace taskscope::test
