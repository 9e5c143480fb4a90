#include "taskscope/runtime/sync/oneshot.h"

#include <array>

namespace taskscope::runtime::sync::oneshot {

void ChannelCore::drop_sender() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  sender_gone_ = true;
  receivings_.wake_all(lock, batch);
}

void ChannelCore::close() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  closed_ = true;
  closings_.wake_all(lock, batch);
  receivings_.wake_all(lock, batch);
}

bool ChannelCore::is_closed() noexcept {
  const std::lock_guard guard(lock_);
  return closed_;
}

void ChannelCore::describe(observe::ResourceView& view,
                           void (*visit)(const observe::ResourceView&, void*), void* context) {
  bool sent = false, gone = false, closed = false;
  {
    const std::lock_guard guard(lock_);
    sent = sent_;
    gone = sender_gone_;
    closed = closed_;
    view.waiters = receivings_.size() + closings_.size();
  }
  std::array<observe::Holder, 1> holders;
  holders[0].task = last_receiver_.load(std::memory_order_relaxed);  // relaxed: a hint
  holders[0].permits = 0;
  holders[0].role = "receives";
  if (holders[0].task != TaskId::None) view.holders = holders;
  const std::array attributes{observe::Attribute{"sent", "", sent ? 1u : 0u},
                              observe::Attribute{"senders", "", gone ? 0u : 1u},
                              observe::Attribute{"closed", "", closed ? 1u : 0u}};
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync::oneshot
