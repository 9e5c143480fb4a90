/// What Model keeps between a chunk's arrival and its events being applied. Included by the files
/// of Model only.
#pragma once

#include <deque>
#include <vector>

#include "taskscope/console/session/model.h"

namespace taskscope::console::session {

/// Beside each lane: what waits to be applied, and the poll that is open.
struct Model::LaneWork {
  struct Run {
    protocol::Events chunk;
    std::size_t next = 0;
  };
  std::deque<Run> runs;
  std::uint64_t received = 0;       // ticks of the newest event that arrived
  std::uint64_t applied = 0;        // ticks of the newest event that was applied
  std::uint64_t complete_from = 0;  // ticks since when nothing is missing
  std::uint64_t queued = 0;         // of the open poll
  bool recorded = false;            // the open poll's start; else it began before, about
  std::uint32_t slot = kNone;       // of the open poll's task, or the last one's
  std::uint64_t last_row = UINT64_MAX, last_shown_row = UINT64_MAX;
};

struct Model::TaskTrack {
  Track polls;
  std::uint64_t used = 0;
};

/// The heads of all lanes' runs in a heap, and snapshots in between.
class Model::Merge {
 public:
  struct Head {
    std::uint64_t ticks = 0;
    std::uint32_t lane = 0;
  };
  struct Walk {
    protocol::Snapshot piece;
    std::size_t next = 0, next_resource = 0;
    [[nodiscard]] bool resource_is_next() const noexcept {
      if (next_resource >= piece.resources.size()) return false;
      return next >= piece.tasks.size() ||
             piece.resources[next_resource].ticks < piece.tasks[next].ticks;
    }
    [[nodiscard]] std::uint64_t ticks() const noexcept {
      if (resource_is_next()) return piece.resources[next_resource].ticks;
      return next < piece.tasks.size() ? piece.tasks[next].ticks : piece.begin_ticks;
    }
  };

  std::vector<Head> heads;
  std::deque<Walk> walks;
  std::size_t buffered = 0;                         // events and snapshot rows
  std::uint64_t seen = 0;                           // the newest ticks of anything
  std::uint64_t applied = 0;                        // the newest ticks applied
  bool everything = false;                          // no more will come: apply all
  std::vector<std::vector<protocol::Event>> spare;  // memory of applied runs, used again

  void push(Head head);
  void pop();
  /// After the front's ticks grew.
  void sink_front();
  /// The smallest ticks of the lanes behind the front.
  [[nodiscard]] std::uint64_t second() const noexcept;
};

}  // namespace taskscope::console::session
