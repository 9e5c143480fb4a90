#include "taskscope/console/panels/inspector_layout.h"

#include <algorithm>
#include <cstdio>

#include "taskscope/console/analysis/wait_graph.h"
#include "taskscope/console/analysis/words.h"
#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

using protocol::EventKind;

constexpr std::size_t kEvents = 60, kEventsRead = 400, kChildren = 12, kChunks = 24;
constexpr int kDeepest = 24;  // of the tree's branches; what lies deeper is not indented more

std::string path_of(const session::Model& model, std::uint32_t site) {
  const protocol::Site* known = model.site(site);
  return known == nullptr ? std::string() : known->file + ":" + std::to_string(known->line);
}

void add_branch(const session::Model& model, const std::vector<session::Wait>& branches,
                std::size_t index, int depth, std::vector<bool>& seen,
                std::vector<StackLine>& lines) {
  if (seen[index]) return;  // a target that lies about parents makes no endless tree
  seen[index] = true;
  const session::Wait& branch = branches[index];
  for (const std::uint32_t site : branch.frames) {
    const std::string function = site_function(model, site);
    lines.push_back({.kind = StackLineKind::Frame,
                     .depth = std::min(depth, kDeepest),
                     .text = function.empty() ? "unknown function" : function,
                     .place = site_place(model, site),
                     .path = path_of(model, site)});
  }
  if (branch.cut) {
    lines.push_back({.kind = StackLineKind::Frame,
                     .depth = std::min(depth, kDeepest),
                     .text = "… deeper than was read",
                     .place = {},
                     .path = {}});
  }
  const bool has_arms = branch.mode != protocol::BranchMode::Single;
  const bool frame_says_place = !branch.frames.empty() && branch.frames.back() == branch.site;
  const bool on_task = branch.resource_kind == protocol::ResourceKind::Join ||
                       branch.resource_kind == protocol::ResourceKind::Blocking;
  lines.push_back({.kind = has_arms ? StackLineKind::Branch : StackLineKind::Wait,
                   .depth = std::min(depth + 1, kDeepest),
                   .text = wait_text(branch),
                   .place = frame_says_place || branch.site == 0 ? std::string()
                                                                 : site_place(model, branch.site),
                   .path = path_of(model, branch.site),
                   .task = on_task ? branch.other : 0,
                   .resource = on_task || has_arms ? 0 : branch.other});
  if (!has_arms) return;
  for (std::size_t arm = 0; arm < branches.size(); ++arm) {
    if (arm == index || branches[arm].parent != branch.branch) continue;
    if (branches[arm].branch == branches[arm].parent) continue;
    add_branch(model, branches, arm, depth + 2, seen, lines);
  }
}

std::string resource_text(const session::Model& model, std::uint64_t id) {
  const session::Resource* resource = model.resource(id);
  return analysis::resource_words(
      model, id, resource == nullptr ? protocol::ResourceKind::Other : resource->kind);
}

std::string poll_end_text(std::uint8_t detail) {
  switch (static_cast<protocol::PollEnd>(detail)) {
    case protocol::PollEnd::Ready:
      return "finished";
    case protocol::PollEnd::Pending:
      return "pending";
    case protocol::PollEnd::Yielded:
      return "yielded";
    case protocol::PollEnd::OutOfBudget:
      return "out of budget";
  }
  return "ended";
}

}  // namespace

TaskLink task_link(const session::Model& model, std::uint64_t id) {
  const session::Task* task = model.tasks().find(id);
  if (task == nullptr) {
    return {.task = 0, .label = "task " + std::to_string(id), .detail = "not kept"};
  }
  const StateText state = state_text(model, *task);
  return {.task = id,
          .label = task_title(model, *task),
          .detail = std::to_string(id) + " · " + state.text,
          .colour = state.colour};
}

ResourceLink resource_link(const session::Model& model, std::uint64_t id) {
  ResourceLink link{.resource = id, .label = resource_text(model, id), .detail = {}};
  if (const session::Resource* resource = model.resource(id)) {
    link.detail = count_text(resource->waiters) + " waiting";
    if (resource->site != 0) link.detail += " · " + site_place(model, resource->site);
  }
  return link;
}

