#include "taskscope/console/panels/time_view.h"

#include <algorithm>
#include <cmath>

namespace taskscope::console::panels {

TimeView zoomed(const TimeView& view, double factor, std::int64_t about_ns) {
  const double wanted = static_cast<double>(view.length()) * factor;
  const auto length = static_cast<std::int64_t>(std::clamp(
      wanted, static_cast<double>(kShortestViewNs), static_cast<double>(kLongestViewNs)));
  const double share =
      static_cast<double>(about_ns - view.from_ns) / static_cast<double>(view.length());
  const std::int64_t from =
      about_ns - static_cast<std::int64_t>(share * static_cast<double>(length));
  return {from, from + length};
}

TimeView panned(const TimeView& view, double share_of_width) {
  const auto by = static_cast<std::int64_t>(share_of_width * static_cast<double>(view.length()));
  return {view.from_ns + by, view.to_ns + by};
}

TimeView framed(std::int64_t from_ns, std::int64_t to_ns) {
  const std::int64_t length = std::max(to_ns - from_ns, kShortestViewNs);
  const std::int64_t margin = length * 2 / 25;
  return {from_ns - margin, from_ns + length + margin};
}

TimeView clamped(const TimeView& view, std::int64_t first_ns, std::int64_t last_ns) {
  last_ns = std::max(last_ns, first_ns + kShortestViewNs);
  const std::int64_t span = last_ns - first_ns;
  // Longer than all there is, with a margin, shows nothing more.
  const std::int64_t longest = std::min(kLongestViewNs, std::max(span + span / 2, kShortestViewNs));
  const std::int64_t length = std::clamp(view.length(), kShortestViewNs, longest);
  std::int64_t from = view.from_ns;
  if (length != view.length()) from = view.from_ns + (view.length() - length) / 2;
  const std::int64_t keep = length / 10;
  from = std::clamp(from, first_ns - length + keep, last_ns - keep);
  return {from, from + length};
}

TimeView following(const TimeView& view, std::int64_t newest_ns) {
  const std::int64_t to = newest_ns + view.length() / 50;
  return {to - view.length(), to};
}

AxisColumns axis_columns(float room_px, float scale) {
  const float labels = std::min(std::round(300 * scale), room_px * 0.4f);
  return {labels, room_px - labels - std::round(11 * scale)};
}

AxisTicks axis_ticks(const TimeView& view, double width_px, double room_px) {
  AxisTicks ticks;
  if (width_px < 1) return ticks;
  const double least = static_cast<double>(view.length()) * room_px / width_px;
  std::int64_t unit = 1;
  while (static_cast<double>(unit) * 10 <= least) unit *= 10;
  for (const std::int64_t times : {1, 2, 5, 10, 20, 50}) {
    ticks.step_ns = unit * times;
    if (static_cast<double>(ticks.step_ns) >= least) break;
  }
  std::int64_t at = view.from_ns / ticks.step_ns * ticks.step_ns;
  if (at < view.from_ns) at += ticks.step_ns;
  for (; at <= view.to_ns; at += ticks.step_ns) ticks.at_ns.push_back(at);
  return ticks;
}

void ViewHistory::about_to_move(const TimeView& view, std::int64_t now_ms) {
  const bool same_move = now_ms - moved_ms_ < kMergeMs && !past_.empty();
  moved_ms_ = now_ms;
  if (same_move) return;
  future_.clear();
  if (!past_.empty() && past_.back() == view) return;
  past_.push_back(view);
  if (past_.size() > kDepth) past_.erase(past_.begin());
}

TimeView ViewHistory::back(const TimeView& current) {
  if (past_.empty()) return current;
  future_.push_back(current);
  const TimeView view = past_.back();
  past_.pop_back();
  moved_ms_ = INT64_MIN / 2;
  return view;
}

TimeView ViewHistory::forward(const TimeView& current) {
  if (future_.empty()) return current;
  past_.push_back(current);
  const TimeView view = future_.back();
  future_.pop_back();
  moved_ms_ = INT64_MIN / 2;
  return view;
}

}  // namespace taskscope::console::panels
