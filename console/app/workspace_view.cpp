// How the panels share the window.
#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "taskscope/console/app/workspace.h"
#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/inspector_panel.h"
#include "taskscope/console/panels/top_bar_panel.h"
#include "taskscope/console/panels/widgets.h"

namespace taskscope::console::app {

using panels::px;
using panels::Tab;

void Workspace::draw() {
  const ImGuiViewport* viewport = ImGui::GetMainViewport();
  ImGui::SetNextWindowPos(viewport->Pos);
  ImGui::SetNextWindowSize(viewport->Size);
  ImGui::Begin("window", nullptr,
               ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove |
                   ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoBringToFrontOnFocus |
                   ImGuiWindowFlags_NoNavFocus | ImGuiWindowFlags_NoScrollWithMouse);
  if (session_ == nullptr) {
    panels::draw_start({.processes = &processes_,
                        .files = &files_,
                        .searching = !searched_,
                        .opening = opening_.valid(),
                        .problem = open_problem_},
                       start_memory_, actions_);
  } else {
    draw_session();
  }
  ImGui::End();
}

void Workspace::draw_session() {
  const ImVec2 origin = ImGui::GetCursorScreenPos();
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const bool live = session_->live();
  const float bar = panels::draw_top_bar({.view = &top_bar_,
                                          .following = following_,
                                          .paused = paused_,
                                          .can_go_back = history_.can_go_back(),
                                          .can_go_forward = history_.can_go_forward(),
                                          .record_path = recording_path(),
                                          .message = message_,
                                          .message_is_bad = message_is_bad_},
                                         actions_);
  const ImVec2 at{origin.x, origin.y + bar};
  const float height = room.y - bar;
  const bool with_inspector = arrangement_ == Arrangement::Overview;
  const float inspector =
      with_inspector
          ? std::clamp(std::round(room.x * settings_.inspector_share), px(300), room.x * 0.45f)
          : 0;
  const float left = room.x - inspector;

  float upper = 0;
  if (arrangement_ == Arrangement::Timeline) upper = height;
  if (arrangement_ == Arrangement::Overview) {
    upper = std::round(std::clamp(height * settings_.timeline_share, px(220), height - px(160)));
  }
  if (upper > 0) {
    ImGui::SetCursorScreenPos(at);
    ImGui::BeginChild("##timeline", {left, upper}, false, ImGuiWindowFlags_NoScrollWithMouse);
    const std::uint64_t events = session_->model().totals().events;
    panels::draw_timeline(session_->model(),
                          {.view = view_,
                           .state = &timeline_,
                           .following = following_ && !paused_,
                           .paused = paused_,
                           .live = live,
                           .can_go_back = history_.can_go_back(),
                           .can_go_forward = history_.can_go_forward(),
                           .hidden_events = events - std::min(events, events_at_stop_),
                           .wakes = &wakes_,
                           .long_poll_ns = diagnosis_.thresholds().blocking_poll_ns},
                          timeline_memory_, actions_);
    ImGui::EndChild();
  }
  if (upper < height) {
    ImGui::SetCursorScreenPos({at.x, at.y + upper});
    ImGui::PushStyleColor(ImGuiCol_ChildBg, panels::vec(panels::colour::kPanel));
    ImGui::BeginChild("##lower", {left, height - upper}, false, ImGuiWindowFlags_NoScrollWithMouse);
    draw_lower(left, height - upper);
    ImGui::EndChild();
    ImGui::PopStyleColor();
  }
  if (with_inspector) {
    ImGui::SetCursorScreenPos({at.x + left, at.y});
    ImGui::PushStyleColor(ImGuiCol_ChildBg, panels::vec(panels::colour::kPanel));
    ImGui::BeginChild("##inspector", {inspector, height}, false,
                      ImGuiWindowFlags_NoScrollWithMouse);
    panels::draw_inspector({.view = inspector_ ? &*inspector_ : nullptr, .why = why_}, actions_);
    ImGui::EndChild();
    ImGui::PopStyleColor();

    // Seams are drawn last, over both neighbours.
    float share = left / room.x;
    if (panels::splitter("##beside", true, {at.x + left, at.y}, height, room.x, share, 0.55f,
                         0.85f)) {
      settings_.inspector_share = 1 - share;
    }
    if (upper > 0 && upper < height) {
      panels::splitter("##between", false, {at.x, at.y + upper}, left, height,
                       settings_.timeline_share, 0.2f, 0.85f);
    }
  }
}

void Workspace::draw_tabs(float width) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float height = px(36);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRectFilled(at, {at.x + width, at.y + height}, panels::colour::kHeader);
  struct Entry {
    Tab tab;
    const char* id;
    std::string label;
  };
  const std::size_t lost = session_->model().losses().size();
  const Entry entries[] = {
      {Tab::Problems, "##tab problems",
       problems_.active == 0 ? "Problems" : "Problems " + std::to_string(problems_.active)},
      {Tab::Graph, "##tab graph", "Graph"},
      {Tab::Tasks, "##tab tasks", "Tasks"},
      {Tab::Resources, "##tab resources", "Resources"},
      {Tab::Workers, "##tab workers", "Workers"},
      {Tab::Timers, "##tab timers", "Timers"},
      {Tab::Losses, "##tab losses", lost == 0 ? "Losses" : "Losses " + std::to_string(lost)},
  };
  float x = at.x + px(8);
  for (const Entry& entry : entries) {
    ImGui::SetCursorScreenPos({x, at.y + px(4)});
    const bool on = tab_ == entry.tab;
    if (panels::text_button(entry.id, entry.label, panels::ButtonLook::Quiet, false)) {
      actions_.push_back(panels::action::ShowTab{entry.tab});
    }
    const float wide = panels::button_width(false, entry.label);
    if (on) {
      draw->AddRectFilled({x + px(8), at.y + height - px(2)}, {x + wide - px(8), at.y + height},
                          panels::colour::kAccent);
    }
    x += wide + px(2);
  }
  ImGui::SetCursorScreenPos({at.x, at.y + height});
}

