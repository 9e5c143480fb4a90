/// A window with OpenGL and ImGui in it, through GLFW.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "taskscope/console/app/input_queue.h"

struct GLFWwindow;

namespace taskscope::console::app {

struct WindowSize {
  int width_px = 0, height_px = 0;
};

/// Makes and owns the window, its GL context and the ImGui context in it; one at a time.
class GlfwWindow {
 public:
  /// Empty with the reason in `why` when there is no display or no OpenGL.
  [[nodiscard]] static std::unique_ptr<GlfwWindow> open(const std::string& title, WindowSize size,
                                                        std::optional<float> scale,
                                                        std::string& why);
  ~GlfwWindow();
  GlfwWindow(const GlfwWindow&) = delete;
  GlfwWindow& operator=(const GlfwWindow&) = delete;

  [[nodiscard]] bool close_asked() const;
  void set_title(const std::string& title);
  /// Handles what came in, waiting at most this long for something to come.
  void pump(double wait_seconds);
  /// Starts a frame: ImGui sees the input of this frame, which is returned too.
  [[nodiscard]] std::vector<InputEvent> begin_frame();
  /// Ends the frame and shows it.
  void end_frame();
  /// The size for the settings.
  [[nodiscard]] WindowSize size() const;
  [[nodiscard]] float scale() const { return scale_; }
  /// Keys were typed, the mouse moved or the window changed since the last frame.
  [[nodiscard]] bool take_woken();

 private:
  GlfwWindow() = default;
  void apply_scale();
  [[nodiscard]] float monitor_scale() const;

  GLFWwindow* window_ = nullptr;
  static constexpr int kButtons = 5;
  struct Pointer {
    float x = 0, y = 0;
    bool inside = false;
    bool down[kButtons] = {};
  };

  InputQueue input_;
  Pointer pointer_;
  std::string title_;
  std::optional<float> fixed_scale_;
  float scale_ = 0;
  bool woken_ = true;
  bool imgui_ = false;

  friend struct GlfwCallbacks;
};

}  // namespace taskscope::console::app
