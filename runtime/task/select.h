/// Awaiting several things at once, within one task: select and join.
///
/// Every argument becomes an arm of the task: a branch that is resumed by its own wakes. Arguments
/// are Tasks or awaitables of this runtime; temporaries live until the await ends, so write
/// `co_await select(...)` in one go.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <variant>

#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime {

namespace task {

template <class T>
using Wrapped = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class A>
  requires(LeafAwaitable<A> || MakesLeaf<A>)
auto leaf_result_of(A&& awaitable) {
  if constexpr (LeafAwaitable<A>) {
    return std::type_identity<decltype(awaitable.await_resume())>{};
  } else {
    return std::type_identity<decltype(std::forward<A>(awaitable).awaiter().await_resume())>{};
  }
}
template <class A>
using LeafResult = typename decltype(leaf_result_of(std::declval<A>()))::type;

/// An arm's body for an awaitable that is no Task. The await is shown at the site of the
/// combinator.
template <class A>
  requires(LeafAwaitable<A> || MakesLeaf<A>)
Task<std::decay_t<LeafResult<A>>> as_task(A&& awaitable) {
  Inherited<A> inner(std::forward<A>(awaitable));
  co_return co_await inner;
}
template <class T>
Task<T> as_task(Task<T>&& task) {
  return std::move(task);
}
template <class A>
using ArmResult = typename decltype(as_task(std::declval<A>()))::Result;

/// A seed for the order of a select's arms; from the calling worker.
[[nodiscard]] std::uint32_t next_random() noexcept;

/// Tasks in arms, and their beginning and end: what select, join and timeout share.
template <class... T>
class Arms : public Group {
 public:
  static constexpr bool kUnbudgeted = true;  // the arms' own leaves pay
  [[nodiscard]] bool await_ready() const noexcept { return false; }

 protected:
  Arms(observe::BranchMode mode, Task<T>&&... tasks) noexcept
      : Group(mode), tasks_(std::move(tasks)...) {
    for (std::uint32_t i = 0; i < sizeof...(T); ++i) arms_[i].index = i;
  }
  ~Arms() { unlink_all(); }

  /// Runs every arm up to its first wait, beginning with `first`; stops when the group is
  /// satisfied. False: it is satisfied already, and the owner goes on at once. `left_out`: arms
  /// that are not run, as bits.
  template <class Promise>
  bool start(std::coroutine_handle<Promise> awaiting, std::uint32_t first,
             std::uint64_t left_out = 0) {
    suspend(awaiting);
    constexpr auto kArms = static_cast<std::uint32_t>(sizeof...(T));
    // All before the first is started: arms that it makes itself go between it and the next.
    Arm* before = nullptr;
    for (std::uint32_t i = 0; i < kArms; ++i) {
      Arm& arm = arms_[(first + i) % kArms];
      arm.group = this;
      link(arm, *branch_, std::exchange(before, &arm));
    }
    for (std::uint32_t i = 0; i < kArms && !satisfied_; ++i) {
      const auto index = (first + i) % kArms;
      if ((left_out >> index & 1) == 0) start_arm(index, std::index_sequence_for<T...>{});
    }
    if (!satisfied_) return true;
    branch_->woken = false;
    branch_->waiter = nullptr;
    return false;
  }
  void destroy_all() noexcept {
    unlink_all();
    destroy(std::index_sequence_for<T...>{});
  }
  template <std::size_t I>
  auto& promise() {
    return std::get<I>(tasks_).promise();
  }
  template <std::size_t I>
  void destroy_arm() noexcept {
    drop(std::get<I>(tasks_));
  }

 private:
  template <std::size_t... I>
  void start_arm(std::uint32_t index, std::index_sequence<I...>) {
    ((I == index ? start_one(arms_[I], std::get<I>(tasks_)) : void()), ...);
  }
  template <class U>
  void start_one(Arm& arm, Task<U>& task) {
    task.promise().start_in(&arm, nullptr);
    task.promise().handle().resume();
    if (arm.leaf == nullptr) this->arm_done(arm);
  }
  void unlink_all() noexcept {
    for (Arm& arm : arms_) unlink(arm);
  }
  /// In reverse order, as locals would be.
  template <std::size_t... I>
  void destroy(std::index_sequence<I...>) noexcept {
    (drop(std::get<sizeof...(T) - 1 - I>(tasks_)), ...);
  }
  template <class U>
  static void drop(Task<U>& task) noexcept {
    const Task<U> ended = std::move(task);
  }

