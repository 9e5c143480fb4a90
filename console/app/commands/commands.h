/// The commands that open no window. Each prints to stdout, says failures in one sentence on
/// stderr, and returns the exit status.
#pragma once

#include "taskscope/console/app/command_line.h"

namespace taskscope::console::app::commands {

int run(const ListCommand& command);
int run(const RecordCommand& command);
int run(const StatsCommand& command);
int run(const StacksCommand& command);
int run(const CheckCommand& command);
int run(const ExportCommand& command);
int run(const HelpCommand& command);
int run(const VersionCommand& command);

}  // namespace taskscope::console::app::commands
