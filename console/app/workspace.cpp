#include "taskscope/console/app/workspace.h"

#include <GLFW/glfw3.h>
#include <imgui.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <tuple>

#include "taskscope/console/analysis/why.h"
#include "taskscope/console/app/editor.h"
#include "taskscope/console/app/window_main.h"
#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"
#include "taskscope/console/panels/theme.h"
#include "taskscope/console/source/open.h"

namespace taskscope::console::app {
namespace {

namespace fs = std::filesystem;
using panels::TimeView;

constexpr std::int64_t kSearchEveryMs = 1'000, kRecentEveryMs = 2'000;
constexpr std::int64_t kFirstViewNs = 2'000'000'000;  // of a live session

bool ready(const auto& future) {
  return future.valid() && future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

/// True, and the time taken down, once `every` has passed since.
bool due(std::int64_t& since_ms, std::int64_t now_ms, std::int64_t every_ms) {
  if (now_ms - since_ms < every_ms) return false;
  since_ms = now_ms;
  return true;
}

/// The same for work whose length follows the session's: it gets no more than a hundredth of the
/// time.
template <class Work>
void when_due(std::int64_t& next_ms, std::int64_t now_ms, std::int64_t every_ms, Work work) {
  if (now_ms < next_ms) return;
  const auto begin = std::chrono::steady_clock::now();
  work();
  const auto took = std::chrono::steady_clock::now() - begin;
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(took * 100).count();
  next_ms = now_ms + std::max<std::int64_t>(every_ms, rest);
}

}  // namespace

Workspace::~Workspace() {
  // What still runs on other threads ends within its own limits.
  if (opening_.valid()) opening_.wait();
  if (searching_.valid()) searching_.wait();
}

// --- opening

void Workspace::search(std::int64_t now_ms) {
  if (ready(searching_)) {
    processes_ = panels::process_entries(searching_.get());
    searched_ = true;
    searched_ms_ = now_ms;
  }
  if (!searching_.valid() && now_ms - searched_ms_ >= kSearchEveryMs) {
    searching_ = std::async(std::launch::async, [] { return source::discover(); });
  }
  if (due(recent_ms_, now_ms, kRecentEveryMs)) check_recent();
}

void Workspace::check_recent() {
  std::vector<panels::RecentFile> files;
  for (const std::string& path : settings_.recent) {
    std::error_code error;
    const std::uintmax_t bytes = fs::file_size(path, error);
    files.push_back({path, !error, error ? 0 : bytes});
  }
  files_ = panels::file_entries(files);
}

void Workspace::open(const std::string& target, bool file_only, std::int64_t now_ms) {
  if (opening_.valid()) return;  // one at a time; the button says so
  now_ms_ = now_ms;
  open_problem_.clear();
  opening_target_ = target;
  opening_ = std::async(std::launch::async, [target, file_only]() -> Opened {
    Opened opened;
    if (const auto resolved = source::resolve(target, file_only);
        resolved && resolved.value().kind == source::TargetKind::File) {
      opened.path = resolved.value().path;
    }
    auto source = source::open_target(target, file_only);
    if (source) {
      opened.session = std::make_unique<session::Session>(std::move(source.value()));
    } else {
      opened.problem = source.failure().sentence;
    }
    return opened;
  });
}

void Workspace::take_opened(std::int64_t now_ms) {
  if (!ready(opening_)) return;
  Opened opened = opening_.get();
  now_ms_ = now_ms;
  if (opened.session == nullptr) {
    open_problem_ = "Cannot open " + opening_target_ + ": " + opened.problem + ".";
    if (session_ != nullptr) say(open_problem_, true);
    return;
  }
  if (!opened.path.empty()) settings_.remember(opened.path);
  adopt(std::move(opened.session));
}

void Workspace::adopt(std::unique_ptr<session::Session> session) {
  reset_session_state();
  session_ = std::move(session);
  session_->after_each_chunk([this](const session::Model& model) { diagnosis_.look(model); });
  // Of one that was pumped already, the end at least.
  if (!session_->model().clock().empty()) diagnosis_.look_now(session_->model());
  following_ = session_->source().live();
}

void Workspace::reset_session_state() {
  session_.reset();
  view_ = {};
  history_ = {};
  following_ = true;
  paused_ = false;
  framed_once_ = false;
  timeline_ = {};
  timeline_memory_ = {};
  wakes_.clear();
  workers_charts_ = {};
  timers_memory_ = panels::TimersMemory();
  order_ = {};
  table_ = {};
  table_memory_ = {};
  selected_ = 0;
  inspector_.reset();
  why_.clear();
  workers_ = losses_ = {};
  resources_ = {};
  resources_memory_ = {};
  selected_resource_ = 0;
  resource_history_ = {};
  diagnosis_ = analysis::Diagnosis(settings_.thresholds);
  looked_at_end_ = false;
  finding_filter_.reset();
  finding_.reset();
  finding_key_ = 0;
  problems_ = {};
  evidence_.reset();
  problems_memory_ = {};
  graph_tasks_.clear();
  graph_resources_.clear();
  graph_.reset();
  graph_memory_ = {};
  // What is wrong comes first, unless a view was asked for.
  if (arrangement_ == Arrangement::Overview && !tab_asked_) tab_ = panels::Tab::Problems;
  message_.clear();
  refresh_all();
}

void Workspace::refresh_all() {
  constexpr std::int64_t kLongAgo = INT64_MIN / 2;
  table_ms_ = inspected_ms_ = history_read_ms_ = top_bar_ms_ = memory_ms_ = kLongAgo;
  resources_ms_ = resource_history_ms_ = kLongAgo;
  tables_ms_ = problems_ms_ = graph_ms_ = stack_asked_ms_ = kLongAgo;
  if (session_ != nullptr) table_.finish(session_->model(), order_);
}

bool Workspace::show_view(const std::string& name) {
  if (!is_view(name)) return false;
  arrangement_ = Arrangement::Overview;
  tab_ = name == "inspector" ? panels::Tab::Tasks : panels::Tab::Problems;
  tab_asked_ = name != "overview";
  if (name == "timeline") arrangement_ = Arrangement::Timeline;
  const std::pair<const char*, panels::Tab> kTabs[] = {{"tasks", panels::Tab::Tasks},
                                                       {"workers", panels::Tab::Workers},
                                                       {"resources", panels::Tab::Resources},
                                                       {"timers", panels::Tab::Timers},
                                                       {"graph", panels::Tab::Graph}};
  for (const auto& [tab_name, tab] : kTabs) {
    if (name != tab_name) continue;
    arrangement_ = Arrangement::Table;
    tab_ = tab;
  }
  return true;
}

// --- time goes on

void Workspace::tick(std::int64_t now_ms, std::int64_t budget_ns) {
  now_ms_ = now_ms;
  take_opened(now_ms);
  if (session_ == nullptr) {
    search(now_ms);
    return;
  }
  tick_session(now_ms, budget_ns);
  refresh_panels(now_ms);
  if (!message_.empty() && !message_is_bad_ && now_ms - message_ms_ > 8'000) message_.clear();
}

void Workspace::tick_session(std::int64_t now_ms, std::int64_t budget_ns) {
  (void)now_ms;
  session_->pump(std::chrono::nanoseconds(budget_ns));
  const session::Model& model = session_->model();
  if (model.clock().empty()) return;
  const bool live = session_->source().live();
  if (!framed_once_) {
    if (live && model.now_ns() > model.begin_ns()) {
      framed_once_ = true;
      view_ = panels::following({0, kFirstViewNs}, model.now_ns());
    } else if (!live) {
      // The whole recording, growing until it is read.
      view_ = panels::framed(model.begin_ns(), model.now_ns());
      framed_once_ = session_->source().state() != source::SourceState::Open;
    }
  }
  if (session_->finished() && !looked_at_end_) {
    looked_at_end_ = true;
    diagnosis_.look_now(model);
  }
  if (model.ended()) following_ = following_ && live && !model.ended();
  if (following_ && !paused_) {
    view_ = panels::following(view_, model.now_ns());
    events_at_stop_ = model.totals().events;
  }
}

void Workspace::refresh_panels(std::int64_t now_ms) {
  session::Model& model = session_->model();
  const bool ended = !session_->live();
  when_due(memory_ms_, now_ms, 2'000, [&] { memory_bytes_ = model.memory().total(); });
  if (due(top_bar_ms_, now_ms, 250)) {
    top_bar_ = panels::top_bar(*session_, {.console_memory_bytes = memory_bytes_});
  }
  // What was asked for is shown at once, paused too.
  if (tab_ == panels::Tab::Resources && !(resources_order_ == resources_memory_.order)) {
    resources_ms_ = INT64_MIN / 2;
    refresh_resources(now_ms);
  }
  // Wakes are read only while somebody looks at them.
  if (timeline_memory_.hovered_task != 0 || selected_ != 0) {
    wakes_.look(*session_, view_.from_ns, view_.to_ns);
  }
  if (paused_ && !ended) return;

  // Rows that one is about to click stand still longer.
  const std::int64_t every = table_hovered_ ? 2'000 : table_.considered() > 50'000 ? 1'000 : 400;
  const bool may_renew = now_ms - table_ms_ >= every;
  if (may_renew) table_ms_ = now_ms;
  table_.update(model, order_, may_renew, 20'000);

  if (due(tables_ms_, now_ms, 400)) {
    if (tab_ == panels::Tab::Workers) workers_ = panels::worker_table(model);
    if (tab_ == panels::Tab::Losses) losses_ = panels::loss_table(model);
  }
  if (tab_ == panels::Tab::Resources) refresh_resources(now_ms);
  when_due(problems_ms_, now_ms, 400, [&] { refresh_problems(); });
  if (graph_in_sight()) when_due(graph_ms_, now_ms, 500, [&] { refresh_graph(); });
  // Who holds what is read by walks over the living: without a walk, what closes now is not seen.
  const auto rest = session::rest_between_walks(model.tasks().live());
  if (session_->live() && due(walked_ms_, now_ms, rest.count())) {
    session_->request_snapshot(false);
  }
  if (selected_ == 0) {
    inspector_.reset();
    return;
  }
  const bool fresh = inspector_ && inspector_->task == selected_;
  if (due(inspected_ms_, now_ms, fresh ? 200 : 0)) {
    panels::InspectorView view = panels::inspect(*session_, selected_);
    if (fresh) panels::keep_history(std::move(*inspector_), view);
    inspector_ = std::move(view);
    when_due(history_read_ms_, now_ms, 1'000, [&] {
      panels::add_history(*session_, *inspector_);
      panels::add_path(*session_, *inspector_, view_.from_ns, view_.to_ns);
    });
    explain();
  }
  // The stack of what one looks at is kept fresh without being asked for.
  if (session_->live() && due(stack_asked_ms_, now_ms, 1'000)) {
    session_->request_snapshot(true, selected_);
  }
}

void Workspace::refresh_resources(std::int64_t now_ms) {
  const session::Model& model = session_->model();
  when_due(resources_ms_, now_ms, table_hovered_ ? 1'000 : 400, [&] {
    resources_order_ = resources_memory_.order;
    resources_ = panels::resources_view(model, resources_order_);
  });
  if (selected_resource_ == 0) return;
  // Reads chunks again: of a view that stands still, only once more when it has grown.
  const bool moved = !(resource_history_view_ == view_) && !following_;
  when_due(resource_history_ms_, now_ms, moved ? 0 : 500, [&] {
    resource_history_view_ = view_;
    resource_history_ = session_->resource_history(selected_resource_, view_.from_ns, view_.to_ns);
    resource_waiters_ =
        panels::grouped_tasks(model, model.waiters_of(selected_resource_),
                              resources_memory_.waiters_by, resources_memory_.waiters_order);
  });
}

// --- what is wrong

void Workspace::refresh_problems() {
  const session::Model& model = session_->model();
  problems_ = panels::problems_view(model, diagnosis_.active(), diagnosis_.past(), finding_filter_);
  if (!finding_) {
    evidence_.reset();
    return;
  }
  if (const analysis::Finding* now = finding_of(finding_key_)) {
    finding_ = *now;
  } else if (finding_->active()) {
    // It ended since: it is the newest of its kind and place in the past.
    for (const analysis::Finding& over : diagnosis_.past()) {
      analysis::Finding then = over;
      then.until_ns = 0;
      if (panels::finding_key(then) != finding_key_ || over.until_ns < finding_->since_ns) continue;
      finding_ = over;
      finding_key_ = panels::finding_key(over);
      break;
    }
  }
  evidence_ = panels::evidence_view(model, *finding_);
  evidence_->key = finding_key_;
}

const analysis::Finding* Workspace::finding_of(std::uint64_t key) const {
  for (const analysis::Findings* list : {&diagnosis_.active(), &diagnosis_.past()}) {
    for (const analysis::Finding& finding : *list) {
      if (panels::finding_key(finding) == key) return &finding;
    }
  }
  return nullptr;
}

void Workspace::select_finding(const analysis::Finding* finding) {
  timeline_.lit_tasks.clear();
  finding_.reset();
  finding_key_ = 0;
  if (finding != nullptr) {
    finding_ = *finding;
    finding_key_ = panels::finding_key(*finding);
    timeline_.lit_tasks = finding->tasks;
    timeline_.lit_tasks.insert(timeline_.lit_tasks.end(), finding->others.begin(),
                               finding->others.end());
    if (panels::evidence_of(finding->kind) == panels::Evidence::Graph) {
      // All of a cycle; of many that wait, the first few and what they wait for.
      const std::size_t most = finding->kind == analysis::FindingKind::Deadlock ? 40 : 6;
      std::vector<std::uint64_t> tasks = finding->tasks, resources = finding->resources;
      if (tasks.size() > most) tasks.resize(most);
      if (resources.size() > most) resources.resize(most);
      show_graph(std::move(tasks), std::move(resources));
    }
  }
  refresh_problems();
}

// --- who waits for whom

bool Workspace::graph_in_sight() const {
  if (arrangement_ == Arrangement::Timeline) return false;
  if (tab_ == panels::Tab::Graph) return true;
  return tab_ == panels::Tab::Problems && evidence_ &&
         evidence_->evidence == panels::Evidence::Graph;
}

void Workspace::show_graph(std::vector<std::uint64_t> tasks, std::vector<std::uint64_t> resources) {
  graph_tasks_ = std::move(tasks);
  graph_resources_ = std::move(resources);
  ++graph_key_;
  refresh_graph();
}

bool Workspace::has_deadlock(const analysis::Graph& graph) const {
  const auto draws_it = [&](const analysis::Finding& finding) {
    return finding.kind == analysis::FindingKind::Deadlock &&
           std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const auto& node) {
             return node.kind == analysis::NodeKind::Task &&
                    std::find(finding.tasks.begin(), finding.tasks.end(), node.id) !=
                        finding.tasks.end();
           });
  };
  const analysis::Findings& active = diagnosis_.active();
  return (finding_ && draws_it(*finding_)) || std::any_of(active.begin(), active.end(), draws_it);
}

void Workspace::refresh_graph() {
  if (graph_tasks_.empty() && graph_resources_.empty()) {
    graph_.reset();
    return;
  }
  const session::Model& model = session_->model();
  analysis::Graph graph = analysis::graph_around(model, {graph_tasks_, graph_resources_});
  // A sender that waits for room in the channel that it sent to last is a circle, too, and healthy:
  // marked are those that were found to be deadlocks.
  if (!has_deadlock(graph)) {
    for (analysis::GraphNode& node : graph.nodes) node.on_cycle = false;
    for (analysis::GraphEdge& edge : graph.edges) edge.on_cycle = false;
  }
  const ImVec2 pane = graph_memory_.size;
  graph_ = panels::graph_view_within(
      model, graph, {.scale = panels::theme().scale, .text_width = panels::graph_text_width},
      pane.x, pane.y);
}

panels::GraphInput Workspace::graph_input() const {
  return {.view = graph_ ? &*graph_ : nullptr, .selected_task = selected_, .key = graph_key_};
}

bool Workspace::select_worst() {
  if (session_ == nullptr || finding_) return false;
  const analysis::Findings& from =
      diagnosis_.active().empty() ? diagnosis_.past() : diagnosis_.active();
  if (from.empty()) return false;
  do_action(panels::action::SelectFinding{panels::finding_key(from.front())});
  return true;
}

void Workspace::explain() {
  why_.clear();
  const session::Task* task = session_->model().tasks().find(selected_);
  if (task == nullptr) return;
  why_ = analysis::why_not_running(session_->model(), *task, diagnosis_.active()).text;
  why_ = panels::short_places(std::move(why_));
  if (why_.empty()) return;
  if (why_.front() >= 'a' && why_.front() <= 'z') {
    why_.front() = static_cast<char>(why_.front() - 'a' + 'A');
  }
  if (why_.back() != '.') why_ += '.';
}

bool Workspace::lively() const {
  if (opening_.valid() || session_ == nullptr) return true;
  return session_->live() || session_->source().state() == source::SourceState::Open;
}

std::string Workspace::title() const {
  if (session_ == nullptr) return "taskscope";
  return (top_bar_.title.empty() ? session_->source().title() : top_bar_.title) + " – taskscope";
}

// --- keys

void Workspace::handle_keys(const std::vector<InputEvent>& events) {
  const ImGuiIO& io = ImGui::GetIO();
  namespace action = panels::action;
  for (const InputEvent& event : events) {
    if (event.kind != InputKind::KeyDown && event.kind != InputKind::KeyRepeat) continue;
    const bool control = (event.modifiers & GLFW_MOD_CONTROL) != 0;
    const bool alt = (event.modifiers & GLFW_MOD_ALT) != 0;
    if (control && event.code == GLFW_KEY_Q) actions_.push_back(action::Quit{});
    if (session_ == nullptr) continue;
    if (control && event.code == GLFW_KEY_F) focus_filter_ = true;
    if (io.WantTextInput) continue;
    const auto zoom = [&](double factor) {
      const std::int64_t about = following_ ? view_.to_ns : view_.from_ns + view_.length() / 2;
      actions_.push_back(action::MoveView{panels::zoomed(view_, factor, about), following_});
    };
    const auto pan = [&](double share) {
      actions_.push_back(action::MoveView{panels::panned(view_, share)});
    };
    if (control) continue;
    switch (event.code) {
      case GLFW_KEY_W:
        zoom(0.7);
        break;
      case GLFW_KEY_S:
        zoom(1 / 0.7);
        break;
      case GLFW_KEY_A:
        pan(-0.15);
        break;
      case GLFW_KEY_D:
        pan(0.15);
        break;
      case GLFW_KEY_LEFT:
        if (alt) {
          actions_.push_back(action::Back{});
        } else {
          pan(-0.15);
        }
        break;
      case GLFW_KEY_RIGHT:
        if (alt) {
          actions_.push_back(action::Forward{});
        } else {
          pan(0.15);
        }
        break;
      case GLFW_KEY_UP:
        step_selection(-1);
        break;
      case GLFW_KEY_DOWN:
        step_selection(1);
        break;
      case GLFW_KEY_F:
        frame_selection();
        break;
      case GLFW_KEY_HOME:
        actions_.push_back(action::Frame{session_->model().begin_ns(), session_->model().now_ns()});
        break;
      case GLFW_KEY_END:
        actions_.push_back(action::Follow{true});
        break;
      case GLFW_KEY_BACKSPACE:
        actions_.push_back(action::Back{});
        break;
      case GLFW_KEY_SPACE:
        if (paused_ || !following_) {
          actions_.push_back(action::Follow{true});
        } else {
          actions_.push_back(action::Pause{true});
        }
        break;
      case GLFW_KEY_R:
        if (!session_->source().live()) break;
        if (top_bar_.recording) {
          actions_.push_back(action::StopRecording{});
        } else {
          actions_.push_back(action::StartRecording{recording_path()});
        }
        break;
      case GLFW_KEY_SLASH:
        focus_filter_ = true;
        break;
      case GLFW_KEY_G:
        actions_.push_back(action::ShowGraph{});
        break;
      case GLFW_KEY_LEFT_BRACKET:
        actions_.push_back(action::StepFinding{-1});
        break;
      case GLFW_KEY_RIGHT_BRACKET:
        actions_.push_back(action::StepFinding{1});
        break;
      case GLFW_KEY_ESCAPE:
        if (ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopup)) break;  // it closes that
        actions_.push_back(action::SelectFinding{0});
        actions_.push_back(action::SelectTask{0});
        break;
      default:
        break;
    }
  }
}

void Workspace::step_selection(int by) {
  const auto& rows = table_.rows();
  if (rows.empty()) return;
  const auto at =
      std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.id == selected_; });
  std::ptrdiff_t next = at == rows.end() ? 0 : at - rows.begin() + by;
  next = std::clamp<std::ptrdiff_t>(next, 0, static_cast<std::ptrdiff_t>(rows.size()) - 1);
  actions_.push_back(panels::action::SelectTask{rows[static_cast<std::size_t>(next)].id});
  scroll_to_selected_ = true;
}

