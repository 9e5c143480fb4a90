#include "taskscope/console/panels/graph_panel.h"

#include <algorithm>
#include <cmath>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

constexpr float kLeastZoom = 0.15f, kMostZoom = 2.5f, kLegendPx = 24;

class Drawing {
 public:
  Drawing(const GraphInput& input, GraphMemory& memory, ImVec2 at, ImVec2 size, Actions& actions)
      : input_(input),
        view_(*input.view),
        memory_(memory),
        at_(at),
        size_(size),
        actions_(actions) {}

  void run() {
    draw_ = ImGui::GetWindowDrawList();
    legend_ = size_.y > px(150) ? px(kLegendPx) : 0;
    room_ = {size_.x, size_.y - legend_};
    // Fitted until somebody moves it; and anew for another graph, or another pane.
    if (memory_.key != input_.key) memory_.moved = false;
    if (!memory_.moved || memory_.size.x != size_.x || memory_.size.y != size_.y) fit();
    memory_.key = input_.key;
    memory_.size = size_;

    draw_->AddRectFilled(at_, {at_.x + size_.x, at_.y + room_.y}, colour::kLane);
    ImGui::SetCursorScreenPos(at_);
    ImGui::InvisibleButton("##graph area", room_);
    const bool hovered = ImGui::IsItemHovered();
    move(hovered);
    draw_->PushClipRect(at_, {at_.x + room_.x, at_.y + room_.y}, true);
    find_hovered(hovered);
    for (std::size_t i = 0; i < view_.arrows.size(); ++i) draw_arrow(view_.arrows[i], i);
    for (const GraphMark& mark : view_.marks) draw_mark(mark);
    for (std::size_t i = 0; i < view_.boxes.size(); ++i) draw_box(view_.boxes[i], i);
    draw_->PopClipRect();
    if (legend_ > 0) draw_legend();
    click(hovered);
  }

 private:
  [[nodiscard]] ImVec2 on_screen(GraphPoint point) const {
    return {std::round(at_.x + memory_.offset.x + point.x * memory_.zoom),
            std::round(at_.y + memory_.offset.y + point.y * memory_.zoom)};
  }

  void fit() {
    const float wide = std::max(view_.width, 1.0f), tall = std::max(view_.height, 1.0f);
    memory_.zoom = std::clamp(std::min(room_.x / wide, room_.y / tall), 0.3f, 1.0f);
    // What has no room is cut at the right and below, not in the middle of a seed.
    memory_.offset = {std::max((room_.x - wide * memory_.zoom) / 2, 0.0f),
                      (room_.y - tall * memory_.zoom) / 2};
    if (memory_.offset.y < 0) {
      // Its seeds in the middle.
      float y = 0;
      int seeds = 0;
      for (const GraphBox& box : view_.boxes) {
        if (!box.seed) continue;
        y += box.y + box.height / 2;
        ++seeds;
      }
      if (seeds > 0) y /= static_cast<float>(seeds);
      memory_.offset.y =
          std::clamp(room_.y / 2 - y * memory_.zoom, room_.y - tall * memory_.zoom, 0.0f);
    }
  }

  void move(bool hovered) {
    const ImGuiIO& io = ImGui::GetIO();
    if (ImGui::IsItemActive() && ImGui::IsMouseDragging(ImGuiMouseButton_Left, 3)) {
      memory_.offset.x += io.MouseDelta.x;
      memory_.offset.y += io.MouseDelta.y;
      memory_.moved = memory_.moved || io.MouseDelta.x != 0 || io.MouseDelta.y != 0;
    }
    if (!hovered || io.MouseWheel == 0) return;
    const float before = memory_.zoom;
    memory_.zoom = std::clamp(before * std::pow(1.15f, io.MouseWheel), kLeastZoom, kMostZoom);
    const ImVec2 about{io.MousePos.x - at_.x, io.MousePos.y - at_.y};
    const float factor = memory_.zoom / before;
    memory_.offset.x = about.x - (about.x - memory_.offset.x) * factor;
    memory_.offset.y = about.y - (about.y - memory_.offset.y) * factor;
    memory_.moved = true;
  }

