#include "taskscope/console/session/evidence.h"

#include <algorithm>

namespace taskscope::console::session {

void Evidence::set_rate(const Clock& clock) {
  if (clock.empty()) return;
  poll_ = clock.duration_ticks(kPollNs);
  queue_ = clock.duration_ticks(kQueueNs);
  send_ = clock.duration_ticks(kSendNs);
  window_ = clock.duration_ticks(kWindowNs);
}

void Evidence::add_timer(std::uint64_t deadline_ns, std::uint32_t site, std::uint64_t ticks) {
  const auto due_ms = (deadline_ns + 999'999) / 1'000'000;
  const auto key = (due_ms << 20) ^ site;
  auto& entry = ticks_[static_cast<std::size_t>((key * 0x9e3779b97f4a7c15u) >> 58)];
  if (entry.due_ms != due_ms || entry.site != site) {
    if (entry.count >= kTimers) {
      if (bursts_.size() == kBursts) bursts_.pop_front();
      bursts_.push_back(entry);
    }
    entry = {due_ms, 0, ticks, ticks, site};
  }
  ++entry.count;
  entry.last = std::max(entry.last, ticks);
}

void Evidence::add_self_wake(std::uint64_t task, std::uint64_t polls, std::uint64_t ticks) {
  auto found = self_wakers_.find(task);
  if (found == self_wakers_.end()) {
    if (self_wakers_.size() >= kSelfWakers) {
      // Those that have stopped go; if none has, the newcomer is one too many.
      std::erase_if(self_wakers_, [&](const auto& entry) {
        return entry.second.current.to + 8 * window_ < ticks;
      });
      if (self_wakers_.size() >= kSelfWakers) return;
    }
    found = self_wakers_.emplace(task, SelfWaker{}).first;
  }
  SelfWaker& waker = found->second;
  auto& current = waker.current;
  if (waker.since == 0 || ticks > current.to + 2 * window_) {
    waker = {};
    waker.since = ticks;
  }
  if (current.from == 0 || ticks >= current.from + window_) {
    if (current.from != 0) {
      waker.last = current;
      waker.last.to = ticks;
      waker.last.polls = polls - std::min(polls, waker.begun_polls);
    }
    current = {ticks, ticks, 0, 0};
    waker.begun_polls = polls;
  }
  ++current.wakes;
  current.to = std::max(current.to, ticks);
}

void Evidence::add_self_wait(std::uint64_t task, std::uint16_t branch, std::uint32_t site,
                             std::uint64_t resource) {
  const auto found = self_wakers_.find(task);
  if (found == self_wakers_.end()) return;
  SelfWaker& waker = found->second;
  if (waker.site != 0 && branch > waker.branch) return;
  waker.site = site;
  waker.branch = branch;
  waker.resource = resource;
}

void Evidence::add_running(std::uint64_t task, const ReadRunning& running) {
  if (running_.size() >= kRunning) running_.clear();
  running_[task] = running;
}

const ReadRunning* Evidence::running(std::uint64_t task) const {
  const auto found = running_.find(task);
  return found == running_.end() ? nullptr : &found->second;
}

std::size_t Evidence::memory_bytes() const noexcept {
  return polls_.size() * sizeof(LongPoll) + queues_.size() * sizeof(LongQueue) +
         sends_.size() * sizeof(LongSend) + bursts_.size() * sizeof(TimerTick) +
         self_wakers_.size() * (sizeof(SelfWaker) + 32) + running_.size() * 48;
}

}  // namespace taskscope::console::session
