#include "taskscope/console/panels/start_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

constexpr float kRowPx = 52;

/// A card with a title, rows that can be clicked, and a sentence where there are none.
void draw_list(const char* id, std::string_view title, std::string_view right,
               const std::vector<StartEntry>& entries, std::string_view empty_title,
               std::string_view empty, ImVec2 at, ImVec2 size, Actions& actions) {
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRectFilled(at, {at.x + size.x, at.y + size.y}, colour::kPanel, px(8));
  draw->AddRect(at, {at.x + size.x, at.y + size.y}, colour::kLine, px(8));
  draw_text(draw, theme().strong, colour::kText, {at.x + px(18), at.y + px(14)}, size.x - px(160),
            title);
  draw_text(draw, theme().small, colour::kFaint, {at.x + size.x - px(140), at.y + px(16)}, px(122),
            right, Align::Right);
  const float top = px(44);
  draw->AddLine({at.x, at.y + top}, {at.x + size.x, at.y + top}, colour::kLine, 1);
  // Whole rows only.
  const float rows_height = std::floor((size.y - top - px(8)) / px(kRowPx)) * px(kRowPx);
  ImGui::SetCursorScreenPos({at.x + px(1), at.y + top + px(4)});
  ImGui::BeginChild(id, {size.x - px(2), std::max(rows_height, px(kRowPx))}, false);
  if (entries.empty()) {
    empty_note(empty_title, empty);
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const StartEntry& entry = entries[i];
    const ImVec2 row = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x;
    ImDrawList* inner = ImGui::GetWindowDrawList();
    ImGui::PushID(static_cast<int>(i));
    const bool clicked = ImGui::InvisibleButton("##entry", {width, px(kRowPx)});
    const bool works = entry.problem.empty();
    if (ImGui::IsItemHovered() && works) {
      inner->AddRectFilled({row.x + px(6), row.y + px(2)},
                           {row.x + width - px(6), row.y + px(kRowPx - 2)}, colour::kHover, px(5));
      ImGui::SetMouseCursor(ImGuiMouseCursor_Hand);
    }
    if (clicked && works) actions.push_back(action::Open{entry.target, entry.file});
    ImGui::PopID();
    ImGui::SetCursorScreenPos({row.x, row.y + px(kRowPx)});
    const Icon icon = !works ? Icon::Cross : entry.file ? Icon::File : Icon::Dot;
    const Colour ink = !works ? colour::kFaint : entry.file ? colour::kAccent : colour::kGood;
    draw_icon(inner, icon, {row.x + px(26), row.y + px(kRowPx / 2)}, px(13), ink);
    const float number = std::ceil(text_width(theme().mono, entry.number));
    const float x = row.x + px(46), room = width - px(46) - px(20);
    draw_text(inner, theme().text, works ? colour::kText : colour::kDim, {x, row.y + px(8)},
              room - number - px(12), entry.title);
    draw_text(inner, theme().mono, colour::kDim, {x + room - number, row.y + px(9)}, number + 1,
              entry.number);
    draw_text(inner, theme().small_mono, works ? colour::kFaint : colour::kScheduled,
              {x, row.y + px(30)}, room, works ? entry.detail : entry.problem);
  }
  ImGui::EndChild();
}

}  // namespace

void draw_start(const StartInput& input, StartMemory& memory, Actions& actions) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const float width = std::min(room.x - px(80), px(1120));
  const float left = at.x + std::floor((room.x - width) / 2);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  float y = at.y + std::max(px(36), std::floor(room.y * 0.09f));

  // The sign: three lanes.
  const ImVec2 sign{left, y + px(3)};
  draw->AddRectFilled(sign, {sign.x + px(17), sign.y + px(6)}, colour::kPolling, px(2));
  draw->AddRectFilled({sign.x + px(20), sign.y}, {sign.x + px(30), sign.y + px(6)},
                      colour::kScheduled, px(2));
  draw->AddRectFilled({sign.x, sign.y + px(10)}, {sign.x + px(9), sign.y + px(16)},
                      colour::kWaitChannel, px(2));
  draw->AddRectFilled({sign.x + px(12), sign.y + px(10)}, {sign.x + px(30), sign.y + px(16)},
                      colour::kPolling, px(2));
  draw->AddRectFilled({sign.x, sign.y + px(20)}, {sign.x + px(23), sign.y + px(26)},
                      colour::kWaitTimer, px(2));
  draw->AddRectFilled({sign.x + px(26), sign.y + px(20)}, {sign.x + px(30), sign.y + px(26)},
                      colour::kPolling, px(2));
  draw_text(draw, theme().title, colour::kText, {left + px(44), y}, width - px(44), "taskscope");
  y += px(38);
  draw_text(draw, theme().text, colour::kDim, {left, y + px(6)}, width,
            "Attach to a running program, or open a recorded session.");
  y += px(46);

  // The field for anything else.
  const std::string_view open = input.opening ? "Opening …" : "Open";
  const float open_width = button_width(false, open);
  ImGui::SetCursorScreenPos({left, y});
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding,
                      ImVec2(px(12), std::floor((px(34) - theme().text->FontSize) / 2)));
  ImGui::SetNextItemWidth(width - open_width - px(10));
  const bool entered = ImGui::InputTextWithHint(
      "##target", "A pid, a process name, a socket, host:port, or a file", memory.target,
      sizeof memory.target, ImGuiInputTextFlags_EnterReturnsTrue);
  ImGui::PopStyleVar();
  ImGui::SetCursorScreenPos({left + width - open_width, y + px(3)});
  const bool pressed = text_button("##open", open, ButtonLook::Strong);
  if ((entered || pressed) && memory.target[0] != '\0') {
    actions.push_back(action::Open{memory.target, false});
  }
  y += px(34);
  if (!input.problem.empty()) {
    draw_icon(draw, Icon::Cross, {left + px(8), y + px(18)}, px(11), colour::kTrouble);
    ImFont* font = theme().text;
    const float wrap = width - px(24);
    draw->AddText(font, font->FontSize, {left + px(22), y + px(9)},
                  mixed(colour::kTrouble, colour::kText, 0.5f), input.problem.data(),
                  input.problem.data() + input.problem.size(), wrap);
    y += font->CalcTextSizeA(font->FontSize, FLT_MAX, wrap, input.problem.c_str()).y + px(12);
  }
  y += px(18);

  const float gap = px(20), height = std::max(at.y + room.y - y - px(56), px(180));
  const float column = std::floor((width - gap) / 2);
  draw_list("##processes scroll", "Running programs", "refreshes by itself", *input.processes,
            input.searching ? "Looking …" : "No program to attach to",
            input.searching ? "" : "Start one that calls taskscope::instrumentation::init().",
            {left, y}, {column, height}, actions);
  draw_list("##files scroll", "Recent recordings", "", *input.files, "No recordings yet",
            "Recordings that you make or open are listed here.", {left + column + gap, y},
            {column, height}, actions);
  draw_text(draw, theme().small, colour::kFaint, {left, at.y + room.y - px(36)}, width,
            "Only programs of your own user are listed. Remote ones: ssh -L of their socket.");
}

}  // namespace taskscope::console::panels
