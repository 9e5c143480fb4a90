/// What a user can ask of the window. Panels collect these; only the app applies them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "taskscope/console/analysis/findings.h"
#include "taskscope/console/panels/time_view.h"

namespace taskscope::console::panels {

/// The tables below the timeline.
enum class Tab : std::uint8_t { Problems, Graph, Tasks, Resources, Workers, Timers, Losses };

enum class TaskColumn : std::uint8_t {
  Id,
  Name,
  Kind,
  State,
  Total,
  Busy,
  Scheduled,
  Idle,
  Polls,
  Location,
  Fields,
};
constexpr int kTaskColumns = 11;

/// Which tasks the table lists.
enum class Shown : std::uint8_t { All, Live, Done };

namespace action {

struct Open {
  std::string target;
  bool file_only = false;
};
struct CloseSession {};
struct Quit {};

/// The user moved the time axis: following ends, unless the move says otherwise.
struct MoveView {
  TimeView view;
  bool keeps_following = false;
};
struct Follow {
  bool on = true;
};
struct Pause {
  bool on = true;
};
struct Back {};
struct Forward {};
/// Shows a span with a margin; undoable.
struct Frame {
  std::int64_t from_ns = 0, to_ns = 0;
};

struct SelectTask {
  std::uint64_t task = 0;  ///< 0: nothing
  bool frame = false;      ///< and its life on the time axis
};
struct SelectResource {
  std::uint64_t resource = 0;
};
/// A finding by finding_key(): its tasks are selected, its moment framed, its evidence shown.
struct SelectFinding {
  std::uint64_t key = 0;
};
/// To the next finding (1) or the one before (-1).
struct StepFinding {
  int by = 1;
};
/// Which findings are listed; none: all kinds.
struct FilterFindings {
  std::optional<analysis::FindingKind> kind;
};
struct SetThresholds {
  analysis::Thresholds thresholds;
};
/// The wait-for graph about a task or a resource; 0 and 0: about what is selected.
struct ShowGraph {
  std::uint64_t task = 0, resource = 0;
};
struct ToggleGroup {
  std::uint32_t group = 0;
};
struct ShowTab {
  Tab tab = Tab::Tasks;
};
struct SortTasks {
  TaskColumn column = TaskColumn::Busy;
  bool descending = true;
};
struct FilterTasks {
  std::string text;
};
struct ShowTasks {
  Shown which = Shown::All;
};
/// Asks the target for await stacks; task 0: of all.
struct TakeStacks {
  std::uint64_t task = 0;
};
struct StartRecording {
  std::string path;
};
struct StopRecording {};
struct CopyText {
  std::string text;
};
/// In the editor that TASKSCOPE_EDITOR names.
struct OpenPlace {
  std::string path;  ///< "file:line"
};
struct Dismiss {};  ///< the message at the top

}  // namespace action

using Action =
    std::variant<action::Open, action::CloseSession, action::Quit, action::MoveView, action::Follow,
                 action::Pause, action::Back, action::Forward, action::Frame, action::SelectTask,
                 action::SelectResource, action::ToggleGroup, action::ShowTab, action::SortTasks,
                 action::FilterTasks, action::ShowTasks, action::TakeStacks, action::StartRecording,
                 action::StopRecording, action::CopyText, action::OpenPlace, action::Dismiss,
                 action::SelectFinding, action::StepFinding, action::FilterFindings,
                 action::SetThresholds, action::ShowGraph>;
using Actions = std::vector<Action>;

}  // namespace taskscope::console::panels
