/// Seeds for the small generators of workers and threads.
#pragma once

#include <cstdint>

namespace taskscope::runtime::scheduler {

/// Spreads every bit over all. Source   splitmix64 (Steele, Lea, Flood 2014).
[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace taskscope::runtime::scheduler