void Workspace::frame_selection() {
  const session::Model& model = session_->model();
  if (const session::Task* task = model.tasks().find(selected_)) {
    const std::int64_t from = task->spawned == 0
                                  ? model.begin_ns()
                                  : std::max(model.clock().ns(task->spawned), model.begin_ns());
    const std::int64_t to = task->alive() ? model.now_ns() : model.clock().ns(task->finished);
    actions_.push_back(panels::action::Frame{from, to});
  } else {
    actions_.push_back(panels::action::Frame{model.begin_ns(), model.now_ns()});
  }
}

// --- actions

void Workspace::apply(std::int64_t now_ms) {
  now_ms_ = now_ms;
  panels::Actions asked;
  asked.swap(actions_);
  for (const panels::Action& action : asked) {
    // What was asked of a session that an earlier action closed is void.
    const bool without_session = std::holds_alternative<panels::action::Open>(action) ||
                                 std::holds_alternative<panels::action::Quit>(action);
    if (session_ == nullptr && !without_session) continue;
    std::visit([this](const auto& is) { do_action(is); }, action);
  }
}

void Workspace::say(std::string message, bool bad) {
  message_ = std::move(message);
  message_is_bad_ = bad;
  message_ms_ = now_ms_;
}

void Workspace::move_view(const TimeView& view, bool keeps_following) {
  const session::Model& model = session_->model();
  history_.about_to_move(view_, now_ms_);
  view_ = panels::clamped(view, model.begin_ns(), model.now_ns());
  if (!keeps_following) following_ = false;
}

