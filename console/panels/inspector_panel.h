/// Draws what is known of the selected task.
#pragma once

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/inspector_layout.h"

namespace taskscope::console::panels {

struct InspectorInput {
  const InspectorView* view = nullptr;  ///< null: nothing is selected
  std::string why;                      ///< why it is not running, one line; empty: not known
};

/// After an item that a click copies: its tooltip, and a menu on a right click that opens the place
/// in the user's editor.
void place_menu(const std::string& path, Actions& actions);

/// Where a poll blocks, as code: a part of the inspector that other panels show as well.
void draw_native(const InspectorView& view, Actions& actions);

/// Fills what is left of the current ImGui window.
void draw_inspector(const InspectorInput& input, Actions& actions);

}  // namespace taskscope::console::panels
