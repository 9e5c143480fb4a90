#include "taskscope/runtime/sync/watch.h"

#include <array>

namespace taskscope::runtime::sync::watch {

void ChannelCore::drop_sender() noexcept {
  // Release for all, acquire for the last: what they sent is seen by who finds the channel closed.
  if (senders_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  changes_.wake_all(lock, batch);
}

void ChannelCore::drop_receiver() noexcept {
  if (receivers_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  task::WakeBatch batch;
  const std::lock_guard guard(lock_);
  // In one go: who comes later, when there are receivers again, waits for their end.
  while (!closings_.empty()) closings_.wake(*closings_.front(), false, batch);
}

void ChannelCore::count_change() noexcept {
  last_sender_.store(task::current_task_id(), std::memory_order_relaxed);  // a hint
  const std::lock_guard guard(lock_);
  // Release: pairs with version()'s acquire.
  version_.store(version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void ChannelCore::tell_change() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  // Who has seen the newest came after all that have not.
  while (!changes_.empty()) {
    if (made_room(batch, lock)) continue;
    auto& first = static_cast<Changing&>(*changes_.front());
    if (first.seen_ == version_.load(std::memory_order_relaxed)) return;
    changes_.wake(first, false, batch);
  }
}

void ChannelCore::describe(observe::ResourceView& view,
                           void (*visit)(const observe::ResourceView&, void*), void* context) {
  {
    const std::lock_guard guard(lock_);
    view.waiters = changes_.size() + closings_.size();
  }
  // Relaxed: hints and counts.
  std::array<observe::Holder, 1> holders;
  holders[0].task = last_sender_.load(std::memory_order_relaxed);
  holders[0].permits = 0;
  holders[0].role = "sends";
  if (holders[0].task != TaskId::None) view.holders = holders;
  const std::array attributes{
      observe::Attribute{"version", "", version_.load(std::memory_order_relaxed)},
      observe::Attribute{"senders", "", senders_.load(std::memory_order_relaxed)},
      observe::Attribute{"receivers", "", receivers_.load(std::memory_order_relaxed)}};
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync::watch
