/// A program written down record by record, as the stream that it would have sent. Ticks are
/// nanoseconds.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "taskscope/console/session/session.h"

namespace taskscope::tests {

constexpr std::uint64_t kMs = 1'000'000;

/// Workers are 1, 2, ...; times are given in ticks and must not go back within one worker.
class Script {
 public:
  static constexpr std::uint64_t kBegin = 1000 * kMs;

  void spawn(std::uint32_t worker, std::uint64_t at, std::uint64_t task, std::uint32_t site = 1,
             std::uint64_t parent = 0, std::uint32_t frame_bytes = 0,
             protocol::TaskKind kind = protocol::TaskKind::Task);
  void start(std::uint32_t worker, std::uint64_t at, std::uint64_t task);
  /// Ends the poll; what follows it is told by `wait` or the end itself.
  void end(std::uint32_t worker, std::uint64_t at, std::uint64_t task,
           protocol::PollEnd how = protocol::PollEnd::Pending);
  void wait(std::uint32_t worker, std::uint64_t at, std::uint64_t task, protocol::WaitOp op,
            std::uint64_t other = 0, std::uint64_t value = 0, std::uint32_t site = 2,
            std::uint16_t branch = 0);
  void wake(std::uint32_t worker, std::uint64_t at, std::uint64_t task, protocol::WakeCause cause,
            std::uint64_t by = 0, std::uint64_t value = 0);
  void finish(std::uint32_t worker, std::uint64_t at, std::uint64_t task);
  void acquire(std::uint32_t worker, std::uint64_t at, std::uint64_t task, std::uint64_t resource,
               protocol::ResourceKind kind, bool certain = true);
  void lose(std::uint32_t worker, std::uint64_t from, std::uint64_t to);
  /// Anything else, in its place among the rest.
  void add(std::uint64_t at, protocol::Update update) { others_.emplace(at, std::move(update)); }
  /// A walk with these tasks, read at `at`.
  void snapshot(std::uint64_t at, std::vector<protocol::TaskSnapshot> tasks,
                std::vector<protocol::ResourceSnapshot> resources = {});
  /// A worker that was found in `task`'s poll number `sequence`.
  void sample(std::uint64_t at, std::uint32_t worker, std::uint64_t task, std::uint64_t sequence,
              std::uint64_t unscheduled_ns = 0);

  /// All of it up to `until`, in chunks of 64 records; sites 1 to 9 are "/src/site.cpp:N".
  [[nodiscard]] std::vector<protocol::Update> updates(std::uint64_t until) const;
  /// A session that has taken all of it.
  [[nodiscard]] std::unique_ptr<console::session::Session> session(std::uint64_t until) const;

 private:
  void put(std::uint32_t worker, const protocol::Event& event);
  std::map<std::uint32_t, std::vector<protocol::Event>> rings_;
  std::multimap<std::uint64_t, protocol::Update> others_;
  std::uint64_t snapshots_ = 0;
};

}  // namespace taskscope::tests