  std::tuple<Task<T>...> tasks_;
  std::array<Arm, sizeof...(T)> arms_;
};

/// An arm of select, and whether it takes part.
template <class T>
struct SelectArm {
  Task<T> task;
  bool enabled = true;
};
template <class A>
auto as_select_arm(A&& arm) {
  return SelectArm<ArmResult<A>>{as_task(std::forward<A>(arm))};
}
template <class T>
SelectArm<T> as_select_arm(SelectArm<T>&& arm) {
  return std::move(arm);
}

/// Ends an arm of a select without a result.
class Decline final : public Waiter {
 public:
  static constexpr bool kUnbudgeted = true;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    // Whoever resumed the arm sees that it has no leaf any more, and tells the select.
    auto& arm = static_cast<Arm&>(*awaiting.promise().branch());
    arm.declined = true;
    arm.leaf = nullptr;
    arm.waiter = nullptr;
  }
  void await_resume() const noexcept {}
  [[nodiscard]] bool ready(bool) noexcept override { return false; }
  void describe(observe::Wait&) const noexcept override {}
};
template <class T>
Task<T> declining(Task<T> arm) {
  T result = co_await std::move(arm);
  Decline decline;
  if (!result) co_await decline;
  co_return result;
}

struct Otherwise {};

template <bool kBiased, bool kElse, class... T>
class [[nodiscard]] Select final : public Arms<T...> {
  static_assert(sizeof...(T) <= 64, "select takes up to 64 arms");

 public:
  using Result = std::conditional_t<kElse, std::variant<Wrapped<T>..., std::monostate>,
                                    std::variant<Wrapped<T>...>>;
  explicit Select(SelectArm<T>&&... arms) noexcept
      : Arms<T...>(observe::BranchMode::Any, std::move(arms.task)...) {
    std::uint32_t index = 0;
    ((left_out_ |= std::uint64_t{arms.enabled ? 0u : 1u} << index++), ...);
  }

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) {
    able_ -= static_cast<std::size_t>(std::popcount(left_out_));
    if (able_ == 0) return false;
    return this->start(awaiting,
                       kBiased ? 0 : next_random() % static_cast<std::uint32_t>(sizeof...(T)),
                       left_out_);
  }
  Result await_resume() {
    // After the result is in place, or while its exception travels.
    const struct Losers {
      ~Losers() { select.destroy_all(); }
      Select& select;
    } losers{*this};
    return take<0>();
  }
  void arm_done(Arm& arm) noexcept override {
    if (this->satisfied_) return;
    if (!arm.declined) {
      winner_ = arm.index;
      this->satisfy();
    } else if (--able_ == 0) {
      this->satisfy();
    }
  }

 private:
  template <std::size_t I>
  Result take() {
    if constexpr (I == sizeof...(T)) {
      if constexpr (kElse) return Result(std::in_place_index<I>);
      throw std::logic_error("select: no arm is left that could win, and there is no otherwise");
    } else {
      if (winner_ != I) return take<I + 1>();
      return take_winner<I>();
    }
  }
  template <std::size_t I>
  Result take_winner() {
    if constexpr (std::is_void_v<decltype(this->template promise<I>().take())>) {
      this->template promise<I>().take();
      return Result(std::in_place_index<I>);
    } else {
      return Result(std::in_place_index<I>, this->template promise<I>().take());
    }
  }

  std::size_t winner_ = sizeof...(T);  // that many: none
  std::size_t able_ = sizeof...(T);    // arms that may still win
  std::uint64_t left_out_ = 0;
};

template <bool kBiased, bool kElse, class... T>
auto select_of(SelectArm<T>&&... arms) {
  return Select<kBiased, kElse, T...>(std::move(arms)...);
}
template <bool kBiased, bool kElse, class Arguments, std::size_t... I>
auto make_select(Arguments&& arms, std::index_sequence<I...>) {
  return select_of<kBiased, kElse>(as_select_arm(std::get<I>(std::move(arms)))...);
}
template <bool kBiased, class... A>
auto make_select(A&&... arms) {
  using Last = std::tuple_element_t<sizeof...(A) - 1, std::tuple<std::remove_cvref_t<A>...>>;
  constexpr bool kElse = std::is_same_v<Last, Otherwise>;
  return make_select<kBiased, kElse>(std::forward_as_tuple(std::forward<A>(arms)...),
                                     std::make_index_sequence<sizeof...(A) - (kElse ? 1 : 0)>{});
}

