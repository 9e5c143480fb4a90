#include "taskscope/console/panels/widgets.h"

#include <imgui_internal.h>

#include <algorithm>
#include <cmath>

namespace taskscope::console::panels {
namespace {

constexpr std::string_view kEllipsis = "…";

/// Bytes of `text` that fit, never half of a character.
std::size_t fitting(ImFont* font, std::string_view text, float width) {
  std::size_t low = 0, high = text.size();
  while (low < high) {
    std::size_t middle = low + (high - low + 1) / 2;
    while (middle < text.size() && (static_cast<unsigned char>(text[middle]) & 0xc0) == 0x80) {
      ++middle;
    }
    if (middle > high) {
      high = low + (high - low) / 2;
      while (high > low && (static_cast<unsigned char>(text[high]) & 0xc0) == 0x80) --high;
      if (text_width(font, text.substr(0, high)) <= width) return high;
      high = high > 0 ? high - 1 : 0;
      continue;
    }
    if (text_width(font, text.substr(0, middle)) <= width) {
      low = middle;
    } else {
      high = middle - 1;
      while (high > 0 && (static_cast<unsigned char>(text[high]) & 0xc0) == 0x80) --high;
    }
  }
  return low;
}

Colour background_of(ButtonLook look, bool on, bool hovered, bool held) {
  if (held) return colour::kPressed;
  switch (look) {
    case ButtonLook::Plain:
      return on ? colour::kSelection : hovered ? colour::kHover : colour::kRaised;
    case ButtonLook::Strong:
      return hovered ? rgb(0x3a78c2) : rgb(0x2f67ab);
    case ButtonLook::Quiet:
      return on ? colour::kSelection : hovered ? colour::kHover : 0;
    case ButtonLook::Danger:
      return hovered ? rgb(0x7d3431) : rgb(0x5f2b2a);
  }
  return colour::kRaised;
}

bool any_button(const char* id, bool has_icon, Icon icon, std::string_view label, ButtonLook look,
                bool on, const char* tip) {
  const float height = px(28);
  const ImVec2 size{button_width(has_icon, label), height};
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const bool clicked = ImGui::InvisibleButton(id, size);
  const bool hovered = ImGui::IsItemHovered(), held = ImGui::IsItemActive();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (const Colour fill = background_of(look, on, hovered, held); fill != 0) {
    draw->AddRectFilled(at, {at.x + size.x, at.y + size.y}, fill, px(4));
  }
  const bool enabled_colour = look != ButtonLook::Quiet || on || hovered;
  const Colour ink = enabled_colour ? colour::kText : colour::kDim;
  float x = at.x + px(10);
  if (has_icon) {
    const bool red = icon == Icon::Record || icon == Icon::Stop;
    draw_icon(draw, icon, {x + px(6), at.y + height / 2}, px(11), red ? colour::kTrouble : ink);
    x += px(12) + (label.empty() ? 0 : px(7));
  }
  ImFont* font = theme().text;
  draw_text(draw, font, ink, {x, at.y + std::floor((height - font->FontSize) / 2)},
            at.x + size.x - x, label);
  if (tip != nullptr && hovered) tooltip(tip);
  return clicked;
}

}  // namespace

float text_width(ImFont* font, std::string_view text) {
  if (text.empty()) return 0;
  return font->CalcTextSizeA(font->FontSize, FLT_MAX, 0, text.data(), text.data() + text.size()).x;
}

bool draw_text(ImDrawList* draw, ImFont* font, Colour colour, ImVec2 at, float width,
               std::string_view text, Align align) {
  at.x = std::round(at.x);
  at.y = std::round(at.y);
  const float whole = text_width(font, text);
  if (whole <= width + 0.5f) {
    if (align == Align::Right) at.x = std::floor(at.x + width - whole);
    if (align == Align::Centre) at.x = std::floor(at.x + (width - whole) / 2);
    draw->AddText(font, font->FontSize, at, colour, text.data(), text.data() + text.size());
    return false;
  }
  const float room = width - text_width(font, kEllipsis);
  if (room < 0) return true;
  std::string cut(text.substr(0, fitting(font, text, room)));
  while (!cut.empty() && cut.back() == ' ') cut.pop_back();
  cut += kEllipsis;
  draw->AddText(font, font->FontSize, at, colour, cut.data(), cut.data() + cut.size());
  return true;
}

void text_item(ImFont* font, Colour colour, std::string_view text, float width, Align align) {
  if (width <= 0) width = ImGui::GetContentRegionAvail().x;
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const bool cut = draw_text(ImGui::GetWindowDrawList(), font, colour, at, width, text, align);
  ImGui::Dummy({width, font->FontSize});
  if (cut && ImGui::IsItemHovered()) tooltip(text);
}

void draw_hatch(ImDrawList* draw, ImVec2 from, ImVec2 to, Colour colour, float step) {
  const float width = to.x - from.x, height = to.y - from.y;
  if (width < 2 || height < 2) return;
  step = std::max(step, 3.0f);
  // Aligned to the screen, so that neighbours and scrolling keep one pattern; bounded in number.
  const float first = std::ceil((from.x + from.y) / step) * step;
  const float last = to.x + to.y;
  int lines = 0;
  for (float sum = first; sum < last && lines < 600; sum += step, ++lines) {
    // The line x + y = sum within the rectangle.
    const float x1 = std::max(from.x, sum - to.y), x2 = std::min(to.x, sum - from.y);
    if (x2 - x1 < 0.5f) continue;
    draw->AddLine({x1, sum - x1}, {x2, sum - x2}, colour, 1);
  }
}

void draw_icon(ImDrawList* draw, Icon icon, ImVec2 c, float size, Colour colour) {
  const float r = size / 2;
  c.x = std::round(c.x);
  c.y = std::round(c.y);
  switch (icon) {
    case Icon::Triangle:
      draw->AddTriangleFilled({c.x - r * 0.5f, c.y - r * 0.8f}, {c.x + r * 0.7f, c.y},
                              {c.x - r * 0.5f, c.y + r * 0.8f}, colour);
      break;
    case Icon::TriangleDown:
      draw->AddTriangleFilled({c.x - r * 0.8f, c.y - r * 0.5f}, {c.x + r * 0.8f, c.y - r * 0.5f},
                              {c.x, c.y + r * 0.7f}, colour);
      break;
    case Icon::Record:
      draw->AddCircleFilled(c, r, colour, 20);
      break;
    case Icon::Stop:
      draw->AddRectFilled({c.x - r * 0.8f, c.y - r * 0.8f}, {c.x + r * 0.8f, c.y + r * 0.8f},
                          colour, 1);
      break;
    case Icon::Pause:
      draw->AddRectFilled({c.x - r * 0.75f, c.y - r * 0.85f}, {c.x - r * 0.2f, c.y + r * 0.85f},
                          colour);
      draw->AddRectFilled({c.x + r * 0.2f, c.y - r * 0.85f}, {c.x + r * 0.75f, c.y + r * 0.85f},
                          colour);
      break;
    case Icon::Play:
      draw->AddTriangleFilled({c.x - r * 0.6f, c.y - r * 0.9f}, {c.x + r * 0.9f, c.y},
                              {c.x - r * 0.6f, c.y + r * 0.9f}, colour);
      break;
    case Icon::Back:
    case Icon::Forward: {
      const float d = icon == Icon::Back ? -1.0f : 1.0f;
      draw->AddLine({c.x - d * r * 0.8f, c.y}, {c.x + d * r * 0.8f, c.y}, colour, px(1.5f));
      draw->AddLine({c.x + d * r * 0.1f, c.y - r * 0.7f}, {c.x + d * r * 0.85f, c.y}, colour,
                    px(1.5f));
      draw->AddLine({c.x + d * r * 0.1f, c.y + r * 0.7f}, {c.x + d * r * 0.85f, c.y}, colour,
                    px(1.5f));
      break;
    }
    case Icon::Close:
    case Icon::Cross:
      draw->AddLine({c.x - r * 0.65f, c.y - r * 0.65f}, {c.x + r * 0.65f, c.y + r * 0.65f}, colour,
                    px(1.5f));
      draw->AddLine({c.x - r * 0.65f, c.y + r * 0.65f}, {c.x + r * 0.65f, c.y - r * 0.65f}, colour,
                    px(1.5f));
      break;
    case Icon::Dot:
      draw->AddCircleFilled(c, r * 0.75f, colour, 16);
      break;
    case Icon::Ring:
      draw->AddCircle(c, r * 0.75f, colour, 16, px(1.5f));
      break;
    case Icon::Search:
      draw->AddCircle({c.x - r * 0.2f, c.y - r * 0.2f}, r * 0.6f, colour, 16, px(1.5f));
      draw->AddLine({c.x + r * 0.25f, c.y + r * 0.25f}, {c.x + r * 0.85f, c.y + r * 0.85f}, colour,
                    px(1.5f));
      break;
    case Icon::File:
      draw->AddRect({c.x - r * 0.65f, c.y - r * 0.85f}, {c.x + r * 0.65f, c.y + r * 0.85f}, colour,
                    1, 0, px(1.3f));
      draw->AddLine({c.x - r * 0.3f, c.y - r * 0.25f}, {c.x + r * 0.3f, c.y - r * 0.25f}, colour,
                    1);
      draw->AddLine({c.x - r * 0.3f, c.y + r * 0.25f}, {c.x + r * 0.3f, c.y + r * 0.25f}, colour,
                    1);
      break;
    case Icon::Severe: {
      ImVec2 corners[8];
      for (int i = 0; i < 8; ++i) {
        const float angle = (static_cast<float>(i) + 0.5f) * 0.7853982f;
        corners[i] = {c.x + r * 1.08f * std::cos(angle), c.y + r * 1.08f * std::sin(angle)};
      }
      draw->AddConvexPolyFilled(corners, 8, colour);
      draw->AddRectFilled({c.x - r * 0.6f, c.y - r * 0.2f}, {c.x + r * 0.6f, c.y + r * 0.2f},
                          colour::kPanel);
      break;
    }
    case Icon::Serious:
      draw->AddTriangleFilled({c.x, c.y - r}, {c.x + r * 1.1f, c.y + r * 0.85f},
                              {c.x - r * 1.1f, c.y + r * 0.85f}, colour);
      draw->AddRectFilled({c.x - r * 0.14f, c.y - r * 0.4f}, {c.x + r * 0.14f, c.y + r * 0.25f},
                          colour::kPanel);
      draw->AddRectFilled({c.x - r * 0.14f, c.y + r * 0.42f}, {c.x + r * 0.14f, c.y + r * 0.66f},
                          colour::kPanel);
      break;
    case Icon::Minor:
      draw->AddCircleFilled(c, r, colour, 20);
      draw->AddRectFilled({c.x - r * 0.15f, c.y - r * 0.6f}, {c.x + r * 0.15f, c.y - r * 0.32f},
                          colour::kPanel);
      draw->AddRectFilled({c.x - r * 0.15f, c.y - r * 0.12f}, {c.x + r * 0.15f, c.y + r * 0.62f},
                          colour::kPanel);
      break;
    case Icon::Rules: {
      const float at[] = {0.35f, -0.35f, 0.1f};
      for (int i = 0; i < 3; ++i) {
        const float y = c.y + r * 0.65f * static_cast<float>(i - 1);
        draw->AddLine({c.x - r * 0.9f, y}, {c.x + r * 0.9f, y}, colour, px(1.2f));
        draw->AddCircleFilled({c.x + r * at[i], y}, r * 0.26f, colour, 10);
      }
      break;
    }
    case Icon::Branch:
      draw->AddLine({c.x - r * 0.6f, c.y}, {c.x + r * 0.6f, c.y - r * 0.6f}, colour, px(1.3f));
      draw->AddLine({c.x - r * 0.6f, c.y}, {c.x + r * 0.6f, c.y + r * 0.6f}, colour, px(1.3f));
      draw->AddCircleFilled({c.x - r * 0.65f, c.y}, r * 0.35f, colour, 10);
      draw->AddCircleFilled({c.x + r * 0.65f, c.y - r * 0.65f}, r * 0.35f, colour, 10);
      draw->AddCircleFilled({c.x + r * 0.65f, c.y + r * 0.65f}, r * 0.35f, colour, 10);
      break;
    case Icon::Target:
      draw->AddCircle(c, r * 0.55f, colour, 16, px(1.4f));
      for (const float d : {-1.0f, 1.0f}) {
        draw->AddLine({c.x + d * r * 0.55f, c.y}, {c.x + d * r, c.y}, colour, px(1.4f));
        draw->AddLine({c.x, c.y + d * r * 0.55f}, {c.x, c.y + d * r}, colour, px(1.4f));
      }
      break;
    case Icon::Stack:
      for (const float y : {-0.6f, 0.0f, 0.6f}) {
        draw->AddRectFilled({c.x - r * 0.8f, c.y + r * y - px(1)},
                            {c.x + r * (y < 0   ? 0.8f
                                        : y > 0 ? 0.1f
                                                : 0.45f),
                             c.y + r * y + px(1)},
                            colour);
      }
      break;
  }
}

float button_width(bool icon, std::string_view label) {
  float width = px(20) + std::ceil(text_width(theme().text, label));
  if (icon) width += px(12) + (label.empty() ? 0 : px(7));
  return width;
}

bool button(const char* id, Icon icon, std::string_view label, ButtonLook look, bool on,
            const char* tip) {
  return any_button(id, true, icon, label, look, on, tip);
}

bool text_button(const char* id, std::string_view label, ButtonLook look, bool on,
                 const char* tip) {
  return any_button(id, false, Icon::Dot, label, look, on, tip);
}

float chip_width(std::string_view text) {
  return px(27) + std::ceil(text_width(theme().small, text));
}

void chip(std::string_view text, Colour colour, Icon icon) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const ImVec2 size{chip_width(text), px(22)};
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw->AddRectFilled(at, {at.x + size.x, at.y + size.y}, with_alpha(colour, 0.16f), px(11));
  draw_icon(draw, icon, {at.x + px(12), at.y + size.y / 2}, px(9), colour);
  ImFont* font = theme().small;
  draw_text(draw, font, mixed(colour, colour::kText, 0.55f),
            {at.x + px(19), at.y + std::floor((size.y - font->FontSize) / 2)}, size.x, text);
  ImGui::Dummy(size);
}

