/// What the inspector tells about the selected task, as text and numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
  std::string stack_note;  ///< how old the stack is, or why there is none
  bool can_take_stack = false;
  HistogramView polls, scheduled;
  std::vector<EventLine> events;
  std::vector<TaskLink> parents, children;
  std::size_t more_children = 0;
  std::int64_t from_ns = 0, to_ns = 0;  ///< the task's life, for framing
};

/// Everything but the last events and the children.
[[nodiscard]] InspectorView inspect(const session::Session& session, std::uint64_t task);
/// Fills in the last events and the children. Reads chunks again and walks all tasks: not for every
/// frame.
void add_history(session::Session& session, InspectorView& view);

/// Branches of a suspended task as lines, outer ones first.
[[nodiscard]] std::vector<StackLine> stack_lines(const session::Model& model,
                                                 const std::vector<session::Wait>& branches);
[[nodiscard]] EventLine event_line(const session::Model& model, const session::NamedEvent& event,
                                   std::uint64_t about);

}  // namespace taskscope::console::panels
