#include "taskscope/runtime/time/test_clock.h"

#include <stdexcept>
#include <string>

#include "taskscope/runtime/scheduler/driver_access.h"

namespace taskscope::runtime::time {

namespace {
TestClock& current_clock(const char* what, bool paused) {
  TestClock* const clock = scheduler::current_clock();
  if (clock == nullptr) {
    throw std::logic_error(std::string(what) +
                           " was called outside a current_thread runtime: only its clock can be "
                           "paused (Builder::current_thread)");
  }
  if (clock->is_paused() != paused) {
    throw std::logic_error(std::string(what) +
                           (paused ? " was called while the clock runs: pause it first"
                                   : " was called while the clock is paused"));
  }
  return *clock;
}
}  // namespace

void pause() { current_clock("time::pause", false).pause(); }

void resume() {
  current_clock("time::resume", true).resume();
  scheduler::clock_moved();
}

Task<void> advance(Duration by) {
  TestClock& clock = current_clock("time::advance", true);
  clock.advance_to(deadline_after(clock.now_ns(), by));
  scheduler::clock_moved();
  co_await yield_now();
}

}  // namespace taskscope::runtime::time
