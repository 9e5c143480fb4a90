#include "taskscope/runtime/sync/barrier.h"

#include <array>

namespace taskscope::runtime::sync {

bool Barrier::Waiting::arrive_last() noexcept {
  Barrier& barrier = owner();
  task::WakeBatch batch;
  std::unique_lock lock(barrier.lock_);
  if (barrier.arrived_ + 1 < barrier.expected_) return false;
  leads_ = true;
  barrier.arrived_ = 0;
  const auto round = barrier.round_++;
  // Whoever comes for the next round while the lock is let go of stands behind all that are meant.
  while (!barrier.line_.empty() && static_cast<Waiting*>(barrier.line_.front())->round_ <= round) {
    if (made_room(batch, lock)) continue;
    barrier.line_.wake(*barrier.line_.front(), false, batch);
  }
  return true;
}

bool Barrier::Waiting::start(task::PromiseBase& awaiting) noexcept {
  for (;;) {
    bool last = false;
    const bool waits = wait_in(owner().line_, awaiting, [this, &last] {
      // To let the others go needs the lock for itself.
      last = owner().arrived_ + 1 >= owner().expected_;
      if (last) return true;
      ++owner().arrived_;
      round_ = owner().round_;
      return false;
    });
    if (waits || !last || arrive_last()) return waits;
  }
}

Barrier::Waiting::~Waiting() {
  static_cast<void>(withdraw([this] {
    // Let go already, and only not woken yet: it has arrived.
    if (round_ == owner().round_) --owner().arrived_;
  }));
}

void Barrier::describe(observe::ResourceView& view,
                       void (*visit)(const observe::ResourceView&, void*), void* context) {
  std::size_t arrived = 0;
  {
    const std::lock_guard guard(lock_);
    arrived = arrived_;
    view.waiters = line_.size();
  }
  const std::array attributes{observe::Attribute{"expected", "", expected_},
                              observe::Attribute{"arrived", "", arrived}};
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
