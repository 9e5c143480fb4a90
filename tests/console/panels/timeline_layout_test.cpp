#include "taskscope/console/panels/timeline_layout.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;
using namespace taskscope::console::panels;
using namespace taskscope::tests;

namespace {

std::vector<TimelineRow> rows_of(const session::Model& model, const TimelineState& state = {},
                                 TimeView view = {0, 3'000'000'000}) {
  return timeline_rows(model, state, {.view = view});
}

TimelineScene scene_of(session::Model& model, const std::vector<TimelineRow>& rows, TimeView view,
                       float width_px = 1000, std::size_t budget = kBoxBudget) {
  return timeline_scene(model, rows,
                        {.view = view,
                         .width_px = width_px,
                         .top_px = 0,
                         .bottom_px = column_height(rows),
                         .budget = budget});
}

std::uint32_t group_at(const session::Model& model, std::uint32_t site) {
  const auto groups = model.tasks().call_groups();
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    if (groups[i].site == site) return i;
  }
  return session::kNone;
}

/// With the group of connections open.
std::vector<TimelineRow> rows_with_connections(session::Model& model, TimeView view) {
  TimelineState state;
  state.expanded.insert(group_key(group_at(model, synthetic::kConnectionSite)));
  return rows_of(model, state, view);
}

std::size_t count(const std::vector<TimelineRow>& rows, RowKind kind) {
  return static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [&](const auto& row) { return row.kind == kind; }));
}

}  // namespace

TEST_CASE("timeline rows: one for each worker and call site, one below the other") {
  const auto session = synthetic_session({.workers = 3});
  const auto rows = rows_of(session->model());
  CHECK(count(rows, RowKind::Worker) == 3);
  CHECK(count(rows, RowKind::Group) == 5);
  CHECK(count(rows, RowKind::Task) == 0);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    CHECK(rows[i].y_px == rows[i - 1].y_px + rows[i - 1].height_px);
  }
  CHECK(row_at(rows, 0) == 0);
  CHECK(row_at(rows, column_height(rows) - 1) == rows.size() - 1);
  CHECK(row_at(rows, column_height(rows)) == SIZE_MAX);
  CHECK(row_at(rows, -1) == SIZE_MAX);
}

