/// From registers and a copy of a stack to the callers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "taskscope/instrumentation/code_map.h"
#include "taskscope/instrumentation/own_memory.h"
#include "taskscope/protocol/update.h"

namespace taskscope::instrumentation {

/// Registers by their DWARF numbers; not all are known of a thread that waits in the kernel.
struct Registers {
#if defined(__aarch64__)
  static constexpr std::size_t kFrame = 29, kStack = 31, kReturn = 30, kCount = 32;
#else
  static constexpr std::size_t kFrame = 6, kStack = 7, kReturn = 16, kCount = 17;
#endif
  std::uint64_t pc = 0;
  std::array<std::uint64_t, kCount> values{};
  std::uint64_t known = 0;  ///< bit per register

  void set(std::size_t number, std::uint64_t value) noexcept {
    values[number] = value;
    known |= std::uint64_t{1} << number;
  }
  [[nodiscard]] bool knows(std::size_t number) const noexcept { return (known >> number & 1) != 0; }
};

/// What lay on the stack at one moment.
struct StackImage {
  std::uint64_t base = 0;
  std::span<const std::uint64_t> words;

  [[nodiscard]] std::uint64_t end() const noexcept { return base + words.size_bytes(); }
  [[nodiscard]] bool read(std::uint64_t address, std::uint64_t& to) const noexcept {
    if (address % sizeof to != 0 || address < base || address >= end()) return false;
    to = words[static_cast<std::size_t>(address - base) / sizeof to];
    return true;
  }
};

struct NativeCallers {
  std::vector<protocol::NativeFrame> frames;  ///< leaf first
  bool is_cut = false;                        ///< the thread's first function was not reached
};

constexpr std::size_t kMaxNativeFrames = 128;

/// Walks from `registers` towards the thread's first function. `code` and `memory` describe the
/// program while the stack was copied; nothing else is read.
NativeCallers unwind(const Registers& registers, const StackImage& stack, const CodeMap& code,
                     OwnMemory& memory);

}  // namespace taskscope::instrumentation
