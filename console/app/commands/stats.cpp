#include "taskscope/console/app/commands/stats.h"

#include <algorithm>

#include "taskscope/console/analysis/words.h"
#include "taskscope/console/app/commands/commands.h"
#include "taskscope/console/app/commands/common.h"
#include "taskscope/console/app/json_writer.h"

namespace taskscope::console::app::commands {
namespace {

using analysis::duration_words;
using analysis::place_words;
using analysis::words_of;
using protocol::TaskState;
using session::LogHistogram;
using session::Model;

std::string_view name_of(protocol::TaskKind kind) {
  switch (kind) {
    case protocol::TaskKind::Task:
      return "task";
    case protocol::TaskKind::Local:
      return "local";
    case protocol::TaskKind::Blocking:
      return "blocking";
    case protocol::TaskKind::BlockOn:
      return "block_on";
  }
  return "unknown";
}

std::int64_t quantile_ns(const Model& model, const LogHistogram& histogram, double share) {
  return model.clock().duration_ns(histogram.quantile_ticks(share));
}

std::string function_of(const Model& model, std::uint32_t site) {
  const protocol::Site* place = model.site(site);
  return place == nullptr ? std::string{} : place->function;
}

/// Sums over the call groups, which cover tasks that are no longer kept.
struct TaskSums {
  std::uint64_t by_state[4] = {};
  std::uint64_t panicked = 0, cancelled = 0, busy = 0, scheduled = 0;

  explicit TaskSums(const Model& model) {
    for (const auto& group : model.tasks().call_groups()) {
      for (std::size_t i = 0; i < 4; ++i) by_state[i] += group.by_state[i];
      panicked += group.panicked;
      cancelled += group.cancelled;
      busy += group.busy;
      scheduled += group.scheduled;
    }
  }
  [[nodiscard]] std::uint64_t of(TaskState state) const {
    return by_state[static_cast<std::size_t>(state)];
  }
};

std::vector<const session::CallGroup*> call_groups(const Model& model) {
  std::vector<const session::CallGroup*> groups;
  for (const auto& group : model.tasks().call_groups())
    if (group.live() + group.by_state[3] != 0) groups.push_back(&group);
  std::sort(groups.begin(), groups.end(), [](const auto* a, const auto* b) {
    return a->busy != b->busy ? a->busy > b->busy : a < b;
  });
  return groups;
}

std::vector<const session::AwaitGroup*> await_groups(const Model& model) {
  std::vector<const session::AwaitGroup*> groups;
  for (const auto& group : model.tasks().await_groups())
    if (group.ever + group.waiting != 0) groups.push_back(&group);
  std::sort(groups.begin(), groups.end(), [](const auto* a, const auto* b) {
    return a->ever != b->ever ? a->ever > b->ever : a < b;
  });
  return groups;
}

std::vector<const session::Resource*> resources(const Model& model) {
  std::vector<const session::Resource*> all;
  for (const auto& [id, resource] : model.resources()) all.push_back(&resource);
  std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  return all;
}

struct LaneSums {
  std::uint64_t polls = 0;
  std::int64_t busy_ns = 0;