namespace {

std::vector<WaitLine> wait_lines(const session::Model& model, const session::Task& task) {
  constexpr std::size_t kWaits = 16, kHolders = 8;
  std::vector<WaitLine> lines;
  analysis::Supply supply;
  for (const session::Wait& wait : task.waits) {
    if (analysis::is_inner(wait)) continue;
    if (lines.size() == kWaits) break;
    WaitLine line{.text = analysis::wait_words(model, wait),
                  .resource = {},
                  .holders = {},
                  .holders_label = {}};
    const bool on_task = wait.resource_kind == protocol::ResourceKind::Join ||
                         wait.resource_kind == protocol::ResourceKind::Blocking;
    if (!on_task && wait.other != 0) line.resource = resource_link(model, wait.other);
    analysis::supply_of(model, task, wait, supply);
    bool certain = !supply.givers.empty();
    for (const analysis::Giver& giver : supply.givers) {
      if (line.holders.size() == kHolders) break;
      certain = certain && giver.certain;
      line.holders.push_back(task_link(model, giver.task));
    }
    const auto one = [&](bool is) { return line.holders.size() == 1 && is; };
    if (one(wait.op == protocol::WaitOp::Join)) {
      line.holders_label = "finishes with";
    } else if (!line.holders.empty()) {
      line.holders_label = certain ? "held by" : "last used by";
    } else if (supply.supplier == analysis::Supplier::Nobody) {
      line.holders_label = "nobody is left who could wake it";
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

void add_native(const session::Model& model, const session::Task& task, InspectorView& view) {
  const session::NativeStack* stack = model.native_stack(task.id);
  if (stack == nullptr) return;
  const bool runs = task.state == protocol::TaskState::Running && task.alive() &&
                    task.last_poll_from <= stack->ticks;
  view.native_note =
      (stack->in_kernel ? "in " +
                              (stack->system_call.empty() ? std::string("the kernel")
                                                          : stack->system_call + "()") +
                              ", "
                        : std::string()) +
      (runs ? "as it blocks now"
            : duration_text(
                  model.clock().duration_ns(model.now() - std::min(model.now(), stack->ticks))) +
                  " ago");
  view.native_problem = stack->problem;
  for (const session::NativeFrame& frame : stack->frames) {
    NativeLine line;
    line.dim = frame.function.empty() || frame.guessed;
    if (frame.function.empty()) {
      char number[32];
      std::snprintf(
          number, sizeof number, "0x%llx",
          static_cast<unsigned long long>(frame.module.empty() ? frame.address : frame.offset));
      line.function = number;
      line.place = std::string(file_name(frame.module));
      line.path = frame.module.empty() ? line.function : frame.module + "+" + number;
      if (!frame.build_id.empty()) line.path += "  build-id " + frame.build_id;
    } else {
      line.function = short_function(frame.function);
      line.place = frame.file.empty() ? std::string(file_name(frame.module))
                                      : place_text(frame.file, frame.line);
      line.path =
          frame.file.empty() ? frame.function : frame.file + ":" + std::to_string(frame.line);
    }
    if (frame.guessed) line.function += " (perhaps)";
    view.native.push_back(std::move(line));
  }
  if (stack->cut) {
    view.native.push_back(
        {.function = "… callers are missing", .place = {}, .path = {}, .dim = true});
  }
}

/// Counts the event under its cause; the most frequent first is left to the caller.
void count_wake(std::vector<WakeLine>& lines, const session::Model& model, std::uint64_t task,
                const std::string& text) {
  for (WakeLine& line : lines) {
    if (line.link.task != task || line.text != text) continue;
    ++line.count;
    return;
  }
  WakeLine line{.link = {}, .text = text, .count = 1};
  if (task != 0) line.link = task_link(model, task);
  lines.push_back(std::move(line));
}

void most_first(std::vector<WakeLine>& lines) {
  constexpr std::size_t kLines = 8;
  std::sort(lines.begin(), lines.end(), [](const WakeLine& a, const WakeLine& b) {
    if (a.count != b.count) return a.count > b.count;
    return a.link.task != b.link.task ? a.link.task < b.link.task : a.text < b.text;
  });
  if (lines.size() > kLines) lines.resize(kLines);
}

}  // namespace

std::vector<StackLine> stack_lines(const session::Model& model,
                                   const std::vector<session::Wait>& branches) {
  std::vector<StackLine> lines;
  std::vector<bool> seen(branches.size(), false);
  // Roots first; then whatever hangs on a branch that was not told.
  for (std::size_t i = 0; i < branches.size(); ++i) {
    if (branches[i].branch == branches[i].parent) add_branch(model, branches, i, 0, seen, lines);
  }
  for (std::size_t i = 0; i < branches.size(); ++i) {
    if (!seen[i]) add_branch(model, branches, i, 0, seen, lines);
  }
  return lines;
}

HistogramView histogram_view(const session::LogHistogram& histogram, const session::Clock& clock) {
  HistogramView view;
  view.total = histogram.total();
  if (view.total == 0) return view;
  int first = session::LogHistogram::kBuckets, last = 0;
  for (int i = 0; i < session::LogHistogram::kBuckets; ++i) {
    if (histogram.count(i) == 0) continue;
    first = std::min(first, i);
    last = std::max(last, i);
  }
  // A little air beside, so that one bucket is a bar and not a block.
  first = std::max(0, first - 2);
  last = std::min(session::LogHistogram::kBuckets - 1, last + 2);
  for (int i = first; i <= last; ++i) {
    const std::uint64_t count = histogram.count(i);
    view.highest = std::max(view.highest, count);
    view.bars.push_back({clock.duration_ns(session::LogHistogram::from_ticks(i)),
                         clock.duration_ns(session::LogHistogram::to_ticks(i)), count});
  }
  view.p50_ns = clock.duration_ns(histogram.quantile_ticks(0.5));
  view.p99_ns = clock.duration_ns(histogram.quantile_ticks(0.99));
  view.max_ns = clock.duration_ns(histogram.quantile_ticks(1));
  return view;
}

EventLine event_line(const session::Model& model, const session::NamedEvent& named,
                     std::uint64_t about) {
  const protocol::Event& event = named.event;
  EventLine line;
  line.at_ns = model.clock().ns(event.ticks);
  const std::string where =
      named.lane < model.lanes().size() ? lane_name(*model.lanes()[named.lane]) : std::string();
  switch (event.kind) {
    case EventKind::TaskSpawned:
      line.text = "spawned";
      line.detail = event.other != 0 ? "by task " + std::to_string(event.other) : where;
      line.task = event.other;
      line.colour = colour::kAccent;
      break;
    case EventKind::TaskFinished:
      line.text = name_of(static_cast<protocol::Outcome>(event.detail));
      line.detail = named.text;
      line.colour = static_cast<protocol::Outcome>(event.detail) == protocol::Outcome::Exception
                        ? colour::kTrouble
                        : colour::kDone;
      break;
    case EventKind::PollStarted:
      line.text = "poll starts";
      line.detail = where;
      line.colour = colour::kPolling;
      break;
    case EventKind::PollEnded:
      line.text = "poll ends";
      line.detail = poll_end_text(event.detail);
      line.colour = colour::kPolling;
      break;
    case EventKind::Wait: {
      const session::WaitKind kind{
          protocol::PollEnd::Pending, static_cast<protocol::WaitOp>(event.detail),
          static_cast<protocol::ResourceKind>(event.resource_kind), event.site};
      line.text = "waits";
      line.detail = wait_text(kind);
      if (event.site != 0) line.detail += "  " + site_place(model, event.site);
      line.colour = colour_of(wait_class(kind));
      break;
    }
    case EventKind::WaitCancelled:
      line.text = "wait cancelled";
      line.detail = "branch " + std::to_string(event.branch);
      break;
    case EventKind::Woken: {
      const bool woke_other = event.task != about;
      line.text = woke_other ? "wakes" : "woken";
      line.colour = colour::kScheduled;
      switch (static_cast<protocol::WakeCause>(event.detail)) {
        case protocol::WakeCause::Task:
          line.task = woke_other ? event.task : event.other;
          line.detail = line.task == about ? "by itself"
                        : woke_other       ? "task " + std::to_string(line.task)
                                           : "by task " + std::to_string(line.task);
          break;
        case protocol::WakeCause::Timer:
          line.detail = "by a timer";
          break;
        case protocol::WakeCause::Io:
          line.detail = "by I/O, fd " + std::to_string(event.value);
          break;
        case protocol::WakeCause::Thread:
          line.detail = "by another thread";
          break;
        case protocol::WakeCause::Blocking:
          line.detail = "by a blocking call";
          break;
        case protocol::WakeCause::Abort:
          line.detail = "by abort";
          break;
      }
      break;
    }
    case EventKind::ResourceAcquired:
      line.text = "acquires";
      line.detail = resource_text(model, event.other);
      line.colour = colour::kWaitLock;
      break;
    case EventKind::ResourceReleased:
      line.text = "releases";
      line.detail = resource_text(model, event.other);
      line.colour = colour::kWaitLock;
      break;
    case EventKind::SpanEntered:
      line.text = "span";
      line.detail = named.text;
      break;
    case EventKind::SpanExited:
      line.text = "span ends";
      break;
    default:
      line.text = "event";
      break;
  }
  return line;
}

InspectorView inspect(const session::Session& session, std::uint64_t id) {
  InspectorView view;
  view.task = id;
  const session::Model& model = session.model();
  const session::Task* found = model.tasks().find(id);
  if (found == nullptr) {
    view.title = "task " + std::to_string(id);
    view.subtitle = "no longer kept";
    return view;
  }
  const session::Task& task = *found;
  const session::Clock& clock = model.clock();
  view.known = true;
  view.title = task_title(model, task);
  view.path = path_of(model, task.site);
  const std::string function = site_function(model, task.site);
  view.subtitle = site_place(model, task.site);
  if (!function.empty()) view.subtitle += "  in " + function;
  view.subtitle.insert(0, "spawned at ");
  const StateText state = state_text(model, task);
  view.state = state.text;
  view.state_colour = state.colour;
  view.site = task.call_group == session::kNone ? colour::kDone : site_colour(task.call_group);

  if (task.placeholder) view.warnings.push_back("Nothing defines this task: its spawn was lost.");
  if (task.spawned_about) {
    view.notes.push_back("Spawned before the attach: times count from the attach on.");
  }
  if (task.counts_incomplete)
    view.warnings.push_back("Records of it were lost: counts are too low.");
  if (!task.error().empty()) view.warnings.push_back("Error: " + std::string(task.error()));

  const std::uint64_t now = model.now();
  const auto time = [&](std::uint64_t ticks) { return duration_text(clock.duration_ns(ticks)); };
  const double total = static_cast<double>(std::max<std::uint64_t>(task.total(now), 1));
  const auto share = [&](std::uint64_t ticks) {
    return percent_text(static_cast<double>(ticks) / total) + " of its life";
  };
  view.facts = {
      {"ID", std::to_string(task.id)},
      {"Kind", std::string(name_of(task.kind))},
      {"Total", (task.spawned_about ? "~" : "") + time(task.total(now))},
      {"Polls", count_text(task.polls)},
      {"Busy", time(task.busy_until(now)), share(task.busy_until(now))},
      {"Wakes", count_text(task.wakes)},
      {"Scheduled", time(task.scheduled_until(now)), share(task.scheduled_until(now))},
      {"Self-wakes", count_text(task.self_wakes)},
      {"Idle", time(task.idle(now)), share(task.idle(now))},
      {"Frame", bytes_text(static_cast<double>(task.frame_bytes)), "size of its one allocation"},
      {"Longest poll", time(task.max_poll)},
      {"Wakers", count_text(task.wakers), "owned waker clones alive, as the last walk found them"},
  };
  for (const std::string& field : task.fields()) {
    const std::size_t equals = field.find('=');
    if (equals == std::string::npos) {
      view.fields.push_back({field, ""});
    } else {
      view.fields.push_back({field.substr(0, equals), field.substr(equals + 1)});
    }
  }

  // A stack that was read in this very wait says most; else what the last poll's end said.
  const session::Stack* stack = model.stack(id);
  const bool fresh = stack != nullptr && task.alive() && stack->ticks >= task.last_poll_to &&
                     task.state == protocol::TaskState::Idle;
  if (fresh) {
    view.stack = stack_lines(model, stack->branches);
    view.stack_note = "as it waits now";
  } else if (!task.waits.empty() && task.alive()) {
    view.stack = stack_lines(model, task.waits);
    view.stack_note = "the wait alone";
  } else if (stack != nullptr) {
    view.stack = stack_lines(model, stack->branches);
    view.stack_note =
        "as it was " + duration_text(clock.duration_ns(now - std::min(now, stack->ticks))) + " ago";
  } else if (!task.alive()) {
    view.stack_note = "finished tasks have none";
  } else if (task.state == protocol::TaskState::Idle) {
    view.stack_note = "not known yet";
  } else {
    view.stack_note = "none while it is " + state.text;
  }
  view.can_take_stack = session.live() && task.alive();

  if (const session::TaskHistograms* histograms = model.tasks().histograms(task)) {
    view.polls = histogram_view(histograms->polls, clock);
    view.scheduled = histogram_view(histograms->scheduled, clock);
  }
  if (task.alive() && task.state == protocol::TaskState::Idle) view.waits = wait_lines(model, task);
  add_native(model, task, view);
  if (task.parent != 0) view.parents.push_back(task_link(model, task.parent));

  view.from_ns = task.spawned != 0 ? clock.ns(task.spawned) : model.begin_ns();
  view.from_ns = std::max(view.from_ns, model.begin_ns());
  view.to_ns = task.alive() ? model.now_ns() : clock.ns(task.finished);
  return view;
}

void add_history(session::Session& session, InspectorView& view) {
  const session::Model& model = session.model();
  view.events.clear();
  view.woken_by.clear();
  view.wakes.clear();
  for (const session::NamedEvent& event : session.events_of(view.task, kEventsRead, kChunks)) {
    if (view.events.size() < kEvents) view.events.push_back(event_line(model, event, view.task));
    if (event.event.kind != EventKind::Woken) continue;
    const EventLine line = event_line(model, event, view.task);
    const bool out = event.event.task != view.task;
    count_wake(out ? view.wakes : view.woken_by, model, line.task, line.detail);
  }
  most_first(view.woken_by);
  most_first(view.wakes);
  view.children.clear();
  const std::vector<std::uint64_t> children = model.children_of(view.task, 1000);
  for (const std::uint64_t child : children) {
    if (view.children.size() == kChildren) break;
    view.children.push_back(task_link(model, child));
  }
  view.more_children = children.size() - view.children.size();
}

void keep_history(InspectorView&& from, InspectorView& view) {
  view.events = std::move(from.events);
  view.woken_by = std::move(from.woken_by);
  view.wakes = std::move(from.wakes);
  view.children = std::move(from.children);
  view.more_children = from.more_children;
  view.critical = std::move(from.critical);
}

void add_path(session::Session& session, InspectorView& view, std::int64_t from_ns,
              std::int64_t to_ns) {
  view.critical = PathView();
  if (!view.known || to_ns <= from_ns) return;
  view.critical =
      path_view(session.model(), analysis::critical_path(session, view.task, from_ns, to_ns,
                                                         {.chunks = 64, .segments = 2000}));
}

Colour colour_of(analysis::PathKind kind) {
  switch (kind) {
    case analysis::PathKind::Polling:
      return colour::kPolling;
    case analysis::PathKind::Queued:
      return colour::kScheduled;
    case analysis::PathKind::Waiting:
      return colour_of(WaitClass::Lock);
    case analysis::PathKind::Timer:
      return colour_of(WaitClass::Timer);
    case analysis::PathKind::Io:
      return colour_of(WaitClass::Io);
    case analysis::PathKind::Blocking:
      return colour::kTrouble;
    case analysis::PathKind::Join:
      return colour_of(WaitClass::Join);
    case analysis::PathKind::Unknown:
      break;
  }
  return colour::kDone;
}

PathView path_view(const session::Model& model, const analysis::CriticalPath& path) {
  PathView view;
  view.cut = path.cut;
  view.from_ns = model.clock().ns(path.from);
  view.to_ns = model.clock().ns(path.to);
  if (path.segments.empty() || path.to <= path.from) return view;
  const auto whole = static_cast<double>(path.to - path.from);
  const std::vector<analysis::Blame> sums = analysis::blame(path);
  for (const analysis::Blame& blame : sums) {
    PathSum sum{.text = std::string(analysis::name_of(blame.own)), .link = {}};
    // What the task did, and what that came down to where it is something else.
    if (blame.kind != blame.own) sum.text += ": " + std::string(analysis::name_of(blame.kind));
    if (blame.task != 0 && blame.task != path.task) sum.link = task_link(model, blame.task);
    sum.ns = model.clock().duration_ns(blame.ticks);
    sum.share = static_cast<double>(blame.ticks) / whole;
    sum.colour = colour_of(blame.kind);
    view.sums.push_back(std::move(sum));
  }
  const auto add = [&](std::vector<PathPiece>& pieces, const analysis::PathSegment& segment,
                       analysis::PathKind kind) {
    const auto place = [&](std::uint64_t ticks) {
      return static_cast<float>(static_cast<double>(ticks - path.from) / whole);
    };
    std::size_t number = 0;
    while (number + 1 < sums.size() &&
           (sums[number].own != segment.own || sums[number].kind != segment.kind)) {
      ++number;
    }
    const Colour colour = colour_of(kind);
    // Neighbours of one colour are one piece.
    if (!pieces.empty() && pieces.back().colour == colour && pieces.back().sum == number) {
      pieces.back().to = place(segment.to);
    } else {
      pieces.push_back({place(segment.from), place(segment.to), colour, number});
    }
  };
  for (const analysis::PathSegment& segment : path.segments) {
    add(view.own, segment, segment.own);
    add(view.pieces, segment, segment.kind);
  }
  return view;
}

}  // namespace taskscope::console::panels
