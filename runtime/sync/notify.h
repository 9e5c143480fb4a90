/// Tells tasks that something happened; carries no data.
#pragma once

#include <cstdint>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/sync/wait_list.h"

namespace taskscope::runtime::sync {

/// Wakes one or all of the tasks that wait for it.
///
/// notify_one wakes the first in line, notify_last the last; with nobody in line they leave one
/// permit, which the next notified() takes (a second notify_one adds nothing). notify_waiters wakes
/// everybody whose notified() was *called* before, awaited or not, and leaves no permit.
///
/// Shape    look, then wait, without missing what happens in between:
///              auto notified = notify.notified();
///              if (!condition()) co_await notified;
///          With several waiters that notify_one serves, call notified.enable() before looking.
/// Cancel   safe: a notification of notify_one that a cancelled wait had been given goes on to the
///          next in line.
/// Watch    whether a permit is left; nobody is known to be about to notify.
/// Source   tokio::sync::Notify
class Notify final : public Waitable {
 public:
  explicit Notify(Site site = Site::current()) noexcept : Notify("", site) {}
  /// `name` is shown to watchers and must live for ever: a string literal.
  explicit Notify(const char* name, Site site = Site::current()) noexcept
      : Waitable(observe::ResourceKind::Notify, "Notify", site, name) {
    if (*name != '\0') registered();
  }
  ~Notify() { leave(); }

  class [[nodiscard]] Notified final : public WaitNodeOf<Notify> {
   public:
    ~Notified();
    /// Enters the line without waiting, so that a notify_one from now on counts for this wait.
    /// True: notified already.
    bool enable() noexcept;

    [[nodiscard]] bool await_ready() noexcept {
      return done_ || (waited() ? settled() : try_now());
    }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return start(awaiting.promise());
    }
    void await_resume() noexcept {
      static_cast<void>(take_grant());
      done_ = true;  // awaited again, it returns at once
    }

   private:
    friend Notify;
    explicit Notified(Notify& notify) noexcept
        : WaitNodeOf(notify, observe::WaitOp::Notified),
          // Acquire: pairs with notify_waiters' release.
          generation_(notify.generation_.load(std::memory_order_acquire)) {}
    [[nodiscard]] bool try_now() noexcept;
    [[nodiscard]] bool try_now_locked() noexcept;
    [[nodiscard]] bool start(task::PromiseBase& awaiting) noexcept;

    const std::uint64_t generation_;
    bool done_ = false;
    bool as_last_ = false;  // granted by notify_last; set as granted_ is
  };

  /// Waits for a notification; begins to count for notify_waiters at once, for the others when it
  /// is awaited or enabled. Awaited again, it returns at once.
  ///
  /// Cancel   safe: what it was notified by notify_one or notify_last goes on to the next.
  Notified notified() noexcept { return Notified(*this); }
  /// Wakes the first in line; with nobody there the next to come is not kept waiting.
  void notify_one() noexcept { notify(false); }
  /// The same with the last in line. If its wait is cancelled, who is last then gets it.
  void notify_last() noexcept { notify(true); }
  /// Wakes everybody whose notified() was called before.
  void notify_waiters() noexcept;

  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

 private:
  void notify(bool last) noexcept;

  Atomic<std::uint64_t> generation_{0};  // calls of notify_waiters; written under lock_
  Atomic<bool> permit_{false};           // written under lock_
  WaitList line_;
};

}  // namespace taskscope::runtime::sync
