#include "taskscope/console/app/headless_gl.h"

#include <EGL/egl.h>
#include <EGL/eglext.h>
#include <GL/gl.h>
#include <GL/glext.h>
#include <backends/imgui_impl_opengl3.h>
#include <imgui.h>

#include <cstring>

#include "taskscope/console/app/fonts.h"
#include "taskscope/console/panels/theme.h"

namespace taskscope::console::app {
namespace {

template <class Function>
Function gl_function(const char* name) {
  return reinterpret_cast<Function>(eglGetProcAddress(name));
}

}  // namespace

struct HeadlessGl::Egl {
  EGLDisplay display = EGL_NO_DISPLAY;
  EGLContext context = EGL_NO_CONTEXT;
  bool imgui = false;
};

std::unique_ptr<HeadlessGl> HeadlessGl::open(int width_px, int height_px, float scale,
                                             std::string& why) {
  std::unique_ptr<HeadlessGl> self(new HeadlessGl);
  self->width_px_ = width_px;
  self->height_px_ = height_px;
  self->egl_ = std::make_unique<Egl>();
  Egl& egl = *self->egl_;

  const char* extensions = eglQueryString(EGL_NO_DISPLAY, EGL_EXTENSIONS);
  const auto get_display = gl_function<PFNEGLGETPLATFORMDISPLAYEXTPROC>("eglGetPlatformDisplayEXT");
  if (extensions == nullptr || get_display == nullptr ||
      std::strstr(extensions, "EGL_MESA_platform_surfaceless") == nullptr) {
    why = "drawing without a display needs EGL with surfaceless contexts (Debian: libegl-mesa0)";
    return nullptr;
  }
  egl.display = get_display(EGL_PLATFORM_SURFACELESS_MESA, EGL_DEFAULT_DISPLAY, nullptr);
  if (egl.display == EGL_NO_DISPLAY || eglInitialize(egl.display, nullptr, nullptr) == EGL_FALSE ||
      eglBindAPI(EGL_OPENGL_API) == EGL_FALSE) {
    why = "EGL did not start on this machine (Debian: libegl-mesa0, libgl1-mesa-dri)";
    return nullptr;
  }
  constexpr EGLint kConfig[] = {EGL_RENDERABLE_TYPE, EGL_OPENGL_BIT, EGL_NONE};
  constexpr EGLint kContext[] = {EGL_CONTEXT_MAJOR_VERSION,
                                 3,
                                 EGL_CONTEXT_MINOR_VERSION,
                                 2,
                                 EGL_CONTEXT_OPENGL_PROFILE_MASK,
                                 EGL_CONTEXT_OPENGL_CORE_PROFILE_BIT,
                                 EGL_NONE};
  EGLConfig config = nullptr;
  EGLint configs = 0;
  eglChooseConfig(egl.display, kConfig, &config, 1, &configs);
  egl.context = eglCreateContext(egl.display, configs > 0 ? config : EGL_NO_CONFIG_KHR,
                                 EGL_NO_CONTEXT, kContext);
  if (egl.context == EGL_NO_CONTEXT ||
      eglMakeCurrent(egl.display, EGL_NO_SURFACE, EGL_NO_SURFACE, egl.context) == EGL_FALSE) {
    why = "EGL has no OpenGL 3.2 on this machine (Debian: libgl1-mesa-dri)";
    return nullptr;
  }

  GLuint frame = 0, colour = 0;
  gl_function<PFNGLGENFRAMEBUFFERSPROC>("glGenFramebuffers")(1, &frame);
  gl_function<PFNGLBINDFRAMEBUFFERPROC>("glBindFramebuffer")(GL_FRAMEBUFFER, frame);
  gl_function<PFNGLGENRENDERBUFFERSPROC>("glGenRenderbuffers")(1, &colour);
  gl_function<PFNGLBINDRENDERBUFFERPROC>("glBindRenderbuffer")(GL_RENDERBUFFER, colour);
  gl_function<PFNGLRENDERBUFFERSTORAGEPROC>("glRenderbufferStorage")(GL_RENDERBUFFER, GL_RGBA8,
                                                                     width_px, height_px);
  gl_function<PFNGLFRAMEBUFFERRENDERBUFFERPROC>("glFramebufferRenderbuffer")(
      GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, colour);
  if (gl_function<PFNGLCHECKFRAMEBUFFERSTATUSPROC>("glCheckFramebufferStatus")(GL_FRAMEBUFFER) !=
      GL_FRAMEBUFFER_COMPLETE) {
    why = "this machine's OpenGL refuses a picture of that size";
    return nullptr;
  }

  ImGui::CreateContext();
  egl.imgui = true;
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  panels::apply_style(scale);
  load_fonts(scale);
  if (!ImGui_ImplOpenGL3_Init("#version 150")) {
    why = "OpenGL could not be loaded (Debian: libgl1)";
    return nullptr;
  }
  return self;
}

HeadlessGl::~HeadlessGl() {
  if (egl_->imgui) {
    if (ImGui::GetIO().BackendRendererUserData != nullptr) ImGui_ImplOpenGL3_Shutdown();
    ImGui::DestroyContext();
  }
  if (egl_->display == EGL_NO_DISPLAY) return;
  eglMakeCurrent(egl_->display, EGL_NO_SURFACE, EGL_NO_SURFACE, EGL_NO_CONTEXT);
  if (egl_->context != EGL_NO_CONTEXT) eglDestroyContext(egl_->display, egl_->context);
  eglTerminate(egl_->display);
}

void HeadlessGl::begin_frame() {
  ImGuiIO& io = ImGui::GetIO();
  io.DisplaySize = {static_cast<float>(width_px_), static_cast<float>(height_px_)};
  io.DeltaTime = 1.0f / 60;
  ImGui_ImplOpenGL3_NewFrame();
  ImGui::NewFrame();
}

void HeadlessGl::end_frame() {
  ImGui::Render();
  glViewport(0, 0, width_px_, height_px_);
  const ImVec4 clear = panels::vec(panels::colour::kBackground);
  glClearColor(clear.x, clear.y, clear.z, 1);
  glClear(GL_COLOR_BUFFER_BIT);
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
  glFinish();
}

std::vector<std::uint8_t> HeadlessGl::pixels() const {
  const std::size_t row = static_cast<std::size_t>(width_px_) * 4;
  const auto height = static_cast<std::size_t>(height_px_);
  std::vector<std::uint8_t> upside_down(row * height), pixels(row * height);
  glPixelStorei(GL_PACK_ALIGNMENT, 1);
  glReadPixels(0, 0, width_px_, height_px_, GL_RGBA, GL_UNSIGNED_BYTE, upside_down.data());
  for (std::size_t y = 0; y < height; ++y) {
    std::memcpy(&pixels[y * row], &upside_down[(height - 1 - y) * row], row);
  }
  return pixels;
}

}  // namespace taskscope::console::app
