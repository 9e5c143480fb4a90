/// Waiting with a thread instead of a task: the blocking_ calls of locks and channels.
#pragma once

#include <coroutine>
#include <utility>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/task/header.h"
#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime::task {

/// Stands in line in the place of a task, and wakes a thread. Where the thread makes a blocking
/// call, it does so in the name of that call's task; elsewhere it has no name.
class ThreadHeader final : public Header {
 public:
  ThreadHeader() noexcept;
  /// Sleeps until somebody wakes it, once.
  void sleep() noexcept;
  void wake() noexcept;
  /// Of a header that WakeBatch was given: does a thread wait there, and not a task?
  [[nodiscard]] static bool is(const Header& header) noexcept {
    return header.runtime == observe::RuntimeId::None;
  }

 private:
  Atomic<std::uint32_t> woken_{0};  // 1 from the wake on; written by who wakes
};

/// std::logic_error, which names the call, on a thread that runs tasks.
void require_may_block(const char* call);

/// Awaits `leaf`, a WaitNode, on the calling thread, which sleeps meanwhile.
template <class Leaf>
auto wait_on_thread(Leaf&& leaf, const char* call) -> decltype(leaf.await_resume()) {
  require_may_block(call);
  ThreadHeader header;
  if (!ready_for(leaf, header)) {
    PromiseBase awaiting;  // of no coroutine: nobody resumes it
    awaiting.start_in(&header.root, nullptr);
    if (leaf.await_suspend(std::coroutine_handle<PromiseBase>::from_promise(awaiting))) {
      header.sleep();
      assert(leaf.ready(false));
    }
  }
  return leaf.await_resume();
}

}  // namespace taskscope::runtime::task
