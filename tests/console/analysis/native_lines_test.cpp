#include <catch2/catch.hpp>

#include "taskscope/console/analysis/stacks.h"

using namespace taskscope;
using console::analysis::native_lines;
using console::analysis::native_stack_now;
using console::analysis::stack_lines;
using console::session::Model;

namespace {

/// Task 5 is polled by worker 1 from 2000 on. Ticks are nanoseconds.
void prepare(Model& model) {
  model.apply(protocol::Process{});
  model.apply(protocol::ClockPoint{1000, 1000, 5000});
  protocol::Events events{.ring = 1, .worker = 1, .tid = 7};
  protocol::Event spawned{.kind = protocol::EventKind::TaskSpawned, .ticks = 1500, .task = 5};
  protocol::Event started{.kind = protocol::EventKind::PollStarted, .ticks = 2000, .task = 5};
  events.events = {spawned, started};
  model.apply(std::move(events));
  model.flush();
}

protocol::NativeStack blocked() {
  return {.ticks = 20'000'000,
          .since_ticks = 10'000'000,
          .task = 5,
          .worker = 1,
          .tid = 7,
          .poll_sequence = 3,
          .in_kernel = true,
          .system_call = "read",
          .frames = {{0x7010, 2, false}, {0x401235, 1, true}, {0x99, 0, false}},
          .cut = true};
}

}  // namespace

TEST_CASE("native lines: names, places, and what is not known of a frame") {
  Model model;
  prepare(model);
  CHECK(stack_lines(model, *model.tasks().find(5), true) == std::vector<std::string>{"polling"});
  model.apply(std::vector<protocol::Module>{{1, 0x401000, 0x402000, 0x400000, "/opt/server", ""},
                                            {2, 0x7000, 0x8000, 0x6000, "/usr/lib/libc.so.6", ""}});
  model.apply(blocked());
  model.apply(std::vector<protocol::Symbol>{
      {1, 0x1234, {{"copy(char*)", "copy.h", 12}, {"app::load(int)", "/src/app.cpp", 34}}}});
  CHECK(stack_lines(model, *model.tasks().find(5), true) ==
        std::vector<std::string>{"polling, in one poll that blocks, in the system call read:",
                                 "  #0  /usr/lib/libc.so.6+0x1010",
                                 "  #1  copy.h:12  copy(char*)  (inlined)  (perhaps)",
                                 "  #2  /src/app.cpp:34  app::load(int)  (perhaps)",  //
                                 "  #3  0x99", "  ... callers could not be followed any further"});
}

TEST_CASE("native lines: the stack of an earlier poll is not shown under a later one") {
  Model model;
  prepare(model);
  model.apply(blocked());
  REQUIRE(native_stack_now(model, *model.tasks().find(5)) != nullptr);
  protocol::Events events{.ring = 1, .worker = 1, .tid = 7};
  protocol::Event ended{.kind = protocol::EventKind::PollEnded, .ticks = 30'000'000, .task = 5};
  ended.detail = static_cast<std::uint8_t>(protocol::PollEnd::Yielded);
  protocol::Event again{.kind = protocol::EventKind::PollStarted, .ticks = 40'000'000, .task = 5};
  events.events = {ended, again};
  model.apply(std::move(events));
  model.flush();
  REQUIRE(model.tasks().find(5)->state == protocol::TaskState::Running);
  CHECK(native_stack_now(model, *model.tasks().find(5)) == nullptr);
  CHECK(model.native_stack(5) != nullptr);  // it stays to be looked at
}

TEST_CASE("native lines: why there is no stack is said") {
  Model model;
  prepare(model);
  auto stack = blocked();
  stack.frames.clear();
  stack.problem = "its thread blocks signals, so it can't be asked while it runs";
  model.apply(std::move(stack));
  CHECK(native_lines(*model.native_stack(5)) ==
        std::vector<std::string>{
            "no native stack: its thread blocks signals, so it can't be asked while it runs"});
}
