#include <algorithm>
#include <catch2/catch.hpp>

#include "taskscope/console/panels/inspector_layout.h"
#include "taskscope/console/panels/names.h"
#include "taskscope/console/panels/start_layout.h"
#include "taskscope/console/panels/tables_layout.h"
#include "taskscope/console/panels/top_bar_layout.h"
#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;
using namespace taskscope::console::panels;
using namespace taskscope::tests;

namespace {

std::string gauge(const TopBarView& view, const std::string& label) {
  for (const Gauge& is : view.gauges) {
    if (is.label == label) return is.value;
  }
  return "";
}

}  // namespace

TEST_CASE("top bar: a live link shows what watching costs") {
  const auto session = synthetic_session();
  const TopBarView view = top_bar(*session, {.console_memory_bytes = 1024 * 1024});
  CHECK(view.link == Link::Live);
  CHECK(view.title == "taskscope-redis");
  CHECK(view.sentence.empty());
  CHECK(view.can_record);
  for (const char* label : {"events/s", "sent", "collector", "delay", "lost", "rings", "console"}) {
    CAPTURE(label);
    CHECK_FALSE(gauge(view, label).empty());
  }
  CHECK(gauge(view, "lost") == "1.23 k");
  CHECK(gauge(view, "console") == "1.00 MiB");
}

TEST_CASE("top bar: a dead link says so in a sentence, and that the session is kept") {
  const auto session = synthetic_session({.dead = true});
  const TopBarView view = top_bar(*session, {});
  CHECK(view.link == Link::Dead);
  CHECK(view.sentence.find("was killed") != std::string::npos);
  CHECK(view.sentence.find("The session is kept: 3.00 s") != std::string::npos);
}

TEST_CASE("top bar: a recording tells its span and size, and cannot be recorded") {
  const auto session = synthetic_session({.live = false});
  const TopBarView view = top_bar(*session, {});
  CHECK(view.link == Link::Recorded);
  CHECK_FALSE(view.can_record);
  CHECK(gauge(view, "span") == "3.00 s");
}

