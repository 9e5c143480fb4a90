#include "taskscope/tests/protocol/sample_updates.h"

#include <limits>

namespace taskscope::protocol::test {
namespace {

std::string random_text(std::mt19937_64& random) {
  std::string text(random() % 40, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

/// Small, large and everything between, often the same.
std::uint64_t random_number(std::mt19937_64& random) {
  switch (random() % 4) {
    case 0:
      return 0;
    case 1:
      return random() % 8;
    case 2:
      return random() % 100'000;
    default:
      return random();
  }
}

BranchState random_branch(std::mt19937_64& random) {
  BranchState branch;
  branch.branch = static_cast<std::uint16_t>(random());
  branch.parent = static_cast<std::uint16_t>(random());
  branch.mode = static_cast<BranchMode>(random() % 3);
  branch.op = static_cast<WaitOp>(random() % 22);
  branch.resource_kind = static_cast<ResourceKind>(random() % 16);
  branch.other = random_number(random);
  branch.value = random_number(random);
  branch.site = static_cast<std::uint32_t>(random_number(random));
  for (auto left = random() % 5; left > 0; --left)
    branch.frames.push_back(static_cast<std::uint32_t>(random_number(random)));
  branch.cut = random() % 2 != 0;
  return branch;
}

WorkerSample worker_sample() {
  WorkerSample sample;
  sample.worker = 3;
  sample.runtime = 1;
  sample.index = 2;
  sample.tid = 4711;
  sample.current_task = 99;
  sample.poll_sequence = 1'000'000;
  sample.parked = true;
  sample.queue_depth = 7;
  for (int level = 0; level < kWheelLevels; ++level)
    sample.wheel[level] = static_cast<std::uint32_t>(level) * 10;
  std::uint64_t next = 100;
  for (auto* counter :
       {&sample.busy_ns, &sample.polls, &sample.parks, &sample.noops, &sample.steals,
        &sample.steal_operations, &sample.local_schedules, &sample.overflows, &sample.budget_yields,
        &sample.timers_fired, &sample.timers_late, &sample.late_max_ns, &sample.unscheduled_ns})
    *counter = next++;
  return sample;
}

struct Same {
  bool operator()(const Process& a, const Process& b) const {
    return a.pid == b.pid && a.start_time == b.start_time && a.name == b.name &&
           a.command_line == b.command_line && a.executable == b.executable &&
           a.build_id == b.build_id && a.host == b.host &&
           a.taskscope_version == b.taskscope_version && a.wall_ns == b.wall_ns &&
           a.ticks_are_tsc == b.ticks_are_tsc;
  }
  bool operator()(const std::vector<Site>& a, const std::vector<Site>& b) const {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Site& x, const Site& y) {
      return x.id == y.id && x.file == y.file && x.function == y.function && x.line == y.line &&
             x.column == y.column;
    });
  }
  bool operator()(const ClockPoint& a, const ClockPoint& b) const {
    return a.ticks == b.ticks && a.monotonic_ns == b.monotonic_ns && a.wall_ns == b.wall_ns;
  }
  bool operator()(const Loss& a, const Loss& b) const {
    return a.producer == b.producer && a.cause == b.cause && a.events == b.events &&
           a.chunks == b.chunks && a.from_ticks == b.from_ticks && a.to_ticks == b.to_ticks &&
           a.spawns == b.spawns && a.polls == b.polls && a.wakes == b.wakes;
  }
  bool operator()(const Events& a, const Events& b) const {
    return a.ring == b.ring && a.worker == b.worker && a.tid == b.tid &&
           a.thread_name == b.thread_name && a.events == b.events && a.texts == b.texts;
  }
  bool operator()(const Snapshot& a, const Snapshot& b) const {
    return a.id == b.id && a.begin_ticks == b.begin_ticks && a.last == b.last &&
           a.has_waits == b.has_waits && a.has_stacks == b.has_stacks && a.tasks == b.tasks &&
           a.resources == b.resources;
  }
  bool operator()(const Samples& a, const Samples& b) const {
    return a.ticks == b.ticks && a.workers == b.workers && a.runtimes == b.runtimes &&
           a.cost == b.cost;
  }
  bool operator()(const Goodbye& a, const Goodbye& b) const { return a.reason == b.reason; }
  bool operator()(const std::vector<Module>& a, const std::vector<Module>& b) const {
    return a == b;
  }
  bool operator()(const NativeStack& a, const NativeStack& b) const { return a == b; }
  bool operator()(const std::vector<Symbol>& a, const std::vector<Symbol>& b) const {
    return a == b;
  }
  template <class A, class B>
  bool operator()(const A&, const B&) const {
    return false;
  }
};

}  // namespace

bool same(const Update& a, const Update& b) { return std::visit(Same{}, a, b); }

Events random_events(std::uint64_t seed, std::size_t count) {
  std::mt19937_64 random(seed);
  Events run;
  run.ring = random_number(random);
  run.worker = static_cast<std::uint32_t>(random_number(random));
  run.tid = static_cast<std::int32_t>(random());
  run.thread_name = random_text(random);
  for (auto left = random() % 20; left > 0; --left) run.texts.push_back(random_text(random));
  std::uint64_t ticks = random();
  for (std::size_t i = 0; i < count; ++i) {
    Event event;
    event.kind = static_cast<EventKind>(random() % 24);  // some that nobody knows yet
    event.detail = static_cast<std::uint8_t>(random_number(random));
    event.mode = static_cast<std::uint8_t>(random_number(random));
    event.resource_kind = static_cast<std::uint8_t>(random_number(random));
    event.branch = static_cast<std::uint16_t>(random_number(random));
    event.parent_branch = static_cast<std::uint16_t>(random_number(random));
    event.site = static_cast<std::uint32_t>(random_number(random));
    event.extra = static_cast<std::uint32_t>(random_number(random));
    ticks += random() % 8 == 0 ? random() : random() % 3;  // now and then backwards
    event.ticks = ticks;
    event.task = random_number(random);
    event.other = random_number(random);
    event.value = random_number(random);
    if (!run.texts.empty() && random() % 3 == 0) {
      event.text = static_cast<std::uint32_t>(1 + random() % run.texts.size());
      event.fields = static_cast<std::uint32_t>(1 + random() % run.texts.size());
      event.field_count =
          static_cast<std::uint32_t>(random() % (run.texts.size() - event.fields + 2));
    }
    run.events.push_back(event);
  }
  return run;
}

Snapshot random_snapshot(std::uint64_t seed, std::size_t tasks) {
  std::mt19937_64 random(seed);
  Snapshot snapshot;
  snapshot.id = random();
  snapshot.begin_ticks = random();
  snapshot.last = random() % 2 != 0;
  snapshot.has_waits = random() % 2 != 0;
  snapshot.has_stacks = random() % 2 != 0;
  for (std::size_t i = 0; i < tasks; ++i) {
    TaskSnapshot task;
    task.ticks = snapshot.begin_ticks + random_number(random);
    task.task = random_number(random);
    task.parent = random_number(random);
    task.runtime = static_cast<std::uint32_t>(random_number(random));
    task.kind = static_cast<TaskKind>(random() % 4);
    task.state = static_cast<TaskState>(random() % 4);
    task.site = static_cast<std::uint32_t>(random_number(random));
    task.name = random_text(random);
    for (auto left = random() % 3; left > 0; --left) task.fields.push_back(random_text(random));
    task.frame_bytes = static_cast<std::uint32_t>(random_number(random));
    task.polls = static_cast<std::uint32_t>(random_number(random));
    task.wakers = static_cast<std::uint32_t>(random_number(random));
    task.spawned_ms = random_number(random);
    task.last_poll_ms = random_number(random);
    for (auto left = random() % 3; left > 0; --left) task.branches.push_back(random_branch(random));
    task.has_stacks = random() % 2 != 0;
    snapshot.tasks.push_back(std::move(task));

    ResourceSnapshot resource;
    resource.ticks = snapshot.begin_ticks + random_number(random);
    resource.resource = random_number(random);
    resource.parent = random_number(random);
    resource.kind = static_cast<ResourceKind>(random() % 16);
    resource.concrete_type = random_text(random);
    resource.name = random_text(random);
    resource.site = static_cast<std::uint32_t>(random_number(random));
    resource.waiters = static_cast<std::uint32_t>(random_number(random));
    for (auto left = random() % 3; left > 0; --left)
      resource.holders.push_back({random_number(random), random() % 2 != 0,
                                  static_cast<std::uint32_t>(random()), random_text(random)});
    for (auto left = random() % 3; left > 0; --left)
      resource.attributes.push_back(
          {random_text(random), random_text(random), random_number(random)});
    snapshot.resources.push_back(std::move(resource));
  }
  return snapshot;
}

Events server_stream(std::size_t polls) {
  constexpr std::uint64_t kConnections = 500;
  std::mt19937_64 random(1);
  Events run;
  run.ring = 1;
  run.worker = 1;
  run.tid = 1234;
  run.thread_name = "worker 0";
  std::uint64_t ticks = 5'000'000'000'000;
  const auto add = [&](EventKind kind, std::uint64_t task) -> Event& {
    Event& event = run.events.emplace_back();
    event.kind = kind;
    event.ticks = ticks;
    event.task = task;
    return event;
  };
  for (std::size_t i = 0; i < polls; ++i) {
    const std::uint64_t task = 1'000 + random() % kConnections;
    add(EventKind::PollStarted, task);
    ticks += 300 + random() % 4'000;
    Event& woken = add(EventKind::Woken, 2'000 + random() % kConnections);
    woken.detail = static_cast<std::uint8_t>(WakeCause::Task);
    woken.other = task;
    woken.value = 40 + random() % 4;
    ticks += 300 + random() % 4'000;
    Event& ended = add(EventKind::PollEnded, task);
    ended.detail = static_cast<std::uint8_t>(PollEnd::Pending);
    Event& wait = add(EventKind::Wait, task);
    const bool reads = random() % 4 != 0;
    wait.detail = static_cast<std::uint8_t>(reads ? WaitOp::Readable : WaitOp::Lock);
    wait.resource_kind = static_cast<std::uint8_t>(reads ? ResourceKind::Io : ResourceKind::Mutex);
    wait.site = static_cast<std::uint32_t>(10 + random() % 6);
    if (reads) {
      wait.value = 10 + task - 1'000;
    } else {
      wait.other = 40 + random() % 4;
    }
  }
  return run;
}

std::vector<Update> one_of_each() {
  std::vector<Update> updates;
  updates.emplace_back(Process{4711, 123456, "server", "server --port 1", "/usr/bin/server",
                               "c0ffee", "host", "0.1.0", 1'700'000'000'000'000'000, true});
  updates.emplace_back(std::vector<Site>{{1, "a.cpp", "void f()", 10, 3},
                                         {2, "b.cpp", "void g() [T = \xff]", 20, 5}});
  updates.emplace_back(ClockPoint{1'000'000, 2'000'000, 3'000'000});
  updates.emplace_back(Loss{7, LossCause::SlowConsumer, 100, 3, 1'000, 2'000, 10, 80, 10});
  updates.emplace_back(random_events(1, 500));
  updates.emplace_back(random_snapshot(2, 30));
  Samples samples;
  samples.ticks = 1'000'500;
  samples.workers = {worker_sample(), WorkerSample{}};
  samples.runtimes = {RuntimeSample{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}};
  samples.cost = CostSample{1, 2, 3, 4, 5, 6};
  updates.emplace_back(samples);
  updates.emplace_back(Goodbye{"the program ends"});
  updates.emplace_back(std::vector<Module>{
      {1, 0x401000, 0x480000, 0x1000, "/usr/bin/server", "c0ffee"},
      {2, 0x7f0000001000, 0x7f0000002000, 0x7f0000000000, "/lib/l\xff.so", ""}});
  updates.emplace_back(NativeStack{1'000'400,
                                   900'000,
                                   99,
                                   3,
                                   4711,
                                   1'000'000,
                                   true,
                                   "read",
                                   {{0x7f0000001010, 2, false}, {0x401234, 1, true}, {7, 0, false}},
                                   true,
                                   "the rest is gone"});
  updates.emplace_back(std::vector<Symbol>{
      {1, 0x400234, {{"copy(char*)", "copy.h", 12}, {"app::load(int)", "/src/app.cpp", 34}}},
      {2, 0x1010, {{"read", "", 0}}}});
  return updates;
}

}  // namespace taskscope::protocol::test