  void find_hovered(bool hovered) {
    hovered_box_ = hovered_arrow_ = SIZE_MAX;
    if (!hovered || ImGui::IsMouseDragging(ImGuiMouseButton_Left, 3)) return;
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    for (std::size_t i = 0; i < view_.boxes.size(); ++i) {
      const GraphBox& box = view_.boxes[i];
      const ImVec2 from = on_screen({box.x, box.y}),
                   to = on_screen({box.x + box.width, box.y + box.height});
      if (mouse.x >= from.x && mouse.x < to.x && mouse.y >= from.y && mouse.y < to.y) {
        hovered_box_ = i;
        return;
      }
    }
    float nearest = px(7) * px(7);
    for (std::size_t i = 0; i < view_.arrows.size(); ++i) {
      for (int step = 0; step <= 24; ++step) {
        const ImVec2 at = on_screen(point_on(view_.arrows[i].curve, static_cast<float>(step) / 24));
        const float x = at.x - mouse.x, y = at.y - mouse.y;
        if (x * x + y * y >= nearest) continue;
        nearest = x * x + y * y;
        hovered_arrow_ = i;
      }
    }
  }

  [[nodiscard]] bool beside_hovered(const GraphArrow& arrow) const {
    return hovered_box_ != SIZE_MAX && (arrow.from == hovered_box_ || arrow.to == hovered_box_);
  }

  void draw_arrow(const GraphArrow& arrow, std::size_t number) {
    const bool lit = number == hovered_arrow_ || beside_hovered(arrow);
    Colour ink = arrow.on_cycle ? colour::kTrouble : rgb(0x6d7a8a);
    if (lit) ink = mixed(ink, rgb(0xffffff), 0.5f);
    const float thick = px(arrow.on_cycle ? 3.0f : lit ? 2.0f : 1.4f);
    ImVec2 c[4];
    for (int i = 0; i < 4; ++i) c[i] = on_screen(arrow.curve[i]);
    // The line ends where its head begins.
    const float head = px(arrow.on_cycle ? 11.0f : 9.0f) * std::clamp(memory_.zoom, 0.5f, 1.2f);
    ImVec2 way{c[3].x - c[2].x, c[3].y - c[2].y};
    float length = std::sqrt(way.x * way.x + way.y * way.y);
    if (length < 1) {
      way = {c[3].x - c[0].x, c[3].y - c[0].y};
      length = std::max(std::sqrt(way.x * way.x + way.y * way.y), 1.0f);
    }
    way = {way.x / length, way.y / length};
    const ImVec2 neck{c[3].x - way.x * head, c[3].y - way.y * head};
    if (arrow.certain) {
      draw_->AddBezierCubic(c[0], c[1],
                            {c[2].x - way.x * head * 0.5f, c[2].y - way.y * head * 0.5f}, neck, ink,
                            thick, 24);
    } else {
      draw_dashed(arrow, neck, ink, thick);
    }
    draw_->AddTriangleFilled(c[3], {neck.x - way.y * head * 0.5f, neck.y + way.x * head * 0.5f},
                             {neck.x + way.y * head * 0.5f, neck.y - way.x * head * 0.5f}, ink);
    draw_label(arrow, lit);
  }

  void draw_dashed(const GraphArrow& arrow, ImVec2 neck, Colour ink, float thick) {
    // Dashes of one length on the screen, whatever the curve.
    const float dash = px(7), space = px(5);
    ImVec2 last = on_screen(arrow.curve[0]);
    float along = 0;
    constexpr int kSteps = 160;
    for (int step = 1; step <= kSteps; ++step) {
      const ImVec2 at = step == kSteps
                            ? neck
                            : on_screen(point_on(arrow.curve, static_cast<float>(step) / kSteps));
      const float x = at.x - last.x, y = at.y - last.y;
      const float piece = std::sqrt(x * x + y * y);
      if (piece < 2 && step < kSteps) continue;
      if (std::fmod(along, dash + space) < dash) draw_->AddLine(last, at, ink, thick);
      along += piece;
      last = at;
      if ((at.x - neck.x) * (at.x - neck.x) + (at.y - neck.y) * (at.y - neck.y) < 9) break;
    }
  }

