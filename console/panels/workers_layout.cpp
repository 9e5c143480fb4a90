#include "taskscope/console/panels/workers_layout.h"

#include <algorithm>

#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

constexpr float kStripPx = 17;

/// Over the last two seconds of samples.
constexpr std::int64_t kRecentNs = 2'000'000'000;

std::size_t recent(const session::Model& model, std::span<const session::WorkerPoint> samples) {
  std::size_t from = samples.size() - 1;
  while (from > 0 &&
         model.clock().duration_ns(samples.back().ticks - samples[from].ticks) < kRecentNs) {
    --from;
  }
  return from;
}

double rate(const session::Clock& clock, std::uint64_t from_ticks, std::uint64_t to_ticks,
            std::uint64_t from, std::uint64_t to) {
  const auto ns = clock.duration_ns(to_ticks - from_ticks);
  if (ns <= 0 || to < from) return 0;
  return static_cast<double>(to - from) * 1e9 / static_cast<double>(ns);
}

/// How much of each piece of the lane was spent in polls.
void fill_busy(const session::Model& model, std::uint32_t lane, const ChartOptions& options,
               ChartStrip& strip) {
  if (options.width_px < 1 || options.view.length() < 1) return;
  const auto cells =
      static_cast<std::size_t>(options.width_px / std::max(options.resolution_px, 1.0f)) + 1;
  const double cell_ns = static_cast<double>(options.view.length()) *
                         static_cast<double>(options.resolution_px) /
                         static_cast<double>(options.width_px);
  std::vector<session::Slice> slices;
  model.slices(lane, session::Layer::Polls, options.view.from_ns, options.view.to_ns,
               std::max<std::int64_t>(1, static_cast<std::int64_t>(cell_ns)), slices);
  std::vector<double> busy(cells);
  for (const session::Slice& slice : slices) {
    const double from = static_cast<double>(slice.from_ns - options.view.from_ns) / cell_ns;
    const double to = static_cast<double>(slice.to_ns - options.view.from_ns) / cell_ns;
    const double length = std::max(to - from, 1e-9);
    const auto last = static_cast<double>(cells - 1);
    const auto first_cell = static_cast<std::size_t>(std::clamp(from, 0.0, last));
    const auto last_cell = static_cast<std::size_t>(std::clamp(to, 0.0, last));
    for (std::size_t cell = first_cell; cell <= last_cell; ++cell) {
      const double left = std::max(from, static_cast<double>(cell));
      const double right = std::min(to, static_cast<double>(cell) + 1);
      busy[cell] += static_cast<double>(slice.busy_ns) *
                    (first_cell == last_cell ? 1 : std::max(right - left, 0.0) / length);
    }
  }
  for (std::size_t cell = 0; cell < cells; ++cell) {
    if (busy[cell] <= 0) continue;
    const float x = static_cast<float>(cell) * options.resolution_px;
    strip.steps.push_back({x, std::min(x + options.resolution_px, options.width_px),
                           std::min(busy[cell] / cell_ns, 1.0)});
  }
}

template <class Point, class Value>
void fill(const session::Clock& clock, std::span<const Point> samples,
          const std::vector<SampleStep>& steps, Value value, ChartStrip& strip) {
  (void)clock;
  for (const SampleStep& step : steps) {
    const double is = value(samples, step);
    strip.steps.push_back({step.x_px, step.to_px, is});
    strip.highest = std::max(strip.highest, is);
  }
  strip.highest = round_highest(strip.highest);
}

/// The highest level in a step.
template <class Point, class Level>
double highest_in(std::span<const Point> samples, const SampleStep& step, Level level) {
  double highest = 0;
  for (std::size_t i = step.first; i <= step.last; ++i) {
    highest = std::max(highest, static_cast<double>(level(samples[i].sample)));
  }
  return highest;
}

