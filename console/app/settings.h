/// What the window remembers between runs: $XDG_CONFIG_HOME/taskscope/window, else
/// ~/.config/taskscope/window. A file that can't be read or written is as good as none.
#pragma once

#include <string>
#include <vector>

#include "taskscope/console/analysis/findings.h"

namespace taskscope::console::app {

struct Settings {
  static constexpr std::size_t kRecentFiles = 20;

  std::vector<std::string> recent;  ///< paths of recordings, newest first
  int width_px = 0, height_px = 0;  ///< of the window; 0: as large as fits
  float inspector_share = 0.26f;    ///< of the window's width
  float timeline_share = 0.48f;     ///< of the height under the top bar
  analysis::Thresholds thresholds;  ///< from which on something is a problem

  /// Puts the path first; each path is listed once.
  void remember(const std::string& path);
};

/// Empty when there is neither XDG_CONFIG_HOME nor HOME.
[[nodiscard]] std::string settings_path();
[[nodiscard]] Settings load_settings(const std::string& path);
/// False if it could not be written.
bool save_settings(const Settings& settings, const std::string& path);

/// As text, one "key value" a line; what is unknown or wrong is passed by.
[[nodiscard]] std::string settings_text(const Settings& settings);
[[nodiscard]] Settings parse_settings(const std::string& text);

}  // namespace taskscope::console::app
