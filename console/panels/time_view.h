/// The one time axis: what part of the session is on the screen, and how to get back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace taskscope::console::panels {

/// Nanoseconds of the session's clock shown from the left edge to the right one.
struct TimeView {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 1'000'000'000;

  bool operator==(const TimeView&) const = default;
  [[nodiscard]] std::int64_t length() const { return to_ns - from_ns; }
  /// Where a moment is, in a strip `width_px` wide; may be outside of it.
  [[nodiscard]] double x(std::int64_t ns, double width_px) const {
    return static_cast<double>(ns - from_ns) * width_px / static_cast<double>(length());
  }
  [[nodiscard]] std::int64_t time_at(double x_px, double width_px) const {
    return from_ns + static_cast<std::int64_t>(x_px / (width_px > 0 ? width_px : 1) *
                                               static_cast<double>(length()));
  }
};

/// No view is shorter: a pixel is then a nanosecond or less.
constexpr std::int64_t kShortestViewNs = 1'000;
constexpr std::int64_t kLongestViewNs = std::int64_t{48} * 3600 * 1'000'000'000;

/// Shorter (factor < 1) or longer about the moment that stays where it is.
[[nodiscard]] TimeView zoomed(const TimeView& view, double factor, std::int64_t about_ns);
[[nodiscard]] TimeView panned(const TimeView& view, double share_of_width);
/// The span with a margin of 8 % on both sides.
[[nodiscard]] TimeView framed(std::int64_t from_ns, std::int64_t to_ns);
/// Keeps some of [first, last] in sight, and the length within its limits.
[[nodiscard]] TimeView clamped(const TimeView& view, std::int64_t first_ns, std::int64_t last_ns);

/// Follow mode: as long as before, its end at the newest moment, with a little room to the right.
[[nodiscard]] TimeView following(const TimeView& view, std::int64_t newest_ns);

/// Panels that share the axis have the same columns, so that a moment is below itself: labels to
/// the left, then the lanes, then room for a scroll bar.
struct AxisColumns {
  float labels_px = 0, lanes_px = 0;
};
[[nodiscard]] AxisColumns axis_columns(float room_px, float scale);

/// Ticks of the axis: multiples of 1, 2 or 5 · 10^n, at least `room_px` apart.
struct AxisTicks {
  std::int64_t step_ns = 0;
  std::vector<std::int64_t> at_ns;
};
[[nodiscard]] AxisTicks axis_ticks(const TimeView& view, double width_px, double room_px);

/// Navigation that can be undone. Moves closer together than `kMergeMs` are one step, so that
/// "back" undoes a whole zoom and not one notch of the wheel.
class ViewHistory {
 public:
  static constexpr std::int64_t kMergeMs = 700;
  static constexpr std::size_t kDepth = 200;

  void about_to_move(const TimeView& view, std::int64_t now_ms);
  [[nodiscard]] bool can_go_back() const { return !past_.empty(); }
  [[nodiscard]] bool can_go_forward() const { return !future_.empty(); }
  [[nodiscard]] TimeView back(const TimeView& current);
  [[nodiscard]] TimeView forward(const TimeView& current);

 private:
  std::vector<TimeView> past_, future_;
  std::int64_t moved_ms_ = INT64_MIN / 2;
};

}  // namespace taskscope::console::panels
