// What is read again from the chunks: who held a resource, and which poll woke which.
#include <catch2/catch.hpp>

#include "taskscope/console/session/resource_history.h"
#include "taskscope/console/session/wakes.h"
#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using console::session::HistoryLimits;
using console::session::kNone;
using console::session::ResourceHistory;
using console::session::Session;
using console::session::Wake;
using console::session::WakeWindow;
using protocol::Event;
using protocol::EventKind;

namespace {

constexpr std::uint64_t kLock = 9, kOther = 10;

/// Ticks are nanoseconds; session time begins at tick 1000.
class Script {
 public:
  Script() {
    protocol::Process process;
    process.ticks_are_tsc = false;
    updates_.emplace_back(process);
    updates_.emplace_back(protocol::ClockPoint{1000, 1000, 5000});
  }
  Script& chunk(std::uint64_t ring, std::vector<Event> events) {
    protocol::Events run;
    run.ring = ring;
    run.worker = static_cast<std::uint32_t>(ring);
    run.events = std::move(events);
    updates_.emplace_back(std::move(run));
    return *this;
  }
  Script& add(protocol::Update update) {
    updates_.push_back(std::move(update));
    return *this;
  }
  std::unique_ptr<Session> session() {
    auto made = std::make_unique<Session>(tests::scripted_source(std::move(updates_), false));
    made->pump_to_end(std::chrono::hours{1});
    return made;
  }