TEST_CASE("inspector: the critical path's sums are the whole of it, and its pieces join") {
  const auto session = synthetic_session();
  analysis::CriticalPath path;
  path.task = synthetic::kFirstConnection;
  path.from = session->model().begin();
  path.to = path.from + 1'000'000;
  using Kind = analysis::PathKind;
  const auto add = [&](std::uint64_t from, std::uint64_t to, Kind own, Kind kind,
                       std::uint64_t task) {
    analysis::PathSegment segment;
    segment.from = path.from + from;
    segment.to = path.from + to;
    segment.own = own;
    segment.kind = kind;
    segment.task = task;
    if (task != path.task) segment.waits_for = task;
    path.segments.push_back(segment);
  };
  add(0, 200'000, Kind::Polling, Kind::Polling, path.task);
  add(200'000, 700'000, Kind::Waiting, Kind::Polling, synthetic::kAcceptTask);
  add(700'000, 900'000, Kind::Waiting, Kind::Polling, synthetic::kAcceptTask);
  add(900'000, 1'000'000, Kind::Queued, Kind::Queued, path.task);
  const PathView view = path_view(session->model(), path);
  REQUIRE(view.sums.size() == 3);
  CHECK(view.sums[0].text == "waiting: polling");
  CHECK(view.sums[0].link.task == synthetic::kAcceptTask);
  CHECK(view.sums[0].share == Approx(0.7));
  double share = 0;
  std::int64_t ns = 0;
  for (const PathSum& sum : view.sums) {
    share += sum.share;
    ns += sum.ns;
  }
  CHECK(share == Approx(1));
  CHECK(ns == 1'000'000);
  for (const auto* pieces : {&view.own, &view.pieces}) {
    REQUIRE(pieces->size() == 3);
    CHECK(pieces->front().from == 0);
    CHECK(pieces->back().to == Approx(1));
    for (std::size_t i = 1; i < pieces->size(); ++i) {
      CHECK((*pieces)[i].from == (*pieces)[i - 1].to);
    }
    for (const PathPiece& piece : *pieces) CHECK(piece.sum < view.sums.size());
  }
  CHECK(path_view(session->model(), {}).sums.empty());
}

TEST_CASE("inspector: a wait leads to the resource and to whoever holds it") {
  const auto session = synthetic_session();
  const InspectorView view = inspect(*session, synthetic::kFirstConnection);
  REQUIRE(view.waits.size() == 1);
  CHECK(view.waits[0].resource.resource == synthetic::kStoreMutex);
  CHECK(view.waits[0].text.starts_with("to lock"));
}

TEST_CASE("inspector: a task's facts, stack, histograms, events and relations") {
  auto session = synthetic_session();
  InspectorView view = inspect(*session, synthetic::kFirstConnection);
  add_history(*session, view);
  CHECK(view.known);
  CHECK(view.state == "waiting · lock");
  CHECK(view.subtitle == "spawned at server.cpp:112  in Server::accept_loop");
  CHECK(view.polls.total > 100);
  CHECK(view.polls.p50_ns > 0);
  CHECK(view.polls.p99_ns >= view.polls.p50_ns);
  CHECK(view.scheduled.total > 100);
  REQUIRE(view.parents.size() == 1);
  CHECK(view.parents[0].task == synthetic::kAcceptTask);
  REQUIRE_FALSE(view.events.empty());
  for (std::size_t i = 1; i < view.events.size(); ++i) {
    CHECK(view.events[i - 1].at_ns >= view.events[i].at_ns);
  }
  REQUIRE_FALSE(view.stack.empty());
  CHECK(view.stack.back().kind == StackLineKind::Wait);
  CHECK(view.stack.back().resource == synthetic::kStoreMutex);

  InspectorView parent = inspect(*session, synthetic::kAcceptTask);
  add_history(*session, parent);
  CHECK(parent.children.size() + parent.more_children == 40);
}

TEST_CASE("inspector: a task that is not kept is said to be gone") {
  const auto session = synthetic_session();
  const InspectorView view = inspect(*session, 987'654);
  CHECK_FALSE(view.known);
  CHECK(view.subtitle == "no longer kept");
}

TEST_CASE("await stack: branches stand below what waits for them, and lies make no endless tree") {
  const auto session = synthetic_session();
  std::vector<session::Wait> branches(3);
  branches[0].mode = protocol::BranchMode::Any;
  branches[0].frames = {15};
  branches[1].branch = 1;
  branches[1].resource_kind = protocol::ResourceKind::Io;
  branches[1].op = protocol::WaitOp::Readable;
  branches[1].value = 7;
  branches[2].branch = 2;
  branches[2].resource_kind = protocol::ResourceKind::Timer;
  branches[2].op = protocol::WaitOp::Sleep;
  const auto lines = stack_lines(session->model(), branches);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].text == "Connection::serve");
  CHECK(lines[1].text == "any of");
  CHECK(lines[2].text == "readable, fd 7");
  CHECK(lines[2].depth > lines[1].depth);
  CHECK(lines[3].text == "sleep");

  branches[1].parent = 2;
  branches[1].mode = protocol::BranchMode::All;
  branches[2].parent = 1;
  branches[2].mode = protocol::BranchMode::All;
  CHECK(stack_lines(session->model(), branches).size() == 4);
}

TEST_CASE("worker table: one row for each, and sorting by a number is by its value") {
  const auto session = synthetic_session({.workers = 3});
  TableView table = worker_table(session->model());
  REQUIRE(table.rows.size() == 3);
  CHECK(table.rows[0].cells[0].text == "worker 0");
  sort_rows(table, 6, true);
  CHECK(table.rows[0].cells[6].order >= table.rows[1].cells[6].order);
  CHECK(table.rows[1].cells[6].order >= table.rows[2].cells[6].order);
  sort_rows(table, 99, true);  // no such column: nothing happens
  CHECK(table.rows.size() == 3);
}

TEST_CASE("loss table: by producer and cause; none is a good sentence") {
  const auto session = synthetic_session();
  const TableView table = loss_table(session->model());
  REQUIRE(table.rows.size() == 1);
  CHECK(table.rows[0].cells[0].text == "worker 2");
  CHECK(table.rows[0].cells[1].text == "ring full");
  CHECK(table.rows[0].cells[2].text == "1,234");
  const session::Model none;
  CHECK(loss_table(none).rows.empty());
  CHECK_FALSE(loss_table(none).empty.empty());
}

TEST_CASE("start screen: what can be attached to stands first, stale sockets nowhere") {
  source::Discovery found;
  found.candidates = {{.path = "/run/t/9", .pid = 9, .problem = "permission denied"},
                      {.path = "/run/t/30", .pid = 30, .stale = true},
                      {.path = "/run/t/20", .pid = 20, .process = protocol::Process{.name = "b"}},
                      {.path = "/run/t/10", .pid = 10, .process = protocol::Process{.name = "a"}}};
  const auto entries = process_entries(found);
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].title == "a");
  CHECK(entries[0].target == "/run/t/10");
  CHECK(entries[1].title == "b");
  CHECK(entries[2].problem == "permission denied");
}

TEST_CASE("start screen: recent files keep their order, and tell when they are gone") {
  const auto entries = file_entries({{"/tmp/one.tscope", true, 2048}, {"/two.tscope", false, 0}});
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].title == "one.tscope");
  CHECK(entries[0].detail == "/tmp");
  CHECK(entries[0].number == "2.00 KiB");
  CHECK(entries[1].problem == "the file is gone");
}

TEST_CASE("names: what a wait is for decides its colour class") {
  using protocol::PollEnd;
  using protocol::ResourceKind;
  using protocol::WaitOp;
  CHECK(wait_class({PollEnd::Pending, WaitOp::Lock, ResourceKind::Mutex, 0}) == WaitClass::Lock);
  CHECK(wait_class({PollEnd::Pending, WaitOp::Recv, ResourceKind::Mpsc, 0}) == WaitClass::Channel);
  CHECK(wait_class({PollEnd::Pending, WaitOp::Sleep, ResourceKind::Timer, 0}) == WaitClass::Timer);
  CHECK(wait_class({PollEnd::Pending, WaitOp::Accept, ResourceKind::Other, 0}) == WaitClass::Io);
  CHECK(wait_class({PollEnd::Pending, WaitOp::Join, ResourceKind::Other, 0}) == WaitClass::Join);
  CHECK(wait_class({PollEnd::Pending, static_cast<WaitOp>(200), static_cast<ResourceKind>(99),
                    0}) == WaitClass::Other);
  CHECK(name_of(static_cast<ResourceKind>(99)) == "unknown");
}
