/// One call from what a user typed to a Source.
#pragma once

#include <memory>
#include <string_view>

#include "taskscope/console/source/live_source.h"
#include "taskscope/console/source/source.h"

namespace taskscope::console::source {

/// Resolves the target and opens it: a file as a recording, anything else as a live process.
[[nodiscard]] Result<std::unique_ptr<Source>> open_target(std::string_view text,
                                                          bool file_only = false,
                                                          const LiveOptions& = {});

}  // namespace taskscope::console::source
