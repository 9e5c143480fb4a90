/// Draws the resources: the list, who waits for the selected one, and who held it when.
#pragma once

#include "taskscope/console/panels/resources_layout.h"
#include "taskscope/console/panels/timeline_charts_panel.h"

namespace taskscope::console::panels {

struct ResourcesInput {
  const ResourcesView* view = nullptr;
  std::uint64_t selected = 0;  ///< 0: none
  const session::ResourceHistory* history = nullptr;
  const GroupTable* waiters = nullptr;  ///< of the selected one
  std::uint64_t selected_task = 0;
  TimeView time;
  bool following = false;
};

/// Kept between frames. The app looks at the orders when it makes the lists.
struct ResourcesMemory {
  ResourceOrder order;
  Grouping waiters_by = Grouping::AwaitSite;
  GroupOrder waiters_order{.column = 1, .descending = true, .expanded = {}};
  char filter[128] = {};
  ChartsMemory charts;
};

/// Fills what is left of the current ImGui window.
void draw_resources(const session::Model& model, const ResourcesInput& input,
                    ResourcesMemory& memory, Actions& actions);

}  // namespace taskscope::console::panels
