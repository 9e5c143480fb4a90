#include "taskscope/console/panels/timeline_layout.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <optional>
#include <unordered_map>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

using protocol::TaskState;

/// How tall a load stands, 0 to 1. By its root: a few percent must be told from nothing, as most
/// lanes of most programs are that empty.
float load_height(std::int64_t busy_ns, double length_ns) {
  return static_cast<float>(
      std::sqrt(std::clamp(static_cast<double>(busy_ns) / length_ns, 0.0, 1.0)));
}

// Heights at scale 1.
constexpr float kSectionPx = 30, kWorkerPx = 46, kGroupPx = 28, kTaskPx = 26, kMorePx = 22;
constexpr float kDepthPx = 12, kPadPx = 4;
/// How tall a wait is, of its row: low, so that what it waits for has room above.
constexpr float kWaitShare = 0.3f;

std::string tasks_text(const session::CallGroup& group) {
  const std::uint64_t finished = group.by_state[static_cast<std::size_t>(TaskState::Finished)];
  std::string text = short_count_text(static_cast<double>(group.live())) + " live";
  if (finished > 0) text += " · " + short_count_text(static_cast<double>(finished)) + " done";
  return text;
}

/// Busiest first, but by powers of two of their busy time, so that a live list rarely moves.
std::vector<std::uint32_t> group_order(const session::Model& model) {
  const auto groups = model.tasks().call_groups();
  std::vector<std::uint32_t> order(groups.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const auto busy_a = std::bit_width(groups[a].busy), busy_b = std::bit_width(groups[b].busy);
    return busy_a != busy_b ? busy_a > busy_b : a < b;
  });
  return order;
}

bool in_view(const session::Model& model, const session::Task& task, const TimeView& view) {
  const session::Clock& clock = model.clock();
  if (task.spawned != 0 && clock.ns(task.spawned) > view.to_ns) return false;
  return task.finished == 0 || clock.ns(task.finished) >= view.from_ns;
}

/// Tasks of an open group that live somewhere in the view: the longest waiting first, as trouble is
/// there, then the others in the order of their spawns.
std::vector<std::uint64_t> members_in_view(const session::Model& model, std::uint32_t group,
                                           const RowOptions& options, std::uint64_t& more) {
  std::vector<std::uint64_t> members;
  const session::CallGroup& of = model.tasks().call_groups()[group];
  std::size_t looked = 0;
  more = 0;
  for (std::uint32_t slot = of.first_member;
       slot != session::kNone && looked < options.look_at_most;
       slot = model.tasks().next_member(slot), ++looked) {
    const session::Task* task = model.tasks().at(slot);
    if (task == nullptr || !in_view(model, *task, options.view)) continue;
    if (members.size() < options.tasks_a_group) {
      members.push_back(task->id);
    } else {
      ++more;
    }
  }
  return members;
}

class SceneBuilder {
 public:
  SceneBuilder(session::Model& model, const std::vector<TimelineRow>& rows,
               const SceneOptions& options)
      : model_(model), rows_(rows), options_(options) {}

