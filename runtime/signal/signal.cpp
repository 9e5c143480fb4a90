#include "taskscope/runtime/signal/signal.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "taskscope/runtime/scheduler/driver_access.h"

namespace taskscope::runtime::signal {

namespace {

/// All that the handler touches. The eventfd is never closed: a handler may be about to write.
struct Slot {
  std::atomic<std::uint64_t> count{0};  // written by the handler
  std::atomic<int> event{-1};           // written once, under install_mutex
};
constinit std::array<Slot, NSIG> slots;
constinit std::mutex install_mutex;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<int>::is_always_lock_free);

Slot& slot_of(int number) noexcept { return slots[static_cast<std::size_t>(number)]; }
std::error_code code(int error) noexcept { return {error, std::system_category()}; }

extern "C" void taskscope_on_signal(int number) {
  const int before = errno;
  Slot& slot = slot_of(number);
  // Release: pairs with the acquire of who is woken by the event.
  slot.count.fetch_add(1, std::memory_order_release);
  const std::uint64_t one = 1;
  // Nobody reads it: every write is an edge for every listener's epoll.
  [[maybe_unused]] const auto written =
      ::write(slot.event.load(std::memory_order_relaxed), &one, sizeof one);
  errno = before;
}

bool may_listen(int number) noexcept {
  if (number < 1 || number >= NSIG) return false;
  for (const int refused : {SIGKILL, SIGSTOP, SIGSEGV, SIGILL, SIGFPE, SIGBUS}) {
    if (number == refused) return false;
  }
  return true;
}

/// The eventfd of the signal, with the handler in place.
Result<int, std::error_code> install(int number) {
  const std::lock_guard lock(install_mutex);
  Slot& slot = slot_of(number);
  const int installed = slot.event.load(std::memory_order_relaxed);
  if (installed >= 0) return installed;
  io::Descriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) return code(errno);
  // Before the handler, which would not know where to write.
  slot.event.store(event.get(), std::memory_order_relaxed);
  struct sigaction action{};
  action.sa_handler = &taskscope_on_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(number, &action, nullptr) != 0) {
    const int error = errno;
    slot.event.store(-1, std::memory_order_relaxed);
    return code(error);
  }
  return event.release();
}

Task<Result<void, std::error_code>> next(int number) {
  auto signal = listen(number);
  if (!signal) co_return signal.error();
  auto received = co_await signal->recv();
  co_return received;
}

}  // namespace

Recv::Recv(Signal& signal) noexcept
    : Operation(signal.event_.get(), io::Direction::Read, observe::WaitOp::Recv), signal_(signal) {}

bool Recv::attempt(std::uint64_t) noexcept {
  count_ = slot_of(signal_.number_).count.load(std::memory_order_acquire);
  return count_ != signal_.seen_;
}

Result<void, std::error_code> Recv::await_resume() noexcept {
  unlink();
  if (error_) return error_;
  signal_.seen_ = count_;
  return {};
}

Result<Signal, std::error_code> listen(int number) {
  io::Driver& driver = scheduler::current_driver();
  if (!may_listen(number)) return code(EINVAL);
  const auto event = install(number);
  if (!event) return event.error();
  // A descriptor of its own: an epoll takes each number once, and dropping a listener closes it.
  io::Descriptor own(::fcntl(*event, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return code(errno);
  const auto seen = slot_of(number).count.load(std::memory_order_acquire);
  auto added = driver.add(std::move(own), io::kReadable);
  if (!added) return added.error();
  return Signal(std::move(*added), number, seen);
}

Task<Result<void, std::error_code>> ctrl_c() { return next(SIGINT); }
Task<Result<void, std::error_code>> terminate() { return next(SIGTERM); }

}  // namespace taskscope::runtime::signal
