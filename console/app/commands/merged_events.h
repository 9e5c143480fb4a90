/// The events of a recording in the order of their ticks, whatever ring they are from.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "taskscope/protocol/trace_file.h"

namespace taskscope::console::app::commands {

/// Holds one chunk a ring, so that recordings larger than memory can be walked over.
class MergedEvents {
 public:
  explicit MergedEvents(const protocol::TraceReader& reader);

  struct Item {
    const protocol::Event* event = nullptr;
    const protocol::Events* run = nullptr;  ///< where it is from: ring, worker, texts

    [[nodiscard]] std::string_view text() const {
      return event->text == 0 ? std::string_view{} : run->texts[event->text - 1];
    }
  };
  /// The next event; valid until the next call.
  std::optional<Item> next();

  /// Events of chunks that could not be read, so far.
  [[nodiscard]] std::uint64_t unreadable() const noexcept { return unreadable_; }

 private:
  struct Ring {
    std::vector<const protocol::ChunkEntry*> chunks;
    std::size_t next_chunk = 0;
    protocol::Events run;
    std::size_t next_event = 0;
    bool loaded = false;
  };
  struct Head {
    std::uint64_t ticks = 0;
    std::size_t ring = 0;
  };

  void push(std::size_t ring);
  /// Decodes the ring's next chunk that can be; false when there is none.
  bool load(Ring& ring);

  const protocol::TraceReader& reader_;
  std::vector<Ring> rings_;
  std::vector<Head> heads_;  // a heap, the smallest ticks first
  std::uint64_t unreadable_ = 0;
};

}  // namespace taskscope::console::app::commands
