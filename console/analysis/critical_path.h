/// Where the time of a task went, walked backwards from any moment.
///
/// The rule. While the task is polled, the time is its own. While it stands in a queue, the time is
/// its own too, and each poll that its worker made meanwhile is named. While it waits, the time is
/// that of whoever ended the wait: of the timer, the descriptor, the call; or of the task that woke
/// it, and then what *that* task did in the same stretch is asked in the same way, and so on. Where
/// the wait has not ended, the holder of what it waits on, or the child that it joins, stands for
/// the waker. Before its spawn a task's time is its parent's. So the segments cover [from, to]
/// without gap or overlap: their sum is exact to the tick, by construction.
///
/// Polls are in the model; wakes are read again from their chunks. What can't be told (records were
/// lost, too many chunks would have to be read, before the attach) is Unknown, never guessed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taskscope/console/session/session.h"

namespace taskscope::console::analysis {

enum class PathKind : std::uint8_t {
  Polling,
  Queued,
  Waiting,  ///< on a resource, or for somebody to call its waker; nobody's time that is known
  Timer,
  Io,
  Blocking,  ///< a call on the blocking pool
  Join,      ///< for a child to finish
  Unknown,
};
constexpr int kPathKinds = 8;

struct PathSegment {
  std::uint64_t from = 0, to = 0;  ///< ticks; from < to
  /// What the task that was asked about did itself: the first row of a bar.
  PathKind own = PathKind::Unknown;
  std::uint64_t own_resource = 0;  ///< that it waited on
  std::uint64_t waits_for = 0;     ///< the task it waited for: its waker, holder, child
  std::uint32_t own_site = 0;      ///< where it waited, if known
  /// What that comes down to, through `depth` wakes: the second row. Equal to `own` at depth 0.
  PathKind kind = PathKind::Unknown;
  std::uint64_t task = 0;               ///< whose time it was
  std::uint64_t behind = 0;             ///< Queued: whose poll ran on its worker meanwhile
  std::uint64_t resource = 0;           ///< Waiting: on what; Io: the descriptor
  std::uint32_t site = 0;               ///< where `task` waited, if known
  std::uint32_t lane = session::kNone;  ///< Polling, Queued: where
  std::uint16_t depth = 0;

  [[nodiscard]] std::uint64_t ticks() const noexcept { return to - from; }
};

struct CriticalPath {
  std::uint64_t task = 0;
  std::uint64_t from = 0, to = 0;     ///< ticks
  std::vector<PathSegment> segments;  ///< oldest first; each begins where the one before ends
  bool cut = false;                   ///< a limit was met: some waits are not followed, or Unknown
  std::size_t chunks_read = 0;
};

struct PathLimits {
  std::size_t chunks = 256;          ///< read again for wakes
  std::size_t segments = 4096;       ///< then waits are no longer followed
  std::size_t depth = 16;            ///< of wakes followed
  std::uint64_t rows = 100'000'000;  ///< polls looked at
};

/// The path of a task within [from_ns, to_ns] of session time, cut to the time that it lived and
/// that is in the model. Empty for a task that is not known.
[[nodiscard]] CriticalPath critical_path(session::Session& session, std::uint64_t task,
                                         std::int64_t from_ns, std::int64_t to_ns,
                                         const PathLimits& limits = {});

/// All segments with the same `own` and `kind`, together.
struct Blame {
  PathKind own = PathKind::Unknown, kind = PathKind::Unknown;
  std::uint64_t ticks = 0;
  // The largest part of it, by culprit: who polled meanwhile, held what was waited for, or took
  // the time.
  std::uint64_t task = 0, task_ticks = 0;
  std::uint64_t resource = 0;
  std::uint32_t site = 0;
};
/// By `own` and `kind`, the largest first; the sum is that of the path.
[[nodiscard]] std::vector<Blame> blame(const CriticalPath& path);
/// "412 ms: 61 % waiting for #7 (worker), which slept; 30 % queued, behind #3 (hog); 9 % polling".
[[nodiscard]] std::string path_words(const session::Model& model, const CriticalPath& path);
[[nodiscard]] std::string_view name_of(PathKind kind);  ///< "polling", "queued", ...

}  // namespace taskscope::console::analysis
