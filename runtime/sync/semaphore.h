/// A number of permits that tasks take and give back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/sync/wait_list.h"

namespace taskscope::runtime::sync {

class Semaphore;

/// Permits taken from a semaphore, in the list by which watchers see who holds some.
class PermitHold {
 public:
  PermitHold(const PermitHold&) = delete;
  PermitHold& operator=(const PermitHold&) = delete;

  /// False: the semaphore was closed, or a try_acquire found too few; and after release.
  explicit operator bool() const noexcept { return semaphore_ != nullptr; }
  [[nodiscard]] std::size_t permits() const noexcept { return permits_; }
  /// Gives the permits back before the object dies.
  void release() noexcept;
  /// Takes the permits out of circulation: they are not given back.
  void forget() noexcept;

 protected:
  PermitHold() noexcept = default;
  PermitHold(Semaphore* semaphore, std::size_t permits, bool certain) noexcept;
  /// Takes over `permits` of those of `from`; none if it has fewer.
  PermitHold(PermitHold& from, std::size_t permits) noexcept;
  /// Takes over all permits of `other`, which becomes empty; std::invalid_argument, and nothing
  /// happens, if they are another semaphore's.
  void take_all(PermitHold& other);
  ~PermitHold() { release(); }
  /// Takes the place of `other`, which becomes empty.
  void move_from(PermitHold& other) noexcept;

 private:
  friend Semaphore;
  Semaphore* semaphore_ = nullptr;
  std::size_t permits_ = 0;
  TaskId task_ = TaskId::None;
  bool certain_ = false;
  PermitHold* next_ = nullptr;  // these two: under the semaphore's lock
  PermitHold** link_ = nullptr;
};

/// Limits how many tasks do something at once; may also be used as a counting signal.
///
/// Shape    `auto permit = co_await semaphore.acquire();` gives back when the permit dies. The
///          semaphore must outlive its permits and waits.
/// Order    first come, first served, also against those who want fewer: permits given back gather
///          for the first in line.
/// Errors   an empty permit once the semaphore is closed. std::invalid_argument for more than
///          kMaxPermits.
/// Cancel   safe: a cancelled acquire leaves the line and passes on what it had been given.
/// Watch    every holder is known; certain for Permit, a hint for OwnedPermit.
/// Source   tokio::sync::Semaphore, acquire_many as acquire(n). An OwnedPermit may move, but unlike
///          tokio's keeps no semaphore alive.
class Semaphore final : public Waitable {
 public:
  static constexpr std::size_t kMaxPermits = SIZE_MAX >> 3;

  explicit Semaphore(std::size_t permits, Site site = Site::current())
      : Semaphore(permits, "", site) {}
  /// `name` is shown to watchers and must live for ever: a string literal.
  Semaphore(std::size_t permits, const char* name, Site site = Site::current());
  ~Semaphore() { leave(); }

  /// It can't move, so the task that holds it is the one that took it.
  class [[nodiscard]] Permit final : public PermitHold {
   public:
    /// Some of these permits, as a permit of their own; empty if there are fewer here.
    Permit split(std::size_t permits) noexcept { return Permit(*this, permits); }
    /// Takes over the permits of `other`.
    ///
    /// Errors   std::invalid_argument, and nothing happens, if it is another semaphore's.
    void merge(Permit&& other) { take_all(other); }

   private:
    friend Semaphore;
    Permit(Permit& from, std::size_t permits) noexcept : PermitHold(from, permits) {}
    Permit(Semaphore* semaphore, std::size_t permits) noexcept
        : PermitHold(semaphore, permits, true) {}
  };
  /// May move, to another task too.
  class [[nodiscard]] OwnedPermit final : public PermitHold {
   public:
    OwnedPermit() noexcept = default;
    OwnedPermit(OwnedPermit&& other) noexcept { move_from(other); }
    OwnedPermit& operator=(OwnedPermit&& other) noexcept {
      if (this != &other) {
        release();
        move_from(other);
      }
      return *this;
    }
    /// As for Permit.
    OwnedPermit split(std::size_t permits) noexcept { return OwnedPermit(*this, permits); }
    void merge(OwnedPermit&& other) { take_all(other); }

