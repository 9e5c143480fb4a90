#include "taskscope/console/app/glfw_window.h"

#include <GLFW/glfw3.h>
#include <backends/imgui_impl_glfw.h>
#include <backends/imgui_impl_opengl3.h>
#include <imgui.h>

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "taskscope/console/app/fonts.h"
#include "taskscope/console/panels/theme.h"

namespace taskscope::console::app {
namespace {

std::string& last_error() {
  static std::string text;
  return text;
}

}  // namespace

/// Ours stand in the place of ImGui's: what comes in goes to the queue.
struct GlfwCallbacks {
  static GlfwWindow& of(GLFWwindow* window) {
    auto& self = *static_cast<GlfwWindow*>(glfwGetWindowUserPointer(window));
    self.woken_ = true;
    return self;
  }
  static void key(GLFWwindow* window, int key, int, int action, int modifiers) {
    if (key == GLFW_KEY_UNKNOWN) return;
    of(window).input_.push(
        {.kind = action == GLFW_PRESS     ? InputKind::KeyDown
                 : action == GLFW_RELEASE ? InputKind::KeyUp
                                          : InputKind::KeyRepeat,
         .code = key,
         .modifiers = modifiers,
         .may_move_focus = (modifiers & GLFW_MOD_CONTROL) != 0 || key == GLFW_KEY_SLASH});
  }
  static void text(GLFWwindow* window, unsigned int code) {
    of(window).input_.push({.kind = InputKind::Text, .code = static_cast<int>(code)});
  }
  static void button(GLFWwindow* window, int button, int action, int modifiers) {
    of(window).input_.push(
        {.kind = action == GLFW_PRESS ? InputKind::ButtonDown : InputKind::ButtonUp,
         .code = button,
         .modifiers = modifiers});
  }
  static void scroll(GLFWwindow* window, double x, double y) {
    of(window).input_.push(
        {.kind = InputKind::Wheel, .x = static_cast<float>(x), .y = static_cast<float>(y)});
  }
  static void moved(GLFWwindow* window, double x, double y) {
    of(window).input_.push(
        {.kind = InputKind::Move, .x = static_cast<float>(x), .y = static_cast<float>(y)});
  }
  static void entered(GLFWwindow* window, int entered) {
    GlfwWindow& self = of(window);
    ImGui_ImplGlfw_CursorEnterCallback(window, entered);
    if (entered == 0) self.input_.push({.kind = InputKind::Leave});
  }
  static void focus(GLFWwindow* window, int focused) {
    of(window);
    ImGui_ImplGlfw_WindowFocusCallback(window, focused);
  }
  static void resized(GLFWwindow* window, int, int) { of(window); }
  static void refresh(GLFWwindow* window) { of(window); }
};

std::unique_ptr<GlfwWindow> GlfwWindow::open(const std::string& title, WindowSize size,
                                             std::optional<float> scale, std::string& why) {
  glfwSetErrorCallback([](int, const char* text) { last_error() = text; });
  if (glfwInit() == 0) {
    why = last_error().empty() ? "no display" : last_error();
    return nullptr;
  }
  std::unique_ptr<GlfwWindow> self(new GlfwWindow);
  self->fixed_scale_ = scale;
  self->title_ = title;

  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 2);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHintString(GLFW_X11_CLASS_NAME, "taskscope");
  glfwWindowHintString(GLFW_X11_INSTANCE_NAME, "taskscope");
  if (GLFWmonitor* monitor = glfwGetPrimaryMonitor()) {
    int x = 0, y = 0, width = 0, height = 0;
    glfwGetMonitorWorkarea(monitor, &x, &y, &width, &height);
    if (size.width_px <= 0 || size.height_px <= 0) size = {width * 9 / 10, height * 9 / 10};
    if (width > 0) size = {std::min(size.width_px, width), std::min(size.height_px, height)};
  }
  if (size.width_px <= 0 || size.height_px <= 0) size = {1600, 1000};
  self->window_ = glfwCreateWindow(size.width_px, size.height_px, title.c_str(), nullptr, nullptr);
  if (self->window_ == nullptr) {
    why = last_error().empty() ? "no OpenGL 3.2" : last_error();
    return nullptr;
  }
  glfwSetWindowUserPointer(self->window_, self.get());
  glfwSetWindowSizeLimits(self->window_, 960, 600, GLFW_DONT_CARE, GLFW_DONT_CARE);
  glfwMakeContextCurrent(self->window_);
  glfwSwapInterval(1);

  ImGui::CreateContext();
  self->imgui_ = true;
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  io.ConfigWindowsMoveFromTitleBarOnly = true;
  ImGui_ImplGlfw_InitForOpenGL(self->window_, false);
  ImGui_ImplOpenGL3_Init("#version 150");
  glfwSetKeyCallback(self->window_, GlfwCallbacks::key);
  glfwSetCharCallback(self->window_, GlfwCallbacks::text);
  glfwSetMouseButtonCallback(self->window_, GlfwCallbacks::button);
  glfwSetScrollCallback(self->window_, GlfwCallbacks::scroll);
  glfwSetCursorPosCallback(self->window_, GlfwCallbacks::moved);
  glfwSetCursorEnterCallback(self->window_, GlfwCallbacks::entered);
  glfwSetWindowFocusCallback(self->window_, GlfwCallbacks::focus);
  glfwSetFramebufferSizeCallback(self->window_, GlfwCallbacks::resized);
  glfwSetWindowRefreshCallback(self->window_, GlfwCallbacks::refresh);
  self->apply_scale();
  return self;
}

