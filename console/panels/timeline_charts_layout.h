/// Small charts below each other on the time axis of the timeline: a strip for each quantity, some
/// strips a row. Workers, timers and resources lay out such rows; one panel draws them.
///
/// Between two samples nothing is known but the counters at both ends: so a step is drawn from one
/// sample to the next, with the average between them for what is counted, and the higher of both
/// for what is a level. Samples nearer than 3 px are one step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "taskscope/console/panels/palette.h"
#include "taskscope/console/panels/time_view.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::panels {

struct ChartStep {
  float x_px = 0, to_px = 0;
  double value = 0;
};

/// A stretch of time on a strip: who held a resource, or what is not known of it.
struct ChartBar {
  float x_px = 0, to_px = 0;
  Colour fill = 0;
  bool hatched = false;    ///< not known, or only a hint
  bool open_left = false;  ///< began before what is known
  std::string label{};     ///< drawn where it has room
  std::uint64_t task = 0;  ///< what a click selects
  std::int64_t from_ns = 0, to_ns = 0;
  std::uint32_t folded = 1;  ///< so many that are too narrow to tell apart
};

enum class ChartUnit : std::uint8_t { Count, Rate, Share, Time };
/// "12", "1.2 k/s", "43 %", "1.20 ms".
[[nodiscard]] std::string chart_value_text(ChartUnit unit, double value);

struct ChartStrip {
  std::string label{}, value{};  ///< value: now
  Colour colour = colour::kAccent;
  ChartUnit unit = ChartUnit::Count;
  float height_px = 18;
  double highest = 0;  ///< what the full height stands for
  bool sampled = true;
  std::vector<ChartStep> steps{};
  std::vector<ChartBar> bars{};
};

struct ChartRow {
  std::string title{}, subtitle{}, note{};  ///< below each other, in the labels' column
  Colour dot = 0;                           ///< before the title; 0: none
  bool warn = false;                        ///< the note is bad news
  std::uint64_t task = 0;                   ///< what a click on the labels selects
  bool section = false;                     ///< a heading: title, and subtitle to its right
  std::vector<std::pair<std::string, std::string>> facts{};  ///< of a tooltip on the labels
  std::vector<ChartStrip> strips{};
};

struct ChartOptions {
  TimeView view;
  float width_px = 0;  ///< of the lanes
  float resolution_px = 3;
};

/// Samples `first` and `last` bound the step.
struct SampleStep {
  float x_px = 0, to_px = 0;
  std::size_t first = 0, last = 0;
};

/// Steps between samples that touch the view; `ticks_at(i)` is the time of sample i of `count`.
/// Costs as many searches as there are steps.
template <class TicksAt>
[[nodiscard]] std::vector<SampleStep> sample_steps(const session::Clock& clock, std::size_t count,
                                                   TicksAt ticks_at, const ChartOptions& options);

/// The first of `steps` that the place lies in; SIZE_MAX for none.
[[nodiscard]] std::size_t step_at(std::span<const ChartStep> steps, float x_px);
[[nodiscard]] std::size_t bar_at(std::span<const ChartBar> bars, float x_px);

/// Full heights that tell as much and move less: 1, 2, 5 · 10^n.
[[nodiscard]] double round_highest(double highest);

// --- implementation

template <class TicksAt>
std::vector<SampleStep> sample_steps(const session::Clock& clock, std::size_t count,
                                     TicksAt ticks_at, const ChartOptions& options) {
  std::vector<SampleStep> steps;
  if (count < 2 || options.width_px < 1 || options.view.length() < 1) return steps;
  /// The first sample in [low, count) at or after `ticks`.
  const auto search = [&](std::size_t low, std::uint64_t ticks) {
    std::size_t high = count;
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (ticks_at(middle) < ticks)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  };
  const auto width = static_cast<double>(options.width_px);
  const auto resolution =
      static_cast<std::int64_t>(static_cast<double>(options.view.length()) *
                                static_cast<double>(options.resolution_px) / width);
  std::size_t at = search(0, clock.ticks(options.view.from_ns));
  if (at > 0) --at;
  while (at + 1 < count) {
    const std::int64_t begin_ns = clock.ns(ticks_at(at));
    if (begin_ns > options.view.to_ns) break;
    const std::size_t next =
        std::min(std::max(search(at + 1, clock.ticks(begin_ns + resolution)), at + 1), count - 1);
    const double left = options.view.x(begin_ns, width);
    const double right = options.view.x(clock.ns(ticks_at(next)), width);
    if (right > 0) {
      steps.push_back({static_cast<float>(std::max(left, 0.0)),
                       static_cast<float>(std::min(right, width)), at, next});
    }
    at = next;
  }
  return steps;
}

}  // namespace taskscope::console::panels
