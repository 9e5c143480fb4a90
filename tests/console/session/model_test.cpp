#include "taskscope/console/session/model.h"

#include <catch2/catch.hpp>
#include <random>

using namespace taskscope;
using console::session::kNone;
using console::session::Layer;
using console::session::Limits;
using console::session::Model;
using protocol::Event;
using protocol::EventKind;
using protocol::PollEnd;
using protocol::TaskState;

namespace {

/// Ticks are nanoseconds; session time begins at 1000.
Model& prepared(Model& model) {
  protocol::Process process;
  process.ticks_are_tsc = false;
  model.apply(process);
  model.apply(protocol::ClockPoint{1000, 1000, 5000});
  return model;
}

struct Run {
  protocol::Events events;
  explicit Run(std::uint64_t ring, std::uint32_t worker = 1) {
    events.ring = ring;
    events.worker = worker;
  }
  Event& add(EventKind kind, std::uint64_t ticks, std::uint64_t task = 0, std::uint64_t other = 0) {
    Event event;
    event.kind = kind;
    event.ticks = ticks;
    event.task = task;
    event.other = other;
    events.events.push_back(event);
    return events.events.back();
  }
  Run& poll(std::uint64_t task, std::uint64_t from, std::uint64_t to,
            PollEnd end = PollEnd::Pending) {
    add(EventKind::PollStarted, from, task);
    add(EventKind::PollEnded, to, task).detail = static_cast<std::uint8_t>(end);
    return *this;
  }
  Run& wait(std::uint64_t task, std::uint64_t at, protocol::WaitOp op, std::uint64_t other,
            std::uint32_t site) {
    auto& event = add(EventKind::Wait, at, task, other);
    event.detail = static_cast<std::uint8_t>(op);
    event.resource_kind = static_cast<std::uint8_t>(protocol::ResourceKind::Mutex);
    event.site = site;
    return *this;
  }
};

protocol::TaskSnapshot living(std::uint64_t task, std::uint64_t ticks, std::uint32_t polls,
                              TaskState state = TaskState::Idle) {
  protocol::TaskSnapshot entry;
  entry.task = task;
  entry.ticks = ticks;
  entry.polls = polls;
  entry.state = state;
  entry.site = 7;
  entry.spawned_ms = 0;
  return entry;
}

protocol::Snapshot walk(std::uint64_t id, std::uint64_t begin,
                        std::vector<protocol::TaskSnapshot> tasks, bool last = true) {
  protocol::Snapshot snapshot;
  snapshot.id = id;
  snapshot.begin_ticks = begin;
  snapshot.last = last;
  snapshot.has_waits = true;
  snapshot.tasks = std::move(tasks);
  return snapshot;
}

}  // namespace

TEST_CASE("an id that nothing defines becomes a placeholder row") {
  Model model;
  Run run(1);
  run.poll(42, 2000, 2500).wait(42, 2500, protocol::WaitOp::Lock, 9, 3);
  prepared(model).apply(run.events);
  model.flush();
  const auto* task = model.tasks().find(42);
  REQUIRE(task != nullptr);
  CHECK(task->placeholder);
  CHECK(task->polls == 1);
  CHECK(task->state == TaskState::Idle);
  REQUIRE(task->waits.size() == 1);
  const auto* resource = model.resource(9);
  REQUIRE(resource != nullptr);
  CHECK(resource->placeholder);
  CHECK(resource->waiters == 1);
  CHECK(model.waiters_of(9) == std::vector<std::uint64_t>{42});

  Run end(1);
  end.add(EventKind::TaskFinished, 3000, 42).site = 8;
  model.apply(end.events);
  model.flush();
  CHECK(model.tasks().find(42)->site == 8);
  CHECK(model.resource(9)->waiters == 0);
}

TEST_CASE("a wake of another ring counts although its chunk comes after the poll's") {
  Model model;
  Run worker(1), other(2, 2);
  worker.add(EventKind::TaskSpawned, 1500, 5);
  worker.poll(5, 2000, 2100).poll(5, 3000, 3200);
  other.add(EventKind::Woken, 2700, 5, 6);
  prepared(model).apply(worker.events);
  model.apply(other.events);
  model.flush();
  const auto* task = model.tasks().find(5);
  REQUIRE(task != nullptr);
  CHECK(task->scheduled == 500 + 300);
  CHECK(task->busy == 300);
  CHECK(task->idle(3200) == 600);
  CHECK(task->last_wake.by == 6);
  CHECK(model.totals().late == 0);
}

