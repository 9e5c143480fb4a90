/// What timers, I/O and blocking calls ask of the scheduler they run on. The scheduler implements
/// it.
#pragma once

#include <cstdint>

namespace taskscope::runtime::time {
class Timers;
class TestClock;
}  // namespace taskscope::runtime::time
namespace taskscope::runtime::io {
class Driver;
}
namespace taskscope::runtime::blocking {
class Pool;
}

namespace taskscope::runtime::scheduler {

/// The wheel of the calling worker; one of the runtime's wheels for other threads inside it
/// (block_on). Must be called inside a runtime.
[[nodiscard]] time::Timers& current_timers() noexcept;

/// A deadline was entered that is earlier than all others of this wheel: wakes the worker that
/// sleeps past it. The caller holds no lock.
void timer_inserted(time::Timers& timers, std::uint64_t deadline_ns) noexcept;

/// The clock of the current runtime, if it is one that can be paused; null outside.
[[nodiscard]] time::TestClock* current_clock() noexcept;
/// That clock was moved or let go: fires what came due.
void clock_moved() noexcept;

/// The driver and the pool of the runtime of the calling thread. Outside of one: throws
/// std::logic_error.
[[nodiscard]] io::Driver& current_driver();
[[nodiscard]] blocking::Pool& current_pool();

}  // namespace taskscope::runtime::scheduler
