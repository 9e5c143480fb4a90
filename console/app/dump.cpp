// The state of the window as JSON: what tests read instead of pixels.
#include <cmath>

#include "taskscope/console/app/json_writer.h"
#include "taskscope/console/app/text_audit.h"
#include "taskscope/console/app/workspace.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::app {
namespace {

using panels::Link;
using panels::RowKind;

const char* word(Link link) {
  switch (link) {
    case Link::Live:
      return "live";
    case Link::Ended:
      return "ended";
    case Link::Dead:
      return "dead";
    case Link::Recorded:
      return "recorded";
    case Link::Reading:
      return "reading";
  }
  return "";
}

const char* word(RowKind kind) {
  switch (kind) {
    case RowKind::Section:
      return "section";
    case RowKind::Worker:
      return "worker";
    case RowKind::Group:
      return "group";
    case RowKind::Task:
      return "task";
    case RowKind::More:
      return "more";
  }
  return "";
}

const char* word(panels::Tab tab) {
  switch (tab) {
    case panels::Tab::Problems:
      return "problems";
    case panels::Tab::Graph:
      return "graph";
    case panels::Tab::Tasks:
      return "tasks";
    case panels::Tab::Resources:
      return "resources";
    case panels::Tab::Workers:
      return "workers";
    case panels::Tab::Timers:
      return "timers";
    case panels::Tab::Losses:
      return "losses";
  }
  return "";
}

const char* word(panels::Shown shown) {
  switch (shown) {
    case panels::Shown::All:
      return "all";
    case panels::Shown::Live:
      return "live";
    case panels::Shown::Done:
      return "done";
  }
  return "";
}

std::int64_t whole(float x) { return static_cast<std::int64_t>(std::lround(x)); }

void entries(JsonWriter& json, const char* key, const std::vector<panels::StartEntry>& list) {
  json.key(key).array();
  for (const panels::StartEntry& entry : list) {
    json.object()
        .member("title", entry.title)
        .member("number", entry.number)
        .member("detail", entry.detail)
        .member("problem", entry.problem)
        .member("target", entry.target)
        .end_object();
  }
  json.end_array();
}

void table(JsonWriter& json, const char* key, const auto& view) {
  json.key(key).array();
  for (const auto& row : view.rows) {
    json.array();
    for (const panels::TableCell& cell : row.cells) json.value(cell.text);
    json.end_array();
  }
  json.end_array();
}

}  // namespace

void Workspace::dump_start(JsonWriter& json) const {
  json.key("start").object();
  json.member("searched", searched_).member("opening", opening_.valid());
  json.member("problem", open_problem_);
  entries(json, "processes", processes_);
  entries(json, "files", files_);
  json.end_object();
}

void Workspace::dump_inspector(JsonWriter& json) const {
  const panels::InspectorView& is = *inspector_;
  json.key("inspector").object();
  json.member("task", is.task).member("known", is.known).member("title", is.title);
  json.member("subtitle", is.subtitle).member("state", is.state).member("why", why_);
  json.key("facts").object();
  for (const panels::Fact& fact : is.facts) json.member(fact.label, fact.value);
  json.end_object();
  json.key("warnings").array();
  for (const std::string& warning : is.warnings) json.value(warning);
  json.end_array();
  json.member("stack_note", is.stack_note);
  json.key("stack").array();
  for (const panels::StackLine& line : is.stack) {
    json.object().member("depth", line.depth).member("text", line.text);
    json.member("place", line.place).end_object();
  }
  json.end_array();
  json.member("polls", is.polls.total).member("scheduled", is.scheduled.total);
  json.key("events").array();
  for (const panels::EventLine& event : is.events) json.value(event.text + " " + event.detail);
  json.end_array();
  json.key("parents").array();
  for (const panels::TaskLink& link : is.parents) json.value(link.task);
  json.end_array();
  json.key("children").array();
  for (const panels::TaskLink& link : is.children) json.value(link.task);
  json.end_array();
  json.end_object();
}

void Workspace::dump_problems(JsonWriter& json) const {
  json.member("problems_active", problems_.active).member("problems_past", problems_.past);
  json.member("finding", finding_key_);
  json.key("problems").array();
  for (const panels::ProblemRow& row : problems_.rows) {
    json.object().member("kind", std::string(analysis::name_of(row.kind)));
    json.member("severity", std::string(panels::name_of(row.severity)));
    json.member("certain", row.certain).member("over", row.over);
    json.member("sentence", row.sentence).member("when", row.when).member("place", row.place);
    json.member("tasks", row.tasks).member("selected", row.key == finding_key_).end_object();
  }
  json.end_array();
  if (!evidence_) return;
  json.key("evidence").object();
  json.member("kind", std::string(analysis::name_of(evidence_->kind)));
  json.member("sentence", evidence_->sentence).member("over", evidence_->over);
  json.member("from_ns", evidence_->from_ns).member("to_ns", evidence_->to_ns);
  json.key("tasks").array();
  for (const panels::ConcernedTask& task : evidence_->tasks) json.value(task.link.task);
  json.end_array();
  json.key("resources").array();
  for (const panels::ResourceLink& link : evidence_->resources) json.value(link.resource);
  json.end_array().end_object();
}

