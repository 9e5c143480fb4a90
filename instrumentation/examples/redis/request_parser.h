/// Bytes of a client into requests, as they come in: RESP2 arrays of bulk strings, and inline
/// commands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace taskscope::redis {

/// What a client may ask for at most; the defaults are those of Redis 7.
struct RequestLimits {
  std::size_t bulk_bytes = 512u << 20;      ///< one argument
  std::size_t request_bytes = 1024u << 20;  ///< all arguments of a request, with their bookkeeping
  std::size_t line_bytes = 64u << 10;       ///< an inline command, or a length
};

/// Cuts a byte stream into requests, without copying arguments.
///
/// Use      read into `space()`, say how much with `filled(n)`, then call `next()` until it no
///          longer returns Request.
/// Shape    the arguments are views into the parser, valid until the next call of `next` or
///          `space`.
/// Errors   Malformed: `error()` is the reply Redis gives; TooLarge: Redis hangs up without one.
///          Both are final.
/// Source   networking.c of Redis 7.0, whose limits and messages these are. Unlike it, a NUL byte
///          in a length is an error at once.
class RequestParser {
 public:
  enum class Status { Request, Incomplete, Malformed, TooLarge };

  explicit RequestParser(RequestLimits limits = {}) : limits_(limits) {}

  /// Where the next bytes go; never empty.
  [[nodiscard]] std::span<char> space();
  void filled(std::size_t bytes) noexcept { end_ += bytes; }

  [[nodiscard]] Status next();
  [[nodiscard]] std::span<const std::string_view> arguments() const noexcept { return arguments_; }
  [[nodiscard]] std::string_view error() const noexcept { return error_; }

 private:
  struct Piece {
    std::size_t offset, size;  // offset from begin_, so that moving the bytes changes nothing
  };

  [[nodiscard]] std::string_view rest() const noexcept {
    return {bytes_.get() + position_, end_ - position_};
  }
  [[nodiscard]] Status malformed(std::string error);
  [[nodiscard]] Status next_array();
  [[nodiscard]] Status next_inline();
  enum class Line { Whole, Incomplete, TooLong };
  [[nodiscard]] Line take_line(std::string_view& line);

  RequestLimits limits_;
  std::unique_ptr<char[]>
      bytes_;  // [begin_, position_) is the request so far, [position_, end_) unread
  std::size_t capacity_ = 0, begin_ = 0, position_ = 0, end_ = 0;

  bool in_array_ = false;
  std::int64_t missing_ = 0;     // arguments still to come
  std::int64_t bulk_size_ = -1;  // of the argument being read; -1: its length comes next
  std::size_t taken_bytes_ = 0;  // of this request
  std::vector<Piece> pieces_;

  std::vector<std::string> unquoted_;  // arguments of an inline command
  std::vector<std::string_view> arguments_;
  std::string error_;
};

/// Splits a line as a shell would: "double quotes" with \n \r \t \b \a \xHH, 'single quotes' with
/// \'. False if a quote is not closed, or closed and followed by something else than a space.
[[nodiscard]] bool split_quoted(std::string_view line, std::vector<std::string>& words);

/// A number as Redis reads one: 64 bits, no sign but '-', no leading zero, nothing around it.
[[nodiscard]] bool parse_integer(std::string_view text, std::int64_t& number) noexcept;

}  // namespace taskscope::redis
