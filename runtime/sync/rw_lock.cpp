#include "taskscope/runtime/sync/rw_lock.h"

#include <array>
#include <stdexcept>

#include "taskscope/runtime/observe/observer.h"

namespace taskscope::runtime::sync {

namespace {
constexpr std::size_t kDescribedHolders = 64;  // of a lock with more readers, the newest
}

RwLockCore::RwLockCore(std::size_t max_readers, const char* name, Site site)
    : Waitable(observe::ResourceKind::RwLock, "RwLock", site, name), max_readers_(max_readers) {
  if (max_readers == 0 || max_readers > kMaxReaders)
    throw std::invalid_argument("RwLock: max_readers must be from 1 to RwLockCore::kMaxReaders");
  if (*name != '\0') registered();
}

observe::Holder RwHold::holder() const noexcept {
  observe::Holder holder;
  holder.task = task_;
  // A thread that runs no task has no id to be certain of.
  holder.certain = certain_ && task_ != TaskId::None;
  holder.role = exclusive_ ? "writes" : "reads";
  return holder;
}

void RwHold::unlock() noexcept {
  if (core_ == nullptr) return;
  RwLockCore& core = *std::exchange(core_, nullptr);
  if (observe::wants(observe::Event::Resource)) core.report_released(holder());
  task::WakeBatch batch;
  std::unique_lock lock(core.lock_);
  core.remove(*this);
  if (exclusive_) {
    core.writer_ = false;
  } else {
    --core.readers_;
  }
  // Last: with the lock gone, others may destroy the core.
  core.hand_over(lock, batch);
}

void RwHold::move_from(RwHold& other, bool certain) noexcept {
  if (other.core_ == nullptr) return;
  core_ = std::exchange(other.core_, nullptr);
  exclusive_ = other.exclusive_;
  certain_ = certain;
  // A lock that came while nobody was suspended on the wait names no task yet.
  const auto task = task::current_task_id();
  const std::lock_guard guard(core_->lock_);
  task_ = certain || other.task_ == TaskId::None ? task : other.task_;
  core_->remove(other);
  core_->enter(*this);
}

void RwHold::downgrade() noexcept {
  if (core_ == nullptr) return;
  task::WakeBatch batch;
  std::unique_lock lock(core_->lock_);
  exclusive_ = false;
  core_->writer_ = false;
  core_->readers_ = 1;
  core_->hand_over(lock, batch);
}

bool RwLockCore::try_lock(RwHold& hold, bool exclusive, bool certain) noexcept {
  const auto task = task::current_task_id();
  const std::lock_guard guard(lock_);
  return take_now(hold, exclusive, certain, task);
}

bool RwLockCore::take_now(RwHold& hold, bool exclusive, bool certain, TaskId task) noexcept {
  // Nobody passes those in line.
  if (!line_.empty() || !is_free_for(exclusive)) return false;
  take(hold, exclusive, certain, task);
  return true;
}

void RwLockCore::take(RwHold& hold, bool exclusive, bool certain, TaskId task) noexcept {
  if (exclusive) {
    writer_ = true;
  } else {
    ++readers_;
  }
  hold.core_ = this;
  hold.exclusive_ = exclusive;
  hold.certain_ = certain;
  hold.task_ = task;
  enter(hold);
  if (observe::wants(observe::Event::Resource)) report_acquired(hold.holder());
}

void RwLockCore::enter(RwHold& hold) noexcept {
  hold.next_ = holds_;
  hold.link_ = &holds_;
  if (holds_ != nullptr) holds_->link_ = &hold.next_;
  holds_ = &hold;
}

void RwLockCore::remove(RwHold& hold) noexcept {
  *hold.link_ = hold.next_;
  if (hold.next_ != nullptr) hold.next_->link_ = hold.link_;
}

void RwLockCore::hand_over(std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept {
  while (!line_.empty()) {
    if (made_room(batch, lock)) continue;
    auto& first = static_cast<Locking&>(*line_.front());
    if (!is_free_for(first.exclusive_)) return;
    take(first.held_, first.exclusive_, first.certain_, first.task_id());
    line_.wake(first, true, batch);
  }
}

bool RwLockCore::Locking::start(task::PromiseBase& awaiting) noexcept {
  return wait_in(owner().line_, awaiting, [this, &awaiting] {
    granted_ = owner().take_now(held_, exclusive_, certain_, awaiting.branch()->task().id);
    return granted_;
  });
}

RwLockCore::Locking::~Locking() {
  bool left = false;
  // A lock that was granted and not taken goes with held_.
  static_cast<void>(withdraw([&left] { left = true; }));
  if (!left) return;
  // Readers may have stood behind this writer.
  task::WakeBatch batch;
  std::unique_lock lock(owner().lock_);
  owner().hand_over(lock, batch);
}

void RwLockCore::describe(observe::ResourceView& view,
                          void (*visit)(const observe::ResourceView&, void*), void* context) {
  std::array<observe::Holder, kDescribedHolders> holders;
  std::size_t count = 0;
  std::size_t readers = 0;
  bool writer = false;
  {
    const std::lock_guard guard(lock_);
    for (const auto* at = holds_; at != nullptr && count < holders.size(); at = at->next_)
      holders[count++] = at->holder();
    readers = readers_;
    writer = writer_;
    view.waiters = line_.size();
  }
  const std::array attributes{observe::Attribute{"readers", "", readers},
                              observe::Attribute{"writer", "", writer ? 1u : 0u}};
  view.holders = std::span(holders).first(count);
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
