/// Values that belong to a task, or to a part of it.
#pragma once

#include <functional>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "taskscope/runtime/result.h"
#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime {

namespace task {

/// A value in force: of the innermost scope first.
struct LocalValue {
  const void* key = nullptr;
  const void* value = nullptr;
  const LocalValue* outer = nullptr;
};

/// What is in force on the calling thread. Not across a suspension.
[[nodiscard]] const LocalValue*& local_values() noexcept;

/// Puts other values in force for a C++ scope.
class LocalsInForce {
 public:
  explicit LocalsInForce(const LocalValue* values) noexcept
      : before_(std::exchange(local_values(), values)) {}
  ~LocalsInForce() { local_values() = before_; }
  LocalsInForce(const LocalsInForce&) = delete;
  LocalsInForce& operator=(const LocalsInForce&) = delete;

 private:
  const LocalValue* before_;
};

/// Awaits a body as an arm of its own, so that every resumption of it, and of arms within it, is
/// one of the scope.
template <class R>
class [[nodiscard]] Scope final : public Group {
 public:
  static constexpr bool kUnbudgeted = true;  // the body's own leaves pay
  Scope(const void* key, const void* value, Task<R>&& body) noexcept
      : Group(observe::BranchMode::All), here_{key, value, nullptr}, body_(std::move(body)) {}
  ~Scope() {
    unlink(arm_);
    // As in tokio: what the body destroys sees the value, too.
    const LocalsInForce in_force(&here_);
    const Task<R> ended = std::move(body_);
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) {
    suspend(awaiting);
    here_.outer = local_values();
    arm_.group = this;
    link(arm_, *branch_, nullptr);
    arm_.locals = &here_;
    {
      const LocalsInForce in_force(&here_);
      body_.promise().start_in(&arm_, nullptr);
      body_.promise().handle().resume();
    }
    if (arm_.leaf != nullptr) return true;
    satisfied_ = true;
    branch_->waiter = nullptr;
    return false;
  }
  R await_resume() { return body_.promise().take(); }
  void arm_done(Arm&) noexcept override { satisfy(); }

 private:
  LocalValue here_;
  Task<R> body_;
  Arm arm_;
};

template <class T, class R>
Task<R> with_value(const void* key, T value, Task<R> body) {
  Scope<R> scope(key, &value, std::move(body));
  co_return co_await scope;
}

}  // namespace task

/// A value that a scope gives to the task, or part of a task, that runs in it: to what is awaited
/// there, in arms of select and join too and on whatever thread, and not to what is spawned there.
///
/// Shape    const TaskLocal<RequestId> request;                        // static storage, usually
///          spawn(request.scope(id, handle(connection)));
///          ... request.get() ...                                      // anywhere inside
///          Scopes nest; the innermost one counts. The value is destroyed with its scope, after the
///          body. Tasks that use none pay nothing.
/// Errors   std::logic_error outside of a scope.
/// Source   tokio::task_local!
template <class T>
class TaskLocal {
 public:
  TaskLocal() = default;
  TaskLocal(const TaskLocal&) = delete;
  TaskLocal& operator=(const TaskLocal&) = delete;

  /// Outside of a scope, for try_with.
  struct NotSet {};

  /// `body` with `value` in force. Cancel   cancels the body.
  template <class R>
  [[nodiscard]] Task<R> scope(T value, Task<R> body) const {
    return task::with_value<T, R>(this, std::move(value), std::move(body));
  }
  /// Calls `call()` with `value` in force; it can't await.
  template <class F>
  decltype(auto) sync_scope(T value, F&& call) const {
    const task::LocalValue here{this, &value, task::local_values()};
    const task::LocalsInForce in_force(&here);
    return std::invoke(std::forward<F>(call));
  }
  /// What `call(const T&)` returns.
  template <class F>
  decltype(auto) with(F&& call) const {
    return std::invoke(std::forward<F>(call), required());
  }
  /// The same as a Result, or NotSet.
  template <class F>
  [[nodiscard]] auto try_with(F&& call) const
      -> Result<std::invoke_result_t<F&&, const T&>, NotSet> {
    const T* const value = find();
    if (value == nullptr) return NotSet{};
    if constexpr (std::is_void_v<std::invoke_result_t<F&&, const T&>>) {
      std::invoke(std::forward<F>(call), *value);
      return {};
    } else {
      return std::invoke(std::forward<F>(call), *value);
    }
  }
  /// A copy.
  [[nodiscard]] T get() const { return required(); }
  [[nodiscard]] std::optional<T> try_get() const {
    const T* const value = find();
    return value != nullptr ? std::optional<T>(*value) : std::nullopt;
  }

 private:
  [[nodiscard]] const T* find() const noexcept {
    for (const auto* at = task::local_values(); at != nullptr; at = at->outer) {
      if (at->key == this) return static_cast<const T*>(at->value);
    }
    return nullptr;
  }
  [[nodiscard]] const T& required() const {
    const T* const value = find();
    if (value == nullptr) {
      throw std::logic_error(
          "a TaskLocal was read outside of a scope that gives it a value: see TaskLocal::scope; "
          "spawned tasks inherit none");
    }
    return *value;
  }
};

}  // namespace taskscope::runtime
