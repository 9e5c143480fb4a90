/// A session without a target: a small server, simulated, as the stream that it would have sent.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "taskscope/console/session/session.h"

namespace taskscope::tests {

struct SyntheticOptions {
  std::uint32_t workers = 4;
  std::uint32_t connections = 40;
  std::uint64_t length_ns = 3'000'000'000;
  bool live = true;   ///< as a live connection that goes on; else a recording, at its end
  bool dead = false;  ///< the link broke after the last record
  std::uint32_t idle_tasks = 0;  ///< more tasks that wait and do nothing, in a snapshot
};

/// Names of what is in it, for tests.
namespace synthetic {
constexpr std::uint32_t kAcceptSite = 1, kConnectionSite = 2, kExpireSite = 3, kSnapshotSite = 4,
                        kMetricsSite = 5, kIdleSite = 6;
constexpr std::uint64_t kAcceptTask = 1, kExpireTask = 2, kSnapshotTask = 3, kMetricsTask = 4,
                        kFirstConnection = 10;
constexpr std::uint64_t kStoreMutex = 1, kJobs = 2;
/// One poll of kSnapshotTask lasts this long.
constexpr std::uint64_t kLongPollNs = 18'000'000;
constexpr std::uint64_t kLostEvents = 1234;
}  // namespace synthetic

/// Ticks are nanoseconds; the session begins at tick 1'000'000'000.
[[nodiscard]] std::vector<protocol::Update> synthetic_updates(const SyntheticOptions& options = {});

/// A source that yields given updates, and a session that has taken all of them.
[[nodiscard]] std::unique_ptr<console::source::Source> scripted_source(
    std::vector<protocol::Update> updates, bool live, bool dead = false);
[[nodiscard]] std::unique_ptr<console::session::Session> synthetic_session(
    const SyntheticOptions& options = {});

}  // namespace taskscope::tests
