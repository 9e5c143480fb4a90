/// Telling tasks, and those they started, that they should end.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/sync/wait_list.h"
#include "taskscope/runtime/task/select.h"

namespace taskscope::runtime::sync {

/// What the copies of a token share: a node in a tree.
class TokenCore final : public Waitable {
 public:
  TokenCore(std::shared_ptr<TokenCore> parent, const char* name, Site site);
  ~TokenCore();

  void cancel() noexcept;
  [[nodiscard]] bool is_cancelled() const noexcept {
    // Acquire: pairs with cancel's release; what the canceller did before is seen.
    return cancelled_.load(std::memory_order_acquire);
  }
  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

  class [[nodiscard]] Waiting final : public WaitNodeOf<TokenCore> {
   public:
    explicit Waiting(TokenCore& core) noexcept : WaitNodeOf(core, observe::WaitOp::Notified) {}
    ~Waiting() { static_cast<void>(withdraw()); }
    [[nodiscard]] bool await_ready() noexcept {
      return owner().is_cancelled() && (!waited() || settled());
    }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return wait_in(owner().line_, awaiting.promise(), [this] { return owner().is_cancelled(); });
    }
    void await_resume() noexcept { static_cast<void>(take_grant()); }
  };

 private:
  struct Tree;
  void cancel_all(task::WakeBatch& batch) noexcept;

  const std::shared_ptr<TokenCore> parent_;
  const std::shared_ptr<Tree> tree_;
  Atomic<bool> cancelled_{false};  // written under lock_
  WaitList line_;
  TokenCore* children_ = nullptr;  // newest first; these: under the tree's lock
  TokenCore* next_ = nullptr;
  TokenCore** link_ = nullptr;
  std::size_t child_count_ = 0;
};

class DropGuard;

/// Says once, to everybody who has a copy of it, that they should end what they do.
///
/// Shape    copies are the same token; a child is cancelled with its parent, not the other way.
///              auto result = co_await token.run_until_cancelled(work());
///          or `co_await select(token.cancelled(), work())`. Must outlive its waits.
/// Errors   none. Dropping a token cancels nothing: see drop_guard().
/// Cancel   safe: a cancelled wait has changed nothing.
/// Watch    a wait of op Notified on it. Nobody is known to be about to cancel it.
/// Source   tokio_util::sync::CancellationToken
class CancellationToken {
 public:
  explicit CancellationToken(Site site = Site::current()) : CancellationToken("", site) {}
  /// `name` is shown to watchers and must live for ever: a string literal.
  explicit CancellationToken(const char* name, Site site = Site::current())
      : core_(std::make_shared<TokenCore>(nullptr, name, site)) {}

  /// A token of its own, cancelled with this one; at once if this one is.
  [[nodiscard]] CancellationToken child_token(const char* name = "",
                                              Site site = Site::current()) const {
    return CancellationToken(std::make_shared<TokenCore>(core_, name, site));
  }
  /// Cancels this token and its children, from any thread. Again: nothing happens.
  void cancel() const noexcept { core_->cancel(); }
  [[nodiscard]] bool is_cancelled() const noexcept { return core_->is_cancelled(); }
  /// Waits until the token is cancelled.
  ///
  /// Cancel   safe.
  [[nodiscard]] TokenCore::Waiting cancelled() const noexcept { return TokenCore::Waiting(*core_); }
  /// Cancels this token when the guard dies.
  [[nodiscard]] DropGuard drop_guard() const noexcept;

  /// Awaits `work`, unless the token is cancelled first; then `work` is destroyed. Cancelled
  /// already, it is not begun.
  ///
  /// Shape    the result of `work`, or nothing; for a Task<void> true, or false.
  /// Errors   what `work` throws.
  /// Cancel   cancels `work`.
  template <class T>
  [[nodiscard]] Task<std::conditional_t<std::is_void_v<T>, bool, std::optional<task::Wrapped<T>>>>
  run_until_cancelled(Task<T> work) const {
    return run_until(*this, std::move(work));
  }
  /// What watchers know it by.
  [[nodiscard]] task::Resource& resource() const noexcept { return *core_; }

 private:
  explicit CancellationToken(std::shared_ptr<TokenCore> core) noexcept : core_(std::move(core)) {}

  // With a copy of the token: a coroutine must not refer to what its caller may drop.
  template <class T>
  static Task<std::conditional_t<std::is_void_v<T>, bool, std::optional<task::Wrapped<T>>>>
  run_until(CancellationToken token, Task<T> work) {
    auto cancelled = token.cancelled();
    auto selecting = select_biased(cancelled, std::move(work));
    task::Inherited<decltype(selecting)&> at_caller(selecting);
    auto result = co_await at_caller;
    if constexpr (std::is_void_v<T>) {
      co_return result.index() == 1;
    } else {
      std::optional<T> value;
      if (result.index() == 1) value.emplace(std::get<1>(std::move(result)));
      co_return value;
    }
  }

  std::shared_ptr<TokenCore> core_;
};

/// Cancels a token when it dies.
///
/// Source   tokio_util::sync::DropGuard
class [[nodiscard]] DropGuard {
 public:
  explicit DropGuard(CancellationToken token) noexcept : token_(std::move(token)) {}
  DropGuard(DropGuard&& other) noexcept : token_(std::exchange(other.token_, std::nullopt)) {}
  DropGuard& operator=(DropGuard&& other) noexcept {
    if (this != &other) {
      if (token_) token_->cancel();
      token_ = std::exchange(other.token_, std::nullopt);
    }
    return *this;
  }
  ~DropGuard() {
    if (token_) token_->cancel();
  }
  /// Cancels nothing any more.
  void disarm() noexcept { token_.reset(); }

 private:
  std::optional<CancellationToken> token_;
};

inline DropGuard CancellationToken::drop_guard() const noexcept { return DropGuard(*this); }

}  // namespace taskscope::runtime::sync
