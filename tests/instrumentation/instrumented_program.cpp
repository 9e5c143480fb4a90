/// A program without a runtime that records a known number of events: instrumented_program POLLS.
/// It prints "ready" before and "done" after, and waits for a line on stdin when POLLS is 0.

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "taskscope/instrumentation/init.h"
#include "taskscope/instrumentation/recorder.h"

using namespace taskscope::runtime::observe;
namespace recorder = taskscope::instrumentation::recorder;

int main(int, char** arguments) {
  const bool is_observable = taskscope::instrumentation::init();
  const bool again = taskscope::instrumentation::init();  // changes nothing
  std::printf("ready %d %d\n", is_observable ? 1 : 0, again ? 1 : 0);
  std::fflush(stdout);
  const unsigned long polls = std::strtoul(arguments[1], nullptr, 10);
  if (polls == 0) {
    std::getchar();
    std::printf("done\n");
    return 0;
  }
  std::thread worker([polls] {
    for (unsigned long poll = 0; poll < polls; ++poll) {
      const TaskId task{1 + poll % 100};
      if (recorder::wants(Event::Poll)) recorder::poll_started(task, WorkerId{1}, read_ticks());
      if (recorder::wants(Event::Poll))
        recorder::poll_ended(task, read_ticks(), PollEnd::Yielded, {});
    }
  });
  worker.join();
  std::printf("done\n");
  return 0;
}
