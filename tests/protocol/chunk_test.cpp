#include "taskscope/protocol/chunk.h"

#include <catch2/catch.hpp>
#include <random>

using namespace taskscope::protocol;

namespace {

ChunkHeader full_header() {
  ChunkHeader header;
  header.kind = ChunkKind::Goodbye;
  header.sequence = 1ull << 60;
  header.ring = 12;
  header.events = 34;
  header.first_ticks = 56;
  header.last_ticks = ~0ull;
  header.copy = true;
  return header;
}

Bytes random_bytes(std::uint64_t seed, std::size_t size) {
  std::mt19937_64 random(seed);
  Bytes bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

}  // namespace

TEST_CASE("crc32c gives the sums of RFC 3720, by hardware and by table") {
  const Bytes zeros(32, '\0');
  const Bytes ones(32, '\xff');
  Bytes counting(32, '\0');
  for (std::size_t i = 0; i < counting.size(); ++i) counting[i] = static_cast<char>(i);
  CHECK(crc32c(zeros) == 0x8a9136aa);
  CHECK(crc32c(ones) == 0x62a8ab43);
  CHECK(crc32c(counting) == 0x46dd794e);
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c("") == 0);
  const Bytes bytes = random_bytes(1, 1000);
  for (std::size_t from = 0; from < 20; ++from) {
    const auto part = BytesView(bytes).substr(from);
    CHECK(crc32c(part) == detail::crc32c_table(part, 0));
    CHECK(crc32c(part.substr(7), crc32c(part.substr(0, 7))) == crc32c(part));
  }
}

TEST_CASE("a chunk comes back as it was made, and what follows it is left alone") {
  const auto made = make_chunk(full_header(), "the body");
  REQUIRE(made);
  const Bytes stream = *made + "and more";
  const auto chunk = parse_chunk(stream);
  REQUIRE(chunk);
  CHECK(chunk->body == "the body");
  CHECK(chunk->bytes.size() == made->size());
  CHECK(chunk->header.kind == ChunkKind::Goodbye);
  CHECK(chunk->header.sequence == 1ull << 60);
  CHECK(chunk->header.ring == 12);
  CHECK(chunk->header.events == 34);
  CHECK(chunk->header.first_ticks == 56);
  CHECK(chunk->header.last_ticks == ~0ull);
  CHECK(chunk->header.copy);
  const auto size = chunk_size(stream);
  REQUIRE(size);
  CHECK(*size == made->size());
}

TEST_CASE("every shorter piece of a chunk is truncated, not damaged") {
  const auto made = make_chunk(full_header(), "the body");
  REQUIRE(made);
  for (std::size_t size = 0; size < made->size(); ++size) {
    const auto chunk = parse_chunk(BytesView(*made).substr(0, size));
    REQUIRE(!chunk);
    CHECK(chunk.error().code == ErrorCode::Truncated);
  }
}

TEST_CASE("every flipped bit of a chunk is noticed") {
  const auto made = make_chunk(full_header(), "the body");
  REQUIRE(made);
  for (std::size_t bit = 0; bit < made->size() * 8; ++bit) {
    Bytes flipped = *made;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto chunk = parse_chunk(flipped + random_bytes(bit, 64));
    if (chunk) FAIL("bit " << bit << " was not noticed");
  }
}

TEST_CASE("a body over the limit is refused by the writer") {
  const Bytes body(kMaxBodyBytes + 1, 'x');
  const auto made = make_chunk(ChunkHeader{}, body);
  REQUIRE(!made);
  CHECK(made.error().code == ErrorCode::TooLarge);
}

TEST_CASE("a compressed chunk unpacks to the same body and keeps its header") {
  Bytes body;
  for (int i = 0; i < 1000; ++i) body += "the same again ";
  const auto made = make_chunk(full_header(), body);
  REQUIRE(made);
  const auto plain = parse_chunk(*made);
  REQUIRE(plain);
  const auto packed = compress_chunk(*plain);
  REQUIRE(packed);
  CHECK(packed->size() < made->size() / 10);
  const auto chunk = parse_chunk(*packed);
  REQUIRE(chunk);
  CHECK(chunk->header.compression == Compression::Zstd);
  CHECK(chunk->header.sequence == 1ull << 60);
  Bytes storage;
  const auto unpacked = plain_body(*chunk, storage);
  REQUIRE(unpacked);
  CHECK(*unpacked == body);
}

TEST_CASE("what does not get smaller is not compressed") {
  const auto made = make_chunk(full_header(), random_bytes(3, 5000));
  REQUIRE(made);
  const auto plain = parse_chunk(*made);
  REQUIRE(plain);
  const auto packed = compress_chunk(*plain);
  REQUIRE(packed);
  CHECK(*packed == *made);
}

TEST_CASE("a compressed body that lies about its size is refused without taking the memory") {
  Bytes body(100'000, 'x');
  const auto made = make_chunk(full_header(), body);
  REQUIRE(made);
  const auto plain = parse_chunk(*made);
  REQUIRE(plain);
  const auto packed = compress_chunk(*plain);
  REQUIRE(packed);
  auto chunk = parse_chunk(*packed);
  REQUIRE(chunk);
  Bytes storage;
  for (const std::uint32_t lie : {0u, 1u, 99'999u, 100'001u, 16u << 20, ~0u}) {
    chunk->header.uncompressed_bytes = lie;
    const auto unpacked = plain_body(*chunk, storage);
    CHECK(!unpacked);
    CHECK(storage.empty());
  }
  chunk->header.compression = static_cast<Compression>(7);
  const auto unknown = plain_body(*chunk, storage);
  REQUIRE(!unknown);
  CHECK(unknown.error().code == ErrorCode::UnknownCompression);
}
