/// Threads for calls that block, so that workers never do.
///
/// While calls are queued one thread is *spare*: woken or just started, and about to take a call
/// and to appoint the next spare. So calls that block get a thread each, one after the other. Where
/// those that run take calls faster than a thread wakes, the spare holds back: a burst of short
/// calls is done by few threads, without a wake-up each. A thread ends after it was idle for
/// `keep_alive`. At `max_threads` calls queue, oldest first.
#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::blocking {

struct PoolOptions {
  std::size_t max_threads = 512;
  std::chrono::nanoseconds keep_alive = std::chrono::seconds(10);
  std::string thread_name = "blocking";  ///< as the kernel shows it: cut to 15 bytes
  std::size_t thread_stack_bytes = 0;    ///< 0: the system's default
};

/// Every call may come from any thread. Its threads inherit the signal mask of their first
/// submitter.
class Pool {
 public:
  explicit Pool(PoolOptions options = {});
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() { shutdown(); }

  /// Has `call` run by `task::run_blocking` on a thread of the pool. False, and nothing happens to
  /// `call`, after shutdown() or when no thread could be started and none lives.
  [[nodiscard]] bool submit(task::Header& call) noexcept;

  /// Refuses new calls, cancels queued ones (`task::cancel_blocking`) and waits for those that
  /// run. Not from a thread of the pool.
  void shutdown() noexcept;

  struct Counters {
    std::uint32_t threads = 0;
    std::uint32_t idle = 0;
    std::uint32_t queued = 0;
  };
  [[nodiscard]] Counters counters() const noexcept;

 private:
  static void* run_thread(void* pool) noexcept;
  void work() noexcept;
  [[nodiscard]] bool start_thread() noexcept;
  [[nodiscard]] task::Header* pop() noexcept;
  /// Under the lock, with no spare. False: no thread is idle, and none could be started.
  bool appoint_spare() noexcept;
  /// The spare waits as long as others take the calls; it is none any more when this returns.
  void hold_back(std::unique_lock<std::mutex>& lock) noexcept;

  const PoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable wanted_;           // a call is queued, or the pool shuts down
  std::condition_variable wanted_by_spare_;  // the pool shuts down
  std::condition_variable ended_;            // a thread ended
  // All under mutex_.
  task::Header* first_ = nullptr;
  task::Header* last_ = nullptr;
  Counters counters_;
  bool has_spare_ = false;     // woken or started, and it has not taken a call
  bool is_appointed_ = false;  // an idle thread is told to wake as the spare, and did not yet
  std::uint64_t taken_ = 0, taken_at_appointment_ = 0;  // calls
  std::vector<pthread_t> finished_;                     // ended, to be joined
  bool stopping_ = false;
};

}  // namespace taskscope::runtime::blocking
