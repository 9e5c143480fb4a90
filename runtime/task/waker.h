/// Waking a task from outside its runtime's own primitives, and awaiting what belongs to somebody
/// else.
#pragma once

#include <atomic>
#include <coroutine>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "taskscope/runtime/task/join_handle.h"
#include "taskscope/runtime/task/task.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime {

namespace task {

/// Names a task and a branch of it; waking it makes the branch look again.
///
/// Shape    copyable, usable on any thread, and as long as one likes: it keeps the memory of the
///          task, and wakes nothing once the task is over.
/// Watch    a task knows how many there are of it; one that waits and has none is lost.
/// Source   std::task::Waker in Rust
class Waker {
 public:
  explicit Waker(const Branch& branch) noexcept
      : task_(Reference::to(branch.task())), branch_(branch.id) {
    count(1);
  }
  Waker(const Waker& other) noexcept : task_(other.task_), branch_(other.branch_) { count(1); }
  Waker(Waker&& other) noexcept = default;
  Waker& operator=(Waker other) noexcept {
    std::swap(task_, other.task_);
    std::swap(branch_, other.branch_);
    return *this;
  }
  ~Waker() {
    if (task_) count(~0u);
  }

  void wake() const noexcept {
    report_wake(*task_.get(), branch_, observe::ResourceId::None);
    submit(task_->notify(branch_));
  }

 private:
  // Relaxed: watchers read it to find tasks that nobody can wake.
  void count(std::uint32_t change) noexcept {
    task_->wakers.fetch_add(change, std::memory_order_relaxed);
  }
  Reference task_;
  BranchId branch_;
};

}  // namespace task

/// Awaits until `poll(waker)` returns true. Called once at the await and again after each wake of
/// the waker it was given last; it must keep a copy of the waker if it returns false.
///
/// Errors   what `poll` throws at the await; after a wake it must not throw.
/// Cancel   safe if `poll` is content never to be called again.
/// Source   std::future::poll_fn in Rust
template <class Poll>
class [[nodiscard]] PollFn final : public task::Waiter {
 public:
  explicit PollFn(Poll poll) : poll_(std::move(poll)) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) {
    suspend(awaiting);
    if (!poll_(task::Waker(*branch_))) return true;
    branch_->waiter = nullptr;
    return false;
  }
  void await_resume() const noexcept {}
  [[nodiscard]] bool ready(bool woken) noexcept override {
    return woken && poll_(task::Waker(*branch_));
  }
  void describe(observe::Wait& wait) const noexcept override {
    wait.op = observe::WaitOp::Waker;
    wait.resource_kind = observe::ResourceKind::Waker;
  }

 private:
  Poll poll_;
};

template <class Poll>
[[nodiscard]] PollFn<Poll> poll_fn(Poll poll) {
  return PollFn<Poll>(std::move(poll));
}

namespace task {

template <class A>
decltype(auto) foreign_awaiter(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); }) {
    return std::forward<A>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); }) {
    return operator co_await(std::forward<A>(awaitable));
  } else {
    return std::forward<A>(awaitable);
  }
}
template <class A>
using ForeignResult =
    std::remove_cvref_t<decltype(foreign_awaiter(std::declval<A>()).await_resume())>;

/// What the foreign coroutine and the awaiting task share; the later of them frees it.
template <class T>
struct ForeignState {
  std::mutex mutex;
  bool done = false;  // all under mutex
  std::optional<Waker> waker;
  PromiseResult<T> result;

  void finish() noexcept {
    std::optional<Waker> waiting;
    {
      const std::lock_guard lock(mutex);
      done = true;
      waiting = std::move(waker);
      waker.reset();
    }
    if (waiting) waiting->wake();
  }
};

/// A coroutine of its own, outside any task: started at once, it frees itself when it ends.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
};

template <class A, class T>
Detached run_foreign(A awaitable, std::shared_ptr<ForeignState<T>> state) {
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(awaitable);
    } else {
      auto value = co_await std::move(awaitable);
      state->result.return_value(std::move(value));
    }
  } catch (...) {
    state->result.unhandled_exception();
  }
  state->finish();
}

}  // namespace task

/// Awaits an awaitable of another library, which resumes its coroutine wherever it likes.
///
/// Shape    the awaitable's result; `awaitable` is moved into a coroutine of its own, started at
/// the
///          await.
/// Errors   what it throws.
/// Cancel   the wait ends at once; the foreign operation runs on and its result is dropped.
/// Resumes  on the awaiting task's runtime.
template <class A>
[[nodiscard]] Task<task::ForeignResult<A>> adapt(A awaitable) {
  using T = task::ForeignResult<A>;
  auto state = std::make_shared<task::ForeignState<T>>();
  task::run_foreign<A, T>(std::move(awaitable), state);
  auto* shared = state.get();
  // Named first: GCC 12 misplaces lambdas with captures inside an awaiting expression.
  const auto is_done = [shared](task::Waker waker) {
    const std::lock_guard lock(shared->mutex);
    if (!shared->done) shared->waker = std::move(waker);
    return shared->done;
  };
  auto wait = poll_fn(is_done);
  task::Inherited<decltype(wait)&> at_caller(wait);
  co_await at_caller;
  co_return state->result.take();
}

}  // namespace taskscope::runtime
