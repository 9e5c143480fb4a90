#include "taskscope/console/panels/inspector_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

void gap(float length) { ImGui::Dummy({0, px(length)}); }

void draw_head(const InspectorView& view, Actions& actions) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x;
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float chip_room = chip_width(view.state);
  draw->AddRectFilled({at.x, at.y + px(5)}, {at.x + px(11), at.y + px(16)}, view.site, px(2));
  ImGui::SetCursorScreenPos({at.x + px(19), at.y + px(2)});
  text_item(theme().strong, colour::kText, view.title, width - px(19) - chip_room - px(10));
  if (!view.state.empty()) {
    ImGui::SetCursorScreenPos({at.x + width - chip_room, at.y});
    chip(view.state, view.state_colour);
  }
  ImGui::SetCursorScreenPos({at.x, at.y + px(27)});
  const bool can_copy = !view.path.empty();
  text_item(theme().small_mono, colour::kDim, view.subtitle, width);
  if (can_copy && ImGui::IsItemHovered()) {
    ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
    tooltip(view.path + "\nClick to copy");
    if (ImGui::IsMouseClicked(ImGuiMouseButton_Left)) {
      actions.push_back(action::CopyText{view.path});
    }
  }
}

/// Why it is not running: the first thing one wants to know, so it stands out.
void draw_why(const InspectorInput& input) {
  if (input.why.empty()) return;
  gap(9);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x;
  const float inner = width - px(26);
  ImFont* font = theme().text;
  const ImVec2 size = font->CalcTextSizeA(font->FontSize, FLT_MAX, inner, input.why.data(),
                                          input.why.data() + input.why.size());
  const float height = size.y + px(18);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const Colour ink = input.view->state_colour;
  draw->AddRectFilled(at, {at.x + width, at.y + height}, with_alpha(ink, 0.13f), px(4));
  draw->AddRectFilled(at, {at.x + px(3), at.y + height}, ink, px(1));
  draw->AddText(font, font->FontSize, {at.x + px(14), at.y + px(9)}, colour::kText,
                input.why.data(), input.why.data() + input.why.size(), inner);
  ImGui::Dummy({width, height});
}

void draw_facts(const InspectorView& view) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x;
  const float column = std::floor(width / 2), line = px(22);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  for (std::size_t i = 0; i < view.facts.size(); ++i) {
    const Fact& fact = view.facts[i];
    const bool second = i % 2 == 1;
    const float x = at.x + (second ? column + px(8) : 0),
                y = at.y + line * static_cast<float>(i / 2);
    const float room = column - px(8);
    draw_text(draw, theme().small, colour::kFaint, {x, y + px(3)}, room * 0.55f, fact.label);
    draw_text(draw, theme().mono, colour::kText, {x, y + px(2)}, room, fact.value, Align::Right);
    if (!fact.note.empty() && ImGui::IsWindowHovered() &&
        ImGui::IsMouseHoveringRect({x, y}, {x + room, y + line})) {
      tooltip(fact.note);
    }
  }
  ImGui::Dummy({width, line * static_cast<float>((view.facts.size() + 1) / 2)});
}

void draw_fields(const InspectorView& view) {
  const float width = ImGui::GetContentRegionAvail().x;
  for (const Fact& field : view.fields) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    draw_text(ImGui::GetWindowDrawList(), theme().small, colour::kFaint, at, width * 0.35f,
              field.label);
    ImGui::SetCursorScreenPos({at.x + width * 0.38f, at.y + px(1)});
    text_item(theme().small_mono, colour::kText, field.value, width * 0.62f);
    ImGui::SetCursorScreenPos({at.x, at.y + px(20)});
  }
}

