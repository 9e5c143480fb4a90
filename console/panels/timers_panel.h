/// Draws the timers: wheels and late fires on the time axis, and the next to fire below.
#pragma once

#include "taskscope/console/panels/tables_panel.h"
#include "taskscope/console/panels/timeline_charts_panel.h"
#include "taskscope/console/panels/timers_layout.h"

namespace taskscope::console::panels {

struct TimersInput {
  TimeView view;
  bool following = false;
  bool frozen = false;  ///< paused: what was shown stays
};

/// Kept between frames.
struct TimersMemory {
  ChartsMemory charts;
  NextTimers next;
  TableView table;
  TableMemory table_memory;
  double looked_at_s = -1, table_at_s = -1;
};

/// Fills what is left of the current ImGui window.
void draw_timers(const session::Model& model, const TimersInput& input, TimersMemory& memory,
                 Actions& actions);

}  // namespace taskscope::console::panels
