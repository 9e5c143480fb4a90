#include "taskscope/console/session/clock.h"

#include <algorithm>
#include <cmath>

namespace taskscope::console::session {
namespace {

constexpr std::size_t kMaxPoints = 100'000;  // a day of them; then every other one goes

/// Damaged or hostile ticks must not overflow a conversion.
std::int64_t bounded(double ns) noexcept {
  constexpr double kFar = 4e18;
  return static_cast<std::int64_t>(std::clamp(ns, -kFar, kFar));
}

double difference(std::uint64_t a, std::uint64_t b) noexcept {
  return a >= b ? static_cast<double>(a - b) : -static_cast<double>(b - a);
}

std::uint64_t moved(std::uint64_t value, double by) noexcept {
  constexpr double kFar = 1.8e19;
  if (by >= 0) {
    const auto step = static_cast<std::uint64_t>(std::min(by + 0.5, kFar));
    return step > UINT64_MAX - value ? UINT64_MAX : value + step;
  }
  const auto step = static_cast<std::uint64_t>(std::min(0.5 - by, kFar));
  return step > value ? 0 : value - step;
}

}  // namespace

void Clock::add(const protocol::ClockPoint& point) {
  if (!points_.empty() &&
      (point.ticks <= points_.back().ticks || point.monotonic_ns < points_.back().monotonic_ns))
    return;
  if (points_.size() >= kMaxPoints) {
    std::size_t kept = 1;  // the first one is the zero of the session
    for (std::size_t i = 2; i < points_.size(); i += 2) points_[kept++] = points_[i];
    points_.resize(kept);
  }
  points_.push_back(point);
}

std::size_t Clock::piece_of_ticks(std::uint64_t ticks) const noexcept {
  const auto after = std::upper_bound(
      points_.begin(), points_.end(), ticks,
      [](std::uint64_t value, const protocol::ClockPoint& point) { return value < point.ticks; });
  const auto index = static_cast<std::size_t>(after - points_.begin());
  if (index == 0) return 0;
  return std::min(index - 1, points_.size() >= 2 ? points_.size() - 2 : 0);
}

double Clock::rate(std::size_t piece) const noexcept {
  if (!ticks_are_tsc_ || points_.size() < 2) return 1;
  const auto& a = points_[piece];
  const auto& b = points_[piece + 1];
  const double rate = difference(b.monotonic_ns, a.monotonic_ns) / difference(b.ticks, a.ticks);
  return rate > 0 ? rate : 1;
}

std::int64_t Clock::ns(std::uint64_t ticks) const noexcept {
  if (points_.empty()) return bounded(static_cast<double>(ticks));
  const auto piece = piece_of_ticks(ticks);
  const auto& point = points_[piece];
  return bounded(difference(point.monotonic_ns, points_.front().monotonic_ns) +
                 std::floor(difference(ticks, point.ticks) * rate(piece) + 0.5));
}

std::uint64_t Clock::ticks(std::int64_t ns) const noexcept {
  if (points_.empty()) return ns < 0 ? 0 : static_cast<std::uint64_t>(ns);
  const auto zero = points_.front().monotonic_ns;
  const auto monotonic = moved(zero, static_cast<double>(ns));
  const auto after = std::upper_bound(points_.begin(), points_.end(), monotonic,
                                      [](std::uint64_t value, const protocol::ClockPoint& point) {
                                        return value < point.monotonic_ns;
                                      });
  auto piece = static_cast<std::size_t>(after - points_.begin());
  if (piece > 0) --piece;
  piece = std::min(piece, points_.size() >= 2 ? points_.size() - 2 : 0);
  const double beyond = static_cast<double>(ns) - difference(points_[piece].monotonic_ns, zero);
  return moved(points_[piece].ticks, beyond / rate(piece));
}

std::int64_t Clock::duration_ns(std::uint64_t ticks) const noexcept {
  if (!ticks_are_tsc_ || points_.size() < 2) return bounded(static_cast<double>(ticks));
  const double average = difference(points_.back().monotonic_ns, points_.front().monotonic_ns) /
                         difference(points_.back().ticks, points_.front().ticks);
  return bounded(static_cast<double>(ticks) * (average > 0 ? average : 1));
}

std::uint64_t Clock::duration_ticks(std::int64_t ns) const noexcept {
  if (ns <= 0) return 0;
  if (!ticks_are_tsc_ || points_.size() < 2) return static_cast<std::uint64_t>(ns);
  const double average = difference(points_.back().monotonic_ns, points_.front().monotonic_ns) /
                         difference(points_.back().ticks, points_.front().ticks);
  return moved(0, static_cast<double>(ns) / (average > 0 ? average : 1));
}

std::int64_t Clock::ns_of_monotonic(std::uint64_t monotonic_ns) const noexcept {
  return bounded(difference(monotonic_ns, points_.empty() ? 0 : points_.front().monotonic_ns));
}

std::uint64_t Clock::ticks_of_monotonic(std::uint64_t monotonic_ns) const noexcept {
  return ticks(ns_of_monotonic(monotonic_ns));
}

std::uint64_t Clock::wall_ns(std::int64_t ns) const noexcept {
  if (points_.empty()) return 0;
  const auto ticks_then = ticks(ns);
  const auto piece = piece_of_ticks(ticks_then);
  const auto& point = points_[piece];
  const double beyond =
      static_cast<double>(ns) - difference(point.monotonic_ns, points_.front().monotonic_ns);
  return moved(point.wall_ns, beyond);
}

}  // namespace taskscope::console::session
