#include "taskscope/console/panels/task_table_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"
#include "taskscope/console/panels/task_table_groups_panel.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

struct ColumnLook {
  TaskColumn column;
  float width;  ///< at scale 1; those that stretch share what is left by it
  bool stretches = false, number = false;
};
constexpr std::array kLooks = {
    ColumnLook{TaskColumn::Id, 46, false, true},
    ColumnLook{TaskColumn::Name, 1.4f, true, false},
    ColumnLook{TaskColumn::Kind, 54, false, false},
    ColumnLook{TaskColumn::State, 118, false, false},
    ColumnLook{TaskColumn::Total, 62, false, true},
    ColumnLook{TaskColumn::Busy, 60, false, true},
    ColumnLook{TaskColumn::Scheduled, 60, false, true},
    ColumnLook{TaskColumn::Idle, 60, false, true},
    ColumnLook{TaskColumn::Polls, 68, false, true},
    ColumnLook{TaskColumn::Location, 1.5f, true, false},
    ColumnLook{TaskColumn::Fields, 1.3f, true, false},
};
static_assert(kLooks.size() == kTaskColumns);

void draw_tools(const TaskTableInput& input, TaskTableMemory& memory, Actions& actions) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float height = px(28), width = ImGui::GetContentRegionAvail().x;
  const float field = std::min(px(340), width * 0.4f);
  // The filter, with its icon inside.
  ImGui::SetCursorScreenPos({at.x + px(12), at.y});
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding,
                      ImVec2(px(28), std::floor((height - theme().text->FontSize) / 2)));
  if (std::strncmp(memory.filter, input.order->filter.c_str(), sizeof memory.filter) != 0 &&
      !ImGui::IsAnyItemActive()) {
    std::strncpy(memory.filter, input.order->filter.c_str(), sizeof memory.filter - 1);
    memory.filter[sizeof memory.filter - 1] = '\0';
  }
  if (input.focus_filter) ImGui::SetKeyboardFocusHere();
  ImGui::SetNextItemWidth(field);
  if (ImGui::InputTextWithHint("##filter", "Filter: words, state:waiting, at:file, -not",
                               memory.filter, sizeof memory.filter)) {
    memory.by = Grouping::None;
    actions.push_back(action::FilterTasks{memory.filter});
  }
  ImGui::PopStyleVar();
  draw_icon(ImGui::GetWindowDrawList(), Icon::Search, {at.x + px(26), at.y + height / 2}, px(12),
            colour::kFaint);

  float x = at.x + px(12) + field + px(10);
  const auto choice = [&](const char* id, std::string_view label, bool on) {
    const float wide = button_width(false, label);
    if (x + wide > at.x + width - px(8)) return false;
    ImGui::SetCursorScreenPos({x, at.y});
    const bool clicked = text_button(id, label, ButtonLook::Quiet, on);
    x += wide + px(2);
    return clicked;
  };
  const auto shown = [&](const char* id, std::string_view label, Shown which) {
    if (choice(id, label, memory.by == Grouping::None && input.order->shown == which)) {
      memory.by = Grouping::None;
      actions.push_back(action::ShowTasks{which});
    }
  };
  shown("##all", "All", Shown::All);
  shown("##live", "Live", Shown::Live);
  shown("##done", "Done", Shown::Done);
  x += px(12);
  const auto grouped = [&](const char* id, std::string_view label, Grouping by) {
    if (!choice(id, label, memory.by == by)) return;
    memory.by = by;
    memory.group_order = {};
    memory.groups_at_s = -1;
  };
  grouped("##by call site", "By call site", Grouping::CallSite);
  grouped("##by await site", "By await site", Grouping::AwaitSite);

  const std::size_t listed = input.layout->rows().size(), of = input.layout->considered();
  std::string count = count_text(listed);
  if (listed != of) count += " of " + count_text(of);
  count += of == 1 ? " task" : " tasks";
  if (memory.by != Grouping::None) {
    count = count_text(memory.groups.things) +
            (memory.by == Grouping::AwaitSite ? " wait at " : " live, of ") +
            count_text(memory.groups.groups) + (memory.groups.groups == 1 ? " place" : " places");
  }
  const float room = at.x + width - px(14) - x - px(8);
  draw_text(ImGui::GetWindowDrawList(), theme().small, colour::kDim,
            {x + px(8), at.y + std::floor((height - theme().small->FontSize) / 2)}, room, count,
            Align::Right);
  ImGui::SetCursorScreenPos({at.x, at.y + height + px(8)});
}

