/// Readiness of file descriptors, from epoll to the tasks that wait for it.
///
/// A descriptor is registered once, edge-triggered, for both directions; nothing is armed again
/// afterwards. Its registration remembers what was reported and not yet disproved by EAGAIN (or by
/// a short read or write, which says the same without a system call). An operation tries first and
/// waits only when that memory says there is nothing.
///
///     kernel ──event──▶ Driver::poll ──▶ Registration { word: count of events | readiness bits }
///                                             │ names the branches of waiters of that direction
///     task ──polled──▶ Waiter::ready ──▶ the system call again ──EAGAIN──▶ clears the bits, if no
///                                                                          event came meanwhile
///
/// The count is what makes clearing safe: an event between the system call and the clearing changes
/// it, and the bits stay.
///
/// Events in flight may name a registration that is just being dropped, so its memory is freed by
/// the next poll: the one before has handled all events it took, and no later one can get more.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <vector>

#include "taskscope/runtime/io/descriptor.h"
#include "taskscope/runtime/result.h"
#include "taskscope/runtime/task/waiter.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime::io {

enum class Direction : std::uint8_t { Read, Write };

/// Readiness bits, as the lowest of a registration's word.
constexpr std::uint64_t kReadable = 1, kWritable = 2, kReadClosed = 4, kWriteClosed = 8;

/// The bits after which an operation of that direction is worth a try.
[[nodiscard]] constexpr std::uint64_t bits_of(Direction direction) noexcept {
  return direction == Direction::Read ? kReadable | kReadClosed : kWritable | kWriteClosed;
}

class Driver;
class Registration;

/// Waits in a registration for readiness. The waker only marks it; it leaves the list itself.
class ReadinessWaiter : public task::Waiter {
 public:
  void describe(observe::Wait& wait) const noexcept final;
  /// The await is over or destroyed, the operation is not: no event may wake through its branch.
  void abandon() noexcept { unlink(); }

 protected:
  ReadinessWaiter(Registration* registration, Direction direction, observe::WaitOp op) noexcept
      : registration_(registration), direction_(direction), op_(op) {}
  ~ReadinessWaiter() { unlink(); }

  /// Enters the list, so that events name this branch from now on; false when the driver is gone.
  /// Look at the readiness after it.
  [[nodiscard]] bool link() noexcept;
  void unlink() noexcept;
  /// True, once, after an event.
  [[nodiscard]] bool take_notified() noexcept {
    // Both sides exchange: either this acquires what the event wrote before it marked the waiter,
    // or the event finds the mark gone and wakes again.
    return notified_.exchange(false, std::memory_order_acq_rel);
  }

  [[nodiscard]] Direction direction() const noexcept { return direction_; }

  Registration* registration_;

 private:
  friend class Registration;

  ReadinessWaiter* previous_ = nullptr;  // both: under the registration's lock
  ReadinessWaiter* next_ = nullptr;
  std::atomic<bool> notified_{false};  // set by events, cleared by the task
  bool linked_ = false;                // the task's
  const Direction direction_;
  const observe::WaitOp op_;
};

namespace detail {

/// What registrations share with their driver, and keep when it is gone.
struct DriverCore {
  Descriptor epoll;
  std::atomic<std::uint64_t> registered{0};  // counts, relaxed
  std::atomic<std::uint64_t> deregistered{0};
  std::atomic<std::uint64_t> readiness{0};
  std::mutex mutex;
  Registration* dropped = nullptr;  // under mutex: freed by the next poll
  std::atomic<bool> closed{false};  // written under mutex

  void free_dropped() noexcept;
};

}  // namespace detail

/// A descriptor known to a driver. Made by Driver::add, dropped through its handle.
class Registration {
 public:
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  [[nodiscard]] int fd() const noexcept { return number_; }

  /// The word: the bits, above them the count of events.
  /// Acquire: pairs with the release of an event.
  [[nodiscard]] std::uint64_t readiness() const noexcept {
    return word_.load(std::memory_order_acquire);
  }
  /// Forgets `bits`, unless an event came since `seen` was read.
  void clear(std::uint64_t seen, std::uint64_t bits) noexcept;

