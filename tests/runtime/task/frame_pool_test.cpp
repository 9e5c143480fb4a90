/// The memory of frames: of every size, from any thread to any thread, and past a thread's end.

#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "taskscope/runtime/task/frame_pool.h"

using namespace taskscope::runtime::task;

namespace {

struct Piece {
  unsigned char* at;
  std::size_t bytes;
  unsigned char mark;
};

Piece make(std::size_t bytes, unsigned char mark) {
  auto* const at = static_cast<unsigned char*>(allocate_frame(bytes));
  std::memset(at, mark, bytes);
  return {at, bytes, mark};
}

/// True if nobody else wrote into it meanwhile.
bool intact(const Piece& piece) {
  for (std::size_t i = 0; i < piece.bytes; ++i)
    if (piece.at[i] != piece.mark) return false;
  return true;
}

}  // namespace

TEST_CASE("frame pool: pieces of all sizes are aligned and apart from each other") {
  std::vector<Piece> pieces;
  for (std::size_t round = 0; round < 40; ++round)
    for (std::size_t bytes = 1; bytes <= 1200; bytes += 37)
      pieces.push_back(make(bytes, static_cast<unsigned char>(pieces.size() * 7 + 1)));
  std::size_t aligned = 0, whole = 0;
  for (const Piece& piece : pieces) {
    aligned += reinterpret_cast<std::uintptr_t>(piece.at) % 16 == 0 ? 1 : 0;
    whole += intact(piece) ? 1 : 0;
  }
  CHECK(aligned == pieces.size());
  CHECK(whole == pieces.size());
  for (const Piece& piece : pieces) free_frame(piece.at, piece.bytes);
}

TEST_CASE("frame pool: what one thread frees another one gets, also after the first has ended") {
  constexpr std::size_t kPieces = 5000, kBytes = 320;
  constexpr int kRounds = 20;
  // Memory that goes round between threads that end must not grow with the rounds.
  std::set<void*> seen;
  std::size_t broken = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<Piece> pieces;
    std::thread maker([&] {
      for (std::size_t i = 0; i < kPieces; ++i)
        pieces.push_back(make(kBytes, static_cast<unsigned char>(i + 3)));
    });
    maker.join();
    for (const Piece& piece : pieces) seen.insert(piece.at);
    std::thread freer([&] {
      for (const Piece& piece : pieces) {
        broken += intact(piece) ? 0 : 1;
        free_frame(piece.at, piece.bytes);
      }
    });
    freer.join();
  }
  CHECK(broken == 0);
  const Piece here = make(kBytes, 1);
  free_frame(here.at, here.bytes);
  const bool is_pooled = frame_cache.classes[kBytes / FrameCache::kStep].batch != 0;
  if (is_pooled) CHECK(seen.size() < 3 * kPieces);  // not in a library built for a sanitizer
}

TEST_CASE("frame pool: threads that allocate and free at once never share a piece") {
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  std::vector<std::size_t> broken(kThreads, 0);
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      std::vector<Piece> mine;
      std::uint32_t random = 17u * (static_cast<std::uint32_t>(i) + 1);
      for (int step = 0; step < 30'000; ++step) {
        random = random * 1'664'525u + 1'013'904'223u;
        if ((random >> 16) % 3 != 0 || mine.empty()) {
          mine.push_back(make(200 + (random >> 20) % 300, static_cast<unsigned char>(random >> 8)));
        } else {
          const std::size_t which = (random >> 10) % mine.size();
          broken[static_cast<std::size_t>(i)] += intact(mine[which]) ? 0 : 1;
          free_frame(mine[which].at, mine[which].bytes);
          mine[which] = mine.back();
          mine.pop_back();
        }
      }
      for (const Piece& piece : mine) {
        broken[static_cast<std::size_t>(i)] += intact(piece) ? 0 : 1;
        free_frame(piece.at, piece.bytes);
      }
    });
  for (auto& thread : threads) thread.join();
  for (const auto count : broken) CHECK(count == 0);
}
