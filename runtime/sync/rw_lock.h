/// A lock that many tasks may hold for reading, or one for writing, around the value it protects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>

#include "taskscope/runtime/sync/wait_list.h"
#include "taskscope/runtime/task/thread_wait.h"

namespace taskscope::runtime::sync {

class RwLockCore;

/// A lock that is held, in the list by which watchers see who holds it. It lives in the guard, and
/// before that in the awaiter to which the lock was granted: no holder is ever missing.
class RwHold {
 public:
  RwHold(const RwHold&) = delete;
  RwHold& operator=(const RwHold&) = delete;

  /// False for a try_read or try_write that failed, and after unlock().
  explicit operator bool() const noexcept { return core_ != nullptr; }
  /// Unlocks before the guard dies.
  void unlock() noexcept;

 protected:
  RwHold() noexcept = default;
  ~RwHold() { unlock(); }
  /// Takes the place of `other`, which becomes empty, in the name of the calling task.
  void move_from(RwHold& other, bool certain) noexcept;
  void downgrade() noexcept;

 private:
  friend RwLockCore;
  [[nodiscard]] observe::Holder holder() const noexcept;

  RwLockCore* core_ = nullptr;
  TaskId task_ = TaskId::None;
  bool exclusive_ = false;
  bool certain_ = false;
  RwHold* next_ = nullptr;  // these two: under the core's lock
  RwHold** link_ = nullptr;
};

/// RwLock without the value.
class RwLockCore final : public Waitable {
 public:
  static constexpr std::size_t kMaxReaders = SIZE_MAX >> 3;

  /// Errors   std::invalid_argument for no reader, or more than kMaxReaders.
  RwLockCore(std::size_t max_readers, const char* name, Site site);
  ~RwLockCore() { leave(); }

  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

  class Locking : public WaitNodeOf<RwLockCore> {
   public:
    [[nodiscard]] bool await_ready() noexcept {
      if (waited()) [[unlikely]]
        return settled();
      return granted_ = owner().try_lock(held_, exclusive_, certain_);
    }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return start(awaiting.promise());
    }

   protected:
    Locking(RwLockCore& core, bool exclusive, bool certain) noexcept
        : WaitNodeOf(core, exclusive ? observe::WaitOp::WriteLock : observe::WaitOp::ReadLock),
          exclusive_(exclusive),
          certain_(certain) {}
    ~Locking();

    struct Held final : RwHold {
    } held_;

   private:
    friend RwLockCore;
    [[nodiscard]] bool start(task::PromiseBase& awaiting) noexcept;

    const bool exclusive_;
    const bool certain_;
  };

  [[nodiscard]] bool try_lock(RwHold& hold, bool exclusive, bool certain) noexcept;

 private:
  friend RwHold;

  // Locked, all of these:
  [[nodiscard]] bool is_free_for(bool exclusive) const noexcept {
    return !writer_ && (exclusive ? readers_ == 0 : readers_ < max_readers_);
  }
  [[nodiscard]] bool take_now(RwHold& hold, bool exclusive, bool certain, TaskId task) noexcept;
  void take(RwHold& hold, bool exclusive, bool certain, TaskId task) noexcept;
  void enter(RwHold& hold) noexcept;
  void remove(RwHold& hold) noexcept;
  /// Grants the lock to those in front of the line that may have it together.
  void hand_over(std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept;

  const std::size_t max_readers_;
  std::size_t readers_ = 0;  // these four: under lock_
  bool writer_ = false;
  RwHold* holds_ = nullptr;  // newest first
  WaitList line_;
};

/// Holds the lock; V is `const T` for reading, T for writing. Without kOwned it can't move, so the
/// task that holds it is the one that took it.
template <class V, bool kOwned>
class [[nodiscard]] RwGuard final : public RwHold {
 public:
  RwGuard() noexcept
    requires kOwned
  = default;
  RwGuard(RwGuard&& other) noexcept
    requires kOwned
      : value_(other.value_) {
    move_from(other, false);
  }
  RwGuard& operator=(RwGuard&& other) noexcept
    requires kOwned
  {
    if (this != &other) {
      unlock();
      value_ = other.value_;
      move_from(other, false);
    }
    return *this;
  }

  [[nodiscard]] V& operator*() const noexcept { return *value_; }
  [[nodiscard]] V* operator->() const noexcept { return value_; }

  /// Lets other readers in and goes on reading; this guard is empty then. No writer comes between.
  [[nodiscard]] RwGuard<const V, kOwned> downgrade() noexcept
    requires(!std::is_const_v<V>)
  {
    RwHold::downgrade();
    return RwGuard<const V, kOwned>(value_, *this);
  }

 private:
  template <class T>
  friend class RwLock;
  template <class W, bool kAlsoOwned>
  friend class RwGuard;
  explicit RwGuard(V* value) noexcept : value_(value) {}
  RwGuard(V* value, RwHold& from) noexcept : value_(value) { move_from(from, !kOwned); }

