#include "taskscope/console/panels/graph_layout.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "taskscope/console/analysis/components.h"
#include "taskscope/console/analysis/words.h"
#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

using analysis::NodeKind;

// At scale 1.
constexpr float kBoxHeight = 42, kLeastWidth = 110, kMostWidth = 210, kRowGap = 16, kMargin = 14;
constexpr float kRingGap = 44, kLabelHeight = 17, kLeastColumnGap = 60;
constexpr float kDenseHeight = 27, kDenseGap = 24, kDenseColumnGap = 46, kDenseRowGap = 9;
constexpr float kReadable = 0.82f;  // of its size; smaller is dense

struct Rect {
  float x = 0, y = 0, width = 0, height = 0;
  [[nodiscard]] bool meets(const Rect& other, float air) const {
    return x < other.x + other.width + air && other.x < x + width + air &&
           y < other.y + other.height + air && other.y < y + height + air;
  }
};

class Layout {
 public:
  Layout(const session::Model& model, const analysis::Graph& graph, const GraphOptions& options)
      : model_(model), graph_(graph), options_(options) {}

  GraphView run() {
    view_.left_out = graph_.left_out;
    make_boxes();
    make_arrows();
    if (view_.boxes.empty()) return std::move(view_);
    measure();
    find_blocks();
    place_blocks();
    for (GraphArrow& arrow : view_.arrows) route(arrow);
    keep_free_marks();
    place_labels();
    return std::move(view_);
  }

 private:
  [[nodiscard]] float px(float length) const { return std::round(length * options_.scale); }

  [[nodiscard]] float box_height() const { return px(options_.dense ? kDenseHeight : kBoxHeight); }
  [[nodiscard]] float row_gap() const { return px(options_.dense ? kDenseRowGap : kRowGap); }

  // --- what is drawn

  void make_boxes() {
    fold_waiters();
    box_of_.assign(graph_.nodes.size(), session::kNone);
    for (std::uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      if (folded_into_[i] != session::kNone) continue;
      box_of_[i] = static_cast<std::uint32_t>(view_.boxes.size());
      view_.boxes.push_back(box_for(graph_.nodes[i]));
    }
  }

  /// Tasks that nobody waits for and that wait for one thing only: beyond the first few they are
  /// counted.
  void fold_waiters() {
    const std::size_t count = graph_.nodes.size();
    folded_into_.assign(count, session::kNone);
    more_.assign(count, 0);
    std::vector<std::size_t> in(count), out(count), drawn(count);
    std::vector<std::uint32_t> target(count, session::kNone);
    for (const analysis::GraphEdge& edge : graph_.edges) {
      ++out[edge.from];
      ++in[edge.to];
      target[edge.from] = edge.to;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      const analysis::GraphNode& node = graph_.nodes[i];
      more_[i] += node.more_waiters;
      if (node.kind != NodeKind::Task || in[i] > 0 || out[i] != 1) continue;
      if (drawn[target[i]] < options_.waiters_a_box) {
        ++drawn[target[i]];
      } else if (!node.seed) {
        folded_into_[i] = target[i];
        ++more_[target[i]];
      }
    }
  }

  GraphBox box_for(const analysis::GraphNode& node) {
    GraphBox box{.node = node.kind,
                 .title = node.label,
                 .subtitle = node.detail,
                 .tip = node.label,
                 .path = analysis::place_words(model_, node.site)};
    box.seed = node.seed;
    box.on_cycle = node.on_cycle;
    box.gone = node.gone;
    if (!node.detail.empty()) box.tip += "\n" + node.detail;
    if (!box.path.empty()) box.tip += "\n" + box.path;
    switch (node.kind) {
      case NodeKind::Task: {
        box.task = node.id;
        if (const session::Task* task = model_.tasks().find(node.id)) {
          // The id first: of many with one name it tells them apart, however narrow the box.
          box.title = "#" + std::to_string(node.id);
          if (!task->name().empty()) box.title += "  " + std::string(task->name());
          const StateText state = state_text(model_, *task);
          box.colour = state.colour;
          box.subtitle = node.site != 0 ? site_place(model_, node.site) : state.text;
        }
        break;
      }
      case NodeKind::Resource: {
        box.kind = GraphBoxKind::Resource;
        box.resource = node.id;
        box.subtitle = node.site != 0 ? site_place(model_, node.site) : std::string();
        break;
      }
      default:
        box.kind = GraphBoxKind::Outside;
        break;
    }
    return box;
  }

