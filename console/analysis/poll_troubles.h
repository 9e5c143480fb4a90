/// Troubles of polls: those that block, never end, or keep others from theirs.
#pragma once

#include "taskscope/console/analysis/findings.h"

namespace taskscope::console::analysis {

[[nodiscard]] Findings find_poll_troubles(const session::Model& model,
                                          const Thresholds& thresholds);

}  // namespace taskscope::console::analysis
