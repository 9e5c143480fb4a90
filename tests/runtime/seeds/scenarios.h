/// The scenarios, by the file they are in.
#pragma once

#include "taskscope/tests/runtime/seeds/world.h"

namespace taskscope::runtime::seeds {

// locks.cpp
Task<void> mutex(World& world);
Task<void> rw_lock(World& world);
Task<void> semaphore(World& world);
Task<void> notify_one(World& world);
Task<void> notify_waiters(World& world);
Task<void> barrier(World& world);
Task<void> once_cell(World& world);
/// A lock that looks, and then waits: what happens in between it never hears of.
Task<void> broken_lock(World& world);

// channels.cpp
Task<void> mpsc_bounded(World& world);
Task<void> mpsc_unbounded(World& world);
Task<void> oneshot(World& world);
Task<void> broadcast(World& world);
Task<void> watch(World& world);

// tasks.cpp
Task<void> join_set(World& world);
Task<void> cancellation_token(World& world);
Task<void> select_timers(World& world);

}  // namespace taskscope::runtime::seeds
