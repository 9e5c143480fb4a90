#include "taskscope/console/panels/timeline_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

constexpr float kAxisPx = 26, kStripPx = 30, kLegendPx = 28;

/// One frame's drawing. Screen coordinates; the lanes' column begins at `lanes`.
class Drawing {
 public:
  Drawing(session::Model& model, const TimelineInput& input, TimelineMemory& memory,
          Actions& actions)
      : model_(model), input_(input), memory_(memory), actions_(actions) {}

  void run() {
    at_ = ImGui::GetCursorScreenPos();
    room_ = ImGui::GetContentRegionAvail();
    const AxisColumns columns = axis_columns(room_.x, theme().scale);
    gutter_ = columns.labels_px;
    width_ = columns.lanes_px;
    if (width_ < 50 || room_.y < px(120)) return;
    draw_strip();
    draw_axis();
    draw_lanes();
    draw_legend();
  }

 private:
  [[nodiscard]] float screen_x(std::int64_t ns) const {
    return at_.x + gutter_ +
           static_cast<float>(
               std::clamp(input_.view.x(ns, static_cast<double>(width_)), -1e6, 1e6));
  }
  [[nodiscard]] std::int64_t pointer_ns() const {
    return input_.view.time_at(static_cast<double>(ImGui::GetIO().MousePos.x - at_.x - gutter_),
                               static_cast<double>(width_));
  }
  void move(const TimeView& view) { actions_.push_back(action::MoveView{view}); }

  /// The whole session in one strip: how busy the workers were, and which part is in view.
  void draw_strip() {
    const float height = px(kStripPx);
    const ImVec2 from{at_.x + gutter_, at_.y}, to{from.x + width_, at_.y + height};
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddRectFilled(at_, {at_.x + room_.x, to.y}, colour::kHeader);
    const std::int64_t first = model_.begin_ns(), last = std::max(model_.now_ns(), first + 1);
    refresh_load(first, last);
    draw_text(draw, theme().small, colour::kDim, {at_.x + px(14), at_.y + px(8)}, px(80),
              "Session");
    draw_text(draw, theme().small_mono, colour::kFaint, {at_.x + px(94), at_.y + px(9)},
              gutter_ - px(106),
              duration_text(std::min(input_.view.length(), last - first)) + " of " +
                  duration_text(last - first),
              Align::Right);

    const auto place = [&](std::int64_t ns) {
      return from.x +
             static_cast<float>(std::clamp(
                 static_cast<double>(ns - first) / static_cast<double>(last - first), 0.0, 1.0)) *
                 width_;
    };
    const float base = to.y - px(3), tall = height - px(7);
    const std::size_t pieces = memory_.load.size();
    const double known = static_cast<double>(memory_.load_to_ns - memory_.load_from_ns);
    for (std::size_t i = 0; i < pieces; ++i) {
      if (memory_.load[i] <= 0) continue;
      const auto ns = [&](std::size_t piece) {
        return memory_.load_from_ns + static_cast<std::int64_t>(known * static_cast<double>(piece) /
                                                                static_cast<double>(pieces));
      };
      const float x1 = place(ns(i)), x2 = std::max(place(ns(i + 1)), x1 + 1);
      draw->AddRectFilled({x1, base - std::max(tall * std::sqrt(memory_.load[i]), 1.0f)},
                          {x2, base}, with_alpha(colour::kPolling, 0.55f));
    }
    for (const session::Gap& gap : model_.gaps()) {
      const float x1 = place(model_.clock().ns(gap.from)), x2 = place(model_.clock().ns(gap.to));
      draw->AddRectFilled({x1, from.y + px(3)}, {std::max(x2, x1 + px(2)), base},
                          with_alpha(colour::kTrouble, 0.7f));
    }
    const float left = place(input_.view.from_ns),
                right = std::max(place(input_.view.to_ns), left + px(4));
    const Colour shade = rgb(0x0c0f13, 150);
    draw->AddRectFilled({from.x, from.y + 1}, {left, to.y - 1}, shade);
    draw->AddRectFilled({right, from.y + 1}, {to.x, to.y - 1}, shade);
    draw->AddRect({left, from.y + 1}, {right, to.y - 1}, colour::kAccent, px(2), 0, px(1));

    ImGui::SetCursorScreenPos(from);
    ImGui::InvisibleButton("##session strip", {width_, height});
    if (ImGui::IsItemActive()) {
      const double share =
          static_cast<double>(ImGui::GetIO().MousePos.x - from.x) / static_cast<double>(width_);
      const std::int64_t middle =
          first + static_cast<std::int64_t>(share * static_cast<double>(last - first));
      const std::int64_t half = input_.view.length() / 2;
      move({middle - half, middle - half + input_.view.length()});
    }
    if (ImGui::IsItemHovered() && !ImGui::IsItemActive()) {
      wheel_zooms(true);
      tooltip("The whole session: how busy the workers were. Drag to go there.");
    }
  }

  void refresh_load(std::int64_t first, std::int64_t last) {
    // A quarter of a percent of new session is less than a pixel.
    const std::int64_t known = memory_.load_to_ns - memory_.load_from_ns;
    const bool grown = last - memory_.load_to_ns > known / 400 || first != memory_.load_from_ns;
    if (memory_.load_revision == model_.revision() || (!grown && !memory_.load.empty())) return;
    memory_.load_revision = model_.revision();
    memory_.load_from_ns = first;
    memory_.load_to_ns = last;
    memory_.load =
        load_strip(model_, first, last, static_cast<std::size_t>(std::max(width_ / px(3), 10.0f)));
  }