bool begin_tooltip(float width) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(px(12), px(10)));
  if (width > 0) ImGui::SetNextWindowSize({width, 0});
  ImGui::BeginTooltip();
  return true;
}

void end_tooltip() {
  // A tooltip has the size of what it held a frame ago. One that holds more now would be cut for
  // that frame: it is shown again from the next one on, whole.
  ImGuiWindow* window = ImGui::GetCurrentWindow();
  const ImVec2 begin = window->DC.CursorStartPos, end = window->DC.CursorMaxPos;
  const bool grew = end.x - begin.x > window->ContentSize.x + 0.5f ||
                    end.y - begin.y > window->ContentSize.y + 0.5f;
  if (grew) window->Hidden = true;
  ImGui::EndTooltip();
  ImGui::PopStyleVar();
}

void tooltip_line(std::string_view label, std::string_view value) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImFont* left = theme().small;
  ImFont* right = theme().small_mono;
  const float column = px(92);
  const float width = std::ceil(text_width(right, value));
  ImDrawList* draw = ImGui::GetWindowDrawList();
  draw_text(draw, left, colour::kFaint, at, column, label);
  draw_text(draw, right, colour::kText,
            {at.x + column, at.y + std::floor((left->FontSize - right->FontSize) / 2)}, width + 1,
            value);
  ImGui::Dummy({column + width, left->FontSize});
}

