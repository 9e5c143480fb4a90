#include "taskscope/console/panels/resources_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/task_table_groups_panel.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {
namespace {

void draw_tools(const ResourcesInput& input, ResourcesMemory& memory) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float height = px(28), width = ImGui::GetContentRegionAvail().x;
  const float field = std::min(px(260), width * 0.32f);
  ImGui::SetCursorScreenPos({at.x + px(12), at.y});
  ImGui::PushStyleVar(ImGuiStyleVar_FramePadding,
                      ImVec2(px(28), std::floor((height - theme().text->FontSize) / 2)));
  ImGui::SetNextItemWidth(field);
  if (ImGui::InputTextWithHint("##resource filter", "Filter: name, kind, holder", memory.filter,
                               sizeof memory.filter)) {
    memory.order.filter = memory.filter;
  }
  ImGui::PopStyleVar();
  draw_icon(ImGui::GetWindowDrawList(), Icon::Search, {at.x + px(26), at.y + height / 2}, px(12),
            colour::kFaint);
  float x = at.x + px(12) + field + px(10);
  const auto choice = [&](const char* id, std::string_view label, ResourceGrouping which) {
    const float wide = button_width(false, label);
    if (x + wide > at.x + width - px(8)) return;
    ImGui::SetCursorScreenPos({x, at.y});
    if (text_button(id, label, ButtonLook::Quiet, input.view->grouping == which)) {
      memory.order.grouping = which;
      memory.order.expanded.clear();
    }
    x += wide + px(2);
  };
  choice("##each", "Each", ResourceGrouping::None);
  choice("##by location", "By location", ResourceGrouping::Location);
  choice("##by kind", "By kind", ResourceGrouping::Kind);
  std::string count = count_text(input.view->listed);
  if (input.view->listed != input.view->of) count += " of " + count_text(input.view->of);
  count += input.view->of == 1 ? " resource" : " resources";
  if (input.view->waits_cut) count += " · longest waits of those looked at";
  draw_text(ImGui::GetWindowDrawList(), theme().small, colour::kDim,
            {x + px(8), at.y + std::floor((height - theme().small->FontSize) / 2)},
            at.x + width - px(14) - x - px(8), count, Align::Right);
  ImGui::SetCursorScreenPos({at.x, at.y + height + px(8)});
}

constexpr std::uint32_t bit(ResourceColumn column) { return 1u << static_cast<unsigned>(column); }

void draw_list(const ResourcesInput& input, ResourcesMemory& memory, Actions& actions) {
  // What has room to be read; a wider window shows the rest.
  const float width = ImGui::GetContentRegionAvail().x;
  std::uint32_t hidden = 0;
  if (width < px(820)) hidden |= bit(ResourceColumn::Attributes) | bit(ResourceColumn::Type);
  if (width < px(520)) hidden |= bit(ResourceColumn::Waits);
  const GroupsAsked asked = draw_groups("##resources scroll",
                                        {.table = &input.view->table,
                                         .column = static_cast<std::size_t>(memory.order.column),
                                         .descending = memory.order.descending,
                                         .selected = input.selected,
                                         .hidden = hidden},
                                        actions);
  if (asked.sort_by) {
    const auto column = static_cast<ResourceColumn>(*asked.sort_by);
    memory.order.descending =
        memory.order.column == column ? !memory.order.descending : is_number(column);
    memory.order.column = column;
  }
  if (asked.toggle != 0 && memory.order.expanded.erase(asked.toggle) == 0) {
    memory.order.expanded.insert(asked.toggle);
  }
}

void draw_waiters(const ResourcesInput& input, ResourcesMemory& memory, Actions& actions) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x, height = px(28);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw_text(draw, theme().strong, colour::kText,
            {at.x + px(12), at.y + std::floor((height - theme().strong->FontSize) / 2)}, px(90),
            "Who waits");
  const std::string_view await = "By await site", call = "By call site";
  float x = at.x + width - button_width(false, await) - button_width(false, call) - px(10);
  const auto choice = [&](const char* id, std::string_view label, Grouping which) {
    ImGui::SetCursorScreenPos({x, at.y});
    if (text_button(id, label, ButtonLook::Quiet, memory.waiters_by == which)) {
      memory.waiters_by = which;
      memory.waiters_order.expanded.clear();
    }
    x += button_width(false, label) + px(2);
  };
  if (x > at.x + px(100)) {
    choice("##waiters by await", await, Grouping::AwaitSite);
    choice("##waiters by call", call, Grouping::CallSite);
  }
  ImGui::SetCursorScreenPos({at.x, at.y + height + px(8)});
  constexpr std::uint32_t kWaitsEver = 1u << 4;
  const bool narrow = memory.waiters_by == Grouping::AwaitSite && width < px(460);
  draw_groups("##waiters scroll", *input.waiters, memory.waiters_order, input.selected_task,
              actions, narrow ? kWaitsEver : 0);
}

}  // namespace

void draw_resources(const session::Model& model, const ResourcesInput& input,
                    ResourcesMemory& memory, Actions& actions) {
  const ImVec2 at = ImGui::GetCursorScreenPos(), room = ImGui::GetContentRegionAvail();
  const session::Resource* resource =
      input.selected == 0 ? nullptr : model.resource(input.selected);
  std::vector<ChartRow> rows;
  float below = 0;
  if (resource != nullptr && input.history != nullptr) {
    rows = resource_rows(
        model, *resource, *input.history,
        {.view = input.time, .width_px = axis_columns(room.x, theme().scale).lanes_px});
    below = std::min(px(charts_height(rows)), std::round(room.y * 0.55f));
  }
  const float upper = room.y - below;
  const bool with_waiters =
      resource != nullptr && input.waiters != nullptr && resource->waiters > 0 && room.x >= px(860);
  const float left = with_waiters ? std::round(room.x * 0.62f) : room.x;
  ImGui::BeginChild("##resource list", {left, upper}, false, ImGuiWindowFlags_NoScrollWithMouse);
  draw_tools(input, memory);
  draw_list(input, memory, actions);
  ImGui::EndChild();
  if (with_waiters) {
    ImGui::SetCursorScreenPos({at.x + left, at.y});
    ImGui::BeginChild("##resource waiters", {room.x - left, upper}, false,
                      ImGuiWindowFlags_NoScrollWithMouse);
    draw_waiters(input, memory, actions);
    ImGui::EndChild();
  }
  if (below <= 0) return;
  ImGui::SetCursorScreenPos({at.x, at.y + upper});
  draw_charts(
      "resource",
      {.view = input.time,
       .following = input.following,
       .begin_ns = model.begin_ns(),
       .now_ns = model.now_ns(),
       .heading = "the selected resource"},
      [&](const ChartOptions&) { return rows; }, below, memory.charts, actions);
}

}  // namespace taskscope::console::panels
