#include <cstdio>
#include <string>
#include <vector>

#include "taskscope/console/app/command_line.h"
#include "taskscope/console/app/commands/commands.h"
#include "taskscope/console/app/window_main.h"

namespace {

using namespace taskscope::console::app;

struct Dispatch {
  int operator()(const WindowOptions& options) const { return run_window(options); }
  int operator()(const ScreenshotOptions& options) const { return run_screenshot(options); }
  template <class Other>
  int operator()(const Other& command) const {
    return commands::run(command);
  }
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  const auto parsed = parse(arguments);
  if (const auto* error = std::get_if<UsageError>(&parsed)) {
    const std::string name = error->topic.empty() ? "taskscope" : "taskscope " + error->topic;
    std::fprintf(stderr, "%s: %s.\n`%s --help` says how.\n", name.c_str(), error->sentence.c_str(),
                 name.c_str());
    return kExitUsage;
  }
  return std::visit(Dispatch{}, std::get<Command>(parsed));
}
