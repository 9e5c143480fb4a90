/// Thresholds of findings as settings: names and values as people write them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "taskscope/console/analysis/findings.h"

namespace taskscope::console::analysis {

struct Setting {
  std::string_view name;  ///< "blocking-poll"
  std::string_view what;  ///< a line of help
  /// Where it lies. One of the three: a time in ns, a number of bytes, a count.
  std::int64_t Thresholds::* time_ns = nullptr;
  std::uint32_t Thresholds::* bytes = nullptr;
  std::size_t Thresholds::* count = nullptr;
};

[[nodiscard]] std::span<const Setting> settings();

/// Sets what `assignment` says: "blocking-poll=25ms", "large-frame=128KiB". What is wrong with it
/// otherwise: begins in lower case, no full stop.
[[nodiscard]] std::optional<std::string> set(Thresholds& thresholds, std::string_view assignment);

/// As set() takes it: "10ms", "64KiB", "100".
[[nodiscard]] std::string value_words(const Thresholds& thresholds, const Setting& setting);

}  // namespace taskscope::console::analysis
