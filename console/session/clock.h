/// From the stream's ticks to time. Everything in the model keeps ticks and converts when shown.
#pragma once

#include <cstdint>
#include <vector>

#include "taskscope/protocol/update.h"

namespace taskscope::console::session {

/// Session time is nanoseconds after the first clock point; what happened before it is negative.
/// Between clock points the conversion is linear; outside them the nearest piece goes on.
class Clock {
 public:
  void set_ticks_are_tsc(bool yes) noexcept { ticks_are_tsc_ = yes; }
  /// Points that do not go forward are ignored.
  void add(const protocol::ClockPoint&);

  [[nodiscard]] std::int64_t ns(std::uint64_t ticks) const noexcept;
  [[nodiscard]] std::uint64_t ticks(std::int64_t ns) const noexcept;
  /// At the average rate of the session.
  [[nodiscard]] std::int64_t duration_ns(std::uint64_t ticks) const noexcept;
  [[nodiscard]] std::uint64_t duration_ticks(std::int64_t ns) const noexcept;
  [[nodiscard]] std::int64_t ns_of_monotonic(std::uint64_t monotonic_ns) const noexcept;
  [[nodiscard]] std::uint64_t ticks_of_monotonic(std::uint64_t monotonic_ns) const noexcept;
  [[nodiscard]] std::uint64_t wall_ns(std::int64_t ns) const noexcept;

  /// False until two points came (or ticks are nanoseconds): times are guesses.
  [[nodiscard]] bool calibrated() const noexcept { return !ticks_are_tsc_ || points_.size() > 1; }
  [[nodiscard]] bool empty() const noexcept { return points_.empty(); }

 private:
  [[nodiscard]] std::size_t piece_of_ticks(std::uint64_t ticks) const noexcept;
  [[nodiscard]] double rate(std::size_t piece) const noexcept;  // ns a tick

  std::vector<protocol::ClockPoint> points_;
  bool ticks_are_tsc_ = true;
};

}  // namespace taskscope::console::session
