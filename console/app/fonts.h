/// Loads the fonts of the theme: Inter for text, JetBrains Mono for numbers, through FreeType with
/// light hinting. Without their files (Debian: fonts-inter or fonts-roboto-unhinted,
/// fonts-jetbrains-mono) ImGui's built-in font stands in.
#pragma once

namespace taskscope::console::app {

/// Fills theme() and the atlas of the current ImGui context. Called again when the scale changes.
/// False if a font had to be replaced by the built-in one.
bool load_fonts(float scale);

}  // namespace taskscope::console::app
