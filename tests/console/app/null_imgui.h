/// ImGui without a window or a GPU: frames are laid out and thrown away.
#pragma once

#include <imgui.h>

#include "taskscope/console/app/fonts.h"
#include "taskscope/console/panels/theme.h"

namespace taskscope::tests {

class NullImgui {
 public:
  NullImgui(float width, float height, float scale) {
    ImGui::CreateContext();
    ImGuiIO& io = ImGui::GetIO();
    io.IniFilename = nullptr;
    io.DisplaySize = {width, height};
    io.BackendFlags |= ImGuiBackendFlags_RendererHasVtxOffset;
    console::panels::apply_style(scale);
    console::app::load_fonts(scale);
    unsigned char* pixels = nullptr;
    int w = 0, h = 0;
    io.Fonts->GetTexDataAsRGBA32(&pixels, &w, &h);
    io.Fonts->SetTexID(nullptr);
  }
  ~NullImgui() { ImGui::DestroyContext(); }
  NullImgui(const NullImgui&) = delete;
  NullImgui& operator=(const NullImgui&) = delete;

  void begin_frame() {
    ImGui::GetIO().DeltaTime = 1.0f / 60;
    ImGui::NewFrame();
  }
};

}  // namespace taskscope::tests
