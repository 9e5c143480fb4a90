/// A program that never ran: tasks on workers, with everything they did known exactly, and the
/// stream an instrumented program would have sent.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "taskscope/protocol/update.h"

namespace taskscope::tests {

struct SimulatedTask {
  std::uint64_t id = 0, parent = 0;
  std::uint32_t site = 0;
  protocol::TaskState state = protocol::TaskState::Scheduled;
  std::uint64_t spawned = 0, finished = 0, since = 0;
  std::uint64_t polls = 0, wakes = 0, self_wakes = 0, busy = 0, scheduled = 0, longest = 0;
  std::uint64_t wake = 0, last_end = 0;
  std::uint32_t wait_site = 0;
};

struct SimulationOptions {
  std::uint64_t seed = 1;
  std::uint32_t workers = 4;
  std::size_t polls = 20'000;
  std::size_t tasks = 100;  ///< alive at the same time, about
  std::uint64_t poll_ns = 20'000;
  bool goodbye = true;
};

/// Ticks are nanoseconds, from kBegin on.
class SimulatedProgram {
 public:
  static constexpr std::uint64_t kBegin = 1'000'000'000;
  explicit SimulatedProgram(const SimulationOptions& options);

  std::map<std::uint64_t, SimulatedTask> tasks;
  std::uint64_t spawned = 0, finished = 0, polls = 0, wakes = 0, end = kBegin;
  std::vector<protocol::Update> updates;

 private:
  struct Ring {
    std::uint32_t worker = 0;
    std::uint64_t now = kBegin;
    std::vector<protocol::Event> events;
  };
  void simulate(const SimulationOptions& options);
  void package(const SimulationOptions& options);
  std::vector<Ring> rings_;
};

}  // namespace taskscope::tests
