#include "taskscope/tests/bench/workloads.h"

#include <atomic>
#include <memory>
#include <numeric>

#include "taskscope/runtime/spawn.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/time/sleep.h"

namespace taskscope::bench {

using namespace std::chrono_literals;
using runtime::JoinHandle;
using runtime::Task;
namespace sync = runtime::sync;

namespace {

Task<std::uint64_t> number(std::uint64_t i) { co_return i; }

Task<void> join_all(std::vector<JoinHandle<void>> handles) {
  for (auto& handle : handles) co_await std::move(handle);
}

Task<void> yield_times(std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) co_await runtime::yield_now();
}

using Sender = sync::mpsc::Sender<std::uint64_t>;
using Receiver = sync::mpsc::Receiver<std::uint64_t>;

Task<void> pong(Receiver in, Sender out) {
  while (true) {
    const auto value = co_await in.recv();
    if (!value) co_return;
    const auto sent = co_await out.send(*value + 1);
    must(sent.has_value(), "ping is gone");
  }
}

Task<std::uint64_t> ping(std::size_t round_trips, Sender out, Receiver in) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < round_trips; ++i) {
    const auto sent = co_await out.send(value);
    must(sent.has_value(), "pong is gone");
    const auto answer = co_await in.recv();
    must(answer.has_value(), "pong ended");
    value = *answer;
  }
  co_return value;
}

using Done = sync::oneshot::Sender<bool>;

Task<void> link(std::size_t left, Done done) {
  if (left == 0) {
    must(std::move(done).send(true).has_value(), "the root is gone");
  } else {
    runtime::spawn(link(left - 1, std::move(done))).detach();
  }
  co_return;
}

Task<void> produce(std::size_t count, Sender out) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto sent = co_await out.send(i);
    must(sent.has_value(), "the consumer is gone");
  }
}

struct Total {
  std::size_t count = 0;
  std::uint64_t sum = 0;
};

Task<Total> consume(Receiver in) {
  Total total;
  while (true) {
    const auto value = co_await in.recv();
    if (!value) break;
    ++total.count;
    total.sum += *value;
  }
  co_return total;
}

using Counter = sync::Mutex<std::size_t>;

Task<void> lock_often(std::size_t times, Counter& counter, bool yielding) {
  for (std::size_t i = 0; i < times; ++i) {
    auto held = co_await counter.lock();
    const std::size_t seen = *held;
    if (yielding) co_await runtime::yield_now();
    *held = seen + 1;
  }
}

/// Something that never happens and keeps no record of who waits for it.
class Never final : public runtime::task::Waiter {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
    suspend(awaiting);
  }
  void await_resume() const noexcept {}
  [[nodiscard]] bool ready(bool) noexcept override { return false; }
  void describe(runtime::observe::Wait&) const noexcept override {}
};

Task<void> park(std::atomic<std::size_t>& parked) {
  ++parked;
  co_await Never();
}

/// What the tasks of idle_wait share.
struct Event {
  explicit Event(std::size_t tasks) : left(tasks) {}
  sync::Notify happened, all_gone;
  std::atomic<std::size_t> parked{0};
  std::atomic<std::size_t> left;
};

Task<void> wait_for(Event& event) {
  ++event.parked;
  co_await event.happened.notified();
  if (--event.left == 0) event.all_gone.notify_one();
}

Task<void> until_parked(std::atomic<std::size_t>& parked, std::size_t tasks) {
  while (parked < tasks) co_await runtime::time::sleep(1ms);
}

}  // namespace

Root spawn_join(std::size_t tasks, std::size_t batch) {
  const Interval interval;
  std::vector<JoinHandle<std::uint64_t>> handles;
  handles.reserve(batch);
  std::uint64_t sum = 0;
  for (std::size_t first = 0; first < tasks; first += batch) {
    const std::size_t last = std::min(tasks, first + batch);
    for (std::size_t i = first; i < last; ++i) handles.push_back(runtime::spawn(number(i)));
    for (auto& handle : handles) {
      const std::uint64_t value = co_await std::move(handle);
      sum += value;
    }
    handles.clear();
  }
  Metrics metrics;
  metrics.push_back(interval.per_operation("ns_per_task", tasks));
  must(sum == sum_below(tasks), "wrong sum");
  metrics.push_back(peak_resident(tasks));
  co_return metrics;
}

Root yield_often(std::size_t tasks, std::size_t times) {
  const Interval interval;
  std::vector<JoinHandle<void>> handles;
  for (std::size_t i = 0; i < tasks; ++i) handles.push_back(runtime::spawn(yield_times(times)));
  co_await join_all(std::move(handles));
  Metrics metrics;
  metrics.push_back(interval.per_operation("ns_per_yield", tasks * times));
  co_return metrics;
}

