#include <algorithm>
#include <array>
#include <string_view>

#include "taskscope/console/app/window_main.h"

namespace taskscope::console::app {

bool is_view(const std::string& name) {
  constexpr std::array<std::string_view, 10> kViews = {
      "overview", "problems",  "graph",  "timeline",  "tasks",
      "workers",  "resources", "timers", "inspector", "start"};
  return std::find(kViews.begin(), kViews.end(), name) != kViews.end();
}

}  // namespace taskscope::console::app
