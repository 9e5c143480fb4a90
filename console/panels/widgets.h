/// The few shapes that all panels draw with. Text that has no room ends in an ellipsis and shows
/// whole in a tooltip; nothing is ever cut by an edge.
#pragma once

#include <imgui.h>

#include <string>
#include <string_view>

#include "taskscope/console/panels/theme.h"

namespace taskscope::console::panels {

[[nodiscard]] float text_width(ImFont* font, std::string_view text);

enum class Align : unsigned char { Left, Right, Centre };

/// Draws at most `width` of the text from `at` (its top left corner) on. True if it was shortened.
bool draw_text(ImDrawList* draw, ImFont* font, Colour colour, ImVec2 at, float width,
               std::string_view text, Align align = Align::Left);

/// The same as an item of the current layout, `width` wide (0: what is left), with a tooltip when
/// shortened.
void text_item(ImFont* font, Colour colour, std::string_view text, float width = 0,
               Align align = Align::Left);

/// Diagonal lines within a rectangle: the second channel for "lost" and "holds up".
void draw_hatch(ImDrawList* draw, ImVec2 from, ImVec2 to, Colour colour, float step);

enum class Icon : unsigned char {
  Triangle,      ///< closed group
  TriangleDown,  ///< open group
  Record,
  Stop,
  Pause,
  Play,
  Back,
  Forward,
  Close,
  Dot,
  Ring,
  Cross,
  Search,
  File,
  Stack,
  Severe,   ///< an octagon with a bar, as a road sign
  Serious,  ///< a triangle with a mark
  Minor,    ///< a disc with an i
  Rules,    ///< sliders
  Target,   ///< frames something
  Branch,   ///< who waits for whom
};
void draw_icon(ImDrawList* draw, Icon icon, ImVec2 centre, float size, Colour colour);

enum class ButtonLook : unsigned char { Plain, Strong, Quiet, Danger };
/// An icon and a label in a frame of the theme's height. `on` draws it pressed.
[[nodiscard]] bool button(const char* id, Icon icon, std::string_view label,
                          ButtonLook look = ButtonLook::Plain, bool on = false,
                          const char* tooltip = nullptr);
/// Without an icon.
[[nodiscard]] bool text_button(const char* id, std::string_view label,
                               ButtonLook look = ButtonLook::Plain, bool on = false,
                               const char* tooltip = nullptr);
[[nodiscard]] float button_width(bool icon, std::string_view label);

/// A small filled frame with a dot and a word in it: a state.
void chip(std::string_view text, Colour colour, Icon icon = Icon::Dot);
[[nodiscard]] float chip_width(std::string_view text);

/// A tooltip with the theme's padding; call end_tooltip only if this is true.
[[nodiscard]] bool begin_tooltip(float width = 0);
void end_tooltip();
/// One line of a tooltip: a dim label, a value in the font for numbers.
void tooltip_line(std::string_view label, std::string_view value);
/// A plain sentence under the pointer.
void tooltip(std::string_view text);

/// A dim heading above a part of a panel, with a line.
void heading(std::string_view text, std::string_view right = {});

/// Lines in the middle of the free space, for panels that have nothing to show.
void empty_note(std::string_view title, std::string_view text);

/// A bar that moves the border between two parts; `share` is the first one's. True while dragged.
bool splitter(const char* id, bool vertical, ImVec2 at, float length, float whole, float& share,
              float least, float most);

}  // namespace taskscope::console::panels