void tooltip(std::string_view text) {
  if (!begin_tooltip()) return;
  ImGui::PushTextWrapPos(px(420));
  ImGui::TextUnformatted(text.data(), text.data() + text.size());
  ImGui::PopTextWrapPos();
  end_tooltip();
}

void heading(std::string_view text, std::string_view right) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float width = ImGui::GetContentRegionAvail().x;
  ImDrawList* draw = ImGui::GetWindowDrawList();
  ImFont* font = theme().small;
  const float right_width = right.empty() ? 0 : std::ceil(text_width(font, right));
  const float left_width = width - (right.empty() ? 0 : right_width + px(10));
  draw_text(draw, font, colour::kDim, at, left_width, text);
  if (!right.empty()) {
    draw_text(draw, font, colour::kFaint,
              {at.x + width - std::min(right_width, width * 0.6f), at.y},
              std::min(right_width, width * 0.6f), right);
  }
  const float y = at.y + font->FontSize + px(4);
  draw->AddLine({at.x, y}, {at.x + width, y}, colour::kLine, 1);
  ImGui::Dummy({width, font->FontSize + px(7)});
}

void empty_note(std::string_view title, std::string_view text) {
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const ImVec2 room = ImGui::GetContentRegionAvail();
  ImDrawList* draw = ImGui::GetWindowDrawList();
  const float y = at.y + std::max(px(16), room.y * 0.38f);
  draw_text(draw, theme().strong, colour::kDim, {at.x + px(16), y}, room.x - px(32), title,
            Align::Centre);
  draw_text(draw, theme().small, colour::kFaint, {at.x + px(16), y + px(24)}, room.x - px(32), text,
            Align::Centre);
}

