#include "taskscope/runtime/blocking/pool.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "taskscope/runtime/observe/ticks.h"
#include "taskscope/runtime/task/blocking_body.h"

namespace taskscope::runtime::blocking {

namespace {

/// Calls taken while the spare slept briefly that tell that they are too short to wake a thread
/// for.
constexpr std::uint64_t kBrisk = 16;
/// So that a deadline can be computed from any keep_alive.
constexpr std::chrono::nanoseconds kLongestKeepAlive = std::chrono::hours(24 * 365);

void join_all(std::vector<pthread_t>& threads) noexcept {
  for (const pthread_t thread : threads) ::pthread_join(thread, nullptr);
  threads.clear();
}

PoolOptions checked(PoolOptions options) {
  options.max_threads = std::max<std::size_t>(options.max_threads, 1);
  options.keep_alive =
      std::clamp(options.keep_alive, std::chrono::nanoseconds::zero(), kLongestKeepAlive);
  if (options.thread_name.size() > 15) options.thread_name.resize(15);
  return options;
}

}  // namespace

Pool::Pool(PoolOptions options) : options_(checked(std::move(options))) {}

bool Pool::submit(task::Header& call) noexcept {
  std::vector<pthread_t> finished;  // joined after the lock
  Sleeper* wake = nullptr;
  {
    const std::lock_guard lock(lock_);
    if (stopping_) return false;
    finished.swap(finished_);
    // While others live one of them will come by.
    if (!has_spare_ && !is_spinning_ && !appoint_spare(wake) && threads_ == 0) {
      finished.swap(finished_);
      return false;
    }
    call.queue_next = nullptr;
    (last_ != nullptr ? last_->queue_next : first_) = &call;
    last_ = &call;
    // Release: pairs with spin(), which then takes the lock.
    queued_.store(queued_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  if (wake != nullptr) futex_wake(wake->word);
  if (!finished.empty()) join_all(finished);
  return true;
}

bool Pool::appoint_spare(Sleeper*& wake) noexcept {
  if (sleepers_ != nullptr) {
    wake = sleepers_;
    sleepers_ = wake->next;
    --idle_;
    // Release: pairs with sleep(). Its frame may be gone before it is woken; see futex_wake.
    wake->word.store(1, std::memory_order_release);
  } else if (threads_ >= options_.max_threads || !start_thread()) {
    return false;
  }
  has_spare_ = true;
  taken_at_appointment_ = taken_;
  return true;
}

void Pool::hold_back(std::unique_lock<sync::Lock>& lock) noexcept {
  auto seen = taken_at_appointment_;
  while (first_ != nullptr && !stopping_ && taken_ - seen >= kBrisk) {
    seen = taken_;
    lock.unlock();
    sleep_briefly();
    lock.lock();
  }
  has_spare_ = false;
}

bool Pool::spin() const noexcept {
  constexpr int kLooks = 16;  // between two looks at the clock
  const auto until_ns = observe::monotonic_ns() + SpinGate::kLongestNs;
  do {
    for (int i = 0; i < kLooks; ++i) {
      // Acquire: pairs with submit().
      if (queued_.load(std::memory_order_acquire) != 0) return true;
      spin_pause();
    }
  } while (observe::monotonic_ns() < until_ns);
  return false;
}

bool Pool::sleep(std::unique_lock<sync::Lock>& lock) noexcept {
  Sleeper self;
  self.next = sleepers_;
  sleepers_ = &self;
  ++idle_;
  const auto until_ns =
      observe::monotonic_ns() + static_cast<std::uint64_t>(options_.keep_alive.count());
  lock.unlock();
  for (;;) {
    const auto now_ns = observe::monotonic_ns();
    // Acquire: pairs with who set it.
    if (self.word.load(std::memory_order_acquire) != 0 || now_ns >= until_ns) break;
    futex_wait(self.word, 0, until_ns - now_ns);
  }
  lock.lock();
  if (self.word.load(std::memory_order_relaxed) != 0) return true;
  --idle_;
  Sleeper** at = &sleepers_;
  while (*at != &self) at = &(*at)->next;
  *at = self.next;
  return false;
}

bool Pool::start_thread() noexcept {
  try {
    finished_.reserve(finished_.size() + threads_ + 1);  // ending must not fail
  } catch (const std::bad_alloc&) {
    return false;
  }
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return false;
  pthread_t thread{};
  const bool started =
      (options_.thread_stack_bytes == 0 ||
       ::pthread_attr_setstacksize(&attributes, options_.thread_stack_bytes) == 0) &&
      ::pthread_create(&thread, &attributes, &Pool::run_thread, this) == 0;
  ::pthread_attr_destroy(&attributes);
  if (started) ++threads_;
  return started;
}

void* Pool::run_thread(void* pool) noexcept {
  static_cast<Pool*>(pool)->work();
  return nullptr;
}

task::Header* Pool::pop() noexcept {
  task::Header* const call = first_;
  if (call == nullptr) return nullptr;
  first_ = call->queue_next;
  if (first_ == nullptr) last_ = nullptr;
  queued_.store(queued_.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  ++taken_;
  return call;
}

void Pool::work() noexcept {
  const auto name =
      options_.thread_name_fn ? options_.thread_name_fn().substr(0, 15) : options_.thread_name;
  ::pthread_setname_np(::pthread_self(), name.c_str());
  if (options_.on_thread_start) options_.on_thread_start();
  SpinGate gate;
  std::unique_lock lock(lock_);
  hold_back(lock);  // a thread is started as the spare
  for (;;) {
    while (task::Header* const call = pop()) {
      Sleeper* wake = nullptr;
      if (first_ != nullptr && !has_spare_) appoint_spare(wake);
      lock.unlock();
      if (wake != nullptr) futex_wake(wake->word);
      task::run_blocking(*call);
      lock.lock();
    }
    if (stopping_) break;
    if (!is_spinning_ && !has_spare_ && gate.opens()) {
      is_spinning_ = true;
      ++idle_;
      lock.unlock();
      const bool found = spin();
      lock.lock();
      gate.closes(found);
      is_spinning_ = false;
      --idle_;
      // Also when it came too late to be found: nobody was appointed for it.
      if (first_ != nullptr || stopping_) continue;
    }
    if (!sleep(lock)) break;
    if (!stopping_) hold_back(lock);
  }
  finished_.push_back(::pthread_self());
  if (--threads_ == 0 && stopping_) {
    ended_.store(1, std::memory_order_relaxed);
    lock.unlock();
    futex_wake(ended_);  // the pool is there until this thread was joined
  } else {
    lock.unlock();
  }
  // Whoever joins this thread waits for it; it counts no more.
  if (options_.on_thread_stop) options_.on_thread_stop();
}

void Pool::shutdown() noexcept {
  std::unique_lock lock(lock_);
  stopping_ = true;
  task::Header* call = std::exchange(first_, nullptr);
  last_ = nullptr;
  queued_.store(0, std::memory_order_relaxed);
  while (Sleeper* const sleeper = sleepers_) {
    sleepers_ = sleeper->next;
    --idle_;
    sleeper->word.store(1, std::memory_order_release);  // as in appoint_spare()
    futex_wake(sleeper->word);
  }
  lock.unlock();
  while (call != nullptr) {
    // Read first: cancelling gives the call away.
    task::Header* const next = call->queue_next;
    task::cancel_blocking(*call);
    call = next;
  }
  lock.lock();
  while (threads_ != 0) {
    lock.unlock();
    futex_wait(ended_, 0);
    lock.lock();
  }
  auto finished = std::exchange(finished_, {});
  lock.unlock();
  join_all(finished);
}

Pool::Counters Pool::counters() const noexcept {
  const std::lock_guard lock(lock_);
  return {threads_, idle_, queued_.load(std::memory_order_relaxed)};
}

}  // namespace taskscope::runtime::blocking
