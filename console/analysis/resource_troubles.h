/// Troubles of what tasks share: channels, permits, timers.
#pragma once

#include "taskscope/console/analysis/findings.h"

namespace taskscope::console::analysis {

[[nodiscard]] Findings find_resource_troubles(const session::Model& model,
                                              const Thresholds& thresholds);

}  // namespace taskscope::console::analysis
