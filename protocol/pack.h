/// Varints, texts and rows: how this room packs columns by hand. Private to the room.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace taskscope::protocol::detail {

constexpr std::size_t kMaxVarintBytes = 10;

[[nodiscard]] constexpr std::uint64_t zigzag(std::uint64_t difference) noexcept {
  return (difference << 1) ^ (0 - (difference >> 63));
}
[[nodiscard]] constexpr std::uint64_t unzigzag(std::uint64_t packed) noexcept {
  return (packed >> 1) ^ (0 - (packed & 1));
}

/// Writes at most kMaxVarintBytes at `out` and returns the end.
inline std::uint8_t* put_varint(std::uint8_t* out, std::uint64_t value) noexcept {
  while (value >= 0x80) {
    *out++ = static_cast<std::uint8_t>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<std::uint8_t>(value);
  return out;
}

inline void append_varint(std::string& out, std::uint64_t value) {
  std::uint8_t bytes[kMaxVarintBytes];
  const auto* end = put_varint(bytes, value);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(end - bytes));
}
inline void append_signed(std::string& out, std::uint64_t difference) {
  append_varint(out, zigzag(difference));
}
/// Also the shape of a row: length, then bytes.
inline void append_text(std::string& out, std::string_view text) {
  append_varint(out, text.size());
  out.append(text);
}

/// Reads what the functions above wrote, and never past the end: a read that fails gives 0 and
/// leaves the reader failed and empty.
class Unpacker {
 public:
  explicit Unpacker(std::string_view bytes) noexcept
      : at_(reinterpret_cast<const std::uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

  std::uint64_t varint() noexcept {
    if (at_ != end_ && *at_ < 0x80) [[likely]]
      return *at_++;
    return long_varint();
  }
  std::uint64_t signed_difference() noexcept { return unzigzag(varint()); }

  std::uint8_t byte() noexcept {
    if (at_ == end_) return static_cast<std::uint8_t>(fail());
    return *at_++;
  }

  std::string_view text() noexcept {
    const auto length = varint();
    if (length > left()) {
      fail();
      return {};
    }
    const std::string_view text(reinterpret_cast<const char*>(at_),
                                static_cast<std::size_t>(length));
    at_ += length;
    return text;
  }
  Unpacker row() noexcept { return Unpacker(text()); }

  /// For fields that a later version added to a row: 0 at its end, without failing.
  std::uint64_t varint_or_0() noexcept { return at_end() ? 0 : varint(); }
  std::string_view text_or_empty() noexcept { return at_end() ? std::string_view{} : text(); }

  /// A count of things that take at least one byte each, so it never exceeds what is left.
  std::size_t count() noexcept {
    const auto count = varint_or_0();
    return count <= left() ? static_cast<std::size_t>(count) : static_cast<std::size_t>(fail());
  }

 private:
  std::uint64_t fail() noexcept {
    failed_ = true;
    at_ = end_;
    return 0;
  }
  std::uint64_t long_varint() noexcept {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (at_ == end_) return fail();
      const std::uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) return fail();  // more than 64 bits
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return fail();
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool failed_ = false;
};

inline void put_u32(char* out, std::uint32_t value) noexcept {
  for (int i = 0; i < 4; ++i) out[i] = static_cast<char>(value >> (8 * i));
}
inline void put_u64(char* out, std::uint64_t value) noexcept {
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(value >> (8 * i));
}
[[nodiscard]] inline std::uint64_t get_little(const char* in, int bytes) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(in[i])) << (8 * i);
  return value;
}
[[nodiscard]] inline std::uint32_t get_u32(const char* in) noexcept {
  return static_cast<std::uint32_t>(get_little(in, 4));
}
[[nodiscard]] inline std::uint64_t get_u64(const char* in) noexcept { return get_little(in, 8); }

}  // namespace taskscope::protocol::detail
