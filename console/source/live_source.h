/// A running target as a Source.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "taskscope/console/source/source.h"
#include "taskscope/console/source/target.h"

namespace taskscope::console::source {

struct LiveOptions {
  protocol::Subscribe subscribe;
  std::chrono::milliseconds handshake_limit{500};
  std::uint64_t spool_cap_bytes = std::uint64_t{1} << 30;   ///< 0: none; oldest chunks go first
  std::uint64_t queue_cap_bytes = std::uint64_t{64} << 20;  ///< received and not taken; then the
                                                            ///< reader waits and the target drops
  std::string spool_directory;  ///< empty: $TMPDIR, else /var/tmp, else /tmp
  std::string record_to;        ///< records from the first chunk on; empty: not yet
  /// False: next() yields nothing; chunks only go to the recording, and wait() waits for the end.
  bool queue_chunks = true;
};

/// Connects, shakes hands and subscribes. A thread of its own reads, writes the spool (an unnamed
/// file, gone with the process) and queues chunks for next().
///
/// Errors   NoSuchTarget, NoTaskscope, PermissionDenied, VersionMismatch, NoAnswer, Refused, System
[[nodiscard]] Result<std::unique_ptr<Source>> connect(const Target&, const LiveOptions& = {});

/// The same over a descriptor that is connected already, which it owns from now on.
[[nodiscard]] Result<std::unique_ptr<Source>> connect_descriptor(int fd, const std::string& title,
                                                                 const LiveOptions& = {});

/// Asks who is there, and hangs up.
[[nodiscard]] Result<protocol::Process> probe(
    const Target&, std::chrono::milliseconds limit = std::chrono::milliseconds{500});

}  // namespace taskscope::console::source
