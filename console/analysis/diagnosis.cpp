#include "taskscope/console/analysis/diagnosis.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "taskscope/console/analysis/poll_troubles.h"
#include "taskscope/console/analysis/resource_troubles.h"

namespace taskscope::console::analysis {
namespace {

using session::Model;

constexpr std::int64_t kLookEveryNs = 250'000'000, kConfirmNs = 100'000'000;
constexpr std::int64_t kLookNsAWork = 200;  // between two looks, for each 30 ns that one takes
constexpr std::int64_t kAfterLossNs = 1'500'000'000;  // walks come once a second
constexpr std::int64_t kSameAgainNs = 1'000'000'000;  // gone for less, it was never gone
constexpr std::size_t kPast = 1000;

bool is_of_stuck(FindingKind kind) { return kind <= FindingKind::LostWaker; }

bool is_same(const Finding& a, const Finding& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case FindingKind::Deadlock:
      return a.tasks == b.tasks;
    case FindingKind::StuckBehind:
      return a.others == b.others;
    default:
      if (a.site != b.site || a.resources != b.resources) return false;
      return a.site != 0 || !a.resources.empty() || a.tasks == b.tasks;
  }
}

bool is_equal(const Finding& a, const Finding& b) {
  return a.kind == b.kind && a.certainty == b.certainty && a.tasks == b.tasks &&
         a.others == b.others && a.resources == b.resources && a.site == b.site &&
         a.task_count == b.task_count && a.since_ns == b.since_ns && a.text == b.text;
}

/// Never 0. Source   FNV-1a, by words.
std::uint64_t number_of(const std::vector<std::uint64_t>& tasks) {
  std::uint64_t number = 0xcbf29ce484222325u;
  for (const auto task : tasks) number = (number ^ task) * 0x100000001b3u;
  return number | 1;
}

}  // namespace

void Diagnosis::look(const Model& model) {
  if (model.now_ns() < next_look_ns_) return;
  look_now(model);
}

void Diagnosis::look_now(const Model& model) {
  const auto now = model.now_ns();
  Findings found;
  Findings lists[] = {confirmed_jams(model), find_poll_troubles(model, thresholds_),
                      find_resource_troubles(model, thresholds_)};
  for (int kind = 0; kind < kFindingKinds; ++kind)
    for (auto& list : lists)
      for (auto& finding : list)
        if (static_cast<int>(finding.kind) == kind) found.push_back(std::move(finding));
  replace(std::move(found), now);
  next_look_ns_ = now + std::max(unconfirmed_ ? kConfirmNs : kLookEveryNs,
                                 kLookNsAWork * static_cast<std::int64_t>(work_));
}

Findings Diagnosis::confirmed_jams(const Model& model) {
  const auto now = model.now_ns();
  unconfirmed_ = false;
  const auto is_recent = [&](std::uint64_t ticks) {
    return ticks != 0 && now - model.clock().ns(ticks) < kAfterLossNs;
  };
  const bool doubtful = is_recent(model.lost_until()) || is_recent(model.behind_until());
  if (!model.complete() || doubtful) {
    stuck_.clear();
    Findings kept;
    for (const auto& finding : active_)
      if (is_of_stuck(finding.kind)) kept.push_back(finding);
    return kept;
  }
  std::vector<Jam> likely;
  std::unordered_set<std::uint64_t> confirmed;  // first tasks of jams that are no lines
  std::unordered_map<std::uint64_t, Stuck> stuck;
  for (auto& jam : find_jams(model, thresholds_, &work_)) {
    const bool certain = jam.certainty == Certainty::Certain;
    const auto cycle = jam.kind == FindingKind::Deadlock ? number_of(jam.tasks) : 0;
    const auto is_unconfirmed = [&](std::uint64_t id) {
      const auto polls = model.tasks().find(id)->polls;
      Stuck seen{now, now, polls, cycle};
      if (const auto before = stuck_.find(id);
          before != stuck_.end() && before->second.polls == polls && before->second.cycle == cycle)
        seen = before->second;
      if (!certain) seen.certain_since_ns = INT64_MAX;
      if (certain && seen.certain_since_ns == INT64_MAX) seen.certain_since_ns = now;
      stuck.emplace(id, seen);
      return now - (certain ? seen.certain_since_ns : seen.suspect_since_ns) < kConfirmNs;
    };
    const auto all = jam.tasks.size();
    const auto first = jam.tasks.front();
    std::erase_if(jam.tasks, is_unconfirmed);
    unconfirmed_ = unconfirmed_ || jam.tasks.size() != all;
    // Half a cycle is none; of those in a line, each is stuck for itself.
    if (jam.tasks.empty() || (jam.kind == FindingKind::Deadlock && jam.tasks.size() != all))
      continue;
    if (jam.kind != FindingKind::StuckBehind) confirmed.insert(first);
    likely.push_back(std::move(jam));
  }
  // Where a lock moves, another holder may seem stuck at each look, and the same tasks behind it.
  Findings found;
  for (const auto& jam : likely)
    if (jam.kind != FindingKind::StuckBehind || confirmed.contains(jam.others.front()))
      found.push_back(finding_of(model, jam, thresholds_));
  stuck_ = std::move(stuck);
  return found;
}

void Diagnosis::replace(Findings found, std::int64_t now_ns) {
  bool changed = found.size() != active_.size();
  for (auto& finding : found) {
    const auto is_this = [&](const Finding& other) { return is_same(finding, other); };
    if (const auto before = std::find_if(active_.begin(), active_.end(), is_this);
        before != active_.end()) {
      finding.since_ns = std::min(finding.since_ns, before->since_ns);
      finding.named_ns = before->named_ns;
      changed = changed || !is_equal(finding, *before);
      active_.erase(before);
      continue;
    }
    changed = true;
    finding.named_ns = now_ns;
    const auto gone = std::find_if(past_.begin(), past_.end(), is_this);
    if (gone == past_.end() || gone->until_ns < now_ns - kSameAgainNs) continue;
    finding.since_ns = std::min(finding.since_ns, gone->since_ns);
    finding.named_ns = gone->named_ns;
    past_.erase(gone);
  }
  for (auto& over : active_) {
    changed = true;
    over.until_ns = std::max(now_ns, std::int64_t{1});
    past_.insert(past_.begin(), std::move(over));
  }
  if (past_.size() > kPast) past_.resize(kPast);
  active_ = std::move(found);
  if (changed) ++revision_;
}

}  // namespace taskscope::console::analysis
