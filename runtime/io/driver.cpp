#include "taskscope/runtime/io/driver.h"

#include <sys/eventfd.h>

#include <cassert>
#include <cerrno>
#include <ctime>
#include <new>
#include <utility>

namespace taskscope::runtime::io {

namespace {

/// RDHUP and HUP stay true, so they are remembered until an operation disproves them. An error is
/// delivered by the next operation of either direction, whichever comes first.
std::uint64_t bits_of_events(std::uint32_t events) noexcept {
  std::uint64_t bits = 0;
  if ((events & (EPOLLIN | EPOLLPRI | EPOLLERR)) != 0) bits |= kReadable;
  if ((events & (EPOLLOUT | EPOLLERR)) != 0) bits |= kWritable;
  if ((events & (EPOLLRDHUP | EPOLLHUP)) != 0) bits |= kReadClosed;
  if ((events & EPOLLHUP) != 0) bits |= kWriteClosed;
  return bits;
}

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

}  // namespace

// --- waiters

bool ReadinessWaiter::link() noexcept {
  const std::lock_guard lock(registration_->mutex_);
  if (registration_->core_->closed.load(std::memory_order_relaxed)) return false;
  auto*& first = registration_->first_[static_cast<std::size_t>(direction_)];
  previous_ = nullptr;
  next_ = first;
  if (first != nullptr) first->previous_ = this;
  first = this;
  linked_ = true;
  return true;
}

void ReadinessWaiter::unlink() noexcept {
  if (!linked_) return;
  const std::lock_guard lock(registration_->mutex_);
  auto*& first = registration_->first_[static_cast<std::size_t>(direction_)];
  (previous_ != nullptr ? previous_->next_ : first) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  linked_ = false;
}

void ReadinessWaiter::describe(observe::Wait& wait) const noexcept {
  wait.op = op_;
  wait.resource_kind = observe::ResourceKind::Io;
  if (registration_ != nullptr) wait.fd = registration_->fd();
}

// --- registrations

Result<RegistrationHandle, std::error_code> Registration::make(
    const std::shared_ptr<detail::DriverCore>& core, Descriptor fd,
    std::uint64_t initial) noexcept {
  const int number = fd.get();
  RegistrationHandle registration(new (std::nothrow) Registration(core, std::move(fd), initial));
  if (!registration) return std::make_error_code(std::errc::not_enough_memory);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = registration.get();
  if (::epoll_ctl(core->epoll.get(), EPOLL_CTL_ADD, number, &event) != 0) {
    const auto error = last_error();
    delete registration.release();  // it was never registered, so there is nothing to drop
    return error;
  }
  core->registered.fetch_add(1, std::memory_order_relaxed);
  return registration;
}

Result<RegistrationHandle, std::error_code> Registration::add_sibling(
    Descriptor fd, std::uint64_t initial) const noexcept {
  return make(core_, std::move(fd), initial);
}

void Registration::clear(std::uint64_t seen, std::uint64_t bits) noexcept {
  auto word = word_.load(std::memory_order_relaxed);
  // Relaxed: only forgets; what an event published is acquired from the count that it raised.
  while ((word >> kCountShift) == (seen >> kCountShift) &&
         !word_.compare_exchange_weak(word, word & ~bits, std::memory_order_relaxed)) {
  }
}

void Registration::drop() noexcept {
  assert(first_[0] == nullptr && first_[1] == nullptr && "a descriptor is closed while waited for");
  const auto core = std::move(core_);
  // Release: pairs with registrations(), which never sees more gone than came.
  core->deregistered.fetch_add(1, std::memory_order_release);
  // Closing alone is not enough: a descriptor that was duplicated or inherited stays registered.
  ::epoll_ctl(core->epoll.get(), EPOLL_CTL_DEL, fd_.get(), nullptr);
  fd_.reset();
  {
    const std::lock_guard lock(core->mutex);
    if (!core->closed.load(std::memory_order_relaxed)) {
      next_dropped_ = std::exchange(core->dropped, this);
      return;
    }
  }
  delete this;
}

void Registration::on_event(std::uint64_t bits, task::WakeBatch& wakes) noexcept {
  const std::lock_guard lock(mutex_);
  auto word = word_.load(std::memory_order_relaxed);
  // Release: pairs with readiness(). Tasks clear bits meanwhile.
  while (!word_.compare_exchange_weak(
      word, (((word >> kCountShift) + 1) << kCountShift) | (word & kBits) | bits,
      std::memory_order_release, std::memory_order_relaxed)) {
  }
  for (const auto direction : {Direction::Read, Direction::Write}) {
    if ((bits & bits_of(direction)) == 0) continue;
    for (ReadinessWaiter* waiter = first_[static_cast<std::size_t>(direction)]; waiter != nullptr;
         waiter = waiter->next_) {
      // Who is marked was woken and has not looked yet: it will see this event too.
      if (waiter->notified_.exchange(true, std::memory_order_acq_rel)) continue;
      // The lock keeps the waiter in its frame, and so the task alive.
      task::Branch& branch = *waiter->branch();
      task::report_wake(branch.task(), branch.id, observe::ResourceId::None);
      wakes.add(branch.task().notify(branch.id));
    }
  }
}

// --- the driver

void detail::DriverCore::free_dropped() noexcept {
  Registration* first = nullptr;
  {
    const std::lock_guard lock(mutex);
    first = std::exchange(dropped, nullptr);
  }
  while (first != nullptr) delete std::exchange(first, first->next_dropped_);
}

Driver::Driver(std::size_t max_events)
    : core_(std::make_shared<detail::DriverCore>()), events_(max_events) {
  core_->epoll = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!core_->epoll.valid()) throw std::system_error(last_error(), "epoll_create1");
  wake_ = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) throw std::system_error(last_error(), "eventfd");
  epoll_event event{};
  // Edge-triggered: every write is an event, so nobody has to read.
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  if (::epoll_ctl(core_->epoll.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    throw std::system_error(last_error(), "epoll_ctl");
  }
}

