#include <array>
#include <cstring>

#include "taskscope/protocol/chunk.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace taskscope::protocol {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // Castagnoli, reflected

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][i] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t)
    for (std::size_t i = 0; i < 256; ++i)
      tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xff];
  return tables;
}
constexpr Tables kTables = make_tables();

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(BytesView bytes,
                                                             std::uint32_t previous) noexcept {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t crc = ~previous;
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto small = static_cast<std::uint32_t>(crc);
  for (; left > 0; ++at, --left) small = _mm_crc32_u8(small, static_cast<unsigned char>(*at));
  return ~small;
}
const bool has_sse42 = __builtin_cpu_supports("sse4.2") != 0;
#endif

}  // namespace

namespace detail {
std::uint32_t crc32c_table(BytesView bytes, std::uint32_t previous) noexcept {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t left = bytes.size();
  std::uint32_t crc = ~previous;
  for (; left >= 8; at += 8, left -= 8) {  // eight bytes a step, a table for each
    const std::uint32_t low = crc ^ (std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 |
                                     std::uint32_t{at[2]} << 16 | std::uint32_t{at[3]} << 24);
    crc = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^ kTables[5][(low >> 16) & 0xff] ^
          kTables[4][low >> 24] ^ kTables[3][at[4]] ^ kTables[2][at[5]] ^ kTables[1][at[6]] ^
          kTables[0][at[7]];
  }
  for (; left > 0; ++at, --left) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 0xff];
  return ~crc;
}
}  // namespace detail

std::uint32_t crc32c(BytesView bytes, std::uint32_t previous) noexcept {
#if defined(__x86_64__)
  if (has_sse42) [[likely]]
    return crc32c_sse42(bytes, previous);
#endif
  return detail::crc32c_table(bytes, previous);
}

}  // namespace taskscope::protocol
