/// Recorded sessions: the chunks of the stream on disk, with a header before and an index behind.
///
///     "\x89TSK\r\n\x1a\n" | major 4 | minor 4 | chunks ... | copies of the definitions | index
///                                                      | index offset 8 | "TSKINDEX"
///
/// Without its end (the writer was killed, the disk was full) a file still opens: the reader then
/// walks over the chunks. Damaged places are stepped over and named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "taskscope/protocol/chunk.h"
#include "taskscope/protocol/codec.h"
#include "taskscope/protocol/update.h"

namespace taskscope::protocol {

constexpr std::size_t kFileHeaderBytes = 16;

/// Where a chunk lies in a file, and what its header says.
struct ChunkEntry {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  ChunkHeader header;
};

struct TraceWriterOptions {
  bool compress = true;  ///< bodies that gain by it: zstd level 1
};

/// Writes a session. Every chunk goes to the kernel before append() returns: a killed writer has
/// lost nothing, a killed machine what the kernel had not written.
class TraceWriter {
 public:
  using Options = TraceWriterOptions;

  /// Starts a new file at `path`. An existing recording is replaced by a new file, so that whoever
  /// has it open keeps what they see; another kind of file is not replaced.
  /// Errors   System, NotOurFile (something else lies there).
  static Result<TraceWriter> create(const std::string& path, Options options = {});

  ~TraceWriter();  ///< finishes, if nobody did
  TraceWriter(TraceWriter&&) noexcept;
  TraceWriter& operator=(TraceWriter&&) noexcept;

  /// Writes one chunk (verified here), and says where it lies. Definitions have to come before
  /// their use; they are remembered for the footer.
  /// Errors   System (disk full: the file is cut back to whole chunks), and those of parse_chunk.
  Result<ChunkEntry> append(BytesView chunk);
  Result<ChunkEntry> append(const ChunkView& chunk);
  Result<ChunkEntry> append(const Update& update);

  /// Writes the footer and closes. Later calls do nothing.
  Result<Done> finish();

  [[nodiscard]] std::uint64_t bytes_written() const noexcept;
  [[nodiscard]] const std::string& path() const noexcept;

 private:
  struct State;
  explicit TraceWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct DamagedRange {
  std::uint64_t offset = 0, bytes = 0;
  /// Ticks of the chunks before and behind; 0: none.
  std::uint64_t from_ticks = 0, to_ticks = 0;
};

/// Reads a session by chunk: the file is mapped, and nothing but the index is kept. Thread-safe
/// after open().
class TraceReader {
 public:
  /// Errors   System, EmptyFile, NotOurFile, NewerVersion.
  static Result<TraceReader> open(const std::string& path);

  ~TraceReader();
  TraceReader(TraceReader&&) noexcept;
  TraceReader& operator=(TraceReader&&) noexcept;

  /// What the session consists of, in the order it was recorded; no footer copies, unless the
  /// original is damaged. Chunks of unknown kinds are among them.
  [[nodiscard]] std::span<const ChunkEntry> chunks() const noexcept;
  /// The definitions again (from the footer; without one, those of chunks()), for readers that do
  /// not read everything. Apart from Loss they may be applied twice.
  [[nodiscard]] std::span<const ChunkEntry> definitions() const noexcept;

  /// False: the writer did not finish, and the file was walked over and verified by open().
  [[nodiscard]] bool has_footer() const noexcept;
  /// Bytes at the end that are no whole chunk: what a killed writer was just writing.
  [[nodiscard]] std::uint64_t cut_bytes() const noexcept;
  /// Damage that open() saw. With a footer, open() trusts the index, and damage shows in read().
  [[nodiscard]] std::span<const DamagedRange> damaged() const noexcept;

  /// The chunk, verified; borrowed from the map.
  Result<ChunkView> view(const ChunkEntry& entry) const;
  Result<Update> read(const ChunkEntry& entry) const;
  /// The record to put where a chunk can't be read.
  [[nodiscard]] static Loss damage(const ChunkEntry& entry);
  [[nodiscard]] static Loss damage(const DamagedRange& range);

  [[nodiscard]] std::uint32_t major() const noexcept;
  [[nodiscard]] std::uint32_t minor() const noexcept;
  [[nodiscard]] std::uint64_t file_bytes() const noexcept;
  [[nodiscard]] const std::string& path() const noexcept;

 private:
  struct State;
  explicit TraceReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// What `taskscope check` says.
struct Verification {
  std::uint64_t file_bytes = 0;
  std::uint64_t chunks = 0, events = 0;  ///< readable
  std::uint64_t unknown_chunks = 0;      ///< intact, of a later version
  std::vector<DamagedRange> damaged;     ///< bytes that belong to no intact chunk
  std::vector<std::string> malformed;    ///< intact chunks that can't be decoded, and why
  bool has_footer = false;
  std::uint64_t cut_bytes = 0;
  bool has_process = false;
  std::uint64_t first_ticks = 0, last_ticks = 0;
  std::uint64_t duration_ns = 0;  ///< by the clock points; 0: fewer than two readings
  std::uint64_t lost_events = 0;  ///< that the recording itself reports
  /// Nothing is damaged, malformed or cut.
  [[nodiscard]] bool good() const noexcept {
    return damaged.empty() && malformed.empty() && has_footer && cut_bytes == 0;
  }
};

/// Verifies and decodes every chunk, whatever the index says.
Result<Verification> verify(const std::string& path);

}  // namespace taskscope::protocol
