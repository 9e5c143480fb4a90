#include "taskscope/console/panels/problems_layout.h"

#include <algorithm>

#include "taskscope/console/analysis/why.h"
#include "taskscope/console/analysis/words.h"
#include "taskscope/console/panels/format.h"
#include "taskscope/console/panels/names.h"

namespace taskscope::console::panels {
namespace {

using analysis::Finding;
using analysis::FindingKind;

constexpr std::size_t kTasksShown = 40, kOthersShown = 12, kResourcesShown = 12, kPastShown = 500;

std::string as_sentence(std::string text) {
  text = short_places(std::move(text));
  if (text.empty()) return text;
  if (text.front() >= 'a' && text.front() <= 'z') {
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  }
  if (text.back() != '.') text += '.';
  return text;
}

std::string when_text(const session::Model& model, const Finding& finding) {
  const std::int64_t since = std::max(finding.since_ns, model.begin_ns());
  const bool before = finding.since_ns <= model.begin_ns();
  if (finding.active()) {
    const std::string lasts = duration_text(std::max<std::int64_t>(model.now_ns() - since, 0));
    return (before ? "for more than " : "for ") + lasts;
  }
  return "at " + axis_text(since, 1'000'000) + ", lasted " +
         duration_text(std::max<std::int64_t>(finding.until_ns - since, 0));
}

std::string path_of(const session::Model& model, std::uint32_t site) {
  return analysis::place_words(model, site);
}

std::string place_of(const session::Model& model, std::uint32_t site) {
  return model.site(site) == nullptr ? std::string() : site_place(model, site);
}

ProblemRow row_of(const session::Model& model, const Finding& finding) {
  return {.key = finding_key(finding),
          .kind = finding.kind,
          .severity = severity_of(finding.kind),
          .certain = finding.certainty == analysis::Certainty::Certain,
          .over = !finding.active(),
          .sentence = as_sentence(finding.text),
          .when = when_text(model, finding),
          .place = place_of(model, finding.site),
          .path = path_of(model, finding.site),
          .tasks = std::max(finding.task_count, finding.tasks.size())};
}

ConcernedTask concerned(const session::Model& model, std::uint64_t id) {
  ConcernedTask is{.link = task_link(model, id), .why = {}};
  if (const session::Task* task = model.tasks().find(id)) {
    is.why = as_sentence(analysis::why_not_running(model, *task).text);
  }
  return is;
}

/// What to show of the time axis: the beginning of what lasts, all of what was short.
void set_moment(const session::Model& model, const Finding& finding, EvidenceView& view) {
  constexpr std::int64_t kBefore = 200'000'000, kLongest = 1'000'000'000;
  const std::int64_t until = finding.active() ? model.now_ns() : finding.until_ns;
  view.from_ns = std::max(finding.since_ns, model.begin_ns());
  if (finding.kind == FindingKind::BlockingPoll && !finding.tasks.empty()) {
    // The poll itself.
    const session::Task* task = model.tasks().find(finding.tasks.front());
    if (task != nullptr && task->max_poll > 0) {
      view.from_ns = model.clock().ns(task->max_poll_from);
      view.to_ns = view.from_ns + model.clock().duration_ns(task->max_poll);
      return;
    }
  }
  view.to_ns = std::clamp(until, view.from_ns + 1'000, view.from_ns + kLongest);
  if (until - view.from_ns > kLongest) {
    view.from_ns = std::max(view.from_ns - kBefore, model.begin_ns());
  }
}

std::uint64_t mixed_with(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * 0x9e3779b97f4a7c15u + (hash >> 29);
}

}  // namespace

Severity severity_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::Deadlock:
    case FindingKind::StuckBehind:
    case FindingKind::Orphan:
    case FindingKind::LostWaker:
    case FindingKind::NeverYielded:
      return Severity::Severe;
    case FindingKind::BlockingPoll:
    case FindingKind::PermitLeak:
    case FindingKind::SlowConsumer:
    case FindingKind::Starvation:
      return Severity::Serious;
    case FindingKind::SelfWakes:
    case FindingKind::TimerBurst:
    case FindingKind::LargeFrame:
      return Severity::Minor;
  }
  return Severity::Minor;
}

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::Severe:
      return "severe";
    case Severity::Serious:
      return "serious";
    case Severity::Minor:
      return "minor";
  }
  return "";
}

Colour colour_of(Severity severity) {
  switch (severity) {
    case Severity::Severe:
      return colour::kTrouble;
    case Severity::Serious:
      return colour::kScheduled;
    case Severity::Minor:
      return colour::kAccent;
  }
  return colour::kDim;
}

std::string_view title_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::Deadlock:
      return "Deadlock";
    case FindingKind::StuckBehind:
      return "Stuck behind";
    case FindingKind::Orphan:
      return "Orphan";
    case FindingKind::LostWaker:
      return "Lost waker";
    case FindingKind::NeverYielded:
      return "Never yielded";
    case FindingKind::BlockingPoll:
      return "Blocking poll";
    case FindingKind::PermitLeak:
      return "Permit leak";
    case FindingKind::SlowConsumer:
      return "Slow consumer";
    case FindingKind::Starvation:
      return "Starvation";
    case FindingKind::SelfWakes:
      return "Self-wakes";
    case FindingKind::TimerBurst:
      return "Timer burst";
    case FindingKind::LargeFrame:
      return "Large frame";
  }
  return "Finding";
}

