/// Troubles of what tasks share: channels, permits, timers.
///
/// The rules; T. are Thresholds. All of them hold for a session attached after the trouble began.
///
/// slow-consumer   a bounded channel on which senders waited for room longer than T.slow_send_ns,
/// at
///                 least twice, of which the last wait goes on or ended within T.recent_ns, and one
///                 wait at least was ended by the receiver: it is slow, not stuck. `tasks` is the
///                 receiver, as the one who made room, else the last one known; `others` are the
///                 senders that wait or did. Certain when one sender's waits make up
///                 T.certain_wait_ns and the receiver was queued or polled for less than half of
///                 that within T.recent_ns: else it may just have had no processor.
/// permit-leak     a semaphore of which more permits were forgotten than added, none is held, and
///                 tasks have waited longer than T.permit_wait_ns for some; where its counts are
///                 not known, ten times as long. Suspect: somebody may still add permits. `tasks`
///                 are those that wait.
/// timer-burst     at least T.timers_in_a_tick timers of one await that fell due in the same
///                 millisecond and fired within T.recent_ns, or will within kBurstAheadNs. Certain:
///                 they are counted.
#pragma once

#include "taskscope/console/analysis/findings.h"

namespace taskscope::console::analysis {

constexpr std::int64_t kBurstAheadNs = 5'000'000'000;

[[nodiscard]] Findings find_resource_troubles(const session::Model& model,
                                              const Thresholds& thresholds);

}  // namespace taskscope::console::analysis
