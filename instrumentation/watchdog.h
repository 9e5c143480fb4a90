/// Sees polls that do not come back, and reports while they run where they are.
///
/// A worker that has polled one task for as long as the threshold blocks. It is read then, again
/// after a tenth of a second and after a second, and every few seconds as long as it waits in the
/// kernel, which costs it nothing; it is sent at most kMaxSignals signals for one poll. How often
/// stacks are taken in all is bounded too. The thread sleeps for good while nobody watches.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "taskscope/instrumentation/inspectors.h"
#include "taskscope/instrumentation/server.h"
#include "taskscope/instrumentation/thread_stack.h"
#include "taskscope/protocol/update.h"

namespace taskscope::instrumentation {

class Watchdog {
 public:
  static constexpr int kMaxSignals = 3;  ///< for one poll

  Watchdog(Inspectors& inspectors, Server& server, std::chrono::milliseconds threshold)
      : inspectors_(&inspectors), server_(&server), threshold_(threshold) {}
  ~Watchdog() { finish(); }

  bool start();
  void finish();
  /// Any thread.
  void watch(bool is_watched);
  /// A consumer has come: it gets what is known. Any thread.
  void greet(ConsumerId consumer);

 private:
  using Clock = std::chrono::steady_clock;

  /// The poll that a worker was last seen in.
  struct Poll {
    std::uint64_t task = 0, sequence = 0;
    std::uint64_t since_ticks = 0;
    Clock::time_point next_reading;
    std::size_t readings = 0;
    int failures = 0, signals = 0;
    std::uint64_t waits = 0;  // of the thread, at the first look after the threshold
    std::optional<protocol::NativeStack> stack;  // what was reported
  };
  struct Worker {
    std::int32_t tid = 0;
    Clock::time_point seen, last_reading;
    Poll poll;
  };

  void run();
  void look();
  void read(std::uint32_t id, Worker& worker, std::uint64_t waits);
  [[nodiscard]] bool is_still_in(std::uint32_t worker, const Poll& poll);
  void publish(const protocol::NativeStack& stack, ConsumerId audience);
  void introduce(ConsumerId consumer);

  Inspectors* inspectors_;
  Server* server_;
  std::chrono::milliseconds threshold_;

  // The thread's.
  ThreadStacks stacks_;
  std::map<std::uint32_t, Worker> workers_;  // that polled lately, by id
  double tokens_ = 0;                        // readings that may be made now
  Clock::time_point last_look_{};

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool is_watched_ = false, is_stopping_ = false;
  std::vector<ConsumerId> arrivals_;
  std::thread thread_;
};

}  // namespace taskscope::instrumentation
