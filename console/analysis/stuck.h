/// Tasks that nothing will ever move again, and why.
///
/// What is live is the least fixed point of: whatever runs, is queued or is unknown; timers, I/O,
/// blocking calls, other threads, whoever may notify; and every task whose waits, a formula of any
/// and all, can be met by what is live. What remains is stuck. There are two such fixed points:
///
///   certain   what a hint reaches is live: whoever it names need not be the one any more
///   suspect   hints are followed as if they were true, and those that name the dead as well
///
/// A hint that cannot be right is no hint: one read before the wait began, or the last sender where
/// a channel has more senders than one, names nobody.
///
///   deadlock      tasks on a cycle of what is stuck: a strongly connected component
///   lost-waker    a wait for a waker of which none was left as the task was read in that wait
///   orphan        a wait for what a task that is over took and did not give back, for longer than
///                 Thresholds::orphan_ns. Only a suspect: what the dead took may lie somewhere
///   stuck-behind  the others: they wait for one of these, directly or not
#pragma once

#include <cstdint>
#include <vector>

#include "taskscope/console/analysis/findings.h"

namespace taskscope::console::analysis {

/// Tasks stuck for one reason. `tasks`: a deadlock's in the order of its cycle, smallest id first;
/// else by id.
struct Jam {
  FindingKind kind = FindingKind::Deadlock;
  Certainty certainty = Certainty::Suspect;
  std::vector<std::uint64_t> tasks;
  std::vector<std::uint64_t> others;     ///< stuck-behind: those waited for; orphan: the dead
  std::vector<std::uint64_t> resources;  ///< waited for, in the order of the tasks
  std::uint32_t site = 0;                ///< where the first task waits
};

/// All that is stuck as the model stands, worst first; each task is in one jam. Not confirmed: the
/// model may be in the middle of a change. A scan over the tasks, and work in proportion to those
/// that wait for tasks, resources and wakers, and to the holders of these resources.
/// Says in `work` what it took, as a number of tasks merely scanned: the same for the same model.
[[nodiscard]] std::vector<Jam> find_jams(const session::Model& model,
                                         const Thresholds& thresholds = {},
                                         std::size_t* work = nullptr);

/// The jam as a finding, with its sentence. Its tasks live.
[[nodiscard]] Finding finding_of(const session::Model& model, const Jam& jam,
                                 const Thresholds& thresholds);

}  // namespace taskscope::console::analysis