  void draw_label(const GraphArrow& arrow, bool lit) {
    if (!arrow.label_fits) return;
    // Texts keep their size: zoomed out, those with no room are left to the tooltips.
    const float room_x = arrow.label_width * memory_.zoom,
                room_y = arrow.label_height * memory_.zoom;
    ImFont* font = theme().small;
    if (room_y < font->FontSize - px(1)) return;
    const ImVec2 from = on_screen({arrow.label_x, arrow.label_y});
    if (room_x < text_width(font, arrow.label)) return;
    const ImVec2 to{from.x + room_x, from.y + room_y};
    if (!within(from, to)) return;
    draw_->AddRectFilled(from, to, colour::kLane);
    draw_text(draw_, font,
              lit              ? colour::kText
              : arrow.on_cycle ? mixed(colour::kTrouble, colour::kText, 0.4f)
                               : colour::kDim,
              {from.x, from.y + std::floor((room_y - font->FontSize) / 2)}, room_x, arrow.label,
              Align::Centre);
  }

  void draw_mark(const GraphMark& mark) {
    const float room_x = mark.width * memory_.zoom, room_y = mark.height * memory_.zoom;
    ImFont* font = theme().small;
    const ImVec2 from = on_screen({mark.x, mark.y}), to{from.x + room_x, from.y + room_y};
    const bool with_text =
        room_y >= font->FontSize && room_x >= text_width(font, mark.text) + px(24);
    if (!within(from, to)) return;
    if (!with_text) return;
    draw_->AddRectFilled(from, to, mixed(colour::kLane, colour::kTrouble, 0.22f), room_y / 2);
    draw_cycle({from.x + px(13) * std::min(memory_.zoom, 1.0f), (from.y + to.y) / 2},
               px(10) * std::clamp(memory_.zoom, 0.4f, 1.0f), colour::kTrouble);
    draw_text(draw_, font, mixed(colour::kTrouble, colour::kText, 0.5f),
              {from.x + px(23), from.y + std::floor((room_y - font->FontSize) / 2)},
              room_x - px(23), mark.text);
  }

  /// An arrow that bites its tail.
  void draw_cycle(ImVec2 c, float size, Colour ink) {
    const float r = size / 2;
    draw_->PathArcTo(c, r, -0.6f, 4.4f, 16);
    draw_->PathStroke(ink, 0, std::max(px(1.5f), 1.0f));
    const ImVec2 tip{c.x + r * std::cos(4.4f), c.y + r * std::sin(4.4f)};
    draw_->AddTriangleFilled({tip.x + r * 0.8f, tip.y - r * 0.1f},
                             {tip.x - r * 0.15f, tip.y - r * 0.6f},
                             {tip.x - r * 0.15f, tip.y + r * 0.6f}, ink);
  }

  [[nodiscard]] bool within(ImVec2 from, ImVec2 to) const {
    return from.x >= at_.x && from.y >= at_.y && to.x <= at_.x + room_.x && to.y <= at_.y + room_.y;
  }

