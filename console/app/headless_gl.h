/// OpenGL without a display: EGL with no surface, drawing into a framebuffer of our own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace taskscope::console::app {

/// Owns the GL context and the ImGui context in it; one at a time.
class HeadlessGl {
 public:
  /// Empty with the reason in `why` when this machine has no EGL that can do that.
  [[nodiscard]] static std::unique_ptr<HeadlessGl> open(int width_px, int height_px, float scale,
                                                        std::string& why);
  ~HeadlessGl();
  HeadlessGl(const HeadlessGl&) = delete;
  HeadlessGl& operator=(const HeadlessGl&) = delete;

  void begin_frame();
  void end_frame();
  /// The last frame: RGBA rows from the top.
  [[nodiscard]] std::vector<std::uint8_t> pixels() const;

 private:
  HeadlessGl() = default;
  struct Egl;
  std::unique_ptr<Egl> egl_;
  int width_px_ = 0, height_px_ = 0;
};

}  // namespace taskscope::console::app
