#include "taskscope/runtime/sync/join_set.h"

#include <array>

namespace taskscope::runtime::sync {

namespace {
constexpr std::size_t kDescribedHolders = 64;  // of a set with more tasks, the newest
}

void JoinMember::completed() noexcept {
  // With the lock gone others may free this member, and with it the set.
  const auto set = set_;
  task::WakeBatch batch;
  std::unique_lock lock(set->lock_);
  if (forsaken_) {
    lock.unlock();
    delete this;
    return;
  }
  set->remove(*this);
  set->offer(*this, false, batch);
  set->tell_if_empty(lock, batch);
}

void JoinSetCore::add(std::unique_ptr<JoinMember> member) noexcept {
  // Its task's, or a list's, from here on.
  JoinMember& added = *member.release();
  task::Header& task = added.task();
  if (task.state.has_join_waker()) task::awaited_twice();
  // Who completed it may be reading the place still, for a wait that was abandoned since.
  const bool is_over = task.state.is_complete();
  if (!is_over) {
    task.completion = &added;
    task.join_branch = task::Header::kCompletes;
  }
  {
    const std::lock_guard guard(lock_);
    added.next_ = running_;
    if (running_ != nullptr) running_->previous_ = &added;
    running_ = &added;
    ++running_count_;
  }
  if (is_over || task.state.set_join_waker() == task::State::Joined::Complete) added.completed();
}

void JoinSetCore::abort_all() noexcept {
  task::WakeBatch batch;
  const std::lock_guard guard(lock_);
  for (auto* at = running_; at != nullptr; at = at->next_) {
    task::Header& task = at->task();
    // A blocking call is in its pool's queue, which sees the mark.
    if (task.state.to_cancelled() && task.kind != observe::TaskKind::Blocking) batch.add(&task);
  }
}

void JoinSetCore::release_all() noexcept {
  JoinMember* freed = nullptr;
  const auto free_later = [&freed](JoinMember& member) {
    member.next_ = freed;
    freed = &member;
  };
  {
    task::WakeBatch batch;
    std::unique_lock lock(lock_);
    while (running_ != nullptr) {
      JoinMember& member = *running_;
      remove(member);
      // Complete: the completing thread is on its way to completed().
      if (member.task().state.clear_join_waker() == task::State::Joined::Registered) {
        free_later(member);
      } else {
        member.forsaken_ = true;
      }
    }
    while (JoinMember* member = pop()) free_later(*member);
    tell_if_empty(lock, batch);
  }
  // Their results are the user's, and so are their destructors.
  while (freed != nullptr) delete std::exchange(freed, freed->next_);
}

std::unique_ptr<JoinMember> JoinSetCore::try_join() noexcept {
  const std::lock_guard guard(lock_);
  return std::unique_ptr<JoinMember>(pop());
}

std::size_t JoinSetCore::size() noexcept {
  const std::lock_guard guard(lock_);
  return running_count_ + ended_count_;
}

JoinMember* JoinSetCore::pop() noexcept {
  JoinMember* member = first_;
  if (member == nullptr) return nullptr;
  first_ = member->next_;
  if (first_ == nullptr) last_ = nullptr;
  member->next_ = nullptr;
  --ended_count_;
  return member;
}

void JoinSetCore::remove(JoinMember& running) noexcept {
  (running.previous_ != nullptr ? running.previous_->next_ : running_) = running.next_;
  if (running.next_ != nullptr) running.next_->previous_ = running.previous_;
  running.next_ = running.previous_ = nullptr;
  --running_count_;
}

void JoinSetCore::offer(JoinMember& ended, bool first, task::WakeBatch& batch) noexcept {
  if (!line_.empty()) {
    auto& node = static_cast<Joining&>(*line_.front());
    node.member_ = &ended;
    line_.wake(node, true, batch);
    return;
  }
  ++ended_count_;
  if (first_ == nullptr) {
    first_ = last_ = &ended;
  } else if (first) {
    ended.next_ = std::exchange(first_, &ended);
  } else {
    last_ = last_->next_ = &ended;
  }
}

void JoinSetCore::tell_if_empty(std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept {
  if (running_count_ == 0 && ended_count_ == 0) line_.wake_all(lock, batch);
}

bool JoinSetCore::Joining::try_now() noexcept {
  const std::lock_guard guard(owner().lock_);
  return try_now_locked();
}

bool JoinSetCore::Joining::try_now_locked() noexcept {
  member_ = owner().pop();
  granted_ = member_ != nullptr;
  return granted_ || owner().running_count_ == 0;
}

JoinSetCore::Joining::~Joining() {
  if (!withdraw()) return;
  task::WakeBatch batch;
  const std::lock_guard guard(owner().lock_);
  owner().offer(*std::exchange(member_, nullptr), true, batch);
}

void JoinSetCore::describe(observe::ResourceView& view,
                           void (*visit)(const observe::ResourceView&, void*), void* context) {
  std::array<observe::Holder, kDescribedHolders> holders;
  std::size_t count = 0;
  std::size_t running = 0, ended = 0;
  {
    const std::lock_guard guard(lock_);
    for (auto* at = running_; at != nullptr && count < holders.size(); at = at->next_) {
      holders[count].task = at->task().id;
      holders[count].certain = true;
      holders[count++].role = "runs";
    }
    running = running_count_;
    ended = ended_count_;
    view.waiters = line_.size();
  }
  const std::array attributes{observe::Attribute{"running", "", running},
                              observe::Attribute{"ended", "", ended}};
  view.holders = std::span(holders).first(count);
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
