#include "taskscope/console/panels/workers_panel.h"

#include <imgui.h>

#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::panels {

void draw_workers(const session::Model& model, const WorkersInput& input, WorkersMemory& memory,
                  Actions& actions) {
  if (model.lanes().empty()) {
    empty_note("Nothing here", "No worker was seen yet.");
    return;
  }
  const ChartsMemory last = memory.charts;
  draw_charts(
      "workers",
      {.view = input.view,
       .following = input.following,
       .begin_ns = model.begin_ns(),
       .now_ns = model.now_ns(),
       .heading = "sampled; busy is exact"},
      [&](const ChartOptions& chart) {
        return worker_rows(model, {.chart = chart,
                                   .long_poll_ns = input.long_poll_ns,
                                   .first = last.first,
                                   .last = last.last});
      },
      ImGui::GetContentRegionAvail().y, memory.charts, actions);
}

}  // namespace taskscope::console::panels