  /// Once. `coarser`: so many times the resolution that is expected to do.
  TimelineScene build(float coarser) {
    choose_resolution(coarser);
    bool groups_in_sight = false;
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      groups_in_sight = groups_in_sight || (rows_[i].kind == RowKind::Group && in_sight(rows_[i]));
    }
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      const TimelineRow& row = rows_[i];
      const bool worker = row.kind == RowKind::Worker;
      if (!in_sight(row) && !(worker && groups_in_sight)) continue;
      if (worker) add_worker(i);
      if (row.kind == RowKind::Task) add_task(i);
    }
    if (groups_in_sight) add_groups();
    for (const std::uint64_t task : options_.lit) add_lit(task);
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      if (in_sight(rows_[i])) add_gaps(i);
    }
    return std::move(scene_);
  }

 private:
  [[nodiscard]] bool in_sight(const TimelineRow& row) const {
    return row.y_px < options_.bottom_px && row.y_px + row.height_px > options_.top_px;
  }
  [[nodiscard]] float px(float length) const { return std::round(length * options_.scale); }
  [[nodiscard]] bool holds_up(std::int64_t from_ns, std::int64_t to_ns) const {
    return to_ns - from_ns >= options_.long_poll_ns;
  }
  [[nodiscard]] double x(std::int64_t ns) const {
    return options_.view.x(ns, static_cast<double>(options_.width_px));
  }

  void choose_resolution(float coarser) {
    std::size_t drawn = 0;
    for (const TimelineRow& row : rows_) {
      if (row.kind == RowKind::Section || row.kind == RowKind::More) continue;
      if (in_sight(row)) ++drawn;
    }
    // The model may give two pieces for each resolved width, and a task's piece three boxes; most
    // scenes have fewer.
    const float most = options_.width_px * 4 * static_cast<float>(std::max<std::size_t>(drawn, 1));
    scene_.resolution_px = std::max(3.0f, most / static_cast<float>(options_.budget)) * coarser;
    resolution_ns_ = std::max<std::int64_t>(
        1, static_cast<std::int64_t>(static_cast<double>(options_.view.length()) *
                                     static_cast<double>(scene_.resolution_px) /
                                     static_cast<double>(std::max(options_.width_px, 1.0f))));
  }

  std::uint32_t add_item(const TimelineItem& item) {
    scene_.items.push_back(item);
    return static_cast<std::uint32_t>(scene_.items.size() - 1);
  }

  /// Clips to the lanes; at least 1 px wide. Nothing if it is out of sight.
  void add_box(std::int64_t from_ns, std::int64_t to_ns, TimelineBox box) {
    const double left = std::max(x(from_ns), -1.0);
    const double right = std::min(x(to_ns), static_cast<double>(options_.width_px) + 1);
    if (right < 0 || left > static_cast<double>(options_.width_px)) return;
    box.x_px = static_cast<float>(left);
    box.width_px = std::max(static_cast<float>(right - left), 1.0f);
    scene_.boxes.push_back(box);
  }

  [[nodiscard]] std::uint32_t group_of(std::uint64_t task) const {
    const session::Task* known = model_.tasks().find(task);
    return known == nullptr ? session::kNone : known->call_group;
  }
  [[nodiscard]] static Colour colour_of_group(std::uint32_t group) {
    return group == session::kNone ? colour::kDone : site_colour(group);
  }

  [[nodiscard]] Colour colour_of_wait(std::uint16_t wait) const {
    const auto kinds = model_.wait_kinds();
    return wait < kinds.size() && wait != session::kWaitUnknown ? panels::colour_of(kinds[wait])
                                                                : colour::kWaitOther;
  }

  void add_worker(std::uint32_t index) {
    const TimelineRow& row = rows_[index];
    const bool visible = in_sight(row);
    const float strip_y = row.y_px + px(kPadPx);
    const float strip_height = row.height_px - 2 * px(kPadPx) - px(kDepthPx);
    slices_.clear();
    if (visible) {
      model_.slices(row.lane, session::Layer::Parks, options_.view.from_ns, options_.view.to_ns,
                    resolution_ns_, slices_);
      const float height = std::max(px(4), 2.0f);
      for (const session::Slice& park : slices_) {
        const std::uint32_t item = add_item({.from_ns = park.from_ns,
                                             .to_ns = park.to_ns,
                                             .busy_ns = park.busy_ns,
                                             .polls = park.polls,
                                             .lane = row.lane,
                                             .open = park.open});
        const double length =
            static_cast<double>(std::max<std::int64_t>(park.to_ns - park.from_ns, 1));
        const auto share = static_cast<float>(static_cast<double>(park.busy_ns) / length);
        add_box(park.from_ns, park.to_ns,
                {.y_px = strip_y + strip_height - height,
                 .height_px = height,
                 .fill = with_alpha(rgb(0x4a5666), 0.25f + 0.6f * std::clamp(share, 0.0f, 1.0f)),
                 .kind = BoxKind::Park,
                 .row = index,
                 .item = item});
      }
    }
    slices_.clear();
    model_.slices(row.lane, session::Layer::Polls, options_.view.from_ns, options_.view.to_ns,
                  resolution_ns_, slices_);
    for (const session::Slice& poll : slices_) {
      const std::uint32_t group = group_of(poll.task);
      const std::uint32_t item = add_item({.from_ns = poll.from_ns,
                                           .to_ns = poll.to_ns,
                                           .busy_ns = poll.busy_ns,
                                           .longest_ns = poll.longest_ns,
                                           .task = poll.task,
                                           .polls = poll.polls,
                                           .wait = poll.wait,
                                           .lane = row.lane,
                                           .open = poll.open});
      if (group != session::kNone) by_group_[group].push_back(item);
      if (!visible) continue;
      const bool worker = model_.lanes()[row.lane]->worker != 0;
      const double length =
          static_cast<double>(std::max<std::int64_t>(poll.to_ns - poll.from_ns, 1));
      const float height =
          poll.polls == 1
              ? strip_height
              : std::max(std::round(strip_height * load_height(poll.busy_ns, length)), px(3));
      add_box(poll.from_ns, poll.to_ns,
              {.y_px = strip_y + strip_height - height,
               .height_px = height,
               .fill = colour_of_group(group),
               .hatched = worker && poll.polls == 1 && holds_up(poll.from_ns, poll.to_ns),
               .blocking = worker && poll.open && holds_up(poll.from_ns, poll.to_ns),
               .kind = BoxKind::Poll,
               .row = index,
               .item = item});
    }
    if (visible) add_sampled_poll(index, strip_y, strip_height);
    if (visible) add_depths(index, strip_y + strip_height + px(2), px(kDepthPx) - px(2));
  }

  /// A worker that was stuck in a poll before anything was recorded records nothing, ever.
  void add_sampled_poll(std::uint32_t index, float y_px, float height_px) {
    const SampledPoll poll = sampled_poll(*model_.lanes()[rows_[index].lane]);
    if (poll.task == 0) return;
    const std::int64_t from = model_.clock().ns(poll.from), to = model_.now_ns();
    const std::uint32_t item = add_item({.from_ns = from,
                                         .to_ns = to,
                                         .busy_ns = to - from,
                                         .task = poll.task,
                                         .polls = 1,
                                         .lane = rows_[index].lane,
                                         .open = true,
                                         .sampled = true});
    add_box(from, to,
            {.y_px = y_px,
             .height_px = height_px,
             .fill = colour_of_group(group_of(poll.task)),
             .hatched = holds_up(from, to),
             .blocking = holds_up(from, to),
             .kind = BoxKind::Poll,
             .row = index,
             .item = item});
  }

  /// The highest depth in each resolved width: peaks are what one looks for.
  void add_depths(std::uint32_t index, float y_px, float height_px) {
    const auto& samples = model_.lanes()[rows_[index].lane]->samples;
    if (samples.empty()) return;
    const session::Clock& clock = model_.clock();
    const std::uint64_t from = clock.ticks(options_.view.from_ns);
    auto at = std::lower_bound(
        samples.begin(), samples.end(), from,
        [](const session::WorkerPoint& point, std::uint64_t ticks) { return point.ticks < ticks; });
    if (at != samples.begin()) --at;
    DepthGraph graph{.row = index, .y_px = y_px, .height_px = height_px, .highest = 0, .steps = {}};
    for (; at != samples.end(); ++at) {
      const std::int64_t begin = clock.ns(at->ticks);
      if (begin > options_.view.to_ns) break;
      const auto next = at + 1;
      const std::int64_t end = next != samples.end() ? clock.ns(next->ticks) : model_.now_ns();
      const auto left = static_cast<float>(std::max(x(begin), 0.0));
      const auto right =
          static_cast<float>(std::min(x(end), static_cast<double>(options_.width_px)));
      if (right <= left) continue;
      const std::uint32_t depth = at->sample.queue_depth;
      graph.highest = std::max(graph.highest, depth);
      if (!graph.steps.empty() && right - graph.steps.back().x_px < scene_.resolution_px) {
        graph.steps.back().to_px = right;
        graph.steps.back().depth = std::max(graph.steps.back().depth, depth);
      } else {
        graph.steps.push_back({left, right, depth});
      }
    }
    if (!graph.steps.empty()) scene_.depths.push_back(std::move(graph));
  }

  /// What the workers' pieces tell about each group: single polls as they are, folded ones as a
  /// graph of how many workers the group kept busy.
  void add_groups() {
    const auto cells =
        static_cast<std::size_t>(std::ceil(options_.width_px / scene_.resolution_px)) + 1;
    std::vector<double> busy(cells);
    std::vector<std::uint32_t> item_of(cells);
    const double cell_ns = static_cast<double>(resolution_ns_);
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      const TimelineRow& row = rows_[i];
      if (row.kind != RowKind::Group || !in_sight(row)) continue;
      const auto found = by_group_.find(row.group);
      if (found == by_group_.end()) continue;
      const float y_px = row.y_px + px(kPadPx);
      const float height = row.height_px - 2 * px(kPadPx);
      std::fill(busy.begin(), busy.end(), 0.0);
      for (const std::uint32_t number : found->second) {
        const TimelineItem& item = scene_.items[number];
        if (item.polls == 1 && item.to_ns - item.from_ns >= resolution_ns_) {
          const bool worker =
              item.lane < model_.lanes().size() && model_.lanes()[item.lane]->worker != 0;
          add_box(item.from_ns, item.to_ns,
                  {.y_px = y_px,
                   .height_px = height,
                   .fill = site_colour(row.group),
                   .hatched = worker && holds_up(item.from_ns, item.to_ns),
                   .blocking = worker && item.open && holds_up(item.from_ns, item.to_ns),
                   .kind = BoxKind::Poll,
                   .row = i,
                   .item = number});
          continue;
        }
        spread(item, number, busy, item_of);
      }
      for (std::size_t cell = 0; cell < cells; ++cell) {
        if (busy[cell] <= 0) continue;
        const auto share = static_cast<float>(std::sqrt(std::min(busy[cell] / cell_ns, 1.0)));
        const float bar = std::max(std::round(height * share), px(3));
        scene_.boxes.push_back({.x_px = static_cast<float>(cell) * scene_.resolution_px,
                                .width_px = scene_.resolution_px,
                                .y_px = y_px + height - bar,
                                .height_px = bar,
                                .fill = site_colour(row.group),
                                .hatched = false,
                                .kind = BoxKind::Poll,
                                .row = i,
                                .item = item_of[cell]});
      }
    }
  }

  /// A piece's busy time, evenly over the cells it covers.
  void spread(const TimelineItem& item, std::uint32_t number, std::vector<double>& busy,
              std::vector<std::uint32_t>& item_of) const {
    const double from = x(item.from_ns) / static_cast<double>(scene_.resolution_px);
    const double to = x(item.to_ns) / static_cast<double>(scene_.resolution_px);
    const double last = static_cast<double>(busy.size()) - 1;
    if (to < 0 || from > last) return;
    const auto first_cell = static_cast<std::size_t>(std::clamp(from, 0.0, last));
    const auto last_cell = static_cast<std::size_t>(std::clamp(to, 0.0, last));
    const double length = std::max(to - from, 1e-9);
    for (std::size_t cell = first_cell; cell <= last_cell; ++cell) {
      const double left = std::max(from, static_cast<double>(cell));
      const double right = std::min(to, static_cast<double>(cell) + 1);
      const double part = first_cell == last_cell ? 1 : std::max(right - left, 0.0) / length;
      busy[cell] += static_cast<double>(item.busy_ns) * part;
      item_of[cell] = number;
    }
  }

  void add_task(std::uint32_t index) {
    const TimelineRow& row = rows_[index];
    states_.clear();
    model_.task_slices(row.task, options_.view.from_ns, options_.view.to_ns, resolution_ns_,
                       states_);
    const float base = row.y_px + row.height_px - px(kPadPx);
    const float full = row.height_px - 2 * px(kPadPx);
    const auto bar = [&](const session::StateSlice& slice, float from_share, float share,
                         Colour fill, bool hatched, std::uint32_t item) {
      const float low = std::round(full * from_share);
      const float high = std::round(full * (from_share + share));
      if (high <= low) return;
      add_box(slice.from_ns, slice.to_ns,
              {.y_px = base - high,
               .height_px = high - low,
               .fill = fill,
               .hatched = hatched,
               .kind = BoxKind::State,
               .row = index,
               .item = item});
    };
    for (const session::StateSlice& slice : states_) {
      const std::uint32_t item = add_item({.from_ns = slice.from_ns,
                                           .to_ns = slice.to_ns,
                                           .busy_ns = slice.busy_ns,
                                           .scheduled_ns = slice.scheduled_ns,
                                           .task = row.task,
                                           .polls = slice.polls,
                                           .wait = slice.wait,
                                           .lane = slice.lane,
                                           .state = slice.state,
                                           .open = slice.open});
      switch (slice.state) {
        case TaskState::Running: {
          if (slice.polls <= 1) {
            const bool worker =
                slice.lane < model_.lanes().size() && model_.lanes()[slice.lane]->worker != 0;
            bar(slice, 0, 1, colour::kPolling, worker && holds_up(slice.from_ns, slice.to_ns),
                item);
            if (!scene_.boxes.empty() && scene_.boxes.back().item == item) {
              scene_.boxes.back().blocking = slice.open && scene_.boxes.back().hatched;
            }
            break;
          }
          const auto length =
              static_cast<double>(std::max<std::int64_t>(slice.to_ns - slice.from_ns, 1));
          // Folded: a low wait below, and on it how much was polled and queued.
          const float busy = load_height(slice.busy_ns, length);
          const float queued = load_height(slice.scheduled_ns, length);
          const float wait = kWaitShare * (1 - busy);
          const float polled = std::max(0.14f, (1 - wait) * busy);
          bar(slice, 0, wait, colour_of_wait(slice.wait), false, item);
          bar(slice, wait, polled, colour::kPolling, false, item);
          bar(slice, wait + polled, std::min(1 - wait - polled, 0.3f * queued), colour::kScheduled,
              false, item);
          break;
        }
        case TaskState::Scheduled:
          bar(slice, 0, 0.7f, colour::kScheduled, false, item);
          break;
        case TaskState::Idle: {
          const std::size_t before = scene_.boxes.size();
          bar(slice, 0, kWaitShare, colour_of_wait(slice.wait), false, item);
          if (scene_.boxes.size() > before && slice.wait != session::kWaitUnknown &&
              scene_.boxes.back().width_px >= px(40)) {
            const TimelineBox& box = scene_.boxes.back();
            scene_.labels.push_back(
                {box.x_px, base - full, box.width_px, box.y_px - (base - full), slice.wait, index});
          }
          break;
        }
        case TaskState::Finished:
          bar(slice, 0, 0.12f, colour::kDone, false, item);
          break;
      }
    }
  }

  /// Polls of a lit task, over whatever folds them on the workers' lanes.
  void add_lit(std::uint64_t task) {
    states_.clear();
    model_.task_slices(task, options_.view.from_ns, options_.view.to_ns, resolution_ns_, states_);
    for (const session::StateSlice& slice : states_) {
      if (slice.state != TaskState::Running) continue;
      const auto row = std::find_if(rows_.begin(), rows_.end(), [&](const TimelineRow& one) {
        return one.kind == RowKind::Worker && one.lane == slice.lane;
      });
      if (row == rows_.end() || !in_sight(*row)) continue;
      const std::uint32_t item = add_item({.from_ns = slice.from_ns,
                                           .to_ns = slice.to_ns,
                                           .busy_ns = slice.busy_ns,
                                           .task = task,
                                           .polls = slice.polls,
                                           .wait = slice.wait,
                                           .lane = slice.lane,
                                           .open = slice.open});
      // A mark above the lane's boxes: the box below keeps the colour of its call site.
      add_box(slice.from_ns, slice.to_ns,
              {.y_px = row->y_px + px(1),
               .height_px = px(kPadPx) - px(1),
               .fill = colour::kSelectionLine,
               .kind = BoxKind::Lit,
               .row = static_cast<std::uint32_t>(row - rows_.begin()),
               .item = item});
    }
  }

  void add_gap(std::uint32_t index, const TimelineItem& gap) {
    // Never narrower than can be seen.
    TimelineBox box{.y_px = rows_[index].y_px + px(1),
                    .height_px = rows_[index].height_px - px(2),
                    .fill = with_alpha(colour::kTrouble, 0.28f),
                    .hatched = true,
                    .kind = BoxKind::Gap,
                    .row = index,
                    .item = add_item(gap)};
    const std::size_t before = scene_.boxes.size();
    add_box(gap.from_ns, gap.to_ns, box);
    if (scene_.boxes.size() > before) {
      scene_.boxes.back().width_px = std::max(scene_.boxes.back().width_px, px(3));
    }
  }

  /// Gaps closer than the resolution are one hatch, which tells of all that was lost there.
  void add_gaps(std::uint32_t index, std::span<const session::Gap> gaps) {
    const session::Clock& clock = model_.clock();
    const std::uint64_t from = clock.ticks(options_.view.from_ns);
    auto at = std::lower_bound(
        gaps.begin(), gaps.end(), from,
        [](const session::Gap& gap, std::uint64_t ticks) { return gap.to < ticks; });
    std::optional<TimelineItem> hatch;
    for (; at != gaps.end() && clock.ns(at->from) <= options_.view.to_ns; ++at) {
      const std::int64_t to_ns = clock.ns(at->to);
      if (hatch && clock.ns(at->from) - hatch->to_ns < resolution_ns_) {
        hatch->to_ns = std::max(hatch->to_ns, to_ns);
        hatch->lost += at->events;
        continue;
      }
      if (hatch) add_gap(index, *hatch);
      hatch = TimelineItem{.from_ns = clock.ns(at->from),
                           .to_ns = to_ns,
                           .lane = rows_[index].lane,
                           .cause = at->cause,
                           .lost = at->events};
    }
    if (hatch) add_gap(index, *hatch);
  }

  void add_gaps(std::uint32_t index) {
    const TimelineRow& row = rows_[index];
    if (row.kind == RowKind::Section || row.kind == RowKind::More) return;
    add_gaps(index, model_.gaps());
    if (row.kind == RowKind::Worker) add_gaps(index, model_.lanes()[row.lane]->gaps);
  }

  session::Model& model_;
  const std::vector<TimelineRow>& rows_;
  const SceneOptions& options_;
  TimelineScene scene_;
  std::int64_t resolution_ns_ = 1;
  std::vector<session::Slice> slices_;
  std::vector<session::StateSlice> states_;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> by_group_;  // items of each
};

}  // namespace

