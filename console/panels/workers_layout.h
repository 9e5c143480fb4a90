/// What each worker did over time, and the threads for calls that block.
#pragma once

#include <vector>

#include "taskscope/console/panels/timeline_charts_layout.h"

namespace taskscope::console::panels {

struct WorkersOptions {
  ChartOptions chart;
  /// A poll that runs longer blocks its worker: Thresholds::blocking_poll_ns.
  std::int64_t long_poll_ns = 10'000'000;
  std::size_t first = 0, last = SIZE_MAX;  ///< rows that get strips filled; the others stay empty
};

/// A row for each worker, then for each runtime's queue of tasks from outside, its threads for
/// blocking calls, and its I/O. Busy is exact where polls were recorded; the rest is sampled.
[[nodiscard]] std::vector<ChartRow> worker_rows(const session::Model& model,
                                                const WorkersOptions& options);

}  // namespace taskscope::console::panels
