#include "taskscope/protocol/chunk.h"

#include <zstd.h>

#include <memory>

#include "taskscope/protocol/pack.h"
#include "taskscope_wire/chunk.pb.h"

namespace taskscope::protocol {
namespace {

using detail::get_little;
using detail::get_u32;
using detail::put_u32;

constexpr char kMagic[] = {'\xa7', 'T', 's', 'k'};
constexpr BytesView kMagicView(kMagic, sizeof kMagic);
constexpr std::size_t kCheckedPrefixBytes = 10;  // what `check` covers
constexpr std::size_t kMinCompressBytes = 256;   // below, zstd's frame eats the gain
constexpr int kZstdLevel = 1;

std::uint32_t prefix_check(BytesView prefix) noexcept {
  return crc32c(prefix.substr(0, kCheckedPrefixBytes)) & 0xffff;
}

struct Prefix {
  std::size_t body_bytes = 0, header_bytes = 0;
  std::uint32_t crc = 0;
  [[nodiscard]] std::size_t chunk_bytes() const noexcept {
    return kChunkPrefixBytes + header_bytes + body_bytes;
  }
};

Result<Prefix> parse_prefix(BytesView bytes) {
  const auto magic_bytes = std::min(bytes.size(), kMagicView.size());
  if (bytes.substr(0, magic_bytes) != kMagicView.substr(0, magic_bytes))
    return Error{ErrorCode::NotAChunk, "no chunk begins here"};
  if (bytes.size() < kChunkPrefixBytes)
    return Error{ErrorCode::Truncated, "the chunk's prefix is cut off"};
  if (get_little(bytes.data() + 10, 2) != prefix_check(bytes))
    return Error{ErrorCode::NotAChunk, "the chunk's prefix is damaged"};
  Prefix prefix;
  prefix.body_bytes = get_u32(bytes.data() + 4);
  prefix.header_bytes = static_cast<std::size_t>(get_little(bytes.data() + 8, 2));
  prefix.crc = get_u32(bytes.data() + 12);
  if (prefix.body_bytes > kMaxBodyBytes || prefix.header_bytes > kMaxHeaderBytes)
    return Error{ErrorCode::TooLarge, "the chunk is larger than this version reads"};
  return prefix;
}

}  // namespace

Result<Bytes> make_chunk(const ChunkHeader& header, BytesView body) {
  wire::v1::ChunkHeader message;
  message.set_kind(static_cast<std::uint32_t>(header.kind));
  message.set_sequence(header.sequence);
  message.set_ring(header.ring);
  message.set_events(header.events);
  message.set_first_ticks(header.first_ticks);
  message.set_last_ticks(header.last_ticks);
  message.set_uncompressed_bytes(header.uncompressed_bytes);
  message.set_compression(static_cast<std::uint32_t>(header.compression));
  message.set_copy(header.copy);
  const std::size_t header_bytes = message.ByteSizeLong();
  if (body.size() > kMaxBodyBytes || header_bytes > kMaxHeaderBytes)
    return Error{ErrorCode::TooLarge, "the update does not fit into one chunk"};

  Bytes chunk;
  chunk.reserve(kChunkPrefixBytes + header_bytes + body.size());
  chunk.assign(kMagicView);
  chunk.resize(kChunkPrefixBytes + header_bytes);
  put_u32(chunk.data() + 4, static_cast<std::uint32_t>(body.size()));
  chunk[8] = static_cast<char>(header_bytes);
  chunk[9] = static_cast<char>(header_bytes >> 8);
  const auto check = prefix_check(chunk);
  chunk[10] = static_cast<char>(check);
  chunk[11] = static_cast<char>(check >> 8);
  message.SerializeWithCachedSizesToArray(
      reinterpret_cast<std::uint8_t*>(chunk.data() + kChunkPrefixBytes));
  chunk.append(body);
  put_u32(chunk.data() + 12, crc32c(BytesView(chunk).substr(kChunkPrefixBytes)));
  return chunk;
}

Result<std::size_t> chunk_size(BytesView bytes) {
  const auto prefix = parse_prefix(bytes);
  if (!prefix) return prefix.error();
  return prefix->chunk_bytes();
}

Result<ChunkView> parse_chunk(BytesView bytes) {
  const auto prefix = parse_prefix(bytes);
  if (!prefix) return prefix.error();
  if (bytes.size() < prefix->chunk_bytes())
    return Error{ErrorCode::Truncated, "the chunk is cut off"};
  bytes = bytes.substr(0, prefix->chunk_bytes());
  if (crc32c(bytes.substr(kChunkPrefixBytes)) != prefix->crc)
    return Error{ErrorCode::Checksum, "the chunk's checksum does not fit its bytes"};

  wire::v1::ChunkHeader message;
  if (!message.ParseFromArray(bytes.data() + kChunkPrefixBytes,
                              static_cast<int>(prefix->header_bytes)))
    return Error{ErrorCode::Malformed, "the chunk's header can't be read"};
  ChunkView chunk;
  chunk.header.kind = static_cast<ChunkKind>(message.kind());
  chunk.header.sequence = message.sequence();
  chunk.header.ring = message.ring();
  chunk.header.events = message.events();
  chunk.header.first_ticks = message.first_ticks();
  chunk.header.last_ticks = message.last_ticks();
  chunk.header.uncompressed_bytes = message.uncompressed_bytes();
  chunk.header.compression = static_cast<Compression>(message.compression());
  chunk.header.copy = message.copy();
  chunk.body = bytes.substr(kChunkPrefixBytes + prefix->header_bytes);
  chunk.bytes = bytes;
  return chunk;
}

Result<BytesView> plain_body(const ChunkView& chunk, Bytes& storage) {
  switch (chunk.header.compression) {
    case Compression::None:
      return chunk.body;
    case Compression::Zstd:
      break;
    default:
      return Error{ErrorCode::UnknownCompression,
                   "the chunk is compressed in a way this version does not know"};
  }
  const std::size_t size = chunk.header.uncompressed_bytes;
  if (size > kMaxBodyBytes)
    return Error{ErrorCode::TooLarge, "the chunk unpacks to more than this version reads"};
  // The frame says its size too; only when both agree is memory taken.
  if (ZSTD_getFrameContentSize(chunk.body.data(), chunk.body.size()) != size)
    return Error{ErrorCode::Malformed, "the chunk's compressed body is not what its header says"};
  static thread_local const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(
      ZSTD_createDCtx(), &ZSTD_freeDCtx);
  storage.resize(size);
  const auto got = ZSTD_decompressDCtx(context.get(), storage.data(), storage.size(),
                                       chunk.body.data(), chunk.body.size());
  if (ZSTD_isError(got) != 0 || got != size)
    return Error{ErrorCode::Malformed, "the chunk's compressed body can't be unpacked"};
  return BytesView(storage);
}

Result<Bytes> compress_chunk(const ChunkView& chunk) {
  if (chunk.header.compression != Compression::None || chunk.body.size() < kMinCompressBytes)
    return Bytes(chunk.bytes);
  static thread_local const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(
      ZSTD_createCCtx(), &ZSTD_freeCCtx);
  Bytes packed(ZSTD_compressBound(chunk.body.size()), '\0');
  const auto size = ZSTD_compressCCtx(context.get(), packed.data(), packed.size(),
                                      chunk.body.data(), chunk.body.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0 || size >= chunk.body.size() - chunk.body.size() / 16)
    return Bytes(chunk.bytes);
  ChunkHeader header = chunk.header;
  header.compression = Compression::Zstd;
  header.uncompressed_bytes = static_cast<std::uint32_t>(chunk.body.size());
  return make_chunk(header, BytesView(packed).substr(0, size));
}

std::size_t find_magic(BytesView bytes, std::size_t from) noexcept {
  const auto at = bytes.find(kMagicView, from);
  if (at != BytesView::npos) return at;
  for (std::size_t part = kMagicView.size() - 1; part > 0; --part)
    if (bytes.size() >= from + part && bytes.ends_with(kMagicView.substr(0, part)))
      return bytes.size() - part;
  return bytes.size();
}

}  // namespace taskscope::protocol
