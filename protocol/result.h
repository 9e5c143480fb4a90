/// What an operation of this room gives back: a value, or an error with a sentence for the user.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace taskscope::protocol {

enum class ErrorCode : std::uint8_t {
  Truncated,           ///< the bytes end before the chunk does; more of them may help
  NotAChunk,           ///< no chunk begins here
  TooLarge,            ///< over a hard limit of this version
  Checksum,            ///< the bytes are not those that were written
  Malformed,           ///< the checksum fits, the content does not: a broken or hostile writer
  UnknownKind,         ///< of a later version; skip it
  UnknownCompression,  ///< of a later version; skip it
  NewerVersion,        ///< a newer major version wrote this
  NotOurFile,
  EmptyFile,
  System,  ///< the operating system refused; the message says what and why
};

struct Error {
  ErrorCode code = ErrorCode::Malformed;
  std::string message;  ///< one sentence, without a full stop
};

/// A value or an Error. Taking the value of an error is a broken invariant.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] explicit operator bool() const noexcept { return state_.index() == 0; }
  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }

  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(value()); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

  [[nodiscard]] T& value() {
    assert(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& value() const {
    assert(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const Error& error() const {
    assert(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

/// The value of operations that only succeed or fail: `return Done{};`.
using Done = std::monostate;

}  // namespace taskscope::protocol
