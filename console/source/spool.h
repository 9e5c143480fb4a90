/// The chunks of a live session on disk, in an unnamed file that goes with the process, and the
/// recording that follows it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/console/source/source.h"
#include "taskscope/protocol/chunk.h"
#include "taskscope/protocol/trace_file.h"

namespace taskscope::console::source {

/// Thread-safe. One thread appends; any thread reads.
class Spool {
 public:
  /// Errors   System
  [[nodiscard]] static Result<std::unique_ptr<Spool>> make(const std::string& directory,
                                                           std::uint64_t cap_bytes);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  /// Adds a whole chunk; drops the oldest when the cap is reached. Nothing when the disk is full:
  /// error() says so, and what was there stays.
  std::optional<ChunkPlace> append(const protocol::ChunkView& chunk);
  [[nodiscard]] std::optional<protocol::Bytes> read(const ChunkPlace& place) const;

  /// Starts a thread that copies what is here, and what comes, to a recording.
  [[nodiscard]] Result<Nothing> record(const std::string& path);
  /// Copies what is left and writes the footer. False if there was no recording.
  bool stop_recording();

  struct State {
    std::uint64_t bytes = 0, begin = 0, dropped_chunks = 0;
    std::uint64_t recorded_bytes = 0;
    std::string recording, recording_error, error;
  };
  [[nodiscard]] State state() const;

 private:
  Spool(int fd, std::uint64_t cap_bytes) : fd_(fd), cap_bytes_(cap_bytes) {}
  struct Kept {
    ChunkPlace place;
    std::uint64_t first_ticks, last_ticks;
    std::uint32_t events;
  };
  struct Definition {
    std::uint64_t offset;
    protocol::Bytes bytes;
  };
  void drop_oldest();  // under mutex_
  void copy();         // the recording's thread

  const int fd_;
  const std::uint64_t cap_bytes_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable grown_;
  std::deque<Kept> chunks_;
  std::uint64_t first_chunk_ = 0;        // number of chunks_.front()
  std::vector<Definition> definitions_;  // whole, for recordings that start after some were dropped
  std::size_t definition_bytes_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t dropped_events_ = 0, dropped_from_ = 0, dropped_to_ = 0;
  State state_;
  bool finishing_ = false;
  std::optional<protocol::TraceWriter> writer_;  // the recording's thread uses it
  std::thread copier_;
};

}  // namespace taskscope::console::source
