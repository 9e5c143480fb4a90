/// Where everything on the timeline is: lanes from the top, boxes on them, the axis above.
///
/// Two steps. Rows are found first: one for each worker, call site and shown task, with a place in
/// a column that scrolls. Then only rows in sight get boxes. What is narrower than 3 px is folded
/// by the model into one box that tells how much of it was busy; a box's height carries that, so a
/// lane zoomed out is a graph of its load, and zoomed in shows single polls. The number of boxes
/// follows the pixels, never the session.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "taskscope/console/panels/palette.h"
#include "taskscope/console/panels/time_view.h"
#include "taskscope/console/session/model.h"
#include "taskscope/console/session/wakes.h"

namespace taskscope::console::panels {

/// Boxes a frame under software OpenGL.
constexpr std::size_t kBoxBudget = 10'000;
/// A poll that runs longer holds its worker up.
constexpr std::int64_t kLongPollNs = 10'000'000;

enum class RowKind : std::uint8_t { Section, Worker, Group, Task, More };

struct TimelineRow {
  RowKind kind = RowKind::Section;
  float y_px = 0, height_px = 0;         ///< in the column, unscrolled
  std::uint32_t lane = session::kNone;   ///< Worker: Model::lanes()
  std::uint32_t group = session::kNone;  ///< Group, Task, More: TaskTable::call_groups()
  std::uint64_t task = 0;                ///< Task
  std::string label{}, place{};          ///< place follows the label, dimmed, where there is room
  std::string detail{};                  ///< stands at the right end of the label's column
  Colour swatch = 0;                     ///< 0: none
  bool expanded = false;
  std::uint64_t more = 0;  ///< More: tasks that are not shown
};

/// What the user has arranged.
struct TimelineState {
  std::set<std::uint64_t> expanded;  ///< keys of open groups: group_key
  std::uint64_t selected_task = 0;   ///< has a row of its own at the top
  /// Tasks that belong together with it, as the others of a deadlock: the first kLitRows have rows
  /// beside its, and the polls of all are lit.
  std::vector<std::uint64_t> lit_tasks;
  bool operator==(const TimelineState&) const = default;
  /// Selected, or lit with what is.
  [[nodiscard]] bool is_lit(std::uint64_t task) const;
};
constexpr std::size_t kLitRows = 12;
/// Groups keep their number as long as the session lives.
[[nodiscard]] constexpr std::uint64_t group_key(std::uint32_t group) { return group + 1; }

struct RowOptions {
  TimeView view;
  float scale = 1;
  std::size_t tasks_a_group = 64;     ///< rows an open group shows at most
  std::size_t look_at_most = 50'000;  ///< members looked at to find them
};
[[nodiscard]] std::vector<TimelineRow> timeline_rows(const session::Model& model,
                                                     const TimelineState& state,
                                                     const RowOptions& options);
[[nodiscard]] float column_height(const std::vector<TimelineRow>& rows);

/// Lit: a poll of a task that is lit, over the piece that hides it.
enum class BoxKind : std::uint8_t { Poll, Park, State, Gap, Lit };

struct TimelineBox {
  float x_px = 0, width_px = 0;   ///< from the left edge of the lanes
  float y_px = 0, height_px = 0;  ///< in the column, unscrolled
  Colour fill = 0;
  bool hatched = false;   ///< lost, or a poll that holds its worker up
  bool blocking = false;  ///< that poll runs now
  BoxKind kind = BoxKind::Poll;
  std::uint32_t row = 0;   ///< in the rows
  std::uint32_t item = 0;  ///< in TimelineScene::items
};

/// What a tooltip tells about a box; parts of one folded piece share it.
struct TimelineItem {
  std::int64_t from_ns = 0, to_ns = 0;
  std::int64_t busy_ns = 0, scheduled_ns = 0, longest_ns = 0;
  std::uint64_t task = 0;
  std::uint32_t polls = 0;
  std::uint16_t wait = 0;
  std::uint32_t lane = session::kNone;
  protocol::TaskState state = protocol::TaskState::Running;
  protocol::LossCause cause = protocol::LossCause::RingFull;
  std::uint64_t lost = 0;
  bool open = false;
  bool sampled = false;  ///< only samples tell of it: it began before the first one
};

/// Queue depth of a worker over time, as steps.
struct DepthStep {
  float x_px = 0, to_px = 0;
  std::uint32_t depth = 0;
};
struct DepthGraph {
  std::uint32_t row = 0;
  float y_px = 0, height_px = 0;
  std::uint32_t highest = 0;  ///< of the steps; the graph's full height
  std::vector<DepthStep> steps;
};

/// What a wide box of a waiting task says: what it waits for. Above the box, which is low.
struct TimelineLabel {
  float x_px = 0, y_px = 0, width_px = 0, height_px = 0;
  std::uint16_t wait = 0;
  std::uint32_t row = 0;
};

/// A wake, from the moment and lane of the waker to the begin of the poll it led to.
struct TimelineArrow {
  float from_x_px = 0, from_y_px = 0, to_x_px = 0, to_y_px = 0;  ///< in the column, unscrolled
  bool waker_shown = true;  ///< else it comes from outside: a thread without a lane, or no task
  bool poll_shown = true;   ///< else the poll did not begin yet, or is not in view
  bool outgoing = false;    ///< the task that was asked about is the waker
  std::uint64_t task = 0, by = 0, value = 0;
  std::int64_t at_ns = 0, polled_ns = 0;
  protocol::WakeCause cause = protocol::WakeCause::Thread;
  std::uint32_t wakes = 1;  ///< that are too close together to tell apart
};

struct TimelineScene {
  std::vector<TimelineBox> boxes;  ///< back to front
  std::vector<TimelineLabel> labels;
  std::vector<TimelineItem> items;
  std::vector<DepthGraph> depths;
  float resolution_px = 3;  ///< coarser than 3 when the budget asks for it
};

struct SceneOptions {
  TimeView view;
  float width_px = 0;               ///< of the lanes
  float top_px = 0, bottom_px = 0;  ///< what is in sight of the column
  float scale = 1;
  std::size_t budget = kBoxBudget;
  std::int64_t long_poll_ns = kLongPollNs;
  /// Their polls are drawn on the lanes, however narrow; the model builds their tracks.
  std::span<const std::uint64_t> lit{};
};
/// Builds tracks of shown tasks in the model where they are missing, hence not const.
[[nodiscard]] TimelineScene timeline_scene(session::Model& model,
                                           const std::vector<TimelineRow>& rows,
                                           const SceneOptions& options);

/// Arrows for `wakes` of `task`, at most `limit` of them; wakes nearer than 3 px to one with the
/// same ends are counted in it. Ends beyond an edge stay beyond it, so that the arrow is cut there.
[[nodiscard]] std::vector<TimelineArrow> timeline_arrows(const session::Model& model,
                                                         const std::vector<TimelineRow>& rows,
                                                         std::span<const session::Wake> wakes,
                                                         std::uint64_t task,
                                                         const SceneOptions& options,
                                                         std::size_t limit = 400);
/// The arrow one end of which is within `reach_px` of the place; its number, or SIZE_MAX.
[[nodiscard]] std::size_t arrow_end_at(std::span<const TimelineArrow> arrows, float x_px,
                                       float y_px, float reach_px);

/// The topmost box at the place, else one above or below it in its row, as low boxes are hard to
/// aim at; its number, or SIZE_MAX.
[[nodiscard]] std::size_t box_at(const TimelineScene& scene, const std::vector<TimelineRow>& rows,
                                 float x_px, float y_px);
/// The row at the place; its number, or SIZE_MAX.
[[nodiscard]] std::size_t row_at(const std::vector<TimelineRow>& rows, float y_px);

/// "read  io.cpp:12", "libc.so.6+0x1234" where no name is known.
[[nodiscard]] std::string native_frame_text(const session::NativeFrame& frame);

/// How busy the workers were over a whole span, in `pieces` equal parts, 0 to 1: the strip above
/// the timeline.
[[nodiscard]] std::vector<float> load_strip(const session::Model& model, std::int64_t from_ns,
                                            std::int64_t to_ns, std::size_t pieces);

}  // namespace taskscope::console::panels
