#include "taskscope/runtime/task/thread_wait.h"

#include <stdexcept>
#include <string>

#include "taskscope/runtime/scheduler/context.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime::task {

ThreadHeader::ThreadHeader() noexcept {
  state.init_none();
  kind = TaskKind::BlockOn;  // no queue takes it
  id = current_task_id();
  // No scheduler's address: who wakes compares it with its own, and must not find them equal.
  scheduler = reinterpret_cast<scheduler::Scheduler*>(this);
}

void ThreadHeader::sleep() noexcept {
  // Acquire: pairs with wake(). Only this word says that the waker is done with the header.
  while (woken_.load(std::memory_order_acquire) == 0) futex_wait(woken_, 0);
}

void ThreadHeader::wake() noexcept {
  // Release: what was granted is seen by the thread. From here on the header may be gone.
  woken_.store(1, std::memory_order_release);
  futex_wake(woken_);
}

void require_may_block(const char* call) {
  const auto& here = scheduler::context();
  if (here.scheduler == nullptr || here.may_block) return;
  throw std::logic_error(
      std::string(call) +
      " was called on a thread that runs tasks, which it would hold up: co_await "
      "what it waits for, or call it in spawn_blocking");
}

}  // namespace taskscope::runtime::task
