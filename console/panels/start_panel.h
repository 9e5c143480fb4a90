/// Draws the start screen: what can be attached to, what was opened lately, and a field for the
/// rest.
#pragma once

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/start_layout.h"

namespace taskscope::console::panels {

struct StartInput {
  const std::vector<StartEntry>* processes = nullptr;
  const std::vector<StartEntry>* files = nullptr;
  bool searching = false;  ///< the first search is not over
  bool opening = false;    ///< a target is being opened
  std::string problem;     ///< why the last target could not be opened
};

/// Kept between frames.
struct StartMemory {
  char target[1024] = {};
};

/// Fills the current ImGui window.
void draw_start(const StartInput& input, StartMemory& memory, Actions& actions);

}  // namespace taskscope::console::panels
