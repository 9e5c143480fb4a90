/// The one line in `main` that makes a program observable:
///
///     int main() {
///       taskscope::instrumentation::init();
///       ...
///
/// Nothing is recorded until a console attaches; until then one thread sleeps.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#if !defined(__cpp_exceptions) || !defined(__cpp_rtti)
#error "taskscope needs exceptions and RTTI: build without -fno-exceptions and -fno-rtti"
#endif

namespace taskscope::instrumentation {

enum class Switch : std::uint8_t {
  Off,   ///< no thread, no socket, nothing is recorded
  On,    ///< listens; records once a console has attached
  Wait,  ///< init() returns when a console has attached
};

/// What can be told to init(). Environment variables, named here, win over the program.
struct Options {
  Switch state = Switch::On;  ///< TASKSCOPE=on|off|wait
  /// TASKSCOPE_LISTEN: also listens on "host:port". Whoever can connect may watch, so an address
  /// that is not of the loopback is refused unless `listen_beyond_loopback`.
  std::string listen = {};
  bool listen_beyond_loopback = false;  ///< TASKSCOPE_LISTEN_BEYOND_LOOPBACK=yes
  /// TASKSCOPE_STACKS=on|off: await stacks may be asked for, and polls that block are looked into.
  bool stacks = true;
  /// A poll that takes longer is one that blocks: its native stack is taken while it runs.
  std::chrono::milliseconds blocking_poll{10};
  /// TASKSCOPE_RING: memory of a worker's ring, such as 8M or 64K; a power of two, at least 64 KiB.
  std::size_t worker_ring_bytes = std::size_t{8} << 20;
  /// What a console that reads slowly may have queued here before it loses chunks.
  std::size_t queue_bytes = std::size_t{32} << 20;
  /// How long the exit of the program waits for consoles to take what is queued.
  std::chrono::milliseconds linger{1000};
  /// Directory of the socket. Empty: $XDG_RUNTIME_DIR/taskscope, else /tmp/taskscope-UID.
  std::string socket_directory = {};
};

/// Makes the process observable. Call it at the start of main, before the first Runtime is built;
/// in a daemon after its forks, since a forked child is switched off.
///
/// Shape    returns at once, with Switch::Wait when a console has attached. Only the first call
///          counts; true if the process is observable now.
/// Errors   none that stop the program: what can't be had (a directory for the socket, a port) is
///          said in one line on stderr, and the program goes on.
bool init(const Options& options = {});

/// Path of the socket that consoles attach to; empty when there is none.
[[nodiscard]] std::string socket_path();

}  // namespace taskscope::instrumentation