std::vector<TimelineRow> timeline_rows(const session::Model& model, const TimelineState& state,
                                       const RowOptions& options) {
  std::vector<TimelineRow> rows;
  float y_px = 0;
  const auto add = [&](TimelineRow row, float height) {
    row.y_px = y_px;
    row.height_px = std::round(height * options.scale);
    y_px += row.height_px;
    rows.push_back(std::move(row));
  };
  const auto task_row = [&](std::uint64_t id, std::uint32_t group) {
    const session::Task* task = model.tasks().find(id);
    TimelineRow row{.kind = RowKind::Task, .group = group, .task = id};
    if (task != nullptr) {
      const StateText is = state_text(model, *task);
      row.label = task->name().empty() ? "task " + std::to_string(id) : std::string(task->name());
      if (!task->name().empty()) row.place = std::to_string(id);
      row.detail = is.text;
      row.swatch = is.colour;
    } else {
      row.label = "task " + std::to_string(id);
      row.detail = "not kept";
    }
    return row;
  };

  std::vector<std::uint64_t> selected;
  if (state.selected_task != 0) selected.push_back(state.selected_task);
  for (const std::uint64_t id : state.lit_tasks) {
    if (id != 0 && id != state.selected_task) selected.push_back(id);
  }
  if (!selected.empty()) {
    const char* one = state.selected_task != 0 ? "Selected task" : "Task concerned";
    const char* several = state.selected_task != 0 ? "Selected tasks" : "Tasks concerned";
    add({.kind = RowKind::Section,
         .label = selected.size() == 1 ? one : several,
         .place = "tall: polling, half: scheduled, low: waiting",
         .detail = selected.size() == 1 ? "" : count_text(selected.size())},
        kSectionPx);
    for (std::size_t i = 0; i < std::min(selected.size(), kLitRows + 1); ++i) {
      const session::Task* task = model.tasks().find(selected[i]);
      add(task_row(selected[i], task != nullptr ? task->call_group : session::kNone), kTaskPx + 4);
    }
    if (selected.size() > kLitRows + 1) {
      const std::uint64_t more = selected.size() - kLitRows - 1;
      add({.kind = RowKind::More,
           .label =
               "and " + count_text(more) + (state.selected_task != 0 ? " more selected" : " more"),
           .more = more},
          kMorePx);
    }
  }

  // Workers first, then other threads that polled (block_on, blocking calls).
  std::vector<std::uint32_t> workers, threads;
  for (const auto& lane : model.lanes()) {
    if (lane->worker != 0) {
      workers.push_back(lane->index);
    } else if (!lane->polls.empty() || lane->current_task != 0) {
      threads.push_back(lane->index);
    }
  }
  std::sort(workers.begin(), workers.end(), [&](std::uint32_t a, std::uint32_t b) {
    return model.lanes()[a]->worker < model.lanes()[b]->worker;
  });
  const auto lane_rows = [&](const std::vector<std::uint32_t>& lanes, const char* section) {
    if (lanes.empty()) return;
    add({.kind = RowKind::Section,
         .label = section,
         .place = "polls, coloured by call site; folded ones as tall as they are busy",
         .detail = count_text(lanes.size())},
        kSectionPx);
    for (const std::uint32_t index : lanes) {
      const session::Lane& lane = *model.lanes()[index];
      TimelineRow row{.kind = RowKind::Worker, .lane = index, .label = lane_name(model, lane)};
      if (lane.current_task != 0 || sampled_poll(lane).task != 0) {
        row.detail = "polling";
      } else if (lane.parked_from != 0) {
        row.detail = "parked";
      }
      add(std::move(row), kWorkerPx);
    }
  };
  lane_rows(workers, "Workers");
  lane_rows(threads, "Other threads");

  const auto groups = model.tasks().call_groups();
  if (!groups.empty()) {
    add({.kind = RowKind::Section,
         .label = "Tasks by call site",
         .place = "how many workers the tasks of a place keep busy",
         .detail = short_count_text(static_cast<double>(model.tasks().live())) + " live"},
        kSectionPx);
  }
  for (const std::uint32_t index : group_order(model)) {
    const session::CallGroup& group = groups[index];
    const bool expanded = state.expanded.contains(group_key(index));
    // Left behind by placeholders that found their place since.
    if (group.live() == 0 && group.by_state[3] == 0) continue;
    std::string label = group_title(model, group), place = site_place(model, group.site);
    if (label.empty()) {
      label = std::move(place);
      place = site_function(model, group.site);
      if (!place.empty()) place.insert(0, "in ");
    }
    add({.kind = RowKind::Group,
         .group = index,
         .label = std::move(label),
         .place = std::move(place),
         .detail = tasks_text(group),
         .swatch = site_colour(index),
         .expanded = expanded},
        kGroupPx);
    if (!expanded) continue;
    std::uint64_t more = 0;
    const std::vector<std::uint64_t> members = members_in_view(model, index, options, more);
    for (const std::uint64_t id : members) add(task_row(id, index), kTaskPx);
    if (more > 0 || members.empty()) {
      add({.kind = RowKind::More,
           .group = index,
           .label = members.empty() ? "no task of it lives in this span"
                                    : "and " + count_text(more) +
                                          " more in this span: zoom in, or filter "
                                          "the table",
           .more = more},
          kMorePx);
    }
  }
  return rows;
}

