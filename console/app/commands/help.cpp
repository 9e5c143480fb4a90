#include "taskscope/console/app/commands/commands.h"
#include "taskscope/console/app/commands/common.h"
#include "taskscope/protocol/update.h"

namespace taskscope::console::app::commands {

int run(const HelpCommand& command) {
  return print(help_text(command.topic)) ? kExitGood : kExitUnusable;
}

int run(const VersionCommand&) {
  const std::string text = "taskscope " TASKSCOPE_VERSION " (protocol and file format " +
                           std::to_string(protocol::kMajorVersion) + "." +
                           std::to_string(protocol::kMinorVersion) + ")\n";
  return print(text) ? kExitGood : kExitUnusable;
}

}  // namespace taskscope::console::app::commands