  void make_arrows() {
    for (const analysis::GraphEdge& edge : graph_.edges) {
      const std::uint32_t from = box_of_[edge.from], to = box_of_[edge.to];
      if (from == session::kNone || to == session::kNone) continue;
      GraphArrow arrow;
      arrow.from = from;
      arrow.to = to;
      arrow.label = edge.label;
      arrow.certain = edge.certain;
      arrow.on_cycle = edge.on_cycle;
      arrow.alternative = edge.alternative;
      arrow.path = analysis::place_words(model_, edge.site);
      arrow.tip = view_.boxes[from].title + " → " + view_.boxes[to].title + "\n" + edge.label;
      if (edge.alternative) arrow.tip += ", one of several of which any is enough";
      if (!edge.certain) arrow.tip += "\nA hint, not certain.";
      if (!arrow.path.empty()) arrow.tip += "\n" + arrow.path;
      view_.arrows.push_back(std::move(arrow));
    }
    for (std::uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      if (more_[i] == 0 || box_of_[i] == session::kNone) continue;
      GraphArrow arrow;
      arrow.from = static_cast<std::uint32_t>(view_.boxes.size());
      arrow.to = box_of_[i];
      GraphBox box{.kind = GraphBoxKind::More, .title = {}, .subtitle = {}, .tip = {}, .path = {}};
      const bool alone = !is_waited_for(box_of_[i]);
      box.title = (alone ? "" : "and ") + count_text(more_[i]) + (alone ? "" : " more") +
                  (more_[i] == 1 ? " waiter" : " waiters");
      box.tip = box.title;
      box.resource = view_.boxes[arrow.to].resource;
      view_.boxes.push_back(std::move(box));
      view_.arrows.push_back(std::move(arrow));
    }
  }

  [[nodiscard]] bool is_waited_for(std::uint32_t box) const {
    return std::any_of(view_.arrows.begin(), view_.arrows.end(),
                       [&](const GraphArrow& arrow) { return arrow.to == box; });
  }

  void measure() {
    const auto wide = [&](const std::string& text) { return options_.text_width(text); };
    for (GraphBox& box : view_.boxes) {
      // The title stands in a font a little wider than the small one; dense, everything is drawn
      // smaller and texts keep their size.
      const float mark = box.on_cycle ? px(16) : 0;
      const float text =
          options_.dense ? wide(box.title) * 1.25f + px(46)
                         : std::max(wide(box.title) * 1.12f, wide(box.subtitle)) + px(42) + mark;
      const float least = options_.dense ? px(kLeastWidth * 0.7f) : px(kLeastWidth);
      box.width = std::round(std::clamp(text, least, px(kMostWidth)));
      box.height = box_height();
      if (options_.dense) box.subtitle.clear();
    }
    float label = 0;
    for (GraphArrow& arrow : view_.arrows) {
      arrow.label_width = arrow.label.empty() ? 0 : std::ceil(wide(arrow.label)) + px(8);
      arrow.label_height = px(kLabelHeight);
      label = std::max(label, arrow.label_width);
    }
    column_gap_ =
        options_.dense ? px(kDenseColumnGap) : std::max(px(kLeastColumnGap), label + px(34));
  }

  // --- blocks: what waits for each other in a circle, or a single box

  struct Block {
    std::vector<std::uint32_t> boxes;  // in the order of the cycle
    float x = 0, y = 0, width = 0, height = 0;
    std::size_t column = 0;
    double order = 0;
  };