Driver::~Driver() {
  {
    const std::lock_guard lock(core_->mutex);
    core_->closed.store(true, std::memory_order_relaxed);
  }
  core_->free_dropped();
}

int Driver::wait(std::int64_t timeout_ns) noexcept {
  const int epoll = core_->epoll.get();
  const int size = static_cast<int>(events_.size());
  if (timeout_ns <= 0) return ::epoll_wait(epoll, events_.data(), size, timeout_ns < 0 ? -1 : 0);
  const timespec timeout{static_cast<std::time_t>(timeout_ns / 1'000'000'000),
                         static_cast<long>(timeout_ns % 1'000'000'000)};
  const int count = ::epoll_pwait2(epoll, events_.data(), size, &timeout, nullptr);
  // Filters of system calls that are older than this one refuse it with EPERM.
  if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
  // Before Linux 5.11: in ms, rounded up, at most a minute; returning early is allowed.
  const auto ms = (timeout_ns + 999'999) / 1'000'000;
  return ::epoll_wait(epoll, events_.data(), size, ms < 60'000 ? static_cast<int>(ms) : 60'000);
}

void Driver::poll(std::int64_t timeout_ns, task::WakeBatch& wakes) noexcept {
  core_->free_dropped();
  // A negative count is EINTR: the caller looks round and comes again.
  const int count = wait(timeout_ns);
  if (count <= 0) return;
  task::WakeOrigin origin(observe::WakeCause::Io);
  std::uint64_t readiness = 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    auto* registration = static_cast<Registration*>(event.data.ptr);
    if (registration == nullptr) {
      // Who unparks later writes again. An exchange, so that it acquires from everybody before:
      // the caller sees what they published.
      wake_pending_.exchange(false, std::memory_order_acq_rel);
      continue;
    }
    ++readiness;
    origin.set_fd(registration->fd());
    registration->on_event(bits_of_events(event.events), wakes);
  }
  core_->readiness.fetch_add(readiness, std::memory_order_relaxed);
}

void Driver::unpark() noexcept {
  // One write is enough for everybody who comes before the poll has seen it.
  if (wake_pending_.exchange(true, std::memory_order_acq_rel)) return;
  const int before = errno;
  const std::uint64_t one = 1;
  // Fails only when the count is full, and then the event is there.
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  errno = before;
}

}  // namespace taskscope::runtime::io