bool TimelineState::is_lit(std::uint64_t task) const {
  return task != 0 && (task == selected_task ||
                       std::find(lit_tasks.begin(), lit_tasks.end(), task) != lit_tasks.end());
}

float column_height(const std::vector<TimelineRow>& rows) {
  return rows.empty() ? 0 : rows.back().y_px + rows.back().height_px;
}

TimelineScene timeline_scene(session::Model& model, const std::vector<TimelineRow>& rows,
                             const SceneOptions& options) {
  if (options.width_px < 1 || options.view.length() < 1) return {};
  std::vector<std::uint64_t> shown;
  for (const TimelineRow& row : rows) {
    if (row.kind == RowKind::Task && row.y_px < options.bottom_px &&
        row.y_px + row.height_px > options.top_px) {
      shown.push_back(row.task);
    }
  }
  if (!shown.empty()) model.show_tasks(shown);  // in one pass, not one for each lane
  for (float coarser = 1;;) {
    TimelineScene scene = SceneBuilder(model, rows, options).build(coarser);
    const float over = static_cast<float>(scene.boxes.size()) / static_cast<float>(options.budget);
    // A box for each lane that is left at this resolution can't be folded further.
    if (over <= 1 || scene.resolution_px >= options.width_px) return scene;
    coarser *= std::max(over, 1.1f);
  }
}

