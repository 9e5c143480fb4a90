#include "taskscope/runtime/sync/cancellation_token.h"

#include <array>
#include <mutex>

namespace taskscope::runtime::sync {

/// One lock for the shape of a whole tree: a token dies, or is cancelled with all below it, while
/// nobody else changes anything. It is taken before the lock of a token, never after.
struct TokenCore::Tree {
  ThreadMutex mutex;
};

TokenCore::TokenCore(std::shared_ptr<TokenCore> parent, const char* name, Site site)
    : Waitable(observe::ResourceKind::Other, "CancellationToken", site, name),
      parent_(std::move(parent)),
      tree_(parent_ ? parent_->tree_ : std::make_shared<Tree>()) {
  if (parent_) {
    const std::lock_guard guard(tree_->mutex);
    // Relaxed, both: written under the tree's lock, and read under it.
    cancelled_.store(parent_->cancelled_.load(std::memory_order_relaxed),
                     std::memory_order_relaxed);
    next_ = parent_->children_;
    link_ = &parent_->children_;
    if (next_ != nullptr) next_->link_ = &next_;
    parent_->children_ = this;
    ++parent_->child_count_;
  }
  if (*name != '\0') registered();
}

TokenCore::~TokenCore() {
  // Before the tree's lock: the Inspector asks for that one while it holds the registry's.
  leave();
  if (!parent_) return;
  const std::lock_guard guard(tree_->mutex);
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  --parent_->child_count_;
}

void TokenCore::cancel() noexcept {
  if (is_cancelled()) return;
  task::WakeBatch batch;
  const std::lock_guard guard(tree_->mutex);
  cancel_all(batch);
}

/// With the tree's lock. Not by recursion: a chain of children may be long.
void TokenCore::cancel_all(task::WakeBatch& batch) noexcept {
  for (TokenCore* at = this;;) {
    const bool before = at->cancelled_.load(std::memory_order_relaxed);
    if (!before) {
      const std::lock_guard guard(at->lock_);
      // Release: pairs with is_cancelled's acquire.
      at->cancelled_.store(true, std::memory_order_release);
      // All at once: the batch holds any number, and lets go of them after the locks.
      while (!at->line_.empty()) at->line_.wake(*at->line_.front(), false, batch);
    }
    // What was cancelled before has no child that is not.
    if (!before && at->children_ != nullptr) {
      at = at->children_;
      continue;
    }
    while (at != this && at->next_ == nullptr) at = at->parent_.get();
    if (at == this) return;
    at = at->next_;
  }
}

void TokenCore::describe(observe::ResourceView& view,
                         void (*visit)(const observe::ResourceView&, void*), void* context) {
  std::size_t children = 0;
  {
    const std::lock_guard guard(tree_->mutex);
    children = child_count_;
  }
  {
    const std::lock_guard guard(lock_);
    view.waiters = line_.size();
  }
  const std::array attributes{observe::Attribute{"cancelled", "", is_cancelled() ? 1u : 0u},
                              observe::Attribute{"children", "", children}};
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
