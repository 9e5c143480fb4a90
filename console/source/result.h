/// What an operation of this room gives: a value, or a sentence that says what is wrong and what to
/// do about it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace taskscope::console::source {

enum class FailureKind : std::uint8_t {
  NoSuchTarget,      ///< no process, socket or file of that name
  NoTaskscope,       ///< the process lives, but nothing listens in it
  Ambiguous,         ///< more than one process matches
  PermissionDenied,  ///< it exists and is not ours
  VersionMismatch,   ///< the peer speaks another major version
  NotARecording,     ///< a file of another kind
  NoAnswer,          ///< it does not finish the handshake in time
  Refused,           ///< the target said goodbye at once
  System,            ///< the system said no; the sentence carries its words
};

struct Failure {
  FailureKind kind = FailureKind::System;
  std::string sentence;  ///< for the user; begins in lower case, ends without a period
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure failure) : content_(std::in_place_index<1>, std::move(failure)) {}

  [[nodiscard]] bool ok() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] T& value() { return std::get<0>(content_); }
  [[nodiscard]] const T& value() const { return std::get<0>(content_); }
  [[nodiscard]] const Failure& failure() const { return std::get<1>(content_); }

 private:
  std::variant<T, Failure> content_;
};

struct Nothing {};

}  // namespace taskscope::console::source
