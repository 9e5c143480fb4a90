#include "taskscope/runtime/sync/broadcast.h"

#include <array>
#include <stdexcept>

namespace taskscope::runtime::sync::broadcast {

namespace {
std::size_t checked(std::size_t capacity) {
  if (capacity == 0) throw std::invalid_argument("broadcast::channel: a capacity of 0");
  return capacity;
}
}  // namespace

ChannelCore::ChannelCore(std::size_t capacity, const char* name, Site site)
    : Waitable(observe::ResourceKind::Broadcast, "broadcast::channel", site, name),
      slots_(checked(capacity)) {
  if (*name != '\0') registered();
}

void ChannelCore::drop_sender() noexcept {
  // Release: pairs with the acquires of who counts the senders; what all did is seen by who finds
  // none. The last itself only wakes those who will look.
  if (senders_.fetch_sub(1, std::memory_order_release) != 1) return;
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  line_.wake_all(lock, batch);
}

bool ChannelCore::try_add_sender() noexcept {
  auto senders = senders_.load(std::memory_order_relaxed);
  do {
    if (senders == 0) return false;
    // Relaxed: as add_sender; that there was one is all it needs.
  } while (!senders_.compare_exchange_weak(senders, senders + 1, std::memory_order_relaxed,
                                           std::memory_order_relaxed));
  return true;
}

std::uint64_t ChannelCore::add_receiver() noexcept {
  const std::lock_guard guard(lock_);
  ++receivers_;
  return next_;
}

void ChannelCore::drop_receiver(std::uint64_t position) noexcept {
  for (;;) {
    // Destroyed after the lock is gone, some at a time.
    std::array<Message, 16> dropped;
    std::size_t count = 0;
    task::WakeBatch batch;
    const std::lock_guard guard(lock_);
    if (position < oldest()) position = oldest();
    for (; position != next_ && count < dropped.size(); ++position) {
      Slot& read = slot(position);
      if (--read.unread == 0) dropped[count++] = std::move(read.message);
    }
    if (position != next_) continue;
    // In one go: who comes later, when there are receivers again, waits for their end.
    if (--receivers_ == 0)
      while (!closings_.empty()) closings_.wake(*closings_.front(), false, batch);
    return;
  }
}

std::size_t ChannelCore::send(Message message) noexcept {
  last_sender_.store(task::current_task_id(), std::memory_order_relaxed);  // a hint
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  const std::size_t receivers = receivers_;
  if (receivers == 0) return 0;  // and drops the message after the lock
  Slot& written = slot(next_++);
  written.message.swap(message);
  written.unread = receivers;
  // Who entered the line after this message stands behind all that wait for it.
  while (!line_.empty()) {
    if (made_room(batch, lock)) continue;
    auto& first = static_cast<Receiving&>(*line_.front());
    if (first.entered_at_ == next_) break;
    line_.wake(first, false, batch);
  }
  return receivers;
}

Result<ChannelCore::Message, RecvError> ChannelCore::try_receive(std::uint64_t& position) noexcept {
  const std::lock_guard guard(lock_);
  if (position == next_) {
    const bool closed = senders() == 0;
    return RecvError{closed ? RecvError::Kind::Closed : RecvError::Kind::Empty, 0};
  }
  if (position < oldest()) {
    const auto missed = oldest() - position;
    position = oldest();
    return RecvError{RecvError::Kind::Lagged, missed};
  }
  Slot& read = slot(position++);
  if (--read.unread == 0) return std::move(read.message);
  return read.message;
}

std::size_t ChannelCore::receivers() noexcept {
  const std::lock_guard guard(lock_);
  return receivers_;
}

std::size_t ChannelCore::length(std::uint64_t position) noexcept {
  const std::lock_guard guard(lock_);
  return static_cast<std::size_t>(next_ - position);
}

std::size_t ChannelCore::queued() noexcept {
  const std::lock_guard guard(lock_);
  std::size_t count = 0;
  // A receiver takes them in order: what is behind one that somebody wants is wanted, too.
  for (auto position = oldest(); position != next_; ++position)
    if (slot(position).unread != 0) return static_cast<std::size_t>(next_ - position);
  return count;
}

bool ChannelCore::Receiving::is_over() const noexcept {
  // Relaxed: only whether to look; try_receive acquires.
  return position_ != owner().next_ || owner().senders_.load(std::memory_order_relaxed) == 0;
}

bool ChannelCore::Receiving::is_over_or_enter() noexcept {
  entered_at_ = owner().next_;
  return is_over();
}

bool ChannelCore::Receiving::await_ready() noexcept {
  if (waited()) [[unlikely]]
    return settled();
  const std::lock_guard guard(owner().lock_);
  return is_over();
}

void ChannelCore::describe(observe::ResourceView& view,
                           void (*visit)(const observe::ResourceView&, void*), void* context) {
  std::size_t receivers = 0;
  std::uint64_t sent = 0;
  {
    const std::lock_guard guard(lock_);
    view.waiters = line_.size() + closings_.size();
    receivers = receivers_;
    sent = next_;
  }
  // Relaxed: a hint and a count.
  std::array<observe::Holder, 1> holders;
  holders[0].task = last_sender_.load(std::memory_order_relaxed);
  holders[0].permits = 0;
  holders[0].role = "sends";
  if (holders[0].task != TaskId::None) view.holders = holders;
  const std::array attributes{
      observe::Attribute{"sent", "", sent}, observe::Attribute{"receivers", "", receivers},
      observe::Attribute{"senders", "", senders_.load(std::memory_order_relaxed)},
      observe::Attribute{"capacity", "", slots_.size()}};
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync::broadcast
