#include "taskscope/console/analysis/components.h"

#include <algorithm>

namespace taskscope::console::analysis {

std::vector<std::uint32_t> components(const std::vector<std::vector<std::uint32_t>>& next) {
  const auto count = static_cast<std::uint32_t>(next.size());
  std::vector<std::uint32_t> component(count, UINT32_MAX);
  std::vector<std::uint32_t> order(count, 0), low(count, 0);  // 0: not visited
  std::vector<std::uint32_t> open;                            // visited, of no component yet
  struct Step {
    std::uint32_t node, edge;
  };
  std::vector<Step> path;
  std::uint32_t visited = 0, components = 0;
  for (std::uint32_t root = 0; root < count; ++root) {
    if (order[root] != 0) continue;
    path.push_back({root, 0});
    order[root] = low[root] = ++visited;
    open.push_back(root);
    while (!path.empty()) {
      auto& step = path.back();
      const auto node = step.node;
      if (step.edge < next[node].size()) {
        const auto to = next[node][step.edge++];
        if (order[to] == 0) {
          order[to] = low[to] = ++visited;
          open.push_back(to);
          path.push_back({to, 0});
        } else if (component[to] == UINT32_MAX) {
          low[node] = std::min(low[node], order[to]);
        }
        continue;
      }
      path.pop_back();
      if (!path.empty()) low[path.back().node] = std::min(low[path.back().node], low[node]);
      if (low[node] != order[node]) continue;
      for (std::uint32_t member = UINT32_MAX; member != node;) {
        member = open.back();
        open.pop_back();
        component[member] = components;
      }
      ++components;
    }
  }
  return component;
}

}  // namespace taskscope::console::analysis
