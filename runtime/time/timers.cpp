#include "taskscope/runtime/time/timers.h"

#include <algorithm>

#include "taskscope/runtime/scheduler/driver_access.h"

namespace taskscope::runtime::time {

void TimerNode::describe(observe::Wait& wait) const noexcept {
  wait.op = observe::WaitOp::Sleep;
  wait.resource_kind = observe::ResourceKind::Timer;
  wait.deadline_ns = deadline_ns_;
}

Inserted TimerNode::start_in(Timers& timers) noexcept {
  reset_fired();
  timers_ = &timers;  // first: it may fire at once
  const auto inserted = timers.insert(*this);
  if (inserted == Inserted::Past) timers_ = nullptr;
  return inserted;
}

bool TimerNode::start() noexcept {
  Timers& timers = scheduler::current_timers();
  const auto inserted = start_in(timers);
  if (inserted == Inserted::Earliest) scheduler::timer_inserted(timers, deadline_ns_);
  return inserted != Inserted::Past;
}

void TimerNode::stop() noexcept {
  if (timers_ == nullptr) return;
  // Who fires has taken the node out before, and leaves it alone afterwards.
  if (!fired()) timers_->remove(*this);
  timers_ = nullptr;
}

Inserted Timers::insert(TimerNode& node) noexcept {
  const std::lock_guard lock(mutex_);
  if (!wheel_.insert(node, tick_at_or_after(node.deadline_ns_))) return Inserted::Past;
  const auto at_ns = ns_of_tick(Wheel::expiration_of(node));
  if (at_ns >= next_ns_.load(std::memory_order_relaxed)) return Inserted::Later;
  // seq_cst: forbids that who inserted a timer reads DriverDeadline before this is visible.
  next_ns_.store(at_ns, std::memory_order_seq_cst);
  return Inserted::Earliest;
}

void Timers::remove(TimerNode& node) noexcept {
  const std::lock_guard lock(mutex_);
  // The published deadline stays: at worst somebody advances in vain, once.
  if (node.linked()) wheel_.remove(node);
}

std::size_t Timers::advance(std::uint64_t now, task::WakeBatch& wakes) noexcept {
  // Relaxed: who misses an insert of another thread is told of it by that thread.
  if (now < next_ns_.load(std::memory_order_relaxed)) return 0;
  const task::WakeOrigin origin(observe::WakeCause::Timer);
  const auto now_tick = tick_at_or_before(now);
  std::size_t fired = 0;
  if (wakes.full()) wakes.submit_all();

  std::unique_lock lock(mutex_);
  std::uint64_t late = 0;
  auto late_max_ns = late_max_ns_.load(std::memory_order_relaxed);
  // A batch at a time: what a fire touches of the task is fetched for all before the first fires.
  // They are out of the wheel but not fired, so the lock is kept in between.
  std::array<TimerNode*, task::WakeBatch::kFull> due;
  std::size_t woken = 0;
  for (;;) {
    std::size_t count = 0;
    while (count < due.size()) {
      WheelEntry* const entry = wheel_.pop_expired(now_tick);
      if (entry == nullptr) break;
      due[count] = static_cast<TimerNode*>(entry);
      __builtin_prefetch(due[count++]->branch(), 1);
    }
    for (std::size_t i = 0; i < count; ++i) __builtin_prefetch(&due[i]->branch()->task(), 1);
    for (std::size_t i = 0; i < count; ++i) {
      TimerNode& node = *due[i];
      ++fired;
      if (now_tick > node.tick()) ++late;
      late_max_ns = std::max(late_max_ns, now - node.deadline_ns_);
      wakes.add(node.fire());
    }
    if (count < due.size()) break;
    if (!wakes.full()) continue;
    woken += wakes.size();
    if (woken >= kEnough) break;
    lock.unlock();
    wakes.submit_all();
    lock.lock();
  }
  publish_next();
  fired_.store(fired_.load(std::memory_order_relaxed) + fired, std::memory_order_relaxed);
  late_.store(late_.load(std::memory_order_relaxed) + late, std::memory_order_relaxed);
  late_max_ns_.store(std::max(late_max_ns, late_max_ns_.load(std::memory_order_relaxed)),
                     std::memory_order_relaxed);
  return fired;
}

std::array<std::uint32_t, Wheel::kLevels> Timers::occupancy() const noexcept {
  const std::lock_guard lock(mutex_);
  return wheel_.occupancy();
}

void Timers::publish_next() noexcept {
  const auto tick = wheel_.next_expiration();
  const auto next = tick ? ns_of_tick(*tick) : kNever;
  if (next != next_ns_.load(std::memory_order_relaxed)) {
    // Relaxed: it was earlier before; who reads that looks in vain, once.
    next_ns_.store(next, std::memory_order_relaxed);
  }
}

}  // namespace taskscope::runtime::time