  void draw_box(const GraphBox& box, std::size_t number) {
    const ImVec2 from = on_screen({box.x, box.y}),
                 to = on_screen({box.x + box.width, box.y + box.height});
    if (to.x < at_.x || to.y < at_.y || from.x > at_.x + room_.x || from.y > at_.y + room_.y)
      return;
    const bool selected = (box.task != 0 && box.task == input_.selected_task) ||
                          (box.kind == GraphBoxKind::Resource && box.resource != 0 &&
                           box.resource == input_.selected_resource);
    const bool hovered = number == hovered_box_;
    // Tasks are round, what they wait for is square.
    const bool round = box.kind == GraphBoxKind::Task;
    const float corner = round ? (to.y - from.y) * 0.42f : px(3);
    Colour fill = round ? colour::kRaised : rgb(0x1b2530);
    if (box.kind == GraphBoxKind::More) fill = colour::kLane;
    if (selected) fill = colour::kSelection;
    if (hovered) fill = mixed(fill, rgb(0xffffff), 0.08f);
    draw_->AddRectFilled(from, to, fill, corner);
    const Colour edge = selected       ? colour::kSelectionLine
                        : box.on_cycle ? colour::kTrouble
                        : box.seed     ? colour::kAccent
                                       : colour::kStrongLine;
    draw_->AddRect(from, to, edge, corner, 0,
                   px(box.on_cycle || selected || box.seed ? 2.0f : 1.0f));

    const float height = to.y - from.y, width = to.x - from.x;
    ImFont* title_font = memory_.zoom > 0.9f ? theme().text : theme().small;
    const float inset = std::min(px(12), width * 0.1f);
    const float icon = std::min(px(11), height * 0.4f);
    float x = from.x + inset;
    if (height >= px(13)) {
      draw_kind(box, {x + icon / 2, (from.y + to.y) / 2}, icon);
      x += icon + px(6);
    }
    float right = to.x - std::min(px(9), width * 0.08f);
    // The mark of the cycle, but not at the cost of words.
    if (box.on_cycle && right - x - px(14) >= text_width(title_font, box.title)) {
      draw_cycle({right - px(5), (from.y + to.y) / 2}, px(8), colour::kTrouble);
      right -= px(14);
    }
    const float room = right - x;
    if (height < title_font->FontSize + px(2) || room < px(26) || !within(from, to)) return;
    const bool two = height >= px(36) && !box.subtitle.empty();
    const float line = theme().small->FontSize;
    float y =
        from.y +
        std::floor((height - (two ? title_font->FontSize + line + px(1) : title_font->FontSize)) /
                   2);
    const Colour ink = box.gone                         ? colour::kDim
                       : box.kind == GraphBoxKind::More ? colour::kDim
                                                        : colour::kText;
    draw_text(draw_, title_font, ink, {x, y}, room, box.title);
    if (!two) return;
    y += title_font->FontSize + px(1);
    draw_text(draw_, theme().small, colour::kFaint, {x, y}, room, box.subtitle);
  }

  void draw_kind(const GraphBox& box, ImVec2 c, float size) {
    const float r = size / 2;
    switch (box.node) {
      case analysis::NodeKind::Task:
        if (box.kind == GraphBoxKind::More) {
          draw_icon(draw_, Icon::Stack, c, size, colour::kDim);
        } else {
          draw_icon(draw_, box.gone ? Icon::Cross : Icon::Dot, c, size, box.colour);
        }
        break;
      case analysis::NodeKind::Resource:  // a lock
        draw_->AddRectFilled({c.x - r * 0.8f, c.y - r * 0.1f}, {c.x + r * 0.8f, c.y + r},
                             colour::kWaitLock, 1);
        draw_->PathArcTo({c.x, c.y - r * 0.1f}, r * 0.5f, 3.14159f, 6.28318f, 10);
        draw_->PathStroke(colour::kWaitLock, 0, px(1.4f));
        break;
      case analysis::NodeKind::Timer:
        draw_->AddCircle(c, r * 0.9f, colour::kWaitTimer, 18, px(1.5f));
        draw_->AddLine(c, {c.x, c.y - r * 0.6f}, colour::kWaitTimer, px(1.4f));
        draw_->AddLine(c, {c.x + r * 0.45f, c.y}, colour::kWaitTimer, px(1.4f));
        break;
      case analysis::NodeKind::Waker:
        draw_icon(draw_, box.gone ? Icon::Cross : Icon::Ring, c, size,
                  box.gone ? colour::kTrouble : colour::kWaitOther);
        break;
      default:
        draw_icon(draw_, Icon::Forward, c, size, colour::kWaitIo);
        break;
    }
  }

