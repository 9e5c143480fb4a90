/// Reads memory of this process that may not be there: a fault becomes a short count.
#pragma once

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace taskscope::instrumentation {

constexpr std::uint64_t kPageBytes = 4096;

/// Copies up to `bytes` from `from` on, and returns how many there were. Async-signal-safe but for
/// errno.
inline std::size_t copy_own_memory(void* to, std::uint64_t from, std::size_t bytes) noexcept {
  constexpr std::size_t kPieces = 16;
  std::size_t done = 0;
  while (done < bytes) {
    // The kernel stops at a piece it can't read; so a piece never crosses a page.
    iovec pieces[kPieces];
    std::size_t count = 0, asked = 0;
    for (; count < kPieces && done + asked < bytes; ++count) {
      const std::uint64_t at = from + done + asked;
      const std::size_t size =
          std::min<std::size_t>(kPageBytes - at % kPageBytes, bytes - done - asked);
      pieces[count] = {reinterpret_cast<void*>(at), size};
      asked += size;
    }
    iovec local{static_cast<char*>(to) + done, asked};
    // Not by its wrapper: sanitizers take that for a write they have to follow.
    const long got = syscall(SYS_process_vm_readv, getpid(), &local, 1ul, pieces, count, 0ul);
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
    if (static_cast<std::size_t>(got) < asked) break;
  }
  return done;
}

/// The same for many small reads near each other. One thread.
class OwnMemory {
 public:
  OwnMemory() { forget(); }

  /// What was read before may have changed.
  void forget() noexcept { pages_.fill(1); }

  /// False when not all of it is there.
  bool read(std::uint64_t from, void* to, std::size_t bytes) noexcept {
    auto* out = static_cast<char*>(to);
    while (bytes > 0) {
      const std::uint64_t page = from / kPageBytes * kPageBytes;
      const std::size_t slot = static_cast<std::size_t>(from / kPageBytes) % kSlots;
      if (pages_[slot] != page) {
        if (copy_own_memory(bytes_[slot].data(), page, kPageBytes) < kPageBytes) {
          pages_[slot] = 1;
          return false;
        }
        pages_[slot] = page;
      }
      const auto skip = static_cast<std::size_t>(from - page);
      const std::size_t part = std::min<std::size_t>(bytes, kPageBytes - skip);
      std::memcpy(out, bytes_[slot].data() + skip, part);
      out += part;
      from += part;
      bytes -= part;
    }
    return true;
  }

 private:
  static constexpr std::size_t kSlots = 32;
  std::array<std::uint64_t, kSlots> pages_;  // address; 1: none
  std::array<std::array<char, kPageBytes>, kSlots> bytes_;
};

}  // namespace taskscope::instrumentation