void Workspace::select_task(std::uint64_t task) {
  if (selected_ == task) return;
  selected_ = task;
  timeline_.selected_task = task;
  inspector_.reset();
  why_.clear();
  inspected_ms_ = history_read_ms_ = stack_asked_ms_ = INT64_MIN / 2;
  // Shown at once, paused too.
  if (task != 0) {
    inspector_ = panels::inspect(*session_, task);
    panels::add_history(*session_, *inspector_);
    panels::add_path(*session_, *inspector_, view_.from_ns, view_.to_ns);
    explain();
  }
}

void Workspace::select_busiest() {
  if (session_ == nullptr || selected_ != 0) return;
  const session::Model& model = session_->model();
  const session::Task* busiest = nullptr;
  for (std::uint32_t slot = 0; slot < model.tasks().slots(); ++slot) {
    const session::Task* task = model.tasks().at(slot);
    if (task == nullptr || !task->alive()) continue;
    if (busiest == nullptr || task->busy > busiest->busy) busiest = task;
  }
  if (busiest == nullptr && model.tasks().slots() > 0) {
    for (std::uint32_t slot = 0; slot < model.tasks().slots(); ++slot) {
      const session::Task* task = model.tasks().at(slot);
      if (task != nullptr && (busiest == nullptr || task->busy > busiest->busy)) busiest = task;
    }
  }
  if (busiest == nullptr) return;
  select_task(busiest->id);
  if (busiest->call_group != session::kNone) {
    timeline_.expanded.insert(panels::group_key(busiest->call_group));
  }
}

