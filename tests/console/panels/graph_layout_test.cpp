#include "taskscope/console/panels/graph_layout.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;
using namespace taskscope::console::panels;
using analysis::Graph;
using analysis::NodeKind;

namespace {

std::uint32_t add(Graph& graph, NodeKind kind, std::uint64_t id) {
  analysis::GraphNode node;
  node.kind = kind;
  node.id = id;
  node.label = (kind == NodeKind::Task ? "task #" : "mutex #") + std::to_string(id);
  graph.nodes.push_back(node);
  return static_cast<std::uint32_t>(graph.nodes.size() - 1);
}

void join(Graph& graph, std::uint32_t from, std::uint32_t to, bool on_cycle = false) {
  analysis::GraphEdge edge;
  edge.from = from;
  edge.to = to;
  edge.label = graph.nodes[from].kind == NodeKind::Task ? "lock" : "held by";
  edge.on_cycle = on_cycle;
  if (on_cycle) graph.nodes[from].on_cycle = graph.nodes[to].on_cycle = true;
  graph.edges.push_back(edge);
}

/// `members` tasks, each waiting for what the next one holds.
Graph ring(std::size_t members) {
  Graph graph;
  for (std::uint32_t i = 0; i < members; ++i) {
    add(graph, NodeKind::Task, 100 + i);
    add(graph, NodeKind::Resource, 200 + i);
  }
  for (std::uint32_t i = 0; i < members; ++i) {
    const auto next = static_cast<std::uint32_t>((i + 1) % members);
    join(graph, 2 * i, 2 * i + 1, true);
    join(graph, 2 * i + 1, 2 * next, true);
  }
  return graph;
}

struct Rect {
  float x, y, width, height;
};
bool meet(const Rect& a, const Rect& b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

void check_picture(const GraphView& view) {
  std::vector<Rect> rects;
  for (const GraphBox& box : view.boxes) rects.push_back({box.x, box.y, box.width, box.height});
  for (const GraphMark& mark : view.marks) {
    rects.push_back({mark.x, mark.y, mark.width, mark.height});
  }
  for (const GraphArrow& arrow : view.arrows) {
    REQUIRE(arrow.from < view.boxes.size());
    REQUIRE(arrow.to < view.boxes.size());
    for (const GraphPoint& point : arrow.curve) {
      CHECK(std::isfinite(point.x));
      CHECK(std::isfinite(point.y));
    }
    if (arrow.label_fits) {
      rects.push_back({arrow.label_x, arrow.label_y, arrow.label_width, arrow.label_height});
    }
  }
  for (std::size_t i = 0; i < rects.size(); ++i) {
    CHECK(rects[i].x >= 0);
    CHECK(rects[i].y >= 0);
    CHECK(rects[i].x + rects[i].width <= view.width);
    CHECK(rects[i].y + rects[i].height <= view.height);
    for (std::size_t k = i + 1; k < rects.size(); ++k) {
      CAPTURE(i, k, view.boxes.size());
      CHECK_FALSE(meet(rects[i], rects[k]));
    }
  }
}

GraphView lay_out(const Graph& graph) {
  static const auto session = tests::synthetic_session();
  return graph_view(session->model(), graph, {});
}

}  // namespace

TEST_CASE("graph layout: cycles of any length stand around their edge, nothing on anything") {
  for (std::size_t members = 1; members <= 24; ++members) {
    CAPTURE(members);
    const GraphView view = lay_out(ring(members));
    check_picture(view);
    CHECK(view.cycles == 1);
    CHECK(view.boxes.size() == 2 * members);
    // Each arrow's label has room, as the gaps are made for them.
    for (const GraphArrow& arrow : view.arrows) CHECK(arrow.label_fits);
    if (members > 1) {
      REQUIRE(view.marks.size() == 1);
      CHECK(view.marks[0].text == "a cycle of " + std::to_string(members) + " tasks");
    }
  }
}

TEST_CASE("graph layout: what would be too small to read is drawn dense") {
  static const auto session = tests::synthetic_session();
  const auto within = [&](std::size_t members, float width, float height) {
    const GraphView view = graph_view_within(session->model(), ring(members), {}, width, height);
    check_picture(view);
    return std::min(width / view.width, height / view.height);
  };
  CHECK(within(2, 600, 300) >= 0.8f);
  const GraphView roomy = graph_view(session->model(), ring(6), {});
  const float plain = std::min(577 / roomy.width, 170 / roomy.height);
  CHECK(within(6, 577, 170) > 1.3f * plain);
  // A pane that has no size yet asks for nothing.
  CHECK(graph_view_within(session->model(), ring(3), {}, 0, 0).boxes.size() == 6);
}

TEST_CASE("graph layout: waiters stand left of what they wait for") {
  Graph graph;
  const auto holder = add(graph, NodeKind::Task, 1), mutex = add(graph, NodeKind::Resource, 2);
  const auto waiter = add(graph, NodeKind::Task, 3), late = add(graph, NodeKind::Task, 4);
  join(graph, mutex, holder);
  join(graph, waiter, mutex);
  join(graph, late, holder);
  const GraphView view = lay_out(graph);
  check_picture(view);
  const auto right_of = [&](std::uint32_t a, std::uint32_t b) {
    return view.boxes[a].x >= view.boxes[b].x + view.boxes[b].width;
  };
  CHECK(right_of(mutex, waiter));
  CHECK(right_of(holder, mutex));
  // Who waits for the holder itself stands beside it, not at the far left.
  CHECK(right_of(holder, late));
  CHECK(view.boxes[late].x > view.boxes[waiter].x);
}

TEST_CASE("graph layout: of many waiters a few are drawn and the others are counted") {
  Graph graph;
  const auto mutex = add(graph, NodeKind::Resource, 1), holder = add(graph, NodeKind::Task, 2);
  join(graph, mutex, holder);
  graph.nodes[mutex].more_waiters = 1194;
  for (std::uint32_t i = 0; i < 16; ++i) join(graph, add(graph, NodeKind::Task, 10 + i), mutex);
  const GraphView view = lay_out(graph);
  check_picture(view);
  CHECK(view.boxes.size() == 2 + 6 + 1);
  const auto more = std::find_if(view.boxes.begin(), view.boxes.end(), [](const GraphBox& box) {
    return box.kind == GraphBoxKind::More;
  });
  REQUIRE(more != view.boxes.end());
  CHECK(more->title == "and 1,204 more waiters");
  CHECK(more->resource == 1);
}

TEST_CASE("graph layout: a task that was asked about is never folded away") {
  Graph graph;
  const auto mutex = add(graph, NodeKind::Resource, 1);
  for (std::uint32_t i = 0; i < 20; ++i) join(graph, add(graph, NodeKind::Task, 10 + i), mutex);
  graph.nodes.back().seed = true;
  const GraphView view = lay_out(graph);
  CHECK(std::any_of(view.boxes.begin(), view.boxes.end(),
                    [](const GraphBox& box) { return box.task == 29; }));
}

TEST_CASE("graph layout: any graph is drawn, the same each time, without overlaps") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    Graph graph;
    const std::size_t count = 1 + random() % 60;
    for (std::uint64_t i = 0; i < count; ++i) {
      add(graph, random() % 2 == 0 ? NodeKind::Task : NodeKind::Resource, i + 1);
    }
    for (std::size_t edges = random() % (2 * count); edges > 0; --edges) {
      join(graph, static_cast<std::uint32_t>(random() % count),
           static_cast<std::uint32_t>(random() % count));
    }
    const GraphView view = lay_out(graph);
    check_picture(view);
    const GraphView again = lay_out(graph);
    REQUIRE(again.boxes.size() == view.boxes.size());
    for (std::size_t i = 0; i < view.boxes.size(); ++i) {
      CHECK(again.boxes[i].x == view.boxes[i].x);
      CHECK(again.boxes[i].y == view.boxes[i].y);
    }
  }
}

TEST_CASE("graph layout: nothing to draw is drawn as nothing") {
  const GraphView view = lay_out({});
  CHECK(view.boxes.empty());
  CHECK(view.arrows.empty());
}