TEST_CASE("names, fields, errors and branches arrive") {
  Model model;
  Run run(1);
  auto& spawned = run.add(EventKind::TaskSpawned, 1500, 5, 4);
  spawned.site = 3;
  spawned.text = 1;
  spawned.fields = 2;
  spawned.field_count = 2;
  run.events.texts = {"connection", "peer=::1", "kind=reader", "out of luck"};
  run.poll(5, 2000, 2100);
  auto& root = run.add(EventKind::Wait, 2100, 5);
  root.mode = static_cast<std::uint8_t>(protocol::BranchMode::Any);
  for (std::uint16_t branch = 1; branch <= 2; ++branch) {
    auto& arm = run.add(EventKind::Wait, 2100, 5, branch == 1 ? 77u : 0u);
    arm.branch = branch;
    arm.detail =
        static_cast<std::uint8_t>(branch == 1 ? protocol::WaitOp::Recv : protocol::WaitOp::Sleep);
    arm.site = 20u + branch;
  }
  prepared(model).apply(run.events);
  model.flush();
  const auto* task = model.tasks().find(5);
  REQUIRE(task != nullptr);
  CHECK(task->name() == "connection");
  REQUIRE(task->fields().size() == 2);
  CHECK(task->fields()[1] == "kind=reader");
  REQUIRE(task->waits.size() == 3);
  CHECK(task->waits[0].mode == protocol::BranchMode::Any);
  REQUIRE(task->await_group != kNone);
  const auto& kind = model.wait_kinds()[model.tasks().await_groups()[task->await_group].wait];
  CHECK(kind.op == protocol::WaitOp::Recv);
  CHECK(kind.site == 21);

  Run end(1);
  end.add(EventKind::WaitCancelled, 2200, 5).branch = 1;
  model.apply(end.events);
  model.flush();
  CHECK(model.tasks().find(5)->waits.size() == 2);
  CHECK(model.resource(77)->waiters == 0);
  Run finish(1);
  auto& finished = finish.add(EventKind::TaskFinished, 2300, 5);
  finished.detail = static_cast<std::uint8_t>(protocol::Outcome::Exception);
  finished.text = 1;
  finish.events.texts = {"out of luck"};
  model.apply(finish.events);
  model.flush();
  CHECK(model.tasks().find(5)->error() == "out of luck");
  CHECK(model.tasks().find(5)->outcome == protocol::Outcome::Exception);
}