bool splitter(const char* id, bool vertical, ImVec2 at, float length, float whole, float& share,
              float least, float most) {
  const float grip = px(6);
  const ImVec2 size = vertical ? ImVec2{grip, length} : ImVec2{length, grip};
  const ImVec2 from = vertical ? ImVec2{at.x - grip / 2, at.y} : ImVec2{at.x, at.y - grip / 2};
  ImGui::SetCursorScreenPos(from);
  ImGui::InvisibleButton(id, size);
  const bool active = ImGui::IsItemActive(), hovered = ImGui::IsItemHovered();
  if (active || hovered) {
    ImGui::SetMouseCursor(vertical ? ImGuiMouseCursor_ResizeEW : ImGuiMouseCursor_ResizeNS);
  }
  const Colour ink = active || hovered ? colour::kAccent : colour::kBackground;
  const float thick = active || hovered ? px(2) : px(1);
  ImDrawList* draw = ImGui::GetWindowDrawList();
  if (vertical) {
    draw->AddRectFilled({at.x - thick / 2, at.y}, {at.x + thick / 2, at.y + length}, ink);
  } else {
    draw->AddRectFilled({at.x, at.y - thick / 2}, {at.x + length, at.y + thick / 2}, ink);
  }
  if (!active || whole <= 0) return false;
  const ImVec2 moved = ImGui::GetIO().MouseDelta;
  share = std::clamp(share + (vertical ? moved.x : moved.y) / whole, least, most);
  return true;
}

}  // namespace taskscope::console::panels
