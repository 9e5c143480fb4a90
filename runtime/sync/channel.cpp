#include "taskscope/runtime/sync/channel.h"

#include <array>
#include <stdexcept>

namespace taskscope::runtime::sync {

ChannelCore::ChannelCore(std::size_t capacity, const char* type, const char* name, Site site)
    : Waitable(observe::ResourceKind::Mpsc, type, site, name), capacity_(capacity) {
  if (capacity == 0) throw std::invalid_argument("mpsc::channel: a capacity of 0");
}

void ChannelCore::drop_sender() noexcept {
  // Release: pairs with the acquire in ended(), by whoever looks, the last sender among them.
  if (senders_.fetch_sub(1, std::memory_order_release) != 1) return;
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  tell_if_ended(lock, batch);
}

void ChannelCore::close() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  closed_ = true;
  sendings_.wake_all(lock, batch);
  closings_.wake_all(lock, batch);
  tell_if_ended(lock, batch);
}

ChannelCore::Reserved ChannelCore::try_reserve() noexcept {
  used_by_sender();
  const std::lock_guard guard(lock_);
  if (closed_) return Reserved::Closed;
  if (!has_room()) return Reserved::Full;
  ++reserved_;
  return Reserved::Place;
}

void ChannelCore::give_back_slot() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  --reserved_;
  freed(1, lock, batch);
}

bool ChannelCore::is_closed() noexcept {
  const std::lock_guard guard(lock_);
  return closed_;
}

std::size_t ChannelCore::capacity() noexcept {
  const std::lock_guard guard(lock_);
  return capacity_ - queued() - reserved_;
}

std::size_t ChannelCore::length() noexcept {
  const std::lock_guard guard(lock_);
  return queued();
}

void ChannelCore::pushed(task::WakeBatch& batch) noexcept {
  set_queued(queued() + 1);
  if (receivings_.empty()) return;
  ++promised_;
  receivings_.wake(*receivings_.front(), true, batch);
}

void ChannelCore::freed(std::size_t count, std::unique_lock<Lock>& lock,
                        task::WakeBatch& batch) noexcept {
  while (count != 0 && !sendings_.empty()) {
    if (made_room(batch, lock)) continue;
    // Looked at again after the lock was let go of: others may have taken the places.
    if (!has_room()) break;
    ++reserved_;
    --count;
    sendings_.wake(*sendings_.front(), true, batch);
  }
  tell_if_ended(lock, batch);
}

void ChannelCore::give_back_message() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  --promised_;
  if (receivings_.empty()) return;
  ++promised_;
  receivings_.wake(*receivings_.front(), true, batch);
}

void ChannelCore::tell_if_ended(std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept {
  if (!receivings_.empty() && ended()) receivings_.wake_all(lock, batch);
}

void ChannelCore::describe(observe::ResourceView& view,
                           void (*visit)(const observe::ResourceView&, void*), void* context) {
  std::size_t queued = 0, reserved = 0;
  bool closed = false;
  {
    const std::lock_guard guard(lock_);
    queued = this->queued();
    reserved = reserved_;
    closed = closed_;
    view.waiters = sendings_.size() + receivings_.size() + closings_.size();
  }
  // Relaxed: hints and a count.
  std::array<observe::Holder, 2> holders;
  std::size_t count = 0;
  const auto add = [&](const std::atomic<TaskId>& task, const char* role) {
    holders[count].task = task.load(std::memory_order_relaxed);
    holders[count].permits = 0;
    holders[count].role = role;
    if (holders[count].task != TaskId::None) ++count;
  };
  add(last_sender_, "sends");
  add(last_receiver_, "receives");
  std::array<observe::Attribute, 5> attributes{
      observe::Attribute{"queued", "", queued}, observe::Attribute{"reserved", "", reserved},
      observe::Attribute{"senders", "", senders_.load(std::memory_order_relaxed)},
      observe::Attribute{"closed", "", closed ? 1u : 0u},
      observe::Attribute{"capacity", "", capacity_}};
  view.holders = std::span(holders).first(count);
  // The last one only where there is a limit.
  view.attributes = std::span(attributes).first(capacity_ == kUnbounded ? 4 : 5);
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