GlfwWindow::~GlfwWindow() {
  if (imgui_) {
    ImGui_ImplOpenGL3_Shutdown();
    ImGui_ImplGlfw_Shutdown();
    ImGui::DestroyContext();
  }
  if (window_ != nullptr) glfwDestroyWindow(window_);
  glfwTerminate();
}

bool GlfwWindow::close_asked() const { return glfwWindowShouldClose(window_) != 0; }

void GlfwWindow::set_title(const std::string& title) {
  if (title == title_) return;
  title_ = title;
  glfwSetWindowTitle(window_, title.c_str());
}

void GlfwWindow::pump(double wait_seconds) {
  if (wait_seconds > 0 && input_.empty()) {
    glfwWaitEventsTimeout(wait_seconds);
  } else {
    glfwPollEvents();
  }
}

bool GlfwWindow::take_woken() {
  const bool woken = woken_ || !input_.empty();
  woken_ = false;
  return woken;
}

float GlfwWindow::monitor_scale() const {
  float x = 1, y = 1;
  glfwGetWindowContentScale(window_, &x, &y);
  // Quarters: fonts at odd sizes are blurred for no gain.
  return std::clamp(std::round(std::max(x, y) * 4) / 4, 1.0f, 4.0f);
}

void GlfwWindow::apply_scale() {
  const float wanted = fixed_scale_.value_or(monitor_scale());
  if (wanted == scale_) return;
  const bool again = scale_ != 0;
  scale_ = wanted;
  panels::apply_style(scale_);
  load_fonts(scale_);
  if (again) {
    ImGui_ImplOpenGL3_DestroyFontsTexture();
    ImGui_ImplOpenGL3_CreateFontsTexture();
  }
}

std::vector<InputEvent> GlfwWindow::begin_frame() {
  apply_scale();
  ImGui_ImplOpenGL3_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  std::vector<InputEvent> events = input_.take_frame();
  ImGuiIO& io = ImGui::GetIO();
  for (const InputEvent& event : events) {
    switch (event.kind) {
      case InputKind::Text:
        io.AddInputCharacter(static_cast<unsigned>(event.code));
        break;
      case InputKind::Move:
        pointer_.x = event.x;
        pointer_.y = event.y;
        pointer_.inside = true;
        break;
      case InputKind::Leave:
        pointer_.inside = false;
        break;
      case InputKind::ButtonDown:
      case InputKind::ButtonUp:
        if (event.code >= 0 && event.code < kButtons) {
          pointer_.down[event.code] = event.kind == InputKind::ButtonDown;
        }
        break;
      case InputKind::Wheel:
        io.MouseWheelH += event.x;
        io.MouseWheel += event.y;
        break;
      case InputKind::KeyDown:
      case InputKind::KeyUp:
      case InputKind::KeyRepeat:
        if (event.code >= 0 && event.code < IM_ARRAYSIZE(io.KeysDown)) {
          io.KeysDown[event.code] = event.kind != InputKind::KeyUp;
        }
        break;
    }
  }
  // In the place of what ImGui's backend asked GLFW for just now: the pointer as of these events.
  bool any_down = false;
  for (int button = 0; button < kButtons; ++button) {
    io.MouseDown[button] = pointer_.down[button];
    any_down = any_down || pointer_.down[button];
  }
  io.MousePos =
      pointer_.inside || any_down ? ImVec2{pointer_.x, pointer_.y} : ImVec2{-FLT_MAX, -FLT_MAX};
  const auto down = [&](int left, int right) { return io.KeysDown[left] || io.KeysDown[right]; };
  io.KeyCtrl = down(GLFW_KEY_LEFT_CONTROL, GLFW_KEY_RIGHT_CONTROL);
  io.KeyShift = down(GLFW_KEY_LEFT_SHIFT, GLFW_KEY_RIGHT_SHIFT);
  io.KeyAlt = down(GLFW_KEY_LEFT_ALT, GLFW_KEY_RIGHT_ALT);
  io.KeySuper = down(GLFW_KEY_LEFT_SUPER, GLFW_KEY_RIGHT_SUPER);
  ImGui::NewFrame();
  return events;
}

void GlfwWindow::end_frame() {
  ImGui::Render();
  int width = 0, height = 0;
  glfwGetFramebufferSize(window_, &width, &height);
  glViewport(0, 0, width, height);
  const ImVec4 clear = panels::vec(panels::colour::kBackground);
  glClearColor(clear.x, clear.y, clear.z, 1);
  glClear(GL_COLOR_BUFFER_BIT);
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  glfwSwapBuffers(window_);
}

WindowSize GlfwWindow::size() const {
  WindowSize size;
  glfwGetWindowSize(window_, &size.width_px, &size.height_px);
  return size;
}

}  // namespace taskscope::console::app
