/// The findings of a session over its time: confirmed, kept while they last, remembered afterwards.
#pragma once

#include <cstdint>
#include <vector>

#include "taskscope/console/analysis/findings.h"

namespace taskscope::console::analysis {

/// Looks at a model as it grows, at moments of the session's own time: so the same chunks give the
/// same findings, live and from a file. Not thread-safe; as cheap as a comparison when nothing is
/// due.
class Diagnosis {
 public:
  explicit Diagnosis(const Thresholds& thresholds = {}) : thresholds_(thresholds) {}

  /// To be called after each chunk: Session::after_each_chunk. Looks when the next look is due.
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
  Thresholds thresholds_;
  Findings active_, past_;
  std::int64_t next_look_ns_ = INT64_MIN;
  std::uint64_t revision_ = 0;
};

}  // namespace taskscope::console::analysis
