#include "taskscope/console/panels/theme.h"

#include <cmath>

namespace taskscope::console::panels {

Theme& theme() {
  static Theme the_theme;
  return the_theme;
}

float px(float length) { return std::round(length * theme().scale); }

void apply_style(float scale) {
  theme().scale = scale;
  ImGuiStyle style;
  style.WindowPadding = {0, 0};
  style.FramePadding = {9, 5};
  style.ItemSpacing = {8, 6};
  style.ItemInnerSpacing = {6, 4};
  style.CellPadding = {8, 4};
  style.IndentSpacing = 16;
  style.ScrollbarSize = 11;
  style.GrabMinSize = 24;
  style.WindowBorderSize = 0;
  style.ChildBorderSize = 0;
  style.PopupBorderSize = 1;
  style.FrameBorderSize = 0;
  style.WindowRounding = 0;
  style.ChildRounding = 0;
  style.FrameRounding = 4;
  style.PopupRounding = 6;
  style.ScrollbarRounding = 6;
  style.GrabRounding = 4;
  style.TabRounding = 4;
  style.ScaleAllSizes(scale);

  struct {
    ImGuiCol which;
    Colour is;
  } const colours[] = {
      {ImGuiCol_Text, colour::kText},
      {ImGuiCol_TextDisabled, colour::kFaint},
      {ImGuiCol_WindowBg, colour::kBackground},
      {ImGuiCol_ChildBg, 0},
      {ImGuiCol_PopupBg, rgb(0x1f252d, 250)},
      {ImGuiCol_Border, colour::kStrongLine},
      {ImGuiCol_FrameBg, colour::kRaised},
      {ImGuiCol_FrameBgHovered, colour::kHover},
      {ImGuiCol_FrameBgActive, colour::kPressed},
      {ImGuiCol_ScrollbarBg, 0},
      {ImGuiCol_ScrollbarGrab, rgb(0x343d49)},
      {ImGuiCol_ScrollbarGrabHovered, rgb(0x465262)},
      {ImGuiCol_ScrollbarGrabActive, rgb(0x566478)},
      {ImGuiCol_CheckMark, colour::kAccent},
      {ImGuiCol_Button, colour::kRaised},
      {ImGuiCol_ButtonHovered, colour::kHover},
      {ImGuiCol_ButtonActive, colour::kPressed},
      {ImGuiCol_Header, colour::kSelection},
      {ImGuiCol_HeaderHovered, colour::kHover},
      {ImGuiCol_HeaderActive, colour::kSelection},
      {ImGuiCol_Separator, colour::kLine},
      {ImGuiCol_SeparatorHovered, colour::kAccent},
      {ImGuiCol_SeparatorActive, colour::kAccent},
      {ImGuiCol_TableHeaderBg, colour::kHeader},
      {ImGuiCol_TableBorderStrong, colour::kLine},
      {ImGuiCol_TableBorderLight, colour::kLine},
      {ImGuiCol_TableRowBg, 0},
      {ImGuiCol_TableRowBgAlt, rgb(0xffffff, 5)},
      {ImGuiCol_TextSelectedBg, rgb(0x2f5d8f)},
      {ImGuiCol_NavHighlight, colour::kAccent},
      {ImGuiCol_ResizeGrip, 0},
  };
  for (const auto& [which, is] : colours) style.Colors[which] = vec(is);
  ImGui::GetStyle() = style;
}

}  // namespace taskscope::console::panels
