/// One poll of a task's body: resumes the branches that may go on.
#pragma once

#include <cstddef>
#include <span>

#include "taskscope/runtime/task/task.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime::task {

constexpr std::uint8_t kBudget = 128;
constexpr std::size_t kMaxReportedWaits = 64;

/// Called by the owner of kRunning. Afterwards body_done says whether the body ended; if it did
/// not, `again` says why the task is to be queued again.
void poll_body(Header& task);

/// A task ended: frees it, or tells who awaits it. Called by the owner of kRunning, which must not
/// touch the task afterwards.
[[gnu::always_inline]] inline void complete(Header& task) noexcept {
  switch (task.state.to_complete()) {
    case State::Ended::Kept:
      return;
    case State::Ended::Unreferenced:
      task.free();
      return;
    case State::Ended::WakeJoiner:
      break;
  }
  if (task.join_branch == Header::kCompletes) {
    task.completion->completed();
  } else {
    Header* const joiner = task.join_task;
    report_wake(*joiner, task.join_branch, observe::ResourceId::None);
    submit(joiner->wake(task.join_branch));
    joiner->drop_reference();
  }
  task.drop_reference();
}

/// What the branches of a task wait for, to be told to the observer; owner of kRunning only.
/// Returns how many were written.
std::size_t collect_waits(Header& task, std::span<observe::Wait> out) noexcept;

/// Every branch with its await stack, root branch first; owner of kRunning only. `visit(wait,
/// frames, cut)`.
constexpr std::size_t kMaxFrames = 64;
using BranchVisit = void (*)(const observe::Wait&, std::span<const Site> frames, bool cut, void*);
void visit_branches(const Header& task, bool with_frames, BranchVisit visit, void* context);

}  // namespace taskscope::runtime::task
