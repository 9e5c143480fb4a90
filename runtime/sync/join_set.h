/// Tasks that belong together, awaited in the order in which they end.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/wait_list.h"
#include "taskscope/runtime/task/local_set.h"

namespace taskscope::runtime::sync {

class JoinSetCore;

/// A task in a set: runs, or has ended and waits to be joined.
class JoinMember final : public task::Completion {
 public:
  /// `taker` is what the JoinHandle takes its result with, without its type.
  using Take = void (*)();
  explicit JoinMember(std::shared_ptr<JoinSetCore> set) noexcept : set_(std::move(set)) {}
  /// Before it is added to the set.
  void hold(task::Reference task, Take taker) noexcept {
    task_ = std::move(task);
    take_ = taker;
  }
  void completed() noexcept override;
  [[nodiscard]] task::Header& task() const noexcept { return *task_.get(); }
  [[nodiscard]] Take take() const noexcept { return take_; }

 private:
  friend JoinSetCore;
  const std::shared_ptr<JoinSetCore> set_;
  task::Reference task_;
  Take take_ = nullptr;
  // All under the set's lock.
  JoinMember* next_ = nullptr;
  JoinMember* previous_ = nullptr;  // only while it runs
  bool forsaken_ = false;           // the set let it go: completed() frees it
};

/// A JoinSet without the type of its results.
class JoinSetCore final : public Waitable {
 public:
  JoinSetCore(const char* name, Site site) noexcept
      : Waitable(observe::ResourceKind::Other, "JoinSet", site, name) {
    if (*name != '\0') registered();
  }
  ~JoinSetCore() { leave(); }

  /// Takes the member, and from its task the place of who awaits it.
  void add(std::unique_ptr<JoinMember> member) noexcept;
  void abort_all() noexcept;
  /// Lets go of all members, which run on.
  void release_all() noexcept;
  [[nodiscard]] std::unique_ptr<JoinMember> try_join() noexcept;
  [[nodiscard]] std::size_t size() noexcept;
  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

  class Joining : public WaitNodeOf<JoinSetCore> {
   public:
    [[nodiscard]] bool await_ready() noexcept { return waited() ? settled() : try_now(); }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return wait_in(owner().line_, awaiting.promise(), [this] { return try_now_locked(); });
    }

   protected:
    explicit Joining(JoinSetCore& set) noexcept : WaitNodeOf(set, observe::WaitOp::Recv) {}
    ~Joining();
    /// Null: the set was empty.
    [[nodiscard]] std::unique_ptr<JoinMember> take() noexcept {
      static_cast<void>(take_grant());
      return std::unique_ptr<JoinMember>(std::exchange(member_, nullptr));
    }

   private:
    friend JoinSetCore;
    [[nodiscard]] bool try_now() noexcept;
    [[nodiscard]] bool try_now_locked() noexcept;

    JoinMember* member_ = nullptr;  // granted; locked, or when the wait is over
  };

 private:
  friend JoinMember;
  // Locked, all of these:
  [[nodiscard]] JoinMember* pop() noexcept;
  void remove(JoinMember& running) noexcept;
  /// To the first in line, or to the first or last place of those that wait to be joined.
  void offer(JoinMember& ended, bool first, task::WakeBatch& batch) noexcept;
  void tell_if_empty(std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept;

  JoinMember* running_ = nullptr;  // newest first
  JoinMember* first_ = nullptr;    // ended, in that order
  JoinMember* last_ = nullptr;
  std::size_t running_count_ = 0;
  std::size_t ended_count_ = 0;
  WaitList line_;
};

/// A task of a JoinSet that has ended, with its result.
template <class T>
class [[nodiscard]] Joined {
 public:
  [[nodiscard]] observe::TaskId id() const noexcept { return member_->task().id; }
  [[nodiscard]] observe::Outcome outcome() const noexcept { return member_->task().outcome; }
  /// The result, once. Rethrows what the task threw; Cancelled if it was aborted or its runtime
  /// shut down.
  [[nodiscard]] T take() {
    if (outcome() == observe::Outcome::Cancelled) throw Cancelled();
    return reinterpret_cast<Take>(member_->take())(member_->task());
  }

 private:
  template <class U>
  friend class JoinSet;
  using Take = typename JoinHandle<T>::Take;
  explicit Joined(std::unique_ptr<JoinMember> member) noexcept : member_(std::move(member)) {}
  std::unique_ptr<JoinMember> member_;
};

/// Tasks that are awaited in the order in which they end, and end with the set.
///
/// Shape    spawn into it, then
///              for (;;) { auto ended = co_await set.join_next(); if (!ended) break; ... }
///          Movable; must outlive its waits. When it dies its tasks are aborted, and end by
///          themselves: shutdown() waits for that.
/// Errors   a task's failure is in its Joined, and concerns no other.
/// Cancel   safe: a cancelled join_next() has taken no task.
/// Watch    its running tasks are its holders: the end of any of them ends a wait.
/// Source   tokio::task::JoinSet
template <class T = void>
class JoinSet {
 public:
  explicit JoinSet(Site site = Site::current()) : JoinSet("", site) {}
  /// `name` is shown to watchers and must live for ever: a string literal.
  explicit JoinSet(const char* name, Site site = Site::current())
      : core_(std::make_shared<JoinSetCore>(name, site)) {}
  JoinSet(JoinSet&&) noexcept = default;
  JoinSet& operator=(JoinSet&& other) noexcept {
    if (this != &other) {
      const JoinSet before(std::move(*this));
      core_ = std::move(other.core_);
    }
    return *this;
  }
  ~JoinSet() {
    if (!core_) return;
    core_->abort_all();
    core_->release_all();
  }

