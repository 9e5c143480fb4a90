/// Walks over the living, on a thread of its own, so that the rings are drained meanwhile.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>

#include "taskscope/instrumentation/dictionary.h"
#include "taskscope/instrumentation/inspectors.h"
#include "taskscope/instrumentation/server.h"

namespace taskscope::instrumentation {

class Census {
 public:
  Census(Inspectors& inspectors, Dictionary& dictionary, Server& server, bool allows_stacks)
      : inspectors_(&inspectors),
        dictionary_(&dictionary),
        server_(&server),
        allows_stacks_(allows_stacks) {}
  ~Census() { finish(); }

  bool start();
  /// Does what was asked for, as far as that takes no longer than `limit`, and ends the thread.
  void finish(std::chrono::milliseconds limit = std::chrono::milliseconds(0));

  /// Asks for a walk (task 0) or for one task. One that is asked for already, and has not begun, is
  /// not walked twice. Any thread.
  void request(ConsumerId audience, const protocol::RequestSnapshot& request);

 private:
  struct Job {
    ConsumerId audience;
    protocol::RequestSnapshot request;
  };
  class Walk;

  void run();

  Inspectors* inspectors_;
  Dictionary* dictionary_;
  Server* server_;
  bool allows_stacks_;
  std::uint64_t next_snapshot_ = 1;  // the thread's

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool is_busy_ = false;
  std::atomic<bool> is_stopping_{false};  // also read between the pieces of a walk
  std::thread thread_;
};

}  // namespace taskscope::instrumentation