  V* value_ = nullptr;
};

/// Protects a value: any number of readers at once, or one writer; may be held across awaits.
///
/// Shape    `auto guard = co_await lock.read();` then `guard->...`; unlocks when the guard dies.
///          The lock must outlive its guards and waits.
/// Order    first come, first served: a reader that comes after a waiting writer waits behind it.
///          So a task that reads must not ask to read again before it has let go.
/// Cancel   safe: a cancelled read() or write() leaves the line, or passes on the lock it was just
///          given.
/// Watch    every holder is known, also of a lock just granted; certain for ReadGuard and
///          WriteGuard, a hint for the owned ones.
/// Source   tokio::sync::RwLock. Owned guards may move, but unlike tokio's keep no lock alive.
template <class T = std::monostate>
class RwLock {
  static_assert(!std::is_const_v<T>);

 public:
  using ReadGuard = RwGuard<const T, false>;
  using WriteGuard = RwGuard<T, false>;
  using OwnedReadGuard = RwGuard<const T, true>;  ///< may move, to another task too
  using OwnedWriteGuard = RwGuard<T, true>;       ///< likewise

  explicit RwLock(Site site = Site::current())
    requires std::default_initializable<T>
      : core_(RwLockCore::kMaxReaders, "", site) {}
  explicit RwLock(T value, Site site = Site::current()) : RwLock(std::move(value), "", site) {}
  /// `name` is shown to watchers and must live for ever: a string literal.
  RwLock(T value, const char* name, Site site = Site::current())
      : RwLock(std::move(value), RwLockCore::kMaxReaders, name, site) {}
  /// One that lets at most `max_readers` read at once; more stand in line.
  ///
  /// Errors   std::invalid_argument for 0, or more than RwLockCore::kMaxReaders.
  [[nodiscard]] static RwLock with_max_readers(T value, std::size_t max_readers,
                                               const char* name = "", Site site = Site::current()) {
    return RwLock(std::move(value), max_readers, name, site);
  }

  template <class V, bool kOwned>
  class [[nodiscard]] Locking final : public RwLockCore::Locking {
   public:
    [[nodiscard]] RwGuard<V, kOwned> await_resume() noexcept {
      static_cast<void>(this->take_grant());  // nothing else ends the wait
      return RwGuard<V, kOwned>(&lock_.value_, this->held_);
    }

   private:
    friend RwLock;
    explicit Locking(RwLock& lock) noexcept
        : RwLockCore::Locking(lock.core_, !std::is_const_v<V>, !kOwned), lock_(lock) {}
    RwLock& lock_;
  };

  /// Waits to read. An arm of select or timeout needs read_owned.
  Locking<const T, false> read() noexcept { return Locking<const T, false>(*this); }
  /// Waits to write. An arm of select or timeout needs write_owned.
  Locking<T, false> write() noexcept { return Locking<T, false>(*this); }
  Locking<const T, true> read_owned() noexcept { return Locking<const T, true>(*this); }
  Locking<T, true> write_owned() noexcept { return Locking<T, true>(*this); }
  /// Takes the lock if nobody is in the way or in line, from any thread; else the guard is empty.
  ReadGuard try_read() noexcept { return try_lock<const T, false>(); }
  WriteGuard try_write() noexcept { return try_lock<T, false>(); }
  OwnedReadGuard try_read_owned() noexcept { return try_lock<const T, true>(); }
  OwnedWriteGuard try_write_owned() noexcept { return try_lock<T, true>(); }
  /// Wait for the lock with the calling thread, in the same line as tasks do.
  ///
  /// Errors   std::logic_error on a thread that runs tasks: allowed are threads outside of runtimes
  ///          and blocking calls.
  ReadGuard blocking_read() { return task::wait_on_thread(read(), "RwLock::blocking_read"); }
  WriteGuard blocking_write() { return task::wait_on_thread(write(), "RwLock::blocking_write"); }
  /// The value, without the lock: only while nobody else uses it.
  [[nodiscard]] T& get_mut() noexcept { return value_; }
  [[nodiscard]] T into_inner() && { return std::move(value_); }
  /// What watchers know it by.
  [[nodiscard]] task::Resource& resource() noexcept { return core_; }

 private:
  RwLock(T value, std::size_t max_readers, const char* name, Site site)
      : core_(max_readers, name, site), value_(std::move(value)) {}
  template <class V, bool kOwned>
  RwGuard<V, kOwned> try_lock() noexcept {
    struct Held final : RwHold {
    } held;
    static_cast<void>(core_.try_lock(held, !std::is_const_v<V>, !kOwned));
    return RwGuard<V, kOwned>(&value_, held);
  }

  RwLockCore core_;
  T value_{};
};

}  // namespace taskscope::runtime::sync