void worker_strips(const session::Model& model, const session::Lane& lane,
                   const WorkersOptions& options, ChartRow& row) {
  const session::Clock& clock = model.clock();
  const std::span<const session::WorkerPoint> samples = lane.samples;
  fill_busy(model, lane.index, options.chart, row.strips[0]);
  const auto steps = sample_steps(
      clock, samples.size(), [&](std::size_t i) { return samples[i].ticks; }, options.chart);
  const auto counted = [&](auto counter) {
    return [&clock, counter](std::span<const session::WorkerPoint> points, const SampleStep& step) {
      const auto &from = points[step.first], &to = points[step.last];
      return rate(clock, from.ticks, to.ticks, counter(from.sample), counter(to.sample));
    };
  };
  using Sample = protocol::WorkerSample;
  fill(
      clock, samples, steps,
      [](std::span<const session::WorkerPoint> points, const SampleStep& step) {
        return highest_in(points, step, [](const Sample& sample) { return sample.queue_depth; });
      },
      row.strips[1]);
  fill(clock, samples, steps, counted([](const Sample& sample) { return sample.parks; }),
       row.strips[2]);
  fill(clock, samples, steps, counted([](const Sample& sample) { return sample.steals; }),
       row.strips[3]);
}

ChartRow worker_row(const session::Model& model, const session::Lane& lane,
                    const WorkersOptions& options, bool filled) {
  ChartRow row{.title = lane_name(model, lane)};
  // A worker that was stuck in a poll before anything was recorded records nothing.
  const SampledPoll sampled = sampled_poll(lane);
  const std::uint64_t polled = lane.current_task != 0 ? lane.current_task : sampled.task;
  const bool polling = polled != 0, parked = lane.parked_from != 0;
  row.dot = polling ? colour::kPolling : parked ? colour::kDone : colour::kScheduled;
  row.subtitle = polling ? "polling" : parked ? "parked" : "looking for work";
  if (polling) {
    const session::Task* task = model.tasks().find(polled);
    row.task = polled;
    const std::string id = std::to_string(polled);
    row.subtitle = task != nullptr ? task_title(model, *task) : "task " + id;
    if (!row.subtitle.ends_with(id)) row.subtitle += "  " + id;
    const std::uint64_t begun = lane.current_task != 0 ? lane.current_from : sampled.from;
    const std::int64_t runs = std::max<std::int64_t>(model.now_ns() - model.clock().ns(begun), 0);
    row.warn = runs >= options.long_poll_ns;
    row.note = row.warn ? "blocks for " : "polls for ";
    if (lane.current_task == 0) row.note += "at least ";
    row.note += duration_text(runs);
    if (row.warn) row.dot = colour::kTrouble;
  } else if (parked) {
    row.note = "for " + duration_text(std::max<std::int64_t>(
                            model.now_ns() - model.clock().ns(lane.parked_from), 0));
  }
  row.strips = {
      {.label = "busy",
       .colour = colour::kPolling,
       .unit = ChartUnit::Share,
       .height_px = kStripPx,
       .highest = 1,
       .sampled = false},
      {.label = "queue",
       .colour = colour::kScheduled,
       .unit = ChartUnit::Count,
       .height_px = kStripPx},
      {.label = "parks", .colour = rgb(0x6d7b8c), .unit = ChartUnit::Rate, .height_px = kStripPx},
      {.label = "steals",
       .colour = colour::kAccent,
       .unit = ChartUnit::Rate,
       .height_px = kStripPx},
  };
  if (!lane.samples.empty()) {
    const auto& last = lane.samples.back();
    const auto& from = lane.samples[recent(model, lane.samples)];
    const auto per_second = [&](std::uint64_t before, std::uint64_t now) {
      return rate(model.clock(), from.ticks, last.ticks, before, now);
    };
    const protocol::WorkerSample &is = last.sample, &was = from.sample;
    row.strips[0].value = percent_text(std::min(per_second(was.busy_ns, is.busy_ns) / 1e9, 1.0));
    row.strips[1].value = count_text(is.queue_depth);
    row.strips[2].value = chart_value_text(ChartUnit::Rate, per_second(was.parks, is.parks));
    row.strips[3].value = chart_value_text(ChartUnit::Rate, per_second(was.steals, is.steals));
    const auto count = [](std::uint64_t value) { return count_text(value); };
    row.facts = {{"thread", std::to_string(lane.tid)},
                 {"busy in all", duration_text(static_cast<std::int64_t>(is.busy_ns))},
                 {"polls", count(is.polls)},
                 {"parks", count(is.parks)},
                 {"woken for nothing", count(is.noops)},
                 {"tasks stolen", count(is.steals)},
                 {"steals", count(is.steal_operations)},
                 {"scheduled here", count(is.local_schedules)},
                 {"queue overflows", count(is.overflows)},
                 {"budget yields", count(is.budget_yields)},
                 {"timers fired", count(is.timers_fired)},
                 {"of those late", count(is.timers_late)},
                 {"latest by", duration_text(static_cast<std::int64_t>(is.late_max_ns))}};
  }
  if (!filled) return row;
  worker_strips(model, lane, options, row);
  if (sampled.task != 0 && options.chart.width_px >= 1) {
    const auto width = static_cast<double>(options.chart.width_px);
    const double from = options.chart.view.x(model.clock().ns(sampled.from), width);
    const double to = options.chart.view.x(model.now_ns(), width);
    if (to > 0 && from < width) {
      row.strips[0].steps.push_back(
          {static_cast<float>(std::max(from, 0.0)), static_cast<float>(std::min(to, width)), 1});
    }
  }
  return row;
}

