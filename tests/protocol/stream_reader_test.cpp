#include "taskscope/protocol/stream_reader.h"

#include <catch2/catch.hpp>
#include <random>

#include "taskscope/protocol/codec.h"
#include "taskscope/tests/protocol/sample_updates.h"

using namespace taskscope::protocol;

namespace {

Bytes chunk_of(const Update& update, std::uint64_t sequence) {
  auto chunk = encode(update, sequence);
  REQUIRE(chunk);
  return std::move(*chunk);
}

std::vector<std::uint64_t> sequences(StreamReader& reader) {
  std::vector<std::uint64_t> found;
  while (const auto chunk = reader.next()) found.push_back(chunk->header.sequence);
  return found;
}

}  // namespace

TEST_CASE("pieces of any size give the chunks they are made of") {
  const auto updates = test::one_of_each();
  Bytes stream;
  for (std::size_t i = 0; i < updates.size(); ++i) stream += chunk_of(updates[i], i);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    StreamReader reader;
    std::size_t at = 0, found = 0;
    while (at < stream.size()) {
      const auto size = std::min<std::size_t>(stream.size() - at, 1 + random() % 700);
      reader.feed(BytesView(stream).substr(at, size));
      at += size;
      while (const auto chunk = reader.next()) {
        REQUIRE(found < updates.size());
        const auto update = decode(*chunk);
        REQUIRE(update);
        CHECK(test::same(*update, updates[found++]));
      }
    }
    CHECK(found == updates.size());
    CHECK(reader.damaged_bytes() == 0);
    CHECK(!reader.take_loss());
  }
}

TEST_CASE("a damaged chunk is stepped over, counted, and what follows is read") {
  Bytes stream;
  for (std::uint64_t i = 1; i <= 5; ++i) stream += chunk_of(ClockPoint{1000 * i, 2, 3}, i);
  const auto one = stream.size() / 5;
  for (std::size_t at = 2 * one; at < 3 * one; ++at) {
    INFO("byte " << at);
    Bytes damaged = stream;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    StreamReader reader;
    std::vector<std::uint64_t> found;
    for (const char c : damaged) {  // in the smallest of pieces
      reader.feed(BytesView(&c, 1));
      for (const auto sequence : sequences(reader)) found.push_back(sequence);
    }
    CHECK(found == std::vector<std::uint64_t>{1, 2, 4, 5});
    CHECK(reader.damaged_bytes() == one);
    const auto loss = reader.take_loss();
    REQUIRE(loss);
    CHECK(loss->cause == LossCause::Damaged);
    CHECK(loss->chunks == 1);
    CHECK(loss->from_ticks == 2000);
    CHECK(loss->to_ticks == 4000);
    CHECK(!reader.take_loss());
  }
}

TEST_CASE("noise before, between and after chunks is damage, also when it looks like a magic") {
  const Bytes noise = Bytes("noise \xa7Tsk more \xa7Ts");
  const Bytes chunk = chunk_of(Goodbye{"x"}, 7);
  StreamReader reader;
  reader.feed(noise + chunk + noise + chunk + noise);
  CHECK(sequences(reader) == std::vector<std::uint64_t>{7, 7});
  reader.end();
  CHECK(sequences(reader).empty());
  CHECK(reader.damaged_bytes() == 3 * noise.size());
}

TEST_CASE("at the end an unfinished chunk is damage and chunks inside it are found") {
  const Bytes inner = chunk_of(Goodbye{"inside"}, 3);
  const auto outer = make_chunk(ChunkHeader{}, inner + "tail");
  REQUIRE(outer);
  StreamReader reader;
  reader.feed(BytesView(*outer).substr(0, outer->size() - 1));
  CHECK(!reader.next());
  reader.end();
  CHECK(sequences(reader) == std::vector<std::uint64_t>{3});
}