  /// Registers another descriptor with the same driver.
  [[nodiscard]] Result<std::unique_ptr<Registration, struct DropRegistration>, std::error_code>
  add_sibling(Descriptor fd, std::uint64_t initial) const noexcept;

 private:
  friend class Driver;
  friend class ReadinessWaiter;
  friend struct DropRegistration;
  friend struct detail::DriverCore;
  static constexpr unsigned kCountShift = 4;
  static constexpr std::uint64_t kBits = (1u << kCountShift) - 1;

  Registration(std::shared_ptr<detail::DriverCore> core, Descriptor fd,
               std::uint64_t initial) noexcept
      : core_(std::move(core)), fd_(std::move(fd)), number_(fd_.get()), word_(initial) {}
  ~Registration() = default;

  static Result<std::unique_ptr<Registration, DropRegistration>, std::error_code> make(
      const std::shared_ptr<detail::DriverCore>& core, Descriptor fd,
      std::uint64_t initial) noexcept;
  void drop() noexcept;
  void on_event(std::uint64_t bits, task::WakeBatch& wakes) noexcept;  // the polling thread

  std::shared_ptr<detail::DriverCore> core_;
  Descriptor fd_;
  const int number_;                 // stays readable for events in flight
  std::atomic<std::uint64_t> word_;  // raised by the polling thread, bits cleared by tasks
  std::mutex mutex_;
  ReadinessWaiter* first_[2] = {};        // under mutex_, by direction
  Registration* next_dropped_ = nullptr;  // under the core's mutex
};

/// Takes the descriptor from the driver and closes it. Nobody may wait for it.
struct DropRegistration {
  void operator()(Registration* registration) const noexcept { registration->drop(); }
};
using RegistrationHandle = std::unique_ptr<Registration, DropRegistration>;

class Driver {
 public:
  /// Throws std::system_error when the system has no more descriptors.
  explicit Driver(std::size_t max_events = 1024);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// Waits up to `timeout_ns` (-1: without end, 0: not at all) for events, for an unpark() or for a
  /// signal, and puts the tasks concerned into `wakes`. May return early without a reason. One
  /// thread at a time; holds no lock while it waits.
  void poll(std::int64_t timeout_ns, task::WakeBatch& wakes) noexcept;
  /// Makes the poll that is running, or else the next one, return. Any thread, signal-safe.
  void unpark() noexcept;

  /// Registers a descriptor, which must not block, and owns it from now on; on error it is closed.
  /// `initial` are the readiness bits that are worth a try before the first event. Any thread.
  [[nodiscard]] Result<RegistrationHandle, std::error_code> add(Descriptor fd,
                                                                std::uint64_t initial) noexcept {
    return Registration::make(core_, std::move(fd), initial);
  }

  /// Descriptors registered so far, and of these the ones that are no longer.
  [[nodiscard]] std::uint64_t registered() const noexcept {
    return core_->registered.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t deregistered() const noexcept {
    return core_->deregistered.load(std::memory_order_relaxed);
  }
  /// Descriptors registered now.
  [[nodiscard]] std::uint64_t registrations() const noexcept {
    // Acquire: pairs with drop(); so what is read after it is not less.
    const auto gone = core_->deregistered.load(std::memory_order_acquire);
    return registered() - gone;
  }
  /// Readiness events so far, those of unpark() not counted.
  [[nodiscard]] std::uint64_t readiness() const noexcept {
    return core_->readiness.load(std::memory_order_relaxed);
  }

 private:
  [[nodiscard]] int wait(std::int64_t timeout_ns) noexcept;

  std::shared_ptr<detail::DriverCore> core_;
  Descriptor wake_;                        // an eventfd
  std::atomic<bool> wake_pending_{false};  // set by unpark(), cleared by the poll that saw it
  std::vector<epoll_event> events_;        // the polling thread's
};

}  // namespace taskscope::runtime::io
