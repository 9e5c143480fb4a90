/// Writes pictures.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace taskscope::console::app {

/// Rows from the top, RGBA without gaps; alpha is not kept. Empty on success, else a sentence that
/// says what is wrong.
[[nodiscard]] std::string write_png(const std::string& path, std::span<const std::uint8_t> rgba,
                                    int width_px, int height_px);

}  // namespace taskscope::console::app
