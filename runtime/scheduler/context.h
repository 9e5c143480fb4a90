/// What the calling thread is doing for a runtime.
#pragma once

#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::scheduler {

class Scheduler;
class Worker;

struct Context {
  Scheduler* scheduler = nullptr;  ///< null outside a runtime
  Worker* worker = nullptr;  ///< null on threads that are no worker: block_on, the blocking pool
  task::Header* task = nullptr;  ///< being polled, or the blocking call being made
  bool has_origin = false;       ///< the driver or a wheel wakes: cause and fd say why
  observe::WakeCause cause = observe::WakeCause::Thread;
  int fd = -1;
};

inline constinit thread_local Context current_context;

/// Not for coroutines, which may go on on another thread: compilers keep the address of a
/// thread-local across a suspension.
[[nodiscard]] inline Context& context() noexcept { return current_context; }

/// Enters a context for a scope.
class ContextScope {
 public:
  explicit ContextScope(Context inner) noexcept : before_(context()) { context() = inner; }
  ~ContextScope() { context() = before_; }
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  Context before_;
};

}  // namespace taskscope::runtime::scheduler
