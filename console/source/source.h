/// Where a session comes from: a live connection or a file; both yield protocol::Update.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "taskscope/console/source/result.h"
#include "taskscope/protocol/update.h"

namespace taskscope::console::source {

/// Where a chunk lies in the file or spool, so that it can be read again.
struct ChunkPlace {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
};

struct Chunk {
  protocol::Update update;
  ChunkPlace place;
};

enum class SourceState : std::uint8_t {
  Open,   ///< more may come
  Ended,  ///< the file was read to its end, or the target said goodbye
  Dead,   ///< the link broke without a goodbye: the target was killed
};

struct SourceStats {
  std::uint64_t chunks = 0, bytes = 0;  ///< received or read so far
  std::uint64_t total_bytes = 0;        ///< of a file; 0 for a live one
  std::uint64_t damaged_chunks = 0;
  std::uint64_t spool_bytes = 0;      ///< kept on disk now
  std::uint64_t spool_cap_bytes = 0;  ///< 0: no cap
  std::uint64_t dropped_chunks = 0;   ///< of the oldest, because of the cap
  std::uint64_t readable_from = 0;    ///< chunks at smaller offsets were dropped
  std::uint64_t queued_chunks = 0;    ///< received and not yet taken
  std::uint64_t recorded_bytes = 0;   ///< written to the recording so far
  std::string recording;              ///< its path; empty: not recording
  std::string recording_error;        ///< why a recording stopped by itself
};

/// Everything here is called on one thread, the session's.
class Source {
 public:
  virtual ~Source() = default;

  /// The next chunk, if there is one now; never blocks. Damaged parts come as protocol::Loss.
  [[nodiscard]] virtual std::optional<Chunk> next() = 0;
  /// Blocks until next() has something or the state is no longer Open, at most this long.
  virtual void wait(std::chrono::milliseconds at_most) = 0;
  /// Open as long as next() may yield something.
  [[nodiscard]] virtual SourceState state() const = 0;
  /// Why it is no longer Open, as a sentence.
  [[nodiscard]] virtual std::string end_reason() const = 0;
  [[nodiscard]] virtual SourceStats stats() const = 0;
  [[nodiscard]] virtual bool live() const = 0;
  /// Pid and name, address or path: what a title shows.
  [[nodiscard]] virtual std::string title() const = 0;

  /// Reads a chunk again; nothing if it was dropped or is damaged.
  [[nodiscard]] virtual std::optional<protocol::Update> read(const ChunkPlace&) = 0;

  /// Live only: sends a request (Subscribe, RequestSnapshot). Ignored otherwise.
  virtual void request(const protocol::Request&) {}
  /// Live only: keeps the session, from its oldest chunk still held, in a file that grows on.
  [[nodiscard]] virtual Result<Nothing> start_recording(const std::string& path);
  /// Ends the recording, complete with its footer; false if there was none.
  virtual bool stop_recording() { return false; }
};

}  // namespace taskscope::console::source
