#include "taskscope/runtime/time/interval.h"

namespace taskscope::runtime::time {

namespace {

/// Ticks are a ms apart: less than that is not late. Tokio allows five.
constexpr std::uint64_t kPunctualNs = 5 * kTickNs;

std::uint64_t plus(std::uint64_t at, std::uint64_t period_ns) noexcept {
  return period_ns > kNever - 1 - at ? kNever - 1 : at + period_ns;
}

}  // namespace

std::uint64_t next_tick_after(std::uint64_t due, std::uint64_t now, std::uint64_t period_ns,
                              MissedTickBehavior missed) noexcept {
  if (now <= plus(due, kPunctualNs)) return plus(due, period_ns);
  switch (missed) {
    case MissedTickBehavior::Burst:
      return plus(due, period_ns);
    case MissedTickBehavior::Delay:
      return plus(now, period_ns);
    case MissedTickBehavior::Skip:
      return plus(now, period_ns - (now - due) % period_ns);
  }
  return plus(due, period_ns);
}

}  // namespace taskscope::runtime::time
