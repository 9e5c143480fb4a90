/// What the problems panel tells: the findings of a session, how bad each is, and its evidence.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taskscope/console/analysis/diagnosis.h"
#include "taskscope/console/panels/inspector_layout.h"
#include "taskscope/console/panels/palette.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::panels {

/// Severe: work that never goes on. Serious: work that suffers. Minor: worth to know.
enum class Severity : std::uint8_t { Minor, Serious, Severe };
[[nodiscard]] Severity severity_of(analysis::FindingKind kind);
[[nodiscard]] std::string_view name_of(Severity severity);
[[nodiscard]] Colour colour_of(Severity severity);

/// "Deadlock", "Blocking poll".
[[nodiscard]] std::string_view title_of(analysis::FindingKind kind);
/// What the kind means, in a sentence.
[[nodiscard]] std::string_view meaning_of(analysis::FindingKind kind);

/// What shows best that a finding is right.
enum class Evidence : std::uint8_t { Graph, NativeStack, Tasks };
[[nodiscard]] Evidence evidence_of(analysis::FindingKind kind);

/// The same for the same trouble at the next look, as long as it lasts; another once it is over.
[[nodiscard]] std::uint64_t finding_key(const analysis::Finding& finding);

struct ProblemRow {
  std::uint64_t key = 0;
  analysis::FindingKind kind = analysis::FindingKind::BlockingPoll;
  Severity severity = Severity::Minor;
  bool certain = false, over = false;
  std::string sentence, when, place;
  std::string path;  ///< "file:line" whole
  std::size_t tasks = 0;
};

struct ProblemChip {
  analysis::FindingKind kind = analysis::FindingKind::BlockingPoll;
  std::size_t active = 0, past = 0;
};

struct ProblemsView {
  std::vector<ProblemChip> chips;                ///< the worst kind first
  std::vector<ProblemRow> rows;                  ///< those that last, then those that are over
  std::size_t active = 0, past = 0, severe = 0;  ///< of all kinds; severe: of the active
  std::int64_t looked_ns = 0;                    ///< how much of the session was looked at
};
[[nodiscard]] ProblemsView problems_view(const session::Model& model,
                                         const analysis::Findings& active,
                                         const analysis::Findings& past,
                                         std::optional<analysis::FindingKind> only);

/// A task of a finding: what it is called, and why it does not run.
struct ConcernedTask {
  TaskLink link;
  std::string why;
};

struct EvidenceView {
  std::uint64_t key = 0;
  analysis::FindingKind kind = analysis::FindingKind::BlockingPoll;
  Severity severity = Severity::Minor;
  Evidence evidence = Evidence::Tasks;
  bool certain = false, over = false;
  std::string sentence, when, place, path;
  std::vector<ConcernedTask> tasks, others;
  std::size_t more_tasks = 0;  ///< that the finding counts and does not name, or are not shown
  std::vector<ResourceLink> resources;
  std::int64_t from_ns = 0, to_ns = 0;  ///< the moment, for framing
};
[[nodiscard]] EvidenceView evidence_view(const session::Model& model,
                                         const analysis::Finding& finding);

}  // namespace taskscope::console::panels
