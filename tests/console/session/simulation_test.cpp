// The model against a program whose every fact is known.
#include <catch2/catch.hpp>

#include "taskscope/console/session/model.h"
#include "taskscope/tests/console/session/simulated_program.h"

using namespace taskscope;
using console::session::kNone;
using console::session::Layer;
using console::session::Limits;
using console::session::Model;
using protocol::TaskState;

namespace {

void feed(Model& model, const std::vector<protocol::Update>& updates) {
  for (const auto& update : updates) model.apply(protocol::Update(update));
  model.flush();
}

struct Sums {
  std::uint64_t polls = 0;
  std::int64_t busy_ns = 0;
};

Sums sum_of(const Model& model, std::int64_t resolution_ns) {
  Sums sums;
  for (const auto& lane : model.lanes()) {
    std::vector<console::session::Slice> slices;
    model.slices(lane->index, Layer::Polls, model.begin_ns(), model.now_ns() + 1, resolution_ns,
                 slices);
    for (const auto& slice : slices) {
      sums.polls += slice.polls;
      sums.busy_ns += slice.busy_ns;
    }
  }
  return sums;
}

}  // namespace

TEST_CASE("tables equal what the simulated program did, whatever ring a record came from") {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u}) {
    const tests::SimulatedProgram program(
        {.seed = seed, .workers = static_cast<std::uint32_t>(seed)});
    Model model;
    feed(model, program.updates);
    CHECK(model.ended());
    CHECK_FALSE(model.dead());
    const auto& totals = model.totals();
    CHECK(totals.spawned == program.spawned);
    CHECK(totals.finished == program.finished);
    CHECK(totals.polls_started == program.polls);
    CHECK(totals.polls_ended == program.polls);
    CHECK(totals.wakes == program.wakes);
    CHECK(totals.late == 0);
    CHECK(totals.bogus == 0);
    CHECK(model.tasks().live() == program.spawned - program.finished);
    REQUIRE(model.tasks().size() == program.tasks.size());

    std::size_t wrong = 0;
    std::uint64_t busy = 0;
    for (const auto& [id, expected] : program.tasks) {
      const auto* task = model.tasks().find(id);
      REQUIRE(task != nullptr);
      busy += expected.busy;
      const bool right = task->parent == expected.parent && task->site == expected.site &&
                         task->spawned == expected.spawned && task->finished == expected.finished &&
                         task->state == expected.state && task->polls == expected.polls &&
                         task->wakes == expected.wakes && task->self_wakes == expected.self_wakes &&
                         task->busy == expected.busy && task->scheduled == expected.scheduled &&
                         task->max_poll == expected.longest &&
                         task->state_since == expected.since && !task->placeholder &&
                         !task->spawned_about;
      if (!right) ++wrong;
      if (expected.state == TaskState::Idle) {
        if (task->waits.size() != 1 || task->waits[0].site != expected.wait_site) ++wrong;
      }
      if (expected.polls > 1) {
        const auto* histograms = model.tasks().histograms(*task);
        if (histograms == nullptr || histograms->polls.total() != expected.polls) ++wrong;
      }
    }
    CHECK(wrong == 0);
    CHECK(sum_of(model, 1'000'000'000).polls == program.polls);
    CHECK(sum_of(model, 0).polls == program.polls);
    CHECK(sum_of(model, 0).busy_ns == static_cast<std::int64_t>(busy));
  }
}

TEST_CASE("groups add up to their tasks, and the longest wait comes first") {
  const tests::SimulatedProgram program({.seed = 11, .tasks = 400});
  Model model;
  feed(model, program.updates);
  const auto& tasks = model.tasks();
  std::uint64_t polls = 0, live = 0, finished = 0;
  for (const auto& group : tasks.call_groups()) {
    polls += group.polls;
    live += group.live();
    finished += group.by_state[3];
    std::uint64_t members = 0, last = 0;
    for (auto slot = group.first_member; slot != kNone; slot = tasks.next_member(slot)) {
      CHECK(tasks.at(slot)->site == group.site);
      ++members;
    }
    CHECK(members == group.live() + group.by_state[3]);
    std::uint64_t waiting = 0;
    for (auto slot = group.longest_waiting; slot != kNone;
         slot = tasks.next_waiting_of_call(slot)) {
      CHECK(tasks.at(slot)->state_since >= last);
      last = tasks.at(slot)->state_since;
      ++waiting;
    }
    CHECK(waiting == group.by_state[0]);
  }
  CHECK(polls == program.polls);
  CHECK(live == program.spawned - program.finished);
  CHECK(finished == program.finished);
  std::uint64_t idle = 0, waiting = 0;
  for (const auto& [id, task] : program.tasks) idle += task.state == TaskState::Idle;
  for (const auto& group : tasks.await_groups()) {
    std::uint64_t members = 0;
    for (auto slot = group.longest_waiting; slot != kNone;
         slot = tasks.next_waiting_of_await(slot)) {
      CHECK(tasks.at(slot)->waits.front().site == model.wait_kinds()[group.wait].site);
      ++members;
    }
    CHECK(members == group.waiting);
    waiting += members;
  }
  CHECK(waiting == idle);
  std::uint64_t waiters = 0;
  for (const auto& [id, resource] : model.resources()) {
    CHECK(model.waiters_of(id).size() == resource.waiters);
    waiters += resource.waiters;
  }
  CHECK(waiters == idle);
}

TEST_CASE("a task's lane covers its life without holes, and agrees with its sums") {
  const tests::SimulatedProgram program({.seed = 21, .polls = 5000, .tasks = 40});
  Model model;
  std::size_t half = program.updates.size() / 2;
  for (std::size_t i = 0; i < half; ++i) model.apply(protocol::Update(program.updates[i]));
  // Some tracks are shown early and kept up, the others built at the end.
  std::vector<std::uint64_t> early;
  for (std::uint64_t id = 1; id <= 20; ++id) early.push_back(id);
  model.show_tasks(early);
  for (std::size_t i = half; i < program.updates.size(); ++i)
    model.apply(protocol::Update(program.updates[i]));
  model.flush();
  for (const auto& [id, expected] : program.tasks) {
    std::vector<console::session::StateSlice> slices;
    model.task_slices(id, model.begin_ns(), model.now_ns() + 1, 0, slices);
    std::int64_t busy = 0, scheduled = 0, polls = 0;
    auto at = model.clock().ns(expected.spawned);
    bool whole = true;
    for (const auto& slice : slices) {
      if (slice.state == TaskState::Finished) continue;
      whole = whole && slice.from_ns == at && slice.to_ns >= slice.from_ns;
      at = slice.to_ns;
      if (slice.state == TaskState::Running) {
        busy += slice.to_ns - slice.from_ns;
        polls += slice.polls;
      }
      if (slice.state == TaskState::Scheduled && !slice.open)
        scheduled += slice.to_ns - slice.from_ns;
    }
    CHECK(whole);
    CHECK(at == (expected.finished != 0 ? model.clock().ns(expected.finished) : model.now_ns()));
    CHECK(busy == static_cast<std::int64_t>(expected.busy));
    CHECK(polls == static_cast<std::int64_t>(expected.polls));
    CHECK(scheduled == static_cast<std::int64_t>(expected.scheduled));

    // Folded, nothing is lost either.
    std::vector<console::session::StateSlice> folded;
    model.task_slices(id, model.begin_ns(), model.now_ns() + 1, 5'000'000, folded);
    std::int64_t folded_polls = 0, folded_busy = 0;
    for (const auto& slice : folded) {
      if (slice.state != TaskState::Running) continue;
      folded_polls += slice.polls;
      folded_busy += slice.busy_ns;
    }
    CHECK(folded_polls == polls);
    CHECK(folded_busy == busy);
    CHECK(folded.size() <= slices.size());
  }
}

TEST_CASE("finished tasks are kept up to the limit, and all are counted") {
  const tests::SimulatedProgram program({.seed = 31});
  Limits limits;
  limits.finished_tasks = 10;
  Model model(limits);
  feed(model, program.updates);
  REQUIRE(program.finished > 20);
  CHECK(model.totals().finished == program.finished);
  CHECK(model.tasks().live() == program.spawned - program.finished);
  CHECK(model.tasks().size() == model.tasks().live() + 10);
  CHECK(model.tasks().dropped() == program.finished - 10);
  std::uint64_t polls = 0;
  for (const auto& group : model.tasks().call_groups()) polls += group.polls;
  CHECK(polls == program.polls);
}

TEST_CASE("the model forgets what the spool dropped") {
  const tests::SimulatedProgram program({.seed = 41, .polls = 60'000});
  Model model;
  std::uint64_t offset = 0;
  for (const auto& update : program.updates)
    model.apply(protocol::Update(update), {offset += 100, 100});
  model.flush();
  const auto chunks = model.chunks().size();
  model.drop_chunks_before(offset / 2);
  CHECK(model.chunks().size() < chunks);
  CHECK(model.begin() > program.kBegin);
  CHECK(sum_of(model, 0).polls < program.polls);
  CHECK(model.totals().polls_ended == program.polls);
  REQUIRE(model.losses().size() == 1);
  CHECK(model.losses()[0].cause == protocol::LossCause::SpoolCapped);
  CHECK(model.losses()[0].chunks == chunks - model.chunks().size());
}
