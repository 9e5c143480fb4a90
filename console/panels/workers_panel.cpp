#include "taskscope/console/panels/workers_panel.h"

#include <imgui.h>

#include <algorithm>

#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {

void draw_workers(const session::Model& model, const WorkersInput& input, WorkersMemory& memory,
                  Actions& actions) {
  if (model.lanes().empty()) {
    empty_note("Nothing here", "No worker was seen yet.");
    return;
  }
  const ChartsMemory last = memory.charts;
  const float room = ImGui::GetContentRegionAvail().y;
  // The table gets what the charts leave, where that is enough to be of use.
  const float charts = std::min(room, px(memory.charts_height_px) + px(8));
  const bool numbers =
      input.numbers != nullptr && memory.charts_height_px > 0 && room - charts > px(140);
  draw_charts(
      "workers",
      {.view = input.view,
       .following = input.following,
       .begin_ns = model.begin_ns(),
       .now_ns = model.now_ns(),
       .heading = "sampled; busy is exact"},
      [&](const ChartOptions& chart) {
        auto rows = worker_rows(model, {.chart = chart,
                                        .long_poll_ns = input.long_poll_ns,
                                        .first = last.first,
                                        .last = last.last});
        memory.charts_height_px = charts_height(rows);
        return rows;
      },
      numbers ? charts : room, memory.charts, actions);
  if (numbers) draw_table("##workers scroll", *input.numbers, memory.numbers, actions);
}

}  // namespace taskscope::console::panels
