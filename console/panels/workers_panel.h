/// Draws the workers as charts on the time axis.
#pragma once

#include "taskscope/console/panels/tables_panel.h"
#include "taskscope/console/panels/timeline_charts_panel.h"
#include "taskscope/console/panels/workers_layout.h"

namespace taskscope::console::panels {

struct WorkersInput {
  TimeView view;
  bool following = false;
  std::int64_t long_poll_ns = 10'000'000;
  TableView* numbers = nullptr;  ///< the counters, below the charts where there is room
};

/// Kept between frames.
struct WorkersMemory {
  ChartsMemory charts;
  TableMemory numbers;
  float charts_height_px = 0;  ///< of all rows, at scale 1
};

/// Fills what is left of the current ImGui window.
void draw_workers(const session::Model& model, const WorkersInput& input, WorkersMemory& memory,
                  Actions& actions);

}  // namespace taskscope::console::panels