  void find_blocks() {
    const std::size_t count = view_.boxes.size();
    next_.assign(count, {});
    for (const GraphArrow& arrow : view_.arrows) next_[arrow.from].push_back(arrow.to);
    const auto part = analysis::components(next_);
    block_of_.assign(count, 0);
    std::vector<std::uint32_t> block_of_part(count, session::kNone);
    for (std::uint32_t box = 0; box < count; ++box) {
      auto& block = block_of_part[part[box]];
      if (block == session::kNone) {
        block = static_cast<std::uint32_t>(blocks_.size());
        blocks_.emplace_back();
      }
      block_of_[box] = block;
      blocks_[block].boxes.push_back(box);
    }
    for (Block& block : blocks_) {
      if (block.boxes.size() > 1) ++view_.cycles;
      order_cycle(block);
      place_within(block);
    }
  }

  /// From the first on, each time to a neighbour that is left; what is off that way comes last.
  void order_cycle(Block& block) const {
    if (block.boxes.size() < 3) return;
    std::vector<std::uint32_t> order;
    std::vector<bool> used(view_.boxes.size(), false);
    std::vector<bool> inside(view_.boxes.size(), false);
    for (const std::uint32_t box : block.boxes) inside[box] = true;
    for (const std::uint32_t start : block.boxes) {
      for (std::uint32_t box = start; box != session::kNone && !used[box];) {
        used[box] = true;
        order.push_back(box);
        std::uint32_t following = session::kNone;
        for (const std::uint32_t to : next_[box]) {
          if (inside[to] && !used[to]) following = std::min(following, to);
        }
        box = following;
      }
    }
    block.boxes = std::move(order);
  }

  /// Around a rectangle, clockwise from its top left corner; of all rectangles the one whose shape
  /// suits a window best.
  void place_within(Block& block) {
    const std::size_t count = block.boxes.size();
    float widest = 0;
    for (const std::uint32_t box : block.boxes) {
      widest = std::max(widest, view_.boxes[box].width);
    }
    const float height = box_height(), gap_y = px(options_.dense ? kDenseGap : kRingGap);
    float gap_x = column_gap_;
    if (count == 1) {
      block.width = widest;
      block.height = height;
      return;
    }
    std::size_t rows = count == 2 ? 1 : 2, columns = (count + 1) / 2;
    float best = -1;
    for (std::size_t r = count == 2 ? 1 : 2; r <= std::max<std::size_t>(2, count / 2); ++r) {
      const std::size_t sides = r > 2 ? 2 * (r - 2) : 0;
      if (sides + 2 > count && r > 2) break;
      const std::size_t c = r == 1 ? 2 : std::max<std::size_t>((count - sides + 1) / 2, 1);
      const float w = static_cast<float>(c) * (widest + gap_x),
                  h = static_cast<float>(r) * (height + gap_y);
      const float misfit = std::fabs(std::log(w / h / options_.aspect));
      if (best < 0 || misfit < best) {
        best = misfit;
        rows = r;
        columns = c;
      }
      if (count == 2) break;
    }
    // In a narrow ring the words in its middle stand between the two columns.
    if (columns == 2 && rows > 1 && !options_.dense) {
      gap_x = std::max(gap_x, options_.text_width(mark_text(block)) + px(28 + 16));
    }
    const float step_x = widest + gap_x, step_y = height + gap_y;
    block.width = static_cast<float>(columns) * step_x - gap_x;
    block.height = static_cast<float>(rows) * step_y - gap_y;
    const std::size_t right = rows > 2 ? rows - 2 : 0;
    const std::size_t bottom = rows == 1 ? 0 : std::min(columns, count - columns - right);
    for (std::size_t i = 0; i < count; ++i) {
      GraphBox& box = view_.boxes[block.boxes[i]];
      float x = 0, y = 0;
      if (i < columns) {
        x = static_cast<float>(i) * step_x;
      } else if (i < columns + right) {
        x = block.width - widest;
        y = static_cast<float>(i - columns + 1) * step_y;
      } else if (i < columns + right + bottom) {
        // Fewer below than above stand in the middle of their room.
        const float share = static_cast<float>(columns) / static_cast<float>(bottom);
        const auto place = static_cast<float>(bottom - 1 - (i - columns - right));
        x = ((place + 0.5f) * share - 0.5f) * step_x;
        y = block.height - height;
      } else {
        const std::size_t up = i - columns - right - bottom;
        y = block.height - height - static_cast<float>(up + 1) * step_y;
      }
      box.x = std::round(x + (widest - box.width) / 2);
      box.y = std::round(y);
    }
  }

