/// The native stack of another thread of this process, without stopping it.
///
/// A thread that waits in the kernel is read from outside: /proc says its pc and sp, and its stack
/// lies still. One that runs is asked by a real-time signal of our own, whose handler copies the
/// registers and the stack's end, and does nothing else; the walk happens on the asking thread.
///
/// What a program notices of the signal: nothing. It is one that nobody handles, taken from the top
/// of the range when it is first needed, and given up when somebody handles it later. It is sent to
/// threads that have computed for a while without waiting. One that begins to wait between our look
/// and the signal's arrival finds its system call restarted: by SA_RESTART, and those that the
/// kernel never restarts (poll, nanosleep and their like) by the handler, which sets the thread
/// back to the call. What remains is the thread that, after a while of computing, in these
/// microseconds makes such a call in another way than the C library's functions for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "taskscope/instrumentation/code_map.h"
#include "taskscope/instrumentation/own_memory.h"
#include "taskscope/instrumentation/unwinder.h"

namespace taskscope::instrumentation {

struct ThreadStack {
  bool in_kernel = false;
  std::string system_call;  ///< name or number
  NativeCallers callers;
  std::string problem;  ///< why there are no frames; empty: there are
};

/// One thread at a time uses it; the handler's place is the process's.
class ThreadStacks {
 public:
  /// Waits a bounded time, some milliseconds, for the thread's answer. A thread that runs is sent
  /// at most `signals`, and none if it has waited since waits() gave `waits`.
  ThreadStack read(std::int32_t tid, int signals, std::uint64_t waits);
  /// Counts how often the thread has given up its processor to wait, from 1, as it may never have;
  /// 0: there is no such thread.
  [[nodiscard]] static std::uint64_t waits(std::int32_t tid);
  [[nodiscard]] CodeMap& code() noexcept { return code_; }

  /// Signals that were sent in this process so far.
  [[nodiscard]] static std::uint64_t signals_sent() noexcept;
  /// System calls that the handler had restarted so far.
  [[nodiscard]] static std::uint64_t calls_restarted() noexcept;
  /// The signal in use; 0: none yet.
  [[nodiscard]] static int signal_number() noexcept;

 private:
  /// True when the thread still is where `registers` say after its stack was copied.
  bool copy_waiting(std::int32_t tid, ThreadStack& to, Registers& registers);
  bool copy_running(std::int32_t tid, std::uint64_t waits, ThreadStack& to, Registers& registers);

  CodeMap code_;
  OwnMemory memory_;
  std::vector<std::uint64_t> stack_;  // a copy
  std::uint64_t base_ = 0;            // of stack_
};

}  // namespace taskscope::instrumentation