void draw_stack(const InspectorView& view, Actions& actions) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float width = ImGui::GetContentRegionAvail().x, line = px(21);
  for (std::size_t i = 0; i < view.stack.size(); ++i) {
    const StackLine& is = view.stack[i];
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float indent = px(4) + static_cast<float>(is.depth) * px(14);
    const float place_width =
        std::min(std::ceil(text_width(theme().small_mono, is.place)), (width - indent) * 0.5f);
    const float y = at.y + std::floor((line - theme().small->FontSize) / 2);
    const Icon icon = is.kind == StackLineKind::Frame  ? Icon::Dot
                      : is.kind == StackLineKind::Wait ? Icon::Pause
                                                       : Icon::TriangleDown;
    const Colour ink = is.kind == StackLineKind::Frame  ? colour::kStrongLine
                       : is.kind == StackLineKind::Wait ? view.state_colour
                                                        : colour::kAccent;
    // The line that ties a frame to the next one.
    if (i + 1 < view.stack.size() && is.kind == StackLineKind::Frame) {
      draw->AddLine({at.x + indent + px(4), at.y + line * 0.5f},
                    {at.x + indent + px(4), at.y + line * 1.5f}, colour::kLine, 1);
    }
    draw_icon(draw, icon, {at.x + indent + px(4), at.y + line / 2}, px(9), ink);
    const bool leads = is.task != 0 || is.resource != 0;
    draw_text(draw, is.kind == StackLineKind::Frame ? theme().small_mono : theme().small,
              leads ? colour::kAccent : colour::kText, {at.x + indent + px(15), y},
              width - indent - px(15) - place_width - px(10), is.text);
    if (!is.place.empty()) {
      draw_text(draw, theme().small_mono, colour::kDim,
                {at.x + width - place_width,
                 at.y + std::floor((line - theme().small_mono->FontSize) / 2)},
                place_width + 1, is.place, Align::Right);
    }
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::InvisibleButton("##line", {width, line})) {
      if (is.task != 0) {
        actions.push_back(action::SelectTask{is.task});
      } else if (is.resource != 0) {
        actions.push_back(action::SelectResource{is.resource});
      } else if (!is.path.empty()) {
        actions.push_back(action::CopyText{is.path});
      }
    }
    if (!leads) place_menu(is.path, actions);
    if (ImGui::IsItemHovered()) {
      draw->AddRectFilled(at, {at.x + width, at.y + line}, rgb(0xffffff, 8), px(3));
      if (leads) {
        tooltip(is.text + (is.path.empty() ? "" : "\n" + is.path) +
                (is.task != 0 ? "\nClick to go to the task" : "\nClick to go to the resource"));
      }
    }
    ImGui::PopID();
  }
}

/// What it waits for, with who could end that: each leads on.
void draw_waits(const InspectorView& view, Actions& actions) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float width = ImGui::GetContentRegionAvail().x, line = px(21);
  const auto row = [&](float indent, std::string_view label, std::string_view text,
                       std::string_view detail, Colour ink, bool leads) {
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float y = at.y + std::floor((line - theme().small->FontSize) / 2);
    const bool clicked = ImGui::InvisibleButton("##wait", {width, line});
    if (leads && ImGui::IsItemHovered()) {
      ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
      draw->AddRectFilled(at, {at.x + width, at.y + line}, rgb(0xffffff, 8), px(3));
    }
    float x = at.x + indent;
    const float right = at.x + width;
    const float detail_width = std::min(std::ceil(text_width(theme().small, detail)), width * 0.4f);
    const float label_width =
        std::min(std::ceil(text_width(theme().small, label)), right - x - detail_width - px(8));
    draw_text(draw, theme().small, colour::kDim, {x, y}, label_width + 1, label);
    x += label_width + (label.empty() ? 0 : px(6));
    draw_text(draw, theme().small, ink, {x, y}, right - x - detail_width - px(8), text);
    draw_text(draw, theme().small, colour::kFaint, {right - detail_width, y}, detail_width + 1,
              detail, Align::Right);
    return clicked && leads;
  };
  for (std::size_t i = 0; i < view.waits.size(); ++i) {
    const WaitLine& wait = view.waits[i];
    ImGui::PushID(static_cast<int>(i));
    const bool has_resource = wait.resource.resource != 0;
    if (row(0, "", wait.text, has_resource ? wait.resource.detail : std::string(),
            has_resource ? colour::kAccent : colour::kText, has_resource)) {
      actions.push_back(action::SelectResource{wait.resource.resource});
    }
    if (wait.holders.empty() && !wait.holders_label.empty()) {
      row(px(14), wait.holders_label, "", "", colour::kText, false);
    }
    for (std::size_t k = 0; k < wait.holders.size(); ++k) {
      const TaskLink& holder = wait.holders[k];
      ImGui::PushID(static_cast<int>(k));
      if (row(px(14), wait.holders_label, holder.label, holder.detail,
              holder.task != 0 ? colour::kAccent : colour::kDim, holder.task != 0)) {
        actions.push_back(action::SelectTask{holder.task});
      }
      ImGui::PopID();
    }
    ImGui::PopID();
  }
}

