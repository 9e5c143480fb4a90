/// Who writes records: one Producer per thread that has something to say, from a fixed set.
///
/// A thread takes its producer at its first record, without a lock or an allocation: one that the
/// collector reserved for it by thread id (workers that were there when the watching began), else
/// one from stock (blocking and foreign threads). Where there is none the record is dropped and
/// counted. Rings are memory that is never unmapped, only given back to the kernel page by page
/// while nobody watches: a thread that was held up in the middle of a record since then writes into
/// empty pages, not into a hole.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "taskscope/instrumentation/event_ring.h"
#include "taskscope/instrumentation/unit.h"
#include "taskscope/runtime/observe/facts.h"

namespace taskscope::instrumentation {

using runtime::observe::Ticks;

/// What was dropped. `polls` counts poll ends.
struct Dropped {
  std::uint64_t events = 0, spawns = 0, polls = 0, wakes = 0;
  Dropped& operator+=(const Dropped& other) noexcept {
    events += other.events;
    spawns += other.spawns;
    polls += other.polls;
    wakes += other.wakes;
    return *this;
  }
  friend Dropped operator-(Dropped left, const Dropped& right) noexcept {
    return {left.events - right.events, left.spawns - right.spawns, left.polls - right.polls,
            left.wakes - right.wakes};
  }
  bool operator==(const Dropped&) const = default;
};

/// Counters of drops: one writer, or several where `shared` is used.
class DropCounters {
 public:
  /// The only writer. Relaxed: counts, publish nothing.
  void add(const Dropped& dropped) noexcept {
    bump(events_, dropped.events);
    bump(spawns_, dropped.spawns);
    bump(polls_, dropped.polls);
    bump(wakes_, dropped.wakes);
  }
  /// One of several writers.
  void add_shared(const Dropped& dropped) noexcept {
    events_.fetch_add(dropped.events, std::memory_order_relaxed);
    spawns_.fetch_add(dropped.spawns, std::memory_order_relaxed);
    polls_.fetch_add(dropped.polls, std::memory_order_relaxed);
    wakes_.fetch_add(dropped.wakes, std::memory_order_relaxed);
  }
  [[nodiscard]] Dropped read() const noexcept {
    return {events_.load(std::memory_order_relaxed), spawns_.load(std::memory_order_relaxed),
            polls_.load(std::memory_order_relaxed), wakes_.load(std::memory_order_relaxed)};
  }

 private:
  static void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::atomic<std::uint64_t> events_{0}, spawns_{0}, polls_{0}, wakes_{0};
};

class Producer {
 public:
  // --- the thread that owns it

  /// True when a record of `n` units can be written now: put() each, then commit(). False: drop().
  [[nodiscard]] bool open(std::size_t n, Ticks now) noexcept {
    return ring_->fits(n) ? true : open_slowly(n, now);
  }
  /// open() without looking closer.
  [[nodiscard]] bool fits(std::size_t n) const noexcept { return ring_->fits(n); }
  void put(std::size_t i, Unit unit) noexcept { ring_->put(i, unit); }
  void commit(std::size_t n) noexcept { ring_->commit(n); }
  void drop(const Dropped& dropped) noexcept { dropped_.add(dropped); }

  /// The task being polled on this thread, 0 for none.
  [[nodiscard]] std::uint64_t current() const noexcept { return current_; }
  void set_current(std::uint64_t task) noexcept { current_ = task; }

 private:
  friend class Producers;
  friend class Collector;
  friend struct ThreadExit;
  friend Producer* claim_producer(bool is_busy_thread) noexcept;

  /// A slot goes Empty -> Stocked or Reserved -> Owned -> Closed -> Stocked ...
  enum class State : std::uint32_t {
    Empty,     ///< no ring yet; the collector's
    Stocked,   ///< anybody may take it
    Reserved,  ///< for the thread `tid_`
    Owned,     ///< a thread writes
    Closed,    ///< its thread ended; the collector drains it and stocks it again
  };

  bool open_slowly(std::size_t n, Ticks now) noexcept;

  // Of the owner while Owned, of the collector otherwise; state_ hands them over.
  EventRing* ring_ = nullptr;
  std::uint64_t current_ = 0;
  std::uint64_t losing_since_ = 0;  // ticks of the first drop that no Resync told of
  bool is_losing_ = false;

  DropCounters dropped_;  // written by the owner; never reset
  std::atomic<EventRing*> next_{
      nullptr};  // a larger ring: offered by the collector, taken by the owner
  std::atomic<State> state_{State::Empty};
  std::atomic<std::int32_t> tid_{0};  // written by whoever brings the slot to Reserved or Owned

  std::atomic<bool> is_large_{false};  // written by the collector

  // The collector's.
  alignas(64) EventRing* draining_ = nullptr;  // ring_, or the one before it until that is empty
  EventRing* offered_ = nullptr;               // what next_ was set to
  std::uint64_t id_ = 0;  // of this life of the slot; names the ring in the stream
  std::uint32_t worker_ = 0;
  std::uint64_t polled_ = 0;                           // the task being polled at draining_'s head
  std::uint64_t last_ticks_ = 0;                       // of the last record
  Dropped reported_;                                   // of dropped_, what the stream was told
  std::chrono::steady_clock::time_point loss_told_{};  // when that was, of a loss under way
  bool is_named_ = false;                              // thread_name_ was read
  bool is_announced_ = false;  // the stream says from when on it is complete
  char thread_name_[16] = {};
};

/// A thread's way to its producer; null when it has none (yet).
Producer* claim_producer(bool is_busy_thread) noexcept;

namespace detail {
// initial-exec: the general model may allocate at the first use on a thread.
extern constinit thread_local Producer* this_producer __attribute__((tls_model("initial-exec")));
}  // namespace detail

/// `is_busy_thread` prefers a large ring where there is a choice.
[[nodiscard]] inline Producer* this_producer(bool is_busy_thread) noexcept {
  Producer* const producer = detail::this_producer;
  return producer != nullptr ? producer : claim_producer(is_busy_thread);
}

/// Counts what a thread without a producer had to say.
void drop_without_producer(const Dropped& dropped) noexcept;

}  // namespace taskscope::instrumentation