  void draw_axis() {
    const ImVec2 from{at_.x, at_.y + px(kStripPx)};
    const float height = px(kAxisPx);
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddRectFilled(from, {at_.x + room_.x, from.y + height}, colour::kPanel);
    draw->AddLine({from.x, from.y + height - 1}, {at_.x + room_.x, from.y + height - 1},
                  colour::kLine, 1);
    const AxisTicks ticks =
        axis_ticks(input_.view, static_cast<double>(width_), static_cast<double>(px(130)));
    ImFont* font = theme().small_mono;
    const float right_edge = at_.x + gutter_ + width_;
    for (const std::int64_t tick : ticks.at_ns) {
      const float x = std::round(screen_x(tick));
      draw->AddLine({x, from.y + height - px(7)}, {x, from.y + height - 1}, colour::kStrongLine, 1);
      const std::string text = axis_text(tick, ticks.step_ns);
      if (x + px(5) + text_width(font, text) > right_edge) continue;
      draw_text(draw, font, colour::kDim, {x + px(5), from.y + px(6)}, px(200), text);
    }
    draw_chip(from, height);
    ImGui::SetCursorScreenPos({from.x + gutter_, from.y});
    ImGui::InvisibleButton("##axis", {width_, height});
    if (ImGui::IsItemHovered()) wheel_zooms(true);
    drag_pans();
  }

  /// `always`: where there is nothing to scroll, the wheel alone zooms.
  void wheel_zooms(bool always) {
    const ImGuiIO& io = ImGui::GetIO();
    if (io.MouseWheelH != 0) move(panned(input_.view, -0.1 * static_cast<double>(io.MouseWheelH)));
    if (io.MouseWheel == 0) return;
    if (io.KeyShift) {
      move(panned(input_.view, -0.1 * static_cast<double>(io.MouseWheel)));
    } else if (always || io.KeyCtrl) {
      // Following, the newest moment stays where it is; else the one under the pointer.
      const std::int64_t about = input_.following ? input_.view.to_ns : pointer_ns();
      actions_.push_back(action::MoveView{
          zoomed(input_.view, std::pow(0.8, static_cast<double>(io.MouseWheel)), about),
          input_.following});
    }
  }

  void drag_pans() {
    if (ImGui::IsItemActive() && ImGui::IsMouseDragging(ImGuiMouseButton_Left, 3) &&
        !memory_.selecting && ImGui::GetIO().MouseDelta.x != 0) {
      move(panned(input_.view,
                  -static_cast<double>(ImGui::GetIO().MouseDelta.x) / static_cast<double>(width_)));
    }
  }

  void draw_lanes() {
    const float top = px(kStripPx + kAxisPx), height = room_.y - top - px(kLegendPx);
    ImGui::SetCursorScreenPos({at_.x, at_.y + top});
    ImGui::PushStyleColor(ImGuiCol_ChildBg, vec(colour::kPanel));
    ImGui::BeginChild("##timeline scroll", {room_.x, height}, false,
                      ImGuiWindowFlags_NoScrollWithMouse | ImGuiWindowFlags_NoNav);
    // Finding the tasks of an open group looks at many; ten times a second is enough for labels.
    const double now_s = ImGui::GetTime();
    if (now_s - memory_.rows_at_s >= 0.1 || !(memory_.rows_state == *input_.state) ||
        memory_.rows.empty()) {
      memory_.rows =
          timeline_rows(model_, *input_.state, {.view = input_.view, .scale = theme().scale});
      memory_.rows_state = *input_.state;
      memory_.rows_at_s = now_s;
    }
    rows_.swap(memory_.rows);
    const float column = column_height(rows_);
    scroll_ = ImGui::GetScrollY();
    origin_ = ImGui::GetCursorScreenPos();  // moves with the scrolling
    lanes_from_ = {at_.x + gutter_, at_.y + top};
    lanes_to_ = {lanes_from_.x + width_, lanes_from_.y + height};
    const TimelineScene scene = timeline_scene(model_, rows_,
                                               {.view = input_.view,
                                                .width_px = width_,
                                                .top_px = scroll_,
                                                .bottom_px = scroll_ + height,
                                                .scale = theme().scale,
                                                .long_poll_ns = input_.long_poll_ns,
                                                .lit = lit_tasks()});
    memory_.boxes = scene.boxes.size();
    memory_.lanes_x_px = lanes_from_.x;
    memory_.lanes_y_px = lanes_from_.y;
    memory_.lanes_width_px = width_;
    memory_.lanes_height_px = height;

    draw_backgrounds(height);
    draw_scene(scene);
    draw_arrows(height);
    draw_labels(height);
    handle_mouse(scene, height);
    memory_.rows.swap(rows_);

    ImGui::SetCursorScreenPos(origin_);
    ImGui::Dummy({1, column});
    ImGui::EndChild();
    ImGui::PopStyleColor();
  }

  [[nodiscard]] bool in_sight(const TimelineRow& row, float height) const {
    return row.y_px < scroll_ + height && row.y_px + row.height_px > scroll_;
  }

