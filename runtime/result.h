/// A value, or the reason why there is none.
#pragma once

#include <cassert>
#include <utility>
#include <variant>

namespace taskscope::runtime {

/// For failures that a caller can expect; E is a small enum (or error code) of the operation.
template <class T, class E>
class [[nodiscard]] Result {
 public:
  using Value = T;
  using Error = E;
  Result(T value)
      : content_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: meant to convert
  Result(E error)
      : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: meant to convert

  [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] T& value() & { return std::get<0>(content_); }
  [[nodiscard]] const T& value() const& { return std::get<0>(content_); }
  [[nodiscard]] T&& value() && { return std::get<0>(std::move(content_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] const E& error() const { return std::get<1>(content_); }

 private:
  std::variant<T, E> content_;
};

template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  using Value = void;
  using Error = E;
  Result() = default;
  Result(E error)
      : content_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: meant to convert

  [[nodiscard]] bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] const E& error() const { return std::get<1>(content_); }

 private:
  std::variant<std::monostate, E> content_;
};

}  // namespace taskscope::runtime
