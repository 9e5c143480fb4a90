#include <algorithm>
#include <array>
#include <string_view>

#include "taskscope/console/app/window_main.h"

namespace taskscope::console::app {

bool is_view(const std::string& name) {
  constexpr std::array<std::string_view, 8> kViews = {
      "overview", "timeline", "tasks", "workers", "resources", "problems", "inspector", "start"};
  return std::find(kViews.begin(), kViews.end(), name) != kViews.end();
}

}  // namespace taskscope::console::app
