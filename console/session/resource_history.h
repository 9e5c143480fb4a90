/// Who held a resource when, and how many waited: read again from the chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "taskscope/console/session/tasks.h"

namespace taskscope::console::session {

/// A stretch of time in which a task held the resource, or permits of it. Session nanoseconds.
struct ResourceHold {
  std::int64_t from_ns = 0, to_ns = 0;
  std::uint64_t task = 0;
  std::uint32_t permits = 1;
  bool certain = false;       ///< else the task is a hint: the last one that was seen with it
  bool began_before = false;  ///< before what is known: from_ns is where the knowledge begins
  bool lasts = false;         ///< beyond what was read: to_ns is where that ends
};

/// So many waited from here on.
struct WaitersStep {
  std::int64_t at_ns = 0;
  std::uint32_t waiters = 0;
};

/// A stretch of time of which records were lost.
struct UnknownSpan {
  std::int64_t from_ns = 0, to_ns = 0;
};

struct ResourceHistory {
  std::uint64_t resource = 0;
  std::vector<ResourceHold> holds;   ///< by begin
  std::vector<WaitersStep> waiting;  ///< by time
  /// Waiters before the first step, at least: waits that began before what was read and neither
  /// ended in it nor go on now are not seen.
  std::uint32_t waiting_before = 0;
  std::vector<UnknownSpan> gaps;  ///< by begin
  /// Of [from_ns, to_ns) everything that was recorded was read; outside nothing is known.
  std::int64_t from_ns = 0, to_ns = 0;
  /// Who held it is known from here on; to_ns where nothing tells.
  std::int64_t holders_from_ns = 0;
  bool cut = false;  ///< more holds or steps than are kept
};

struct HistoryLimits {
  std::size_t chunks = 2048, events = 600'000;  ///< read again, the newest first
  std::size_t holds = 20'000, steps = 50'000;
};

}  // namespace taskscope::console::session
