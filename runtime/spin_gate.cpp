#include "taskscope/runtime/spin_gate.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>

namespace taskscope::runtime {

std::uint32_t available_processors() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int count = CPU_COUNT(&set);
  return count > 0 ? static_cast<std::uint32_t>(count) : 1;
}

bool SpinGate::has_other_cores() noexcept { return available_processors() > 1; }

void SpinGate::look_back() noexcept {
  constexpr std::uint32_t kPatience = 4, kLongestRest = 64, kRestFromOthers = 256;
  if (misses_ > kPatience) rests_ = std::min(misses_ - kPatience, kLongestRest);
  rusage usage{};
  if (::getrusage(RUSAGE_THREAD, &usage) != 0 || usage.ru_nivcsw == preemptions_) return;
  if (preemptions_ != -1) rests_ = kRestFromOthers;
  preemptions_ = usage.ru_nivcsw;
}

}  // namespace taskscope::runtime
