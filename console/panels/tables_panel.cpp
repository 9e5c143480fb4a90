#include "taskscope/console/panels/tables_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {

void draw_table(const char* id, TableView& table, TableMemory& memory, Actions& actions) {
  if (table.rows.empty()) {
    empty_note("Nothing here", table.empty);
    return;
  }
  if (memory.column < table.columns.size()) sort_rows(table, memory.column, memory.descending);
  const ImVec2 room = ImGui::GetContentRegionAvail();
  if (room.y < px(60)) return;
  ImGui::PushStyleVar(ImGuiStyleVar_CellPadding, ImVec2(px(8), px(3.5f)));
  const float row_height = px(17) + 2 * px(3.5f), title_height = px(26);
  const float whole = title_height + std::floor((room.y - title_height) / row_height) * row_height;
  const int columns = static_cast<int>(table.columns.size());
  if (ImGui::BeginTable(id, columns,
                        ImGuiTableFlags_ScrollY | ImGuiTableFlags_Resizable |
                            ImGuiTableFlags_RowBg | ImGuiTableFlags_BordersInnerV |
                            ImGuiTableFlags_NoBordersInBodyUntilResize | ImGuiTableFlags_PadOuterX |
                            ImGuiTableFlags_SizingStretchProp,
                        {room.x, whole})) {
    for (const TableColumn& column : table.columns) {
      ImGui::TableSetupColumn(column.title.c_str(), ImGuiTableColumnFlags_WidthStretch,
                              column.weight);
    }
    ImGui::TableSetupScrollFreeze(0, 1);
    ImGui::TableNextRow(ImGuiTableRowFlags_Headers, title_height);
    ImDrawList* draw = ImGui::GetWindowDrawList();
    for (int i = 0; i < columns; ++i) {
      const auto number = static_cast<std::size_t>(i);
      const TableColumn& column = table.columns[number];
      ImGui::TableSetColumnIndex(i);
      const ImVec2 at = ImGui::GetCursorScreenPos();
      const float width = ImGui::GetContentRegionAvail().x;
      ImGui::PushID(i);
      if (ImGui::InvisibleButton("##title", {std::max(width, 1.0f), px(18)})) {
        memory.descending = memory.column == number ? !memory.descending : column.number;
        memory.column = number;
      }
      const bool sorted = memory.column == number;
      draw_text(
          draw, theme().small, sorted || ImGui::IsItemHovered() ? colour::kText : colour::kDim,
          {at.x, at.y + px(1)}, width, column.title, column.number ? Align::Right : Align::Left);
      ImGui::PopID();
    }
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(table.rows.size()), row_height);
    while (clipper.Step()) {
      for (int r = clipper.DisplayStart; r < clipper.DisplayEnd; ++r) {
        const TableRow& row = table.rows[static_cast<std::size_t>(r)];
        ImGui::TableNextRow(ImGuiTableRowFlags_None, row_height);
        for (int i = 0; i < columns; ++i) {
          ImGui::TableSetColumnIndex(i);
          if (i == 0) {
            const ImVec2 before = ImGui::GetCursorScreenPos();
            ImGui::PushID(r);
            if (ImGui::Selectable("##row", false, ImGuiSelectableFlags_SpanAllColumns,
                                  {0, px(17)}) &&
                row.on_click) {
              actions.push_back(*row.on_click);
            }
            ImGui::PopID();
            ImGui::SetCursorScreenPos(before);
          }
          const TableColumn& column = table.columns[static_cast<std::size_t>(i)];
          const std::string& text = row.cells[static_cast<std::size_t>(i)].text;
          const ImVec2 at = ImGui::GetCursorScreenPos();
          const float width = ImGui::GetContentRegionAvail().x;
          ImFont* font = column.number ? theme().small_mono : theme().small;
          float inset = 0;
          if (i == 0 && row.dot != 0) {
            draw_icon(draw, Icon::Dot, {at.x + px(5), at.y + px(8.5f)}, px(10), row.dot);
            inset = px(15);
          }
          const bool empty = text == "–" || text == "0";
          const bool cut =
              draw_text(draw, font, row.dim || empty ? colour::kFaint : colour::kText,
                        {at.x + inset, at.y + std::floor((px(17) - font->FontSize) / 2)},
                        width - inset, text, column.number ? Align::Right : Align::Left);
          if (cut && ImGui::IsMouseHoveringRect(at, {at.x + width, at.y + px(17)}) &&
              ImGui::IsWindowHovered()) {
            tooltip(text);
          }
        }
      }
    }
    ImGui::EndTable();
  }
  ImGui::PopStyleVar();
}

}  // namespace taskscope::console::panels
