/// The state of the window, and the one place that changes it.
///
/// Each frame: tick() takes in what came from the target, draw() shows it and collects what the
/// user asked for, apply() does that. Nothing else changes the state. Whatever may take long
/// (looking for processes, connecting) runs on a thread of its own and is picked up when it is
/// done.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "taskscope/console/analysis/diagnosis.h"
#include "taskscope/console/app/input_queue.h"
#include "taskscope/console/app/settings.h"
#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/graph_panel.h"
#include "taskscope/console/panels/inspector_layout.h"
#include "taskscope/console/panels/problems_panel.h"
#include "taskscope/console/panels/resources_panel.h"
#include "taskscope/console/panels/start_panel.h"
#include "taskscope/console/panels/tables_panel.h"
#include "taskscope/console/panels/task_table_panel.h"
#include "taskscope/console/panels/timeline_panel.h"
#include "taskscope/console/panels/timers_panel.h"
#include "taskscope/console/panels/top_bar_layout.h"
#include "taskscope/console/panels/workers_panel.h"
#include "taskscope/console/session/session.h"

namespace taskscope::console::app {

class JsonWriter;
struct TextRun;

/// How the parts share the window.
enum class Arrangement : std::uint8_t { Overview, Timeline, Table };

class Workspace {
 public:
  explicit Workspace(Settings settings) : settings_(std::move(settings)) {}
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  /// Opens a target, as if the user had asked for it; the result shows after some ticks.
  void open(const std::string& target, bool file_only, std::int64_t now_ms);
  /// Takes a session that exists already; best before it is pumped, as troubles are looked for
  /// while it is.
  void adopt(std::unique_ptr<session::Session> session);
  /// A view by its name; false for a name that is_view() refuses.
  bool show_view(const std::string& name);

  /// Takes in what came. `budget_ns` bounds the time for it.
  void tick(std::int64_t now_ms, std::int64_t budget_ns);
  /// Keys that no text field wants.
  void handle_keys(const std::vector<InputEvent>& events);
  /// Draws a frame within ImGui's, collecting actions.
  void draw();
  /// Asks for something, as a panel does.
  void ask(panels::Action action) { actions_.push_back(std::move(action)); }
  /// Does what was asked for since the last call.
  void apply(std::int64_t now_ms);

  [[nodiscard]] bool quit_asked() const { return quit_; }
  /// Something moves by itself: draw again soon.
  [[nodiscard]] bool lively() const;
  [[nodiscard]] std::string title() const;
  [[nodiscard]] session::Session* session() { return session_.get(); }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] Settings& settings() { return settings_; }
  [[nodiscard]] const std::string& open_problem() const { return open_problem_; }
  [[nodiscard]] bool opening() const { return opening_.valid(); }

  /// Blocks until the search for processes that goes on is over.
  void wait_for_search() {
    if (searching_.valid()) searching_.wait();
  }
  /// Selects the task that was busiest and opens its group, where none is selected.
  void select_busiest();
  /// Selects the resource that most wait for, where none is selected.
  void select_contended();
  /// Selects the worst finding, where none is selected. False where there is none.
  bool select_worst();
  /// Everything is computed anew at the next tick, however recent: before a picture is taken.
  void refresh_all();
  /// The state as JSON, for tests; `runs` is the text of the last frame.
  [[nodiscard]] std::string dump(const std::vector<TextRun>& runs, float width_px, float height_px,
                                 float scale, std::uint64_t frame) const;

 private:
  void search(std::int64_t now_ms);
  void take_opened(std::int64_t now_ms);
  void tick_session(std::int64_t now_ms, std::int64_t budget_ns);
  void refresh_panels(std::int64_t now_ms);
  void refresh_resources(std::int64_t now_ms);
  void reset_session_state();
  void refresh_problems();
  void show_graph(std::vector<std::uint64_t> tasks, std::vector<std::uint64_t> resources);
  void refresh_graph();
  [[nodiscard]] bool has_deadlock(const analysis::Graph& graph) const;
  [[nodiscard]] bool graph_in_sight() const;
  [[nodiscard]] panels::GraphInput graph_input() const;
  void select_finding(const analysis::Finding* finding);
  [[nodiscard]] const analysis::Finding* finding_of(std::uint64_t key) const;
  void check_recent();
  void move_view(const panels::TimeView& view, bool keeps_following);
  void select_task(std::uint64_t task);
  void explain();
  void step_selection(int by);
  void frame_selection();
  void say(std::string message, bool bad);
  [[nodiscard]] std::string recording_path() const;

  void draw_session();
  void draw_lower(float width, float height);
  void draw_tabs(float width);

