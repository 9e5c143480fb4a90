#include "taskscope/instrumentation/examples/gallery/options.h"
#include "taskscope/instrumentation/examples/gallery/plants.h"

namespace taskscope::gallery {

namespace {

constexpr Exhibit kTroubles[] = {
    {"deadlock", "tasks that wait for each other in a circle", plant_deadlock},
    {"stuck-behind", "a deadlock, and tasks that wait for its members", plant_stuck_behind, false},
    {"lost-waker", "tasks whose last waker was dropped without waking", plant_lost_waker},
    {"lost-permit", "permits that were forgotten, and tasks that wait for them", plant_lost_permit},
    {"orphan", "tasks that wait for what a task that is over took along", plant_orphan, false},
    {"slow-consumer", "a full channel whose consumer is slow", plant_slow_consumer},
    {"self-wakes", "tasks that mostly wake themselves", plant_self_wakes},
    {"timer-burst", "thousands of timers in one tick", plant_timer_burst},
    {"large-frame", "tasks with a large frame", plant_large_frame, false},
    {"starved", "tasks that are woken and wait behind a long poll", plant_starved},
    {"blocks", "a poll that blocks, again and again", plant_blocks},
    {"never-yields", "a task whose first poll never ends", plant_never_yields},
};

constexpr Exhibit kDecoys[] = {
    {"contended", "ten thousand tasks that contend for one mutex", plant_contended, false},
    {"timeout-cycle", "a circle in which one member waits with a timeout", plant_timeout_cycle,
     false},
    {"moved-guard", "a guard moved to another task, which will release it", plant_moved_guard,
     false},
    {"signal-semaphore", "a semaphore used as a signal, released by a stranger",
     plant_signal_semaphore, false},
    {"blocking-holder", "a lock held across a blocking call that ends", plant_blocking_holder,
     false},
    {"slow-sender", "a receiver that waits for a live but slow sender", plant_slow_sender, false},
    {"long-yielding", "a long computation that yields", plant_long_yielding, false},
    {"long-sleep", "tasks that sleep for an hour", plant_long_sleep, false},
};

}  // namespace

std::span<const Exhibit> troubles() noexcept { return kTroubles; }
std::span<const Exhibit> decoys() noexcept { return kDecoys; }

}  // namespace taskscope::gallery