/// A bar of what the task did, under it what that came down to, and the sums.
void draw_path(const InspectorView& view, Actions& actions) {
  const PathView& path = view.critical;
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x;
  const float tall = px(13), low = px(9);
  const auto bar = [&](const std::vector<PathPiece>& pieces, float y, float height) {
    draw->AddRectFilled({at.x, y}, {at.x + width, y + height}, colour::kLane, px(2));
    // Each column of pixels has the colour of what took most of it.
    const auto columns = static_cast<std::size_t>(std::max(width, 1.0f));
    std::vector<float> cover(columns * path.sums.size(), 0.0f);
    std::vector<Colour> colours(path.sums.size(), 0);
    for (const PathPiece& piece : pieces) {
      colours[piece.sum] = piece.colour;
      const float from = std::clamp(piece.from, 0.0f, 1.0f) * static_cast<float>(columns);
      const float to = std::clamp(piece.to, 0.0f, 1.0f) * static_cast<float>(columns);
      for (auto c = static_cast<std::size_t>(from); c < columns && static_cast<float>(c) < to;
           ++c) {
        const auto left = static_cast<float>(c);
        cover[c * path.sums.size() + piece.sum] += std::min(to, left + 1) - std::max(from, left);
      }
    }
    std::size_t run = 0, of = SIZE_MAX;
    for (std::size_t c = 0; c <= columns; ++c) {
      std::size_t most = SIZE_MAX;
      if (c < columns) {
        const auto first = cover.begin() + static_cast<std::ptrdiff_t>(c * path.sums.size());
        const auto found =
            std::max_element(first, first + static_cast<std::ptrdiff_t>(path.sums.size()));
        most = static_cast<std::size_t>(found - first);
      }
      if (most == of) continue;
      const float from = at.x + static_cast<float>(run), to = at.x + static_cast<float>(c);
      if (of != SIZE_MAX) draw->AddRectFilled({from, y}, {to, y + height}, colours[of]);
      run = c;
      of = most;
    }
    if (!ImGui::IsWindowHovered() ||
        !ImGui::IsMouseHoveringRect({at.x, y}, {at.x + width, y + height})) {
      return;
    }
    const float share = (ImGui::GetIO().MousePos.x - at.x) / width;
    for (const PathPiece& piece : pieces) {
      if (share < piece.from || share >= piece.to) continue;
      const auto span = static_cast<double>(path.to_ns - path.from_ns);
      tooltip(path.sums[piece.sum].text + " for " +
              duration_text(
                  static_cast<std::int64_t>(static_cast<double>(piece.to - piece.from) * span)));
      break;
    }
  };
  bar(path.own, at.y, tall);
  bar(path.pieces, at.y + tall + px(2), low);
  ImGui::Dummy({width, tall + low + px(8)});
  const float line = px(20);
  for (std::size_t i = 0; i < path.sums.size(); ++i) {
    const PathSum& sum = path.sums[i];
    const ImVec2 from = ImGui::GetCursorScreenPos();
    ImGui::PushID(static_cast<int>(i));
    const bool clicked = ImGui::InvisibleButton("##sum", {width, line});
    ImGui::PopID();
    if (sum.link.task != 0 && ImGui::IsItemHovered()) {
      ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
      draw->AddRectFilled(from, {from.x + width, from.y + line}, rgb(0xffffff, 8), px(3));
    }
    if (clicked && sum.link.task != 0) actions.push_back(action::SelectTask{sum.link.task});
    const float y = from.y + std::floor((line - theme().small->FontSize) / 2);
    draw->AddRectFilled({from.x, from.y + px(5)}, {from.x + px(10), from.y + px(15)}, sum.colour,
                        px(2));
    const std::string numbers = duration_text(sum.ns) + "  " + percent_text(sum.share);
    const float numbers_width = std::ceil(text_width(theme().small_mono, numbers));
    draw_text(draw, theme().small_mono, colour::kText,
              {from.x + width - numbers_width,
               from.y + std::floor((line - theme().small_mono->FontSize) / 2)},
              numbers_width + 1, numbers);
    const float room = width - numbers_width - px(28);
    draw_text(draw, theme().small, colour::kText, {from.x + px(17), y}, room, sum.text);
    const float used = std::ceil(text_width(theme().small, sum.text)) + px(8);
    if (!sum.link.label.empty() && used + px(30) < room) {
      draw_text(draw, theme().small, sum.link.task != 0 ? colour::kAccent : colour::kDim,
                {from.x + px(17) + used, y}, room - used, sum.link.label);
    }
  }
}