void Workspace::dump_graph(JsonWriter& json) const {
  json.key("graph").object();
  json.member("in_sight", graph_in_sight());
  json.key("tasks").array();
  for (const panels::GraphBox& box : graph_->boxes) {
    if (box.task != 0) json.value(box.task);
  }
  json.end_array().key("resources").array();
  for (const panels::GraphBox& box : graph_->boxes) {
    if (box.kind == panels::GraphBoxKind::Resource) json.value(box.resource);
  }
  json.end_array().key("cycle_tasks").array();
  for (const panels::GraphBox& box : graph_->boxes) {
    if (box.task != 0 && box.on_cycle) json.value(box.task);
  }
  json.end_array();
  json.member("arrows", graph_->arrows.size()).member("cycles", graph_->cycles);
  json.end_object();
}

void Workspace::dump_session(JsonWriter& json) const {
  const session::Model& model = session_->model();
  const session::Totals& totals = model.totals();
  const source::SourceStats stats = session_->source().stats();
  json.key("session").object();
  json.member("title", top_bar_.title).member("link", word(top_bar_.link));
  json.member("sentence", top_bar_.sentence).member("message", message_);
  json.member("message_is_bad", message_is_bad_);
  json.member("following", following_).member("paused", paused_);
  json.member("recording", !stats.recording.empty()).member("recording_path", stats.recording);
  json.member("recorded_bytes", stats.recorded_bytes);
  json.member("view_from_ns", view_.from_ns).member("view_to_ns", view_.to_ns);
  json.member("begin_ns", model.begin_ns()).member("now_ns", model.now_ns());
  json.member("can_go_back", history_.can_go_back());
  json.member("events", totals.events).member("lost_events", totals.lost_events);
  json.member("polls", totals.polls_ended).member("wakes", totals.wakes);
  json.member("spawned", totals.spawned).member("finished", totals.finished);
  json.member("tasks_live", model.tasks().live()).member("tasks_kept", model.tasks().size());
  json.member("tab", word(tab_)).member("selected_task", selected_);

  json.key("gauges").object();
  for (const panels::Gauge& gauge : top_bar_.gauges) json.member(gauge.label, gauge.value);
  json.end_object();

  json.key("table").object();
  json.member("filter", order_.filter).member("shown", word(order_.shown));
  json.member("sorted_by", panels::title_of(order_.column));
  json.member("descending", order_.descending);
  json.member("listed", table_.rows().size()).member("considered", table_.considered());
  json.key("rows").array();
  for (std::size_t i = 0; i < std::min<std::size_t>(table_.rows().size(), 50); ++i) {
    const session::Task* task = table_.task(model, i);
    if (task == nullptr) continue;
    const panels::TaskCells cells = panels::task_cells(model, *task);
    json.object();
    for (int c = 0; c < panels::kTaskColumns; ++c) {
      json.member(panels::title_of(static_cast<panels::TaskColumn>(c)),
                  cells.text[static_cast<std::size_t>(c)]);
    }
    json.end_object();
  }
  json.end_array().end_object();

  json.key("timeline").object();
  json.member("x", whole(timeline_memory_.lanes_x_px))
      .member("y", whole(timeline_memory_.lanes_y_px));
  json.member("width", whole(timeline_memory_.lanes_width_px));
  json.member("height", whole(timeline_memory_.lanes_height_px));
  json.member("boxes", timeline_memory_.boxes);
  json.key("rows").array();
  for (const panels::TimelineRow& row : timeline_memory_.rows) {
    json.object().member("kind", word(row.kind)).member("label", row.label);
    json.member("detail", row.detail).member("task", row.task);
    json.member("y", whole(row.y_px)).member("height", whole(row.height_px));
    json.member("expanded", row.expanded).end_object();
  }
  json.end_array().end_object();

  table(json, "resources", resources_.table);
  json.member("selected_resource", selected_resource_);
  table(json, "workers", workers_);
  table(json, "losses", losses_);
  dump_problems(json);
  if (graph_) dump_graph(json);
  if (inspector_) dump_inspector(json);
  json.end_object();
}

std::string Workspace::dump(const std::vector<TextRun>& runs, float width_px, float height_px,
                            float scale, std::uint64_t frame) const {
  std::string text;
  JsonWriter json(text);
  json.object();
  json.member("frame", frame).member("screen", session_ == nullptr ? "start" : "session");
  json.member("title", title());
  json.member("width", whole(width_px)).member("height", whole(height_px));
  json.member("scale_percent", whole(scale * 100));
  if (session_ == nullptr) {
    dump_start(json);
  } else {
    dump_session(json);
  }
  json.key("text").array();
  for (const TextRun& run : runs) {
    json.object().member("text", run.text);
    json.member("x", whole(run.x)).member("y", whole(run.y));
    json.member("width", whole(run.width)).member("height", whole(run.height));
    json.key("clip").array();
    for (const float edge : {run.clip_x1, run.clip_y1, run.clip_x2, run.clip_y2}) {
      json.value(whole(edge));
    }
    json.end_array().member("window", run.window).end_object();
  }
  json.end_array();
  json.key("text_problems").array();
  for (const std::string& problem : audit_text(runs)) json.value(problem);
  json.end_array().end_object();
  text += '\n';
  return text;
}

}  // namespace taskscope::console::app
