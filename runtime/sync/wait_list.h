/// The one line in which tasks wait, under every type of this folder.
///
///     Waitable (Mutex, Semaphore, ...)        awaiting frames
///       lock ── WaitList ──▶ [ WaitNode ] ──▶ [ WaitNode ] ──▶ ...
///
/// A node lives in its awaiter, in the frame that waits: to wait allocates nothing, and to cancel
/// is to destroy the frame, whose node then leaves the line. Whoever releases something *grants* it
/// to the first node under the lock, so what is granted is never up for grabs, and the order of
/// arrival is the order of service. The granted task runs later; if it is cancelled in between, the
/// destructor of its awaiter gives the grant to the next in line. So every awaiter ends in one of
/// three ways, and `withdraw` tells which: it never waited, it was in line, it held a grant.
///
/// A node may be in line with nobody suspended on it: when an arm of select that awaited somebody
/// else's awaiter is destroyed, or after Notified::enable. It keeps its place and is granted
/// without a wake.
///
/// Waits are told to watchers from here (`describe`), once for all types.
#pragma once

#include <cassert>
#include <cstdint>
#include <mutex>
#include <utility>

#include "taskscope/runtime/sync/lock.h"
#include "taskscope/runtime/task/resource.h"
#include "taskscope/runtime/task/task.h"
#include "taskscope/runtime/task/waiter.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime::sync {

using observe::Site;
using observe::TaskId;

class WaitList;
class WaitNode;

/// A resource with a lock for its wait lists and for everything they depend on.
///
/// A type that derives calls `leave()` first thing in its destructor.
class Waitable : public task::Resource {
 protected:
  using Resource::Resource;
  ~Waitable() = default;
  void leave() noexcept {
    deregister();
    lock_.wait_until_left();
  }

  Lock lock_;

 private:
  friend WaitNode;
};

/// An awaiter's place in line. Members that say "locked" want the lock of the list's owner held.
class WaitNode : public task::FireWaiter {
 public:
  void describe(observe::Wait& wait) const noexcept final;

  /// The await on this node was destroyed and the node was not: nobody may be woken through it.
  /// The place in line is kept for the next await.
  void abandon() noexcept {
    if (list_ != nullptr) [[unlikely]]
      forget_branch();
  }
  /// The task suspended on the node; locked, or before the node is in a list.
  [[nodiscard]] TaskId task_id() const noexcept {
    return branch_ != nullptr ? branch_->task().id : TaskId::None;
  }

 protected:
  WaitNode(Waitable& owner, observe::WaitOp op) noexcept : op_(op), owner_(owner) {}
  ~WaitNode() { assert(!linked_ && "an awaiter's destructor has to withdraw"); }

  /// Entered a line and the await is not over. Owner only.
  [[nodiscard]] bool waited() const noexcept { return list_ != nullptr; }
  /// In line, or with a grant that nobody took: what a destructor looks at, so that an await that
  /// did not wait leaves at once. Owner only.
  [[nodiscard]] bool is_open() const noexcept { return list_ != nullptr || granted_; }
  /// For a node that waited: left the line since. Owner only; takes the lock.
  [[nodiscard]] bool settled() const noexcept;

  /// The course of every await_suspend. `try_now(node)`, locked, looks again whether there is
  /// anything to wait for. False: there is not, the coroutine goes on.
  template <class TryNow>
  [[nodiscard]] bool wait_in(WaitList& list, task::PromiseBase& awaiting, TryNow try_now) noexcept;
  /// Enters the line with nobody suspended. False: there is nothing to wait for.
  template <class TryNow>
  [[nodiscard]] bool enter(WaitList& list, TryNow try_now) noexcept;

  /// The await is over: was it granted what it waited for? Only after the node left the line.
  [[nodiscard]] bool take_grant() noexcept {
    list_ = nullptr;
    return std::exchange(granted_, false);
  }
  /// For destructors. Leaves the line, doing `if_linked()` locked if it still was in it. True: a
  /// grant came that nobody took; give it back.
  template <class IfLinked>
  [[nodiscard]] bool withdraw(IfLinked if_linked) noexcept;
  [[nodiscard]] bool withdraw() noexcept {
    return withdraw([] {});
  }

