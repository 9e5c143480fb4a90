/// What can be planted; the list with its words is in exhibits.cpp.
#pragma once

namespace taskscope::gallery {

class Curator;
class Shape;

// deadlock.cpp
void plant_deadlock(Curator&, Shape&);
void plant_stuck_behind(Curator&, Shape&);
// wakers.cpp
void plant_lost_waker(Curator&, Shape&);
void plant_self_wakes(Curator&, Shape&);
// resources.cpp
void plant_lost_permit(Curator&, Shape&);
void plant_orphan(Curator&, Shape&);
void plant_slow_consumer(Curator&, Shape&);
void plant_timer_burst(Curator&, Shape&);
// polls.cpp
void plant_never_yields(Curator&, Shape&);
void plant_blocks(Curator&, Shape&);
void plant_starved(Curator&, Shape&);
void plant_large_frame(Curator&, Shape&);
// decoys.cpp
void plant_contended(Curator&, Shape&);
void plant_timeout_cycle(Curator&, Shape&);
void plant_moved_guard(Curator&, Shape&);
void plant_signal_semaphore(Curator&, Shape&);
void plant_blocking_holder(Curator&, Shape&);
void plant_slow_sender(Curator&, Shape&);
void plant_long_yielding(Curator&, Shape&);
void plant_long_sleep(Curator&, Shape&);

}  // namespace taskscope::gallery
