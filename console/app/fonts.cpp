#include "taskscope/console/app/fonts.h"

#include <imgui.h>
#include <imgui_freetype.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <span>

#include "taskscope/console/panels/theme.h"

namespace taskscope::console::app {
namespace {

/// Latin, Greek, Cyrillic (names are anybody's), and the signs that we write ourselves.
constexpr std::array<ImWchar, 19> kRanges = {
    0x0020, 0x024f, 0x0370, 0x03ff, 0x0400, 0x04ff, 0x2010, 0x2027, 0x2030, 0x203a,
    0x2190, 0x2199, 0x2211, 0x2265, 0x25a0, 0x25ff, 0xfffd, 0xfffd, 0,
};

constexpr std::array kText = {
    "/usr/share/fonts/opentype/inter/Inter-Regular.otf",
    "/usr/share/fonts/truetype/roboto/unhinted/RobotoTTF/Roboto-Regular.ttf"};
constexpr std::array kStrong = {
    "/usr/share/fonts/opentype/inter/Inter-SemiBold.otf",
    "/usr/share/fonts/truetype/roboto/unhinted/RobotoTTF/Roboto-Medium.ttf"};
constexpr std::array kMono = {"/usr/share/fonts/truetype/jetbrains-mono/JetBrainsMono-Regular.ttf",
                              "/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"};

ImFont* load(std::span<const char* const> files, float size_px, bool& complete) {
  ImGuiIO& io = ImGui::GetIO();
  ImFontConfig config;
  config.FontBuilderFlags = ImGuiFreeTypeBuilderFlags_LightHinting;
  config.EllipsisChar = 0x2026;
  for (const char* file : files) {
    if (access(file, R_OK) != 0) continue;
    if (ImFont* font =
            io.Fonts->AddFontFromFileTTF(file, std::round(size_px), &config, kRanges.data())) {
      return font;
    }
  }
  complete = false;
  ImFontConfig builtin;
  builtin.SizePixels = std::round(size_px);
  return io.Fonts->AddFontDefault(&builtin);
}

}  // namespace

bool load_fonts(float scale) {
  ImGuiIO& io = ImGui::GetIO();
  io.Fonts->Clear();
  io.Fonts->FontBuilderIO = ImGuiFreeType::GetBuilderForFreeType();
  io.Fonts->TexGlyphPadding = 1;
  bool complete = true;
  panels::Theme& theme = panels::theme();
  theme.text = load(kText, 15 * scale, complete);
  theme.strong = load(kStrong, 15 * scale, complete);
  theme.small = load(kText, 13 * scale, complete);
  theme.title = load(kStrong, 26 * scale, complete);
  theme.mono = load(kMono, 14 * scale, complete);
  theme.small_mono = load(kMono, 12 * scale, complete);
  io.FontDefault = theme.text;
  return complete;
}

}  // namespace taskscope::console::app
