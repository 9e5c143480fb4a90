/// Draws the task table: only the rows in sight, however many there are.
#pragma once

#include <unordered_map>

#include "taskscope/console/panels/task_table_groups.h"
#include "taskscope/console/panels/task_table_layout.h"

namespace taskscope::console::panels {

struct TaskTableInput {
  const TaskTableLayout* layout = nullptr;
  const TaskOrder* order = nullptr;
  std::uint64_t selected = 0;
  bool frozen = false;        ///< paused: what was shown stays
  bool focus_filter = false;  ///< the user asked for it with a key
  bool scroll_to_selected = false;
};

/// Kept between frames.
struct TaskTableMemory {
  char filter[256] = {};
  std::size_t first_row = 0, rows_in_sight = 0;        ///< of the last frame
  std::unordered_map<std::uint64_t, TaskCells> cells;  ///< shown while frozen
  Grouping by = Grouping::None;                        ///< a flat list, or groups
  GroupOrder group_order;
  GroupTable groups;  ///< made anew twice a second
  Grouping groups_by = Grouping::None;
  GroupOrder groups_order;  ///< that they were made with
  double groups_at_s = -1;
};

/// Fills what is left of the current ImGui window.
void draw_task_table(const session::Model& model, const TaskTableInput& input,
                     TaskTableMemory& memory, Actions& actions);

}  // namespace taskscope::console::panels