  // --- columns of blocks

  void place_blocks() {
    choose_columns();
    std::size_t columns = 0;
    for (const Block& block : blocks_) columns = std::max(columns, block.column + 1);
    std::vector<std::vector<std::uint32_t>> in_column(columns);
    for (std::uint32_t i = 0; i < blocks_.size(); ++i) in_column[blocks_[i].column].push_back(i);
    order_columns(in_column);
    float x = px(kMargin), tallest = 0;
    std::vector<float> heights;
    for (const auto& column : in_column) {
      float height = -row_gap();
      for (const std::uint32_t i : column) height += blocks_[i].height + row_gap();
      heights.push_back(height);
      tallest = std::max(tallest, height);
    }
    for (std::size_t c = 0; c < columns; ++c) {
      float wide = 0;
      for (const std::uint32_t i : in_column[c]) wide = std::max(wide, blocks_[i].width);
      float y = px(kMargin) + std::round((tallest - heights[c]) / 2);
      for (const std::uint32_t i : in_column[c]) {
        Block& block = blocks_[i];
        // Waiters end at one line, from which their arrows begin.
        block.x = std::round(
            x + (block.boxes.size() == 1 ? wide - block.width : (wide - block.width) / 2));
        block.y = y;
        y += block.height + row_gap();
        for (const std::uint32_t box : block.boxes) {
          view_.boxes[box].x += block.x;
          view_.boxes[box].y += block.y;
        }
        if (block.boxes.size() > 1) add_mark(block);
      }
      x += wide + column_gap_;
    }
    view_.width = x - column_gap_ + px(kMargin);
    view_.height = tallest + 2 * px(kMargin);
  }

