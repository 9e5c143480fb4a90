/// The parts of the instrumentation, put together and taken apart in the right order.
#pragma once

#include <memory>
#include <string>

#include "taskscope/instrumentation/init.h"
#include "taskscope/runtime/observe/inspector.h"

namespace taskscope::instrumentation {

/// One at a time in a process, since the rings are those of its threads. init() makes one and leaks
/// it; tests make and end several.
class Engine {
 public:
  /// Starts the threads and opens the sockets. Complaints go to stderr.
  explicit Engine(const Options& options);
  /// finish() with no time to linger.
  ~Engine();

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// False when consoles can't attach.
  [[nodiscard]] bool is_listening() const noexcept;
  [[nodiscard]] const std::string& socket_path() const noexcept;
  void wait_for_consumer();

  /// Stops recording, sends what the rings hold and a goodbye, waits a bounded time for consumers
  /// to take it, and ends the threads. Later calls do nothing.
  void finish(const std::string& reason);

  void runtime_started(runtime::observe::Inspector& inspector);
  void runtime_stopping(runtime::observe::Inspector& inspector);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// The engine that runs, null for none and in a forked child.
[[nodiscard]] Engine* current_engine() noexcept;

}  // namespace taskscope::instrumentation