void draw_wakes(const char* title, const std::vector<WakeLine>& wakes, Actions& actions) {
  if (wakes.empty()) return;
  gap(12);
  heading(title, "in the last events");
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float width = ImGui::GetContentRegionAvail().x, line = px(21);
  ImGui::PushID(title);
  for (std::size_t i = 0; i < wakes.size(); ++i) {
    const WakeLine& wake = wakes[i];
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::InvisibleButton("##wake", {width, line}) && wake.link.task != 0) {
      actions.push_back(action::SelectTask{wake.link.task});
    }
    ImGui::PopID();
    if (wake.link.task != 0 && ImGui::IsItemHovered()) {
      ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
      draw->AddRectFilled(at, {at.x + width, at.y + line}, rgb(0xffffff, 8), px(3));
    }
    const std::string count = count_text(wake.count) + " ×";
    const float y = at.y + std::floor((line - theme().small->FontSize) / 2);
    const bool by_task = wake.link.task != 0;
    draw_text(draw, theme().small, by_task ? colour::kAccent : colour::kDim, {at.x, y},
              width - px(60), by_task ? wake.link.label + "  " + wake.link.detail : wake.text);
    draw_text(draw, theme().small, colour::kDim, {at.x + width - px(52), y}, px(52), count,
              Align::Right);
  }
  ImGui::PopID();
}

void draw_histogram(const char* title, const HistogramView& histogram, Colour ink) {
  const std::string right = histogram.total == 0 ? std::string()
                                                 : "p50 " + duration_text(histogram.p50_ns) +
                                                       "   p99 " + duration_text(histogram.p99_ns);
  heading(title, right);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x, height = px(52);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (histogram.total == 0) {
    draw_text(draw, theme().small, colour::kFaint, at, width, "fewer than two polls were seen");
    ImGui::Dummy({width, px(20)});
    return;
  }
  const float step = width / static_cast<float>(histogram.bars.size());
  const float bar = std::max(std::min(step - 1, px(20)), 1.0f);
  draw->AddLine({at.x, at.y + height}, {at.x + width, at.y + height}, colour::kLine, 1);
  for (std::size_t i = 0; i < histogram.bars.size(); ++i) {
    const HistogramBar& is = histogram.bars[i];
    const float x = at.x + step * static_cast<float>(i) + (step - bar) / 2;
    const ImVec2 from{at.x + step * static_cast<float>(i), at.y};
    if (is.count > 0) {
      const float tall =
          std::max(height * static_cast<float>(static_cast<double>(is.count) /
                                               static_cast<double>(histogram.highest)),
                   px(2));
      draw->AddRectFilled({std::round(x), std::round(at.y + height - tall)},
                          {std::round(x + bar), at.y + height}, ink, px(1));
    }
    if (ImGui::IsWindowHovered() &&
        ImGui::IsMouseHoveringRect(from, {from.x + step, at.y + height + px(16)})) {
      tooltip(duration_text(is.from_ns) + " to " + duration_text(is.to_ns) + ": " +
              count_text(is.count));
    }
  }
  ImFont* font = theme().small_mono;
  const float y = at.y + height + px(3);
  draw_text(draw, font, colour::kFaint, {at.x, y}, width / 2,
            duration_text(histogram.bars.front().from_ns));
  draw_text(draw, font, colour::kFaint, {at.x + width / 2, y}, width / 2,
            duration_text(histogram.bars.back().to_ns), Align::Right);
  ImGui::Dummy({width, height + font->FontSize + px(6)});
}

