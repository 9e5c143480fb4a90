#include "taskscope/tests/console/app/commands/small_session.h"

namespace taskscope::tests {
namespace {

using namespace protocol;

constexpr std::uint64_t kMs = 1'000'000;

template <class Enum>
std::uint8_t byte(Enum value) {
  return static_cast<std::uint8_t>(value);
}

Event at(std::uint64_t ticks, EventKind kind, std::uint64_t task = 0, std::uint8_t detail = 0) {
  Event event;
  event.ticks = ticks;
  event.kind = kind;
  event.task = task;
  event.detail = detail;
  return event;
}

Event spawned(std::uint64_t ticks, std::uint64_t task, std::uint32_t site, std::uint32_t text) {
  Event event = at(ticks, EventKind::TaskSpawned, task, byte(TaskKind::Task));
  event.other = 1;
  event.site = site;
  event.text = text;
  event.extra = 512;
  return event;
}

Event wait(std::uint64_t ticks, std::uint64_t task, WaitOp op, ResourceKind kind,
           std::uint64_t other, std::uint32_t site) {
  Event event = at(ticks, EventKind::Wait, task, byte(op));
  event.resource_kind = byte(kind);
  event.other = other;
  event.site = site;
  return event;
}

Event resource(std::uint64_t ticks, std::uint64_t id, ResourceKind kind, std::uint32_t text) {
  Event event = at(ticks, EventKind::ResourceRegistered);
  event.other = id;
  event.resource_kind = byte(kind);
  event.text = text;
  event.site = 4;
  return event;
}

Events first_worker() {
  Events run;
  run.ring = 1;
  run.worker = 1;
  run.tid = 101;
  run.thread_name = "worker-one";
  run.texts = {"session", "jobs", "it \"broke\"\n\xff"};
  run.events = {
      at(1 * kMs, EventKind::ObservedFrom),
      spawned(2 * kMs, 2, 1, 1),
      resource(2 * kMs, 7, ResourceKind::Mutex, 2),
      at(3 * kMs, EventKind::PollStarted, 2),
      at(4 * kMs, EventKind::PollEnded, 2, byte(PollEnd::Pending)),
      wait(4 * kMs, 2, WaitOp::Lock, ResourceKind::Mutex, 7, 3),
      at(5 * kMs, EventKind::WorkerParked),
      at(10 * kMs, EventKind::WorkerUnparked),
      at(14 * kMs, EventKind::PollStarted, 2),
  };
  Event woken = at(20 * kMs, EventKind::Woken, 3, byte(WakeCause::Task));
  woken.other = 2;
  woken.value = 8;
  run.events.push_back(woken);
  Event finished = at(34 * kMs, EventKind::TaskFinished, 2, byte(Outcome::Exception));
  finished.site = 1;
  finished.text = 3;
  run.events.push_back(finished);
  run.events.push_back(at(34 * kMs, EventKind::PollEnded, 2, byte(PollEnd::Ready)));
  run.events.push_back(at(40 * kMs, EventKind::WorkerParked));
  return run;
}

Events second_worker() {
  Events run;
  run.ring = 2;
  run.worker = 2;
  run.tid = 102;
  run.thread_name = "worker-two";
  run.texts = {"worker"};
  Event acquired = at(6 * kMs, EventKind::ResourceAcquired, 3, 1);
  acquired.other = 7;
  acquired.extra = 1;
  Event select = at(7 * kMs, EventKind::Wait, 3, byte(WaitOp::None));
  select.mode = byte(BranchMode::Any);
  select.site = 5;
  Event recv = wait(7 * kMs, 3, WaitOp::Recv, ResourceKind::Mpsc, 8, 5);
  recv.branch = 1;
  Event sleep = wait(7 * kMs, 3, WaitOp::Sleep, ResourceKind::Timer, 0, 5);
  sleep.branch = 2;
  sleep.value = 60 * kMs;
  Event woken = at(13 * kMs, EventKind::Woken, 2, byte(WakeCause::Task));
  woken.other = 3;
  woken.value = 7;
  run.events = {at(1 * kMs, EventKind::ObservedFrom),
                spawned(3 * kMs, 3, 2, 1),
                at(5 * kMs, EventKind::PollStarted, 3),
                acquired,
                at(7 * kMs, EventKind::PollEnded, 3, byte(PollEnd::Pending)),
                select,
                recv,
                sleep,
                woken,
                at(41 * kMs, EventKind::WorkerParked)};
  return run;
}

}  // namespace

std::vector<Update> small_session() {
  Process process;
  process.pid = 4711;
  process.name = "small";
  process.command_line = "small --now";
  process.host = "here";
  process.wall_ns = 1'700'000'000'000'000'000;
  Snapshot walk;
  walk.id = 1;
  walk.begin_ticks = 1 * kMs;
  walk.last = true;
  walk.has_waits = true;
  TaskSnapshot main;
  main.ticks = 1 * kMs;
  main.task = 1;
  main.kind = TaskKind::BlockOn;
  main.name = "main";
  main.site = 6;
  main.polls = 1;
  main.branches.emplace_back();
  main.branches[0].op = WaitOp::Join;
  main.branches[0].resource_kind = ResourceKind::Join;
  main.branches[0].other = 2;
  main.branches[0].site = 6;
  walk.tasks = {main};
  Loss loss;
  loss.producer = 1;
  loss.events = 5;
  loss.polls = 2;
  loss.from_ticks = 35 * kMs;
  loss.to_ticks = 36 * kMs;
  return {
      process,
      std::vector<Site>{{1, "/src/server.cpp", "void accept()", 10, 1},
                        {2, "/src/server.cpp", "void start()", 20, 1},
                        {3, "/src/jobs.cpp", "Task<void> serve()", 30, 1},
                        {4, "/src/jobs.cpp", "Jobs::Jobs()", 5, 1},
                        {5, "/src/jobs.cpp", "Task<void> work()", 40, 1},
                        {6, "/src/main.cpp", "int main()", 7, 1}},
      ClockPoint{1 * kMs, 1 * kMs, 1'700'000'000'000'000'000},
      walk,
      first_worker(),
      second_worker(),
      loss,
      ClockPoint{41 * kMs, 41 * kMs, 1'700'000'000'040'000'000},
      Goodbye{"the program has ended"},
  };
}

}  // namespace taskscope::tests
