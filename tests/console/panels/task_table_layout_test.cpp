#include "taskscope/console/panels/task_table_layout.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;
using namespace taskscope::console::panels;
using namespace taskscope::tests;

namespace {

std::vector<std::uint64_t> ids(const TaskTableLayout& table) {
  std::vector<std::uint64_t> result;
  for (const auto& row : table.rows()) result.push_back(row.id);
  return result;
}

std::vector<std::uint64_t> filtered(const session::Model& model, const std::string& filter) {
  TaskTableLayout table;
  table.finish(model, {.column = TaskColumn::Id, .descending = false, .filter = filter});
  return ids(table);
}

}  // namespace

TEST_CASE("task table: sorts by any column, both ways") {
  const auto session = synthetic_session();
  const session::Model& model = session->model();
  for (int c = 0; c < kTaskColumns; ++c) {
    const auto column = static_cast<TaskColumn>(c);
    TaskTableLayout up, down;
    up.finish(model, {.column = column, .descending = false});
    down.finish(model, {.column = column, .descending = true});
    CAPTURE(title_of(column));
    REQUIRE(up.rows().size() == 44);
    REQUIRE(down.rows().size() == 44);
    const auto value = [&](const TaskTableLayout& table, std::size_t row) -> std::uint64_t {
      const session::Task& task = *table.task(model, row);
      switch (column) {
        case TaskColumn::Id:
          return task.id;
        case TaskColumn::Polls:
          return task.polls;
        case TaskColumn::Busy:
          return task.busy_until(model.now());
        case TaskColumn::Scheduled:
          return task.scheduled_until(model.now());
        case TaskColumn::Idle:
          return task.idle(model.now());
        case TaskColumn::Total:
          return task.total(model.now());
        default:
          return 0;
      }
    };
    for (std::size_t i = 1; i < up.rows().size(); ++i) {
      CHECK(value(up, i - 1) <= value(up, i));
      CHECK(value(down, i - 1) >= value(down, i));
    }
  }
}

TEST_CASE("task table: names and places sort as words") {
  const auto session = synthetic_session();
  TaskTableLayout table;
  table.finish(session->model(), {.column = TaskColumn::Name, .descending = false});
  CHECK(table.rows().front().id == synthetic::kAcceptTask);
  table.finish(session->model(), {.column = TaskColumn::Location, .descending = false});
  CHECK(table.rows().front().id == synthetic::kAcceptTask);   // main.cpp
  CHECK(table.rows().back().id == synthetic::kSnapshotTask);  // snapshot.cpp
}

TEST_CASE("task filter: all words must be found, case does not matter") {
  const auto session = synthetic_session();
  const session::Model& model = session->model();
  CHECK(filtered(model, "").size() == 44);
  CHECK(filtered(model, "   ").size() == 44);
  CHECK(filtered(model, "EXPIRE keys") == std::vector<std::uint64_t>{synthetic::kExpireTask});
  CHECK(filtered(model, "at:snapshot.cpp") == std::vector<std::uint64_t>{synthetic::kSnapshotTask});
  CHECK(filtered(model, "server.cpp:112").size() == 40);
  CHECK(filtered(model, "id:12") == std::vector<std::uint64_t>{12});
  CHECK(filtered(model, "state:timer").size() == 2);
  CHECK(filtered(model, "state:timer -expire") ==
        std::vector<std::uint64_t>{synthetic::kSnapshotTask});
  CHECK(filtered(model, "kind:blocking").empty());
  CHECK(filtered(model, "field:peer=127.0.0.1:40011") == std::vector<std::uint64_t>{11});
  CHECK(filtered(model, "no such thing").empty());
}

TEST_CASE("task table: shows the living, the finished, or both") {
  const auto session = synthetic_session();
  TaskTableLayout live, done;
  live.finish(session->model(), {.shown = Shown::Live});
  done.finish(session->model(), {.shown = Shown::Done});
  CHECK(live.rows().size() + done.rows().size() == 44);
  CHECK(done.rows().size() == 6);
  for (std::size_t i = 0; i < done.rows().size(); ++i) {
    CHECK_FALSE(done.task(session->model(), i)->alive());
  }
}

TEST_CASE("task table: an order made in small pieces is the order made at once") {
  const auto session = synthetic_session({.idle_tasks = 60'000});
  const session::Model& model = session->model();
  const TaskOrder order{.column = TaskColumn::Polls, .descending = true};
  TaskTableLayout whole, pieces;
  whole.finish(model, order);
  std::size_t steps = 0;
  while (pieces.update(model, order, true, 1'000)) {
    ++steps;
    // The last complete order stays until the next is.
    REQUIRE(pieces.rows().empty());
  }
  CHECK(steps > 60);
  CHECK(ids(pieces) == ids(whole));
  // And it stays while the next one is under way.
  CHECK(pieces.update(model, {.column = TaskColumn::Id}, true, 1'000));
  CHECK(ids(pieces) == ids(whole));
}

TEST_CASE("task table: it is made anew only when it may be, or when asked for another order") {
  const auto session = synthetic_session();
  TaskTableLayout table;
  const TaskOrder order;
  CHECK_FALSE(table.update(session->model(), order, true, 1'000'000));
  CHECK(table.considered() == 44);
  session->model().apply(protocol::Snapshot{
      .id = 9, .begin_ticks = 1, .tasks = {{.ticks = 4'000'000'000, .task = 777'777, .polls = 1}}});
  session->model().flush();
  table.update(session->model(), order, false, 1'000'000);
  CHECK(table.considered() == 44);
  table.update(session->model(), order, true, 1'000'000);
  CHECK(table.considered() == 45);
}

TEST_CASE("task cells: all columns have text; what began before the attach is marked") {
  const auto session = synthetic_session({.idle_tasks = 1});
  const session::Model& model = session->model();
  const TaskCells cells = task_cells(model, *model.tasks().find(synthetic::kFirstConnection));
  CHECK(cells.text[static_cast<std::size_t>(TaskColumn::Id)] == "10");
  CHECK(cells.text[static_cast<std::size_t>(TaskColumn::State)] == "waiting · lock");
  CHECK(cells.text[static_cast<std::size_t>(TaskColumn::Location)] == "server.cpp:112");
  CHECK(cells.text[static_cast<std::size_t>(TaskColumn::Fields)] == "peer=127.0.0.1:40010  db=0");
  CHECK_FALSE(cells.dim);
  const TaskCells old = task_cells(model, *model.tasks().find(1'000'000));
  CHECK(old.text[static_cast<std::size_t>(TaskColumn::Total)].front() == '~');
  CHECK(old.text[static_cast<std::size_t>(TaskColumn::Busy)] == "–");
}
