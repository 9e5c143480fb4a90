/// Where everything of a wait-for graph is: waiters left, what they wait for right of them.
///
/// Nodes that wait for each other in a circle form a block: they stand around its edge in the order
/// of the cycle. Blocks and single nodes stand in columns, one for each step of waiting, so nothing
/// can lie on anything else. Of many that wait for the same, a few are drawn and one box counts the
/// others. The same graph always gives the same picture.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "taskscope/console/analysis/wait_graph.h"
#include "taskscope/console/panels/palette.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::panels {

struct GraphPoint {
  float x = 0, y = 0;
};

enum class GraphBoxKind : std::uint8_t { Task, Resource, Outside, More };

struct GraphBox {
  GraphBoxKind kind = GraphBoxKind::Task;
  analysis::NodeKind node = analysis::NodeKind::Task;
  float x = 0, y = 0, width = 0, height = 0;
  std::string title, subtitle;
  std::string tip, path;                 ///< path: "file:line" of where it waits, or was made
  std::uint64_t task = 0, resource = 0;  ///< what a click goes to
  Colour colour = colour::kDone;         ///< of a task's state
  bool seed = false, on_cycle = false, gone = false;
};

struct GraphArrow {
  std::uint32_t from = 0, to = 0;  ///< in GraphView::boxes
  GraphPoint curve[4];             ///< cubic, from border to border
  std::string label;
  bool label_fits = false;  ///< it lies on nothing else
  float label_x = 0, label_y = 0, label_width = 0, label_height = 0;
  std::string tip, path;
  bool certain = true, on_cycle = false, alternative = false;
};

/// Says in words that a block is a cycle.
struct GraphMark {
  float x = 0, y = 0, width = 0, height = 0;
  std::string text;
};

struct GraphView {
  std::vector<GraphBox> boxes;
  std::vector<GraphArrow> arrows;
  std::vector<GraphMark> marks;
  float width = 0, height = 0;  ///< everything is within, from 0, 0
  std::size_t left_out = 0;
  std::size_t cycles = 0;
};

struct GraphOptions {
  float scale = 1;
  bool dense = false;             ///< boxes of one line, close together, arrows without labels
  float aspect = 2.2f;            ///< width by height of where it will be drawn
  std::size_t waiters_a_box = 6;  ///< drawn of those that wait for one thing and do nothing else
  /// Width of a text in the small font.
  std::function<float(std::string_view)> text_width = [](std::string_view text) {
    return 7.0f * static_cast<float>(text.size());
  };
};
[[nodiscard]] GraphView graph_view(const session::Model& model, const analysis::Graph& graph,
                                   const GraphOptions& options);

/// Dense where it would else have to be drawn too small to be read in `width` by `height`.
[[nodiscard]] GraphView graph_view_within(const session::Model& model, const analysis::Graph& graph,
                                          GraphOptions options, float width, float height);

[[nodiscard]] GraphPoint point_on(const GraphPoint (&curve)[4], float t);

}  // namespace taskscope::console::panels
