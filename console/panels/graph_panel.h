/// Draws a wait-for graph, to pan, to zoom and to go on from.
#pragma once

#include <imgui.h>

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/graph_layout.h"

namespace taskscope::console::panels {

struct GraphInput {
  const GraphView* view = nullptr;  ///< null: there is nothing to draw one of
  std::uint64_t selected_task = 0, selected_resource = 0;
  std::uint64_t key = 0;  ///< of what the graph is about: another one is fitted anew
};

/// Kept between frames; for drawing only.
struct GraphMemory {
  float zoom = 1;
  ImVec2 offset{};  ///< of the graph's origin, on the pane
  bool moved = false, pressed = false;
  std::uint64_t key = 0;
  ImVec2 size{};
};

/// How wide a text of the graph is: for GraphOptions.
[[nodiscard]] float graph_text_width(std::string_view text);

/// Fills `size` at the cursor.
void draw_graph(const GraphInput& input, GraphMemory& memory, ImVec2 size, Actions& actions);

}  // namespace taskscope::console::panels
