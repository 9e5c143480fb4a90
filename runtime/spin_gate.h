/// Whether a thread should go on looking for work a while before it sleeps.
///
/// Waking a thread costs 15-25 us and its waker a system call; where work comes sooner than that,
/// looking for it is cheaper for both. Looking is a waste where nothing comes, and harm where
/// somebody else could use the core. So a thread looks for about as long as a wake-up takes; looks
/// less often the longer nothing came of it; and stops for a while when the kernel had to take the
/// core away from it, which it does only if somebody wants it.
#pragma once

#include <cstdint>

namespace taskscope::runtime {

/// Source   how long is that of Karlin et al., Empirical Studies of Competitive Spinning, 1991.
class SpinGate {  // the owning thread only
 public:
  static constexpr std::uint64_t kLongestNs = 20'000;

  /// May it look, this time?
  [[nodiscard]] bool opens() noexcept {
    if (rests_ == 0) return has_cores_;
    --rests_;
    return false;
  }
  /// It has looked.
  void closes(bool found) noexcept {
    misses_ = found ? 0 : misses_ + 1;
    // To ask the kernel costs more than a look that finds something at once.
    if (!found || ++finds_ % kFindsBetween == 0) look_back();
  }

 private:
  static constexpr std::uint32_t kFindsBetween = 16;
  void look_back() noexcept;

  std::uint32_t misses_ = 0;  // in a row
  std::uint32_t finds_ = 0;
  std::uint32_t rests_ = 0;  // times not to look
  long preemptions_ = -1;    // as counted last; -1: never
  bool has_cores_ = has_other_cores();
  static bool has_other_cores() noexcept;
};

/// Processors this process may run on; at least 1.
[[nodiscard]] std::uint32_t available_processors() noexcept;

}  // namespace taskscope::runtime
