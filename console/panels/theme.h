/// How ImGui looks here: one style, five fonts, one scale.
#pragma once

#include <imgui.h>

#include "taskscope/console/panels/palette.h"

namespace taskscope::console::panels {

/// Filled by the app when it loads fonts; panels only read it. Pointers are never null once a frame
/// begins: without the fonts' files all are ImGui's built-in one.
struct Theme {
  ImFont* text = nullptr;    ///< Inter 15
  ImFont* strong = nullptr;  ///< Inter SemiBold 15
  ImFont* small = nullptr;   ///< Inter 12.5
  ImFont* title = nullptr;   ///< Inter SemiBold 24
  ImFont* mono = nullptr;    ///< JetBrains Mono 14: numbers, ids, places
  ImFont* small_mono = nullptr;
  float scale = 1;
};

[[nodiscard]] Theme& theme();

/// Pixels of a length that was designed at scale 1, whole.
[[nodiscard]] float px(float length);

/// Colours, paddings and roundings for the current scale. After ImGui::CreateContext.
void apply_style(float scale);

[[nodiscard]] inline ImVec4 vec(Colour colour) { return ImGui::ColorConvertU32ToFloat4(colour); }

/// Scoped font and text colour.
class TextStyle {
 public:
  TextStyle(ImFont* font, Colour colour) {
    ImGui::PushFont(font);
    ImGui::PushStyleColor(ImGuiCol_Text, colour);
  }
  ~TextStyle() {
    ImGui::PopStyleColor();
    ImGui::PopFont();
  }
  TextStyle(const TextStyle&) = delete;
  TextStyle& operator=(const TextStyle&) = delete;
};

}  // namespace taskscope::console::panels
