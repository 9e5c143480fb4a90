/// From what a user types to what can be opened, and the processes that can be attached to.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taskscope/console/source/result.h"
#include "taskscope/protocol/update.h"

namespace taskscope::console::source {

enum class TargetKind : std::uint8_t { Socket, Tcp, File };

struct Target {
  TargetKind kind = TargetKind::Socket;
  std::string path;  ///< Socket and File
  std::string host;  ///< Tcp
  std::uint16_t port = 0;
  std::uint64_t pid = 0;  ///< 0: unknown

  /// Path or host:port.
  [[nodiscard]] std::string text() const;
};

/// A socket found in a discovery directory.
struct Candidate {
  std::string path;
  std::uint64_t pid = 0, start_time = 0;
  std::optional<protocol::Process> process;  ///< what it answered
  std::string problem;                       ///< why it can't be attached to; empty: it can
  bool stale = false;                        ///< its process is gone; attach and list pass it by
};

struct Discovery {
  std::vector<Candidate> candidates;
  std::vector<std::string> ignored;  ///< directories passed by, each with its reason
};

/// Directories that are searched, in order: $XDG_RUNTIME_DIR/taskscope, /tmp/taskscope-<uid>.
[[nodiscard]] std::vector<std::string> discovery_directories();

/// Reads the discovery directories. With `ask`, each living candidate is asked for its Process, all
/// at the same time, within the limit.
[[nodiscard]] Discovery discover(bool ask = true,
                                 std::chrono::milliseconds limit = std::chrono::milliseconds{500});
[[nodiscard]] Discovery discover_in(const std::vector<std::string>& directories, bool ask,
                                    std::chrono::milliseconds limit);

/// A pid, a process name, a socket path, host:port, or a file. With `file_only`, a file.
///
/// Errors   NoSuchTarget, NoTaskscope, Ambiguous, PermissionDenied
[[nodiscard]] Result<Target> resolve(std::string_view text, bool file_only = false);

}  // namespace taskscope::console::source