Root ping_pong(std::size_t round_trips) {
  const Interval interval;
  auto [to_pong, at_pong] = sync::mpsc::channel<std::uint64_t>(1);
  auto [to_ping, at_ping] = sync::mpsc::channel<std::uint64_t>(1);
  auto ponging = runtime::spawn(pong(std::move(at_pong), std::move(to_ping)));
  auto pinging = runtime::spawn(ping(round_trips, std::move(to_pong), std::move(at_ping)));
  const std::uint64_t last = co_await std::move(pinging);
  co_await std::move(ponging);
  Metrics metrics;
  metrics.push_back(interval.per_operation("ns_per_round_trip", round_trips));
  must(last == round_trips, "a message was lost");
  co_return metrics;
}

Root chain(std::size_t links) {
  const Interval interval;
  auto [done, wait] = sync::oneshot::channel<bool>();
  runtime::spawn(link(links - 1, std::move(done))).detach();
  const auto ended = co_await wait.recv();
  Metrics metrics;
  metrics.push_back(interval.per_operation("ns_per_spawn", links));
  must(ended.has_value(), "the chain broke");
  co_return metrics;
}

Root mpsc(std::size_t producers, std::size_t each) {
  const std::size_t messages = producers * each;
  const Interval interval;
  auto [send, receive] = sync::mpsc::channel<std::uint64_t>(1024);
  for (std::size_t i = 0; i < producers; ++i) runtime::spawn(produce(each, send)).detach();
  {
    const Sender dropped = std::move(send);
  }
  auto consuming = runtime::spawn(consume(std::move(receive)));
  const Total total = co_await std::move(consuming);
  Metrics metrics;
  metrics.push_back(interval.per_operation("ns_per_message", messages));
  must(total.count == messages && total.sum == producers * sum_below(each), "a message was lost");
  co_return metrics;
}

Root mutex(std::size_t tasks, std::size_t times, bool yielding) {
  const Interval interval;
  Counter counter;
  std::vector<JoinHandle<void>> handles;
  for (std::size_t i = 0; i < tasks; ++i) {
    handles.push_back(runtime::spawn(lock_often(times, counter, yielding)));
  }
  co_await join_all(std::move(handles));
  Metrics metrics;
  metrics.push_back(interval.per_operation("ns_per_lock", tasks * times));
  auto held = co_await counter.lock();
  must(*held == tasks * times, "an update was lost");
  co_return metrics;
}

Root idle(std::size_t tasks) {
  static std::atomic<std::size_t> parked;  // the tasks stay until the process ends
  parked = 0;
  const double before = resident_bytes();
  const Interval interval;
  for (std::size_t i = 0; i < tasks; ++i) runtime::spawn(park(parked)).detach();
  co_await until_parked(parked, tasks);
  Metric time = interval.per_operation("ns_per_spawn", tasks);
  co_await runtime::time::sleep(50ms);
  Metrics metrics;
  metrics.push_back(bytes_each("bytes_per_task", tasks, before));
  metrics.push_back(std::move(time));
  co_return metrics;
}

Root idle_wait(std::size_t tasks) {
  Event event(tasks);
  const double before = resident_bytes();
  const Interval spawning;
  for (std::size_t i = 0; i < tasks; ++i) runtime::spawn(wait_for(event)).detach();
  co_await until_parked(event.parked, tasks);
  Metric time = spawning.per_operation("ns_per_spawn", tasks);
  co_await runtime::time::sleep(50ms);
  Metrics metrics;
  metrics.push_back(bytes_each("bytes_per_task", tasks, before));
  metrics.push_back(std::move(time));

  const Interval releasing;
  event.happened.notify_waiters();
  co_await event.all_gone.notified();
  metrics.push_back(releasing.per_operation("ns_per_release", tasks));
  co_return metrics;
}

Root blocking(std::size_t calls) {
  const Interval interval;
  std::vector<JoinHandle<std::uint64_t>> handles;
  for (std::uint64_t i = 0; i < calls; ++i) {
    handles.push_back(runtime::spawn_blocking([i] { return i; }));
  }
  std::uint64_t sum = 0;
  for (auto& handle : handles) {
    const std::uint64_t value = co_await std::move(handle);
    sum += value;
  }
  Metrics metrics;
  metrics.push_back(interval.per_operation("ns_per_call", calls));
  must(sum == sum_below(calls), "wrong sum");
  co_return metrics;
}

Root blocking_in_turn(std::size_t calls) {
  const Interval interval;
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < calls; ++i) {
    auto handle = runtime::spawn_blocking([i] { return i; });
    const std::uint64_t value = co_await std::move(handle);
    sum += value;
  }
  Metrics metrics;
  metrics.push_back(interval.per_operation("ns_per_call", calls));
  must(sum == sum_below(calls), "wrong sum");
  co_return metrics;
}

}  // namespace taskscope::bench
