/// What the inspector tells about the selected task, as text and numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "taskscope/console/analysis/critical_path.h"
#include "taskscope/console/panels/palette.h"
#include "taskscope/console/session/session.h"

namespace taskscope::console::panels {

/// A label and a value; `note` explains the value in a tooltip.
struct Fact {
  std::string label, value, note{};
};

enum class StackLineKind : std::uint8_t { Frame, Wait, Branch };

/// A line of the await stack: a function that awaits, what the last one waits for, or the arms of a
/// select or join.
struct StackLine {
  StackLineKind kind = StackLineKind::Frame;
  int depth = 0;
  std::string text, place, path;         ///< path: "file:line" whole, for the clipboard
  std::uint64_t task = 0, resource = 0;  ///< what a wait leads to
};

struct HistogramBar {
  std::int64_t from_ns = 0, to_ns = 0;
  std::uint64_t count = 0;
};
struct HistogramView {
  std::vector<HistogramBar> bars;  ///< from the first to the last that is not empty
  std::uint64_t total = 0, highest = 0;
  std::int64_t p50_ns = 0, p99_ns = 0, max_ns = 0;  ///< at most this
};
[[nodiscard]] HistogramView histogram_view(const session::LogHistogram& histogram,
                                           const session::Clock& clock);

struct EventLine {
  std::int64_t at_ns = 0;
  std::string text, detail;
  Colour colour = colour::kDone;
  std::uint64_t task = 0;  ///< another task it names
};

struct TaskLink {
  std::uint64_t task = 0;
  std::string label, detail;
  Colour colour = colour::kDone;
};

struct ResourceLink {
  std::uint64_t resource = 0;
  std::string label, detail;
};
[[nodiscard]] TaskLink task_link(const session::Model& model, std::uint64_t task);
[[nodiscard]] ResourceLink resource_link(const session::Model& model, std::uint64_t resource);

/// A thing that the task waits for, and who could end that wait.
struct WaitLine {
  std::string text;  ///< "to lock"
  ResourceLink resource;
  std::vector<TaskLink> holders;
  std::string holders_label;  ///< "held by", "last used by"
};

/// A frame of the native stack, leaf first.
struct NativeLine {
  std::string function, place;
  std::string path;  ///< "file:line" whole; else where in which module
  bool dim = false;  ///< no name is known for it, or it is a guess
};

/// Wakes with one cause, counted over the last events.
struct WakeLine {
  TaskLink link;     ///< task 0: not by, or of, a task
  std::string text;  ///< "by a timer"
  std::size_t count = 0;
};

/// A kind of time on the critical path.
struct PathSum {
  std::string text;  ///< "waiting", "queued behind"
  TaskLink link;     ///< whose time it was, mostly; task 0: nobody's
  std::int64_t ns = 0;
  double share = 0;
  Colour colour = colour::kDone;
};
struct PathPiece {
  float from = 0, to = 0;  ///< of the span, 0 to 1
  Colour colour = colour::kDone;
  std::size_t sum = 0;  ///< in PathView::sums
};
struct PathView {
  std::vector<PathPiece> own;     ///< what the task did itself
  std::vector<PathPiece> pieces;  ///< what that comes down to
  std::vector<PathSum> sums;      ///< the largest first; their times add up to the span
  std::int64_t from_ns = 0, to_ns = 0;
  bool cut = false;  ///< a limit was met
};
[[nodiscard]] PathView path_view(const session::Model& model, const analysis::CriticalPath& path);
[[nodiscard]] Colour colour_of(analysis::PathKind kind);

struct InspectorView {
  std::uint64_t task = 0;
  bool known = false;  ///< the session keeps the task
  std::string title, subtitle, path, state;
  Colour state_colour = colour::kDone, site = colour::kDone;
  std::vector<std::string> notes;     ///< what one should know about the numbers
  std::vector<std::string> warnings;  ///< what is missing or went wrong
  std::vector<Fact> facts;
  std::vector<Fact> fields;
  std::vector<StackLine> stack;
  std::vector<WaitLine> waits;
  std::vector<NativeLine> native;
  std::string native_note, native_problem;
  std::vector<WakeLine> woken_by, wakes;
  PathView critical;
  std::string stack_note;  ///< how old the stack is, or why there is none
  bool can_take_stack = false;
  HistogramView polls, scheduled;
  std::vector<EventLine> events;
  std::vector<TaskLink> parents, children;
  std::size_t more_children = 0;
  std::int64_t from_ns = 0, to_ns = 0;  ///< the task's life, for framing
};

/// Everything but the last events, wakes, the children and the critical path.
[[nodiscard]] InspectorView inspect(const session::Session& session, std::uint64_t task);
/// Fills in the last events, wakes and the children. Reads chunks again and walks all tasks: not
/// for every frame.
void add_history(session::Session& session, InspectorView& view);
/// Fills in the critical path of the task within a part of the session. Reads chunks again.
void add_path(session::Session& session, InspectorView& view, std::int64_t from_ns,
              std::int64_t to_ns);
/// Takes over what add_history and add_path filled in earlier.
void keep_history(InspectorView&& from, InspectorView& view);

/// Branches of a suspended task as lines, outer ones first.
[[nodiscard]] std::vector<StackLine> stack_lines(const session::Model& model,
                                                 const std::vector<session::Wait>& branches);
[[nodiscard]] EventLine event_line(const session::Model& model, const session::NamedEvent& event,
                                   std::uint64_t about);

}  // namespace taskscope::console::panels
