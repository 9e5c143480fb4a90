#include "taskscope/runtime/blocking/pool.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "taskscope/runtime/task/blocking_body.h"

namespace taskscope::runtime::blocking {

namespace {

/// Calls taken in a pause that tell that they are too short to wake a thread for.
constexpr std::uint64_t kBrisk = 16;
constexpr std::chrono::microseconds kPause{50};
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
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    finished.swap(finished_);
    // While others live one of them will come by.
    if (!has_spare_ && !appoint_spare() && counters_.threads == 0) {
      finished.swap(finished_);
      return false;
    }
    call.queue_next = nullptr;
    (last_ != nullptr ? last_->queue_next : first_) = &call;
    last_ = &call;
    ++counters_.queued;
  }
  join_all(finished);
  return true;
}

bool Pool::appoint_spare() noexcept {
  if (counters_.idle != 0) {
    --counters_.idle;
    is_appointed_ = true;
    wanted_.notify_one();
  } else if (counters_.threads >= options_.max_threads || !start_thread()) {
    return false;
  }
  has_spare_ = true;
  taken_at_appointment_ = taken_;
  return true;
}

void Pool::hold_back(std::unique_lock<std::mutex>& lock) noexcept {
  auto seen = taken_at_appointment_;
  while (first_ != nullptr && !stopping_ && taken_ - seen >= kBrisk) {
    seen = taken_;
    wanted_by_spare_.wait_for(lock, kPause);
  }
  has_spare_ = false;
}

bool Pool::start_thread() noexcept {
  try {
    finished_.reserve(finished_.size() + counters_.threads + 1);  // ending must not fail
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
  if (started) ++counters_.threads;
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
  --counters_.queued;
  ++taken_;
  return call;
}

void Pool::work() noexcept {
  ::pthread_setname_np(::pthread_self(), options_.thread_name.c_str());
  std::unique_lock lock(mutex_);
  hold_back(lock);  // a thread is started as the spare
  for (;;) {
    while (task::Header* const call = pop()) {
      if (first_ != nullptr && !has_spare_) appoint_spare();
      lock.unlock();
      task::run_blocking(*call);
      lock.lock();
    }
    if (stopping_) break;
    ++counters_.idle;
    const auto until = std::chrono::steady_clock::now() + options_.keep_alive;
    wanted_.wait_until(lock, until, [this] { return is_appointed_ || stopping_; });
    if (is_appointed_) {
      is_appointed_ = false;  // who appointed has counted this thread, or another, as busy
      hold_back(lock);
      continue;
    }
    --counters_.idle;
    break;
  }
  --counters_.threads;
  finished_.push_back(::pthread_self());
  ended_.notify_all();
}

void Pool::shutdown() noexcept {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  task::Header* call = std::exchange(first_, nullptr);
  last_ = nullptr;
  counters_.queued = 0;
  wanted_.notify_all();
  wanted_by_spare_.notify_all();
  lock.unlock();
  while (call != nullptr) {
    // Read first: cancelling gives the call away.
    task::Header* const next = call->queue_next;
    task::cancel_blocking(*call);
    call = next;
  }
  lock.lock();
  ended_.wait(lock, [this] { return counters_.threads == 0; });
  auto finished = std::exchange(finished_, {});
  lock.unlock();
  join_all(finished);
}

Pool::Counters Pool::counters() const noexcept {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace taskscope::runtime::blocking
