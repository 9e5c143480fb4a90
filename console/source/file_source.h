/// A recorded session as a Source.
#pragma once

#include <memory>
#include <string>

#include "taskscope/console/source/source.h"

namespace taskscope::console::source {

/// Opens a recording. Chunks are decoded ahead on a thread of its own; the file is mapped, never
/// read whole. A file that was cut short or damaged opens; what is missing comes as Loss.
///
/// Errors   NoSuchTarget, PermissionDenied, NotARecording, VersionMismatch, System
[[nodiscard]] Result<std::unique_ptr<Source>> open_file(const std::string& path);

}  // namespace taskscope::console::source
