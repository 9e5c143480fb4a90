/// Why a task is not running, in one line.
#pragma once

#include <cstdint>
#include <string>

#include "taskscope/console/analysis/findings.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::analysis {

enum class WhyKind : std::uint8_t {
  Polling,    ///< it runs
  Scheduled,  ///< woken, queued
  Resource,   ///< waits on something that others hold or feed
  Timer,
  Io,
  Child,    ///< waits for a task to finish
  Waker,    ///< waits until somebody calls its waker
  Several,  ///< any or all of several of the above
  Stuck,    ///< nothing will end its wait: a deadlock, behind one, an orphan, a lost waker
  Finished,
  Unknown,  ///< nothing was recorded that tells
};

struct Why {
  WhyKind kind = WhyKind::Unknown;
  /// "waits to lock mutex #12 for 1.2 s, held by #7 (session)". Begins in lower case, no full stop.
  std::string text;
  std::uint64_t task = 0;      ///< the one to look at next: waker, holder, child, the one ahead
  std::uint64_t resource = 0;  ///< what it waits on
  std::uint32_t site = 0;      ///< where it waits
};

/// The first that applies: polling, and in which function if it takes long · woken and queued,
/// behind whose poll · what its waits say, with all alternatives of a select or join, and held or
/// last used by whom; a child and a blocking call are followed · finished. What `findings` (those
/// of a Diagnosis) say of a task that is stuck is added. Times are as of Model::now().
[[nodiscard]] Why why_not_running(const session::Model& model, const session::Task& task,
                                  const Findings& findings = {});

}  // namespace taskscope::console::analysis
