/// Faults on demand: this program's own accept4, recv, send, connect, epoll_wait, pthread_create,
/// mmap and operator new fail when told to, and else are the system's.
#pragma once

#include <atomic>
#include <cstdint>

namespace faults {

/// EpollWait is any of its kind.
enum class Call : std::uint8_t {
  Accept,
  Receive,
  Send,
  Connect,
  EpollWait,
  EpollPwait2,
  CreateThread,
  kCount
};

/// From now on, on every thread: `skip` calls are made, the `times` after them fail with `error`
/// without being made, the rest are made. A connect is made all the same: what interrupts it does
/// not stop it. In the lifetime of this object; one a call at a time.
class Failing {
 public:
  Failing(Call call, int error, int times, int skip = 0) noexcept;
  ~Failing();
  Failing(const Failing&) = delete;
  Failing& operator=(const Failing&) = delete;
  /// How many have failed so far.
  [[nodiscard]] int hits() const noexcept;

 private:
  Call call_;
};

/// Calls of sched_yield of this thread so far.
[[nodiscard]] std::uint64_t yields() noexcept;

/// Allocations that live: those of operator new, on any thread. Under TSan none are counted and
/// none fail.
[[nodiscard]] std::int64_t live_allocations() noexcept;

/// Makes the `nth` allocation from now on fail, counted from 0, of this thread alone: an operator
/// new, or a mapping of memory. Only that one, in the lifetime of this object.
class FailingAllocation {
 public:
  explicit FailingAllocation(std::uint32_t nth) noexcept;
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;
  [[nodiscard]] bool hit() const noexcept;
};

}  // namespace faults