ChartRow runtime_row(const session::Model& model, std::span<const session::RuntimePoint> samples,
                     std::string title, std::string subtitle, std::vector<ChartStrip> strips,
                     const std::vector<std::uint64_t (*)(const protocol::RuntimeSample&)>& levels,
                     const WorkersOptions& options, bool filled) {
  ChartRow row{
      .title = std::move(title), .subtitle = std::move(subtitle), .strips = std::move(strips)};
  for (std::size_t i = 0; i < levels.size(); ++i) {
    row.strips[i].value = count_text(levels[i](samples.back().sample));
  }
  if (!filled) return row;
  const auto steps = sample_steps(
      model.clock(), samples.size(), [&](std::size_t i) { return samples[i].ticks; },
      options.chart);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    fill(
        model.clock(), samples, steps,
        [&](std::span<const session::RuntimePoint> points, const SampleStep& step) {
          return highest_in(points, step, levels[i]);
        },
        row.strips[i]);
  }
  return row;
}

}  // namespace

std::vector<ChartRow> worker_rows(const session::Model& model, const WorkersOptions& options) {
  std::vector<ChartRow> rows;
  const auto filled = [&] { return rows.size() >= options.first && rows.size() <= options.last; };
  std::vector<const session::Lane*> workers;
  for (const auto& lane : model.lanes()) {
    if (lane->worker != 0) workers.push_back(lane.get());
  }
  std::sort(workers.begin(), workers.end(),
            [](const auto* a, const auto* b) { return a->worker < b->worker; });
  for (const session::Lane* lane : workers) {
    rows.push_back(worker_row(model, *lane, options, filled()));
  }
  const auto runtimes = model.runtimes();
  using Sample = protocol::RuntimeSample;
  for (const std::uint32_t runtime : runtimes) {
    const auto samples = model.runtime_samples(runtime);
    if (samples.empty()) continue;
    const std::string number = " " + std::to_string(runtime);
    const bool several = runtimes.size() > 1;
    rows.push_back(
        runtime_row(model, samples, "Blocking pool", several ? "of runtime" + number : "",
                    {{.label = "threads", .colour = rgb(0xb08968), .height_px = kStripPx},
                     {.label = "idle", .colour = rgb(0x6d7b8c), .height_px = kStripPx},
                     {.label = "queue", .colour = colour::kScheduled, .height_px = kStripPx}},
                    {[](const Sample& is) -> std::uint64_t { return is.blocking_threads; },
                     [](const Sample& is) -> std::uint64_t { return is.blocking_idle; },
                     [](const Sample& is) -> std::uint64_t { return is.blocking_queue; }},
                    options, filled()));
    rows.push_back(runtime_row(
        model, samples, several ? "Runtime" + number : "Runtime", "",
        {{.label = "injection queue", .colour = colour::kScheduled, .height_px = kStripPx},
         {.label = "live tasks", .colour = colour::kAccent, .height_px = kStripPx},
         {.label = "I/O sources", .colour = colour::kWaitIo, .height_px = kStripPx}},
        {[](const Sample& is) -> std::uint64_t { return is.injection_depth; },
         [](const Sample& is) -> std::uint64_t { return is.live_tasks; },
         [](const Sample& is) -> std::uint64_t { return is.io_registrations; }},
        options, filled()));
  }
  return rows;
}

}  // namespace taskscope::console::panels
