/// What the gallery is asked for.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "taskscope/instrumentation/examples/gallery/shape.h"

namespace taskscope::gallery {

class Curator;

/// Something that can be planted: a trouble, or a decoy that only looks like one.
struct Exhibit {
  std::string_view name;  ///< --name, or --decoy name
  std::string_view what;  ///< a line of --help
  void (*plant)(Curator&, Shape&);
  bool by_default = true;  ///< planted when nobody says what
};

/// In the order in which they are planted: those that take a worker for themselves come last.
[[nodiscard]] std::span<const Exhibit> troubles() noexcept;
[[nodiscard]] std::span<const Exhibit> decoys() noexcept;

struct Options {
  std::vector<const Exhibit*> planted;  ///< decoys, then troubles
  std::uint64_t seed = 1;
  std::uint64_t count = 1;  ///< of each, with seeds that follow each other
  std::size_t load = 100;
  std::uint32_t workers = 4;
  std::optional<std::chrono::seconds> open_for;  ///< after the planting; without: until a signal
  std::chrono::milliseconds block{2000};
  bool help = false;
};

/// Nothing: `what` says what is wrong with the arguments (without the program's name).
[[nodiscard]] std::optional<Options> parse(std::span<char* const> arguments, std::string& what);
[[nodiscard]] std::string usage();

}  // namespace taskscope::gallery
