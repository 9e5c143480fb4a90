/// Await stacks as text, equal ones grouped and counted.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "taskscope/console/session/model.h"

namespace taskscope::console::analysis {

/// Tasks that wait at the same place in the same way.
struct StackGroup {
  std::vector<std::string> lines;    ///< root first, branches indented
  std::vector<std::uint64_t> tasks;  ///< ids, ascending
};

/// The native stack of the poll that the task is in now; null: none was taken (yet).
[[nodiscard]] const session::NativeStack* native_stack_now(const session::Model& model,
                                                           const session::Task& task);

/// A native stack as lines, leaf first: "#0  src/load.cpp:12  read_all(int)". Without a name: file
/// and offset, as addr2line takes them.
[[nodiscard]] std::vector<std::string> native_lines(const session::NativeStack& stack);

/// The await tree of a task as lines. What it waits for stands without the ids of resources and
/// tasks, so that equal waits on different ones are equal; `with_ids` keeps them. A task that is
/// queued or runs has one line that says so, and its native stack if its poll blocks.
[[nodiscard]] std::vector<std::string> stack_lines(const session::Model& model,
                                                   const session::Task& task, bool with_ids);

/// All living tasks by their stacks, the largest group first.
[[nodiscard]] std::vector<StackGroup> group_stacks(const session::Model& model);

}  // namespace taskscope::console::analysis
