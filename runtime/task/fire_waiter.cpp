#include "taskscope/runtime/task/waiter.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime::task {

Header* FireWaiter::fire(observe::ResourceId resource) noexcept {
  Header& task = branch_->task();
  // Relaxed: a poll that the wake below brings about sees it by the state word; and who finds it
  // only waits for kFired.
  phase_.store(kFiring, std::memory_order_relaxed);
  report_wake(task, branch_->id, resource);
  Header* const queued = task.wake(branch_->id);
  // Release: pairs with the acquires of fired(); what the waker handed over is seen, and this
  // thread is done with the task and the waiter.
  phase_.store(kFired, std::memory_order_release);
  return queued;
}

std::uint8_t FireWaiter::wait_until_fired() const noexcept {
  // Short unless the firing thread was preempted between its two steps; then let it run.
  for (int i = 0; i < spins(64); ++i) {
    const auto phase = phase_.load(std::memory_order_acquire);
    if (phase != kFiring) return phase;
    spin_pause();
  }
  yield_thread();
  return phase_.load(std::memory_order_acquire);
}

}  // namespace taskscope::runtime::task
