/// Numbers as people read them: short, with a unit, never more digits than mean something.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace taskscope::console::panels {

/// "0", "840 ns", "12.3 µs", "4.56 ms", "1.234 s", "2 min 03 s", "1 h 02 min". Negative gets a
/// minus.
[[nodiscard]] std::string duration_text(std::int64_t ns);

/// A place on the axis, told to the precision that `step_ns` (the distance of its ticks) needs:
/// "12.340 s", "1:02.5", "840 µs".
[[nodiscard]] std::string axis_text(std::int64_t ns, std::int64_t step_ns);

/// "1,234,567".
[[nodiscard]] std::string count_text(std::uint64_t n);

/// At most four characters and a unit: "999", "12.3 k", "4.56 M", "1.2 G".
[[nodiscard]] std::string short_count_text(double n);

/// Powers of 1024: "0 B", "640 B", "12.3 KiB", "4.5 MiB".
[[nodiscard]] std::string bytes_text(double bytes);

/// "0 %", "0.4 %", "12 %", "100 %".
[[nodiscard]] std::string percent_text(double share);

/// The last part of a path: what a column has room for; a tooltip has the rest.
[[nodiscard]] std::string_view file_name(std::string_view path);

/// "server.cpp:42"; "unknown place" when there is no file.
[[nodiscard]] std::string place_text(std::string_view file, std::uint32_t line);

/// A function's name without its parameters, return type and template arguments: what fits on a
/// lane.
[[nodiscard]] std::string short_function(std::string_view pretty);

/// A sentence with the last parts of the paths in it: "at /src/server.cpp:42" becomes
/// "at server.cpp:42".
[[nodiscard]] std::string short_places(std::string text);

/// What differs from its neighbours in a list of paths is at the end: keeps the tail, after an
/// ellipsis, within `most` bytes.
[[nodiscard]] std::string keep_tail(std::string_view text, std::size_t most);

}  // namespace taskscope::console::panels
