#include "taskscope/runtime/sync/notify.h"

#include <array>

namespace taskscope::runtime::sync {

bool Notify::Notified::try_now_locked() noexcept {
  // Relaxed, both: written under the lock.
  if (owner().generation_.load(std::memory_order_relaxed) != generation_) return true;
  granted_ = owner().permit_.load(std::memory_order_relaxed);
  if (granted_) owner().permit_.store(false, std::memory_order_relaxed);
  return granted_;
}

bool Notify::Notified::try_now() noexcept {
  // Acquire: pairs with notify_waiters' release; what happened before it is seen.
  if (owner().generation_.load(std::memory_order_acquire) != generation_) return true;
  // Relaxed: only a hint; who takes the permit does it under the lock.
  if (!owner().permit_.load(std::memory_order_relaxed)) return false;
  const std::lock_guard guard(owner().lock_);
  return try_now_locked();
}

bool Notify::Notified::start(task::PromiseBase& awaiting) noexcept {
  return wait_in(owner().line_, awaiting, [this] { return try_now_locked(); });
}

bool Notify::Notified::enable() noexcept {
  if (!done_) {
    done_ = waited() ? settled() : !enter(owner().line_, [this] { return try_now_locked(); });
    // Told so, the caller has taken the notification.
    if (done_) static_cast<void>(take_grant());
  }
  return done_;
}

Notify::Notified::~Notified() {
  // Granted means by notify_one or notify_last: notify_waiters only tells.
  if (withdraw()) owner().notify(as_last_);
}

void Notify::notify(bool last) noexcept {
  task::WakeBatch batch;
  const std::lock_guard guard(lock_);
  if (line_.empty()) {
    permit_.store(true, std::memory_order_relaxed);
  } else {
    auto& node = static_cast<Notified&>(last ? *line_.back() : *line_.front());
    node.as_last_ = last;
    line_.wake(node, true, batch);
  }
}

void Notify::notify_waiters() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  const auto generation = generation_.load(std::memory_order_relaxed);
  // Release: pairs with the acquires of Notified.
  generation_.store(generation + 1, std::memory_order_release);
  // Whoever came while the lock was let go of stands behind all that are meant, and has a newer
  // generation.
  while (!line_.empty() && static_cast<Notified*>(line_.front())->generation_ <= generation) {
    if (made_room(batch, lock)) continue;
    line_.wake(*line_.front(), false, batch);
  }
}

void Notify::describe(observe::ResourceView& view,
                      void (*visit)(const observe::ResourceView&, void*), void* context) {
  {
    const std::lock_guard guard(lock_);
    view.waiters = line_.size();
  }
  const std::array attributes{
      observe::Attribute{"permit", "", permit_.load(std::memory_order_relaxed) ? 1u : 0u}};
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