  void do_action(const panels::action::Open& asked);
  void do_action(const panels::action::CloseSession& asked);
  void do_action(const panels::action::Quit& asked);
  void do_action(const panels::action::MoveView& asked);
  void do_action(const panels::action::Follow& asked);
  void do_action(const panels::action::Pause& asked);
  void do_action(const panels::action::Back& asked);
  void do_action(const panels::action::Forward& asked);
  void do_action(const panels::action::Frame& asked);
  void do_action(const panels::action::SelectTask& asked);
  void do_action(const panels::action::SelectResource& asked);
  void do_action(const panels::action::ToggleGroup& asked);
  void do_action(const panels::action::ShowTab& asked);
  void do_action(const panels::action::SortTasks& asked);
  void do_action(const panels::action::FilterTasks& asked);
  void do_action(const panels::action::ShowTasks& asked);
  void do_action(const panels::action::TakeStacks& asked);
  void do_action(const panels::action::StartRecording& asked);
  void do_action(const panels::action::StopRecording& asked);
  void do_action(const panels::action::CopyText& asked);
  void do_action(const panels::action::OpenPlace& asked);
  void do_action(const panels::action::Dismiss& asked);
  void do_action(const panels::action::SelectFinding& asked);
  void do_action(const panels::action::StepFinding& asked);
  void do_action(const panels::action::FilterFindings& asked);
  void do_action(const panels::action::SetThresholds& asked);
  void do_action(const panels::action::ShowGraph& asked);

  void dump_start(JsonWriter& json) const;
  void dump_session(JsonWriter& json) const;
  void dump_inspector(JsonWriter& json) const;
  void dump_problems(JsonWriter& json) const;
  void dump_graph(JsonWriter& json) const;

  struct Opened {
    std::unique_ptr<session::Session> session;
    std::string problem, path;  ///< path: of a recording
  };

  Settings settings_;
  panels::Actions actions_;
  std::int64_t now_ms_ = 0;
  bool quit_ = false;

  // The start screen.
  std::future<source::Discovery> searching_;
  std::int64_t searched_ms_ = INT64_MIN / 2;
  bool searched_ = false;
  std::vector<panels::StartEntry> processes_, files_;
  std::int64_t recent_ms_ = INT64_MIN / 2;
  panels::StartMemory start_memory_;
  std::future<Opened> opening_;
  std::string opening_target_, open_problem_;

  // The session.
  std::unique_ptr<session::Session> session_;
  Arrangement arrangement_ = Arrangement::Overview;
  bool tab_asked_ = false;  ///< by show_view
  panels::TimeView view_;
  panels::ViewHistory history_;
  bool following_ = true, paused_ = false, framed_once_ = false;
  std::uint64_t events_at_stop_ = 0;
  panels::TimelineState timeline_;
  panels::TimelineMemory timeline_memory_;
  session::WakeWindow wakes_;
  panels::WorkersMemory workers_charts_;
  panels::TimersMemory timers_memory_;
  panels::Tab tab_ = panels::Tab::Problems;
  panels::TaskOrder order_;
  panels::TaskTableLayout table_;
  panels::TaskTableMemory table_memory_;
  std::int64_t table_ms_ = INT64_MIN / 2;
  bool table_hovered_ = false, focus_filter_ = false, scroll_to_selected_ = false;
  std::uint64_t selected_ = 0;
  std::optional<panels::InspectorView> inspector_;
  std::string why_;
  std::int64_t inspected_ms_ = INT64_MIN / 2, history_read_ms_ = INT64_MIN / 2,
               stack_asked_ms_ = INT64_MIN / 2;
  panels::TopBarView top_bar_;
  std::size_t memory_bytes_ = 0;
  std::int64_t top_bar_ms_ = INT64_MIN / 2, memory_ms_ = INT64_MIN / 2;
  panels::TableView workers_, losses_;
  panels::TableMemory losses_memory_;
  panels::ResourcesView resources_;
  panels::ResourcesMemory resources_memory_;
  panels::ResourceOrder resources_order_;  ///< that resources_ was made with
  std::uint64_t selected_resource_ = 0;
  session::ResourceHistory resource_history_;
  panels::TimeView resource_history_view_;  ///< that it was read for
  panels::GroupTable resource_waiters_;
  std::int64_t resources_ms_ = INT64_MIN / 2, resource_history_ms_ = INT64_MIN / 2;
  std::int64_t tables_ms_ = INT64_MIN / 2;

  // What is wrong.
  analysis::Diagnosis diagnosis_;
  bool looked_at_end_ = false;
  std::optional<analysis::FindingKind> finding_filter_;
  std::optional<analysis::Finding> finding_;  ///< selected; kept when it is over, or forgotten
  std::uint64_t finding_key_ = 0;             ///< of finding_ as it was seen last
  panels::ProblemsView problems_;
  std::optional<panels::EvidenceView> evidence_;
  panels::ProblemsMemory problems_memory_;
  std::int64_t problems_ms_ = INT64_MIN / 2, walked_ms_ = INT64_MIN / 2;

  // Who waits for whom, around some tasks and resources.
  std::vector<std::uint64_t> graph_tasks_, graph_resources_;
  std::uint64_t graph_key_ = 0;  ///< counts up with what it is about
  std::optional<panels::GraphView> graph_;
  panels::GraphMemory graph_memory_;
  std::int64_t graph_ms_ = INT64_MIN / 2;
  std::string message_;
  bool message_is_bad_ = false;
  std::int64_t message_ms_ = 0;
};

}  // namespace taskscope::console::app
