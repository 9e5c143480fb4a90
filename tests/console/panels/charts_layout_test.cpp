// Workers, timers and resources on the time axis, and lists in groups.
#include <algorithm>
#include <catch2/catch.hpp>

#include "taskscope/console/panels/names.h"
#include "taskscope/console/panels/resources_layout.h"
#include "taskscope/console/panels/timeline_charts_layout.h"
#include "taskscope/console/panels/timers_layout.h"
#include "taskscope/console/panels/workers_layout.h"
#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;
using namespace taskscope::console::panels;
using namespace taskscope::tests;

namespace {

constexpr TimeView kWhole{0, 3'000'000'000};

/// Ticks are nanoseconds, session time begins at tick 1000.
void begin(session::Model& model) {
  protocol::Process process;
  process.ticks_are_tsc = false;
  model.apply(process);
  model.apply(protocol::ClockPoint{1000, 1000, 5000});
}

protocol::TaskSnapshot waiting(std::uint64_t task, protocol::WaitOp op, protocol::ResourceKind kind,
                               std::uint64_t other, std::uint64_t value, std::uint32_t site) {
  protocol::TaskSnapshot entry;
  entry.ticks = 2000;
  entry.task = task;
  entry.site = 7;
  entry.polls = 1;
  entry.branches.emplace_back();
  entry.branches[0].op = op;
  entry.branches[0].resource_kind = kind;
  entry.branches[0].other = other;
  entry.branches[0].value = value;
  entry.branches[0].site = site;
  return entry;
}

void walk(session::Model& model, std::vector<protocol::TaskSnapshot> tasks) {
  protocol::Snapshot snapshot;
  snapshot.id = 1;
  snapshot.begin_ticks = 1500;
  snapshot.last = snapshot.has_waits = true;
  snapshot.tasks = std::move(tasks);
  model.apply(std::move(snapshot));
  model.flush();
}

const ChartStrip& strip_of(const ChartRow& row, const std::string& label) {
  const auto found = std::find_if(row.strips.begin(), row.strips.end(),
                                  [&](const auto& strip) { return strip.label == label; });
  REQUIRE(found != row.strips.end());
  return *found;
}

void check_strip(const ChartStrip& strip, float width_px) {
  float right = 0;
  for (const ChartStep& step : strip.steps) {
    CHECK(step.x_px >= right - 0.01f);
    CHECK(step.to_px >= step.x_px);
    CHECK(step.to_px <= width_px + 0.01f);
    CHECK(step.value >= 0);
    CHECK(step.value <= strip.highest * 1.0001);
    right = step.to_px;
  }
}

}  // namespace

TEST_CASE("sample steps: from one sample to the next, folded where too narrow") {
  session::Clock clock;
  clock.set_ticks_are_tsc(false);
  clock.add({1000, 1000, 0});
  std::vector<std::uint64_t> ticks;
  for (std::uint64_t i = 0; i < 100; ++i) ticks.push_back(1000 + i * 1000);
  const auto at = [&](std::size_t i) { return ticks[i]; };
  const ChartOptions wide{.view = {0, 100'000}, .width_px = 1000};
  const auto steps = sample_steps(clock, ticks.size(), at, wide);
  REQUIRE(steps.size() == 99);
  CHECK(steps[0].x_px == Approx(0));
  CHECK(steps[0].to_px == Approx(10));
  CHECK(steps[98].last == 99);
  // A pixel a sample: three samples are one step.
  const auto folded =
      sample_steps(clock, ticks.size(), at, {.view = {0, 100'000}, .width_px = 100});
  CHECK(folded.size() == 33);
  for (const SampleStep& step : folded) CHECK(step.last == step.first + 3);
  // A view in the middle has the step that reaches into it, and none beyond.
  const auto middle =
      sample_steps(clock, ticks.size(), at, {.view = {10'500, 12'500}, .width_px = 100});
  REQUIRE(middle.size() == 3);
  CHECK(middle.front().first == 10);
  CHECK(middle.front().x_px == 0);
  CHECK(middle.back().to_px == 100);
  CHECK(sample_steps(clock, 1, at, wide).empty());
  CHECK(sample_steps(clock, ticks.size(), at, {.view = {0, 100}, .width_px = 0}).empty());
}

TEST_CASE("charts: full heights are round, values carry their unit, places are found again") {
  CHECK(round_highest(0) == 1);
  CHECK(round_highest(3) == 5);
  CHECK(round_highest(10) == 10);
  CHECK(round_highest(0.7) == Approx(1));
  CHECK(round_highest(1234) == 2000);
  CHECK(chart_value_text(ChartUnit::Rate, 1200) == "1.20 k/s");
  CHECK(chart_value_text(ChartUnit::Share, 0.43) == "43 %");
  const ChartStep steps[] = {{0, 10, 1}, {10, 20, 2}, {30, 40, 3}};
  CHECK(step_at(steps, 15) == 1);
  CHECK(step_at(steps, 25) == SIZE_MAX);
  CHECK(step_at(steps, -1) == SIZE_MAX);
  const ChartBar bars[] = {{.x_px = 0, .to_px = 10}, {.x_px = 20, .to_px = 21}};
  CHECK(bar_at(bars, 5) == 0);
  CHECK(bar_at(bars, 21.5f) == 1);
  CHECK(bar_at(bars, 15) == SIZE_MAX);
}

TEST_CASE("worker rows: each has its strips, within the lanes; the pool follows") {
  const auto session = synthetic_session({.workers = 3});
  const auto rows = worker_rows(session->model(), {.chart = {.view = kWhole, .width_px = 1000}});
  REQUIRE(rows.size() >= 3);
  CHECK(rows[0].title == "worker 0");
  CHECK(rows[2].title == "worker 2");
  for (const ChartRow& row : rows) {
    for (const ChartStrip& strip : row.strips) check_strip(strip, 1000);
  }
  double busiest = 0;
  for (const ChartStep& step : strip_of(rows[0], "busy").steps) {
    busiest = std::max(busiest, step.value);
  }
  CHECK(busiest > 0.05);
  CHECK_FALSE(strip_of(rows[0], "busy").sampled);
  CHECK(strip_of(rows[0], "queue").sampled);
  // Rows out of sight have the same strips, empty.
  const auto few = worker_rows(
      session->model(), {.chart = {.view = kWhole, .width_px = 1000}, .first = 1, .last = 1});
  REQUIRE(few.size() == rows.size());
  CHECK(few[0].strips.size() == rows[0].strips.size());
  CHECK(few[0].strips[0].steps.empty());
  CHECK_FALSE(few[1].strips[0].steps.empty());
}

TEST_CASE("worker rows: a poll that blocks is told, also one that only samples saw") {
  session::Model model;
  begin(model);
  protocol::Events run;
  run.ring = 1;
  run.worker = 1;
  protocol::Event poll;
  poll.kind = protocol::EventKind::PollStarted;
  poll.ticks = 2000;
  poll.task = 5;
  run.events.push_back(poll);
  model.apply(run);
  for (std::uint64_t i = 0; i < 4; ++i) {
    protocol::Samples samples;
    samples.ticks = 1000 + 100'000'000 * (i + 1);
    protocol::WorkerSample one{.worker = 1, .runtime = 1, .index = 0, .current_task = 5};
    protocol::WorkerSample other{.worker = 2, .runtime = 1, .index = 1, .current_task = 9};
    other.poll_sequence = 77;
    protocol::WorkerSample idle{.worker = 3, .runtime = 1, .index = 2};
    idle.parked = true;
    samples.workers = {one, other, idle};
    model.apply(samples);
  }
  model.flush();
  const auto rows = worker_rows(
      model, {.chart = {.view = {0, 500'000'000}, .width_px = 500}, .long_poll_ns = 10'000'000});
  REQUIRE(rows.size() >= 3);
  CHECK(rows[0].task == 5);
  CHECK(rows[0].warn);
  CHECK(rows[0].note.starts_with("blocks for "));
  CHECK(rows[1].task == 9);
  CHECK(rows[1].warn);
  CHECK(rows[1].note.starts_with("blocks for at least "));
  REQUIRE_FALSE(rows[1].strips[0].steps.empty());
  CHECK(rows[1].strips[0].steps.back().value == 1);
  CHECK_FALSE(rows[2].warn);
  CHECK(rows[2].task == 0);
  const SampledPoll sampled = sampled_poll(*model.lanes()[model.lane_of_worker(2)]);
  CHECK(sampled.task == 9);
  CHECK(sampled.from == 100'001'000);
  CHECK(sampled_poll(*model.lanes()[model.lane_of_worker(1)]).task == 0);
  // With a patient threshold nothing blocks.
  const auto patient = worker_rows(model, {.chart = {.view = {0, 500'000'000}, .width_px = 500},
                                           .long_poll_ns = 10'000'000'000});
  CHECK_FALSE(patient[0].warn);
  CHECK(patient[0].note.starts_with("polls for "));
}

TEST_CASE("timer rows: the wheels of all workers together, late fires as a rate") {
  session::Model model;
  begin(model);
  CHECK(timer_rows(model, {.view = kWhole, .width_px = 300}).empty());
  for (std::uint64_t i = 0; i <= 10; ++i) {
    protocol::Samples samples;
    samples.ticks = 1000 + 100'000'000 * i;
    for (std::uint32_t worker = 1; worker <= 2; ++worker) {
      protocol::WorkerSample sample{.worker = worker, .runtime = 1, .index = worker - 1};
      sample.wheel[0] = 5;
      sample.wheel[2] = worker;
      sample.timers_fired = 100 * i;
      sample.timers_late = i;
      sample.late_max_ns = 1'000'000 * worker;
      samples.workers.push_back(sample);
    }
    model.apply(samples);
  }
  model.flush();
  const auto rows = timer_rows(model, {.view = {0, 1'000'000'000}, .width_px = 300});
  REQUIRE(rows.size() == 2);
  REQUIRE(rows[0].strips.size() == protocol::kWheelLevels);
  CHECK(rows[0].strips[0].value == "10");
  CHECK(rows[0].strips[2].value == "3");
  REQUIRE_FALSE(rows[0].strips[2].steps.empty());
  CHECK(rows[0].strips[2].steps.front().value == 3);
  CHECK(rows[0].note == "13 pending");
  CHECK(strip_of(rows[1], "fired").steps.front().value == Approx(2000));
  CHECK(strip_of(rows[1], "late").steps.front().value == Approx(20));
  CHECK(rows[1].note == "latest by 2.00 ms");
  for (const ChartRow& row : rows) {
    for (const ChartStrip& strip : row.strips) check_strip(strip, 300);
  }
}

TEST_CASE("next timers: the soonest of all, found piece by piece") {
  session::Model model;
  begin(model);
  std::vector<protocol::TaskSnapshot> tasks;
  for (std::uint64_t task = 1; task <= 500; ++task) {
    const std::uint64_t deadline = 1'000'000 + (task * 7919) % 500 * 1000;
    tasks.push_back(task % 5 == 0 ? waiting(task, protocol::WaitOp::Lock,
                                            protocol::ResourceKind::Mutex, 3, 0, 4)
                                  : waiting(task, protocol::WaitOp::Sleep,
                                            protocol::ResourceKind::Timer, 0, deadline, 5));
  }
  walk(model, tasks);
  NextTimers timers(20);
  std::size_t pieces = 1;
  while (timers.update(model, true, 100)) ++pieces;
  CHECK(pieces == 5);
  CHECK(timers.known());
  CHECK(timers.count() == 400);
  REQUIRE(timers.soonest().size() == 20);
  for (std::size_t i = 1; i < timers.soonest().size(); ++i) {
    CHECK(timers.soonest()[i - 1].deadline_ns <= timers.soonest()[i].deadline_ns);
  }
  CHECK(timers.soonest()[0].deadline_ns == 1'001'000);
  CHECK_FALSE(timers.update(model, true, 100));  // nothing changed
  const TableView table = next_timer_table(model, timers);
  REQUIRE(table.rows.size() == 20);
  CHECK(table.more == 380);
  CHECK(table.rows[0].cells[2].text == "sleep");
  REQUIRE(table.rows[0].on_click);
  CHECK(std::get<action::SelectTask>(*table.rows[0].on_click).task == timers.soonest()[0].task);
}

TEST_CASE("resources: contended ones first; a hint is told from a certain holder") {
  const auto session = synthetic_session();
  const auto view = resources_view(session->model(), {});
  const auto text = [&](std::size_t row, ResourceColumn column) {
    return view.table.rows[row].cells[static_cast<std::size_t>(column)].text;
  };
  CHECK(view.grouping == ResourceGrouping::None);
  REQUIRE(view.table.rows.size() >= 2);
  CHECK(text(0, ResourceColumn::Name).starts_with("store"));
  CHECK(text(0, ResourceColumn::Holder) == "expire keys 2");
  CHECK(text(1, ResourceColumn::Holder) == "last: 10");
  CHECK(text(0, ResourceColumn::Longest) != "–");
  CHECK(text(0, ResourceColumn::Longest) != "?");
  CHECK_FALSE(view.waits_cut);
  CHECK(view.table.more == 0);
  const auto one = resources_view(session->model(), {}, {.rows = 1});
  CHECK(one.table.rows.size() == 1);
  CHECK(one.table.more == view.table.rows.size() - 1);
  // Without a look at any waiter the longest waits are unknown, and that is said.
  const auto blind = resources_view(session->model(), {}, {.look_at_waiters = 0});
  CHECK(blind.waits_cut);
  CHECK(blind.table.rows[0].cells[static_cast<std::size_t>(ResourceColumn::Longest)].text == "?");
}

TEST_CASE("resources: sorted, filtered, and grouped by kind or place") {
  const auto session = synthetic_session();
  ResourceOrder order;
  order.column = ResourceColumn::Kind;
  order.descending = false;
  auto view = resources_view(session->model(), order);
  for (std::size_t i = 1; i < view.table.rows.size(); ++i) {
    CHECK(view.table.rows[i - 1].cells[0].text <= view.table.rows[i].cells[0].text);
  }
  order.filter = "mutex store";
  view = resources_view(session->model(), order);
  CHECK(view.listed == 1);
  CHECK(view.of > 1);
  order.filter = "no such thing";
  CHECK(resources_view(session->model(), order).table.rows.empty());
  order.filter.clear();
  order.grouping = ResourceGrouping::Kind;
  view = resources_view(session->model(), order);
  REQUIRE_FALSE(view.table.rows.empty());
  for (const GroupRow& row : view.table.rows) CHECK(row.key != 0);
  order.expanded.insert(view.table.rows[0].key);
  const auto open = resources_view(session->model(), order);
  CHECK(open.table.rows.size() > view.table.rows.size());
  CHECK(open.table.rows[0].expanded);
  CHECK(open.table.rows[1].inside);
  CHECK(open.table.rows[1].id != 0);
  // Many are grouped unasked.
  CHECK(resources_view(session->model(), {}, {.group_from = 1}).grouping ==
        ResourceGrouping::Location);
}

TEST_CASE("a resource over time: holds as bars, waiters as steps, the unknown hatched") {
  const auto session = synthetic_session();
  const session::Resource* store = session->model().resource(synthetic::kStoreMutex);
  REQUIRE(store != nullptr);
  session::ResourceHistory history;
  history.resource = store->id;
  history.from_ns = 500'000'000;
  history.to_ns = 2'000'000'000;
  history.holders_from_ns = 800'000'000;
  history.waiting_before = 1;
  history.waiting = {{1'000'000'000, 3}, {1'500'000'000, 0}};
  history.holds = {{800'000'000, 1'200'000'000, synthetic::kExpireTask, 1, true, false, false},
                   {1'200'000'000, 1'400'000'000, 10, 1, false, false, false},
                   {1'300'000'000, 2'000'000'000, 11, 1, true, false, true}};
  history.gaps = {{1'600'000'000, 1'700'000'000}};
  const auto rows =
      resource_rows(session->model(), *store, history, {.view = kWhole, .width_px = 3000});
  REQUIRE(rows.size() == 1);
  REQUIRE(rows[0].strips.size() == 3);  // the third hold overlaps the second
  const ChartStrip& first = rows[0].strips[0];
  const auto hold = std::find_if(first.bars.begin(), first.bars.end(), [](const auto& bar) {
    return bar.task == synthetic::kExpireTask;
  });
  REQUIRE(hold != first.bars.end());
  CHECK(hold->x_px == Approx(800));
  CHECK(hold->to_px == Approx(1200));
  CHECK_FALSE(hold->hatched);
  CHECK(hold->label == "expire keys 2");
  const auto hint = std::find_if(first.bars.begin(), first.bars.end(),
                                 [](const auto& bar) { return bar.task == 10; });
  REQUIRE(hint != first.bars.end());
  CHECK(hint->hatched);
  CHECK(hint->label.starts_with("last: "));
  const auto unknown = [&](const ChartStrip& strip, const std::string& label) {
    return std::count_if(strip.bars.begin(), strip.bars.end(),
                         [&](const auto& bar) { return bar.hatched && bar.label == label; });
  };
  CHECK(unknown(first, "not known") == 2);
  CHECK(unknown(first, "not read: zoom in") == 1);
  CHECK(unknown(first, "lost") == 1);
  const ChartStrip& waiting = rows[0].strips.back();
  CHECK(unknown(waiting, "not read: zoom in") == 1);
  REQUIRE(waiting.steps.size() == 3);
  CHECK(waiting.steps[0].value == 1);
  CHECK(waiting.steps[0].x_px == Approx(500));
  CHECK(waiting.steps[1].value == 3);
  CHECK(waiting.steps[2].to_px == Approx(2000));
  check_strip(waiting, 3000);
}

TEST_CASE("a resource over time: holds too narrow to tell apart are counted in one bar") {
  const auto session = synthetic_session();
  const session::Resource* store = session->model().resource(synthetic::kStoreMutex);
  session::ResourceHistory history;
  history.to_ns = 3'000'000'000;
  for (std::int64_t i = 0; i < 10'000; ++i) {
    history.holds.push_back({i * 300'000, i * 300'000 + 200'000, 10, 1, true, false, false});
  }
  const auto rows =
      resource_rows(session->model(), *store, history, {.view = kWhole, .width_px = 300});
  REQUIRE(rows[0].strips.size() == 2);
  CHECK(rows[0].strips[0].bars.size() <= 110);
  std::uint64_t holds = 0;
  for (const ChartBar& bar : rows[0].strips[0].bars) holds += bar.folded;
  CHECK(holds == 10'000);
}

TEST_CASE("tasks in groups: by await site with the longest wait first, open ones show members") {
  session::Model model;
  begin(model);
  model.apply(std::vector<protocol::Site>{{4, "a.cpp", "void f()", 10, 1},
                                          {5, "b.cpp", "void g()", 20, 1},
                                          {7, "main.cpp", "int main()", 1, 1}});
  std::vector<protocol::TaskSnapshot> tasks;
  for (std::uint64_t task = 1; task <= 30; ++task) {
    tasks.push_back(
        task <= 20 ? waiting(task, protocol::WaitOp::Lock, protocol::ResourceKind::Mutex, 3, 0, 4)
                   : waiting(task, protocol::WaitOp::Recv, protocol::ResourceKind::Mpsc, 8, 0, 5));
    tasks.back().last_poll_ms = task;
  }
  walk(model, tasks);
  GroupOrder order{.column = 1, .descending = true, .expanded = {}};
  auto table = grouped_tasks(model, Grouping::AwaitSite, order);
  REQUIRE(table.rows.size() == 2);
  CHECK(table.rows[0].cells[0].text == "lock on mutex in f");
  CHECK(table.rows[0].cells[1].text == "20");
  CHECK(table.rows[1].cells[1].text == "10");
  CHECK(table.rows[0].cells.back().text == "a.cpp:10");
  CHECK(table.things == 30);
  order.descending = false;
  order.expanded.insert(table.rows[1].key);
  table = grouped_tasks(model, Grouping::AwaitSite, order, {.members = 4});
  REQUIRE(table.rows.size() == 2 + 4);
  CHECK(table.rows[0].expanded);
  CHECK(table.rows[1].inside);
  REQUIRE(table.rows[1].on_click);
  // By call site all are of one place; a list is grouped as all are.
  CHECK(grouped_tasks(model, Grouping::CallSite, {}).rows.size() == 1);
  const std::uint64_t some[] = {1, 2, 25, 999};
  const auto list = grouped_tasks(model, some, Grouping::AwaitSite, {});
  REQUIRE(list.rows.size() == 2);
  CHECK(list.things == 3);
  CHECK(list.rows[0].cells[1].text == "2");
  CHECK(grouped_tasks(session::Model(), Grouping::AwaitSite, {}).rows.empty());
}
