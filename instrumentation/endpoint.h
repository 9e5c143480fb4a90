/// Where a process can be found: its socket's directory and name, and what it says about itself.
#pragma once

#include <cstdint>
#include <string>

#include "taskscope/protocol/update.h"

namespace taskscope::instrumentation {

/// An open descriptor that closes itself, and is closed in a forked child.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept;
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Closes all of the process. For the child of a fork only: async-signal-safe.
  static void close_all_in_child() noexcept;

 private:
  int fd_ = -1;
};

/// A listening Unix socket and its path.
struct UnixListener {
  Descriptor fd;
  std::string path;
};

/// Listens on DIRECTORY/PID-STARTTIME; an empty `directory` stands for the usual places. On failure
/// fd is empty and `error` a sentence.
UnixListener listen_on_unix(const std::string& directory, std::string& error);

/// Listens on "host:port".
Descriptor listen_on_tcp(const std::string& address, bool beyond_loopback, std::string& error);

/// What this process says about itself; wall_ns is now.
protocol::Process describe_process();

}  // namespace taskscope::instrumentation
