/// Draws the timeline and turns mouse moves into actions.
#pragma once

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/timeline_layout.h"

namespace taskscope::console::panels {

struct TimelineInput {
  TimeView view;
  const TimelineState* state = nullptr;
  bool following = false, paused = false, live = false;
  bool can_go_back = false, can_go_forward = false;
  std::uint64_t hidden_events = 0;          ///< came in right of the view since following ended
  session::WakeWindow* wakes = nullptr;     ///< of the view; null: no arrows are drawn
  std::int64_t long_poll_ns = kLongPollNs;  ///< Thresholds::blocking_poll_ns
};

/// Kept between frames; for drawing only.
struct TimelineMemory {
  std::uint64_t hovered_task = 0;  ///< its polls light up, its wakes show faintly
  std::size_t arrows = 0;          ///< of the last frame
  bool dragging = false, selecting = false;
  double select_from_px = 0;
  std::vector<float> load;  ///< of the whole session
  std::int64_t load_from_ns = 0, load_to_ns = 0;
  std::uint64_t load_revision = UINT64_MAX;
  std::size_t boxes = 0;  ///< of the last frame
  float lanes_x_px = 0, lanes_y_px = 0, lanes_width_px = 0, lanes_height_px = 0;  ///< on screen
  std::vector<TimelineRow> rows;  ///< of the last frame; made anew ten times a second
  TimelineState rows_state;
  double rows_at_s = -1;
};

/// Fills what is left of the current ImGui window.
void draw_timeline(session::Model& model, const TimelineInput& input, TimelineMemory& memory,
                   Actions& actions);

}  // namespace taskscope::console::panels
