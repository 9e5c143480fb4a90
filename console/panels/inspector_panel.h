/// Draws what is known of the selected task.
#pragma once

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/inspector_layout.h"

namespace taskscope::console::panels {

struct InspectorInput {
  const InspectorView* view = nullptr;  ///< null: nothing is selected
  std::string why;                      ///< why it is not running, one line; empty: not known
};

/// Fills what is left of the current ImGui window.
void draw_inspector(const InspectorInput& input, Actions& actions);

}  // namespace taskscope::console::panels
