#include "taskscope/console/panels/timers_layout.h"

#include <algorithm>
#include <array>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

constexpr float kStripPx = 17;
constexpr std::int64_t kLateNs = 10'000'000;
constexpr int kRates = 2;  // fired, fired late

/// A level's slots are 64 times as long as those of the level below; the first are 1 ms.
std::string level_label(int level) {
  constexpr std::array<const char*, protocol::kWheelLevels> kSpans = {
      "within 64 ms", "within 4.1 s",   "within 4.4 min",
      "within 4.7 h", "within 12 days", "within 2.2 years"};
  return kSpans[static_cast<std::size_t>(level)];
}

bool sooner(const NextTimer& a, const NextTimer& b) {
  return a.deadline_ns != b.deadline_ns ? a.deadline_ns < b.deadline_ns : a.task < b.task;
}

}  // namespace

std::vector<ChartRow> timer_rows(const session::Model& model, const ChartOptions& options) {
  constexpr std::size_t kLevels = protocol::kWheelLevels;
  std::array<std::uint64_t, kLevels> now{};
  std::uint64_t fired = 0, late = 0, latest_ns = 0;
  const session::Lane* latest = nullptr;
  bool any = false;
  const auto cells = static_cast<std::size_t>(std::max(options.width_px, 0.0f) /
                                              std::max(options.resolution_px, 1.0f)) +
                     1;
  std::array<std::vector<double>, kLevels + kRates> values;
  for (auto& of : values) of.assign(cells, 0);
  std::vector<bool> covered(cells);
  std::array<double, kLevels + kRates> in_cell{};
  for (const auto& lane : model.lanes()) {
    if (lane->worker == 0 || lane->samples.empty()) continue;
    any = true;
    const auto& samples = lane->samples;
    const protocol::WorkerSample& last = samples.back().sample;
    for (std::size_t level = 0; level < kLevels; ++level) now[level] += last.wheel[level];
    fired += last.timers_fired;
    late += last.timers_late;
    if (last.late_max_ns > latest_ns) {
      latest_ns = last.late_max_ns;
      latest = lane.get();
    }
    for (const SampleStep& step : sample_steps(
             model.clock(), samples.size(), [&](std::size_t i) { return samples[i].ticks; },
             options)) {
      in_cell.fill(0);
      for (std::size_t i = step.first; i <= step.last; ++i) {
        for (std::size_t level = 0; level < kLevels; ++level) {
          in_cell[level] =
              std::max(in_cell[level], static_cast<double>(samples[i].sample.wheel[level]));
        }
      }
      const auto &from = samples[step.first], &to = samples[step.last];
      const double seconds =
          static_cast<double>(model.clock().duration_ns(to.ticks - from.ticks)) / 1e9;
      const auto per_second = [&](std::uint64_t before, std::uint64_t after) {
        return seconds > 0 && after >= before ? static_cast<double>(after - before) / seconds : 0;
      };
      in_cell[kLevels] = per_second(from.sample.timers_fired, to.sample.timers_fired);
      in_cell[kLevels + 1] = per_second(from.sample.timers_late, to.sample.timers_late);
      const auto first_cell = static_cast<std::size_t>(step.x_px / options.resolution_px);
      const auto last_cell = std::min(
          cells,
          std::max(first_cell + 1, static_cast<std::size_t>(step.to_px / options.resolution_px)));
      for (std::size_t cell = first_cell; cell < last_cell; ++cell) {
        covered[cell] = true;
        for (std::size_t i = 0; i < values.size(); ++i) values[i][cell] += in_cell[i];
      }
    }
  }
  if (!any) return {};
  const auto strip = [&](std::size_t which, std::string label, std::string value, Colour colour,
                         ChartUnit unit) {
    ChartStrip made{.label = std::move(label),
                    .value = std::move(value),
                    .colour = colour,
                    .unit = unit,
                    .height_px = kStripPx};
    for (std::size_t cell = 0; cell < cells; ++cell) {
      if (!covered[cell]) continue;
      const float x = static_cast<float>(cell) * options.resolution_px;
      const double value_here = values[which][cell];
      made.highest = std::max(made.highest, value_here);
      // Cells of equal value are one step.
      if (!made.steps.empty() && made.steps.back().value == value_here &&
          made.steps.back().to_px >= x) {
        made.steps.back().to_px = std::min(x + options.resolution_px, options.width_px);
      } else {
        made.steps.push_back(
            {x, std::min(x + options.resolution_px, options.width_px), value_here});
      }
    }
    made.highest = round_highest(made.highest);
    return made;
  };
  ChartRow wheel{.title = "In the wheels", .subtitle = "of all workers"};
  std::uint64_t pending = 0;
  for (std::size_t level = 0; level < kLevels; ++level) {
    pending += now[level];
    wheel.strips.push_back(strip(level, level_label(static_cast<int>(level)),
                                 count_text(now[level]), colour::kWaitTimer, ChartUnit::Count));
  }
  wheel.note = count_text(pending) + " pending";
  ChartRow fires{.title = "Fired"};
  fires.subtitle = count_text(fired) + " in all";
  fires.strips.push_back(strip(kLevels, "fired", "", colour::kPolling, ChartUnit::Rate));
  fires.strips.push_back(
      strip(kLevels + 1, "late", count_text(late), colour::kTrouble, ChartUnit::Rate));
  if (latest != nullptr) {
    fires.note = "latest by " + duration_text(static_cast<std::int64_t>(latest_ns));
    fires.facts = {{"latest fire", duration_text(static_cast<std::int64_t>(latest_ns)) + " late"},
                   {"on", lane_name(*latest)}};
  }
  return {std::move(wheel), std::move(fires)};
}