void Workspace::select_contended() {
  if (session_ == nullptr || selected_resource_ != 0) return;
  const session::Resource* most = nullptr;
  const auto rank = [](const session::Resource& is) {
    return std::tuple(!is.holders.empty() && is.waiters > 0, is.waiters, is.waits_ever);
  };
  for (const auto& [id, resource] : session_->model().resources()) {
    if (resource.dropped != 0) continue;
    if (most == nullptr || rank(resource) > rank(*most) ||
        (rank(resource) == rank(*most) && id < most->id)) {
      most = &resource;
    }
  }
  if (most != nullptr) do_action(panels::action::SelectResource{most->id});
}

std::string Workspace::recording_path() const {
  std::string name = "taskscope";
  std::uint64_t pid = 0;
  if (const auto& process = session_->model().process()) {
    name = process->name;
    pid = process->pid;
  }
  std::replace(name.begin(), name.end(), '/', '_');
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char stamp[32] = {};
  std::strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &local);
  std::error_code error;
  const fs::path here = fs::current_path(error);
  return (here / (name + "-" + std::to_string(pid) + "-" + stamp + ".tscope")).string();
}

void Workspace::do_action(const panels::action::Open& asked) {
  open(asked.target, asked.file_only, now_ms_);
}
void Workspace::do_action(const panels::action::CloseSession&) {
  if (!session_->source().stats().recording.empty()) session_->stop_recording();
  reset_session_state();
  searched_ms_ = recent_ms_ = INT64_MIN / 2;
}
void Workspace::do_action(const panels::action::Quit&) { quit_ = true; }
void Workspace::do_action(const panels::action::MoveView& asked) {
  move_view(asked.view, asked.keeps_following);
}
void Workspace::do_action(const panels::action::Follow& asked) {
  if (!session_->live() || !asked.on) {
    following_ = false;
    return;
  }
  if (!following_) history_.about_to_move(view_, now_ms_);
  following_ = true;
  paused_ = false;
  view_ = panels::following(view_, session_->model().now_ns());
}
void Workspace::do_action(const panels::action::Pause& asked) {
  paused_ = asked.on && session_->live();
  if (paused_) {
    following_ = false;
    events_at_stop_ = session_->model().totals().events;
  }
}
void Workspace::do_action(const panels::action::Back&) {
  if (!history_.can_go_back()) return;
  view_ = history_.back(view_);
  following_ = false;
}
void Workspace::do_action(const panels::action::Forward&) {
  if (!history_.can_go_forward()) return;
  view_ = history_.forward(view_);
  following_ = false;
}
void Workspace::do_action(const panels::action::Frame& asked) {
  move_view(panels::framed(asked.from_ns, asked.to_ns), false);
}
void Workspace::do_action(const panels::action::SelectTask& asked) {
  select_task(asked.task);
  // The graph stays while one walks about in it, and goes along when one leaves it.
  const bool drawn = graph_ && std::any_of(graph_->boxes.begin(), graph_->boxes.end(),
                                           [&](const auto& box) { return box.task == asked.task; });
  if (tab_ == panels::Tab::Graph && asked.task != 0 && !drawn) show_graph({asked.task}, {});
  if (asked.frame) frame_selection();
}
void Workspace::do_action(const panels::action::SelectResource& asked) {
  tab_ = panels::Tab::Resources;
  selected_resource_ = asked.resource;
  resources_ms_ = resource_history_ms_ = INT64_MIN / 2;
  if (asked.resource != 0) refresh_resources(now_ms_);
}
void Workspace::do_action(const panels::action::ToggleGroup& asked) {
  const std::uint64_t key = panels::group_key(asked.group);
  if (timeline_.expanded.erase(key) == 0) timeline_.expanded.insert(key);
}
void Workspace::do_action(const panels::action::ShowTab& asked) {
  tab_ = asked.tab;
  tables_ms_ = problems_ms_ = resources_ms_ = resource_history_ms_ = INT64_MIN / 2;
  if (tab_ == panels::Tab::Graph && selected_ != 0 && finding_key_ == 0) {
    do_action(panels::action::ShowGraph{});
  }
}
void Workspace::do_action(const panels::action::SortTasks& asked) {
  order_.column = asked.column;
  order_.descending = asked.descending;
  table_.update(session_->model(), order_, true);
}
void Workspace::do_action(const panels::action::FilterTasks& asked) {
  order_.filter = asked.text;
  tab_ = panels::Tab::Tasks;
  table_.update(session_->model(), order_, true);
}
void Workspace::do_action(const panels::action::ShowTasks& asked) {
  order_.shown = asked.which;
  table_.update(session_->model(), order_, true);
}
void Workspace::do_action(const panels::action::TakeStacks& asked) {
  session_->request_snapshot(true, asked.task);
}
void Workspace::do_action(const panels::action::StartRecording& asked) {
  const auto started = session_->start_recording(asked.path);
  if (started) {
    settings_.remember(asked.path);
    // Of a session that is over there is nothing more to come.
    const bool whole = !session_->live() && session_->stop_recording();
    say((whole ? "Saved as " : "Recording to ") + asked.path, false);
  } else {
    say("Cannot record: " + started.failure().sentence + ".", true);
  }
  top_bar_ms_ = INT64_MIN / 2;
}
void Workspace::do_action(const panels::action::StopRecording&) {
  const std::string path = session_->source().stats().recording;
  if (session_->stop_recording()) {
    say("Recorded to " + path, false);
    settings_.remember(path);
  }
  top_bar_ms_ = INT64_MIN / 2;
}
void Workspace::do_action(const panels::action::CopyText& asked) {
  ImGui::SetClipboardText(asked.text.c_str());
  say("Copied: " + asked.text, false);
}
void Workspace::do_action(const panels::action::OpenPlace& asked) {
  const std::string problem = open_in_editor(asked.path);
  say(problem.empty() ? "Opened " + asked.path : problem, !problem.empty());
}
void Workspace::do_action(const panels::action::Dismiss&) { message_.clear(); }
void Workspace::do_action(const panels::action::SelectFinding& asked) {
  const analysis::Finding* finding = finding_of(asked.key);
  select_finding(finding);
  if (finding == nullptr) return;
  if (arrangement_ == Arrangement::Overview) tab_ = panels::Tab::Problems;
  if (!finding_->tasks.empty()) select_task(finding_->tasks.front());
  do_action(panels::action::Frame{evidence_->from_ns, evidence_->to_ns});
}
void Workspace::do_action(const panels::action::StepFinding& asked) {
  refresh_problems();
  const auto& rows = problems_.rows;
  if (rows.empty()) return;
  const auto at = std::find_if(rows.begin(), rows.end(), [&](const panels::ProblemRow& row) {
    return row.key == finding_key_;
  });
  const auto count = static_cast<std::ptrdiff_t>(rows.size());
  std::ptrdiff_t next = asked.by > 0 ? 0 : count - 1;
  if (at != rows.end()) next = (at - rows.begin() + asked.by + count) % count;
  do_action(panels::action::SelectFinding{rows[static_cast<std::size_t>(next)].key});
  problems_memory_.scroll_to_selected = true;
}
void Workspace::do_action(const panels::action::FilterFindings& asked) {
  finding_filter_ = asked.kind;
  refresh_problems();
}
void Workspace::do_action(const panels::action::SetThresholds& asked) {
  settings_.thresholds = asked.thresholds;
  diagnosis_.set_thresholds(asked.thresholds);
  if (!session_->model().clock().empty()) diagnosis_.look_now(session_->model());
  refresh_problems();
}
void Workspace::do_action(const panels::action::ShowGraph& asked) {
  if (arrangement_ != Arrangement::Timeline) tab_ = panels::Tab::Graph;
  std::vector<std::uint64_t> tasks, resources;
  if (asked.task != 0) tasks = {asked.task};
  if (asked.resource != 0) resources = {asked.resource};
  if (tasks.empty() && resources.empty() && selected_ != 0) tasks = {selected_};
  show_graph(std::move(tasks), std::move(resources));
}

}  // namespace taskscope::console::app
