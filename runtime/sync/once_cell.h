/// A value that is made once, by the first task that wants it.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/result.h"
#include "taskscope/runtime/sync/wait_list.h"
#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime::sync {

/// Why a cell was not set.
enum class SetError : std::uint8_t {
  AlreadyInitialized,
  Initializing,  ///< a task is making the value
};

/// OnceCell without the value: empty, being filled by one task, or full.
class OnceCore final : public Waitable {
 public:
  OnceCore(const char* name, Site site) noexcept
      : Waitable(observe::ResourceKind::OnceCell, "OnceCell", site, name) {
    if (*name != '\0') registered();
  }
  ~OnceCore() { leave(); }

  [[nodiscard]] bool is_full() const noexcept {
    // Acquire: pairs with fill's release; the value is in place.
    return state_.load(std::memory_order_acquire) == State::Full;
  }
  /// True: the caller fills the cell, and calls fill() or give_up().
  [[nodiscard]] bool try_begin() noexcept;
  void fill() noexcept;
  /// The next in line fills it then.
  void give_up() noexcept;
  /// Of a full one that nobody else uses.
  void clear() noexcept;

  /// Waits until the cell is full, or is the caller's to fill.
  class [[nodiscard]] Waiting final : public WaitNodeOf<OnceCore> {
   public:
    explicit Waiting(OnceCore& core) noexcept : WaitNodeOf(core, observe::WaitOp::Get) {}
    ~Waiting() {
      if (withdraw()) owner().give_up();
    }
    [[nodiscard]] bool await_ready() noexcept {
      if (waited()) [[unlikely]]
        return settled();
      granted_ = owner().try_begin();
      return granted_ || owner().is_full();
    }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return wait_in(owner().line_, awaiting.promise(), [this] { return try_now(); });
    }
    /// True: the caller has to fill it.
    [[nodiscard]] bool await_resume() noexcept { return take_grant(); }

   private:
    [[nodiscard]] bool try_now() noexcept;
  };

  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

 private:
  enum class State : std::uint8_t { Empty, Filling, Full };
  void begin(TaskId task) noexcept;  // locked

  Atomic<State> state_{State::Empty};  // written under lock_
  TaskId filler_ = TaskId::None;       // under lock_
  WaitList line_;
};

/// A place for one value, which the first get_or_init fills while others wait for it.
///
/// Shape    `const Config* config = co_await cell.get_or_init(load_config);` The cell must outlive
///          its waits; the value lives as long as the cell and does not change.
/// Errors   what the factory throws, to the one that called it; the next in line tries again.
/// Cancel   safe: a cancelled call that was filling the cell leaves that to the next in line.
/// Watch    who fills it is its holder, certainly: the factory runs in the calling task.
/// Source   tokio::sync::OnceCell
template <class T>
class OnceCell {
 public:
  explicit OnceCell(Site site = Site::current()) noexcept : core_("", site) {}
  /// `name` is shown to watchers and must live for ever: a string literal.
  explicit OnceCell(const char* name, Site site = Site::current()) noexcept : core_(name, site) {}

  /// The value; null while there is none. Any thread.
  [[nodiscard]] const T* get() const noexcept { return core_.is_full() ? &*value_ : nullptr; }
  [[nodiscard]] bool initialized() const noexcept { return core_.is_full(); }
  /// Puts a value in, from any thread.
  ///
  /// Errors   see SetError; then `value` is not moved from.
  Result<void, SetError> set(T&& value) {
    if (!core_.try_begin())
      return core_.is_full() ? SetError::AlreadyInitialized : SetError::Initializing;
    Filling filling(core_);
    value_.emplace(std::move(value));
    filling.done();
    return {};
  }
  Result<void, SetError> set(const T& value) {
    T copy(value);
    return set(std::move(copy));
  }
  /// Takes the value out, so that the cell is empty; only while nobody else uses it.
  [[nodiscard]] std::optional<T> take() {
    if (!core_.is_full()) return std::nullopt;
    core_.clear();
    return std::exchange(value_, std::nullopt);
  }
  /// The value; made by awaiting `make()`, a Task<T>, if there is none and nobody else makes it.
  /// `make` is moved in, and called at most once.
  ///
  /// Errors   what `make` throws, to the one that called it; the next in line makes the value.
  /// Cancel   safe: the next in line makes the value.
  template <class F>
    requires std::same_as<std::invoke_result_t<F&>, Task<T>>
  [[nodiscard]] Task<const T*> get_or_init(F make) {
    if (!core_.is_full()) {
      bool mine = false;
      {
        OnceCore::Waiting waiting(core_);
        task::Inherited<OnceCore::Waiting&> at_caller(waiting);
        mine = co_await at_caller;
      }
      if (mine) {
        Filling filling(core_);
        Task<T> making = make();
        T value = co_await std::move(making);
        value_.emplace(std::move(value));
        filling.done();
      }
    }
    co_return &*value_;
  }
  /// The same with a `make()` that may fail: a Task<Result<T, E>>.
  ///
  /// Errors   the error of `make`, to the one that called it; the next in line makes the value.
  /// Cancel   safe: the next in line makes the value.
  template <class F, class Made = typename std::invoke_result_t<F&>::Result>
    requires std::same_as<typename Made::Value, T>
  [[nodiscard]] Task<Result<const T*, typename Made::Error>> get_or_try_init(F make) {
    if (!core_.is_full()) {
      bool mine = false;
      {
        OnceCore::Waiting waiting(core_);
        task::Inherited<OnceCore::Waiting&> at_caller(waiting);
        mine = co_await at_caller;
      }
      if (mine) {
        Filling filling(core_);
        Task<Made> making = make();
        Made made = co_await std::move(making);
        if (!made) co_return made.error();
        value_.emplace(*std::move(made));
        filling.done();
      }
    }
    const T* value = &*value_;
    co_return value;
  }
  /// What watchers know it by.
  [[nodiscard]] task::Resource& resource() noexcept { return core_; }

 private:
  /// Gives up when it dies before it is done.
  class Filling {
   public:
    explicit Filling(OnceCore& core) noexcept : core_(&core) {}
    ~Filling() {
      if (core_ != nullptr) core_->give_up();
    }
    Filling(const Filling&) = delete;
    Filling& operator=(const Filling&) = delete;
    void done() noexcept { std::exchange(core_, nullptr)->fill(); }

   private:
    OnceCore* core_;
  };

  OnceCore core_;
  std::optional<T> value_;  // written by who fills the cell; read once it is full
};

}  // namespace taskscope::runtime::sync