std::vector<TimelineArrow> timeline_arrows(const session::Model& model,
                                           const std::vector<TimelineRow>& rows,
                                           std::span<const session::Wake> wakes, std::uint64_t task,
                                           const SceneOptions& options, std::size_t limit) {
  std::vector<TimelineArrow> arrows;
  if (options.width_px < 1 || options.view.length() < 1) return arrows;
  std::vector<const TimelineRow*> row_of(model.lanes().size(), nullptr);
  for (const TimelineRow& row : rows) {
    if (row.kind == RowKind::Worker && row.lane < row_of.size()) row_of[row.lane] = &row;
  }
  const auto row_of_lane = [&](std::uint32_t lane) -> const TimelineRow* {
    return lane < row_of.size() ? row_of[lane] : nullptr;
  };
  const auto width = static_cast<double>(options.width_px);
  const auto x = [&](std::int64_t ns) {
    return static_cast<float>(std::clamp(options.view.x(ns, width), -width, 2 * width));
  };
  const auto middle = [&](const TimelineRow& row) {
    return row.y_px + (row.height_px - std::round(kDepthPx * options.scale)) / 2;
  };
  const float stub = std::round(18 * options.scale);
  for (const session::Wake& wake : wakes) {
    TimelineArrow arrow{.outgoing = wake.by == task && wake.task != task,
                        .task = wake.task,
                        .by = wake.by,
                        .value = wake.value,
                        .at_ns = wake.at_ns,
                        .polled_ns = wake.polled_ns,
                        .cause = wake.cause};
    const TimelineRow* from = row_of_lane(wake.lane);
    const TimelineRow* to = row_of_lane(wake.polled_lane);
    // Neither end has a place.
    if (from == nullptr && to == nullptr) continue;
    // Only a task's poll is a waker that can be pointed at; a timer or an fd comes from outside.
    arrow.waker_shown = from != nullptr && wake.by != 0;
    arrow.poll_shown = to != nullptr;
    arrow.to_x_px = to != nullptr ? x(wake.polled_ns) : x(wake.at_ns) + stub;
    arrow.to_y_px = to != nullptr ? middle(*to) : middle(*from);
    arrow.from_x_px = x(wake.at_ns);
    arrow.from_y_px = arrow.waker_shown || to == nullptr ? middle(*from) : to->y_px;
    const bool left = arrow.from_x_px < 0 && arrow.to_x_px < 0;
    const bool right = arrow.from_x_px > options.width_px && arrow.to_x_px > options.width_px;
    if (left || right) continue;
    if (!arrows.empty()) {
      TimelineArrow& last = arrows.back();
      if (last.outgoing == arrow.outgoing && last.from_y_px == arrow.from_y_px &&
          last.to_y_px == arrow.to_y_px && arrow.from_x_px - last.from_x_px < 3 &&
          arrow.to_x_px - last.to_x_px < 3) {
        ++last.wakes;
        continue;
      }
    }
    if (arrows.size() == limit) break;
    arrows.push_back(arrow);
  }
  return arrows;
}

