/// What it takes to look at every task of a program: a census by the Inspector, with await stacks.
///
///     taskscope-census-bench [TASKS] [REPS]        100,000 tasks, 5 repetitions
///
/// Half of the tasks are parked three frames deep, half in a select with a sleep and a channel.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/tests/bench/measure.h"

namespace taskscope::bench {
namespace {

using namespace std::chrono_literals;
using runtime::Task;
namespace observe = runtime::observe;
namespace sync = runtime::sync;

Task<void> innermost(sync::Notify& never) { co_await never.notified(); }
Task<void> middle(sync::Notify& never) { co_await innermost(never); }
Task<void> parked_deep(sync::Notify& never) { co_await middle(never); }
Task<void> parked_in_branches(sync::Notify& never) {
  const auto result = co_await runtime::select(middle(never), runtime::time::sleep(24h));
  static_cast<void>(result);
}

struct Count final : observe::TaskVisitor {
  void visit(const observe::TaskView& view) override {
    ++tasks;
    idle += view.state == observe::TaskState::Idle ? 1 : 0;
    branches += view.branches.size();
    for (const auto& branch : view.branches) {
      frames += branch.frames.size();
      for (const auto& frame : branch.frames) lines += frame.line();
    }
  }
  std::uint64_t tasks = 0, idle = 0, branches = 0, frames = 0, lines = 0;
};

Count walk(observe::Inspector& inspector, observe::Detail detail) {
  Count count;
  observe::TaskCursor cursor;
  while (!cursor.done) inspector.visit_tasks(cursor, 1024, detail, count);
  return count;
}

void report(const char* detail, std::size_t tasks, std::size_t rep, const Interval& interval,
            const Count& count) {
  const double wall_ms = interval.wall_ns() / 1e6;
  std::printf(
      "{\"bench\":\"census\",\"tasks\":%zu,\"detail\":\"%s\",\"rep\":%zu,\"ms\":%.3f,\"cpu_ms\":%."
      "3f,"
      "\"ns_per_task\":%.1f,\"branches\":%" PRIu64 ",\"frames\":%" PRIu64 "}\n",
      tasks, detail, rep, wall_ms, interval.cpu_ns() / 1e6,
      interval.wall_ns() / static_cast<double>(tasks), count.branches, count.frames);
  std::fflush(stdout);
}

int run(std::size_t tasks, std::size_t reps) {
  auto runtime = runtime::Builder::multi_thread().worker_threads(2).build();
  sync::Notify never;
  for (std::size_t i = 0; i < tasks; ++i) {
    if (i % 2 == 0) {
      runtime.spawn(parked_deep(never)).detach();
    } else {
      runtime.spawn(parked_in_branches(never)).detach();
    }
  }
  auto& inspector = runtime.inspector();
  // A select has three branches: the await itself, and its arms.
  const std::size_t parked = (tasks + 1) / 2 + tasks / 2 * 3;
  while (walk(inspector, observe::Detail::Waits).branches < parked) std::this_thread::yield();
  for (std::size_t rep = 0; rep < reps; ++rep) {
    for (const auto& [detail, name] :
         {std::pair{observe::Detail::Facts, "facts"}, std::pair{observe::Detail::Waits, "waits"},
          std::pair{observe::Detail::Stacks, "stacks"}}) {
      const Interval interval;
      const Count count = walk(inspector, detail);
      report(name, tasks, rep, interval, count);
      must(count.tasks == tasks && count.idle == tasks, "tasks are missing or do not wait");
      // Three, or one and the arms' two and one.
      if (detail == observe::Detail::Stacks)
        must(count.frames == (tasks + 1) / 2 * 3 + tasks / 2 * 4, "frames are missing");
    }
  }
  runtime.shutdown();
  return 0;
}

std::size_t number(const char* text) {
  char* end = nullptr;
  const auto value = std::strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0' || value == 0 || value > 100'000'000) {
    std::fprintf(stderr, "usage: taskscope-census-bench [TASKS] [REPS]\n");
    std::exit(2);
  }
  return static_cast<std::size_t>(value);
}

}  // namespace
}  // namespace taskscope::bench

int main(int argc, char** argv) {
  using namespace taskscope::bench;
  return run(argc > 1 ? number(argv[1]) : 100'000, argc > 2 ? number(argv[2]) : 5);
}