   private:
    friend Semaphore;
    OwnedPermit(OwnedPermit& from, std::size_t permits) noexcept : PermitHold(from, permits) {}
    OwnedPermit(Semaphore* semaphore, std::size_t permits) noexcept
        : PermitHold(semaphore, permits, false) {}
  };

  class AcquiringBase : public WaitNodeOf<Semaphore> {
   public:
    [[nodiscard]] bool await_ready() noexcept {
      if (waited()) [[unlikely]]
        return settled();
      return try_now();
    }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return start(awaiting.promise());
    }

   protected:
    AcquiringBase(Semaphore& semaphore, std::size_t wanted) noexcept
        : WaitNodeOf(semaphore, observe::WaitOp::Acquire), wanted_(wanted) {}
    ~AcquiringBase();

    const std::size_t wanted_;

   private:
    friend Semaphore;
    /// True: got all, or closed.
    [[nodiscard]] bool try_now() noexcept;
    [[nodiscard]] bool start(task::PromiseBase& awaiting) noexcept;

    std::size_t missing_ = 0;  // of wanted_, while in line; locked
  };
  template <class P>
  class [[nodiscard]] Acquiring final : public AcquiringBase {
   public:
    [[nodiscard]] P await_resume() noexcept {
      return P(this->take_grant() ? &owner() : nullptr, wanted_);
    }

   private:
    friend Semaphore;
    using AcquiringBase::AcquiringBase;
  };

  /// Waits for `permits` permits; yields a Permit. An arm of select or timeout needs acquire_owned.
  Acquiring<Permit> acquire(std::size_t permits = 1) noexcept {
    return Acquiring<Permit>(*this, permits);
  }
  /// Waits for `permits` permits; yields an OwnedPermit.
  Acquiring<OwnedPermit> acquire_owned(std::size_t permits = 1) noexcept {
    return Acquiring<OwnedPermit>(*this, permits);
  }
  /// Takes permits if there are enough and the semaphore is open, from any thread; else empty.
  Permit try_acquire(std::size_t permits = 1) noexcept {
    return Permit(try_take(permits) ? this : nullptr, permits);
  }
  OwnedPermit try_acquire_owned(std::size_t permits = 1) noexcept {
    return OwnedPermit(try_take(permits) ? this : nullptr, permits);
  }

  /// Puts more permits into circulation. Throws std::invalid_argument beyond kMaxPermits.
  void add_permits(std::size_t permits);
  /// Takes up to `permits` free ones out of circulation; returns how many.
  std::size_t forget_permits(std::size_t permits) noexcept;
  [[nodiscard]] std::size_t available_permits() const noexcept {
    // Relaxed: a number that may be old when it is read.
    return state_.load(std::memory_order_relaxed) / kOne;
  }
  /// Ends all waits with an empty permit; nothing can be acquired any more.
  void close() noexcept;
  [[nodiscard]] bool is_closed() const noexcept {
    // Acquire: pairs with close(); sees what the closer did before.
    return (state_.load(std::memory_order_acquire) & kClosed) != 0;
  }

  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

 private:
  friend PermitHold;
  static constexpr std::uint64_t kClosed = 1, kOne = 2;

  [[nodiscard]] bool try_take(std::size_t permits) noexcept;
  /// Hands permits to those in line, and keeps the rest.
  void give(std::size_t permits, std::unique_lock<Lock>& lock, task::WakeBatch& batch) noexcept;
  void give(std::size_t permits) noexcept;
  void enter(PermitHold& hold) noexcept;
  void remove(PermitHold& hold) noexcept;

  // Free permits times kOne, and kClosed. Permits are added only with lock_ held, after those in
  // line have had theirs: whoever finds enough here passes nobody.
  Atomic<std::uint64_t> state_;
  WaitList line_;
  PermitHold* holds_ = nullptr;            // newest first; under lock_
  std::size_t held_ = 0;                   // in holds_; under lock_
  std::size_t forgotten_ = 0, added_ = 0;  // ever; under lock_
};

}  // namespace taskscope::runtime::sync
