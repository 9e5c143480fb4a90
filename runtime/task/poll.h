/// One poll of a task's body: resumes the branches that may go on.
#pragma once

#include <cstddef>
#include <span>

#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime::task {

constexpr std::uint8_t kBudget = 128;
constexpr std::size_t kMaxReportedWaits = 64;

/// Called by the owner of kRunning. Afterwards body_done says whether the body ended; if it did
/// not, `again` says why the task is to be queued again.
void poll_body(Header& task);

/// What the branches of a task wait for, to be told to the observer; owner of kRunning only.
/// Returns how many were written.
std::size_t collect_waits(Header& task, std::span<observe::Wait> out) noexcept;

/// Every branch with its await stack, root branch first; owner of kRunning only. `visit(wait,
/// frames, cut)`.
constexpr std::size_t kMaxFrames = 64;
using BranchVisit = void (*)(const observe::Wait&, std::span<const Site> frames, bool cut, void*);
void visit_branches(const Header& task, bool with_frames, BranchVisit visit, void* context);

}  // namespace taskscope::runtime::task
