/// What analysis needs of the last seconds and the columns don't tell: bounded logs of what took
/// long, came in bursts, or goes on since before the attach. Fed by Model, in the order of the
/// merge.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

#include "taskscope/console/session/clock.h"

namespace taskscope::console::session {

struct LongPoll {
  std::uint64_t task = 0;
  std::uint64_t from = 0, to = 0;  ///< ticks
  std::uint32_t lane = 0;
  bool about = false;  ///< it began before the records of its thread: `from` to the millisecond
};

/// A stretch in the queue, over when its poll began.
struct LongQueue {
  std::uint64_t task = 0;
  std::uint64_t woken = 0, polled = 0;  ///< ticks
  std::uint32_t lane = 0;               ///< of the poll
  std::uint32_t site = 0;               ///< what the task had waited at; 0: unknown
};

/// A wait for room in a channel that has ended.
struct LongSend {
  std::uint64_t channel = 0, task = 0;
  std::uint64_t from = 0, to = 0;  ///< ticks
  std::uint64_t by = 0;            ///< who made room
  std::uint32_t site = 0;
};

/// Timers of one await that were due in the same millisecond and fired.
struct TimerTick {
  std::uint64_t due_ms = 0;  ///< CLOCK_MONOTONIC, rounded up
  std::uint64_t count = 0;
  std::uint64_t first = 0, last = 0;  ///< ticks of the wakes
  std::uint32_t site = 0;
};

/// A task that wakes itself: counted in windows.
struct SelfWaker {
  struct Window {
    std::uint64_t from = 0, to = 0;  ///< ticks
    std::uint64_t polls = 0, wakes = 0;
  };
  Window last;                    ///< the last whole one; to == 0: none yet
  Window current;                 ///< `to`: the last wake in it
  std::uint64_t since = 0;        ///< ticks: it goes on without a pause from here
  std::uint64_t begun_polls = 0;  ///< of the task, when `current` began
  std::uint32_t site = 0;         ///< where it waits for itself: of the first branch that does
  std::uint16_t branch = 0;
  std::uint64_t resource = 0;  ///< through which it wakes itself; 0: its waker
};

/// A poll that ran when a walk read its task.
struct ReadRunning {
  std::uint64_t read = 0;  ///< ticks of the reading
  std::uint64_t from = 0;  ///< ticks, to the millisecond
};

class Evidence {
 public:
  // Shorter ones are not kept, so thresholds below these find nothing.
  static constexpr std::int64_t kPollNs = 1'000'000;
  static constexpr std::int64_t kQueueNs = 5'000'000;
  static constexpr std::int64_t kSendNs = 10'000'000;
  static constexpr std::int64_t kWindowNs = 250'000'000;
  static constexpr std::uint64_t kTimers = 250;  ///< smaller ticks are not kept

  /// To be called now and then: converts the limits above.
  void set_rate(const Clock& clock);

  [[nodiscard]] bool is_long_poll(std::uint64_t ticks) const noexcept { return ticks >= poll_; }
  [[nodiscard]] bool is_long_queue(std::uint64_t ticks) const noexcept { return ticks >= queue_; }
  [[nodiscard]] bool is_long_send(std::uint64_t ticks) const noexcept { return ticks >= send_; }
  void add(const LongPoll& poll) { push(polls_, poll); }
  void add(const LongQueue& queue) { push(queues_, queue); }
  void add(const LongSend& send) { push(sends_, send); }
  void add_timer(std::uint64_t deadline_ns, std::uint32_t site, std::uint64_t ticks);
  /// `polls` of the task so far.
  void add_self_wake(std::uint64_t task, std::uint64_t polls, std::uint64_t ticks);
  /// What the task waits for after it has woken itself.
  void add_self_wait(std::uint64_t task, std::uint16_t branch, std::uint32_t site,
                     std::uint64_t resource);
  void add_running(std::uint64_t task, const ReadRunning& running);

  // The newest last.
  [[nodiscard]] const std::deque<LongPoll>& polls() const noexcept { return polls_; }
  [[nodiscard]] const std::deque<LongQueue>& queues() const noexcept { return queues_; }
  [[nodiscard]] const std::deque<LongSend>& sends() const noexcept { return sends_; }
  [[nodiscard]] const std::deque<TimerTick>& bursts() const noexcept { return bursts_; }
  /// Those that may still grow.
  [[nodiscard]] std::span<const TimerTick> timer_ticks() const noexcept { return ticks_; }
  [[nodiscard]] const std::unordered_map<std::uint64_t, SelfWaker>& self_wakers() const noexcept {
    return self_wakers_;
  }
  /// Null: no walk read it while it was polled.
  [[nodiscard]] const ReadRunning* running(std::uint64_t task) const;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  static constexpr std::size_t kLog = 4096;
  static constexpr std::size_t kBursts = 64;
  static constexpr std::size_t kSelfWakers = 65'536;
  static constexpr std::size_t kRunning = 4096;
  template <class T>
  static void push(std::deque<T>& log, const T& entry) {
    if (log.size() == kLog) log.pop_front();
    log.push_back(entry);
  }

  std::uint64_t poll_ = kPollNs, queue_ = kQueueNs, send_ = kSendNs, window_ = kWindowNs;
  std::deque<LongPoll> polls_;
  std::deque<LongQueue> queues_;
  std::deque<LongSend> sends_;
  std::array<TimerTick, 64> ticks_{};  // by a hash of due and site
  std::deque<TimerTick> bursts_;
  std::unordered_map<std::uint64_t, SelfWaker> self_wakers_;
  std::unordered_map<std::uint64_t, ReadRunning> running_;
};

}  // namespace taskscope::console::session
