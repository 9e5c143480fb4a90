/// Threads for calls that block, so that workers never do.
///
/// While calls are queued one thread is *spare*: woken or just started, and about to take a call
/// and to appoint the next spare. So calls that block get a thread each, one after the other. Where
/// those that run take calls faster than a thread wakes, the spare holds back: a burst of short
/// calls is done by few threads, without a wake-up each. A thread that runs out of calls looks for
/// the next one a while before it sleeps, where a core is free for that; then a call needs no
/// wake-up at all. It ends after it was idle for `keep_alive`. At `max_threads` calls queue, oldest
/// first.
#pragma once

#include <pthread.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/spin_gate.h"
#include "taskscope/runtime/sync/lock.h"
#include "taskscope/runtime/task/header.h"

namespace taskscope::runtime::blocking {

struct PoolOptions {
  std::size_t max_threads = 512;
  std::chrono::nanoseconds keep_alive = std::chrono::seconds(10);
  std::string thread_name = "blocking";  ///< as the kernel shows it: cut to 15 bytes
  std::function<std::string()> thread_name_fn = nullptr;  ///< called on each thread, instead
  std::size_t thread_stack_bytes = 0;                     ///< 0: the system's default
  std::function<void()> on_thread_start = nullptr;        ///< both: called on each thread
  std::function<void()> on_thread_stop = nullptr;
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
  /// A thread that sleeps, on its own stack. Newest first: its memory is the warmest.
  struct Sleeper {
    Atomic<std::uint32_t> word{0};  // 1: appointed, or the pool shuts down; written under lock_
    Sleeper* next = nullptr;
  };

  static void* run_thread(void* pool) noexcept;
  void work() noexcept;
  [[nodiscard]] bool start_thread() noexcept;
  [[nodiscard]] task::Header* pop() noexcept;
  /// Under the lock, with no spare. False: no thread is idle, and none could be started. Sets
  /// `wake` to who has to be woken when the lock is gone.
  bool appoint_spare(Sleeper*& wake) noexcept;
  /// The spare waits as long as others take the calls; it is none any more when this returns.
  void hold_back(std::unique_lock<sync::Lock>& lock) noexcept;
  /// Without the lock. True: a call is queued.
  [[nodiscard]] bool spin() const noexcept;
  /// True when appointed, or when the pool shuts down; false after keep_alive.
  [[nodiscard]] bool sleep(std::unique_lock<sync::Lock>& lock) noexcept;

  const PoolOptions options_;
  mutable sync::Lock lock_;
  // All under lock_.
  task::Header* first_ = nullptr;
  task::Header* last_ = nullptr;
  Sleeper* sleepers_ = nullptr;
  std::uint32_t threads_ = 0, idle_ = 0;
  Atomic<std::uint32_t> queued_{0};  // written under lock_; the thread that spins reads it
  Atomic<std::uint32_t> ended_{0};   // 1: stopping and no thread is left; written under lock_
  bool has_spare_ = false;           // woken or started, and it has not taken a call
  bool is_spinning_ = false;         // one thread looks for calls: as good as a spare
  std::uint64_t taken_ = 0, taken_at_appointment_ = 0;  // calls
  std::vector<pthread_t> finished_;                     // ended, to be joined
  bool stopping_ = false;
};

}  // namespace taskscope::runtime::blocking
