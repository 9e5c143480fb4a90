/// The doors of the window: what the command line calls to open it, or to draw one picture of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace taskscope::console::app {

/// Views a picture can be taken of, and the window can start with.
///
/// overview    timeline above, tasks below, the inspector beside them
/// timeline    the timeline as large as it gets
/// tasks · workers · resources · problems      that table as large as it gets
/// inspector   overview with the busiest task selected and its group open
/// start       the start screen; TARGET may be empty
struct WindowOptions {
  std::string target;      ///< pid, name, socket path, host:port or file; empty: the start screen
  bool file_only = false;  ///< `open`: TARGET is a file, never a process
  std::string view = "overview";
  std::optional<float> scale;  ///< of everything; absent: from the monitor
  std::string dump;            ///< hidden: the state of the window, as JSON, is written to this
                               ///< file after every SIGUSR1 and once a second
  int width_px = 0, height_px = 0;  ///< of a new window; 0: from the settings or the monitor
};

/// Opens the window and returns its exit status when it is closed: 0; 3 when there is no display,
/// said on stderr. A target that can't be used is said inside the window.
[[nodiscard]] int run_window(const WindowOptions& options);

struct ScreenshotOptions {
  std::string target;  ///< as in WindowOptions
  std::string output;  ///< PNG, overwritten
  int width_px = 1600, height_px = 1000;
  std::string view = "overview";
  float scale = 1;
  /// A live target is watched this long before the picture is taken; a file is read to its end.
  double seconds = 2;
  std::string dump;  ///< hidden: as in WindowOptions, written once
};

/// Draws one picture without a display (EGL, off screen) and writes it. Exit status: 0; 2 for an
/// unknown view or size; 3 when the target or the output can't be used, said on stderr.
[[nodiscard]] int run_screenshot(const ScreenshotOptions& options);

/// True for the names listed above.
[[nodiscard]] bool is_view(const std::string& name);

}  // namespace taskscope::console::app