 private:
  std::vector<protocol::Update> updates_;
};

/// `at` is session time.
Event event(EventKind kind, std::uint64_t at, std::uint64_t task, std::uint64_t other = 0) {
  Event made;
  made.kind = kind;
  made.ticks = 1000 + at;
  made.task = task;
  made.other = other;
  return made;
}
Event registered(std::uint64_t at, std::uint64_t resource) {
  auto made = event(EventKind::ResourceRegistered, at, 0, resource);
  made.resource_kind = static_cast<std::uint8_t>(protocol::ResourceKind::Mutex);
  return made;
}
Event acquired(std::uint64_t at, std::uint64_t task, std::uint64_t resource = kLock) {
  auto made = event(EventKind::ResourceAcquired, at, task, resource);
  made.resource_kind = static_cast<std::uint8_t>(protocol::ResourceKind::Mutex);
  made.detail = 1;
  made.extra = 1;
  return made;
}
Event released(std::uint64_t at, std::uint64_t task, std::uint64_t resource = kLock) {
  auto made = event(EventKind::ResourceReleased, at, task, resource);
  made.extra = 1;
  return made;
}
std::vector<Event> poll(std::uint64_t from, std::uint64_t to, std::uint64_t task) {
  auto end = event(EventKind::PollEnded, to, task);
  end.detail = static_cast<std::uint8_t>(protocol::PollEnd::Pending);
  return {event(EventKind::PollStarted, from, task), end};
}
Event waits(std::uint64_t at, std::uint64_t task, std::uint64_t resource = kLock) {
  auto made = event(EventKind::Wait, at, task, resource);
  made.detail = static_cast<std::uint8_t>(protocol::WaitOp::Lock);
  made.resource_kind = static_cast<std::uint8_t>(protocol::ResourceKind::Mutex);
  made.site = 3;
  return made;
}
Event woken(std::uint64_t at, std::uint64_t task, std::uint64_t by, std::uint64_t value = 0) {
  auto made = event(EventKind::Woken, at, task, by);
  made.value = value;
  return made;
}
std::vector<Event> joined(std::initializer_list<std::vector<Event>> parts) {
  std::vector<Event> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

TEST_CASE("resource history: holds follow each other, and waiters come and go") {
  auto session = Script()
                     .chunk(1, joined({{registered(10, kLock), acquired(20, 1)},
                                       poll(25, 30, 2),
                                       {waits(30, 2)},
                                       {event(EventKind::PollStarted, 100, 1), released(105, 1),
                                        acquired(105, 2), woken(105, 2, 1, kLock)}}))
                     .chunk(2, joined({poll(40, 50, 3),
                                       {waits(50, 3)},
                                       {event(EventKind::PollStarted, 200, 2), released(205, 2),
                                        woken(205, 3, 2, kLock),
                                        event(EventKind::PollStarted, 300, 3), acquired(300, 3)}}))
                     .session();
  const auto history = session->resource_history(kLock, 0, 1'000);
  REQUIRE(history.holds.size() == 3);
  CHECK(history.holds[0].task == 1);
  CHECK(history.holds[0].from_ns == 20);
  CHECK(history.holds[0].to_ns == 105);
  CHECK(history.holds[0].certain);
  CHECK_FALSE(history.holds[0].began_before);
  CHECK(history.holds[1].task == 2);
  CHECK(history.holds[1].to_ns == 205);
  CHECK(history.holds[2].task == 3);
  CHECK(history.holds[2].lasts);
  CHECK(history.waiting_before == 0);
  REQUIRE(history.waiting.size() == 4);
  CHECK(history.waiting[0].at_ns == 30);
  CHECK(history.waiting[0].waiters == 1);
  CHECK(history.waiting[1].at_ns == 50);
  CHECK(history.waiting[1].waiters == 2);
  CHECK(history.waiting[2].waiters == 1);
  CHECK(history.waiting[3].at_ns == 205);
  CHECK(history.waiting[3].waiters == 0);
  CHECK(history.holders_from_ns == 10);
  CHECK_FALSE(history.cut);
  // What is about another resource is not taken.
  CHECK(session->resource_history(kOther, 0, 1'000).holds.empty());
}

TEST_CASE("resource history: a span in the middle is told who held it when it began") {
  auto session = Script()
                     .chunk(1, {registered(5, kLock), acquired(10, 1)})
                     .chunk(1, joined({poll(100, 110, 7), poll(200, 210, 7)}))
                     .chunk(1, {released(900, 1)})
                     .chunk(1, joined({poll(1000, 1100, 7)}))
                     .session();
  const auto history = session->resource_history(kLock, 100, 300);
  REQUIRE(history.holds.size() == 1);
  CHECK(history.holds[0].from_ns == 10);  // read from before the span
  CHECK(history.holds[0].to_ns == 300);
  CHECK(history.holds[0].lasts);
  CHECK(history.holders_from_ns == 100);
}

TEST_CASE("resource history: what began before the records is known from its end, or from now") {
  // A release without an acquire: it was held from before.
  auto session = Script()
                     .chunk(1, joined({poll(0, 10, 1),
                                       {waits(10, 1, kOther)},
                                       poll(90, 95, 5),
                                       {released(100, 4), woken(120, 6, 5, kLock)}}))
                     .session();
  auto history = session->resource_history(kLock, 0, 200);
  CHECK(history.holds.empty());  // nothing names the resource but these: it isn't known
  session = Script()
                .chunk(1, joined({poll(0, 10, 1), {waits(10, 1)}}))
                .chunk(1, joined({poll(90, 95, 5),
                                  {released(100, 4), woken(120, 6, 5, kLock)},
                                  poll(150, 160, 9)}))
                .session();
  history = session->resource_history(kLock, 50, 140);
  REQUIRE(history.holds.size() == 1);
  CHECK(history.holds[0].task == 4);
  CHECK(history.holds[0].began_before);
  CHECK(history.holds[0].to_ns == 100);
  CHECK(history.waiting_before == 2);  // task 6, that was woken, and task 1, that waits still
  REQUIRE(history.waiting.size() == 1);
  CHECK(history.waiting[0].waiters == 1);
}

TEST_CASE("resource history: where nothing tells, nothing is claimed") {
  auto session = Script()
                     .chunk(1, joined({poll(0, 10, 1), {waits(10, 1)}}))
                     .chunk(1, joined({poll(500, 510, 2)}))
                     .chunk(1, joined({poll(900, 910, 2)}))
                     .session();
  // Of the records after the span none may be read, so that they tell nothing either.
  const auto past = session->resource_history(kLock, 100, 600, {.events = 3});
  CHECK(past.holds.empty());
  CHECK(past.holders_from_ns == past.to_ns);
  CHECK(session->resource_history(kLock, 600, 600).to_ns <= 600);
  CHECK(session->resource_history(12345, 0, 600).holds.empty());
}

TEST_CASE("resource history: what is held now was held in the span, if nothing happened since") {
  protocol::Snapshot walk;
  walk.id = 1;
  walk.begin_ticks = 1800;
  walk.last = true;
  walk.resources.emplace_back();
  walk.resources[0].ticks = 1800;
  walk.resources[0].resource = kLock;
  walk.resources[0].kind = protocol::ResourceKind::Mutex;
  walk.resources[0].holders.push_back({4, true, 1, "holds"});
  auto session = Script()
                     .chunk(1, joined({poll(0, 10, 1), {waits(10, 1)}}))
                     .chunk(1, joined({poll(500, 510, 2)}))
                     .add(walk)
                     .chunk(1, joined({poll(900, 910, 2)}))
                     .session();
  const auto history = session->resource_history(kLock, 100, 600);
  REQUIRE(history.holds.size() == 1);
  CHECK(history.holds[0].task == 4);
  CHECK(history.holds[0].began_before);
  CHECK(history.holds[0].lasts);
  CHECK(history.holds[0].to_ns == 600);
  CHECK(history.holders_from_ns == 100);
}

TEST_CASE("resource history: a bound on what is read shortens the span, and says so") {
  Script script;
  script.chunk(1, {registered(1, kLock)});
  for (std::uint64_t i = 0; i < 100; ++i) {
    script.chunk(1, {acquired(100 * i + 10, 1), released(100 * i + 60, 1)});
  }
  auto session = script.session();
  const auto all = session->resource_history(kLock, 0, 100'000);
  CHECK(all.holds.size() == 100);
  CHECK(all.from_ns == 0);
  const auto some = session->resource_history(kLock, 0, 100'000, {.chunks = 10});
  CHECK(some.holds.size() == 10);
  CHECK(some.from_ns == 8960);  // the end of the newest chunk that was not read
  const auto few = session->resource_history(kLock, 0, 100'000, {.holds = 5});
  CHECK(few.holds.size() == 5);
  CHECK(few.cut);
  CHECK(few.holds.back().to_ns == 9960);
}

TEST_CASE("resource history: permits are held and given back one by one, losses are gaps") {
  auto two = acquired(20, 1);
  two.extra = 2;
  auto session =
      Script()
          .chunk(1, {registered(1, kLock), two, acquired(30, 2), released(40, 1), released(50, 1),
                     released(60, 2)})
          .add(protocol::Loss{.producer = 1, .events = 5, .from_ticks = 1041, .to_ticks = 1045})
          .chunk(1, joined({poll(70, 80, 3)}))
          .session();
  const auto history = session->resource_history(kLock, 0, 1000);
  REQUIRE(history.holds.size() == 3);
  CHECK(history.holds[0].task == 1);
  CHECK(history.holds[0].to_ns == 40);
  CHECK(history.holds[0].permits == 1);
  CHECK(history.holds[1].to_ns == 50);
  CHECK(history.holds[2].task == 2);
  REQUIRE(history.gaps.size() == 1);
  CHECK(history.gaps[0].from_ns == 41);
  CHECK(history.gaps[0].to_ns == 45);
}

TEST_CASE("wakes of a view: each leads from the waker's lane to the poll it caused") {
  auto session =
      Script()
          .chunk(1, joined({{event(EventKind::PollStarted, 10, 1), woken(15, 2, 1)},
                            poll(100, 110, 3)}))
          .chunk(2,
                 joined({{event(EventKind::PollStarted, 40, 2), woken(45, 2, 2)}, poll(60, 70, 2)}))
          .session();
  WakeWindow window;
  while (window.look(*session, 0, 1000)) {
  }
  CHECK_FALSE(window.too_wide());
  const auto& wakes = window.of(session->model(), 2);
  REQUIRE(wakes.size() == 2);
  CHECK(wakes[0].at_ns == 15);
  CHECK(wakes[0].by == 1);
  CHECK(wakes[0].lane == session->model().lane_of_worker(1));
  CHECK(wakes[0].polled_ns == 40);
  CHECK(wakes[0].polled_lane == session->model().lane_of_worker(2));
  CHECK(wakes[1].polled_ns == 60);
  // The waker is shown the wakes it made; who has none gets none.
  CHECK(window.of(session->model(), 1).size() == 1);
  CHECK(window.of(session->model(), 3).empty());
}

TEST_CASE("wakes of a view: chunks are read a few at a time and let go with the view") {
  Script script;
  for (std::uint64_t i = 0; i < 20; ++i)
    script.chunk(1, joined({{woken(100 * i, 2, 1)}, poll(100 * i + 10, 100 * i + 20, 2)}));
  auto session = script.session();
  WakeWindow window;
  std::size_t looks = 1;
  while (window.look(*session, 0, 10'000, 300)) ++looks;
  CHECK(looks == 20);
  CHECK(window.of(session->model(), 2).size() == 20);
  CHECK_FALSE(window.look(*session, 0, 10'000, 300));
  CHECK_FALSE(window.look(*session, 1'000, 1'100, 300));
  CHECK(window.of(session->model(), 2).size() == 2);
  CHECK(window.of(session->model(), 2, 1).size() == 1);
}
