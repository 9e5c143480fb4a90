#include "taskscope/runtime/sync/wait_list.h"

namespace taskscope::runtime::sync {

void WaitNode::describe(observe::Wait& wait) const noexcept {
  wait.op = op_;
  wait.resource_kind = owner_.kind();
  wait.resource = owner_.id();
}

bool WaitNode::settled() const noexcept {
  if (fired()) return true;
  const std::lock_guard guard(lock());
  return !linked_;
}

void WaitNode::forget_branch() noexcept {
  if (fired()) return;
  const std::lock_guard guard(lock());
  // Not linked any more: it was fired meanwhile, and who fired it is through with the branch.
  if (linked_) branch_ = nullptr;
}

void WaitList::push_back(WaitNode& node) noexcept {
  assert(!node.linked_);
  node.linked_ = true;
  node.next_ = nullptr;
  node.previous_ = back_;
  (back_ != nullptr ? back_->next_ : front_) = &node;
  back_ = &node;
  ++size_;
}

void WaitList::remove(WaitNode& node) noexcept {
  assert(node.linked_);
  node.linked_ = false;
  (node.previous_ != nullptr ? node.previous_->next_ : front_) = node.next_;
  (node.next_ != nullptr ? node.next_->previous_ : back_) = node.previous_;
  --size_;
}

void WaitList::wake(WaitNode& node, bool granted, task::WakeBatch& batch) noexcept {
  remove(node);
  node.granted_ = granted;
  if (node.branch_ != nullptr) batch.add(node.fire(node.owner_.id()));
}

void WaitList::wake_all(std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept {
  while (front_ != nullptr) {
    if (made_room(batch, lock)) continue;
    wake(*front_, false, batch);
  }
}

}  // namespace taskscope::runtime::sync
