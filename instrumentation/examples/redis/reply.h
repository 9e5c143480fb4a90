/// Replies of RESP2, appended to a buffer.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace taskscope::redis {

class Reply {
 public:
  void status(std::string_view text) { line('+', text); }
  void ok() { bytes_ += "+OK\r\n"; }
  /// `text` begins with its kind in capitals. Line ends would break the protocol: they become
  /// spaces.
  void error(std::string_view text) {
    const std::size_t from = bytes_.size() + 1;
    line('-', text);
    for (std::size_t at = from; at + 2 < bytes_.size(); ++at) {
      if (bytes_[at] == '\r' || bytes_[at] == '\n') bytes_[at] = ' ';
    }
  }
  void integer(std::int64_t number) { number_line(':', number); }
  void bulk(std::string_view text) {
    number_line('$', static_cast<std::int64_t>(text.size()));
    bytes_ += text;
    bytes_ += "\r\n";
  }
  void null() { bytes_ += "$-1\r\n"; }
  void null_array() { bytes_ += "*-1\r\n"; }
  /// Followed by `size` replies.
  void array(std::size_t size) { number_line('*', static_cast<std::int64_t>(size)); }

  [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
  /// Keeps memory for replies of the usual size.
  void clear() noexcept {
    if (bytes_.capacity() > kKeptBytes) bytes_ = {};
    bytes_.clear();
  }

 private:
  static constexpr std::size_t kKeptBytes = 256u << 10;

  void line(char kind, std::string_view text) {
    bytes_ += kind;
    bytes_ += text;
    bytes_ += "\r\n";
  }
  void number_line(char kind, std::int64_t number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
    line(kind, {digits, static_cast<std::size_t>(end - digits)});
  }

  std::string bytes_;
};

}  // namespace taskscope::redis