template <class... T>
class [[nodiscard]] Join final : public Arms<T...> {
 public:
  using Result = std::tuple<Wrapped<T>...>;
  explicit Join(Task<T>&&... tasks) noexcept
      : Arms<T...>(observe::BranchMode::All, std::move(tasks)...) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) {
    return this->start(awaiting, 0);
  }
  Result await_resume() { return take(std::index_sequence_for<T...>{}); }
  /// Destroys an arm when it is done, so that the others see the end of what it was passed by
  /// value: a channel's last sender, for one.
  void arm_done(Arm& arm) noexcept override {
    keep(arm.index, std::index_sequence_for<T...>{});
    if (--pending_ == 0) this->satisfy();
  }

 private:
  template <std::size_t... I>
  void keep(std::size_t index, std::index_sequence<I...>) noexcept {
    ((I == index ? keep_one<I>() : void()), ...);
  }
  template <std::size_t I>
  void keep_one() noexcept {
    auto& promise = this->template promise<I>();
    using Kept = PromiseResult<typename std::remove_reference_t<decltype(promise)>::Result>;
    std::get<I>(results_).emplace(static_cast<Kept&&>(promise));
    this->template destroy_arm<I>();
  }
  template <std::size_t... I>
  Result take(std::index_sequence<I...>) {
    return Result{take_one<I>()...};
  }
  template <std::size_t I>
  auto take_one() {
    auto& result = *std::get<I>(results_);
    if constexpr (std::is_void_v<decltype(result.take())>) {
      result.take();
      return std::monostate{};
    } else {
      return result.take();
    }
  }

  std::tuple<std::optional<PromiseResult<T>>...> results_;
  std::size_t pending_ = sizeof...(T);
};

}  // namespace task

/// An arm of select that takes part only if `enabled`. Its awaitable is made in any case.
///
/// Source   the precondition, `if`, of tokio::select!
template <class A>
[[nodiscard]] auto only_if(bool enabled, A&& arm) {
  auto made = task::as_select_arm(std::forward<A>(arm));
  made.enabled = made.enabled && enabled;
  return made;
}
/// An arm of select that wins only with a result that is not empty: an optional with a value, a
/// Result without an error. With another it is out, and the others go on.
///
/// Source   the patterns, as Some(x) = ..., of tokio::select!
template <class A>
[[nodiscard]] auto if_some(A&& arm) {
  auto made = task::as_select_arm(std::forward<A>(arm));
  made.task = task::declining(std::move(made.task));
  return made;
}
/// As the last argument of select: what it gives when no arm is left that could win.
///
/// Source   the `else` of tokio::select!
inline constexpr task::Otherwise otherwise{};

/// Waits for the first of its arms; the others are destroyed before it returns.
///
/// Shape    a variant with one alternative an arm, in their order; void arms give std::monostate,
///          and so does `otherwise`, which comes last. Up to 64 arms.
///              auto got = co_await select(if_some(jobs.recv()), only_if(idle, timer), otherwise);
/// Errors   what the winning arm throws. std::logic_error when no arm is left that could win, and
///          there is no `otherwise`.
/// Cancel   safe if every arm is: losing is cancellation.
/// Order    arms are started at a random one, so that none starves. Of several that may go on at
///          once the first in that order wins, and the others have taken nothing.
/// Source   tokio::select!
template <class... A>
[[nodiscard]] auto select(A&&... arms) {
  return task::make_select<false>(std::forward<A>(arms)...);
}
/// The same, polling the arms in the order written.
///
/// Source   tokio::select! with `biased;`
template <class... A>
[[nodiscard]] auto select_biased(A&&... arms) {
  return task::make_select<true>(std::forward<A>(arms)...);
}

/// Waits for all of its arms, concurrently within this task.
///
/// Shape    a tuple of the results, in order; void arms give std::monostate.
/// Errors   the exception of the first arm, in order, that threw; after all have ended.
/// Cancel   cancels every arm.
/// Source   tokio::join!
template <class... A>
[[nodiscard]] auto join(A&&... arms) {
  return task::Join<task::ArmResult<A>...>(task::as_task(std::forward<A>(arms))...);
}

}  // namespace taskscope::runtime
