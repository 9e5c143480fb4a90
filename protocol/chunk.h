/// The unit of everything that travels and is stored: of sending, loss, resync and index.
///
///     magic 4 | body length 4 | header length 2 | check 2 | crc32c 4 | header | body
///
/// All little-endian. `check` is the low half of the CRC32C of the ten bytes before it, so that a
/// damaged length is never believed; `crc32c` covers header and body. The header is a protobuf
/// message, the body one message per kind, whose columns are packed by our own code. What a reader
/// does not know, it skips by length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "taskscope/protocol/result.h"

namespace taskscope::protocol {

/// Bytes we own, and bytes we borrow.
using Bytes = std::string;
using BytesView = std::string_view;

constexpr std::size_t kChunkPrefixBytes = 16;
/// Hard limits: a chunk over them is refused on both ends. The body limit also holds for what a
/// compressed body unpacks to.
constexpr std::size_t kMaxHeaderBytes = 1024;
constexpr std::size_t kMaxBodyBytes = 16u << 20;
constexpr std::size_t kMaxChunkBytes = kChunkPrefixBytes + kMaxHeaderBytes + kMaxBodyBytes;

/// Values travel; never renumber.
enum class ChunkKind : std::uint32_t {
  None = 0,
  Process = 1,
  Sites = 2,
  ClockPoint = 3,
  Loss = 4,
  Events = 5,
  Snapshot = 6,
  Samples = 7,
  Goodbye = 8,
  Modules = 9,       // since 1.1
  NativeStack = 10,  // since 1.1
  Symbols = 11,      // since 1.1; never sent by a target
  Hello = 16,
  Subscribe = 17,
  RequestSnapshot = 18,
  FileIndex = 32,  ///< only in files, after everything else
};

/// Definitions and records that may never be dropped on the way: send them again to a consumer that
/// lost chunks.
[[nodiscard]] constexpr bool is_reliable(ChunkKind kind) noexcept {
  return kind == ChunkKind::Process || kind == ChunkKind::Sites || kind == ChunkKind::ClockPoint ||
         kind == ChunkKind::Loss || kind == ChunkKind::Goodbye || kind == ChunkKind::Modules ||
         kind == ChunkKind::Symbols;
}

enum class Compression : std::uint32_t { None = 0, Zstd = 1 };

struct ChunkHeader {
  ChunkKind kind = ChunkKind::None;
  std::uint64_t sequence = 0;  ///< counts up per sender; a jump means lost chunks
  std::uint64_t ring = 0;      ///< Events: whose; else 0
  std::uint32_t events = 0;    ///< Events: how many
  /// Span of what is inside; 0 where the kind has no time.
  std::uint64_t first_ticks = 0, last_ticks = 0;
  std::uint32_t uncompressed_bytes = 0;  ///< of the body; 0 when it is not compressed
  Compression compression = Compression::None;
  bool copy = false;  ///< a definition that the file's footer repeats
};

/// A whole and verified chunk, borrowed from the bytes it was parsed from.
struct ChunkView {
  ChunkHeader header;
  BytesView body;   ///< as stored: compressed if the header says so
  BytesView bytes;  ///< the whole chunk
};

/// Packs a chunk. `header.compression` says what `body` is already; nothing is compressed here.
/// Errors   TooLarge.
Result<Bytes> make_chunk(const ChunkHeader& header, BytesView body);

/// How many bytes the chunk at the front of `bytes` takes, from its prefix alone (nothing else is
/// verified, and the rest need not be there).
/// Errors   Truncated (fewer bytes than a prefix), NotAChunk, TooLarge.
Result<std::size_t> chunk_size(BytesView bytes);

/// Parses and verifies the chunk at the front of `bytes`; what follows it is left alone. Unknown
/// kinds and header fields are fine here.
/// Errors   Truncated, NotAChunk, TooLarge, Checksum, Malformed (header).
Result<ChunkView> parse_chunk(BytesView bytes);

/// The body as its kind defines it: `storage` is only used when it has to be unpacked.
/// Errors   UnknownCompression, TooLarge, Malformed.
Result<BytesView> plain_body(const ChunkView& chunk, Bytes& storage);

/// The same chunk with a zstd (level 1) body, or as it is where that would not pay.
Result<Bytes> compress_chunk(const ChunkView& chunk);

/// First offset >= `from` where a magic begins, or may begin at the end of what is there; else
/// `bytes.size()`. Where resync looks next.
[[nodiscard]] std::size_t find_magic(BytesView bytes, std::size_t from) noexcept;

/// CRC32C (Castagnoli), by SSE4.2 where the processor has it, else by table.
/// `previous` continues a sum.
[[nodiscard]] std::uint32_t crc32c(BytesView bytes, std::uint32_t previous = 0) noexcept;

namespace detail {
[[nodiscard]] std::uint32_t crc32c_table(BytesView bytes, std::uint32_t previous) noexcept;
}

}  // namespace taskscope::protocol
