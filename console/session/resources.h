/// Resources, workers and what they cost over time, as the model keeps them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "taskscope/console/session/track.h"
#include "taskscope/protocol/update.h"

namespace taskscope::console::session {

struct Resource {
  std::uint64_t id = 0, parent = 0;
  protocol::ResourceKind kind = protocol::ResourceKind::Other;
  std::string concrete_type, name;
  std::uint32_t site = 0;
  std::uint64_t registered = 0;  ///< ticks; 0: before the attach
  std::uint64_t dropped = 0;     ///< ticks; 0: it lives
  std::uint64_t read_at = 0;     ///< the last walk's reading of holders and attributes; 0: none
  bool placeholder = false;      ///< waits name it, nothing defines it
  std::uint32_t waiters = 0;     ///< branches that wait for it now; Model::waiters_of names them
  std::uint32_t reported_waiters = 0;  ///< as the target counted them in the last walk
  std::uint64_t waits_ever = 0;
  std::vector<protocol::HolderState> holders;  ///< certain, or a hint
  std::vector<protocol::AttributeState> attributes;
};

/// A part of a lane of which records were lost. Drawn hatched.
struct Gap {
  std::uint64_t from = 0, to = 0;  ///< ticks
  protocol::LossCause cause = protocol::LossCause::RingFull;
  std::uint64_t events = 0, chunks = 0;
};

struct WorkerPoint {
  std::uint64_t ticks = 0;
  protocol::WorkerSample sample;
};

struct RuntimePoint {
  std::uint64_t ticks = 0;
  protocol::RuntimeSample sample;
};

struct CostPoint {
  std::uint64_t ticks = 0;
  protocol::CostSample sample;
};

/// A horizontal strip of the timeline: a worker, or another thread that polled or recorded.
struct Lane {
  std::uint32_t index = 0;   ///< in Model::lanes()
  std::uint32_t worker = 0;  ///< 0: not a worker
  std::uint64_t ring = 0;    ///< the last ring it recorded into
  std::int32_t tid = 0;
  std::string name;                 ///< of the thread
  std::uint64_t observed_from = 0;  ///< ticks; 0: unknown
  Track polls, parks;
  std::vector<Gap> gaps;  ///< by begin; bounded, then the last ones merge
  std::uint64_t current_task = 0, current_from = 0;  ///< the poll that runs now; 0: none
  std::uint64_t parked_from = 0;                     ///< 0: not parked
  std::uint64_t steals = 0;                          ///< tasks stolen, as recorded
  std::uint64_t last_ticks = 0;
  std::vector<WorkerPoint> samples;  ///< by time; thinned out when many
};

}  // namespace taskscope::console::session