std::string_view meaning_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::Deadlock:
      return "Each of these tasks waits for something that the next one holds. None of them can go "
             "on.";
    case FindingKind::StuckBehind:
      return "These tasks are in no cycle themselves, but what they wait for is held by some that "
             "never go on.";
    case FindingKind::Orphan:
      return "Nobody is left who could end this wait.";
    case FindingKind::LostWaker:
      return "The task waits for its waker, and nobody holds it any more.";
    case FindingKind::NeverYielded:
      return "One poll has not ended: its worker runs nothing else.";
    case FindingKind::BlockingPoll:
      return "A poll held its worker up: everything queued behind it waited.";
    case FindingKind::PermitLeak:
      return "A permit was taken long ago and not given back, while others wait for one.";
    case FindingKind::SlowConsumer:
      return "The channel is full: who sends waits for who receives.";
    case FindingKind::Starvation:
      return "Tasks were ready to run for long before a worker took them.";
    case FindingKind::SelfWakes:
      return "Tasks wake themselves again and again: a loop that should wait for something.";
    case FindingKind::TimerBurst:
      return "Many timers fire at the same moment.";
    case FindingKind::LargeFrame:
      return "Each of these tasks takes much memory in one allocation: something large lives "
             "across "
             "an await.";
  }
  return "";
}

Evidence evidence_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::Deadlock:
    case FindingKind::StuckBehind:
    case FindingKind::Orphan:
    case FindingKind::PermitLeak:
    case FindingKind::SlowConsumer:
      return Evidence::Graph;
    case FindingKind::BlockingPoll:
    case FindingKind::NeverYielded:
      return Evidence::NativeStack;
    default:
      return Evidence::Tasks;
  }
}

std::uint64_t finding_key(const Finding& finding) {
  std::uint64_t key = mixed_with(1 + static_cast<std::uint64_t>(finding.kind), finding.site);
  key = mixed_with(key, finding.resources.empty() ? 0 : finding.resources.front());
  // Who is worst among many of one place changes; who is in a cycle or blocks a worker does not.
  const bool about_tasks = severity_of(finding.kind) == Severity::Severe;
  key = mixed_with(key, about_tasks && !finding.tasks.empty() ? finding.tasks.front() : 0);
  if (!finding.active()) key = mixed_with(key, static_cast<std::uint64_t>(finding.until_ns));
  return key == 0 ? 1 : key;
}

ProblemsView problems_view(const session::Model& model, const analysis::Findings& active,
                           const analysis::Findings& past, std::optional<FindingKind> only) {
  ProblemsView view;
  view.active = active.size();
  view.past = past.size();
  view.looked_ns = model.now_ns() - model.begin_ns();
  std::array<ProblemChip, analysis::kFindingKinds> chips{};
  for (std::size_t i = 0; i < chips.size(); ++i) chips[i].kind = static_cast<FindingKind>(i);
  for (const Finding& finding : active) {
    ++chips[static_cast<std::size_t>(finding.kind)].active;
    if (severity_of(finding.kind) == Severity::Severe) ++view.severe;
    if (!only || *only == finding.kind) view.rows.push_back(row_of(model, finding));
  }
  std::size_t shown = 0;
  for (const Finding& finding : past) {
    ++chips[static_cast<std::size_t>(finding.kind)].past;
    if (only && *only != finding.kind) continue;
    if (shown++ < kPastShown) view.rows.push_back(row_of(model, finding));
  }
  for (const ProblemChip& chip : chips) {
    if (chip.active + chip.past > 0) view.chips.push_back(chip);
  }
  return view;
}

EvidenceView evidence_view(const session::Model& model, const Finding& finding) {
  const ProblemRow row = row_of(model, finding);
  EvidenceView view{.key = row.key,
                    .kind = row.kind,
                    .severity = row.severity,
                    .evidence = evidence_of(row.kind),
                    .certain = row.certain,
                    .over = row.over,
                    .sentence = row.sentence,
                    .when = row.when,
                    .place = row.place,
                    .path = row.path,
                    .tasks = {},
                    .others = {},
                    .resources = {}};
  for (const std::uint64_t id : finding.tasks) {
    if (view.tasks.size() == kTasksShown) break;
    view.tasks.push_back(concerned(model, id));
  }
  view.more_tasks = row.tasks - view.tasks.size();
  for (const std::uint64_t id : finding.others) {
    if (view.others.size() == kOthersShown) break;
    view.others.push_back(concerned(model, id));
  }
  for (const std::uint64_t id : finding.resources) {
    if (view.resources.size() == kResourcesShown) break;
    view.resources.push_back(resource_link(model, id));
  }
  set_moment(model, finding, view);
  return view;
}

}  // namespace taskscope::console::panels