  /// Errors   as runtime::spawn.
  AbortHandle spawn(Task<T> task, Site site = Site::current()) {
    auto member = new_member();
    return add(std::move(member), runtime::spawn(std::move(task), site));
  }
  /// On the runtime of `handle`, from any thread.
  AbortHandle spawn_on(const Handle& handle, Task<T> task, Site site = Site::current()) {
    auto member = new_member();
    return add(std::move(member), handle.spawn(std::move(task), site));
  }
  /// On this thread, in the LocalSet of the calling task. Errors   as runtime::spawn_local.
  AbortHandle spawn_local(Task<T> task, Site site = Site::current()) {
    auto member = new_member();
    return add(std::move(member), runtime::spawn_local(std::move(task), site));
  }
  /// In a given LocalSet.
  AbortHandle spawn_local_on(LocalSet& local, Task<T> task, Site site = Site::current()) {
    auto member = new_member();
    return add(std::move(member), local.spawn_local(std::move(task), site));
  }
  /// Puts a task in that was spawned elsewhere, with a name for one.
  /// Nobody may await its handle at that time.
  ///
  /// Errors   std::bad_alloc; the task then runs on by itself.
  AbortHandle add(JoinHandle<T> handle) { return add(new_member(), std::move(handle)); }

  /// A call that blocks, on a thread of the blocking pool: here, or of another runtime.
  ///
  /// Errors   as runtime::spawn_blocking.
  template <class F>
  AbortHandle spawn_blocking(F call, Site site = Site::current()) {
    auto member = new_member();
    return add(std::move(member), runtime::spawn_blocking(std::move(call), site));
  }
  template <class F>
  AbortHandle spawn_blocking_on(const Handle& handle, F call, Site site = Site::current()) {
    auto member = new_member();
    return add(std::move(member), handle.spawn_blocking(std::move(call), site));
  }

  class [[nodiscard]] Joining final : public JoinSetCore::Joining {
   public:
    [[nodiscard]] std::optional<Joined<T>> await_resume() noexcept { return joined(this->take()); }

   private:
    friend JoinSet;
    explicit Joining(JoinSet& set) noexcept : JoinSetCore::Joining(*set.core_) {}
  };

  /// Waits for the next task to end; yields nothing when the set is empty.
  ///
  /// Cancel   safe: the task that ended is joined by the next call.
  /// Watch    a wait of op Recv on the set, whose holders are its tasks; Join is for one task.
  /// Source   tokio::task::JoinSet::join_next
  Joining join_next() noexcept { return Joining(*this); }
  /// A task that has ended already, if there is one.
  [[nodiscard]] std::optional<Joined<T>> try_join_next() noexcept {
    return joined(core_->try_join());
  }
  /// Asks for the end of all; they are still to be joined.
  void abort_all() noexcept { core_->abort_all(); }
  /// Aborts all, and waits until they are gone.
  ///
  /// Cancel   not safe: the tasks are aborted all the same.
  /// Source   tokio::task::JoinSet::shutdown
  [[nodiscard]] Task<void> shutdown() {
    core_->abort_all();
    for (;;) {
      auto joining = join_next();
      task::Inherited<Joining&> at_caller(joining);
      const auto ended = co_await at_caller;
      if (!ended) break;
    }
  }
  /// Waits for all, and gives their results in the order in which they ended.
  ///
  /// Errors   rethrows the first failure; Cancelled for a task that was aborted. The others are
  ///          aborted then.
  /// Cancel   not safe: results that came before are lost. The set is as join_next() left it.
  /// Source   tokio::task::JoinSet::join_all
  [[nodiscard]] Task<std::conditional_t<std::is_void_v<T>, void, std::vector<task::Wrapped<T>>>>
  join_all() {
    if constexpr (std::is_void_v<T>) {
      for (;;) {
        auto joining = join_next();
        task::Inherited<Joining&> at_caller(joining);
        auto ended = co_await at_caller;
        if (!ended) co_return;
        take_or_abort(*ended);
      }
    } else {
      std::vector<T> results;
      for (;;) {
        auto joining = join_next();
        task::Inherited<Joining&> at_caller(joining);
        auto ended = co_await at_caller;
        if (!ended) co_return results;
        results.push_back(take_or_abort(*ended));
      }
    }
  }
  /// Lets all run on by themselves; the set is empty then.
  void detach_all() noexcept { core_->release_all(); }
  /// Running, or ended and not joined.
  [[nodiscard]] std::size_t size() const noexcept { return core_->size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// What watchers know it by.
  [[nodiscard]] task::Resource& resource() noexcept { return *core_; }

 private:
  /// Made before its task is spawned: a task that began could not be taken back.
  [[nodiscard]] std::unique_ptr<JoinMember> new_member() {
    return std::make_unique<JoinMember>(core_);
  }
  AbortHandle add(std::unique_ptr<JoinMember> member, JoinHandle<T> handle) noexcept {
    auto aborting = handle.abort_handle();
    member->hold(std::move(handle.task_), reinterpret_cast<JoinMember::Take>(handle.take_));
    core_->add(std::move(member));
    return aborting;
  }
  T take_or_abort(Joined<T>& ended) {
    try {
      return ended.take();
    } catch (...) {
      core_->abort_all();
      throw;
    }
  }
  [[nodiscard]] static std::optional<Joined<T>> joined(
      std::unique_ptr<JoinMember> member) noexcept {
    if (!member) return std::nullopt;
    return Joined<T>(std::move(member));
  }

  std::shared_ptr<JoinSetCore> core_;
};

}  // namespace taskscope::runtime::sync
