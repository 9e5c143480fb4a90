/// Wakes of the part of a session that is in view, and the polls that they led to.
///
/// The model counts wakes and keeps the last one of each task; which poll woke which task stands
/// only in the chunks. A window reads those of the view again, a few at each call, and keeps what
/// it read while that stays in view: so arrows appear within a few frames, and no frame waits for
/// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "taskscope/console/session/session.h"

namespace taskscope::console::session {

/// A wake and the poll that it led to. Times are session nanoseconds.
struct Wake {
  std::int64_t at_ns = 0;
  std::uint64_t task = 0;      ///< woken
  std::uint64_t by = 0;        ///< waking task; 0: none
  std::uint32_t lane = kNone;  ///< where the wake was recorded
  protocol::WakeCause cause = protocol::WakeCause::Thread;
  std::uint64_t value = 0;            ///< Io: fd; else resource
  std::int64_t polled_ns = 0;         ///< when the woken task's next poll began
  std::uint32_t polled_lane = kNone;  ///< and where; kNone: not in the view
};

class WakeWindow {
 public:
  /// A view with more records than this has no wakes: zoom in.
  static constexpr std::size_t kMostEvents = 1'000'000, kMostChunks = 4096;

  /// Goes on reading chunks that touch [from, to), about `events` records of them. True while some
  /// are still to be read.
  bool look(Session& session, std::int64_t from_ns, std::int64_t to_ns,
            std::size_t events = 16'384);
  /// The view of the last look has too many records.
  [[nodiscard]] bool too_wide() const noexcept { return too_wide_; }
  /// Wakes of the task and wakes that it made, oldest first, at most `limit`, of what was read so
  /// far. The reference lives until the next call of anything here.
  [[nodiscard]] const std::vector<Wake>& of(const Model& model, std::uint64_t task,
                                            std::size_t limit = 4000);
  void clear();

 private:
  struct RawWake {
    std::uint64_t ticks = 0, task = 0, by = 0, value = 0;
    protocol::WakeCause cause = protocol::WakeCause::Thread;
  };
  struct Start {
    std::uint64_t ticks = 0, task = 0;
    std::uint32_t lane = kNone;
  };
  struct Part {
    std::uint32_t lane = kNone;
    std::uint64_t seen = 0;  // the look that named it last
    std::vector<RawWake> wakes;
    std::vector<Start> starts;
  };
  struct Answer {
    std::uint64_t task = 0, generation = 0, used = 0;
    std::size_t limit = 0;
    std::vector<Wake> wakes;
  };

  std::unordered_map<std::uint64_t, Part> parts_;  // by the chunk's offset
  std::uint64_t generation_ = 1, look_ = 0;
  std::uint64_t revision_ = UINT64_MAX;
  std::int64_t from_ns_ = 0, to_ns_ = 0;
  bool too_wide_ = false, more_ = false;
  Answer answers_[2];  // of the task that is hovered and of the one that is selected
};

}  // namespace taskscope::console::session