/// Our own titles: ImGui's neither align numbers to the right nor keep a fixed place for the arrow.
void draw_titles(const TaskTableInput& input, Actions& actions) {
  ImGui::TableNextRow(ImGuiTableRowFlags_Headers, px(26));
  for (int i = 0; i < kTaskColumns; ++i) {
    const ColumnLook& look = kLooks[static_cast<std::size_t>(i)];
    ImGui::TableSetColumnIndex(i);
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x;
    ImGui::PushID(i);
    if (ImGui::InvisibleButton("##title", {std::max(width, 1.0f), px(18)})) {
      const bool again = input.order->column == look.column;
      actions.push_back(action::SortTasks{
          look.column, again ? !input.order->descending : descends_first(look.column)});
    }
    const bool sorted = input.order->column == look.column;
    const Colour ink = sorted || ImGui::IsItemHovered() ? colour::kText : colour::kDim;
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const float arrow = sorted ? px(12) : 0;
    const std::string_view title = title_of(look.column);
    draw_text(draw, theme().small, ink, {at.x, at.y + px(1)}, width - arrow, title,
              look.number ? Align::Right : Align::Left);
    if (sorted) {
      const float x =
          look.number ? at.x + width - px(5) : at.x + text_width(theme().small, title) + px(9);
      const float y = at.y + px(1) + theme().small->FontSize / 2, r = px(3.5f);
      if (input.order->descending) {
        draw->AddTriangleFilled({x - r, y - r * 0.6f}, {x + r, y - r * 0.6f}, {x, y + r}, ink);
      } else {
        draw->AddTriangleFilled({x - r, y + r * 0.6f}, {x, y - r}, {x + r, y + r * 0.6f}, ink);
      }
    }
    ImGui::PopID();
  }
}

void draw_row(const session::Model& model, const session::Task& task, const TaskTableInput& input,
              TaskTableMemory& memory, Actions& actions) {
  TaskCells fresh;
  if (!input.frozen) fresh = task_cells(model, task);
  const TaskCells& cells =
      input.frozen ? memory.cells.try_emplace(task.id, task_cells(model, task)).first->second
                   : fresh;
  const bool selected = task.id == input.selected;
  ImGui::TableNextRow(ImGuiTableRowFlags_None, px(24));
  for (int i = 0; i < kTaskColumns; ++i) {
    const ColumnLook& look = kLooks[static_cast<std::size_t>(i)];
    ImGui::TableSetColumnIndex(i);
    if (i == 0) {
      ImGui::PushID(reinterpret_cast<const void*>(static_cast<std::uintptr_t>(task.id)));
      const ImVec2 before = ImGui::GetCursorScreenPos();
      if (ImGui::Selectable(
              "##row", selected,
              ImGuiSelectableFlags_SpanAllColumns | ImGuiSelectableFlags_AllowDoubleClick,
              {0, px(17)})) {
        actions.push_back(
            action::SelectTask{task.id, ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)});
      }
      if (ImGui::BeginPopupContextItem("##menu")) {
        if (ImGui::MenuItem("Copy row")) {
          std::string row;
          for (const std::string& text : cells.text) row += (row.empty() ? "" : "\t") + text;
          actions.push_back(action::CopyText{row});
        }
        if (const protocol::Site* site = model.site(task.site)) {
          if (ImGui::MenuItem("Copy file:line")) {
            actions.push_back(action::CopyText{site->file + ":" + std::to_string(site->line)});
          }
          if (ImGui::MenuItem("Only tasks from here")) {
            actions.push_back(action::FilterTasks{"at:" + site_place(model, task.site)});
          }
        }
        ImGui::EndPopup();
      }
      ImGui::SetCursorScreenPos(before);
      ImGui::PopID();
    }
    const std::string& text = cells.text[static_cast<std::size_t>(i)];
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const float width = ImGui::GetContentRegionAvail().x;
    ImDrawList* draw = ImGui::GetWindowDrawList();
    const bool mono =
        look.number || look.column == TaskColumn::Location || look.column == TaskColumn::Fields;
    ImFont* font = mono ? theme().small_mono : theme().small;
    const Colour ink = cells.dim                         ? colour::kFaint
                       : look.column == TaskColumn::Name ? colour::kText
                       : look.number && text == "–"      ? colour::kFaint
                       : look.column == TaskColumn::Kind || look.column == TaskColumn::Location
                           ? colour::kDim
                           : colour::kText;
    const float y = at.y + std::floor((px(17) - font->FontSize) / 2);
    float inset = 0;
    if (look.column == TaskColumn::Name) {
      draw->AddRectFilled({at.x, at.y + px(4)}, {at.x + px(9), at.y + px(13)},
                          cells.dim ? with_alpha(cells.site, 0.45f) : cells.site, px(2));
      inset = px(16);
    }
    if (look.column == TaskColumn::State) {
      draw_icon(draw, task.alive() ? Icon::Dot : Icon::Ring, {at.x + px(5), at.y + px(8.5f)},
                px(10), cells.state_colour);
      inset = px(15);
    }
    const bool cut = draw_text(draw, font, ink, {at.x + inset, y}, width - inset, text,
                               look.number ? Align::Right : Align::Left);
    if (cut && ImGui::IsMouseHoveringRect(at, {at.x + width, at.y + px(17)}) &&
        ImGui::IsWindowHovered()) {
      tooltip(text);
    }
  }
}

}  // namespace

