/// Draws the workers as charts on the time axis.
#pragma once

#include "taskscope/console/panels/timeline_charts_panel.h"
#include "taskscope/console/panels/workers_layout.h"

namespace taskscope::console::panels {

struct WorkersInput {
  TimeView view;
  bool following = false;
  std::int64_t long_poll_ns = 10'000'000;
};

/// Kept between frames.
struct WorkersMemory {
  ChartsMemory charts;
};

/// Fills what is left of the current ImGui window.
void draw_workers(const session::Model& model, const WorkersInput& input, WorkersMemory& memory,
                  Actions& actions);

}  // namespace taskscope::console::panels
