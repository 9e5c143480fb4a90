/// Reads back what text a frame drew, from its vertices, and says where it is cut or overlaps.
///
/// Nothing has to announce its text: whoever draws a glyph is seen, our panels and ImGui's own
/// widgets alike. A glyph's place in the font atlas tells which one it is.
#pragma once

#include <imgui.h>

#include <string>
#include <vector>

namespace taskscope::console::app {

struct TextRun {
  std::string text;
  float x = 0, y = 0, width = 0, height = 0;  ///< the line's box: advance widths, font height
  float ink_x1 = 0, ink_y1 = 0, ink_x2 = 0, ink_y2 = 0;  ///< what the glyphs cover
  float clip_x1 = 0, clip_y1 = 0, clip_x2 = 0, clip_y2 = 0;
  std::string window;   ///< ImGui's name of the window that drew it
  bool halved = false;  ///< a glyph was cut before it was drawn
};

/// All text of the frame in the order it was drawn; runs entirely out of sight are left out.
[[nodiscard]] std::vector<TextRun> text_runs(const ImDrawData& frame, const ImFontAtlas& atlas);

/// Sentences about text that is cut by an edge (but not above or below in what scrolls), and about
/// pairs that lie on each other. Empty: all is well.
[[nodiscard]] std::vector<std::string> audit_text(const std::vector<TextRun>& runs);

}  // namespace taskscope::console::app
