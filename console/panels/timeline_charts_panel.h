/// Draws rows of charts on the time axis, with the axis above them.
#pragma once

#include <functional>

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/timeline_charts_layout.h"

namespace taskscope::console::panels {

struct ChartsInput {
  TimeView view;
  bool following = false;
  std::int64_t begin_ns = 0, now_ns = 0;  ///< of the session: beyond there is nothing to know
  std::string heading{};                  ///< in the labels' column beside the axis
};

/// Kept between frames.
struct ChartsMemory {
  float width_px = 0;                      ///< of the lanes
  std::size_t first = 0, last = SIZE_MAX;  ///< rows in sight in the last frame
};

/// Lays out rows for the lanes' width, when the panel knows it.
using MakeRows = std::function<std::vector<ChartRow>(const ChartOptions&)>;

/// `height` of the current ImGui window, from the cursor on; with its own scroll bar.
void draw_charts(const char* id, const ChartsInput& input, const MakeRows& make, float height,
                 ChartsMemory& memory, Actions& actions);
/// How high the rows and the axis are together.
[[nodiscard]] float charts_height(const std::vector<ChartRow>& rows);

}  // namespace taskscope::console::panels
