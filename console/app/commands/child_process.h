/// A command that we started, and the processes below it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "taskscope/console/source/result.h"

namespace taskscope::console::app::commands {

class ChildProcess {
 public:
  /// Starts the command with TASKSCOPE=wait in its environment.
  /// Errors   System: there is no such program, or it can't be run.
  static source::Result<ChildProcess> start(const std::vector<std::string>& command);

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// How it ended, once it has: its status, or 128 and the signal's number. Asks the kernel.
  [[nodiscard]] std::optional<int> ended();
  /// The process is the child or was started by it, directly or not.
  [[nodiscard]] bool is_ancestor_of(std::uint64_t pid) const;

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
  std::optional<int> status_;
};

}  // namespace taskscope::console::app::commands