void draw_links(const std::vector<TaskLink>& links, Actions& actions) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float width = ImGui::GetContentRegionAvail().x, line = px(21);
  for (std::size_t i = 0; i < links.size(); ++i) {
    const TaskLink& link = links[i];
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float detail = std::min(std::ceil(text_width(theme().small, link.detail)), width * 0.5f);
    draw_icon(draw, Icon::Dot, {at.x + px(6), at.y + line / 2}, px(9), link.colour);
    const float y = at.y + std::floor((line - theme().small->FontSize) / 2);
    draw_text(draw, theme().small, link.task != 0 ? colour::kAccent : colour::kDim,
              {at.x + px(17), y}, width - px(27) - detail, link.label);
    draw_text(draw, theme().small, colour::kFaint, {at.x + width - detail, y}, detail + 1,
              link.detail, Align::Right);
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::InvisibleButton("##link", {width, line}) && link.task != 0) {
      actions.push_back(action::SelectTask{link.task});
    }
    if (ImGui::IsItemHovered()) {
      draw->AddRectFilled(at, {at.x + width, at.y + line}, rgb(0xffffff, 8), px(3));
    }
    ImGui::PopID();
  }
}

void draw_events(const InspectorView& view, Actions& actions) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float width = ImGui::GetContentRegionAvail().x, line = px(20);
  ImGuiListClipper clipper;
  clipper.Begin(static_cast<int>(view.events.size()), line);
  while (clipper.Step()) {
    for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
      const EventLine& event = view.events[static_cast<std::size_t>(i)];
      const ImVec2 at = ImGui::GetCursorScreenPos();
      const std::string when = axis_text(event.at_ns, 1'000);
      const float when_width = px(94), word = px(76);
      const float y = at.y + std::floor((line - theme().small->FontSize) / 2);
      draw_text(draw, theme().small_mono, colour::kFaint,
                {at.x, at.y + std::floor((line - theme().small_mono->FontSize) / 2)}, when_width,
                when, Align::Right);
      draw_icon(draw, Icon::Dot, {at.x + when_width + px(12), at.y + line / 2}, px(8),
                event.colour);
      draw_text(draw, theme().small, colour::kText, {at.x + when_width + px(22), y}, word,
                event.text);
      draw_text(draw, theme().small, event.task != 0 ? colour::kAccent : colour::kDim,
                {at.x + when_width + px(24) + word, y}, width - when_width - px(24) - word,
                event.detail);
      ImGui::PushID(i);
      if (ImGui::InvisibleButton("##event", {width, line})) {
        if (event.task != 0) {
          actions.push_back(action::SelectTask{event.task});
        } else {
          actions.push_back(action::Frame{event.at_ns - 50'000, event.at_ns + 50'000});
        }
      }
      if (ImGui::IsItemHovered()) {
        draw->AddRectFilled(at, {at.x + width, at.y + line}, rgb(0xffffff, 8), px(3));
      }
      ImGui::PopID();
    }
  }
  clipper.End();
}

}  // namespace

void place_menu(const std::string& path, Actions& actions) {
  if (path.empty()) return;
  if (ImGui::IsItemHovered()) {
    ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
    tooltip(path + "\nClick to copy, right click to open");
  }
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(px(8), px(8)));
  if (ImGui::BeginPopupContextItem("##place menu")) {
    if (ImGui::Selectable("Open in the editor")) actions.push_back(action::OpenPlace{path});
    if (ImGui::Selectable("Copy the place")) actions.push_back(action::CopyText{path});
    ImGui::EndPopup();
  }
  ImGui::PopStyleVar();
}