std::size_t arrow_end_at(std::span<const TimelineArrow> arrows, float x_px, float y_px,
                         float reach_px) {
  std::size_t nearest = SIZE_MAX;
  float best = reach_px;
  for (std::size_t i = 0; i < arrows.size(); ++i) {
    const TimelineArrow& arrow = arrows[i];
    const float distance = std::min(std::hypot(arrow.from_x_px - x_px, arrow.from_y_px - y_px),
                                    std::hypot(arrow.to_x_px - x_px, arrow.to_y_px - y_px));
    if (distance > best) continue;
    best = distance;
    nearest = i;
  }
  return nearest;
}

std::size_t box_at(const TimelineScene& scene, const std::vector<TimelineRow>& rows, float x_px,
                   float y_px) {
  const std::size_t row = row_at(rows, y_px);
  std::size_t beside = SIZE_MAX;
  // Boxes narrower than a pointer can aim at are taken from 1 px beside them.
  for (std::size_t i = scene.boxes.size(); i-- > 0;) {
    const TimelineBox& box = scene.boxes[i];
    if (box.row != row || x_px < box.x_px - 1 || x_px > box.x_px + box.width_px + 1) continue;
    if (y_px >= box.y_px && y_px < box.y_px + box.height_px) return i;
    if (beside == SIZE_MAX) beside = i;
  }
  return beside;
}

