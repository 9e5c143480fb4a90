/// Draws a list in groups: a click on a group opens it, one on a title sorts.
#pragma once

#include <optional>

#include "taskscope/console/panels/task_table_groups.h"

namespace taskscope::console::panels {

struct GroupsInput {
  const GroupTable* table = nullptr;
  std::size_t column = 0;  ///< sorted by
  bool descending = true;
  std::uint64_t selected = 0;  ///< id of a row
  float height_px = 0;         ///< 0: what is left
  std::uint32_t hidden = 0;    ///< columns that have no room, a bit each; never the first
};

/// What the user asked of the list itself.
struct GroupsAsked {
  std::optional<std::size_t> sort_by;  ///< a column's title was clicked
  std::uint64_t toggle = 0;            ///< key of a group
};

[[nodiscard]] GroupsAsked draw_groups(const char* id, const GroupsInput& input, Actions& actions);

/// The same, applied to an order.
void draw_groups(const char* id, const GroupTable& table, GroupOrder& order, std::uint64_t selected,
                 Actions& actions, std::uint32_t hidden = 0);

}  // namespace taskscope::console::panels