  LaneSums(const Model& model, const session::Lane& lane) : polls(lane.polls.end()) {
    std::vector<session::Slice> slices;
    const auto span = std::max<std::int64_t>(model.now_ns() - model.begin_ns(), 1);
    model.slices(lane.index, session::Layer::Polls, model.begin_ns(), model.now_ns() + 1, span,
                 slices);
    for (const auto& slice : slices) busy_ns += slice.busy_ns;
  }
};

void write_process(JsonWriter& json, const Model& model) {
  static const protocol::Process kUnknown;
  const auto& process = model.process() ? *model.process() : kUnknown;
  json.key("process").object();
  json.member("pid", process.pid).member("name", process.name);
  json.member("command_line", process.command_line).member("executable", process.executable);
  json.member("build_id", process.build_id).member("host", process.host);
  json.member("taskscope_version", process.taskscope_version);
  json.end_object();
  json.key("span").object();
  json.member("from", utc_text(model.clock().wall_ns(model.begin_ns())));
  json.member("to", utc_text(model.clock().wall_ns(model.now_ns())));
  json.member("duration_ns", model.now_ns() - model.begin_ns());
  json.end_object();
}

void write_tasks(JsonWriter& json, const Model& model) {
  const auto& totals = model.totals();
  const TaskSums sums(model);
  json.key("tasks").object();
  json.member("spawned", totals.spawned).member("finished", totals.finished);
  json.member("live", model.tasks().live());
  json.member("walked", model.snapshots_completed() != 0);
  json.member("polls", totals.polls_ended).member("wakes", totals.wakes);
  json.member("self_wakes", totals.self_wakes);
  json.key("by_state").object();
  json.member("waiting", sums.of(TaskState::Idle));
  json.member("scheduled", sums.of(TaskState::Scheduled));
  json.member("polling", sums.of(TaskState::Running));
  json.end_object();
  json.key("outcomes").object();
  json.member("done", sums.of(TaskState::Finished) -
                          std::min(sums.of(TaskState::Finished), sums.panicked + sums.cancelled));
  json.member("cancelled", sums.cancelled).member("exception", sums.panicked);
  json.end_object();
  json.key("by_call_site").array();
  for (const auto* group : call_groups(model)) {
    json.object();
    json.member("where", place_words(model, group->site));
    json.member("function", function_of(model, group->site));
    json.member("kind", name_of(group->kind));
    json.member("live", group->live()).member("finished", group->by_state[3]);
    json.member("polls", group->polls).member("wakes", group->wakes);
    json.member("busy_ns", model.clock().duration_ns(group->busy));
    json.member("scheduled_ns", model.clock().duration_ns(group->scheduled));
    json.member("max_poll_ns", model.clock().duration_ns(group->max_poll));
    json.member("p50_poll_ns", quantile_ns(model, group->poll_times, 0.5));
    json.member("p99_poll_ns", quantile_ns(model, group->poll_times, 0.99));
    json.member("p99_scheduled_ns", quantile_ns(model, group->scheduled_times, 0.99));
    json.end_object();
  }
  json.end_array();
  json.key("by_await_site").array();
  for (const auto* group : await_groups(model)) {
    const auto& wait = model.wait_kinds()[group->wait];
    json.object();
    json.member("where", place_words(model, wait.site));
    json.member("waits", words_of(wait.op));
    json.member("resource_kind", words_of(wait.resource_kind));
    json.member("waiting", group->waiting).member("ever", group->ever);
    json.member("p50_ns", quantile_ns(model, group->wait_times, 0.5));
    json.member("p99_ns", quantile_ns(model, group->wait_times, 0.99));
    json.end_object();
  }
  json.end_array();
  json.end_object();
}

void write_workers(JsonWriter& json, const Model& model) {
  json.key("workers").array();
  for (const auto& lane : model.lanes()) {
    if (lane->worker == 0) continue;
    const LaneSums sums(model, *lane);
    json.object();
    json.member("worker", lane->worker).member("name", lane->name).member("tid", lane->tid);
    json.member("polls", sums.polls).member("busy_ns", sums.busy_ns);
    json.member("parks", lane->parks.end()).member("stolen", lane->steals);
    json.member("current_task", lane->current_task);
    json.member("queue_depth", lane->samples.empty() ? 0 : lane->samples.back().sample.queue_depth);
    json.end_object();
  }
  json.end_array();
}

void write_resources(JsonWriter& json, const Model& model) {
  json.key("resources").array();
  for (const auto* resource : resources(model)) {
    json.object();
    json.member("id", resource->id).member("kind", words_of(resource->kind));
    json.member("type", resource->concrete_type).member("name", resource->name);
    json.member("where", place_words(model, resource->site));
    json.member("waiters", resource->waiters).member("waits", resource->waits_ever);
    json.key("holders").array();
    for (const auto& holder : resource->holders) {
      json.object();
      json.member("task", holder.task).member("certain", holder.certain);
      json.member("permits", holder.permits).member("role", holder.role);
      json.end_object();
    }
    json.end_array();
    json.member("dropped", resource->dropped != 0);
    json.end_object();
  }
  json.end_array();
}

/// The functions on the native stack of a poll that blocks, leaf first; null where none was taken.
void write_stack(JsonWriter& json, const Model& model, const analysis::Finding& finding) {
  const bool polls = finding.kind == analysis::FindingKind::BlockingPoll ||
                     finding.kind == analysis::FindingKind::NeverYielded;
  if (!polls || finding.tasks.empty()) return;
  const auto* stack = model.native_stack(finding.tasks.front());
  json.key("stack");
  if (stack == nullptr) {
    json.null();
    return;
  }
  json.array();
  for (const auto& frame : stack->frames) json.value(frame.function);
  json.end_array();
}

void write_ids(JsonWriter& json, std::string_view name, const std::vector<std::uint64_t>& ids) {
  json.key(name).array();
  for (const auto id : ids) json.value(id);
  json.end_array();
}

void write_finding(JsonWriter& json, const Model& model, const analysis::Finding& finding) {
  json.object();
  json.member("kind", analysis::name_of(finding.kind));
  json.member("certainty", analysis::name_of(finding.certainty));
  write_ids(json, "tasks", finding.tasks);
  json.member("task_count", finding.task_count);
  write_ids(json, "others", finding.others);
  json.member("resource", finding.resources.empty() ? 0 : finding.resources.front());
  write_ids(json, "resources", finding.resources);
  json.member("where", place_words(model, finding.site));
  json.member("since_ns", finding.since_ns - model.begin_ns());
  json.member("named_ns", finding.named_ns - model.begin_ns());
  json.key("until_ns");
  if (finding.active())
    json.null();
  else
    json.value(finding.until_ns - model.begin_ns());
  json.member("active", finding.active());
  json.member("text", finding.text);
  write_stack(json, model, finding);
  json.end_object();
}

void write_findings(JsonWriter& json, const Model& model, const analysis::Diagnosis& diagnosis) {
  json.key("findings").array();
  for (const auto* findings : {&diagnosis.active(), &diagnosis.past()})
    for (const auto& finding : *findings) write_finding(json, model, finding);
  json.end_array();
}

void write_losses(JsonWriter& json, const Model& model) {
  json.key("lost").array();
  for (const auto& loss : model.losses()) {
    json.object();
    json.member("producer", loss.producer);
    json.member("worker", loss.lane < model.lanes().size() ? model.lanes()[loss.lane]->worker : 0u);
    json.member("cause", commands::name_of(loss.cause)).member("events", loss.events);
    json.member("chunks", loss.chunks).member("spawns", loss.spawns);
    json.member("polls", loss.polls).member("wakes", loss.wakes);
    json.end_object();
  }
  json.end_array();
}

std::string share_words(std::int64_t part, std::int64_t whole) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%",
                whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0.0);
  return text;
}

