/// SIGINT and SIGTERM as something to ask for.
#pragma once

#include <sys/types.h>

namespace taskscope::console::app::commands {

/// While one lives, SIGINT, SIGTERM and SIGHUP no longer end the program; they are noted, and
/// passed on to a child if one is named. One at a time.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// From now on signals go to this process too, except those that a terminal has sent to the whole
  /// group already. 0: to none.
  void pass_on_to(pid_t child) noexcept;
  [[nodiscard]] bool came() const noexcept;
};

}  // namespace taskscope::console::app::commands
