/// What the finders of troubles share: a model, its thresholds, and its times in ticks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "taskscope/console/analysis/findings.h"
#include "taskscope/console/analysis/words.h"

namespace taskscope::console::analysis {

class FinderBase {
 public:
  FinderBase(const session::Model& model, const Thresholds& thresholds)
      : model_(model), limits_(thresholds), recent_(since_then(ticks(thresholds.recent_ns))) {}

 protected:
  [[nodiscard]] std::uint64_t ticks(std::int64_t ns) const {
    return model_.clock().duration_ticks(ns);
  }
  [[nodiscard]] std::string duration(std::uint64_t of) const {
    return duration_words(model_.clock().duration_ns(of));
  }
  [[nodiscard]] std::uint64_t since_then(std::uint64_t then) const {
    return model_.now() - std::min(model_.now(), then);
  }

  const session::Model& model_;
  const Thresholds& limits_;
  const std::uint64_t recent_;  ///< from when on what is over is still told
  Findings found_;
};

}  // namespace taskscope::console::analysis
