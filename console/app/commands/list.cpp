#include <string>
#include <vector>

#include "taskscope/console/app/commands/commands.h"
#include "taskscope/console/app/commands/common.h"
#include "taskscope/console/source/target.h"

namespace taskscope::console::app::commands {

int run(const ListCommand&) {
  const auto found = source::discover();
  std::vector<std::vector<std::string>> rows;
  std::string problems;
  for (const auto& candidate : found.candidates) {
    if (candidate.stale) continue;
    if (candidate.process) {
      rows.push_back({std::to_string(candidate.process->pid), candidate.process->name,
                      candidate.path, candidate.process->command_line});
    } else {
      problems += "pid " + std::to_string(candidate.pid) + ": " +
                  (candidate.problem.empty() ? "does not answer" : candidate.problem) + "\n";
    }
  }
  for (const auto& ignored : found.ignored) problems += ignored + "\n";
  std::string text;
  if (rows.empty()) {
    text = "No process can be attached to.";
    for (const auto& directory : source::discovery_directories())
      text += "\n  looked in " + directory;
    text += "\n";
  } else {
    rows.insert(rows.begin(), {"PID", "NAME", "SOCKET", "COMMAND"});
    text = table(rows);
  }
  return print(text + problems) ? kExitGood : kExitUnusable;
}

}  // namespace taskscope::console::app::commands
