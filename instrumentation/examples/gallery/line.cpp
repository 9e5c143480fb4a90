#include "taskscope/instrumentation/examples/gallery/line.h"

#include <cstdio>

namespace taskscope::gallery {

std::string place(const Site& site) {
  return std::string(site.file_name()) + ':' + std::to_string(site.line());
}

std::string counted(std::size_t count, std::string_view what) {
  return std::to_string(count) + ' ' + std::string(what) + (count == 1 ? "" : "s");
}

Line& Line::text(std::string_view key, std::string_view value) {
  std::string quoted = "\"";
  for (const char letter : value) {
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return raw(key, quoted + '"');
}

Line& Line::raw(std::string_view key, std::string_view json) {
  if (!fields_.empty()) fields_ += ',';
  fields_ += '"';
  fields_ += key;
  fields_ += "\":";
  fields_ += json;
  return *this;
}

void Line::print() const {
  std::puts(object().c_str());
  std::fflush(stdout);
}

}  // namespace taskscope::gallery
