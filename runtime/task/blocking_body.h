/// A call for the blocking pool: a task whose body is a callable instead of a coroutine.
#pragma once

#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "taskscope/runtime/task/task.h"

namespace taskscope::runtime::task {

/// Makes the call that is queued in `call`. Called by the pool's threads.
void run_blocking(Header& call) noexcept;
/// Ends a queued call without making it. Called by the pool.
void cancel_blocking(Header& call) noexcept;

template <class F, class T>
class BlockingBody {
 public:
  static_assert(alignof(F) <= 16 && alignof(std::conditional_t<std::is_void_v<T>, char, T>) <= 16);
  explicit BlockingBody(F call) : call_(std::move(call)) {}

  [[nodiscard]] static BlockingBody& of(Header& header) noexcept {
    return *std::launder(static_cast<BlockingBody*>(header.body()));
  }
  bool run() noexcept {
    try {
      if constexpr (std::is_void_v<T>) {
        std::invoke(*std::move(call_));
      } else {
        result_.return_value(std::invoke(*std::move(call_)));
      }
    } catch (...) {
      result_.unhandled_exception();
    }
    call_.reset();  // and what it holds, like a coroutine's frame
    return result_.threw();
  }
  [[nodiscard]] T take() { return result_.take(); }

  static void destroy(Header& header) noexcept {
    auto& body = of(header);
    body.~BlockingBody();
    release_body(&body);
  }
  static constexpr BodyOps kOps{
      .destroy = &destroy,
      .end = nullptr,
      .destroy_result = &destroy,
      .run = [](Header& header) noexcept { return of(header).run(); },
      .exception = [](Header& header) noexcept { return of(header).result_.exception(); },
  };

 private:
  std::optional<F> call_;
  PromiseResult<T> result_;
};

}  // namespace taskscope::runtime::task