TEST_CASE("timeline rows: an open group shows its tasks, and counts those it has no room for") {
  const auto session = synthetic_session({.connections = 40});
  TimelineState state;
  state.expanded.insert(group_key(group_at(session->model(), synthetic::kConnectionSite)));
  auto rows = rows_of(session->model(), state);
  CHECK(count(rows, RowKind::Task) == 40);
  CHECK(count(rows, RowKind::More) == 0);
  rows = timeline_rows(session->model(), state, {.view = {0, 3'000'000'000}, .tasks_a_group = 10});
  CHECK(count(rows, RowKind::Task) == 10);
  const auto more = std::find_if(rows.begin(), rows.end(),
                                 [](const auto& row) { return row.kind == RowKind::More; });
  REQUIRE(more != rows.end());
  CHECK(more->more == 30);
}

TEST_CASE("timeline rows: the selected task has a row of its own at the top") {
  const auto session = synthetic_session();
  TimelineState state;
  state.selected_task = synthetic::kSnapshotTask;
  const auto rows = rows_of(session->model(), state);
  REQUIRE(rows.size() > 2);
  CHECK(rows[1].kind == RowKind::Task);
  CHECK(rows[1].task == synthetic::kSnapshotTask);
}

TEST_CASE("timeline scene: zoomed out it folds, and stays within its budget") {
  const auto session = synthetic_session({.workers = 8, .connections = 200});
  const TimeView view{0, 3'000'000'000};
  const auto rows = rows_with_connections(session->model(), view);
  const TimelineScene scene = scene_of(session->model(), rows, view, 2000);
  CHECK(scene.boxes.size() <= kBoxBudget);
  CHECK(scene.boxes.size() > 1000);
  CHECK(std::any_of(scene.items.begin(), scene.items.end(),
                    [](const TimelineItem& item) { return item.polls > 1; }));
}

TEST_CASE("timeline scene: pieces that lie closer than expected are drawn coarser") {
  const auto session = synthetic_session({.workers = 8, .connections = 200});
  const TimeView view{0, 3'000'000'000};
  const auto rows = rows_with_connections(session->model(), view);
  for (const std::size_t budget : {1000u, 1500u, 2000u, 3000u, 5000u, 8000u}) {
    const TimelineScene scene = scene_of(session->model(), rows, view, 2000, budget);
    CAPTURE(budget);
    CHECK(scene.boxes.size() <= budget);
    CHECK(scene.boxes.size() > budget / 3);
  }
}

TEST_CASE("timeline scene: zoomed in, each poll is a box of its own, as long as it lasted") {
  auto session = synthetic_session();
  session::Model& model = session->model();
  const TimeView view{1'500'000'000, 1'502'000'000};
  const auto rows = rows_of(model, {}, view);
  const TimelineScene scene = scene_of(model, rows, view);
  std::size_t singles = 0;
  for (const TimelineBox& box : scene.boxes) {
    if (box.kind != BoxKind::Poll || rows[box.row].kind != RowKind::Worker) continue;
    const TimelineItem& item = scene.items[box.item];
    if (item.polls != 1 || item.from_ns < view.from_ns || item.to_ns > view.to_ns) continue;
    ++singles;
    const double width = static_cast<double>(item.to_ns - item.from_ns) * 1000 / 2'000'000;
    CHECK(static_cast<double>(box.width_px) == Approx(std::max(width, 1.0)).margin(0.01));
    CHECK(static_cast<double>(box.x_px) == Approx(view.x(item.from_ns, 1000)).margin(0.01));
  }
  CHECK(singles > 5);
}

TEST_CASE("timeline scene: boxes lie within their rows and between the edges") {
  const auto session = synthetic_session();
  TimelineState state;
  state.selected_task = synthetic::kFirstConnection;
  for (const TimeView view : {TimeView{0, 3'000'000'000}, TimeView{-2'000'000'000, 500'000'000},
                              TimeView{2'400'000'000, 2'401'000'000}}) {
    const auto rows = rows_of(session->model(), state, view);
    const TimelineScene scene = scene_of(session->model(), rows, view);
    for (const TimelineBox& box : scene.boxes) {
      REQUIRE(box.row < rows.size());
      REQUIRE(box.item < scene.items.size());
      CHECK(box.x_px >= -1);
      CHECK(box.x_px + box.width_px <= 1000 + 5);
      CHECK(box.y_px >= rows[box.row].y_px);
      CHECK(box.y_px + box.height_px <= rows[box.row].y_px + rows[box.row].height_px);
    }
  }
}

TEST_CASE("timeline scene: what was lost is a hatched gap that says how much") {
  const auto session = synthetic_session();
  const TimeView view{0, 3'000'000'000};
  const auto rows = rows_of(session->model(), {}, view);
  const TimelineScene scene = scene_of(session->model(), rows, view);
  const auto gap = std::find_if(scene.boxes.begin(), scene.boxes.end(),
                                [](const auto& box) { return box.kind == BoxKind::Gap; });
  REQUIRE(gap != scene.boxes.end());
  CHECK(gap->hatched);
  CHECK(scene.items[gap->item].lost == synthetic::kLostEvents);
  CHECK(rows[gap->row].kind == RowKind::Worker);
  // However short it is, it can be seen.
  const TimeView far{-50'000'000'000, 50'000'000'000};
  const TimelineScene small = scene_of(session->model(), rows_of(session->model(), {}, far), far);
  const auto still = std::find_if(small.boxes.begin(), small.boxes.end(),
                                  [](const auto& box) { return box.kind == BoxKind::Gap; });
  REQUIRE(still != small.boxes.end());
  CHECK(still->width_px >= 3);
}

TEST_CASE("timeline scene: a poll that held its worker up is hatched") {
  const auto session = synthetic_session();
  const TimeView view{0, 3'000'000'000};
  const auto rows = rows_of(session->model(), {}, view);
  const TimelineScene scene = scene_of(session->model(), rows, view);
  const auto longest = std::find_if(scene.boxes.begin(), scene.boxes.end(), [](const auto& box) {
    return box.kind == BoxKind::Poll && box.hatched;
  });
  REQUIRE(longest != scene.boxes.end());
  CHECK(scene.items[longest->item].task == synthetic::kSnapshotTask);
  CHECK(scene.items[longest->item].to_ns - scene.items[longest->item].from_ns ==
        synthetic::kLongPollNs);
  // The box can be found again by its place, and so can its row.
  const std::size_t found = box_at(scene, rows, longest->x_px + longest->width_px / 2,
                                   longest->y_px + longest->height_px / 2);
  REQUIRE(found < scene.boxes.size());
  CHECK(scene.items[scene.boxes[found].item].task == synthetic::kSnapshotTask);
}

TEST_CASE("timeline scene: only rows in sight get boxes") {
  const auto session = synthetic_session();
  const TimeView view{0, 3'000'000'000};
  const auto rows = rows_of(session->model(), {}, view);
  const TimelineScene scene = timeline_scene(
      session->model(), rows, {.view = view, .width_px = 1000, .top_px = 0, .bottom_px = 70});
  for (const TimelineBox& box : scene.boxes) CHECK(rows[box.row].y_px < 70);
  CHECK(timeline_scene(session->model(), rows, {.view = view, .width_px = 0}).boxes.empty());
}

TEST_CASE("load strip: busy where polls are, and never more than all workers") {
  const auto session = synthetic_session();
  const auto load = load_strip(session->model(), 0, 3'000'000'000, 100);
  REQUIRE(load.size() == 100);
  for (const float share : load) {
    CHECK(share >= 0);
    CHECK(share <= 1);
  }
  CHECK(*std::max_element(load.begin(), load.end()) > 0.05f);
  CHECK(load_strip(session->model(), 10, 10, 5) == std::vector<float>(5, 0.0f));
  CHECK(load_strip(session->model(), 0, 10, 0).empty());
}

TEST_CASE("timeline: a session with nothing in it is laid out too") {
  session::Model model;
  const auto rows = rows_of(model);
  CHECK(rows.empty());
  CHECK(scene_of(model, rows, {0, 1'000'000}).boxes.empty());
}

TEST_CASE("timeline rows: tasks that belong together have rows below the selected one's") {
  const auto session = synthetic_session();
  TimelineState state;
  state.selected_task = synthetic::kSnapshotTask;
  for (std::uint64_t task = 10; task < 40; ++task) state.lit_tasks.push_back(task);
  CHECK(state.is_lit(synthetic::kSnapshotTask));
  CHECK(state.is_lit(12));
  CHECK_FALSE(state.is_lit(41));
  CHECK_FALSE(state.is_lit(0));
  const auto rows = rows_of(session->model(), state);
  CHECK(count(rows, RowKind::Task) == kLitRows + 1);
  CHECK(rows[0].label == "Selected tasks");
  CHECK(rows[1].task == synthetic::kSnapshotTask);
  const auto more = std::find_if(rows.begin(), rows.end(),
                                 [](const auto& row) { return row.kind == RowKind::More; });
  REQUIRE(more != rows.end());
  CHECK(more->more == 31 - kLitRows - 1);
}

TEST_CASE("timeline scene: polls of lit tasks are marked on the lanes of the workers they ran on") {
  const auto session = synthetic_session();
  const TimeView view{0, 3'000'000'000};
  const auto rows = rows_of(session->model(), {}, view);
  const std::uint64_t lit[] = {synthetic::kFirstConnection};
  const TimelineScene scene = timeline_scene(
      session->model(), rows,
      {.view = view, .width_px = 1000, .bottom_px = column_height(rows), .lit = lit});
  std::set<std::uint32_t> lanes;
  std::size_t marks = 0;
  for (const TimelineBox& box : scene.boxes) {
    if (box.kind != BoxKind::Lit) continue;
    ++marks;
    CHECK(scene.items[box.item].task == synthetic::kFirstConnection);
    CHECK(rows[box.row].kind == RowKind::Worker);
    lanes.insert(rows[box.row].lane);
  }
  CHECK(marks > 20);
  CHECK(lanes.size() > 1);
}

TEST_CASE("timeline scene: a wide wait says what it is for, above its low box") {
  const auto session = synthetic_session();
  TimelineState state;
  state.selected_task = synthetic::kFirstConnection;
  const TimeView view{1'500'000'000, 1'503'000'000};
  const auto rows = rows_of(session->model(), state, view);
  const TimelineScene scene = scene_of(session->model(), rows, view);
  REQUIRE_FALSE(scene.labels.empty());
  for (const TimelineLabel& label : scene.labels) {
    REQUIRE(label.row < rows.size());
    CHECK(rows[label.row].kind == RowKind::Task);
    CHECK(label.wait != session::kWaitUnknown);
    CHECK(label.width_px >= 40);
    CHECK(label.y_px >= rows[label.row].y_px);
    CHECK(label.y_px + label.height_px <= rows[label.row].y_px + rows[label.row].height_px);
  }
}

TEST_CASE("timeline scene: what counts as blocking is a setting, and never a blocking call's") {
  const auto session = synthetic_session();
  const TimeView view{0, 3'000'000'000};
  const auto rows = rows_of(session->model(), {}, view);
  const auto hatched = [&](std::int64_t threshold) {
    const TimelineScene scene = timeline_scene(session->model(), rows,
                                               {.view = view,
                                                .width_px = 1000,
                                                .bottom_px = column_height(rows),
                                                .long_poll_ns = threshold});
    return std::count_if(scene.boxes.begin(), scene.boxes.end(),
                         [](const auto& box) { return box.hatched && box.kind == BoxKind::Poll; });
  };
  CHECK(hatched(kLongPollNs) > 0);
  CHECK(hatched(1'000'000'000) == 0);
}

TEST_CASE("wake arrows: from the waker's moment to the poll, folded where they coincide") {
  const auto session = synthetic_session();
  const session::Model& model = session->model();
  const TimeView view{1'000'000'000, 2'000'000'000};
  const auto rows = rows_of(model, {}, view);
  const SceneOptions options{.view = view, .width_px = 1000, .bottom_px = column_height(rows)};
  std::vector<session::Wake> wakes = {
      {1'100'000'000, 5, 7, 0, protocol::WakeCause::Task, 1, 1'200'000'000, 1},
      {1'100'500'000, 5, 7, 0, protocol::WakeCause::Task, 1, 1'200'500'000, 1},  // as good as there
      {1'300'000'000, 5, 0, 0, protocol::WakeCause::Timer, 0, 1'310'000'000, 1},
      {1'400'000'000, 6, 5, 1, protocol::WakeCause::Task, 1, 1'500'000'000, 0},
      {500'000'000, 5, 7, 0, protocol::WakeCause::Task, 1, 1'050'000'000, 1},     // begins before
      {100'000'000, 5, 7, 0, protocol::WakeCause::Task, 1, 200'000'000, 1},       // out of sight
      {1'600'000'000, 5, 7, 0, protocol::WakeCause::Task, 1, 0, session::kNone},  // not polled yet
      {1'700'000'000, 5, 7, 900, protocol::WakeCause::Task, 1, 0, session::kNone},
  };
  const auto arrows = timeline_arrows(model, rows, wakes, 5, options);
  REQUIRE(arrows.size() == 5);
  CHECK(arrows[0].wakes == 2);
  CHECK(arrows[0].from_x_px == Approx(100));
  CHECK(arrows[0].to_x_px == Approx(200));
  CHECK(arrows[0].from_y_px != arrows[0].to_y_px);
  CHECK_FALSE(arrows[0].outgoing);
  CHECK_FALSE(arrows[1].waker_shown);  // a timer
  CHECK(arrows[2].outgoing);
  CHECK(arrows[3].from_x_px < 0);
  CHECK(arrows[3].to_x_px == Approx(50));
  CHECK_FALSE(arrows[4].poll_shown);
  CHECK(arrow_end_at(arrows, 101, arrows[0].from_y_px, 6) == 0);
  CHECK(arrow_end_at(arrows, 199, arrows[0].to_y_px, 6) == 0);
  CHECK(arrow_end_at(arrows, 150, arrows[0].from_y_px, 6) == SIZE_MAX);
  CHECK(timeline_arrows(model, rows, wakes, 5, options, 2).size() == 2);
}

TEST_CASE("native frames are named as well as is known") {
  session::NativeFrame frame;
  frame.address = 0x1234;
  CHECK(native_frame_text(frame) == "0x1234");
  frame.module = "/usr/lib/libc.so.6";
  frame.offset = 0x99;
  CHECK(native_frame_text(frame) == "libc.so.6+0x99");
  frame.function = "int store::write_all(int)";
  frame.file = "/src/store.cpp";
  frame.line = 12;
  frame.guessed = true;
  CHECK(native_frame_text(frame) == "store::write_all  store.cpp:12  (perhaps)");
}
