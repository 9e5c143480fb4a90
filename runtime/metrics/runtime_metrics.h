/// A snapshot of what a runtime counted.
#pragma once

#include <cstdint>
#include <vector>

#include "taskscope/runtime/observe/facts.h"

namespace taskscope::runtime {

/// Counts since the runtime started, kept always. Read while workers run, so totals may be a moment
/// apart; exact once the runtime is shut down. Source: tokio::runtime::RuntimeMetrics.
struct RuntimeMetrics {
  std::uint64_t live_tasks = 0;
  std::uint64_t spawned_tasks = 0;  ///< of every kind, block_on and blocking calls included
  std::uint64_t finished_tasks = 0;
  std::uint64_t polls = 0;  ///< a blocking call counts as one
  std::uint64_t wakes = 0;  ///< wakes of waits; yields and aborts are none
  std::uint64_t remote_schedules = 0;
  std::uint64_t injection_depth = 0;
  std::uint64_t blocking_threads = 0, blocking_idle = 0, blocking_queue = 0;
  std::uint64_t io_registrations = 0, io_readiness = 0;
  std::vector<observe::WorkerView> workers;
};

}  // namespace taskscope::runtime
