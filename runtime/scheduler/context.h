/// What the calling thread is doing for a runtime.
#pragma once

#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::task {
struct LocalValue;
}

namespace taskscope::runtime::scheduler {

class Scheduler;
class Worker;
class Root;

struct Context {
  Scheduler* scheduler = nullptr;  ///< null outside a runtime
  Worker* worker = nullptr;  ///< null on threads that are no worker: block_on, the blocking pool
  task::Header* task = nullptr;    ///< being polled, or the blocking call being made
  Root* root = nullptr;            ///< the block_on that this thread is in
  const Context* outer = nullptr;  ///< what the thread does for another runtime, or did before
  const task::LocalValue* locals = nullptr;  ///< task locals in force; see task_local.h
  /// block_on holds up nobody else here: on threads of the blocking pool, or where a runtime was
  /// merely entered.
  bool may_block = false;
  bool entered = false;     ///< by Runtime::enter: the runtime does not wait for this thread
  bool has_origin = false;  ///< the driver or a wheel wakes: cause and fd say why
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
  explicit ContextScope(Context inner) noexcept : before_(context()) {
    inner.outer = &before_;
    context() = inner;
  }
  ~ContextScope() { context() = before_; }
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  Context before_;
};

}  // namespace taskscope::runtime::scheduler