void draw_task_table(const session::Model& model, const TaskTableInput& input,
                     TaskTableMemory& memory, Actions& actions) {
  if (!input.frozen) memory.cells.clear();
  // A filter is for the flat list.
  if (input.focus_filter) memory.by = Grouping::None;
  if (memory.by != Grouping::None) {
    const double now_s = ImGui::GetTime();
    const bool asked =
        memory.groups_by != memory.by || !(memory.groups_order == memory.group_order);
    if (memory.groups_at_s < 0 || asked || (!input.frozen && now_s - memory.groups_at_s >= 0.5)) {
      memory.groups = grouped_tasks(model, memory.by, memory.group_order);
      memory.groups_by = memory.by;
      memory.groups_order = memory.group_order;
      memory.groups_at_s = now_s;
    }
  }
  draw_tools(input, memory, actions);
  if (memory.by != Grouping::None) {
    memory.rows_in_sight = 0;
    draw_groups("##task groups scroll", memory.groups, memory.group_order, input.selected, actions);
    return;
  }
  const ImVec2 room = ImGui::GetContentRegionAvail();
  if (room.y < px(60)) return;
  ImGui::PushStyleVar(ImGuiStyleVar_CellPadding, ImVec2(px(7), px(3.5f)));
  // Whole rows only: none is cut by the lower edge.
  const float row_height = px(17) + 2 * px(3.5f);
  const float title_height = px(26);
  const float whole = title_height + std::floor((room.y - title_height) / row_height) * row_height;
  if (ImGui::BeginTable("##tasks scroll", kTaskColumns,
                        ImGuiTableFlags_ScrollY | ImGuiTableFlags_Resizable |
                            ImGuiTableFlags_RowBg | ImGuiTableFlags_BordersInnerV |
                            ImGuiTableFlags_NoBordersInBodyUntilResize | ImGuiTableFlags_PadOuterX,
                        {room.x, whole})) {
    for (const ColumnLook& look : kLooks) {
      ImGui::TableSetupColumn(
          title_of(look.column).data(),
          look.stretches ? ImGuiTableColumnFlags_WidthStretch : ImGuiTableColumnFlags_WidthFixed,
          look.stretches ? look.width : px(look.width));
    }
    ImGui::TableSetupScrollFreeze(0, 1);
    draw_titles(input, actions);
    const auto& rows = input.layout->rows();
    if (input.scroll_to_selected) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].id != input.selected) continue;
        const float y = static_cast<float>(i) * row_height;
        const float from = ImGui::GetScrollY(), sight = whole - title_height - row_height;
        if (y < from || y > from + sight) ImGui::SetScrollY(std::max(0.0f, y - sight / 2));
        break;
      }
    }
    ImGuiListClipper clipper;
    clipper.Begin(static_cast<int>(std::min<std::size_t>(rows.size(), INT32_MAX)), row_height);
    memory.rows_in_sight = 0;
    while (clipper.Step()) {
      memory.first_row = static_cast<std::size_t>(clipper.DisplayStart);
      memory.rows_in_sight += static_cast<std::size_t>(clipper.DisplayEnd - clipper.DisplayStart);
      for (int i = clipper.DisplayStart; i < clipper.DisplayEnd; ++i) {
        const session::Task* task = input.layout->task(model, static_cast<std::size_t>(i));
        if (task != nullptr) {
          draw_row(model, *task, input, memory, actions);
        } else {
          ImGui::TableNextRow(ImGuiTableRowFlags_None, row_height);
        }
      }
    }
    ImGui::EndTable();
  }
  ImGui::PopStyleVar();
}

}  // namespace taskscope::console::panels