TEST_CASE("an attach: the walk tells of the living, events go on from there") {
  Model model;
  prepared(model);
  auto idle = living(10, 200'000, 5);
  idle.name = "old";
  idle.last_poll_ms = 0;
  protocol::BranchState wait;
  wait.op = protocol::WaitOp::Lock;
  wait.other = 3;
  wait.site = 12;
  wait.frames = {1, 2, 12};
  idle.branches = {wait};
  idle.has_stacks = true;
  auto busy = living(11, 200'000, 8, TaskState::Running);
  Run run(1);
  run.add(EventKind::ObservedFrom, 150'000);
  run.add(EventKind::Woken, 300'000, 10, 11);
  run.add(EventKind::PollEnded, 310'000, 11).detail = static_cast<std::uint8_t>(PollEnd::Pending);
  run.poll(10, 320'000, 330'000);
  model.apply(run.events);
  model.apply(walk(1, 160'000, {idle, busy}));
  model.flush();
  const auto* task = model.tasks().find(10);
  REQUIRE(task != nullptr);
  CHECK(task->polls == 6);
  CHECK(task->spawned_about);
  CHECK_FALSE(task->placeholder);
  CHECK(task->name() == "old");
  CHECK(task->scheduled == 20'000);
  const auto* stack = model.stack(10);
  REQUIRE(stack != nullptr);
  CHECK(stack->branches[0].frames == std::vector<std::uint32_t>{1, 2, 12});
  // It was being polled when the records began: known to be busy since then.
  const auto* other = model.tasks().find(11);
  REQUIRE(other != nullptr);
  CHECK(other->polls == 8);
  CHECK(other->busy == 160'000);
  CHECK(other->state == TaskState::Idle);
  CHECK(model.snapshots_completed() == 1);
}

TEST_CASE("walk after walk, a task that sleeps on has waited once") {
  Model model;
  prepared(model);
  auto sleeping = living(10, 200'000'000, 5);
  sleeping.last_poll_ms = 50;
  sleeping.branches.resize(1);
  sleeping.branches[0].op = protocol::WaitOp::Sleep;
  sleeping.branches[0].site = 9;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    sleeping.ticks += 1'000'000;
    model.apply(walk(i, sleeping.ticks - 1, {sleeping}));
    model.flush();
  }
  REQUIRE(model.tasks().await_groups().size() == 1);
  CHECK(model.tasks().await_groups()[0].ever == 1);
  CHECK(model.tasks().await_groups()[0].waiting == 1);
  CHECK(model.tasks().find(10)->state_since == 50'000'000);
}

TEST_CASE("what finished while the walk went on stays finished") {
  Model model;
  prepared(model);
  Run run(1);
  run.add(EventKind::TaskFinished, 250'000, 10);
  model.apply(run.events);
  model.flush();
  model.apply(walk(1, 160'000, {living(10, 200'000, 5)}));
  model.flush();
  CHECK(model.tasks().live() == 0);
  CHECK_FALSE(model.tasks().find(10)->alive());
}

TEST_CASE(
    "what a completed walk did not find is gone; younger tasks and partial walks change nothing") {
  Model model;
  prepared(model);
  Run run(1);
  for (std::uint64_t task = 1; task <= 4; ++task)
    run.add(EventKind::TaskSpawned, 2000 + task, task);
  run.add(EventKind::TaskSpawned, 600'000, 9);
  model.apply(run.events);
  model.apply(walk(1, 500'000, {living(1, 500'100, 0)}, false));
  model.flush();
  CHECK(model.tasks().live() == 5);
  model.apply(walk(2, 500'000, {living(1, 500'200, 0), living(2, 500'201, 0)}));
  model.flush();
  CHECK(model.tasks().find(1)->alive());
  CHECK(model.tasks().find(2)->alive());
  CHECK(model.tasks().find(3)->vanished);
  CHECK(model.tasks().find(4)->vanished);
  CHECK(model.tasks().find(9)->alive());
}

TEST_CASE("losses are counted, drawn as gaps, and the next walk mends what they hid") {
  Model model;
  prepared(model);
  Run run(1);
  run.add(EventKind::ObservedFrom, 1500);
  run.add(EventKind::TaskSpawned, 2000, 5);
  run.add(EventKind::PollStarted, 3000, 5);
  model.apply(run.events);
  protocol::Loss loss;
  loss.producer = 1;
  loss.events = 100;
  loss.polls = 40;
  loss.spawns = 2;
  loss.wakes = 50;
  loss.from_ticks = 3100;
  loss.to_ticks = 9000;
  model.apply(loss);
  loss.producer = 0;
  loss.cause = protocol::LossCause::SlowConsumer;
  loss.chunks = 3;
  model.apply(loss);
  Run after(1);
  after.add(EventKind::Resync, 9000);
  model.apply(after.events);
  model.flush();
  CHECK(model.totals().lost_events == 200);
  CHECK(model.totals().lost_polls == 80);
  CHECK(model.totals().lost_chunks == 3);
  REQUIRE(model.losses().size() == 2);
  CHECK(model.losses()[0].lane == 0);
  REQUIRE(model.lanes()[0]->gaps.size() == 1);
  CHECK(model.lanes()[0]->gaps[0].from == 3100);
  REQUIRE(model.gaps().size() == 1);
  CHECK(model.tasks().find(5)->state == TaskState::Idle);
  CHECK(model.lanes()[0]->current_task == 0);

  model.apply(walk(1, 9100, {living(5, 9200, 41, TaskState::Scheduled)}));
  model.flush();
  const auto* task = model.tasks().find(5);
  CHECK(task->polls == 41);
  CHECK(task->state == TaskState::Scheduled);
  CHECK(task->counts_incomplete);
}

TEST_CASE("resources know their holders") {
  Model model;
  prepared(model);
  Run run(1);
  auto& made = run.add(EventKind::ResourceRegistered, 2000, 0, 50);
  made.resource_kind = static_cast<std::uint8_t>(protocol::ResourceKind::Semaphore);
  made.site = 4;
  made.text = 1;
  made.fields = 2;
  run.events.texts = {"permits", "Semaphore"};
  auto& one = run.add(EventKind::ResourceAcquired, 2100, 5, 50);
  one.detail = 1;
  one.extra = 2;
  run.add(EventKind::ResourceAcquired, 2200, 6, 50).extra = 1;
  model.apply(run.events);
  model.flush();
  const auto* resource = model.resource(50);
  REQUIRE(resource != nullptr);
  CHECK(resource->name == "permits");
  CHECK(resource->concrete_type == "Semaphore");
  REQUIRE(resource->holders.size() == 2);
  CHECK(resource->holders[0].certain);
  CHECK_FALSE(resource->holders[1].certain);
  Run later(1);
  later.add(EventKind::ResourceReleased, 2300, 5, 50).extra = 2;
  model.apply(later.events);
  model.flush();
  REQUIRE(model.resource(50)->holders.size() == 1);
  CHECK(model.resource(50)->holders[0].task == 6);
  Run end(1);
  end.add(EventKind::ResourceDropped, 2400, 0, 50);
  model.apply(end.events);
  model.flush();
  CHECK(model.resource(50)->dropped == 2400);
}

TEST_CASE("an open poll and an open park reach to now") {
  Model model;
  prepared(model);
  Run one(1, 1), two(2, 2);
  one.add(EventKind::PollStarted, 5000, 3);
  two.add(EventKind::WorkerParked, 6000);
  model.apply(one.events);
  model.apply(two.events);
  protocol::Samples samples;
  samples.ticks = 1'000'000;
  samples.workers.resize(2);
  samples.workers[0].worker = 1;
  samples.workers[1].worker = 2;
  samples.workers[1].queue_depth = 17;
  model.apply(samples);
  model.flush();
  std::vector<console::session::Slice> polls, parks;
  model.slices(model.lane_of_worker(1), Layer::Polls, 0, 2'000'000, 1, polls);
  REQUIRE(polls.size() == 1);
  CHECK(polls[0].open);
  CHECK(polls[0].task == 3);
  CHECK(polls[0].to_ns == model.now_ns());
  model.slices(model.lane_of_worker(2), Layer::Parks, 0, 2'000'000, 1, parks);
  REQUIRE(parks.size() == 1);
  CHECK(parks[0].open);
  CHECK(model.lanes()[1]->samples.back().sample.queue_depth == 17);
}

TEST_CASE("a hostile target does not crash the model, and its memory stays bounded") {
  Limits limits;
  limits.live_tasks = 500;
  limits.finished_tasks = 100;
  limits.resources = 300;
  limits.dropped_resources = 50;
  limits.lanes = 20;
  limits.gaps_per_lane = 30;
  limits.sites = 100;
  limits.samples_per_worker = 64;
  limits.merge_events = 2000;
  limits.stacks = 50;
  limits.shown_task_tracks = 16;
  limits.branches_per_task = 8;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    const auto pick = [&](std::uint64_t limit) { return random() % limit; };
    const auto wild = [&]() -> std::uint64_t { return random() >> pick(64); };
    Model model(limits);
    std::uint64_t ticks = 1000;
    for (int i = 0; i < 400; ++i) {
      ticks += pick(1'000'000);
      switch (pick(8)) {
        case 0:
          model.apply(protocol::ClockPoint{pick(4) == 0 ? wild() : ticks, wild(), wild()});
          break;
        case 1: {
          protocol::Loss loss;
          loss.producer = pick(30);
          loss.cause = static_cast<protocol::LossCause>(pick(9));
          loss.events = wild();
          loss.from_ticks = wild();
          loss.to_ticks = wild();
          model.apply(loss);
          break;
        }
        case 2: {
          auto snapshot = walk(pick(5), ticks, {}, pick(2) == 0);
          for (auto n = pick(20); n > 0; --n) {
            snapshot.tasks.push_back(living(pick(900), pick(4) == 0 ? wild() : ticks,
                                            static_cast<std::uint32_t>(wild()),
                                            static_cast<TaskState>(pick(4))));
            auto& task = snapshot.tasks.back();
            task.has_stacks = pick(2) == 0;
            task.branches.resize(pick(12));
            task.spawned_ms = wild();
            task.last_poll_ms = wild();
            for (auto& branch : task.branches) {
              branch.other = pick(500);
              branch.op = static_cast<protocol::WaitOp>(pick(40));
            }
          }
          for (auto n = pick(20); n > 0; --n) {
            protocol::ResourceSnapshot resource;
            resource.resource = pick(900);
            resource.holders.resize(pick(2000));
            snapshot.resources.push_back(resource);
          }
          model.apply(snapshot);
          break;
        }
        case 3: {
          protocol::Samples samples;
          samples.ticks = wild();
          samples.workers.resize(pick(40));
          for (auto& worker : samples.workers) worker.worker = static_cast<std::uint32_t>(wild());
          samples.runtimes.resize(pick(4));
          for (auto& runtime : samples.runtimes)
            runtime.runtime = static_cast<std::uint32_t>(wild());
          samples.cost = protocol::CostSample{};
          model.apply(samples);
          break;
        }
        case 4: {
          std::vector<protocol::Site> sites(pick(50));
          for (auto& site : sites) {
            site.id = static_cast<std::uint32_t>(wild());
            site.file.assign(pick(10'000), 'x');
          }
          model.apply(sites);
          break;
        }
        default: {
          protocol::Events run;
          run.ring = wild();
          run.worker = static_cast<std::uint32_t>(pick(30));
          run.texts = {"a", std::string(10'000, 'b')};
          for (auto n = pick(300); n > 0; --n) {
            Event event;
            event.kind = static_cast<EventKind>(pick(24));
            event.detail = static_cast<std::uint8_t>(pick(40));
            event.mode = static_cast<std::uint8_t>(pick(5));
            event.resource_kind = static_cast<std::uint8_t>(pick(40));
            event.branch = static_cast<std::uint16_t>(wild());
            event.site = static_cast<std::uint32_t>(wild());
            event.text = static_cast<std::uint32_t>(pick(5));
            event.fields = static_cast<std::uint32_t>(wild());
            event.field_count = static_cast<std::uint32_t>(wild());
            event.extra = static_cast<std::uint32_t>(wild());
            event.ticks = pick(50) == 0 ? wild() : ticks += pick(1000);
            event.task = pick(20) == 0 ? wild() : pick(2000);
            event.other = pick(20) == 0 ? wild() : pick(2000);
            event.value = wild();
            run.events.push_back(event);
          }
          model.apply(run, {ticks, 1});
        }
      }
      if (i % 20 == 0) {
        std::vector<console::session::StateSlice> states;
        model.task_slices(pick(2000), -1'000'000'000, 1'000'000'000, 1000, states);
        std::vector<console::session::Slice> slices;
        const auto lane = static_cast<std::uint32_t>(pick(25));
        model.slices(lane, Layer::Polls, INT64_MIN, INT64_MAX, 1'000'000, slices);
        model.slices(lane, Layer::Parks, model.begin_ns(), model.now_ns(), 0, slices);
      }
      if (i == 300) model.drop_chunks_before(ticks / 2);
    }
    model.flush();
    CHECK(model.tasks().live() <= limits.live_tasks);
    CHECK(model.tasks().size() <= limits.live_tasks + limits.finished_tasks);
    CHECK(model.lanes().size() <= limits.lanes);
    CHECK(model.resources().size() <= limits.resources + limits.dropped_resources);
    CHECK(model.stacks().size() <= limits.stacks);
    CHECK(model.gaps().size() <= limits.gaps_per_lane);
    std::uint64_t listed = 0;
    for (const auto& group : model.tasks().call_groups()) listed += group.live();
    CHECK(listed == model.tasks().live());
    (void)model.memory();
  }
}
