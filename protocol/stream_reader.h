/// Bytes in pieces of any size -> whole chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "taskscope/protocol/chunk.h"
#include "taskscope/protocol/update.h"

namespace taskscope::protocol {

/// Finds the chunks in a stream of bytes. Where bytes are damaged it goes on at the next chunk
/// whose checksum fits and counts what it stepped over. Holds at most one unfinished chunk.
class StreamReader {
 public:
  /// Appends what was received. Ends the life of views that next() gave.
  void feed(BytesView bytes);
  /// Where a reader can receive directly: at least `bytes` of room; then commit(n) what came.
  char* prepare(std::size_t bytes);
  void commit(std::size_t bytes);

  /// The next whole chunk, verified, valid until feed(), prepare() or the next next(); nullopt:
  /// more bytes are needed. Chunks of unknown kind come too, decode() names them.
  std::optional<ChunkView> next();

  /// No more bytes will come: what looked like an unfinished chunk is damage, and next() looks for
  /// chunks behind it.
  void end() noexcept { ended_ = true; }

  [[nodiscard]] std::uint64_t damaged_bytes() const noexcept { return damaged_bytes_; }
  /// Damage since the last call, as a record for the session: `chunks` counts the damaged places,
  /// the ticks are those of the chunks around.
  std::optional<Loss> take_loss();

 private:
  void skip(std::size_t bytes);

  Bytes buffer_;
  std::size_t begin_ = 0, end_ = 0;  ///< of what is unread in buffer_
  bool ended_ = false, in_damage_ = false;
  std::uint64_t damaged_bytes_ = 0;
  std::uint64_t damaged_places_ = 0;  ///< not yet taken
  std::uint64_t last_ticks_ = 0, damage_from_ticks_ = 0, damage_to_ticks_ = 0;
};

}  // namespace taskscope::protocol
