#include "taskscope/console/analysis/resource_troubles.h"

namespace taskscope::console::analysis {

Findings find_resource_troubles(const session::Model&, const Thresholds&) { return {}; }

}  // namespace taskscope::console::analysis
