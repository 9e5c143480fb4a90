/// A lock that a task may hold across an await, around the value it protects.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/sync/wait_list.h"
#include "taskscope/runtime/task/thread_wait.h"

namespace taskscope::runtime::sync {

/// Mutex without the value: a word and a line.
///
/// The word names the holder, so that taking and releasing a lock that nobody waits for is one
/// compare-exchange each, and the holder is known whether or not anybody watches:
///     bit 0  locked     bit 1  somebody is (or was) in line: release through the lock
///     bit 2  the guard can't move, so the holder is certain     from bit 3  the holder's TaskId
/// While somebody is in line the mutex is never free: it passes from holder to holder.
class MutexCore : public Waitable {
 public:
  MutexCore(const char* name, Site site) noexcept
      : Waitable(observe::ResourceKind::Mutex, "Mutex", site, name) {
    if (*name != '\0') registered();
  }
  ~MutexCore() { leave(); }

  [[nodiscard]] bool try_lock(TaskId task, bool certain) noexcept {
    std::uint64_t expected = 0;
    const auto taken = held_by(task, certain);
    // Acquire: pairs with unlock's release; sees what the last holder wrote.
    if (!word_.compare_exchange_strong(expected, taken, std::memory_order_acquire,
                                       std::memory_order_relaxed))
      return false;
    if (observe::wants(observe::Event::Resource)) [[unlikely]]
      report_acquired(holder_in(taken));
    return true;
  }
  void unlock() noexcept {
    // Relaxed: only the waiters' bit can change under a holder, and only the exchange decides.
    auto word = word_.load(std::memory_order_relaxed);
    if (observe::wants(observe::Event::Resource)) [[unlikely]]
      report_released(holder_in(word));
    // Release: pairs with try_lock's acquire. Nothing of the mutex is touched afterwards.
    if ((word & kWaiters) != 0 || !word_.compare_exchange_strong(word, 0, std::memory_order_release,
                                                                 std::memory_order_relaxed))
        [[unlikely]]
      hand_over();
  }

  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

  class Locking : public WaitNodeOf<MutexCore> {
   public:
    /// `task`: the one that awaits.
    [[nodiscard]] bool await_ready(const task::Header& task) noexcept {
      if (waited()) [[unlikely]]
        return granted_before(task.id);
      // No grant to keep: await_resume comes next.
      return owner().try_lock(task.id, certain_);
    }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return start(awaiting.promise());
    }

   protected:
    Locking(MutexCore& core, bool certain) noexcept
        : WaitNodeOf(core, observe::WaitOp::Lock), certain_(certain) {}
    ~Locking() {
      if (is_open()) [[unlikely]]
        give_up();
    }
    /// The lock is ours.
    void settle() noexcept {
      if (waited()) [[unlikely]]
        static_cast<void>(take_grant());
    }

   private:
    friend MutexCore;
    [[nodiscard]] bool start(task::PromiseBase& awaiting) noexcept;
    [[nodiscard]] bool granted_before(TaskId task) noexcept;
    void give_up() noexcept {
      if (withdraw()) owner().unlock();
    }

    const bool certain_;
  };

 private:
  static constexpr std::uint64_t kLocked = 1, kWaiters = 2, kCertain = 4;
  static constexpr int kTaskShift = 3;

  [[nodiscard]] static std::uint64_t held_by(TaskId task, bool certain) noexcept {
    return observe::number(task) << kTaskShift | (certain ? kCertain : 0) | kLocked;
  }
  [[nodiscard]] static observe::Holder holder_in(std::uint64_t word) noexcept;
  [[nodiscard]] bool lock_or_mark(std::uint64_t taken) noexcept;
  void hand_over() noexcept;

  // Written by who takes, holds or releases; kWaiters only with lock_ held.
  Atomic<std::uint64_t> word_{0};
  WaitList line_;
};

