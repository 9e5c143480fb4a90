#include <atomic>
#include <memory>

#include "taskscope/runtime/spawn.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/tests/bench/workloads.h"

namespace taskscope::bench {

using namespace std::chrono_literals;
using runtime::Task;
namespace task = runtime::task;
namespace time = runtime::time;

namespace {

using Clock = Deadlines::Clock;

// From the start of arming to the first deadline: time enough to arm them all.
constexpr auto kLead = 2s, kTaskLead = 6s;

/// The branch that awaits it; at once.
class ThisBranch final : public task::Waiter {
 public:
  static constexpr bool kUnbudgeted = true;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    awaiting_ = awaiting.promise().branch();
    return false;
  }
  [[nodiscard]] task::Branch* await_resume() const noexcept { return awaiting_; }
  [[nodiscard]] bool ready(bool) noexcept override { return true; }
  void describe(runtime::observe::Wait&) const noexcept override {}

 private:
  task::Branch* awaiting_ = nullptr;
};

/// A timer without a task of its own: when it fires it names the branch of the root.
class RootTimer final : public time::TimerNode {
 public:
  RootTimer(Clock::time_point deadline, task::Branch* root) noexcept
      : TimerNode(time::to_ns(deadline)) {
    branch_ = root;
    must(start(), "armed too late");
  }
};

/// Timers in one allocation.
class Timers {
 public:
  Timers(std::size_t count, Deadlines deadlines, task::Branch* root)
      : memory_(std::allocator<RootTimer>().allocate(count)), capacity_(count) {
    for (; size_ < count; ++size_) std::construct_at(memory_ + size_, deadlines.next(), root);
  }
  ~Timers() { clear(); }
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  void clear() noexcept {
    if (memory_ == nullptr) return;
    std::destroy_n(memory_, size_);
    std::allocator<RootTimer>().deallocate(std::exchange(memory_, nullptr), capacity_);
    size_ = 0;
  }

  /// Waits until all have fired. Every fire may wake the root; it goes on from where it stood.
  class [[nodiscard]] AllFired final : public task::Waiter {
   public:
    explicit AllFired(const Timers& timers) noexcept : timers_(timers) {}
    [[nodiscard]] bool await_ready() noexcept { return ready(true); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      suspend(awaiting);
      return !ready(true);
    }
    void await_resume() const noexcept {}
    [[nodiscard]] bool ready(bool) noexcept override {
      while (seen_ < timers_.size_ && timers_.memory_[seen_].fired()) ++seen_;
      return seen_ == timers_.size_;
    }
    void describe(runtime::observe::Wait& wait) const noexcept override {
      wait.resource_kind = runtime::observe::ResourceKind::Timer;
    }

   private:
    const Timers& timers_;
    std::size_t seen_ = 0;
  };
  AllFired all_fired() const noexcept { return AllFired(*this); }

 private:
  RootTimer* memory_;
  std::size_t capacity_, size_ = 0;
};

double ms_since(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

void add_fired(Metrics& metrics, std::size_t n, double late_ms, double cpu_ms,
               std::chrono::milliseconds window) {
  metrics.push_back({"fire_ms", "ms", n, late_ms, cpu_ms});
  metrics.push_back({"lag_ms", "ms", n, late_ms - static_cast<double>(window.count())});
}

struct Sleepers {
  explicit Sleepers(std::size_t tasks) : left(tasks) {}
  std::atomic<std::size_t> asleep{0};
  std::atomic<std::size_t> left;
  runtime::sync::Notify all_gone;
};

Task<void> sleep_until(Clock::time_point deadline, Sleepers& sleepers) {
  ++sleepers.asleep;
  co_await time::sleep_until(deadline);
  if (--sleepers.left == 0) sleepers.all_gone.notify_one();
}

}  // namespace

Root timer_cancel(std::size_t count) {
  task::Branch* const root = co_await ThisBranch();
  const double before = resident_bytes();
  const Interval creating;
  Timers timers(count, Deadlines(Clock::now() + 10s, 60s), root);
  Metrics metrics;
  metrics.push_back(creating.total("create_ms", count));
  Metric memory = bytes_each("bytes_per_timer", count, before);
  const Interval cancelling;
  timers.clear();
  metrics.push_back(cancelling.total("cancel_ms", count));
  metrics.push_back(std::move(memory));
  co_return metrics;
}

Root timer_fire(std::size_t count, std::chrono::milliseconds window) {
  task::Branch* const root = co_await ThisBranch();
  const double before = resident_bytes();
  const Interval creating;
  const auto first = Clock::now() + kLead;
  const Timers timers(count, Deadlines(first, window), root);
  Metric create = creating.total("create_ms", count);
  Metric memory = bytes_each("bytes_per_timer", count, before);
  must(Clock::now() < first, "armed too late");
  const Interval firing;
  co_await timers.all_fired();
  Metrics metrics;
  add_fired(metrics, count, ms_since(first), firing.cpu_ns() / 1e6, window);
  metrics.push_back(std::move(create));
  metrics.push_back(std::move(memory));
  co_return metrics;
}

Root timer_tasks(std::size_t count, std::chrono::milliseconds window) {
  Sleepers sleepers(count);
  const double before = resident_bytes();
  const Interval creating;
  const auto first = Clock::now() + kTaskLead;
  Deadlines deadlines(first, window);
  for (std::size_t i = 0; i < count; ++i) {
    runtime::spawn(sleep_until(deadlines.next(), sleepers)).detach();
  }
  while (sleepers.asleep < count) co_await time::sleep(1ms);
  Metric create = creating.total("create_ms", count);
  Metric memory = bytes_each("bytes_per_task", count, before);
  must(Clock::now() < first, "armed too late");
  const Interval firing;
  co_await sleepers.all_gone.notified();
  Metrics metrics;
  add_fired(metrics, count, ms_since(first), firing.cpu_ns() / 1e6, window);
  metrics.push_back(std::move(create));
  metrics.push_back(std::move(memory));
  co_return metrics;
}

}  // namespace taskscope::bench
