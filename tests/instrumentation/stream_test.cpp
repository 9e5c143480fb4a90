/// The whole way: recorder, ring, collector, server, socket, reader.

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "taskscope/instrumentation/engine.h"
#include "taskscope/instrumentation/recorder.h"
#include "taskscope/tests/instrumentation/console.h"

using namespace taskscope;
using namespace taskscope::instrumentation;
using namespace taskscope::test;
using namespace taskscope::runtime::observe;
using protocol::EventKind;

namespace {

/// Runs `body` on a thread of its own, as a worker would.
template <class Body>
void on_a_thread(Body&& body) {
  std::thread thread(std::forward<Body>(body));
  thread.join();
}

}  // namespace

TEST_CASE("stream: every kind of record arrives with all its fields, in order") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  REQUIRE(engine.is_listening());
  Console console(engine.socket_path());
  console.attach();

  const Site site = Site::current();
  const std::uint64_t before = number(read_ticks());
  on_a_thread([&] {
    const Field fields[] = {{"peer", "127.0.0.1"}, {"n", "7"}};
    recorder::task_spawned({.task = TaskId{11},
                            .parent = TaskId{3},
                            .kind = TaskKind::Local,
                            .runtime = RuntimeId{2},
                            .site = site,
                            .name = "connection 7",
                            .fields = fields,
                            .frame_bytes = 640},
                           read_ticks());
    recorder::task_spawned({.task = TaskId{12}, .site = site}, read_ticks());
    recorder::poll_started(TaskId{11}, WorkerId{5}, read_ticks());
    recorder::woken({.task = TaskId{12}, .cause = WakeCause::Task, .by = TaskId{11}}, read_ticks());
    recorder::woken({.task = TaskId{12},
                     .branch = BranchId{3},
                     .cause = WakeCause::Task,
                     .by = TaskId{11},
                     .resource = ResourceId{77}},
                    read_ticks());
    recorder::woken({.task = TaskId{12}, .cause = WakeCause::Io, .fd = 9}, read_ticks());
    recorder::resource_acquired(ResourceId{77}, {.task = TaskId{11}, .certain = true},
                                read_ticks());
    recorder::resource_released(ResourceId{77}, {.task = TaskId{12}, .permits = 3}, read_ticks());
    const Wait waits[] = {
        {.mode = BranchMode::Any, .site = site},
        {.branch = BranchId{1},
         .op = WaitOp::Lock,
         .resource_kind = ResourceKind::Mutex,
         .resource = ResourceId{77},
         .site = site},
        {.branch = BranchId{2},
         .op = WaitOp::Sleep,
         .resource_kind = ResourceKind::Timer,
         .deadline_ns = 123'456'789'012'345'678},
        {.branch = BranchId{4},
         .parent = BranchId{2},
         .op = WaitOp::Readable,
         .resource_kind = ResourceKind::Io,
         .fd = 9},
        {.branch = BranchId{5},
         .op = WaitOp::Join,
         .resource_kind = ResourceKind::Join,
         .task = TaskId{12}},
    };
    recorder::poll_ended(TaskId{11}, read_ticks(), PollEnd::Pending, waits);
    recorder::wait_cancelled(TaskId{11}, BranchId{2}, read_ticks());
    recorder::waits_on(TaskId{11}, waits[1], read_ticks());
    recorder::resource_registered({.id = ResourceId{77},
                                   .kind = ResourceKind::Mutex,
                                   .concrete_type = "Mutex",
                                   .name = "the lock",
                                   .parent = ResourceId{70},
                                   .site = site},
                                  read_ticks());
    recorder::resource_dropped(ResourceId{77}, read_ticks());
    recorder::worker_parked(WorkerId{5}, read_ticks());
    recorder::worker_unparked(WorkerId{5}, read_ticks());
    recorder::worker_stole(WorkerId{5}, WorkerId{6}, 17, read_ticks());
    recorder::span_entered(SpanId{900}, TaskId{11}, "GET", fields, read_ticks());
    recorder::span_exited(SpanId{900}, TaskId{11}, read_ticks());
    recorder::task_finished({.task = TaskId{12}, .outcome = Outcome::Cancelled, .site = site},
                            read_ticks());
    recorder::task_finished(
        {.task = TaskId{11}, .outcome = Outcome::Exception, .error = "it broke", .site = site},
        read_ticks());
  });
  const std::uint64_t after = number(read_ticks());
  constexpr std::size_t kEvents = 25;
  REQUIRE(console.read_until([&] { return console.recorded() >= kEvents; }));
  CHECK(console.errors == 0);

  // What is named by an event is text of its run.
  struct Seen {
    protocol::Event event;
    std::uint32_t worker;
    std::string text;
    std::vector<std::string> fields;
  };
  std::vector<Seen> seen;
  const std::uint64_t ring = console.all<protocol::Events>().back().ring;
  CHECK(console.count(EventKind::ObservedFrom, ring) == 1);
  for (const auto& run : console.all<protocol::Events>()) {
    for (const auto& event : run.events) {
      if (event.kind == EventKind::ObservedFrom) {
        CHECK(seen.empty());
        continue;
      }
      Seen one{event, run.worker, {}, {}};
      if (event.text != 0) one.text = run.texts.at(event.text - 1);
      for (std::uint32_t i = 0; i < event.field_count; ++i)
        one.fields.push_back(run.texts.at(event.fields - 1 + i));
      seen.push_back(one);
    }
  }
  REQUIRE(seen.size() == kEvents);
  std::size_t at = 0;
  std::uint64_t last = before;
  const auto next = [&](EventKind kind) -> const Seen& {
    const Seen& one = seen[at++];
    INFO("event " << at);
    CHECK(one.event.kind == kind);
    CHECK(one.event.ticks >= last);
    CHECK(one.event.ticks <= after);
    last = one.event.ticks;
    return one;
  };
  const auto is_here = [&](std::uint32_t id) {
    const protocol::Site* const found = console.site(id);
    return found != nullptr && found->line == site.line() && found->file == site.file_name() &&
           found->function == site.function_name();
  };

  const Seen& spawned = next(EventKind::TaskSpawned);
  CHECK(spawned.event.task == 11);
  CHECK(spawned.event.other == 3);
  CHECK(spawned.event.detail == static_cast<int>(TaskKind::Local));
  CHECK(spawned.event.extra == 640);
  CHECK(spawned.event.value == 2);
  CHECK(is_here(spawned.event.site));
  CHECK(spawned.text == "connection 7");
  CHECK(spawned.fields == std::vector<std::string>{"peer=127.0.0.1", "n=7"});
  const Seen& plain = next(EventKind::TaskSpawned);
  CHECK(plain.event.task == 12);
  CHECK(plain.event.text == 0);
  CHECK(plain.event.field_count == 0);
  const Seen& started = next(EventKind::PollStarted);
  CHECK(started.event.task == 11);
  CHECK(started.worker == 5);
  const Seen& by_current = next(EventKind::Woken);
  CHECK(by_current.event.task == 12);
  CHECK(by_current.event.other == 11);
  CHECK(by_current.event.detail == static_cast<int>(WakeCause::Task));
  const Seen& through = next(EventKind::Woken);
  CHECK(through.event.branch == 3);
  CHECK(through.event.other == 11);
  CHECK(through.event.value == 77);
  const Seen& by_io = next(EventKind::Woken);
  CHECK(by_io.event.detail == static_cast<int>(WakeCause::Io));
  CHECK(by_io.event.value == 9);
  CHECK(by_io.event.other == 0);
  const Seen& acquired = next(EventKind::ResourceAcquired);
  CHECK(acquired.event.other == 77);
  CHECK(acquired.event.task == 11);
  CHECK(acquired.event.detail == 1);
  CHECK(acquired.event.extra == 1);
  const Seen& released = next(EventKind::ResourceReleased);
  CHECK(released.event.task == 12);
  CHECK(released.event.detail == 0);
  CHECK(released.event.extra == 3);
  const Seen& ended = next(EventKind::PollEnded);
  CHECK(ended.event.detail == static_cast<int>(PollEnd::Pending));
  const Seen& any = next(EventKind::Wait);
  CHECK(any.event.ticks == ended.event.ticks);
  CHECK(any.event.mode == static_cast<int>(BranchMode::Any));
  CHECK(is_here(any.event.site));
  const Seen& lock = next(EventKind::Wait);
  CHECK(lock.event.task == 11);
  CHECK(lock.event.branch == 1);
  CHECK(lock.event.detail == static_cast<int>(WaitOp::Lock));
  CHECK(lock.event.resource_kind == static_cast<int>(ResourceKind::Mutex));
  CHECK(lock.event.other == 77);
  const Seen& sleep = next(EventKind::Wait);
  CHECK(sleep.event.branch == 2);
  CHECK(sleep.event.value == 123'456'789'012'345'678);
  CHECK(sleep.event.other == 0);
  const Seen& readable = next(EventKind::Wait);
  CHECK(readable.event.parent_branch == 2);
  CHECK(readable.event.value == 9);
  const Seen& join = next(EventKind::Wait);
  CHECK(join.event.other == 12);
  const Seen& cancelled = next(EventKind::WaitCancelled);
  CHECK(cancelled.event.branch == 2);
  CHECK(next(EventKind::Wait).event.other == 77);
  const Seen& registered = next(EventKind::ResourceRegistered);
  CHECK(registered.event.other == 77);
  CHECK(registered.event.value == 70);
  CHECK(registered.event.resource_kind == static_cast<int>(ResourceKind::Mutex));
  CHECK(registered.text == "the lock");
  CHECK(registered.fields == std::vector<std::string>{"Mutex"});
  CHECK(is_here(registered.event.site));
  CHECK(next(EventKind::ResourceDropped).event.other == 77);
  CHECK(next(EventKind::WorkerParked).worker == 5);
  CHECK(next(EventKind::WorkerUnparked).worker == 5);
  const Seen& stole = next(EventKind::WorkerStole);
  CHECK(stole.event.other == 6);
  CHECK(stole.event.extra == 17);
  const Seen& entered = next(EventKind::SpanEntered);
  CHECK(entered.event.other == 900);
  CHECK(entered.event.task == 11);
  CHECK(entered.text == "GET");
  CHECK(entered.fields.size() == 2);
  CHECK(next(EventKind::SpanExited).event.task == 11);
  const Seen& gone = next(EventKind::TaskFinished);
  CHECK(gone.event.detail == static_cast<int>(Outcome::Cancelled));
  CHECK(gone.event.text == 0);
  const Seen& failed = next(EventKind::TaskFinished);
  CHECK(failed.event.detail == static_cast<int>(Outcome::Exception));
  CHECK(failed.text == "it broke");
  CHECK(is_here(failed.event.site));
}

TEST_CASE("stream: long strings are cut and marked, and too many fields are left out") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  Console console(engine.socket_path());
  console.attach();
  on_a_thread([] {
    const std::string name(300, 'n'), value(250, 'v'), letters = [] {
      std::string text;
      while (text.size() < 400) text += "\xc3\xa4";  // two bytes a letter
      return text;
    }();
    std::vector<Field> fields{{"a long key", value}, {"umlauts", letters}};
    for (int i = 0; i < 30; ++i) fields.push_back({"k", "v"});
    recorder::task_spawned({.task = TaskId{1}, .name = name, .fields = fields}, read_ticks());
  });
  REQUIRE(console.read_until([&] { return console.recorded() >= 1; }));
  const auto runs = console.all<protocol::Events>();
  const auto& run = runs.back();
  const auto& event = run.events.back();
  CHECK(run.texts.at(event.text - 1).substr(250) == "nnnnnn\xe2\x80\xa6");
  REQUIRE(event.field_count == kMaxFields);
  CHECK(run.texts.at(event.fields - 1).ends_with("v\xe2\x80\xa6"));
  CHECK(run.texts.at(event.fields).ends_with("\xc3\xa4\xe2\x80\xa6"));
  CHECK(run.texts.at(event.fields + 5) == "k=v");
}

