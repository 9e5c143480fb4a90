#include "taskscope/console/panels/timers_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {

void draw_timers(const session::Model& model, const TimersInput& input, TimersMemory& memory,
                 Actions& actions) {
  // The soonest are looked for twice a second, and told ten times.
  const double now_s = ImGui::GetTime();
  if (!input.frozen || !memory.next.known()) {
    const bool may_renew = now_s - memory.looked_at_s >= 0.5;
    if (may_renew) memory.looked_at_s = now_s;
    // Tasks lie far apart in memory: so many cost about a millisecond.
    memory.next.update(model, may_renew, 8'000);
    if (now_s - memory.table_at_s >= 0.1 || memory.table_at_s < 0) {
      memory.table_at_s = now_s;
      memory.table = next_timer_table(model, memory.next);
    }
  }
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const std::vector<ChartRow> rows = timer_rows(
      model, {.view = input.view, .width_px = axis_columns(room.x, theme().scale).lanes_px});
  if (!rows.empty()) {
    const float height = std::min(px(charts_height(rows)), std::round(room.y * 0.58f));
    draw_charts(
        "timers",
        {.view = input.view,
         .following = input.following,
         .begin_ns = model.begin_ns(),
         .now_ns = model.now_ns(),
         .heading = "sampled"},
        [&](const ChartOptions&) { return rows; }, height, memory.charts, actions);
  }
  std::string right = count_text(memory.next.count()) + " waited for";
  if (memory.table.more > 0) right = "the soonest of " + right;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float tall = px(26);
  draw->AddRectFilled(at, {at.x + room.x, at.y + tall}, colour::kHeader);
  draw_text(draw, theme().strong, colour::kText,
            {at.x + px(14), at.y + std::floor((tall - theme().strong->FontSize) / 2)}, px(200),
            "Next to fire");
  draw_text(draw, theme().small, colour::kFaint,
            {at.x + px(220), at.y + std::floor((tall - theme().small->FontSize) / 2)},
            room.x - px(236), right, Align::Right);
  ImGui::SetCursorScreenPos({at.x, at.y + tall + px(2)});
  draw_table("##next timers", memory.table, memory.table_memory, actions);
}

}  // namespace taskscope::console::panels
