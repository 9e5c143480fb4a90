/// A target that says what a test tells it to, over a socket pair.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskscope/console/source/live_source.h"
#include "taskscope/protocol/codec.h"
#include "taskscope/protocol/stream_reader.h"

namespace taskscope::tests {

class ScriptedTarget {
 public:
  ScriptedTarget() {
    int fds[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return;
    own_ = fds[0];
    peer_ = fds[1];
    const int flags = fcntl(peer_, F_GETFL);
    fcntl(peer_, F_SETFL, flags | O_NONBLOCK);
  }
  ~ScriptedTarget() {
    if (writer_.joinable()) writer_.join();
    hang_up();
    if (peer_ >= 0) close(peer_);
  }

  /// The console's end; given away.
  int take_peer() { return std::exchange(peer_, -1); }

  void say_bytes(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const auto part = send(own_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (part <= 0) return;
      sent += static_cast<std::size_t>(part);
    }
  }
  void say(const protocol::Update& update) {
    const auto bytes = protocol::encode(update, ++sequence_);
    if (bytes) say_bytes(*bytes);
  }
  /// On a thread of its own, for more than a socket holds; then hangs up.
  void say_all(std::vector<protocol::Update> updates) {
    writer_ = std::thread([this, all = std::move(updates)] {
      for (const auto& update : all) say(update);
      shutdown(own_, SHUT_WR);
    });
  }
  void greet() {
    protocol::Process process;
    process.pid = 4711;
    process.name = "scripted";
    process.ticks_are_tsc = false;
    say(process);
  }
  void hang_up() {
    if (own_ >= 0) close(std::exchange(own_, -1));
  }
  /// Waits for what the console says next.
  std::optional<protocol::Request> hear() {
    for (;;) {
      if (const auto chunk = reader_.next()) {
        auto request = protocol::decode_request(*chunk);
        if (!request) return std::nullopt;
        return std::move(*request);
      }
      char buffer[4096];
      const auto got = recv(own_, buffer, sizeof buffer, 0);
      if (got <= 0) return std::nullopt;
      reader_.feed({buffer, static_cast<std::size_t>(got)});
    }
  }

 private:
  int own_ = -1, peer_ = -1;
  std::uint64_t sequence_ = 0;
  protocol::StreamReader reader_;
  std::thread writer_;
};

inline console::source::Result<std::unique_ptr<console::source::Source>> attach(
    ScriptedTarget& target, console::source::LiveOptions options = {}) {
  options.handshake_limit = std::chrono::seconds{20};
  return console::source::connect_descriptor(target.take_peer(), "the script", options);
}

/// A directory of its own, removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/taskscope-test-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace taskscope::tests
