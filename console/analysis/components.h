/// Strongly connected components: what lies on cycles with what.
#pragma once

#include <cstdint>
#include <vector>

namespace taskscope::console::analysis {

/// The component of each node, numbered so that edges go to smaller or equal numbers. `next[n]` are
/// the nodes that n has edges to. Time and memory in proportion to both; no recursion.
///
/// Source   Tarjan 1972, with an explicit stack.
[[nodiscard]] std::vector<std::uint32_t> components(
    const std::vector<std::vector<std::uint32_t>>& next);

}  // namespace taskscope::console::analysis
