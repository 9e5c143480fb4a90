/// Troubles of polls: those that block, never end, or keep others from theirs.
///
/// The rules; T. are Thresholds. All of them hold for a session attached after the trouble began.
///
/// blocking-poll   a poll that has run for longer than T.blocking_poll_ns, or did and ended within
///                 T.recent_ns; not on the blocking pool, where blocking is the point, nor of a
///                 block_on on its own thread. Certain from T.certain_delay_ns on, without the
///                 time that the thread was ready and had no processor. For the same reason a
///                 single one that is over and was shorter than kByChance * T.blocking_poll_ns is
///                 passed by. One finding a call site.
/// never-yielded   a poll that goes on: for longer than T.first_poll_ns in a task that has never
///                 returned from one, or longer than T.never_yielded_ns; and, where a native stack
///                 of it is known, that computes and is not blocked in the kernel. Without the time
///                 that it had no processor. Certain. It stands for the blocking-poll.
/// starvation      a task that has stood in the queue for longer than T.starvation_ns, or did and
///                 was polled within T.recent_ns. `others` is the hog: whose poll took at least
///                 half of that time on the worker in question. Certain from T.certain_wait_ns on
///                 if that poll is a certain blocking-poll; without a hog, the program has too much
///                 to do or too little processor. One finding a hog, or a call site.
/// self-wakes      a task that woke itself in at least half of its polls, and more often than
///                 T.self_wakes_per_s, through a window of Evidence::kWindowNs that is not older.
///                 Certain: wakes are counted. One finding a call site; `resources` are those that
///                 it wakes itself through.
/// large-frame     tasks that live and whose one allocation is larger than T.large_frame_bytes.
///                 Certain. One finding a call site.
#pragma once

#include "taskscope/console/analysis/findings.h"

namespace taskscope::console::analysis {

constexpr std::int64_t kByChance = 5;

[[nodiscard]] Findings find_poll_troubles(const session::Model& model,
                                          const Thresholds& thresholds);

}  // namespace taskscope::console::analysis