  void choose_columns() {
    const std::size_t count = blocks_.size();
    std::vector<std::vector<std::uint32_t>> after(count);
    std::vector<std::size_t> waits(count, 0);
    for (const GraphArrow& arrow : view_.arrows) {
      const std::uint32_t from = block_of_[arrow.from], to = block_of_[arrow.to];
      if (from == to) continue;
      after[from].push_back(to);
      ++waits[to];
    }
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (waits[i] == 0) order.push_back(i);
    }
    std::vector<std::size_t> left = waits;
    for (std::size_t i = 0; i < order.size(); ++i) {
      for (const std::uint32_t to : after[order[i]]) {
        blocks_[to].column = std::max(blocks_[to].column, blocks_[order[i]].column + 1);
        if (--left[to] == 0) order.push_back(to);
      }
    }
    // Who nobody waits for stands beside what it waits for, however deep that is.
    for (std::uint32_t i = 0; i < count; ++i) {
      if (waits[i] > 0 || after[i].empty()) continue;
      std::size_t nearest = SIZE_MAX;
      for (const std::uint32_t to : after[i]) nearest = std::min(nearest, blocks_[to].column);
      blocks_[i].column = nearest - 1;
    }
  }

  /// By the middle of their neighbours, back and forth: arrows cross less.
  void order_columns(std::vector<std::vector<std::uint32_t>>& columns) {
    std::vector<std::vector<std::uint32_t>> before(blocks_.size()), after(blocks_.size());
    for (const GraphArrow& arrow : view_.arrows) {
      const std::uint32_t from = block_of_[arrow.from], to = block_of_[arrow.to];
      if (from == to) continue;
      after[from].push_back(to);
      before[to].push_back(from);
    }
    const auto number = [&](const std::vector<std::uint32_t>& column) {
      for (std::size_t i = 0; i < column.size(); ++i) {
        blocks_[column[i]].order = static_cast<double>(i) - static_cast<double>(column.size()) / 2;
      }
    };
    for (const auto& column : columns) number(column);
    for (int sweep = 0; sweep < 4; ++sweep) {
      for (std::size_t step = 0; step < columns.size(); ++step) {
        auto& column = columns[sweep % 2 == 0 ? columns.size() - 1 - step : step];
        const auto& beside = sweep % 2 == 0 ? after : before;
        std::vector<double> middle(blocks_.size());
        for (const std::uint32_t i : column) {
          double sum = 0;
          for (const std::uint32_t other : beside[i]) sum += blocks_[other].order;
          middle[i] =
              beside[i].empty() ? blocks_[i].order : sum / static_cast<double>(beside[i].size());
        }
        std::sort(column.begin(), column.end(), [&](std::uint32_t a, std::uint32_t b) {
          return middle[a] != middle[b] ? middle[a] < middle[b]
                                        : blocks_[a].order < blocks_[b].order;
        });
        number(column);
      }
    }
  }

  [[nodiscard]] std::string mark_text(const Block& block) const {
    const auto tasks = std::count_if(
        block.boxes.begin(), block.boxes.end(),
        [&](std::uint32_t box) { return view_.boxes[box].kind == GraphBoxKind::Task; });
    return tasks == 1 ? "a cycle of 1 task" : "a cycle of " + std::to_string(tasks) + " tasks";
  }

  void add_mark(const Block& block) {
    if (!view_.boxes[block.boxes.front()].on_cycle) return;
    GraphMark mark;
    mark.text = mark_text(block);
    mark.width = std::ceil(options_.text_width(mark.text)) + px(28);
    mark.height = px(kLabelHeight + 3);
    mark.x = std::round(block.x + (block.width - mark.width) / 2);
    mark.y = std::round(block.y + (block.height - mark.height) / 2);
    const Rect is{mark.x, mark.y, mark.width, mark.height};
    for (const std::uint32_t i : block.boxes) {
      const GraphBox& box = view_.boxes[i];
      if (is.meets({box.x, box.y, box.width, box.height}, 2)) return;
    }
    marks_.push_back(std::move(mark));
  }

  /// Words in the middle of a ring, where no arrow crosses it.
  void keep_free_marks() {
    for (GraphMark& mark : marks_) {
      const Rect is{mark.x, mark.y, mark.width, mark.height};
      const bool crossed =
          std::any_of(view_.arrows.begin(), view_.arrows.end(), [&](const GraphArrow& arrow) {
            for (int step = 0; step <= 32; ++step) {
              const GraphPoint at = point_on(arrow.curve, static_cast<float>(step) / 32);
              if (is.meets({at.x, at.y, 0, 0}, 4)) return true;
            }
            return false;
          });
      if (!crossed) view_.marks.push_back(std::move(mark));
    }
  }

  // --- arrows

  [[nodiscard]] bool has_reverse(const GraphArrow& arrow) const {
    return std::any_of(view_.arrows.begin(), view_.arrows.end(), [&](const GraphArrow& other) {
      return other.from == arrow.to && other.to == arrow.from;
    });
  }

  void route(GraphArrow& arrow) const {
    const GraphBox &a = view_.boxes[arrow.from], &b = view_.boxes[arrow.to];
    GraphPoint* c = arrow.curve;
    if (arrow.from == arrow.to) {
      // A loop at the right lower corner, within the box's own row.
      const float r = px(9);
      c[0] = {a.x + a.width - 3 * r, a.y + a.height};
      c[1] = {a.x + a.width - 3 * r, a.y + a.height + 1.3f * r};
      c[2] = {a.x + a.width - r, a.y + a.height + 1.3f * r};
      c[3] = {a.x + a.width - r, a.y + a.height};
      return;
    }
    // There and back: each keeps to its own side.
    const float off = has_reverse(arrow) ? px(11) : 0;
    const float ax = a.x + a.width / 2, ay = a.y + a.height / 2, bx = b.x + b.width / 2,
                by = b.y + b.height / 2;
    const float air = px(12);
    if (b.x >= a.x + a.width + air) {
      c[0] = {a.x + a.width, ay - off};
      c[3] = {b.x, by - off};
    } else if (b.x + b.width <= a.x - air) {
      c[0] = {a.x, ay + off};
      c[3] = {b.x + b.width, by + off};
    } else {
      const bool down = b.y > a.y;
      // Straight up or down where they overlap, as in the sides of a ring.
      const float left = std::max(a.x, b.x), right = std::min(a.x + a.width, b.x + b.width);
      const float x = right - left > px(30) ? (left + right) / 2 : 0;
      const float side = down ? off : -off;
      c[0] = {(x != 0 ? x : ax) + side, down ? a.y + a.height : a.y};
      c[3] = {(x != 0 ? x : bx) + side, down ? b.y : b.y + b.height};
      const float bend = (c[3].y - c[0].y) * 0.45f;
      c[1] = {c[0].x, c[0].y + bend};
      c[2] = {c[3].x, c[3].y - bend};
      return;
    }
    const float bend = (c[3].x - c[0].x) * 0.45f;
    c[1] = {c[0].x + bend, c[0].y};
    c[2] = {c[3].x - bend, c[3].y};
  }

  void place_labels() {
    std::vector<Rect> taken;
    for (const GraphBox& box : view_.boxes) taken.push_back({box.x, box.y, box.width, box.height});
    for (const GraphMark& mark : view_.marks) {
      taken.push_back({mark.x, mark.y, mark.width, mark.height});
    }
    for (GraphArrow& arrow : view_.arrows) {
      if (arrow.label.empty() || options_.dense) continue;
      for (const float t : {0.5f, 0.42f, 0.58f, 0.34f, 0.66f, 0.26f, 0.74f}) {
        const GraphPoint at = point_on(arrow.curve, t);
        // Of two that go up and down side by side, each has its words on its own side.
        float left = at.x - arrow.label_width / 2;
        const bool upright = arrow.curve[0].x == arrow.curve[3].x;
        if (upright && has_reverse(arrow)) {
          left =
              arrow.curve[3].y > arrow.curve[0].y ? at.x + px(5) : at.x - arrow.label_width - px(5);
        }
        const Rect label{std::round(left), std::round(at.y - arrow.label_height / 2),
                         arrow.label_width, arrow.label_height};
        if (label.x < 0 || label.y < 0 || label.x + label.width > view_.width ||
            label.y + label.height > view_.height) {
          continue;
        }
        if (std::any_of(taken.begin(), taken.end(),
                        [&](const Rect& other) { return label.meets(other, 2); })) {
          continue;
        }
        arrow.label_x = label.x;
        arrow.label_y = label.y;
        arrow.label_fits = true;
        taken.push_back(label);
        break;
      }
    }
  }

  const session::Model& model_;
  const analysis::Graph& graph_;
  const GraphOptions& options_;
  GraphView view_;
  std::vector<std::uint32_t> box_of_, folded_into_, block_of_;
  std::vector<std::size_t> more_;
  std::vector<std::vector<std::uint32_t>> next_;
  std::vector<Block> blocks_;
  std::vector<GraphMark> marks_;
  float column_gap_ = 0;
};

}  // namespace

GraphPoint point_on(const GraphPoint (&c)[4], float t) {
  const float u = 1 - t;
  const float w[4] = {u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t};
  GraphPoint at;
  for (int i = 0; i < 4; ++i) {
    at.x += w[i] * c[i].x;
    at.y += w[i] * c[i].y;
  }
  return at;
}

GraphView graph_view_within(const session::Model& model, const analysis::Graph& graph,
                            GraphOptions options, float width, float height) {
  if (width <= 0 || height <= 0) return graph_view(model, graph, options);
  options.aspect = std::clamp(width / height, 0.5f, 6.0f);
  const auto zoom = [&](const GraphView& view) {
    return std::min(width / std::max(view.width, 1.0f), height / std::max(view.height, 1.0f));
  };
  GraphView roomy = graph_view(model, graph, options);
  if (zoom(roomy) >= kReadable) return roomy;
  options.dense = true;
  GraphView dense = graph_view(model, graph, options);
  return zoom(dense) > zoom(roomy) ? dense : roomy;
}

GraphView graph_view(const session::Model& model, const analysis::Graph& graph,
                     const GraphOptions& options) {
  return Layout(model, graph, options).run();
}

}  // namespace taskscope::console::panels
