#include <catch2/catch.hpp>

#include "taskscope/console/analysis/findings.h"
#include "taskscope/console/analysis/stacks.h"
#include "taskscope/console/analysis/why.h"
#include "taskscope/console/analysis/words.h"
#include "taskscope/tests/console/app/commands/small_session.h"

using namespace taskscope;
using namespace taskscope::console;
using analysis::WhyKind;

namespace {

constexpr std::uint64_t kMs = 1'000'000;

/// The small session up to a moment, as a console that watches it live sees it then.
void watch_until(session::Model& model, std::uint64_t ticks) {
  for (auto& update : tests::small_session()) {
    if (std::holds_alternative<protocol::Goodbye>(update)) continue;
    if (auto* run = std::get_if<protocol::Events>(&update))
      std::erase_if(run->events, [&](const auto& event) { return event.ticks > ticks; });
    if (const auto* loss = std::get_if<protocol::Loss>(&update); loss && loss->to_ticks > ticks)
      continue;
    if (auto* point = std::get_if<protocol::ClockPoint>(&update))
      point->ticks = point->monotonic_ns = std::min(point->ticks, ticks);
    model.apply(std::move(update));
  }
  model.flush();
}

analysis::Why why(const session::Model& model, std::uint64_t task) {
  const auto* row = model.tasks().find(task);
  REQUIRE(row != nullptr);
  return analysis::why_not_running(model, *row);
}

/// A session with one task that waits as told.
void with_waits(session::Model& model, std::vector<protocol::BranchState> branches) {
  auto updates = tests::small_session();
  auto& walk = std::get<protocol::Snapshot>(updates[3]);
  walk.tasks[0].branches = std::move(branches);
  walk.has_stacks = walk.tasks[0].has_stacks = true;
  for (std::size_t i = 0; i < 4; ++i) model.apply(std::move(updates[i]));
  model.flush();
}

protocol::BranchState branch(std::uint16_t id, protocol::WaitOp op, std::uint64_t value = 0) {
  protocol::BranchState state;
  state.branch = id;
  state.op = op;
  state.value = value;
  state.site = 5;
  return state;
}

}  // namespace

TEST_CASE("why: a task that waits for a lock names it, since when, and its holder") {
  session::Model model;
  watch_until(model, 8 * kMs);
  const auto answer = why(model, 2);
  CHECK(answer.kind == WhyKind::Resource);
  CHECK(answer.text == "waits to lock mutex \"jobs\" for 4.00 ms, held by #3 (worker)");
  CHECK(answer.task == 3);
  CHECK(answer.resource == 7);
  CHECK(answer.site == 3);
}

TEST_CASE("why: a woken task is queued, since when and by whom") {
  session::Model model;
  watch_until(model, 13 * kMs);
  const auto answer = why(model, 2);
  CHECK(answer.kind == WhyKind::Scheduled);
  CHECK(answer.text.starts_with("queued"));
  CHECK(answer.text.find("woken by task #3 (worker)") != std::string::npos);
  CHECK(answer.task == 3);
}

TEST_CASE("why: a polled task says where and for how long") {
  session::Model model;
  watch_until(model, 20 * kMs);
  const auto answer = why(model, 2);
  CHECK(answer.kind == WhyKind::Polling);
  CHECK(answer.text == "polling on worker-one for 6.00 ms");
}

TEST_CASE("why: a select tells all alternatives, a timer when it is due") {
  session::Model model;
  watch_until(model, 10 * kMs);
  const auto answer = why(model, 3);
  CHECK(answer.kind == WhyKind::Several);
  CHECK(answer.text ==
        "waits for any of: to receive from mpsc #8 for 3.00 ms | for a timer, due in 50.0 ms");
  CHECK(answer.resource == 8);
}

TEST_CASE("why: a join is followed to what the child waits for") {
  session::Model model;
  watch_until(model, 8 * kMs);
  const auto answer = why(model, 1);
  CHECK(answer.kind == WhyKind::Child);
  CHECK(answer.task == 2);
  CHECK(answer.text ==
        "waits for task #2 (session), which waits to lock mutex \"jobs\" for 4.00 ms, held by #3 "
        "(worker)");
}

TEST_CASE("why: an exception that ended a task is told") {
  session::Model model;
  watch_until(model, 41 * kMs);
  const auto answer = why(model, 2);
  CHECK(answer.kind == WhyKind::Finished);
  CHECK(answer.text == "ended by an exception: it \"broke\"\n\xff");
}

