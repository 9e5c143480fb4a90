#include "taskscope/console/panels/timeline_charts_panel.h"

#include <imgui.h>

#include <cmath>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

constexpr float kAxisPx = 24, kSectionPx = 26, kRowPadPx = 6, kStripGapPx = 2, kTextRowPx = 40;
/// Of the labels' column, for the strips' names and values.
constexpr float kStripLabelPx = 150;

/// At scale 1.
float row_height(const ChartRow& row) {
  if (row.section) return kSectionPx;
  float height = 0;
  for (const ChartStrip& strip : row.strips) height += strip.height_px + kStripGapPx;
  const float lines = row.title.empty() ? 0 : row.note.empty() && row.subtitle.empty() ? 20 : 54;
  return std::max(height, std::max(lines, row.strips.empty() ? kTextRowPx : 0.0f)) + 2 * kRowPadPx;
}

class Drawing {
 public:
  Drawing(const ChartsInput& input, ChartsMemory& memory, Actions& actions)
      : input_(input), memory_(memory), actions_(actions) {}

  void run(const char* id, const MakeRows& make, float height) {
    at_ = ImGui::GetCursorScreenPos();
    room_ = {ImGui::GetContentRegionAvail().x, height};
    const AxisColumns columns = axis_columns(room_.x, theme().scale);
    gutter_ = columns.labels_px;
    width_ = memory_.width_px = columns.lanes_px;
    if (width_ < 50 || height < px(kAxisPx + 20)) return;
    ImGui::PushID(id);
    draw_axis();
    const float top = px(kAxisPx);
    ImGui::SetCursorScreenPos({at_.x, at_.y + top});
    ImGui::BeginChild("##charts scroll", {room_.x, height - top}, false,
                      ImGuiWindowFlags_NoScrollWithMouse | ImGuiWindowFlags_NoNav);
    lanes_from_ = {at_.x + gutter_, at_.y + top};
    lanes_to_ = {lanes_from_.x + width_, at_.y + height};
    const std::vector<ChartRow> rows = make({.view = input_.view, .width_px = width_});
    const ImVec2 origin = ImGui::GetCursorScreenPos();
    float y = origin.y;
    memory_.first = SIZE_MAX;
    draw_grid(std::min(origin.y + px(charts_height(rows)) - px(kAxisPx), lanes_to_.y));
    hovered_ = ImGui::IsWindowHovered();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const float tall = px(row_height(rows[i]));
      if (y < lanes_to_.y && y + tall > lanes_from_.y) {
        if (memory_.first == SIZE_MAX) memory_.first = i;
        memory_.last = i;
        draw_row(rows[i], y, tall);
      }
      y += tall;
    }
    // Rows that come into sight by scrolling are filled in the next frame.
    if (memory_.first == SIZE_MAX) memory_.first = 0;
    handle_mouse();
    ImGui::SetCursorScreenPos(origin);
    ImGui::Dummy({1, y - origin.y});
    ImGui::EndChild();
    ImGui::PopID();
  }

 private:
  [[nodiscard]] float screen_x(std::int64_t ns) const {
    return at_.x + gutter_ +
           static_cast<float>(
               std::clamp(input_.view.x(ns, static_cast<double>(width_)), -1e6, 1e6));
  }

  void draw_axis() {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const float height = px(kAxisPx);
    draw->AddRectFilled(at_, {at_.x + room_.x, at_.y + height}, colour::kHeader);
    draw_text(draw, theme().small, colour::kFaint,
              {at_.x + px(14), at_.y + std::floor((height - theme().small->FontSize) / 2)},
              gutter_ - px(24), input_.heading);
    ImFont* font = theme().small_mono;
    const AxisTicks ticks =
        axis_ticks(input_.view, static_cast<double>(width_), static_cast<double>(px(130)));
    const float right_edge = at_.x + gutter_ + width_;
    for (const std::int64_t tick : ticks.at_ns) {
      const float x = std::round(screen_x(tick));
      if (x < at_.x + gutter_) continue;
      draw->AddLine({x, at_.y + height - px(6)}, {x, at_.y + height - 1}, colour::kStrongLine, 1);
      const std::string text = axis_text(tick, ticks.step_ns);
      if (x + px(5) + text_width(font, text) > right_edge) continue;
      draw_text(draw, font, colour::kDim, {x + px(5), at_.y + px(5)}, px(200), text);
    }
  }

  void draw_grid(float bottom) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    draw->AddRectFilled(lanes_from_, {lanes_to_.x, bottom}, colour::kLane);
    const AxisTicks ticks =
        axis_ticks(input_.view, static_cast<double>(width_), static_cast<double>(px(130)));
    for (const std::int64_t tick : ticks.at_ns) {
      const float x = std::round(screen_x(tick));
      if (x < lanes_from_.x) continue;
      draw->AddLine({x, lanes_from_.y}, {x, bottom}, rgb(0xffffff, 10), 1);
    }
    const Colour shade = rgb(0x0b0e12, 140);
    const float begin = screen_x(input_.begin_ns), end = screen_x(input_.now_ns);
    if (begin > lanes_from_.x) {
      draw->AddRectFilled(lanes_from_, {std::min(begin, lanes_to_.x), bottom}, shade);
    }
    if (end < lanes_to_.x) {
      draw->AddRectFilled({std::max(end, lanes_from_.x), lanes_from_.y}, {lanes_to_.x, bottom},
                          shade);
    }
  }

  void draw_row(const ChartRow& row, float y, float tall) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    if (row.section) {
      draw->AddRectFilled({at_.x, y}, {at_.x + room_.x, y + tall}, colour::kHeader);
      ImFont* font = theme().strong;
      draw_text(draw, font, colour::kText,
                {at_.x + px(14), y + std::floor((tall - font->FontSize) / 2)}, gutter_ - px(20),
                row.title);
      draw_text(draw, theme().small, colour::kFaint,
                {lanes_from_.x + px(4), y + std::floor((tall - theme().small->FontSize) / 2)},
                width_ - px(8), row.subtitle);
      return;
    }
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    const bool labels_hovered = hovered_ && mouse.x < lanes_from_.x - px(kStripLabelPx) &&
                                mouse.y >= y && mouse.y < y + tall;
    if (labels_hovered && row.task != 0) {
      draw->AddRectFilled({at_.x, y}, {lanes_from_.x, y + tall}, rgb(0xffffff, 8));
    }
    draw_labels(row, y);
    float strip_y = y + px(kRowPadPx);
    for (const ChartStrip& strip : row.strips) {
      draw_strip(row, strip, strip_y);
      strip_y += px(strip.height_px) + px(kStripGapPx);
    }
    draw->AddLine({at_.x, y + tall - 1}, {lanes_to_.x, y + tall - 1}, colour::kLine, 1);
    if (!labels_hovered) return;
    if (row.task != 0 && ImGui::IsMouseClicked(ImGuiMouseButton_Left)) {
      actions_.push_back(action::SelectTask{row.task});
    }
    if (!row.facts.empty() && begin_tooltip()) {
      {
        TextStyle style(theme().strong, colour::kText);
        ImGui::TextUnformatted(row.title.c_str());
      }
      for (const auto& [label, value] : row.facts) tooltip_line(label, value);
      end_tooltip();
    }
  }

  void draw_labels(const ChartRow& row, float y) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const float room = gutter_ - px(kStripLabelPx) - px(18);
    float x = at_.x + px(14), line = y + px(kRowPadPx);
    if (row.dot != 0) {
      draw_icon(draw, row.warn ? Icon::Cross : Icon::Dot, {x + px(4), line + px(8)}, px(9),
                row.dot);
      x += px(14);
    }
    draw_text(draw, theme().text, colour::kText, {x, line}, room - (x - at_.x - px(14)), row.title);
    line += px(20);
    x = at_.x + px(14);
    if (!row.subtitle.empty()) {
      draw_text(draw, theme().small, row.task != 0 ? colour::kAccent : colour::kDim, {x, line},
                room, row.subtitle);
      line += px(16);
    }
    if (!row.note.empty()) {
      draw_text(draw, theme().small, row.warn ? colour::kTrouble : colour::kFaint, {x, line}, room,
                row.note);
    }
  }

  void draw_strip(const ChartRow& row, const ChartStrip& strip, float y) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const float tall = px(strip.height_px), base = y + tall;
    // Label and value, to the left of the strip.
    const float right = lanes_from_.x - px(8);
    const float text_y = y + std::floor((tall - theme().small->FontSize) / 2);
    const float value_width = std::min(std::ceil(text_width(theme().small_mono, strip.value)) + 1,
                                       px(kStripLabelPx) - px(20));
    draw_text(draw, theme().small_mono, colour::kText,
              {right - value_width, y + std::floor((tall - theme().small_mono->FontSize) / 2)},
              value_width, strip.value, Align::Right);
    draw_text(draw, theme().small, colour::kFaint, {right - px(kStripLabelPx) + px(12), text_y},
              px(kStripLabelPx) - value_width - px(20), strip.label);
    const ImVec2 from{lanes_from_.x, y}, to{lanes_to_.x, base};
    if (to.y < lanes_from_.y || from.y > lanes_to_.y) return;
    draw->PushClipRect(lanes_from_, lanes_to_, true);
    draw->AddLine({from.x, base}, {to.x, base}, rgb(0xffffff, 14), 1);
    draw_steps(strip, base, tall);
    draw_bars(strip, y, tall);
    draw->PopClipRect();
    const ImVec2 mouse = ImGui::GetIO().MousePos;
    if (!hovered_ || mouse.x < from.x || mouse.x >= to.x || mouse.y < y || mouse.y >= base + 2) {
      return;
    }
    strip_tooltip(row, strip, mouse.x - lanes_from_.x);
  }

  void draw_steps(const ChartStrip& strip, float base, float tall) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const double highest = strip.highest > 0 ? strip.highest : 1;
    constexpr std::size_t kRun = 8'000;  // that 16-bit indices can hold
    const Colour fill = with_alpha(strip.colour, 0.75f);
    for (std::size_t begin = 0; begin < strip.steps.size(); begin += kRun) {
      const std::size_t count = std::min(kRun, strip.steps.size() - begin);
      draw->PrimReserve(static_cast<int>(count * 6), static_cast<int>(count * 4));
      for (std::size_t i = begin; i < begin + count; ++i) {
        const ChartStep& step = strip.steps[i];
        const float share = static_cast<float>(std::clamp(step.value / highest, 0.0, 1.0));
        const float height = step.value > 0 ? std::max(std::round(tall * share), 1.0f) : 0;
        draw->PrimRect({lanes_from_.x + step.x_px, base - height},
                       {lanes_from_.x + step.to_px, base}, fill);
      }
    }
  }

  void draw_bars(const ChartStrip& strip, float y, float tall) {
    ImDrawList* draw = ImGui::GetWindowDrawList();
    ImFont* font = theme().small;
    for (const ChartBar& bar : strip.bars) {
      const ImVec2 from{lanes_from_.x + bar.x_px, y + 1};
      const ImVec2 to{lanes_from_.x + std::max(bar.to_px, bar.x_px + 1), y + tall - 1};
      draw->AddRectFilled(from, {to.x - (to.x - from.x > 4 ? 1.0f : 0.0f), to.y}, bar.fill);
      if (bar.hatched) draw_hatch(draw, from, to, rgb(0x14171c, 150), px(6));
      if (bar.label.empty()) continue;
      const float left = std::max(from.x, lanes_from_.x) + px(5);
      const float room = std::min(to.x, lanes_to_.x) - px(5) - left;
      const float width = text_width(font, bar.label);
      if (room < width) continue;
      const float text_y = y + std::floor((tall - font->FontSize) / 2);
      if (text_y < lanes_from_.y || text_y + font->FontSize > lanes_to_.y) continue;
      if (bar.hatched) {
        draw->AddRectFilled({left - px(3), text_y}, {left + width + px(3), text_y + font->FontSize},
                            rgb(0x14171c, 215), px(3));
      }
      draw_text(draw, font, bar.hatched ? colour::kText : rgb(0x10151a), {left, text_y}, room,
                bar.label);
    }
  }

  void strip_tooltip(const ChartRow& row, const ChartStrip& strip, float x_px) {
    const std::size_t bar = bar_at(strip.bars, x_px), step = step_at(strip.steps, x_px);
    if (bar < strip.bars.size() && strip.bars[bar].task != 0 &&
        ImGui::IsMouseReleased(ImGuiMouseButton_Left) &&
        ImGui::GetIO().MouseDragMaxDistanceSqr[ImGuiMouseButton_Left] < 16) {
      actions_.push_back(action::SelectTask{strip.bars[bar].task});
    }
    if (bar >= strip.bars.size() && step >= strip.steps.size()) return;
    if (!begin_tooltip()) return;
    {
      TextStyle style(theme().strong, colour::kText);
      const std::string title = row.title.empty() ? strip.label : row.title + " · " + strip.label;
      ImGui::TextUnformatted(title.c_str());
    }
    if (bar < strip.bars.size()) {
      const ChartBar& is = strip.bars[bar];
      tooltip_line("", is.label);
      tooltip_line(is.folded > 1 ? "spans" : "for",
                   (is.open_left ? "at least " : "") + duration_text(is.to_ns - is.from_ns));
      tooltip_line("from", axis_text(is.from_ns, 1000));
      if (is.folded > 1) tooltip_line("holds here", count_text(is.folded));
      if (is.task != 0) tooltip_line("", "a click selects the task");
    } else {
      tooltip_line("value", chart_value_text(strip.unit, strip.steps[step].value));
      const auto at = input_.view.time_at(static_cast<double>(x_px), static_cast<double>(width_));
      tooltip_line("at", axis_text(at, std::max<std::int64_t>(input_.view.length() / 1000, 1)));
      tooltip_line("full height", chart_value_text(strip.unit, strip.highest));
      if (strip.sampled) tooltip_line("", "sampled: what was between is not seen");
    }
    end_tooltip();
  }

  void handle_mouse() {
    const ImGuiIO& io = ImGui::GetIO();
    ImGui::SetCursorScreenPos(lanes_from_);
    ImGui::InvisibleButton("##chart lanes", {width_, std::max(lanes_to_.y - lanes_from_.y, 1.0f)});
    if (ImGui::IsItemActive() && ImGui::IsMouseDragging(ImGuiMouseButton_Left, 3) &&
        io.MouseDelta.x != 0) {
      actions_.push_back(action::MoveView{panned(
          input_.view, -static_cast<double>(io.MouseDelta.x) / static_cast<double>(width_))});
    }
    if (!ImGui::IsWindowHovered()) return;
    if (io.MousePos.x >= lanes_from_.x && io.MousePos.x < lanes_to_.x) {
      ImGui::GetWindowDrawList()->AddLine({io.MousePos.x, lanes_from_.y},
                                          {io.MousePos.x, lanes_to_.y}, rgb(0xffffff, 36), 1);
    }
    if (io.MouseWheel == 0) return;
    if (io.KeyCtrl && io.MousePos.x >= lanes_from_.x) {
      const std::int64_t about =
          input_.following ? input_.view.to_ns
                           : input_.view.time_at(static_cast<double>(io.MousePos.x - lanes_from_.x),
                                                 static_cast<double>(width_));
      actions_.push_back(action::MoveView{
          zoomed(input_.view, std::pow(0.8, static_cast<double>(io.MouseWheel)), about),
          input_.following});
    } else if (!io.KeyShift) {
      ImGui::SetScrollY(
          std::clamp(ImGui::GetScrollY() - io.MouseWheel * px(56), 0.0f, ImGui::GetScrollMaxY()));
    }
  }

  const ChartsInput& input_;
  ChartsMemory& memory_;
  Actions& actions_;
  ImVec2 at_{}, room_{}, lanes_from_{}, lanes_to_{};
  float gutter_ = 0, width_ = 0;
  bool hovered_ = false;
};

}  // namespace

void draw_charts(const char* id, const ChartsInput& input, const MakeRows& make, float height,
                 ChartsMemory& memory, Actions& actions) {
  Drawing(input, memory, actions).run(id, make, height);
}

float charts_height(const std::vector<ChartRow>& rows) {
  float height = kAxisPx;
  for (const ChartRow& row : rows) height += row_height(row);
  return height;
}

}  // namespace taskscope::console::panels
