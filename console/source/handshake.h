/// The first words with a target.
#pragma once

#include <chrono>
#include <string>

#include "taskscope/console/source/result.h"
#include "taskscope/console/source/target.h"
#include "taskscope/protocol/stream_reader.h"
#include "taskscope/protocol/update.h"

namespace taskscope::console::source {

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

using Deadline = std::chrono::steady_clock::time_point;

/// Errors   NoSuchTarget, NoTaskscope, PermissionDenied, NoAnswer, System
[[nodiscard]] Result<Descriptor> dial(const Target& target, Deadline deadline);

struct Greeting {
  protocol::Process process;
  protocol::Bytes chunk;          ///< that held it
  protocol::StreamReader reader;  ///< with what came after it
};

/// Says Hello and waits for Process.
/// Errors   NoTaskscope (another protocol), VersionMismatch, Refused, NoAnswer, System
[[nodiscard]] Result<Greeting> greet(int fd, const std::string& title, bool probe,
                                     Deadline deadline);

}  // namespace taskscope::console::source