TEST_CASE("why and stacks end where joins or branches go in circles") {
  session::Model joins;
  auto self = branch(0, protocol::WaitOp::Join);
  self.other = 1;  // waits for itself
  with_waits(joins, {self});
  CHECK(why(joins, 1).kind == WhyKind::Child);

  session::Model branches;
  auto root = branch(0, protocol::WaitOp::None);
  root.mode = protocol::BranchMode::Any;
  auto one = root, two = root;
  one.branch = 1;
  one.parent = 2;
  two.branch = 2;
  two.parent = 1;
  with_waits(branches, {root, one, two});
  CHECK(!why(branches, 1).text.empty());
  CHECK(!analysis::stack_lines(branches, *branches.tasks().find(1), true).empty());
}

TEST_CASE("why: numbers nobody knows yet have words") {
  session::Model model;
  with_waits(model, {branch(0, static_cast<protocol::WaitOp>(200))});
  CHECK(why(model, 1).text.starts_with("waits to use resource"));
}

TEST_CASE("stacks: frames stand root first, branches indented, equal ones together") {
  session::Model model;
  auto root = branch(0, protocol::WaitOp::None);
  root.mode = protocol::BranchMode::Any;
  root.frames = {6, 5};
  auto reads = branch(1, protocol::WaitOp::Readable, 9);
  reads.frames = {3};
  auto sleeps = branch(2, protocol::WaitOp::Sleep, 5);
  with_waits(model, {root, reads, sleeps});
  const auto* task = model.tasks().find(1);
  REQUIRE(task != nullptr);
  const std::vector<std::string> expected = {"/src/main.cpp:7  int main()",
                                             "/src/jobs.cpp:40  Task<void> work()",
                                             "waits for any of:",
                                             "  /src/jobs.cpp:30  Task<void> serve()",
                                             "  /src/jobs.cpp:40  Task<void> work()",
                                             "  waits until fd 9 is readable",
                                             "  /src/jobs.cpp:40  Task<void> work()",
                                             "  waits for a timer"};
  CHECK(analysis::stack_lines(model, *task, true) == expected);
  const auto groups = analysis::group_stacks(model);
  REQUIRE(groups.size() == 1);
  CHECK(groups[0].tasks == std::vector<std::uint64_t>{1});
  CHECK(groups[0].lines[5] == "  waits until a descriptor is readable");
}

TEST_CASE("findings: a long poll is a suspect, by its threshold, also while it goes on") {
  session::Model model;
  watch_until(model, 41 * kMs);
  CHECK(analysis::find_troubles(model).empty());  // once, for 20 ms: chance
  analysis::Thresholds strict;
  strict.blocking_poll_ns = 4'000'000;
  const auto found = analysis::find_troubles(model, strict);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == analysis::FindingKind::BlockingPoll);
  CHECK(found[0].tasks == std::vector<std::uint64_t>{2});
  analysis::Thresholds patient;
  patient.blocking_poll_ns = 25'000'000;
  CHECK(analysis::find_troubles(model, patient).empty());

  // As the window asks while a poll goes on: its worker's last record is its start.
  session::Model running;
  watch_until(running, 20 * kMs);
  CHECK(analysis::find_troubles(running).empty());
  running.apply(protocol::ClockPoint{30 * kMs, 30 * kMs, 1'700'000'000'030'000'000});
  running.flush();
  REQUIRE(running.now() == 30 * kMs);
  CHECK(analysis::find_troubles(running).size() == 1);

  analysis::Thresholds frames;
  frames.large_frame_bytes = 511;
  frames.blocking_poll_ns = 1'000'000'000;
  const auto large = analysis::find_troubles(model, frames);
  REQUIRE(large.size() == 1);  // those that live
  CHECK(large[0].tasks == std::vector<std::uint64_t>{3});
  CHECK(large[0].kind == analysis::FindingKind::LargeFrame);
  CHECK(large[0].certainty == analysis::Certainty::Certain);
}

TEST_CASE("durations are short and have units") {
  CHECK(analysis::duration_words(0) == "0 ns");
  CHECK(analysis::duration_words(999) == "999 ns");
  CHECK(analysis::duration_words(1'500) == "1.50 µs");
  CHECK(analysis::duration_words(12'340'000) == "12.3 ms");
  CHECK(analysis::duration_words(-2'000'000'000) == "-2.00 s");
  CHECK(analysis::duration_words(123'456'000'000) == "123 s");
}
