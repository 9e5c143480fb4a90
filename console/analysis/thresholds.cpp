#include "taskscope/console/analysis/thresholds.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace taskscope::console::analysis {
namespace {

constexpr Setting kSettings[] = {
    {"blocking-poll", "a poll blocks when it takes longer", &Thresholds::blocking_poll_ns, {}, {}},
    {"first-poll",
     "a task's first poll never ends when it takes longer",
     &Thresholds::first_poll_ns,
     {},
     {}},
    {"never-yielded",
     "any other poll never ends when it takes longer",
     &Thresholds::never_yielded_ns,
     {},
     {}},
    {"starvation",
     "a task starves when it is queued for longer",
     &Thresholds::starvation_ns,
     {},
     {}},
    {"certain-delay",
     "what lasts longer is no lack of processor",
     &Thresholds::certain_delay_ns,
     {},
     {}},
    {"certain-wait",
     "who waits longer behind what is slow, certainly does",
     &Thresholds::certain_wait_ns,
     {},
     {}},
    {"slow-send",
     "a consumer is slow when a sender waits longer",
     &Thresholds::slow_send_ns,
     {},
     {}},
    {"permit-wait",
     "forgotten permits are told when a task waits longer",
     &Thresholds::permit_wait_ns,
     {},
     {}},
    {"orphan", "a wait for what the dead left is told after", &Thresholds::orphan_ns, {}, {}},
    {"recent", "what is over stays a finding for", &Thresholds::recent_ns, {}, {}},
    {"large-frame", "a task's allocation is large beyond", {}, &Thresholds::large_frame_bytes, {}},
    {"self-wakes",
     "a task wakes itself too often beyond, a second",
     {},
     {},
     &Thresholds::self_wakes_per_s},
    {"timers-in-a-tick",
     "timers of one await in one ms are a burst from",
     {},
     {},
     &Thresholds::timers_in_a_tick},
    {"tasks-per-finding", "ids that a finding names", {}, {}, &Thresholds::tasks_per_finding},
};

struct Unit {
  std::string_view name;
  double factor;
};
// The largest first.
constexpr Unit kTimes[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
constexpr Unit kBytes[] = {{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"B", 1}};
constexpr Unit kOnes[] = {{"", 1}};

std::optional<double> parse(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  for (const auto& unit : units)
    if (unit.name == text) return number * unit.factor;
  return std::nullopt;
}

std::string words(double number, std::span<const Unit> units) {
  for (const auto& unit : units) {
    if (number < unit.factor && unit.factor != 1) continue;
    char text[48];
    std::snprintf(text, sizeof text, "%.10g", number / unit.factor);
    return std::string(text) + std::string(unit.name);
  }
  return {};
}

std::span<const Unit> units_of(const Setting& setting) {
  if (setting.time_ns != nullptr) return kTimes;
  if (setting.bytes != nullptr) return kBytes;
  return kOnes;
}

}  // namespace

std::span<const Setting> settings() { return kSettings; }

std::optional<std::string> set(Thresholds& thresholds, std::string_view assignment) {
  const auto equals = assignment.find('=');
  const auto name = assignment.substr(0, equals);
  for (const auto& setting : kSettings) {
    if (setting.name != name) continue;
    if (equals == std::string_view::npos)
      return std::string(name) + " needs a value: " + std::string(name) + "=" +
             value_words(Thresholds{}, setting);
    const auto value = parse(assignment.substr(equals + 1), units_of(setting));
    const double most = setting.bytes != nullptr ? 4e9 : 9e15;
    if (!value || *value > most)
      return std::string(name) + " can't be " + std::string(assignment.substr(equals + 1)) +
             "; such as " + value_words(Thresholds{}, setting);
    if (setting.time_ns != nullptr) thresholds.*setting.time_ns = static_cast<std::int64_t>(*value);
    if (setting.bytes != nullptr) thresholds.*setting.bytes = static_cast<std::uint32_t>(*value);
    if (setting.count != nullptr) thresholds.*setting.count = static_cast<std::size_t>(*value);
    return std::nullopt;
  }
  std::string known;
  for (const auto& setting : kSettings)
    known += (known.empty() ? "" : ", ") + std::string(setting.name);
  return "there is no threshold " + std::string(name) + "; there are " + known;
}

std::string value_words(const Thresholds& thresholds, const Setting& setting) {
  const double value = setting.time_ns != nullptr ? static_cast<double>(thresholds.*setting.time_ns)
                       : setting.bytes != nullptr ? static_cast<double>(thresholds.*setting.bytes)
                                                  : static_cast<double>(thresholds.*setting.count);
  return words(value, units_of(setting));
}

}  // namespace taskscope::console::analysis
