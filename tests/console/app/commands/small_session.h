/// A small recorded session whose every number is known. Ticks are nanoseconds.
#pragma once

#include <vector>

#include "taskscope/protocol/update.h"

namespace taskscope::tests {

/// Two workers, from tick 1,000,000 to 41,000,000:
///   task 1 "main", alive before, waits to join task 2;
///   task 2 "session" (site 1), spawned at 2 ms, polled twice on worker 1 (1 ms, then 20 ms, in
///     which it wakes task 3), waits in between to lock mutex 7 "jobs", which task 3 holds for
///     certain; finishes at 34 ms with an exception;
///   task 3 "worker" (site 2), spawned at 3 ms, polled once on worker 2 for 2 ms, then selects
///     between mpsc 8 and a timer due at 60 ms; woken at 20 ms and never polled again;
///   5 events of ring 1 were lost.
std::vector<protocol::Update> small_session();

}  // namespace taskscope::tests
