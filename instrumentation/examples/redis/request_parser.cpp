#include "taskscope/instrumentation/examples/redis/request_parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

namespace taskscope::redis {
namespace {

constexpr std::size_t kReadBytes = 16u << 10;
constexpr std::size_t kKeptBytes = 256u << 10;  // of a buffer that had to grow for one request

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char escaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Reads a quoted word from behind its opening quote to behind its closing one.
bool take_quoted(std::string_view line, std::size_t& at, char quote, std::string& word) {
  for (; at < line.size(); ++at) {
    const char c = line[at];
    if (c == quote) {
      ++at;
      return at == line.size() || is_space(line[at]);
    }
    const bool more = at + 1 < line.size();
    if (quote == '"' && c == '\\' && at + 3 < line.size() && line[at + 1] == 'x' &&
        hex_digit(line[at + 2]) >= 0 && hex_digit(line[at + 3]) >= 0) {
      word += static_cast<char>(hex_digit(line[at + 2]) * 16 + hex_digit(line[at + 3]));
      at += 3;
    } else if (quote == '"' && c == '\\' && more) {
      word += escaped(line[++at]);
    } else if (quote == '\'' && c == '\\' && more && line[at + 1] == '\'') {
      word += line[++at];
    } else {
      word += c;
    }
  }
  return false;
}

}  // namespace

bool parse_integer(std::string_view text, std::int64_t& number) noexcept {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || (digits[0] == '0' && text.size() > 1)) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool split_quoted(std::string_view line, std::vector<std::string>& words) {
  std::size_t at = 0;
  while (true) {
    while (at < line.size() && is_space(line[at])) ++at;
    if (at == line.size()) return true;
    std::string& word = words.emplace_back();
    while (at < line.size() && !is_space(line[at])) {
      const char c = line[at++];
      if (c != '"' && c != '\'') {
        word += c;
      } else if (!take_quoted(line, at, c, word)) {
        return false;
      }
    }
  }
}

std::span<char> RequestParser::space() {
  if (capacity_ - end_ < kReadBytes / 4) {
    const std::size_t used = end_ - begin_;
    if (begin_ != 0 && used <= capacity_ / 2) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, used);
    } else {
      capacity_ = std::max(kReadBytes, used * 2);
      auto larger = std::make_unique_for_overwrite<char[]>(capacity_);
      if (used != 0) std::memcpy(larger.get(), bytes_.get() + begin_, used);
      bytes_ = std::move(larger);
    }
    position_ -= begin_;
    end_ = used;
    begin_ = 0;
  }
  return {bytes_.get() + end_, capacity_ - end_};
}

RequestParser::Status RequestParser::next() {
  if (!error_.empty()) return Status::Malformed;
  while (true) {
    if (!in_array_) {
      begin_ = position_;
      taken_bytes_ = 0;
      pieces_.clear();
      if (begin_ == end_) {
        begin_ = position_ = end_ = 0;
        if (capacity_ > kKeptBytes) {
          bytes_.reset();
          capacity_ = 0;
        }
        return Status::Incomplete;
      }
      if (bytes_[position_] != '*') {
        const Status status = next_inline();
        if (status == Status::Request && arguments_.empty()) continue;  // an empty line
        return status;
      }
    }
    const Status status = next_array();
    if (status == Status::Request && arguments_.empty()) continue;  // *0 or *-1
    return status;
  }
}

RequestParser::Line RequestParser::take_line(std::string_view& line) {
  const std::string_view unread = rest();
  const std::size_t size = unread.find('\r');
  if (size == std::string_view::npos) {
    return unread.size() > limits_.line_bytes ? Line::TooLong : Line::Incomplete;
  }
  if (size + 2 > unread.size()) return Line::Incomplete;
  line = unread.substr(0, size);
  position_ += size + 2;
  return Line::Whole;
}

RequestParser::Status RequestParser::next_array() {
  std::string_view line;
  if (!in_array_) {
    const Line got = take_line(line);
    if (got == Line::TooLong) return malformed("too big mbulk count string");
    if (got == Line::Incomplete) return Status::Incomplete;
    if (!parse_integer(line.substr(1), missing_) || missing_ > std::numeric_limits<int>::max()) {
      return malformed("invalid multibulk length");
    }
    in_array_ = missing_ > 0;
  }
  for (; missing_ > 0; --missing_) {
    if (bulk_size_ < 0) {
      const Line got = take_line(line);
      if (got == Line::TooLong) return malformed("too big bulk count string");
      if (got == Line::Incomplete) return Status::Incomplete;
      if (!line.starts_with('$')) {
        // An empty line: what stands there is the '\r' that ended it.
        return malformed("expected '$', got '" + std::string(1, line.empty() ? '\r' : line[0]) +
                         "'");
      }
      std::int64_t size = 0;
      if (!parse_integer(line.substr(1), size) || size < 0 ||
          size > static_cast<std::int64_t>(limits_.bulk_bytes)) {
        return malformed("invalid bulk length");
      }
      taken_bytes_ += static_cast<std::size_t>(size) + sizeof(Piece);
      if (taken_bytes_ > limits_.request_bytes) return Status::TooLarge;
      bulk_size_ = size;
    }
    const auto size = static_cast<std::size_t>(bulk_size_);
    if (end_ - position_ < size + 2) return Status::Incomplete;
    pieces_.push_back({position_ - begin_, size});
    position_ += size + 2;  // like Redis, take the two bytes behind it for "\r\n"
    bulk_size_ = -1;
  }
  in_array_ = false;
  arguments_.clear();
  for (const Piece& piece : pieces_) {
    arguments_.emplace_back(bytes_.get() + begin_ + piece.offset, piece.size);
  }
  return Status::Request;
}

RequestParser::Status RequestParser::next_inline() {
  const std::string_view unread = rest();
  const std::size_t size = unread.find('\n');
  if (size == std::string_view::npos) {
    return unread.size() > limits_.line_bytes ? malformed("too big inline request")
                                              : Status::Incomplete;
  }
  std::string_view line = unread.substr(0, size);
  if (line.ends_with('\r')) line.remove_suffix(1);
  position_ += size + 1;
  unquoted_.clear();
  arguments_.clear();
  if (!split_quoted(line, unquoted_)) return malformed("unbalanced quotes in request");
  arguments_.assign(unquoted_.begin(), unquoted_.end());
  return Status::Request;
}

RequestParser::Status RequestParser::malformed(std::string error) {
  error_ = "ERR Protocol error: " + error;
  return Status::Malformed;
}

}  // namespace taskscope::redis