  // The small ones come first: they fit behind FireWaiter's phase.
  /// Set with the lock held by who removes the node from the line, or by the owner itself when it
  /// got what it wants without waiting.
  bool granted_ = false;

 private:
  friend WaitList;
  template <class Owner>
  friend class WaitNodeOf;
  void forget_branch() noexcept;
  Lock& lock() const noexcept { return owner_.lock_; }

  bool linked_ = false;  // locked
  observe::WaitOp op_;
  Waitable& owner_;
  WaitList* list_ = nullptr;  // owner only
  WaitNode* next_;            // these two: locked, and only while linked, as most awaits never are
  WaitNode* previous_;
};

/// A WaitNode that knows the type of what it waits at.
template <class Owner>
class WaitNodeOf : public WaitNode {
 protected:
  WaitNodeOf(Owner& owner, observe::WaitOp op) noexcept : WaitNode(owner, op) {}
  ~WaitNodeOf() = default;
  [[nodiscard]] Owner& owner() const noexcept { return static_cast<Owner&>(owner_); }
};

/// First in, first out. Every call wants the owner's lock held.
class WaitList {
 public:
  WaitList() noexcept = default;
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;
  ~WaitList() { assert(front_ == nullptr && "destroyed while tasks wait in it"); }

  [[nodiscard]] WaitNode* front() const noexcept { return front_; }
  [[nodiscard]] WaitNode* back() const noexcept { return back_; }
  [[nodiscard]] bool empty() const noexcept { return front_ == nullptr; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

  void push_back(WaitNode& node) noexcept;
  void remove(WaitNode& node) noexcept;
  /// Removes the node and wakes its task; `granted`: it got what it waits for, else it is only told
  /// to look (closed). The node may be gone when this returns. The batch must not be full.
  void wake(WaitNode& node, bool granted, task::WakeBatch& batch) noexcept;
  /// Wakes all without a grant, letting go of the lock between full batches.
  void wake_all(std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept;

 private:
  WaitNode* front_ = nullptr;
  WaitNode* back_ = nullptr;
  std::uint32_t size_ = 0;
};

/// Empties a full batch under a lock, by letting go of it. True: look again at everything. Only
/// while somebody is in line, who keeps the owner of the lock alive.
[[nodiscard]] inline bool made_room(task::WakeBatch& batch, std::unique_lock<Lock>& lock) noexcept {
  if (!batch.full()) [[likely]]
    return false;
  lock.unlock();
  batch.submit_all();
  lock.lock();
  return true;
}

template <class TryNow>
bool WaitNode::wait_in(WaitList& list, task::PromiseBase& awaiting, TryNow try_now) noexcept {
  // Before the lock: registration asks for locks under which describe asks for this one.
  owner_.registered();
  const std::lock_guard guard(lock());
  if (list_ == nullptr ? try_now() : !linked_) return false;
  suspend(std::coroutine_handle<task::PromiseBase>::from_promise(awaiting));
  if (list_ == nullptr) {
    reset_fired();  // by an earlier await on the same node
    list.push_back(*this);
    list_ = &list;
  }
  return true;
}

template <class TryNow>
bool WaitNode::enter(WaitList& list, TryNow try_now) noexcept {
  assert(list_ == nullptr);
  owner_.registered();
  const std::lock_guard guard(lock());
  if (try_now()) return false;
  branch_ = nullptr;
  reset_fired();
  list.push_back(*this);
  list_ = &list;
  return true;
}

template <class IfLinked>
bool WaitNode::withdraw(IfLinked if_linked) noexcept {
  if (list_ != nullptr && !fired()) {
    const std::lock_guard guard(lock());
    if (linked_) {
      list_->remove(*this);
      if_linked();
    }
  }
  return take_grant();
}

}  // namespace taskscope::runtime::sync