void Workspace::draw_lower(float width, float height) {
  (void)height;
  draw_tabs(width);
  table_hovered_ = ImGui::IsWindowHovered(ImGuiHoveredFlags_ChildWindows);
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::SetCursorScreenPos({at.x, at.y + px(8)});
  switch (tab_) {
    case Tab::Tasks:
      panels::draw_task_table(session_->model(),
                              {.layout = &table_,
                               .order = &order_,
                               .selected = selected_,
                               .frozen = paused_,
                               .focus_filter = focus_filter_,
                               .scroll_to_selected = scroll_to_selected_},
                              table_memory_, actions_);
      focus_filter_ = scroll_to_selected_ = false;
      break;
    case Tab::Problems:
      panels::draw_problems({.view = &problems_,
                             .evidence = evidence_ ? &*evidence_ : nullptr,
                             .inspector = inspector_ ? &*inspector_ : nullptr,
                             .graph = graph_input(),
                             .selected = finding_key_,
                             .only = finding_filter_,
                             .thresholds = &settings_.thresholds},
                            problems_memory_, graph_memory_, actions_);
      break;
    case Tab::Graph: {
      ImGui::SetCursorScreenPos(at);
      panels::draw_graph(graph_input(), graph_memory_, ImGui::GetContentRegionAvail(), actions_);
      break;
    }
    case Tab::Resources:
      panels::draw_resources(
          session_->model(),
          {.view = &resources_,
           .selected = selected_resource_,
           .history = resource_history_.resource == selected_resource_ ? &resource_history_
                                                                       : nullptr,
           .waiters = &resource_waiters_,
           .selected_task = selected_,
           .time = view_,
           .following = following_ && !paused_},
          resources_memory_, actions_);
      break;
    case Tab::Workers:
      ImGui::SetCursorScreenPos(at);
      panels::draw_workers(session_->model(),
                           {.view = view_,
                            .following = following_ && !paused_,
                            .long_poll_ns = diagnosis_.thresholds().blocking_poll_ns,
                            .numbers = &workers_},
                           workers_charts_, actions_);
      break;
    case Tab::Timers:
      ImGui::SetCursorScreenPos(at);
      panels::draw_timers(
          session_->model(),
          {.view = view_, .following = following_ && !paused_, .frozen = paused_},
          timers_memory_, actions_);
      break;
    case Tab::Losses:
      panels::draw_table("##losses scroll", losses_, losses_memory_, actions_);
      break;
  }
  if (focus_filter_) actions_.push_back(panels::action::ShowTab{Tab::Tasks});
}

}  // namespace taskscope::console::app