std::string named(const std::string& text) { return text.empty() ? "unknown place" : text; }

}  // namespace

std::string stats_json(const Model& model, const analysis::Diagnosis& diagnosis) {
  std::string text;
  JsonWriter json(text);
  json.object();
  write_process(json, model);
  write_tasks(json, model);
  write_workers(json, model);
  write_resources(json, model);
  write_findings(json, model, diagnosis);
  write_losses(json, model);
  json.end_object();
  return text + "\n";
}

std::string stats_text(const Model& model, const analysis::Diagnosis& diagnosis) {
  constexpr std::size_t kRows = 10;
  const auto& clock = model.clock();
  const auto span = model.now_ns() - model.begin_ns();
  std::string text;
  if (model.process())
    text += model.process()->name + " (pid " + std::to_string(model.process()->pid) + ") on " +
            model.process()->host + ": " + model.process()->command_line + "\n";
  text +=
      "span " + duration_words(span) + " from " + utc_text(clock.wall_ns(model.begin_ns())) + "\n";
  if (model.ended() && model.dead()) text += "the link broke: " + model.end_reason() + "\n";

  if (model.snapshots_completed() == 0)
    text += "the walk over the living tasks has not come: those spawned before are missing\n";

  const TaskSums sums(model);
  const auto& totals = model.totals();
  text += "\ntasks   " + count_words(model.tasks().live()) + " live (" +
          count_words(sums.of(TaskState::Idle)) + " waiting, " +
          count_words(sums.of(TaskState::Scheduled)) + " scheduled, " +
          count_words(sums.of(TaskState::Running)) + " polling); " + count_words(totals.spawned) +
          " spawned, " + count_words(totals.finished) + " finished\n";
  text += "polls   " + count_words(totals.polls_ended) + "; wakes " + count_words(totals.wakes) +
          ", " + count_words(totals.self_wakes) + " of them by the task itself\n";

  std::vector<std::vector<std::string>> rows = {
      {"SPAWNED AT", "LIVE", "FINISHED", "POLLS", "BUSY", "P99 POLL", "LONGEST", "P99 QUEUED"}};
  const auto calls = call_groups(model);
  for (std::size_t i = 0; i < calls.size() && i < kRows; ++i)
    rows.push_back({named(place_words(model, calls[i]->site)), count_words(calls[i]->live()),
                    count_words(calls[i]->by_state[3]), count_words(calls[i]->polls),
                    duration_words(clock.duration_ns(calls[i]->busy)),
                    duration_words(quantile_ns(model, calls[i]->poll_times, 0.99)),
                    duration_words(clock.duration_ns(calls[i]->max_poll)),
                    duration_words(quantile_ns(model, calls[i]->scheduled_times, 0.99))});
  text += "\n" + table(rows);
  if (calls.size() > kRows) text += "and " + std::to_string(calls.size() - kRows) + " more\n";

  rows = {{"WAITS AT", "TO", "NOW", "EVER", "P50", "P99"}};
  const auto awaits = await_groups(model);
  for (std::size_t i = 0; i < awaits.size() && i < kRows; ++i) {
    const auto& wait = model.wait_kinds()[awaits[i]->wait];
    rows.push_back(
        {named(place_words(model, wait.site)),
         std::string(words_of(wait.op)) + " " + std::string(words_of(wait.resource_kind)),
         count_words(awaits[i]->waiting), count_words(awaits[i]->ever),
         duration_words(quantile_ns(model, awaits[i]->wait_times, 0.5)),
         duration_words(quantile_ns(model, awaits[i]->wait_times, 0.99))});
  }
  if (rows.size() > 1) text += "\n" + table(rows);

  rows = {{"WORKER", "POLLS", "BUSY", "PARKS", "STOLEN", "QUEUE"}};
  for (const auto& lane : model.lanes()) {
    if (lane->worker == 0) continue;
    const LaneSums lane_sums(model, *lane);
    rows.push_back(
        {lane->name.empty() ? std::to_string(lane->worker) : lane->name,
         count_words(lane_sums.polls), share_words(lane_sums.busy_ns, span),
         count_words(lane->parks.end()), count_words(lane->steals),
         lane->samples.empty() ? "?" : std::to_string(lane->samples.back().sample.queue_depth)});
  }
  if (rows.size() > 1) text += "\n" + table(rows);

  rows = {{"RESOURCE", "WAITERS", "WAITS", "HOLDER", "MADE AT"}};
  auto contended = resources(model);
  std::sort(contended.begin(), contended.end(), [](const auto* a, const auto* b) {
    if (a->waiters != b->waiters) return a->waiters > b->waiters;
    return a->waits_ever != b->waits_ever ? a->waits_ever > b->waits_ever : a->id < b->id;
  });
  for (std::size_t i = 0; i < contended.size() && i < kRows; ++i)
    rows.push_back({analysis::resource_words(model, contended[i]->id, contended[i]->kind),
                    count_words(contended[i]->waiters), count_words(contended[i]->waits_ever),
                    contended[i]->holders.empty()
                        ? "-"
                        : analysis::task_words(model, contended[i]->holders.front().task),
                    named(place_words(model, contended[i]->site))});
  if (rows.size() > 1) text += "\n" + table(rows);
  if (contended.size() > kRows)
    text += "and " + std::to_string(contended.size() - kRows) + " more\n";

  const auto line = [](const analysis::Finding& finding) {
    return std::string(analysis::name_of(finding.kind)) + " (" +
           std::string(analysis::name_of(finding.certainty)) + "): " + finding.text + "\n";
  };
  if (!diagnosis.active().empty()) text += "\n";
  for (const auto& finding : diagnosis.active()) text += line(finding);
  const auto& past = diagnosis.past();
  if (!past.empty()) text += "\nover    " + counted(past.size(), "finding") + "\n";
  for (std::size_t i = 0; i < past.size() && i < kRows; ++i) text += "        " + line(past[i]);

  text += "\nlost    " + counted(totals.lost_events, "event");
  if (totals.lost_chunks != 0) text += ", " + counted(totals.lost_chunks, "chunk");
  text += "\n";
  for (const auto& loss : model.losses())
    text += "        " + counted(loss.events, "event") + ", " +
            std::string(commands::name_of(loss.cause)) +
            (loss.producer == 0 ? "" : ", ring " + std::to_string(loss.producer)) + "\n";
  return text;
}

int run(const StatsCommand& command) {
  analysis::Diagnosis diagnosis(command.thresholds);
  const auto session =
      open_session("stats", command.target, {}, [&](const Model& model) { diagnosis.look(model); });
  if (!session) return kExitUnusable;
  const auto& model = session->model();
  diagnosis.look_now(model);
  const auto text = command.json ? stats_json(model, diagnosis) : stats_text(model, diagnosis);
  return print(text) ? kExitGood : kExitUnusable;
}

}  // namespace taskscope::console::app::commands