  void draw_legend() {
    const ImVec2 from{at_.x, at_.y + room_.y}, to{at_.x + size_.x, at_.y + size_.y};
    draw_->AddRectFilled(from, to, colour::kPanel);
    ImFont* font = theme().small;
    const float y = from.y + std::floor((legend_ - font->FontSize) / 2),
                middle = (from.y + to.y) / 2;
    float x = from.x + px(12);
    const float fit_width = px(40);
    const float right = to.x - fit_width - px(10);
    const auto word = [&](std::string_view text, bool cycle, bool dashed) {
      const float width = std::ceil(text_width(font, text));
      if (x + px(34) + width > right) return;
      const Colour ink = cycle ? colour::kTrouble : rgb(0x8f9cac);
      if (dashed) {
        for (int i = 0; i < 3; ++i) {
          const float at = x + px(8) * static_cast<float>(i);
          draw_->AddLine({at, middle}, {at + px(5), middle}, ink, px(1.4f));
        }
      } else {
        draw_->AddLine({x, middle}, {x + px(20), middle}, ink, px(cycle ? 3.0f : 1.4f));
        draw_->AddTriangleFilled({x + px(25), middle}, {x + px(18), middle - px(4)},
                                 {x + px(18), middle + px(4)}, ink);
      }
      draw_text(draw_, font, colour::kFaint, {x + px(31), y}, width + 1, text);
      x += px(31) + width + px(16);
    };
    word("waits for, is held by", false, false);
    word("in a cycle", true, false);
    word("a hint", false, true);
    if (view_.left_out > 0) {
      const std::string text = count_text(view_.left_out) + " more are not drawn";
      const float width = std::ceil(text_width(font, text));
      if (x + width < right) draw_text(draw_, font, colour::kScheduled, {x, y}, width + 1, text);
    }
    ImGui::SetCursorScreenPos({to.x - fit_width, from.y});
    if (ImGui::InvisibleButton("##fit graph", {fit_width - px(6), legend_})) memory_.moved = false;
    const bool hovered = ImGui::IsItemHovered();
    draw_icon(draw_, Icon::Target, {to.x - px(23), middle}, px(13),
              hovered ? colour::kText : colour::kDim);
    if (hovered) tooltip("All of it. The wheel zooms, dragging moves.");
  }

  void click(bool hovered) {
    if (!hovered) return;
    if (hovered_box_ != SIZE_MAX) {
      const GraphBox& box = view_.boxes[hovered_box_];
      const bool leads = box.task != 0 || box.resource != 0;
      if (leads) ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
      tooltip(box.tip + (box.task != 0 ? "\nClick to select it, double click for its own graph"
                         : leads       ? "\nClick to go to the resource"
                                       : ""));
      const ImGuiIO& io = ImGui::GetIO();
      if (ImGui::IsMouseReleased(ImGuiMouseButton_Left) &&
          io.MouseDragMaxDistanceSqr[ImGuiMouseButton_Left] < 16) {
        if (box.task != 0) {
          actions_.push_back(action::SelectTask{box.task});
        } else if (box.resource != 0) {
          actions_.push_back(action::SelectResource{box.resource});
        }
      }
      if (ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left) && box.task != 0) {
        actions_.push_back(action::ShowGraph{box.task, 0});
      }
    } else if (hovered_arrow_ != SIZE_MAX) {
      tooltip(view_.arrows[hovered_arrow_].tip);
    }
  }

  const GraphInput& input_;
  const GraphView& view_;
  GraphMemory& memory_;
  ImVec2 at_, size_, room_{};
  Actions& actions_;
  ImDrawList* draw_ = nullptr;
  float legend_ = 0;
  std::size_t hovered_box_ = SIZE_MAX, hovered_arrow_ = SIZE_MAX;
};

}  // namespace

float graph_text_width(std::string_view text) { return text_width(theme().small, text); }

void draw_graph(const GraphInput& input, GraphMemory& memory, ImVec2 size, Actions& actions) {
  if (size.x < px(80) || size.y < px(60)) return;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::BeginChild("##graph", size, false,
                    ImGuiWindowFlags_NoScrollWithMouse | ImGuiWindowFlags_NoScrollbar);
  if (input.view == nullptr || input.view->boxes.empty()) {
    empty_note("No graph to draw", "Select a task or a problem: who waits for whom is drawn here.");
  } else {
    Drawing(input, memory, at, size, actions).run();
  }
  ImGui::EndChild();
}

}  // namespace taskscope::console::panels
