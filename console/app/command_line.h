/// What a user typed, as a value. Pure: nothing is opened or looked up here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "taskscope/console/analysis/findings.h"
#include "taskscope/console/app/window_main.h"

namespace taskscope::console::app {

/// Exit statuses of every command.
constexpr int kExitGood = 0;
constexpr int kExitFound = 1;     ///< `check` found something
constexpr int kExitUsage = 2;     ///< the command line is wrong
constexpr int kExitUnusable = 3;  ///< a target or file can't be used

struct ListCommand {};

struct RecordCommand {
  std::string target;  ///< empty: `command` is started and recorded
  std::string output;
  std::optional<double> seconds;
  std::vector<std::string> command;
};

struct StatsCommand {
  std::string target;
  bool json = false;
  analysis::Thresholds thresholds;
};

struct StacksCommand {
  std::string target;
  std::optional<std::uint64_t> task;
};

struct CheckCommand {
  std::string file;
};

enum class ExportFormat : std::uint8_t { Chrome, Perfetto, Csv, Json };

struct ExportCommand {
  std::string file;
  ExportFormat format = ExportFormat::Chrome;
  std::string output;  ///< "-": stdout
};

struct HelpCommand {
  std::string topic;  ///< a command's name; empty: the overview
};
struct VersionCommand {};

using Command =
    std::variant<WindowOptions, ScreenshotOptions, ListCommand, RecordCommand, StatsCommand,
                 StacksCommand, CheckCommand, ExportCommand, HelpCommand, VersionCommand>;

struct UsageError {
  std::string sentence;  ///< what is wrong; begins in lower case, no full stop
  std::string topic;     ///< the command it was in; empty: none
};

/// `arguments` without the program's name.
[[nodiscard]] std::variant<Command, UsageError> parse(std::span<const std::string> arguments);

/// The text of `taskscope [topic] --help`; the overview for an unknown topic.
[[nodiscard]] std::string_view help_text(std::string_view topic);

}  // namespace taskscope::console::app
