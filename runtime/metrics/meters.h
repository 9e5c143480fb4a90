/// What a worker measures of polls when histograms are switched on.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "taskscope/runtime/metrics/histogram.h"
#include "taskscope/runtime/observe/ticks.h"

namespace taskscope::runtime::metrics {

/// When a task was queued: 32 bits of the clock, because a task's header has no room for more. One
/// unit is 64 ticks, 21 ns at 3 GHz, and after 2^38 ticks it begins anew: of a task that was queued
/// for longer, a minute and a half there, the multiples of that are missing.
class QueueStamp {
 public:
  static constexpr unsigned kShift = 6;
  [[nodiscard]] static std::uint32_t at(observe::Ticks now) noexcept {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(now) >> kShift);
  }
  /// Ticks from a stamp to a poll that began then.
  [[nodiscard]] static std::uint64_t ticks_since(std::uint32_t stamp,
                                                 observe::Ticks started) noexcept {
    const std::uint32_t units = at(started) - stamp;
    // Processors agree on the time but for some ns, and a poll may begin with a reading that was
    // taken as the one before ended: what seems to be queued after its poll was just queued.
    return units > UINT32_MAX - 1024 ? 0 : std::uint64_t{units} << kShift;
  }
};

/// Nanoseconds a tick. The first call measures it, in about a millisecond, where ticks are no ns.
[[nodiscard]] double ns_per_tick();

/// The histograms of one worker.
class Meters {
 public:
  explicit Meters(const HistogramScales& scales);

  [[nodiscard]] static bool wanted(const HistogramScales& scales) noexcept {
    return scales.poll_time || scales.schedule_latency || scales.poll_count;
  }
  [[nodiscard]] std::uint64_t to_ns(std::uint64_t ticks) const noexcept {
    return static_cast<std::uint64_t>(static_cast<double>(ticks) * ns_per_tick_);
  }

  // Its worker records; null: off.
  const std::unique_ptr<Histogram> poll_time, schedule_latency, poll_count;

 private:
  const double ns_per_tick_;
};

}  // namespace taskscope::runtime::metrics
