/// Troubles in a session, each kind by a written rule. The same live, recorded, and in
/// `stats --json`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taskscope/console/session/model.h"

namespace taskscope::console::analysis {

enum class FindingKind : std::uint8_t { BlockingPoll, LargeFrame };
enum class Certainty : std::uint8_t { Suspect, Certain };

[[nodiscard]] std::string_view name_of(FindingKind kind);  ///< "blocking-poll"
[[nodiscard]] std::string_view name_of(Certainty certainty);

struct Thresholds {
  /// BlockingPoll: a poll that takes longer. Suspect: the thread may just have had no processor.
  std::int64_t blocking_poll_ns = 10'000'000;
  /// LargeFrame: tasks whose one allocation is larger. Certain.
  std::uint32_t large_frame_bytes = 64 * 1024;
  std::size_t tasks_per_finding = 100;  ///< ids named; the sentence counts all
};

/// Tasks of one call site with one trouble.
struct Finding {
  FindingKind kind = FindingKind::BlockingPoll;
  Certainty certainty = Certainty::Suspect;
  std::vector<std::uint64_t> tasks;  ///< worst first
  std::uint64_t resource = 0;
  std::uint32_t site = 0;
  std::int64_t since_ns = 0;  ///< session time
  std::string text;           ///< the sentence a person reads
};

/// Worst first. Looks at the tasks that are kept, once each.
[[nodiscard]] std::vector<Finding> find_troubles(const session::Model& model,
                                                 const Thresholds& thresholds = {});

}  // namespace taskscope::console::analysis