TEST_CASE("stream: attaching to a program shows who lives, and stacks come when asked for") {
  const Site spawn_site = Site::current(), await_site = Site::current();
  ScriptedInspector inspector;
  const Site frames[] = {spawn_site, await_site};
  const BranchView branches[] = {{.wait = {.op = WaitOp::Lock,
                                           .resource_kind = ResourceKind::Mutex,
                                           .resource = ResourceId{70},
                                           .site = await_site},
                                  .frames = frames}};
  const Field fields[] = {{"peer", "::1"}};
  constexpr std::uint64_t kTasks = 10'000;
  for (std::uint64_t id = 1; id <= kTasks; ++id)
    inspector.tasks.push_back({.task = TaskId{id},
                               .parent = TaskId{id / 2},
                               .site = spawn_site,
                               .name = "one of many",
                               .fields = fields,
                               .frame_bytes = 512,
                               .polls = 3,
                               .branches = branches});
  inspector.tasks[0].state = TaskState::Running;
  const Holder holders[] = {{.task = TaskId{1}, .certain = true}};
  const Attribute attributes[] = {{"permits", "", 1}};
  inspector.resources.push_back({.info = {.id = ResourceId{70},
                                          .kind = ResourceKind::Mutex,
                                          .concrete_type = "Mutex",
                                          .name = "the lock",
                                          .site = spawn_site},
                                 .holders = holders,
                                 .waiters = 2,
                                 .attributes = attributes});
  inspector.workers.push_back(
      {.worker = WorkerId{4}, .runtime = RuntimeId{1}, .tid = 1, .current = TaskId{1}});
  inspector.workers.back().counters.polls = 99;
  inspector.workers.back().wheel[2] = 8;
  inspector.view = {
      .runtime = RuntimeId{1}, .workers = 1, .live_tasks = kTasks, .spawned_tasks = 20'000};

  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  engine.runtime_started(inspector);
  Console console(engine.socket_path());
  console.attach(0x7f, 10);
  REQUIRE(console.read_until([&] { return console.whole_snapshot().has_value(); }));
  auto snapshot = *console.whole_snapshot();
  CHECK(snapshot.tasks.size() == kTasks);
  CHECK(snapshot.has_waits);
  CHECK_FALSE(snapshot.has_stacks);
  const auto& task = snapshot.tasks.at(41);
  CHECK(task.task == 42);
  CHECK(task.parent == 21);
  CHECK(task.name == "one of many");
  CHECK(task.fields == std::vector<std::string>{"peer=::1"});
  CHECK(task.polls == 3);
  CHECK(task.ticks >= snapshot.begin_ticks);
  REQUIRE(task.branches.size() == 1);
  CHECK(task.branches[0].op == protocol::WaitOp::Lock);
  CHECK(task.branches[0].other == 70);
  CHECK(task.branches[0].frames.empty());
  REQUIRE(console.site(task.site) != nullptr);
  CHECK(console.site(task.site)->line == spawn_site.line());
  CHECK(snapshot.tasks.at(0).state == protocol::TaskState::Running);
  REQUIRE(snapshot.resources.size() == 1);
  CHECK(snapshot.resources[0].concrete_type == "Mutex");
  CHECK(snapshot.resources[0].holders == std::vector<protocol::HolderState>{{1, true, 1, "holds"}});
  CHECK(snapshot.resources[0].attributes.at(0).value == 1);
  CHECK(snapshot.resources[0].waiters == 2);

  REQUIRE(console.read_until([&] { return console.count<protocol::Samples>() >= 2; }));
  const auto samples = console.all<protocol::Samples>().back();
  REQUIRE(samples.workers.size() == 1);
  CHECK(samples.workers[0].worker == 4);
  CHECK(samples.workers[0].polls == 99);
  CHECK(samples.workers[0].wheel[2] == 8);
  CHECK(samples.workers[0].current_task == 1);
  REQUIRE(samples.runtimes.size() == 1);
  CHECK(samples.runtimes[0].spawned_tasks == 20'000);
  REQUIRE(samples.cost);
  CHECK(samples.cost->ring_bytes > 0);

  console.updates.clear();
  console.say(protocol::RequestSnapshot{.waits = true, .stacks = true, .task = 42});
  REQUIRE(console.read_until([&] { return console.count<protocol::Snapshot>() > 0; }));
  snapshot = console.all<protocol::Snapshot>().front();
  CHECK_FALSE(snapshot.last);  // the others live on
  CHECK(snapshot.has_stacks);
  REQUIRE(snapshot.tasks.size() == 1);
  CHECK(snapshot.tasks[0].task == 42);
  CHECK(snapshot.tasks[0].branches.at(0).frames.size() == 2);

  console.updates.clear();
  console.say(protocol::RequestSnapshot{.waits = true, .stacks = true});
  REQUIRE(console.read_until([&] { return console.whole_snapshot().has_value(); }));
  CHECK(console.whole_snapshot()->tasks.size() == kTasks);
  CHECK(console.whole_snapshot()->tasks.back().branches.at(0).frames.size() == 2);
  engine.runtime_stopping(inspector);
}

TEST_CASE("stream: nothing is recorded before a console comes, and only what it asked for after") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  CHECK_FALSE(wants(Event::Poll));
  {
    Console console(engine.socket_path());
    console.attach(static_cast<std::uint32_t>(Event::Task));
    CHECK(wants(Event::Task));
    CHECK_FALSE(wants(Event::Poll));
    {
      Console second(engine.socket_path());
      second.attach(static_cast<std::uint32_t>(Event::Poll) |
                    static_cast<std::uint32_t>(Event::Wake));
      CHECK(wants(Event::Task));
      CHECK(wants(Event::Poll));
      CHECK(wants(Event::Wake));
    }
    console.say(protocol::Subscribe{.events = static_cast<std::uint32_t>(Event::Span),
                                    .sample_every_ms = 1});
    REQUIRE(console.read_until([&] { return wants(Event::Span) && !wants(Event::Poll); }));
  }
  // The console is gone: the mask follows.
  while (taskscope::runtime::observe::detail::mask.load() != 0) std::this_thread::yield();
  SUCCEED();
}

TEST_CASE("stream: a second console gets a beginning of its own and the same events as the first") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  Console first(engine.socket_path());
  first.attach();
  std::atomic<int> phase{0};
  std::thread thread([&] {
    recorder::poll_started(TaskId{1}, WorkerId{1}, read_ticks());
    phase = 1;
    phase.notify_all();
    phase.wait(1);
    recorder::poll_ended(TaskId{1}, read_ticks(), PollEnd::Yielded, {});
  });
  REQUIRE(first.read_until([&] { return first.recorded() == 1; }));
  Console second(engine.socket_path());
  second.attach();
  phase = 2;
  phase.notify_all();
  REQUIRE(first.read_until([&] { return first.recorded() == 2; }));
  REQUIRE(second.read_until([&] { return second.recorded() == 1; }));
  thread.join();
  // The thread of another test may own a ring too.
  const std::uint64_t ring = first.all<protocol::Events>().back().ring;
  CHECK(first.count(EventKind::ObservedFrom, ring) == 1);
  CHECK(second.count(EventKind::ObservedFrom, ring) == 1);
  CHECK(second.events()[0].kind == EventKind::PollEnded);
  CHECK(second.all<protocol::Events>().back().ring == ring);
  CHECK(second.all<protocol::Events>().back().worker == 1);
}

TEST_CASE("stream: a runtime that stops is not asked any more") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  Console console(engine.socket_path());
  console.attach(0x7f, 1);
  for (int round = 0; round < 20; ++round) {
    auto inspector = std::make_unique<ScriptedInspector>();
    for (std::uint64_t id = 1; id <= 2000; ++id) inspector->tasks.push_back({.task = TaskId{id}});
    inspector->view = {.runtime = RuntimeId{1}, .workers = 2};
    engine.runtime_started(*inspector);
    console.say(protocol::RequestSnapshot{});
    const auto samples = console.count<protocol::Samples>();
    REQUIRE(console.read_until([&] { return console.count<protocol::Samples>() > samples; }));
    engine.runtime_stopping(*inspector);
  }
  CHECK(console.errors == 0);
}
