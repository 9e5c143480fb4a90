/// A recording as Chrome's trace events, which chrome://tracing and Perfetto open.
#pragma once

#include "taskscope/console/app/commands/export_file.h"

namespace taskscope::console::app::commands {

/// A track a worker with its polls and parks; an async track a task with its life and its waits; an
/// arrow from each wake to the poll it led to; an instant a loss.
void write_chrome_trace(const protocol::TraceReader& reader, const Definitions& definitions,
                        OutputFile& out);

}  // namespace taskscope::console::app::commands
