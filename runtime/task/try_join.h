/// Awaiting several things that may fail, within one task, until the first failure.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "taskscope/runtime/result.h"
#include "taskscope/runtime/task/select.h"

namespace taskscope::runtime {

namespace task {

template <class R>
struct FallibleResult {
  static constexpr bool kIs = false;
};
template <class T, class E>
struct FallibleResult<Result<T, E>> {
  static constexpr bool kIs = true;
  using Value = T;
  using Error = E;
};

template <class E, class... R>
class [[nodiscard]] TryJoin final : public Arms<R...> {
 public:
  using Result = runtime::Result<std::tuple<Wrapped<typename FallibleResult<R>::Value>...>, E>;
  explicit TryJoin(Task<R>&&... tasks) noexcept
      : Arms<R...>(observe::BranchMode::All, std::move(tasks)...) {}

  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) {
    return this->start(awaiting, 0);
  }
  Result await_resume() {
    this->destroy_all();
    if (failure_) std::rethrow_exception(std::move(failure_));
    if (error_) return std::move(*error_);
    return take(std::index_sequence_for<R...>{});
  }
  /// Destroys an arm when it is done, as join does.
  void arm_done(Arm& arm) noexcept override {
    if (this->satisfied_) return;
    keep(arm.index, std::index_sequence_for<R...>{});
    if (--pending_ == 0 || failure_ || error_) this->satisfy();
  }

 private:
  template <std::size_t... I>
  void keep(std::size_t index, std::index_sequence<I...>) noexcept {
    ((I == index ? keep_one<I>() : void()), ...);
  }
  template <std::size_t I>
  void keep_one() noexcept {
    try {
      auto result = this->template promise<I>().take();
      if (result) {
        std::get<I>(results_).emplace(std::move(result));
      } else {
        error_.emplace(result.error());
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
    this->template destroy_arm<I>();
  }
  template <std::size_t... I>
  Result take(std::index_sequence<I...>) {
    return Result(std::tuple<Wrapped<typename FallibleResult<R>::Value>...>{take_one<I>()...});
  }
  template <std::size_t I>
  auto take_one() {
    auto& result = *std::get<I>(results_);
    if constexpr (requires { *std::move(result); }) {
      return std::move(*std::move(result));
    } else {
      return std::monostate{};
    }
  }

  std::tuple<std::optional<R>...> results_;
  std::optional<E> error_;
  std::exception_ptr failure_;
  std::size_t pending_ = sizeof...(R);
};

template <class First, class... Rest>
struct CommonError {
  static_assert(FallibleResult<First>::kIs && (FallibleResult<Rest>::kIs && ...),
                "every arm of try_join gives a Result; where nothing can fail, use join");
  using Type = typename FallibleResult<First>::Error;
  static_assert((std::is_same_v<Type, typename FallibleResult<Rest>::Error> && ...),
                "the arms of try_join give the same type of error");
};

}  // namespace task

/// Waits for all of its arms, concurrently within this task, or for the first that fails; then the
/// others are destroyed before it returns.
///
/// Shape    arms give Result<T, E> of one E; it gives Result<std::tuple<T...>, E>, in order; void
///          arms give std::monostate. Write `co_await try_join(...)` in one go, as with select.
/// Errors   the first error; what the first arm threw that threw.
/// Cancel   cancels every arm. Safe if all arms are: a failure cancels the others.
/// Source   tokio::try_join!
template <class... A>
[[nodiscard]] auto try_join(A&&... arms) {
  using Error = typename task::CommonError<task::ArmResult<A>...>::Type;
  return task::TryJoin<Error, task::ArmResult<A>...>(task::as_task(std::forward<A>(arms))...);
}

}  // namespace taskscope::runtime
