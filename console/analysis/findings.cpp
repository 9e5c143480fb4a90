#include "taskscope/console/analysis/findings.h"

#include <utility>

#include "taskscope/console/analysis/poll_troubles.h"
#include "taskscope/console/analysis/resource_troubles.h"
#include "taskscope/console/analysis/stuck.h"

namespace taskscope::console::analysis {

using session::Model;

std::string_view name_of(FindingKind kind) {
  switch (kind) {
    case FindingKind::Deadlock:
      return "deadlock";
    case FindingKind::StuckBehind:
      return "stuck-behind";
    case FindingKind::Orphan:
      return "orphan";
    case FindingKind::LostWaker:
      return "lost-waker";
    case FindingKind::NeverYielded:
      return "never-yielded";
    case FindingKind::BlockingPoll:
      return "blocking-poll";
    case FindingKind::PermitLeak:
      return "permit-leak";
    case FindingKind::SlowConsumer:
      return "slow-consumer";
    case FindingKind::Starvation:
      return "starvation";
    case FindingKind::SelfWakes:
      return "self-wakes";
    case FindingKind::TimerBurst:
      return "timer-burst";
    case FindingKind::LargeFrame:
      return "large-frame";
  }
  return "unknown";
}

std::string_view name_of(Certainty certainty) {
  return certainty == Certainty::Certain ? "certain" : "suspect";
}

Findings find_troubles(const Model& model, const Thresholds& thresholds) {
  Findings found;
  for (const Jam& jam : find_jams(model, thresholds))
    found.push_back(finding_of(model, jam, thresholds));
  Findings lists[] = {find_poll_troubles(model, thresholds),
                      find_resource_troubles(model, thresholds)};
  for (int kind = 0; kind < kFindingKinds; ++kind)
    for (Findings& list : lists)
      for (Finding& finding : list)
        if (static_cast<int>(finding.kind) == kind) found.push_back(std::move(finding));
  return found;
}

}  // namespace taskscope::console::analysis
