/// Draws the small tables: resources, workers, losses.
#pragma once

#include "taskscope/console/panels/tables_layout.h"

namespace taskscope::console::panels {

/// Kept between frames: how the user sorts this table; SIZE_MAX: as it comes.
struct TableMemory {
  std::size_t column = SIZE_MAX;
  bool descending = true;
};

/// Fills what is left of the current ImGui window. `id` is unique for the table.
void draw_table(const char* id, TableView& table, TableMemory& memory, Actions& actions);

}  // namespace taskscope::console::panels