bool NextTimers::update(const session::Model& model, bool may_renew, std::size_t work) {
  if (!busy_) {
    if (known_ && (!may_renew || revision_ == model.revision())) return false;
    revision_ = model.revision();
    next_slot_ = 0;
    counted_ = 0;
    heap_.clear();
    busy_ = true;
  }
  const std::uint32_t slots = model.tasks().slots();
  for (; next_slot_ < slots && work > 0; ++next_slot_, --work) {
    const session::Task* task = model.tasks().at(next_slot_);
    if (task == nullptr || task->state != protocol::TaskState::Idle) continue;
    for (const session::Wait& wait : task->waits) {
      const bool timer = wait.op == protocol::WaitOp::Sleep || wait.op == protocol::WaitOp::Tick;
      if (!timer || wait.value == 0) continue;
      ++counted_;
      const NextTimer next{task->id, wait.value, wait.site, wait.op};
      if (heap_.size() == limit_) {
        if (limit_ == 0 || !sooner(next, heap_.front())) continue;
        std::pop_heap(heap_.begin(), heap_.end(), sooner);
        heap_.pop_back();
      }
      heap_.push_back(next);
      std::push_heap(heap_.begin(), heap_.end(), sooner);
    }
  }
  if (next_slot_ < slots) return true;
  busy_ = false;
  known_ = true;
  soonest_ = heap_;
  std::sort(soonest_.begin(), soonest_.end(), sooner);
  count_ = counted_;
  return false;
}

TableView next_timer_table(const session::Model& model, const NextTimers& timers) {
  TableView table;
  table.columns = {{"Due in", true, 0.8f},
                   {"Task", false, 1.8f},
                   {"Wait", false, 0.6f},
                   {"Location", false, 1.6f},
                   {"Waits for", true, 0.8f}};
  table.empty = "No task waits for a moment, as far as is known.";
  for (const NextTimer& timer : timers.soonest()) {
    const session::Task* task = model.tasks().find(timer.task);
    if (task == nullptr) continue;
    // What fired since the last look is over.
    const bool waits = task->state == protocol::TaskState::Idle &&
                       std::any_of(task->waits.begin(), task->waits.end(), [&](const auto& wait) {
                         return wait.value == timer.deadline_ns && wait.op == timer.op;
                       });
    if (!waits) continue;
    const std::int64_t due = model.clock().ns_of_monotonic(timer.deadline_ns) - model.now_ns();
    const std::int64_t since =
        model.clock().duration_ns(model.now() - std::min(model.now(), task->state_since));
    std::string title = task_title(model, *task);
    if (const std::string id = std::to_string(task->id); !title.ends_with(id)) title += "  " + id;
    table.rows.push_back(
        {.cells = {{due < 0 ? "overdue " + duration_text(-due) : duration_text(due),
                    static_cast<double>(due)},
                   {std::move(title), 0},
                   {std::string(name_of(timer.op)), 0},
                   {timer.site == 0 ? "–" : site_place(model, timer.site), 0},
                   {duration_text(since), static_cast<double>(since)}},
         .on_click = action::SelectTask{timer.task},
         // A tick late is how timers are.
         .dot = due < -kLateNs ? colour::kTrouble
                : due < 0      ? colour::kScheduled
                               : colour::kWaitTimer});
  }
  table.more = timers.count() - std::min(timers.count(), timers.soonest().size());
  return table;
}

}  // namespace taskscope::console::panels