std::size_t row_at(const std::vector<TimelineRow>& rows, float y_px) {
  const auto after = std::upper_bound(rows.begin(), rows.end(), y_px,
                                      [](float y, const TimelineRow& row) { return y < row.y_px; });
  if (after == rows.begin()) return SIZE_MAX;
  const auto found = after - 1;
  if (y_px >= found->y_px + found->height_px) return SIZE_MAX;
  return static_cast<std::size_t>(found - rows.begin());
}

std::string native_frame_text(const session::NativeFrame& frame) {
  std::string text;
  if (!frame.function.empty()) {
    text = keep_tail(short_function(frame.function), 60);
    if (!frame.file.empty()) text += "  " + place_text(frame.file, frame.line);
  } else {
    char number[32];
    std::snprintf(
        number, sizeof number, "0x%llx",
        static_cast<unsigned long long>(frame.module.empty() ? frame.address : frame.offset));
    text = frame.module.empty() ? number : std::string(file_name(frame.module)) + "+" + number;
  }
  return frame.guessed ? text + "  (perhaps)" : text;
}

std::vector<float> load_strip(const session::Model& model, std::int64_t from_ns, std::int64_t to_ns,
                              std::size_t pieces) {
  std::vector<float> load(pieces, 0.0f);
  if (pieces == 0 || to_ns <= from_ns) return load;
  const double piece_ns = static_cast<double>(to_ns - from_ns) / static_cast<double>(pieces);
  std::size_t workers = 0;
  std::vector<session::Slice> slices;
  for (const auto& lane : model.lanes()) {
    if (lane->worker == 0) continue;
    ++workers;
    slices.clear();
    model.slices(lane->index, session::Layer::Polls, from_ns, to_ns,
                 std::max<std::int64_t>(1, static_cast<std::int64_t>(piece_ns)), slices);
    for (const session::Slice& slice : slices) {
      const double from = static_cast<double>(slice.from_ns - from_ns) / piece_ns;
      const double to = static_cast<double>(slice.to_ns - from_ns) / piece_ns;
      const double length = std::max(to - from, 1e-9);
      const double last = static_cast<double>(pieces) - 1;
      const auto first_piece = static_cast<std::size_t>(std::clamp(from, 0.0, last));
      const auto last_piece = static_cast<std::size_t>(std::clamp(to, 0.0, last));
      for (std::size_t piece = first_piece; piece <= last_piece; ++piece) {
        const double left = std::max(from, static_cast<double>(piece));
        const double right = std::min(to, static_cast<double>(piece) + 1);
        const double part = first_piece == last_piece ? 1 : std::max(right - left, 0.0) / length;
        load[piece] += static_cast<float>(static_cast<double>(slice.busy_ns) * part / piece_ns);
      }
    }
  }
  for (float& share : load) {
    share = std::clamp(share / static_cast<float>(std::max<std::size_t>(workers, 1)), 0.0f, 1.0f);
  }
  return load;
}

}  // namespace taskscope::console::panels
