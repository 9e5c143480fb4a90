/// The findings of a session over its time: confirmed, kept while they last, remembered afterwards.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "taskscope/console/analysis/findings.h"
#include "taskscope/console/analysis/stuck.h"

namespace taskscope::console::analysis {

/// Looks at a model as it grows, at moments of the session's own time: so the same chunks give the
/// same findings, live and from a file. Not thread-safe; as cheap as a comparison when nothing is
/// due.
///
/// What is stuck is named once two looks 100 ms apart have found the same tasks stuck (a deadlock:
/// the same cycle), and none of them was polled between. Where records were lost, nobody is called
/// stuck before a walk over the living has put the model right and a while has passed without more
/// losses; what was found before stays until then.
///
/// A finding keeps its identity, and since when it is, as long as it is found again: of a kind, a
/// deadlock by its tasks, those stuck behind by whom they wait for, others by place and resources.
class Diagnosis {
 public:
  explicit Diagnosis(const Thresholds& thresholds = {}) : thresholds_(thresholds) {}

  /// To be called after each chunk: Session::after_each_chunk. Looks when the next look is due:
  /// four times a second, less often where that would take too much.
  void look(const session::Model& model);
  /// Looks now: at the end of a session, or after settings changed.
  void look_now(const session::Model& model);
  void set_thresholds(const Thresholds& thresholds) { thresholds_ = thresholds; }
  [[nodiscard]] const Thresholds& thresholds() const noexcept { return thresholds_; }

  /// Those that last, worst first.
  [[nodiscard]] const Findings& active() const noexcept { return active_; }
  /// Those that are over, the newest first; bounded.
  [[nodiscard]] const Findings& past() const noexcept { return past_; }
  /// Grows whenever active() or past() change.
  [[nodiscard]] std::uint64_t revision() const noexcept { return revision_; }

 private:
  /// A task that was found stuck, since the first of the looks that found it so one after another.
  struct Stuck {
    std::int64_t suspect_since_ns = 0, certain_since_ns = 0;
    std::uint64_t polls = 0;
    std::uint64_t cycle = 0;  // a number for the members of its deadlock; 0: it is in none
  };

  [[nodiscard]] Findings confirmed_jams(const session::Model& model);
  void replace(Findings found, std::int64_t now_ns);

  Thresholds thresholds_;
  Findings active_, past_;
  std::unordered_map<std::uint64_t, Stuck> stuck_;
  bool unconfirmed_ = false;  // the last look found jams that the next one may confirm
  std::size_t work_ = 0;      // of the last look, as find_jams says
  std::int64_t next_look_ns_ = INT64_MIN;
  std::uint64_t revision_ = 0;
};

}  // namespace taskscope::console::analysis
