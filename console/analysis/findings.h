/// Troubles in a session, each kind by a written rule. The same live, recorded, and in
/// `stats --json`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taskscope/console/session/model.h"

namespace taskscope::console::analysis {

/// In the order of their weight: what stops a program for good comes first.
enum class FindingKind : std::uint8_t {
  Deadlock,
  StuckBehind,
  Orphan,
  LostWaker,
  NeverYielded,
  BlockingPoll,
  PermitLeak,
  SlowConsumer,
  Starvation,
  SelfWakes,
  TimerBurst,
  LargeFrame,
};
constexpr int kFindingKinds = 12;
enum class Certainty : std::uint8_t { Suspect, Certain };

[[nodiscard]] std::string_view name_of(FindingKind kind);  ///< "blocking-poll"
[[nodiscard]] std::string_view name_of(Certainty certainty);

struct Thresholds {
  // The rules are in poll_troubles.h and resource_troubles.h.
  std::int64_t blocking_poll_ns = 10'000'000;  ///< at least Evidence::kPollNs
  /// A thread that had no processor for so long is most unlikely: what lasts longer is certain.
  std::int64_t certain_delay_ns = 1'000'000'000;
  /// Of waits behind a poll or a receiver that is certainly slow.
  std::int64_t certain_wait_ns = 300'000'000;
  std::int64_t never_yielded_ns = 4'000'000'000;
  std::int64_t first_poll_ns = 1'000'000'000;  ///< NeverYielded: of a task that never did
  std::int64_t starvation_ns = 100'000'000;    ///< at least Evidence::kQueueNs
  std::uint64_t self_wakes_per_s = 200;
  std::int64_t slow_send_ns = 50'000'000;  ///< at least Evidence::kSendNs
  std::int64_t permit_wait_ns = 500'000'000;
  std::size_t timers_in_a_tick = 1000;  ///< at least Evidence::kTimers
  /// What is over stays a finding for so long, so that what comes again and again does not flicker.
  std::int64_t recent_ns = 2'000'000'000;
  /// LargeFrame: tasks whose one allocation is larger. Certain.
  std::uint32_t large_frame_bytes = 64 * 1024;
  /// Orphan: waits that last longer.
  std::int64_t orphan_ns = 1'000'000'000;
  std::size_t tasks_per_finding = 100;  ///< ids named; the sentence counts all
};

/// One trouble.
struct Finding {
  FindingKind kind = FindingKind::BlockingPoll;
  Certainty certainty = Certainty::Suspect;
  /// Who is in trouble: a deadlock's members in the order of the cycle, smallest id first; those
  /// stuck otherwise by id; else the worst first. At most Thresholds::tasks_per_finding.
  std::vector<std::uint64_t> tasks;
  std::vector<std::uint64_t> others;     ///< who is to blame, or suffers: holders, those waited
                                         ///< for, the hog, senders
  std::vector<std::uint64_t> resources;  ///< of a deadlock in the order of the cycle
  std::uint32_t site = 0;                ///< where: the await, or the spawn call
  std::size_t task_count = 0;            ///< of all, named or not
  std::int64_t since_ns = 0;             ///< session time
  std::int64_t until_ns = 0;             ///< session time of its end; 0: it goes on
  std::int64_t named_ns = 0;             ///< session time when a diagnosis named it first
  std::string text;                      ///< the sentence a person reads

  [[nodiscard]] bool active() const noexcept { return until_ns == 0; }
};
using Findings = std::vector<Finding>;

/// What looks like trouble at this moment, worst first. Without the confirmation that the kinds
/// named in Diagnosis need, and without a past.
[[nodiscard]] Findings find_troubles(const session::Model& model,
                                     const Thresholds& thresholds = {});

}  // namespace taskscope::console::analysis