  void draw_backgrounds(float height) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    for (const TimelineRow& row : rows_) {
      if (!in_sight(row, height)) continue;
      const float y1 = origin_.y + row.y_px, y2 = y1 + row.height_px;
      if (row.kind == RowKind::Section) continue;
      draw->AddRectFilled({lanes_from_.x, y1}, {lanes_to_.x, y2 - 1}, colour::kLane);
      draw->AddLine({at_.x, y2 - 1}, {lanes_to_.x, y2 - 1}, colour::kLine, 1);
    }
    // Beyond the session there is nothing to know.
    const float begin = screen_x(model_.begin_ns()), end = screen_x(model_.now_ns());
    const Colour shade = rgb(0x0b0e12, 140);
    const float bottom = std::min(origin_.y + column_height(rows_), lanes_to_.y);
    if (begin > lanes_from_.x) {
      draw->AddRectFilled({lanes_from_.x, lanes_from_.y}, {std::min(begin, lanes_to_.x), bottom},
                          shade);
    }
    if (end < lanes_to_.x) {
      draw->AddRectFilled({std::max(end, lanes_from_.x), lanes_from_.y}, {lanes_to_.x, bottom},
                          shade);
    }
    const AxisTicks ticks =
        axis_ticks(input_.view, static_cast<double>(width_), static_cast<double>(px(130)));
    for (const std::int64_t tick : ticks.at_ns) {
      const float x = std::round(screen_x(tick));
      draw->AddLine({x, lanes_from_.y}, {x, bottom}, rgb(0xffffff, 10), 1);
    }
    for (const TimelineRow& row : rows_) {
      if (row.kind != RowKind::Section || !in_sight(row, height)) continue;
      const float y = origin_.y + row.y_px;
      draw->AddRectFilled({at_.x, y}, {at_.x + room_.x, y + row.height_px}, colour::kHeader);
    }
  }

  void draw_scene(const TimelineScene& scene) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->PushClipRect(lanes_from_, lanes_to_, true);
    // In runs that 16-bit indices can hold.
    constexpr std::size_t kRun = 8'000;
    const ImVec2 base{lanes_from_.x, origin_.y};
    for (std::size_t from = 0; from < scene.boxes.size(); from += kRun) {
      const std::size_t count = std::min(kRun, scene.boxes.size() - from);
      draw->PrimReserve(static_cast<int>(count * 6), static_cast<int>(count * 4));
      for (std::size_t i = from; i < from + count; ++i) {
        const TimelineBox& box = scene.boxes[i];
        Colour fill = box.fill;
        // A seam between neighbours where there is room for one.
        const float seam = box.width_px > 4 && box.kind != BoxKind::Gap ? 1.0f : 0.0f;
        const std::uint64_t task = scene.items[box.item].task;
        if (memory_.hovered_task != 0 && box.kind == BoxKind::Lit) {
          if (task != memory_.hovered_task) fill = with_alpha(fill, 0.35f);
        } else if (memory_.hovered_task != 0 && box.kind == BoxKind::Poll) {
          fill = task == memory_.hovered_task ? mixed(fill, rgb(0xffffff), 0.35f)
                                              : mixed(fill, colour::kLane, 0.45f);
        } else if (task != 0 && box.kind == BoxKind::Poll && input_.state->is_lit(task)) {
          fill = mixed(fill, rgb(0xffffff), 0.45f);
        }
        draw->PrimRect({base.x + box.x_px, base.y + box.y_px},
                       {base.x + box.x_px + box.width_px - seam, base.y + box.y_px + box.height_px},
                       fill);
      }
    }
    ImFont* font = theme().small;
    for (const TimelineBox& box : scene.boxes) {
      const ImVec2 from{base.x + box.x_px, base.y + box.y_px};
      const ImVec2 to{from.x + box.width_px, from.y + box.height_px};
      if (box.hatched) {
        draw_hatch(
            draw, {std::max(from.x, lanes_from_.x), from.y}, {std::min(to.x, lanes_to_.x), to.y},
            box.kind == BoxKind::Gap ? with_alpha(colour::kTrouble, 0.9f) : rgb(0x14171c, 190),
            px(6));
        if (box.kind != BoxKind::Gap) {
          draw->AddRectFilled(from, {to.x, from.y + px(2)}, colour::kTrouble);
        }
      }
      // A poll with room for it carries its task's name.
      if (box.width_px < px(48) || box.height_px < font->FontSize + 2) continue;
      const TimelineItem& item = scene.items[box.item];
      std::string label;
      if (box.kind == BoxKind::Gap) {
        label = item.lost > 0 ? short_count_text(static_cast<double>(item.lost)) + " lost" : "lost";
      } else if (box.kind == BoxKind::Poll && item.polls == 1) {
        const session::Task* task = model_.tasks().find(item.task);
        label = task != nullptr && !task->name().empty() ? std::string(task->name())
                                                         : "task " + std::to_string(item.task);
        if (box.blocking)
          label = "blocks for " + duration_text(item.to_ns - item.from_ns) + " · " + label;
      } else if (box.blocking) {
        label = "blocks for " + duration_text(item.to_ns - item.from_ns);
      } else {
        continue;
      }
      const float left = std::max(from.x, lanes_from_.x) + px(5);
      const float right = std::min(to.x, lanes_to_.x) - px(5);
      const float label_width = text_width(font, label);
      if (right - left < px(36) || origin_.y + box.y_px < lanes_from_.y) continue;
      const float y = from.y + std::floor((box.height_px - font->FontSize) / 2);
      if (y + font->FontSize > lanes_to_.y) continue;
      if (box.hatched) {
        draw->AddRectFilled({left - px(3), y - 1},
                            {std::min(left + label_width + px(3), right), y + font->FontSize + 1},
                            rgb(0x14171c, 215), px(3));
      }
      draw_text(draw, font, box.hatched ? colour::kText : rgb(0x10151a), {left, y}, right - left,
                label);
    }
    draw_wait_labels(scene);
    for (const DepthGraph& graph : scene.depths) draw_depths(draw, graph);
    draw->PopClipRect();
  }

  /// Waits are told by their hue, and in words where there is room.
  void draw_wait_labels(const TimelineScene& scene) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    ImFont* font = theme().small;
    const auto kinds = model_.wait_kinds();
    for (const TimelineLabel& label : scene.labels) {
      if (label.wait >= kinds.size() || label.height_px + px(3) < font->FontSize) continue;
      const std::string text = wait_text(kinds[label.wait]);
      const float left = lanes_from_.x + std::max(label.x_px, 0.0f) + px(4);
      const float right = lanes_from_.x + std::min(label.x_px + label.width_px, width_) - px(4);
      if (text_width(font, text) > right - left) continue;
      const float y =
          origin_.y + label.y_px + std::floor((label.height_px - font->FontSize) / 2) - px(1);
      if (y < lanes_from_.y || y + font->FontSize > lanes_to_.y) continue;
      draw_text(draw, font, colour::kDim, {left, y}, right - left, text);
    }
  }

  /// Of the selected ones as many as have a row: their tracks are built already.
  [[nodiscard]] std::vector<std::uint64_t> lit_tasks() const {
    std::vector<std::uint64_t> lit;
    const TimelineState& state = *input_.state;
    if (state.selected_task != 0) lit.push_back(state.selected_task);
    for (const std::uint64_t task : state.lit_tasks) {
      if (lit.size() <= kLitRows && task != state.selected_task) lit.push_back(task);
    }
    return lit;
  }

  /// Firm for the selected task, faint for the one under the pointer.
  void draw_arrows(float height) {
    arrows_.clear();
    memory_.arrows = 0;
    if (input_.wakes == nullptr) return;
    const SceneOptions options{.view = input_.view,
                               .width_px = width_,
                               .top_px = scroll_,
                               .bottom_px = scroll_ + height,
                               .scale = theme().scale};
    const std::uint64_t selected = input_.state->selected_task, hovered = memory_.hovered_task;
    if (hovered != 0 && hovered != selected) {
      draw_arrows_of(
          timeline_arrows(model_, rows_, input_.wakes->of(model_, hovered), hovered, options, 120),
          0.4f);
    }
    if (selected == 0) return;
    arrows_ = timeline_arrows(model_, rows_, input_.wakes->of(model_, selected), selected, options);
    draw_arrows_of(arrows_, 0.95f);
  }

  void draw_arrows_of(const std::vector<TimelineArrow>& arrows, float alpha) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->PushClipRect(lanes_from_, lanes_to_, true);
    memory_.arrows += arrows.size();
    // Many arrows hide the lanes.
    const float firm = arrows.size() > 60 ? alpha * 0.6f : alpha;
    for (const TimelineArrow& arrow : arrows) {
      const Colour ink =
          with_alpha(arrow.outgoing ? colour::kScheduled : colour::kSelectionLine, firm);
      const ImVec2 from{lanes_from_.x + arrow.from_x_px, origin_.y + arrow.from_y_px};
      const ImVec2 to{lanes_from_.x + arrow.to_x_px, origin_.y + arrow.to_y_px};
      const float bend = std::clamp((to.x - from.x) * 0.5f, px(6), px(60));
      if (from.y == to.y && to.x - from.x < px(6)) {
        draw->AddLine(from, to, ink, px(1.2f));
      } else {
        draw->AddBezierCubic(from, {from.x + bend, from.y}, {to.x - bend, to.y}, to, ink, px(1.2f));
      }
      const float dot = px(2.5f);
      if (arrow.waker_shown) {
        draw->AddCircleFilled(from, dot, ink, 8);
      } else {  // from outside: a timer, an fd, another thread
        draw->AddRect({from.x - dot, from.y - dot}, {from.x + dot, from.y + dot}, ink, 0, 0, 1);
      }
      if (arrow.poll_shown) {
        draw->AddTriangleFilled({to.x, to.y}, {to.x - px(6), to.y - px(3.5f)},
                                {to.x - px(6), to.y + px(3.5f)}, ink);
      }
    }
    draw->PopClipRect();
  }

  /// What is at an arrow's end under the pointer; true where there is one.
  bool arrow_under_pointer() {
    const ImGuiIO& io = ImGui::GetIO();
    const std::size_t found =
        arrow_end_at(arrows_, io.MousePos.x - lanes_from_.x, io.MousePos.y - origin_.y, px(6));
    if (found >= arrows_.size()) return false;
    const TimelineArrow& arrow = arrows_[found];
    const std::uint64_t other = arrow.outgoing ? arrow.task : arrow.by;
    if (other != 0 && ImGui::IsMouseReleased(ImGuiMouseButton_Left) &&
        io.MouseDragMaxDistanceSqr[ImGuiMouseButton_Left] < 16) {
      actions_.push_back(action::SelectTask{other});
    }
    if (!begin_tooltip()) return true;
    {
      TextStyle style(theme().strong, colour::kText);
      std::string title = arrow.outgoing                             ? "Wakes "
                          : arrow.by != 0 && arrow.by == arrow.task  ? "Wakes itself"
                          : arrow.cause == protocol::WakeCause::Task ? "Woken by "
                                                                     : "Woken";
      if (other != 0 && arrow.by != arrow.task) title += titled(other);
      ImGui::TextUnformatted(title.c_str());
    }
    tooltip_line("through", cause_text(arrow));
    tooltip_line("at", axis_text(arrow.at_ns, 1000));
    if (arrow.poll_shown) {
      tooltip_line("queued for", duration_text(arrow.polled_ns - arrow.at_ns));
    }
    if (arrow.wakes > 1) tooltip_line("wakes here", count_text(arrow.wakes));
    if (other != 0 && arrow.by != arrow.task) tooltip_line("", "a click selects that task");
    end_tooltip();
    return true;
  }

  [[nodiscard]] std::string titled(std::uint64_t id) const {
    const session::Task* task = model_.tasks().find(id);
    if (task == nullptr) return "task " + std::to_string(id);
    const std::string title = task_title(model_, *task), number = std::to_string(id);
    return title.ends_with(number) ? title : title + "  " + number;
  }

  [[nodiscard]] std::string cause_text(const TimelineArrow& arrow) const {
    switch (arrow.cause) {
      case protocol::WakeCause::Timer:
        return "a timer";
      case protocol::WakeCause::Io:
        return "fd " + std::to_string(arrow.value) + " is ready";
      case protocol::WakeCause::Blocking:
        return "a blocking call that ended";
      case protocol::WakeCause::Abort:
        return "an abort";
      case protocol::WakeCause::Thread:
      case protocol::WakeCause::Task:
        break;
    }
    const session::Resource* resource = arrow.value != 0 ? model_.resource(arrow.value) : nullptr;
    if (resource != nullptr) {
      return std::string(name_of(resource->kind)) + " " +
             (resource->name.empty() ? std::to_string(resource->id) : resource->name);
    }
    return arrow.cause == protocol::WakeCause::Thread ? "a thread outside of the runtime"
                                                      : "its waker";
  }

  void draw_depths(ImDrawList* draw, const DepthGraph& graph) {
    const float base = origin_.y + graph.y_px + graph.height_px;
    const float highest = static_cast<float>(std::max(graph.highest, 4u));
    for (const DepthStep& step : graph.steps) {
      if (step.depth == 0) continue;
      const float height =
          std::max(graph.height_px * static_cast<float>(step.depth) / highest, 1.0f);
      draw->AddRectFilled({lanes_from_.x + step.x_px, base - height},
                          {lanes_from_.x + step.to_px, base},
                          with_alpha(colour::kScheduled, 0.75f));
    }
  }

  void draw_labels(float height) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const float line = at_.x + gutter_;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const TimelineRow& row = rows_[i];
      if (!in_sight(row, height)) continue;
      const float y = origin_.y + row.y_px;
      const bool hovered = hovered_row_ == i;
      const auto middle = [&](const ImFont* font) {
        const float label_height = row.kind == RowKind::Worker ? px(28) : row.height_px;
        return y + std::floor((label_height - font->FontSize) / 2);
      };
      float x = at_.x + px(14);
      const float detail_width =
          row.detail.empty() ? 0 : std::ceil(text_width(theme().small, row.detail));
      const float right = line - px(12);
      switch (row.kind) {
        case RowKind::Section:
          draw_text(draw, theme().strong, colour::kText, {x, middle(theme().strong)},
                    gutter_ - px(40) - detail_width, row.label);
          draw_text(draw, theme().small, colour::kFaint,
                    {lanes_from_.x + px(8), middle(theme().small)}, width_ - px(16), row.place);
          break;
        case RowKind::Worker:
          draw_text(draw, theme().text, colour::kText, {x, middle(theme().text)},
                    right - x - detail_width - px(8), row.label);
          // Beside it stands what the small graph below shows.
          if (const auto& samples = model_.lanes()[row.lane]->samples; !samples.empty()) {
            draw_text(draw, theme().small, colour::kFaint, {x, y + row.height_px - px(18)}, px(44),
                      "queue");
            draw_text(draw, theme().small_mono, colour::kDim,
                      {x + px(46), y + row.height_px - px(18)}, px(80),
                      count_text(samples.back().sample.queue_depth));
          }
          break;
        case RowKind::Group: {
          const Colour ink = hovered ? colour::kText : colour::kFaint;
          draw_icon(draw, row.expanded ? Icon::TriangleDown : Icon::Triangle,
                    {x + px(3), y + row.height_px / 2}, px(9), ink);
          x += px(16);
          draw->AddRectFilled({x, y + row.height_px / 2 - px(5)},
                              {x + px(10), y + row.height_px / 2 + px(5)}, row.swatch, px(2));
          x += px(17);
          const float room = right - x - detail_width - px(10);
          draw_text(draw, theme().text, colour::kText, {x, middle(theme().text)}, room, row.label);
          const float used = std::ceil(text_width(theme().text, row.label)) + px(8);
          // Half a place tells nothing.
          if (used + std::min(text_width(theme().small, row.place), px(60)) < room) {
            draw_text(draw, theme().small, colour::kFaint, {x + used, middle(theme().small)},
                      room - used, row.place);
          }
          break;
        }
        case RowKind::Task: {
          x += px(row.group == session::kNone ? 0 : 33);
          draw_icon(draw, Icon::Dot, {x + px(4), y + row.height_px / 2}, px(9), row.swatch);
          x += px(14);
          const float room = right - x - detail_width - px(10);
          draw_text(draw, theme().small,
                    row.task == input_.state->selected_task ? colour::kAccent : colour::kDim,
                    {x, middle(theme().small)}, room, row.label);
          const float used = std::ceil(text_width(theme().small, row.label)) + px(8);
          if (used + text_width(theme().small_mono, row.place) < room) {
            draw_text(draw, theme().small_mono, colour::kFaint,
                      {x + used, middle(theme().small_mono)}, room - used, row.place);
          }
          break;
        }
        case RowKind::More:
          draw_text(draw, theme().small, colour::kFaint, {at_.x + px(47), middle(theme().small)},
                    lanes_to_.x - at_.x - px(60), row.label);
          break;
      }
      if (!row.detail.empty()) {
        draw_text(draw, theme().small, colour::kFaint,
                  {right - detail_width, middle(theme().small)}, detail_width + 1, row.detail);
      }
    }
    draw->AddLine({line, lanes_from_.y}, {line, lanes_to_.y}, colour::kLine, 1);
  }

  void handle_mouse(const TimelineScene& scene, float height) {
    const ImGuiIO& io = ImGui::GetIO();
    // The labels: a click opens a group or selects a task.
    ImGui::SetCursorScreenPos({at_.x, lanes_from_.y});
    ImGui::InvisibleButton("##labels", {gutter_, height});
    const float pointer_y = io.MousePos.y - origin_.y;
    std::uint64_t hovered_label = 0;
    if (ImGui::IsItemHovered()) {
      scroll_by_wheel();
      if (const std::size_t i = row_at(rows_, pointer_y); i < rows_.size()) {
        const TimelineRow& row = rows_[i];
        if (row.kind == RowKind::Group || row.kind == RowKind::Task) {
          ImGui::GetWindowDrawList()->AddRectFilled(
              {at_.x, origin_.y + row.y_px},
              {at_.x + gutter_, origin_.y + row.y_px + row.height_px}, rgb(0xffffff, 8));
        }
        if (row.kind == RowKind::Group) group_tooltip(row);
        if (row.kind == RowKind::Task) hovered_label = row.task;
        if (ImGui::IsItemClicked()) click_label(row);
      }
    }

    ImGui::SetCursorScreenPos(lanes_from_);
    ImGui::InvisibleButton("##lanes", {width_, height});
    const bool hovered = ImGui::IsItemHovered();
    if (ImGui::IsItemActivated()) {
      memory_.selecting = io.KeyShift;
      memory_.select_from_px = static_cast<double>(io.MousePos.x - lanes_from_.x);
    }
    drag_pans();
    select_span();
    memory_.hovered_task = hovered_label;
    if (!hovered) return;
    if (io.KeyCtrl || io.KeyShift || io.MouseWheelH != 0) {
      wheel_zooms(false);
    } else {
      scroll_by_wheel();
    }
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddLine({io.MousePos.x, lanes_from_.y}, {io.MousePos.x, lanes_to_.y}, rgb(0xffffff, 36),
                  1);
    if (!memory_.selecting && arrow_under_pointer()) return;
    const std::size_t found =
        box_at(scene, rows_, io.MousePos.x - lanes_from_.x, io.MousePos.y - origin_.y);
    if (found >= scene.boxes.size() || memory_.selecting) return;
    const TimelineBox& box = scene.boxes[found];
    const TimelineItem& item = scene.items[box.item];
    memory_.hovered_task = item.task;
    if (box.width_px > 4) {
      draw->PushClipRect(lanes_from_, lanes_to_, true);
      draw->AddRect(
          {lanes_from_.x + box.x_px - 1, origin_.y + box.y_px - 1},
          {lanes_from_.x + box.x_px + box.width_px, origin_.y + box.y_px + box.height_px + 1},
          rgb(0xffffff, 200), 0, 0, 1);
      draw->PopClipRect();
    }
    if (ImGui::IsMouseReleased(ImGuiMouseButton_Left) &&
        io.MouseDragMaxDistanceSqr[ImGuiMouseButton_Left] < 16 && item.task != 0) {
      actions_.push_back(action::SelectTask{item.task});
    }
    if (ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) {
      actions_.push_back(action::Frame{item.from_ns, item.to_ns});
    }
    item_tooltip(box, item);
  }

  void click_label(const TimelineRow& row) {
    if (row.kind == RowKind::Group) actions_.push_back(action::ToggleGroup{row.group});
    if (row.kind == RowKind::Task) actions_.push_back(action::SelectTask{row.task});
    if (row.kind == RowKind::Worker) {
      if (const std::uint64_t task = model_.lanes()[row.lane]->current_task; task != 0) {
        actions_.push_back(action::SelectTask{task});
      }
    }
  }

  void scroll_by_wheel() {
    const ImGuiIO& io = ImGui::GetIO();
    if (io.MouseWheel != 0 && !io.KeyCtrl && !io.KeyShift) {
      ImGui::SetScrollY(std::clamp(scroll_ - io.MouseWheel * px(56), 0.0f, ImGui::GetScrollMaxY()));
    }
  }

  void select_span() {
    if (!memory_.selecting) return;
    const ImGuiIO& io = ImGui::GetIO();
    const float from = lanes_from_.x + static_cast<float>(memory_.select_from_px);
    const float to = std::clamp(io.MousePos.x, lanes_from_.x, lanes_to_.x);
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddRectFilled({std::min(from, to), lanes_from_.y}, {std::max(from, to), lanes_to_.y},
                        with_alpha(colour::kAccent, 0.16f));
    const auto ns = [&](float x) {
      return input_.view.time_at(static_cast<double>(x - lanes_from_.x),
                                 static_cast<double>(width_));
    };
    const std::int64_t one = ns(std::min(from, to)), other = ns(std::max(from, to));
    if (ImGui::IsMouseDown(ImGuiMouseButton_Left)) {
      tooltip(duration_text(other - one));
      return;
    }
    memory_.selecting = false;
    if (std::abs(to - from) > 4) actions_.push_back(action::MoveView{{one, other}});
  }

  void group_tooltip(const TimelineRow& row) {
    const session::CallGroup& group = model_.tasks().call_groups()[row.group];
    if (!begin_tooltip()) return;
    const protocol::Site* site = model_.site(group.site);
    {
      TextStyle style(theme().strong, colour::kText);
      const std::string body = group_title(model_, group);
      ImGui::TextUnformatted(body.empty() ? "Tasks spawned at one place" : body.c_str());
    }
    if (site != nullptr) {
      TextStyle style(theme().small_mono, colour::kDim);
      ImGui::TextUnformatted(
          (keep_tail(site->file, 60) + ":" + std::to_string(site->line)).c_str());
    }
    const auto time = [&](std::uint64_t ticks) {
      return duration_text(model_.clock().duration_ns(ticks));
    };
    tooltip_line("live", count_text(group.live()));
    tooltip_line("finished", count_text(group.by_state[3]));
    tooltip_line("polls", count_text(group.polls));
    tooltip_line("busy", time(group.busy));
    tooltip_line("scheduled", time(group.scheduled));
    tooltip_line("longest poll", time(group.max_poll));
    tooltip_line("poll p99", time(group.poll_times.quantile_ticks(0.99)));
    end_tooltip();
  }

  void item_tooltip(const TimelineBox& box, const TimelineItem& item) {
    if (!begin_tooltip()) return;
    const std::int64_t length = item.to_ns - item.from_ns;
    std::string title;
    switch (box.kind) {
      case BoxKind::Gap:
        title = "Records lost: " + std::string(name_of(item.cause));
        break;
      case BoxKind::Park:
        title = item.polls > 1 ? "Parked, with breaks" : "Parked";
        break;
      case BoxKind::Poll:
      case BoxKind::Lit:
      case BoxKind::State: {
        const session::Task* task = model_.tasks().find(item.task);
        title = task != nullptr ? task_title(model_, *task) + "  " + std::to_string(item.task)
                                : "task " + std::to_string(item.task);
        break;
      }
    }
    {
      TextStyle style(theme().strong, colour::kText);
      ImGui::TextUnformatted(title.c_str());
    }
    const session::Task* task = model_.tasks().find(item.task);
    if (task != nullptr && box.kind != BoxKind::Park) {
      TextStyle style(theme().small_mono, colour::kDim);
      ImGui::TextUnformatted(site_place(model_, task->site).c_str());
    }
    ImGui::Dummy({0, px(2)});
    const auto kinds = model_.wait_kinds();
    if (box.kind == BoxKind::Gap) {
      tooltip_line("events", item.lost > 0 ? count_text(item.lost) : "not known");
    } else if (box.kind == BoxKind::State && item.polls <= 1) {
      std::string state(name_of(item.state));
      if (item.state == protocol::TaskState::Idle && item.wait < kinds.size()) {
        state = "waits: " + wait_text(kinds[item.wait]);
        if (kinds[item.wait].site != 0) {
          tooltip_line("at", site_place(model_, kinds[item.wait].site));
        }
      }
      tooltip_line("state", state);
    } else if (item.polls > 1) {
      tooltip_line(box.kind == BoxKind::Park ? "parks" : "polls", count_text(item.polls));
      const double share = static_cast<double>(item.busy_ns) /
                           static_cast<double>(std::max<std::int64_t>(length, 1));
      tooltip_line(box.kind == BoxKind::Park ? "parked" : "busy",
                   duration_text(item.busy_ns) + " · " + percent_text(std::min(share, 1.0)));
      if (item.longest_ns > 0) tooltip_line("longest", duration_text(item.longest_ns));
      if (box.kind == BoxKind::Poll) tooltip_line("", "named is the longest one's task");
    } else if (box.kind == BoxKind::Poll && !item.open && item.wait < kinds.size() &&
               item.wait != session::kWaitUnknown) {
      tooltip_line("then", wait_text(kinds[item.wait]));
    }
    tooltip_line(item.sampled     ? "at least"
                 : item.open      ? "so far"
                 : item.polls > 1 ? "span"
                                  : "duration",
                 duration_text(length));
    tooltip_line("from", axis_text(item.from_ns, 1000));
    if (item.lane < model_.lanes().size()) {
      tooltip_line("on", lane_name(model_, *model_.lanes()[item.lane]));
    }
    if (box.hatched && box.kind != BoxKind::Gap) {
      {
        TextStyle style(theme().small, colour::kTrouble);
        ImGui::TextUnformatted(box.blocking ? "This poll holds its worker up, now."
                                            : "This poll held its worker up.");
      }
      native_lines(item);
    }
    end_tooltip();
  }

  /// Where the poll that blocks is, or was, in native code.
  void native_lines(const TimelineItem& item) {
    const session::NativeStack* stack = model_.native_stack(item.task);
    if (stack == nullptr) return;
    const std::int64_t taken = model_.clock().ns(stack->ticks);
    if (taken < item.from_ns || (!item.open && taken > item.to_ns)) return;
    if (stack->frames.empty()) {
      if (!stack->problem.empty()) tooltip_line("stack", stack->problem);
      return;
    }
    if (stack->in_kernel) tooltip_line("system call", stack->system_call);
    constexpr std::size_t kLines = 4;
    for (std::size_t i = 0; i < std::min(stack->frames.size(), kLines); ++i) {
      tooltip_line(i == 0 ? "in" : "called by", native_frame_text(stack->frames[i]));
    }
  }

  /// Tells that the view stands still while the session goes on, and leads back. In the labels'
  /// column, beside the axis.
  void draw_chip(ImVec2 from, float height) {
    if (input_.following || !input_.live) return;
    std::string text = input_.paused ? "Paused" : "Not following";
    if (input_.hidden_events > 0) {
      text += " · " + short_count_text(static_cast<double>(input_.hidden_events)) + " new events";
    }
    ImFont* font = theme().small;
    const float most = gutter_ - px(24);
    const ImVec2 size{std::min(std::ceil(text_width(font, text)) + px(40), most), px(20)};
    const ImVec2 at{from.x + px(12), from.y + std::floor((height - size.y) / 2)};
    ImGui::SetCursorScreenPos(at);
    if (ImGui::InvisibleButton("##new events", size)) actions_.push_back(action::Follow{true});
    const bool hovered = ImGui::IsItemHovered();
    if (hovered) tooltip("Shows the newest moments again (Space)");
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddRectFilled(at, {at.x + size.x, at.y + size.y}, hovered ? rgb(0x3a78c2) : rgb(0x2f5d93),
                        px(10));
    draw_text(draw, font, colour::kText,
              {at.x + px(12), at.y + std::floor((size.y - font->FontSize) / 2)}, size.x - px(38),
              text);
    draw_icon(draw, Icon::Forward, {at.x + size.x - px(15), at.y + size.y / 2}, px(10),
              colour::kText);
  }

  void draw_legend() {
    const float height = px(kLegendPx);
    const ImVec2 from{at_.x, at_.y + room_.y - height};
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddRectFilled(from, {at_.x + room_.x, at_.y + room_.y}, colour::kHeader);
    ImFont* font = theme().small;
    const float y = from.y + std::floor((height - font->FontSize) / 2);
    float x = from.x + px(14);
    const float right = at_.x + room_.x - px(14);
    // Shapes as on the lanes: tall polls, lower queues, low waits, hatched losses.
    const auto entry = [&](std::string_view label, Colour fill, float share, bool hatched) {
      const float width = px(16) + std::ceil(text_width(font, label)) + px(11);
      if (x + width > right + px(11)) return;
      const float tall = px(13), base = from.y + (height + tall) / 2;
      if (fill != 0) {
        draw->AddRectFilled({x, base - std::round(tall * share)}, {x + px(10), base}, fill);
      }
      if (hatched) {
        draw_hatch(draw, {x, base - tall}, {x + px(10), base}, colour::kTrouble, px(4));
      }
      draw_text(draw, font, colour::kDim, {x + px(16), y}, width, label);
      x += width;
    };
    const auto word = [&](std::string_view label) {
      const float width = std::ceil(text_width(font, label)) + px(10);
      if (x + width > right) return;
      draw_text(draw, font, colour::kFaint, {x, y}, width, label);
      x += width;
    };
    word("Tasks");
    entry("polling", colour::kPolling, 1, false);
    entry("scheduled", colour::kScheduled, 0.7f, false);
    word("waiting:");
    for (const WaitClass which : kWaitClasses)
      entry(name_of(which), colour_of(which), 0.45f, false);
    entry("done", colour::kDone, 0.25f, false);
    x += px(8);
    word("Workers");
    entry("poll", site_colour(0), 1, false);
    entry("parked", rgb(0x4a5666), 0.3f, false);
    entry("queue", with_alpha(colour::kScheduled, 0.75f), 0.5f, false);
    entry("lost", with_alpha(colour::kTrouble, 0.28f), 1, true);
    const std::string_view keys = "W S zoom · A D pan · F frame · Space pause · Backspace back";
    const float width = std::ceil(text_width(font, keys));
    if (x + width + px(20) < right) {
      draw_text(draw, font, colour::kFaint, {right - width, y}, width + 1, keys);
    }
  }

  session::Model& model_;
  const TimelineInput& input_;
  TimelineMemory& memory_;
  Actions& actions_;
  ImVec2 at_{}, room_{}, origin_{}, lanes_from_{}, lanes_to_{};
  float gutter_ = 0, width_ = 0, scroll_ = 0;
  std::size_t hovered_row_ = SIZE_MAX;
  std::vector<TimelineRow> rows_;
  std::vector<TimelineArrow> arrows_;  ///< of the selected task
};

}  // namespace

void draw_timeline(session::Model& model, const TimelineInput& input, TimelineMemory& memory,
                   Actions& actions) {
  Drawing(model, input, memory, actions).run();
}

}  // namespace taskscope::console::panels
