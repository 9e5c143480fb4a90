#include "taskscope/console/app/png_file.h"

#include <png.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <vector>

namespace taskscope::console::app {

std::string write_png(const std::string& path, std::span<const std::uint8_t> rgba, int width_px,
                      int height_px) {
  const std::size_t pixels =
      static_cast<std::size_t>(width_px) * static_cast<std::size_t>(height_px);
  assert(rgba.size() == pixels * 4);
  std::vector<std::uint8_t> rgb(pixels * 3);
  for (std::size_t i = 0; i < pixels; ++i) std::memcpy(&rgb[i * 3], &rgba[i * 4], 3);

  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width_px);
  image.height = static_cast<png_uint_32>(height_px);
  image.format = PNG_FORMAT_RGB;
  errno = 0;
  if (png_image_write_to_file(&image, path.c_str(), 0, rgb.data(), 0, nullptr) == 0) {
    const std::string why = errno != 0 ? std::strerror(errno) : image.message;
    png_image_free(&image);
    return "cannot write " + path + ": " + why;
  }
  return {};
}

}  // namespace taskscope::console::app
