/// Draws the bar at the top of the window.
#pragma once

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/top_bar_layout.h"

namespace taskscope::console::panels {

struct TopBarInput {
  const TopBarView* view = nullptr;
  bool following = false, paused = false;
  bool can_go_back = false, can_go_forward = false;
  std::string record_path;  ///< where a recording that begins now would go
  std::string message;      ///< something that happened; stands under the bar until dismissed
  bool message_is_bad = false;
};

/// Draws over the whole width; returns the height it took.
[[nodiscard]] float draw_top_bar(const TopBarInput& input, Actions& actions);

}  // namespace taskscope::console::panels
