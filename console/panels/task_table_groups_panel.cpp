#include "taskscope/console/panels/task_table_groups_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

constexpr float kLinePx = 17, kPadPx = 3.5f, kTitlePx = 26;

bool is_hidden(const GroupsInput& input, std::size_t column) {
  return (input.hidden >> column & 1) != 0;
}

void draw_titles(const GroupsInput& input, GroupsAsked& asked) {
  ImGui::TableNextRow(ImGuiTableRowFlags_Headers, px(kTitlePx));
  ImDrawList* draw = ImGui::GetWindowDrawList();
  int place = 0;
  for (std::size_t i = 0; i < input.table->columns.size(); ++i) {
    if (is_hidden(input, i)) continue;
    const TableColumn& column = input.table->columns[i];
    ImGui::TableSetColumnIndex(place++);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x;
    ImGui::PushID(static_cast<int>(i));
    if (ImGui::InvisibleButton("##title", {std::max(width, 1.0f), px(18)})) asked.sort_by = i;
    const bool sorted = input.column == i;
    const Colour ink = sorted || ImGui::IsItemHovered() ? colour::kText : colour::kDim;
    const float arrow = sorted ? px(12) : 0;
    draw_text(draw, theme().small, ink, {at.x, at.y + px(1)}, width - arrow, column.title,
              column.number ? Align::Right : Align::Left);
    if (sorted) {
      const float title = std::min(text_width(theme().small, column.title), width - arrow);
      const float x = column.number ? at.x + width - px(5) : at.x + title + px(9);
      const float y = at.y + px(1) + theme().small->FontSize / 2, r = px(3.5f);
      if (input.descending) {
        draw->AddTriangleFilled({x - r, y - r * 0.6f}, {x + r, y - r * 0.6f}, {x, y + r}, ink);
      } else {
        draw->AddTriangleFilled({x - r, y + r * 0.6f}, {x, y - r}, {x + r, y + r * 0.6f}, ink);
      }
    }
    ImGui::PopID();
  }
}

void draw_row(const GroupsInput& input, int number, GroupsAsked& asked, Actions& actions) {
  const GroupRow& row = input.table->rows[static_cast<std::size_t>(number)];
  ImGui::TableNextRow(ImGuiTableRowFlags_None, px(kLinePx) + 2 * px(kPadPx));
  ImDrawList* draw = ImGui::GetWindowDrawList();
  int place = 0;
  for (std::size_t i = 0; i < input.table->columns.size() && i < row.cells.size(); ++i) {
    if (is_hidden(input, i)) continue;
    ImGui::TableSetColumnIndex(place++);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    float inset = 0;
    if (i == 0) {
      ImGui::PushID(number);
      const bool selected = row.key == 0 && row.id != 0 && row.id == input.selected;
      if (ImGui::Selectable("##row", selected, ImGuiSelectableFlags_SpanAllColumns,
                            {0, px(kLinePx)})) {
        if (row.key != 0) asked.toggle = row.key;
        if (row.on_click) actions.push_back(*row.on_click);
      }
      ImGui::PopID();
      ImGui::SetCursorScreenPos(at);
      if (row.key != 0) {
        draw_icon(draw, row.expanded ? Icon::TriangleDown : Icon::Triangle,
                  {at.x + px(4), at.y + px(8.5f)}, px(9), colour::kDim);
        inset = px(14);
      }
      if (row.inside) inset = px(20);
      if (row.dot != 0) {
        draw_icon(draw, Icon::Dot, {at.x + inset + px(5), at.y + px(8.5f)}, px(10), row.dot);
        inset += px(15);
      }
    }
    const TableColumn& column = input.table->columns[i];
    const std::string& text = row.cells[i].text;
    const float width = ImGui::GetContentRegionAvail().x;
    ImFont* font = column.number ? theme().small_mono : theme().small;
    const bool empty = text == "–" || text == "0";
    const Colour ink = row.dim || empty ? colour::kFaint
                       : row.inside     ? colour::kDim
                                        : colour::kText;
    const bool cut = draw_text(
        draw, font, ink, {at.x + inset, at.y + std::floor((px(kLinePx) - font->FontSize) / 2)},
        width - inset, text, column.number ? Align::Right : Align::Left);
    if (cut && ImGui::IsMouseHoveringRect(at, {at.x + width, at.y + px(kLinePx)}) &&
        ImGui::IsWindowHovered()) {
      tooltip(text);
    }
  }
}

}  // namespace

GroupsAsked draw_groups(const char* id, const GroupsInput& input, Actions& actions) {
  GroupsAsked asked;
  if (input.table->rows.empty()) {
    empty_note("Nothing here", input.table->empty);
    return asked;
  }
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const float height = input.height_px > 0 ? std::min(input.height_px, room.y) : room.y;
  if (height < px(60)) return asked;
  ImGui::PushStyleVar(ImGuiStyleVar_CellPadding, ImVec2(px(7), px(kPadPx)));
  const float row_height = px(kLinePx) + 2 * px(kPadPx);
  const float whole = px(kTitlePx) + std::floor((height - px(kTitlePx)) / row_height) * row_height;
  int columns = 0;
  for (std::size_t i = 0; i < input.table->columns.size(); ++i)
    columns += is_hidden(input, i) ? 0 : 1;
  if (ImGui::BeginTable(id, columns,
                        ImGuiTableFlags_ScrollY | ImGuiTableFlags_Resizable |
                            ImGuiTableFlags_RowBg | ImGuiTableFlags_BordersInnerV |
                            ImGuiTableFlags_NoBordersInBodyUntilResize | ImGuiTableFlags_PadOuterX |
                            ImGuiTableFlags_SizingStretchProp,
                        {room.x, whole})) {
    for (std::size_t i = 0; i < input.table->columns.size(); ++i) {
      if (is_hidden(input, i)) continue;
      const TableColumn& column = input.table->columns[i];
      ImGui::TableSetupColumn(column.title.c_str(), ImGuiTableColumnFlags_WidthStretch,
                              column.weight);
    }
    ImGui::TableSetupScrollFreeze(0, 1);
    draw_titles(input, asked);
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(input.table->rows.size()), row_height);
    while (clipper.Step()) {
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        draw_row(input, i, asked, actions);
      }
    }
    ImGui::EndTable();
  }
  ImGui::PopStyleVar();
  return asked;
}

void draw_groups(const char* id, const GroupTable& table, GroupOrder& order, std::uint64_t selected,
                 Actions& actions, std::uint32_t hidden) {
  const GroupsAsked asked = draw_groups(id,
                                        {.table = &table,
                                         .column = order.column,
                                         .descending = order.descending,
                                         .selected = selected,
                                         .hidden = hidden},
                                        actions);
  if (asked.sort_by) {
    order.descending =
        order.column == *asked.sort_by ? !order.descending : table.columns[*asked.sort_by].number;
    order.column = *asked.sort_by;
  }
  if (asked.toggle != 0 && order.expanded.erase(asked.toggle) == 0) {
    order.expanded.insert(asked.toggle);
  }
}

}  // namespace taskscope::console::panels