/// Protects a value from concurrent use by tasks; may be held across awaits.
///
/// Shape    `auto guard = co_await mutex.lock();` then `guard->...`; unlocks when the guard dies.
///          The mutex must outlive its guards and waits.
/// Order    first come, first served; unlocking passes the lock on to the first in line.
/// Cancel   safe: a cancelled lock() leaves the line, or passes on the lock it was just given.
/// Watch    the holding task is always known; certain for Guard, a hint for OwnedGuard.
/// Source   tokio::sync::Mutex. An OwnedGuard may move, but unlike tokio's keeps no mutex alive.
template <class T = std::monostate>
class Mutex final : MutexCore {
 public:
  explicit Mutex(Site site = Site::current())
    requires std::default_initializable<T>
      : MutexCore("", site) {}
  explicit Mutex(T value, Site site = Site::current())
      : MutexCore("", site), value_(std::move(value)) {}
  /// `name` is shown to watchers and must live for ever: a string literal.
  Mutex(T value, const char* name, Site site = Site::current())
      : MutexCore(name, site), value_(std::move(value)) {}

  /// Holds the lock. It can't move, so the task that holds it is the one that took it.
  class [[nodiscard]] Guard {
   public:
    ~Guard() { unlock(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    /// False for a try_lock that failed, and after unlock().
    explicit operator bool() const noexcept { return mutex_ != nullptr; }
    [[nodiscard]] T& operator*() const noexcept { return mutex_->value_; }
    [[nodiscard]] T* operator->() const noexcept { return &mutex_->value_; }
    /// Unlocks before the guard dies.
    void unlock() noexcept {
      if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->unlock();
    }

   private:
    friend Mutex;
    explicit Guard(Mutex* mutex) noexcept : mutex_(mutex) {}
    Mutex* mutex_;
  };

  /// Holds the lock and may move, to another task too. Watchers see who took it as a hint.
  class [[nodiscard]] OwnedGuard {
   public:
    OwnedGuard() noexcept = default;
    OwnedGuard(OwnedGuard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    OwnedGuard& operator=(OwnedGuard&& other) noexcept {
      if (this != &other) {
        unlock();
        mutex_ = std::exchange(other.mutex_, nullptr);
      }
      return *this;
    }
    ~OwnedGuard() { unlock(); }

    explicit operator bool() const noexcept { return mutex_ != nullptr; }
    [[nodiscard]] T& operator*() const noexcept { return mutex_->value_; }
    [[nodiscard]] T* operator->() const noexcept { return &mutex_->value_; }
    void unlock() noexcept {
      if (mutex_ != nullptr) std::exchange(mutex_, nullptr)->unlock();
    }

   private:
    friend Mutex;
    explicit OwnedGuard(Mutex* mutex) noexcept : mutex_(mutex) {}
    Mutex* mutex_ = nullptr;
  };

  template <class G>
  class [[nodiscard]] Locking final : public MutexCore::Locking {
   public:
    [[nodiscard]] G await_resume() noexcept {
      this->settle();  // nothing but a grant ends the wait
      return G(static_cast<Mutex*>(&this->owner()));
    }

   private:
    friend Mutex;
    explicit Locking(Mutex& mutex) noexcept : MutexCore::Locking(mutex, std::is_same_v<G, Guard>) {}
  };

  /// Waits for the lock; yields a Guard. An arm of select or timeout needs lock_owned.
  Locking<Guard> lock() noexcept { return Locking<Guard>(*this); }
  /// Waits for the lock; yields an OwnedGuard.
  Locking<OwnedGuard> lock_owned() noexcept { return Locking<OwnedGuard>(*this); }
  /// Takes the lock if it is free, from any thread; else the guard is empty.
  Guard try_lock() noexcept {
    return Guard(MutexCore::try_lock(task::current_task_id(), true) ? this : nullptr);
  }
  OwnedGuard try_lock_owned() noexcept {
    return OwnedGuard(MutexCore::try_lock(task::current_task_id(), false) ? this : nullptr);
  }
  /// Waits for the lock with the calling thread, in the same line as tasks do.
  ///
  /// Errors   std::logic_error on a thread that runs tasks: allowed are threads outside of runtimes
  ///          and blocking calls.
  Guard blocking_lock() { return task::wait_on_thread(lock(), "Mutex::blocking_lock"); }
  OwnedGuard blocking_lock_owned() {
    return task::wait_on_thread(lock_owned(), "Mutex::blocking_lock_owned");
  }
  /// The value, without the lock: only while nobody else uses the mutex.
  [[nodiscard]] T& get_mut() noexcept { return value_; }
  [[nodiscard]] T into_inner() && { return std::move(value_); }
  /// What watchers know it by.
  [[nodiscard]] task::Resource& resource() noexcept { return *this; }

 private:
  T value_{};
};

}  // namespace taskscope::runtime::sync
