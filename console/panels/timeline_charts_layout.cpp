#include "taskscope/console/panels/timeline_charts_layout.h"

#include <cmath>

#include "taskscope/console/panels/format.h"

namespace taskscope::console::panels {

std::string chart_value_text(ChartUnit unit, double value) {
  switch (unit) {
    case ChartUnit::Count:
      return short_count_text(value);
    case ChartUnit::Rate:
      return short_count_text(value) + "/s";
    case ChartUnit::Share:
      return percent_text(value);
    case ChartUnit::Time:
      return duration_text(static_cast<std::int64_t>(value));
  }
  return {};
}

std::size_t step_at(std::span<const ChartStep> steps, float x_px) {
  const auto after = std::upper_bound(steps.begin(), steps.end(), x_px,
                                      [](float x, const ChartStep& step) { return x < step.x_px; });
  if (after == steps.begin()) return SIZE_MAX;
  const auto found = after - 1;
  return x_px < found->to_px ? static_cast<std::size_t>(found - steps.begin()) : SIZE_MAX;
}

std::size_t bar_at(std::span<const ChartBar> bars, float x_px) {
  // What is drawn last lies on top; a narrow bar is taken from 1 px beside it.
  for (std::size_t i = bars.size(); i-- > 0;) {
    if (x_px >= bars[i].x_px - 1 && x_px <= bars[i].to_px + 1) return i;
  }
  return SIZE_MAX;
}

double round_highest(double highest) {
  if (highest <= 0) return 1;
  const double power = std::pow(10.0, std::floor(std::log10(highest)));
  for (const double step : {1.0, 2.0, 5.0, 10.0}) {
    if (highest <= step * power * 1.0001) return step * power;
  }
  return highest;
}

}  // namespace taskscope::console::panels
