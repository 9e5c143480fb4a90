/// Long lists by groups: tasks by the place that spawned them or where they wait, resources by
/// where they were made. A group's row counts and sums; open, its worst members follow.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "taskscope/console/panels/tables_layout.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::panels {

/// A row of a list in groups: a group, or one thing, in a group or not.
struct GroupRow {
  std::uint64_t key = 0;  ///< of a group; 0: a single thing
  std::uint64_t id = 0;   ///< of a single thing
  bool expanded = false, inside = false;
  std::vector<TableCell> cells{};
  std::optional<Action> on_click{};
  Colour dot = 0;  ///< 0: none
  bool dim = false;
};
struct GroupTable {
  std::vector<TableColumn> columns;
  std::vector<GroupRow> rows;
  std::string empty;     ///< the sentence that stands for no rows
  std::size_t more = 0;  ///< rows that were left out
  std::size_t groups = 0, things = 0;
};

enum class Grouping : std::uint8_t { None, CallSite, AwaitSite };

/// How a list in groups is shown.
struct GroupOrder {
  std::size_t column = 1;
  bool descending = true;
  std::set<std::uint64_t> expanded;  ///< keys of open groups
  bool operator==(const GroupOrder&) const = default;
};

struct GroupLimits {
  std::size_t groups = 2000, members = 50;
};

/// All tasks, from the sums that the model keeps: costs as much as there are places. By await site:
/// who waits, the longest wait, and the p99 of waits that ended. Members: the longest waiting
/// first.
[[nodiscard]] GroupTable grouped_tasks(const session::Model& model, Grouping by,
                                       const GroupOrder& order, const GroupLimits& limits = {});

/// The same for a list of tasks, as waiters or children are.
[[nodiscard]] GroupTable grouped_tasks(const session::Model& model,
                                       std::span<const std::uint64_t> tasks, Grouping by,
                                       const GroupOrder& order, const GroupLimits& limits = {});

}  // namespace taskscope::console::panels