void draw_native(const InspectorView& view, Actions& actions) {
  heading("Native stack", view.native_note);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float width = ImGui::GetContentRegionAvail().x, line = px(20);
  if (!view.native_problem.empty()) {
    TextStyle style(theme().small, colour::kFaint);
    ImGui::TextWrapped("%s", view.native_problem.c_str());
  }
  ImGui::PushID("native");
  for (std::size_t i = 0; i < view.native.size(); ++i) {
    const NativeLine& is = view.native[i];
    const ImVec2 at = ImGui::GetCursorScreenPos();
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::InvisibleButton("##frame", {width, line}) && !is.path.empty()) {
      actions.push_back(action::CopyText{is.path});
    }
    if (ImGui::IsItemHovered()) {
      draw->AddRectFilled(at, {at.x + width, at.y + line}, rgb(0xffffff, 8), px(3));
    }
    place_menu(is.path, actions);
    ImGui::PopID();
    const float place = std::min(std::ceil(text_width(theme().small_mono, is.place)), width * 0.5f);
    const float y = at.y + std::floor((line - theme().small_mono->FontSize) / 2);
    // The leaf is where it stands: it is told apart by a mark, too.
    draw_icon(draw, i == 0 ? Icon::Forward : Icon::Dot, {at.x + px(6), at.y + line / 2},
              px(i == 0 ? 10.0f : 7.0f), i == 0 ? colour::kTrouble : colour::kStrongLine);
    draw_text(draw, theme().small_mono,
              is.dim   ? colour::kFaint
              : i == 0 ? colour::kText
                       : colour::kDim,
              {at.x + px(17), y}, width - px(27) - place, is.function);
    draw_text(draw, theme().small_mono, colour::kFaint, {at.x + width - place, y}, place + 1,
              is.place, Align::Right);
  }
  ImGui::PopID();
}

void draw_inspector(const InspectorInput& input, Actions& actions) {
  if (input.view == nullptr) {
    empty_note("No task selected", "Click a task on the timeline or in the table.");
    return;
  }
  const InspectorView& view = *input.view;
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(px(14), px(12)));
  ImGui::BeginChild("##inspector scroll", {0, 0}, false, ImGuiWindowFlags_AlwaysUseWindowPadding);
  ImGui::PopStyleVar();
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(px(8), 0));
  draw_head(view, actions);
  draw_why(input);
  const auto sentences = [](const std::vector<std::string>& texts, Colour ink) {
    for (const std::string& text : texts) {
      gap(6);
      TextStyle style(theme().small, ink);
      ImGui::TextWrapped("%s", text.c_str());
    }
  };
  sentences(view.warnings, colour::kScheduled);
  sentences(view.notes, colour::kFaint);
  if (view.known) {
    gap(10);
    draw_facts(view);
    if (!view.fields.empty()) {
      gap(10);
      heading("Fields");
      draw_fields(view);
    }
    gap(12);
    heading("Await stack", view.stack_note);
    draw_stack(view, actions);
    if (view.can_take_stack) {
      gap(4);
      if (button("##take stack", Icon::Stack, "Read the stack now", ButtonLook::Plain, false,
                 "Asks the target for this task's await stack. Nothing stops for it.")) {
        actions.push_back(action::TakeStacks{view.task});
      }
    }
    if (!view.native.empty() || !view.native_problem.empty()) {
      gap(12);
      draw_native(view, actions);
    }
    if (!view.waits.empty()) {
      gap(12);
      heading("Waits");
      draw_waits(view, actions);
      gap(4);
      if (button("##graph of it", Icon::Branch, "Who waits for whom", ButtonLook::Plain, false,
                 "The graph of waits around this task (G)")) {
        actions.push_back(action::ShowGraph{view.task, 0});
      }
    }
    if (!view.critical.sums.empty()) {
      gap(12);
      heading("Critical path", "of " + duration_text(view.critical.to_ns - view.critical.from_ns) +
                                   (view.critical.cut ? ", not followed to its end" : " in view"));
      draw_path(view, actions);
    }
    gap(14);
    draw_histogram("Poll times", view.polls, colour::kPolling);
    gap(12);
    draw_histogram("Queue times", view.scheduled, colour::kScheduled);
    draw_wakes("Woken by", view.woken_by, actions);
    draw_wakes("Wakes", view.wakes, actions);
    if (!view.parents.empty()) {
      gap(12);
      heading("Parent");
      draw_links(view.parents, actions);
    }
    if (!view.children.empty()) {
      gap(12);
      heading("Children", view.more_children > 0 ? "and " + count_text(view.more_children) + " more"
                                                 : std::string());
      ImGui::PushID("children");
      draw_links(view.children, actions);
      ImGui::PopID();
    }
    gap(12);
    heading("Last events", "newest first");
    if (view.events.empty()) {
      text_item(theme().small, colour::kFaint, "none in the part of the session that is kept");
    }
    draw_events(view, actions);
  }
  ImGui::PopStyleVar();
  ImGui::EndChild();
}

}  // namespace taskscope::console::panels
