/// Update <-> chunk. Encoding keeps every field, also values this version does not know; decoding
/// bounds everything it reads and never trusts a length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "taskscope/protocol/chunk.h"
#include "taskscope/protocol/update.h"

namespace taskscope::protocol {

/// Hard limits a chunk; an encoder refuses more (TooLarge), a decoder too. Send in pieces.
constexpr std::size_t kMaxEventsPerChunk = 1u << 18;
constexpr std::size_t kMaxTextsPerChunk = 1u << 18;
constexpr std::size_t kMaxSnapshotRows = 1u << 17;  ///< tasks, and resources
constexpr std::size_t kMaxModules = 1u << 14;       ///< in one chunk; so for what follows
constexpr std::size_t kMaxNativeFrames = 1u << 10;
constexpr std::size_t kMaxSymbols = 1u << 14;
constexpr std::size_t kMaxTextBytes = 4096;  ///< one name, field or error; longer: cut

/// One update as one uncompressed chunk.
/// Errors   TooLarge.
Result<Bytes> encode(const Update& update, std::uint64_t sequence);
Result<Bytes> encode(const Process& process, std::uint64_t sequence);
Result<Bytes> encode(const std::vector<Site>& sites, std::uint64_t sequence);
Result<Bytes> encode(const ClockPoint& point, std::uint64_t sequence);
Result<Bytes> encode(const Loss& loss, std::uint64_t sequence);
Result<Bytes> encode(const Events& events, std::uint64_t sequence);
Result<Bytes> encode(const Snapshot& snapshot, std::uint64_t sequence);
Result<Bytes> encode(const Samples& samples, std::uint64_t sequence);
Result<Bytes> encode(const Goodbye& goodbye, std::uint64_t sequence);
Result<Bytes> encode(const std::vector<Module>& modules, std::uint64_t sequence);
Result<Bytes> encode(const NativeStack& stack, std::uint64_t sequence);
Result<Bytes> encode(const std::vector<Symbol>& symbols, std::uint64_t sequence);

/// The update in a chunk. `bytes` begins with the chunk; more may follow it.
/// Errors   those of parse_chunk and plain_body; UnknownKind (skip it), Malformed, TooLarge.
Result<Update> decode(BytesView bytes);
Result<Update> decode(const ChunkView& chunk);

/// The fast way for Events: fills `out`, whose memory is used again. `out` is unspecified after an
/// error.
Result<Done> decode_events(const ChunkView& chunk, Events& out);

/// What a consumer says, in the same framing.
Result<Bytes> encode_request(const Request& request, std::uint64_t sequence);
Result<Request> decode_request(const ChunkView& chunk);

/// Packs the events of one ring into chunks, one after the other, without allocating per event.
///
/// An event costs a tag byte, its ticks since the previous event, and those fields that its kind
/// uses and that are not what was expected. Not thread-safe; one per collector thread is enough,
/// since `begin` may name another ring each time.
///
///     builder.begin(ring, worker, tid, name);
///     event.text = builder.add_text("connection 7");
///     builder.append(event);
///     if (builder.full()) send(builder.finish(sequence++));
class EventsBuilder {
 public:
  /// `max_events` per chunk, at most kMaxEventsPerChunk.
  explicit EventsBuilder(std::size_t max_events = 16384);
  ~EventsBuilder();
  EventsBuilder(EventsBuilder&&) noexcept;
  EventsBuilder& operator=(EventsBuilder&&) noexcept;

  /// Says whose events follow; drops what was not finished.
  void begin(std::uint64_t ring, std::uint32_t worker, std::int32_t tid,
             std::string_view thread_name);

  /// Adds a text of this chunk and returns what goes into Event::text or Event::fields (index + 1).
  /// Longer than kMaxTextBytes: cut. 0 (no text) when the chunk can hold no more texts.
  /// The fields of one event have to be added one after the other.
  std::uint32_t add_text(std::string_view text);

  /// Adds an event; texts it names were added before. Precondition: !full().
  void append(const Event& event) noexcept;

  [[nodiscard]] bool empty() const noexcept;
  /// True when the next event or its texts may not fit: finish() first.
  [[nodiscard]] bool full() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept;   ///< events so far
  [[nodiscard]] std::size_t bytes() const noexcept;  ///< packed so far, about

  /// The chunk of everything since begin() or the last finish(); empty() afterwards, same ring.
  [[nodiscard]] Bytes finish(std::uint64_t sequence);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace taskscope::protocol
