#include "taskscope/console/panels/format.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace taskscope::console::panels {
namespace {

template <class... Args>
std::string print(const char* form, Args... args) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), form, args...);
  return text.data();
}

/// Three significant digits: 1.23, 12.3, 123. Rounding must not make a fourth.
std::string three_digits(double n) {
  if (n < 9.995) return print("%.2f", n);
  if (n < 99.95) return print("%.1f", n);
  return print("%.0f", n);
}

}  // namespace

std::string duration_text(std::int64_t ns) {
  if (ns < 0) return "-" + duration_text(ns == INT64_MIN ? INT64_MAX : -ns);
  const auto n = static_cast<double>(ns);
  if (ns == 0) return "0";
  if (ns < 1'000) return print("%lld ns", static_cast<long long>(ns));
  if (n < 999.5e3) return three_digits(n / 1e3) + " µs";
  if (n < 999.5e6) return three_digits(n / 1e6) + " ms";
  if (n < 60e9) return three_digits(n / 1e9) + " s";
  const long long seconds = ns / 1'000'000'000;
  if (seconds < 3600) return print("%lld min %02lld s", seconds / 60, seconds % 60);
  return print("%lld h %02lld min", seconds / 3600, seconds / 60 % 60);
}

std::string axis_text(std::int64_t ns, std::int64_t step_ns) {
  if (ns < 0) return "-" + axis_text(-ns, step_ns);
  if (step_ns < 1) step_ns = 1;
  // The decimals of a second that two neighbouring ticks differ in.
  int decimals = 0;
  for (std::int64_t unit = 1'000'000'000; unit > step_ns && decimals < 9; unit /= 10) ++decimals;
  const auto divisor = static_cast<std::int64_t>(std::pow(10, 9 - decimals));
  const std::int64_t rounded = ns / divisor * divisor;
  const long long seconds = rounded / 1'000'000'000;
  std::string text;
  if (seconds >= 3600) {
    text = print("%lld:%02lld:%02lld", seconds / 3600, seconds / 60 % 60, seconds % 60);
  } else if (seconds >= 60) {
    text = print("%lld:%02lld", seconds / 60, seconds % 60);
  } else {
    text = print("%lld", seconds);
  }
  if (decimals > 0) {
    const long long fraction = rounded % 1'000'000'000 / divisor;
    std::string digits = print("%0*lld", decimals, fraction);
    // Groups of three, so that ms, µs and ns can be told apart: 12.345 678 s
    for (int at = 3; at < decimals; at += 3) {
      digits.insert(static_cast<std::size_t>(at + at / 3 - 1), " ");
    }
    text += "." + digits;
  }
  return seconds >= 60 ? text : text + " s";
}

std::string count_text(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

std::string short_count_text(double n) {
  if (n < 0) return "-" + short_count_text(-n);
  if (n < 999.5) return print("%.0f", n);
  if (n < 999.5e3) return three_digits(n / 1e3) + " k";
  if (n < 999.5e6) return three_digits(n / 1e6) + " M";
  return three_digits(n / 1e9) + " G";
}

std::string bytes_text(double bytes) {
  if (bytes < 1000) return print("%.0f B", bytes < 0 ? 0.0 : bytes);
  for (const char* unit : {"KiB", "MiB", "GiB"}) {
    bytes /= 1024;
    if (bytes < 999.5) return three_digits(bytes) + " " + unit;
  }
  return three_digits(bytes / 1024) + " TiB";
}

std::string percent_text(double share) {
  const double percent = share * 100;
  if (percent <= 0) return "0 %";
  if (percent < 0.1) return "<0.1 %";
  return print(percent < 9.95 ? "%.1f %%" : "%.0f %%", percent);
}

std::string_view file_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string place_text(std::string_view file, std::uint32_t line) {
  if (file.empty()) return "unknown place";
  return std::string(file_name(file)) + ":" + std::to_string(line);
}

std::string short_function(std::string_view pretty) {
  // Cut at the parameters: the first '(' outside of <> that is not of "(anonymous namespace)" or of
  // "operator()".
  int depth = 0;
  std::size_t end = pretty.size();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < pretty.size(); ++at) {
    const std::string_view rest = pretty.substr(at);
    if (rest.starts_with("(anonymous namespace)::")) {
      at += std::string_view("(anonymous namespace)::").size() - 1;
      continue;
    }
    if (rest.starts_with("{anonymous}::")) {
      at += std::string_view("{anonymous}::").size() - 1;
      continue;
    }
    if (rest.starts_with("operator()")) {
      at += std::string_view("operator()").size() - 1;
      continue;
    }
    if (pretty[at] == '<') ++depth;
    if (pretty[at] == '>' && depth > 0) --depth;
    if (depth > 0) continue;
    if (pretty[at] == '(') {
      end = at;
      break;
    }
    if (pretty[at] == ' ' || pretty[at] == '*' || pretty[at] == '&') begin = at + 1;
  }
  if (begin >= end) begin = 0;
  std::string name;
  depth = 0;
  for (const char c : pretty.substr(begin, end - begin)) {
    if (c == '<') ++depth;
    if (depth == 0) name += c;
    if (c == '>' && depth > 0) --depth;
  }
  // Namespaces: the last two parts tell most.
  std::size_t colons = name.rfind("::");
  if (colons != std::string::npos && colons > 0) {
    colons = name.rfind("::", colons - 1);
    if (colons != std::string::npos) name = name.substr(colons + 2);
  }
  for (const std::string_view noise : {"(anonymous namespace)::", "{anonymous}::"}) {
    if (name.starts_with(noise)) name = name.substr(noise.size());
  }
  return name;
}

std::string short_places(std::string text) {
  for (std::size_t at = 0; at < text.size();) {
    const bool begins = text[at] == '/' && (at == 0 || text[at - 1] == ' ' || text[at - 1] == '(');
    if (!begins) {
      ++at;
      continue;
    }
    const std::size_t end = std::min(text.find_first_of(" ,;)", at), text.size());
    const std::size_t last = text.rfind('/', end - 1);
    // Only what looks like a place in a file: a name and something behind it.
    if (last != at && last + 1 < end) {
      text.erase(at, last + 1 - at);
    } else {
      at = end;
    }
  }
  return text;
}

std::string keep_tail(std::string_view text, std::size_t most) {
  if (text.size() <= most) return std::string(text);
  if (most < 4) return "…";
  std::size_t from = text.size() - (most - 3);
  while (from < text.size() && (static_cast<unsigned char>(text[from]) & 0xc0) == 0x80) ++from;
  return "…" + std::string(text.substr(from));
}

}  // namespace taskscope::console::panels
