/// Blocking in the middle of a task.
#pragma once

#include <functional>
#include <utility>

namespace taskscope::runtime {

namespace task {

/// From here to the end of its poll the calling task runs on no worker: another thread goes on with
/// the worker's queue. Within the scope block_on is allowed, too.
class OffWorker {
 public:
  OffWorker();
  ~OffWorker();
  OffWorker(const OffWorker&) = delete;
  OffWorker& operator=(const OffWorker&) = delete;

 private:
  bool might_block_;
};

}  // namespace task

/// Makes a call that blocks, within a task and with all that it has at hand, without holding up
/// others: another thread takes over this worker and its queue, and this one only ends the poll.
/// What else the task does concurrently, in other arms of select or join, waits. That other thread
/// is kept for the next time, until the runtime ends. spawn_blocking is cheaper for short calls.
///
/// Shape    `const auto text = block_in_place([&] { return read_all(file); });` Not a coroutine: it
///          is not awaited. On threads that are no worker (block_on, the blocking pool, outside)
///          it just makes the call.
/// Errors   what the call throws. std::logic_error in a current_thread runtime, which has no other
///          thread; std::system_error when no thread can be had. The call is not made then.
/// Cancel   an aborted task ends after the call.
/// Source   tokio::task::block_in_place
template <class F>
decltype(auto) block_in_place(F&& call) {
  const task::OffWorker off;
  return std::invoke(std::forward<F>(call));
}

}  // namespace taskscope::runtime
