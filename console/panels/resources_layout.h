/// Resources: which there are, who holds them and who waits; and one of them over time.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "taskscope/console/panels/task_table_groups.h"
#include "taskscope/console/panels/timeline_charts_layout.h"
#include "taskscope/console/session/resource_history.h"

namespace taskscope::console::panels {

enum class ResourceColumn : std::uint8_t {
  Kind,
  Name,
  Holder,
  Waiting,
  Longest,
  Waits,
  Location,
  Type,
  Attributes,
};
constexpr int kResourceColumns = 9;
[[nodiscard]] std::string_view title_of(ResourceColumn column);
[[nodiscard]] bool is_number(ResourceColumn column);

/// Automatic: by location where there are more than fit a few screens.
enum class ResourceGrouping : std::uint8_t { Automatic, None, Location, Kind };

struct ResourceOrder {
  ResourceColumn column = ResourceColumn::Waiting;
  bool descending = true;
  std::string filter;  ///< words that all must be found in a row; case does not matter
  ResourceGrouping grouping = ResourceGrouping::Automatic;
  std::set<std::uint64_t> expanded;  ///< keys of open groups
  bool operator==(const ResourceOrder&) const = default;
};

struct ResourcesView {
  GroupTable table;                                    ///< columns as ResourceColumn
  std::size_t listed = 0, of = 0;                      ///< resources that pass the filter; all
  ResourceGrouping grouping = ResourceGrouping::None;  ///< never Automatic
  bool waits_cut = false;  ///< too many wait to look at each: longest waits are of those looked at
};

struct ResourceLimits {
  std::size_t rows = 2000, group_rows = 100;
  std::size_t look_at_waiters = 50'000;
  std::size_t group_from = 300;  ///< resources from which on Automatic groups
};
[[nodiscard]] ResourcesView resources_view(const session::Model& model, const ResourceOrder& order,
                                           const ResourceLimits& limits = {});

/// "expire keys 2", "last: 10" for a hint; the first three, and how many more.
[[nodiscard]] std::string holders_text(const session::Model& model,
                                       const session::Resource& resource);

/// The selected resource over time: who held it, permit by permit where there are several, and how
/// many waited. What is not known is hatched.
[[nodiscard]] std::vector<ChartRow> resource_rows(const session::Model& model,
                                                  const session::Resource& resource,
                                                  const session::ResourceHistory& history,
                                                  const ChartOptions& options);

}  // namespace taskscope::console::panels
