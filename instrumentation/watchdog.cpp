#include "taskscope/instrumentation/watchdog.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "taskscope/instrumentation/threads.h"
#include "taskscope/protocol/codec.h"
#include "taskscope/runtime/observe/ticks.h"

namespace taskscope::instrumentation {

using runtime::observe::number;
using std::chrono::milliseconds;

namespace {

constexpr double kReadingsPerSecond = 100, kReadingsAtOnce = 64;
/// Polls of one worker that block shortly after each other are not all read.
constexpr milliseconds kBetweenPolls{50};
constexpr std::chrono::seconds kForgetAfter{10};  // what a worker did
/// From one reading of a poll to the next.
constexpr milliseconds kPauses[] = {milliseconds(100), milliseconds(900), milliseconds(5000)};

std::uint64_t ticks_now() { return static_cast<std::uint64_t>(runtime::observe::read_ticks()); }

}  // namespace

bool Watchdog::start() {
  thread_ = start_thread("taskscope-watch", [this] { run(); });
  return thread_.joinable();
}

void Watchdog::finish() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::watch(bool is_watched) {
  {
    const std::lock_guard lock(mutex_);
    is_watched_ = is_watched;
  }
  changed_.notify_all();
}

void Watchdog::greet(ConsumerId consumer) {
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back(consumer);
  }
  changed_.notify_all();
}

void Watchdog::run() {
  while (true) {
    std::vector<ConsumerId> arrivals;
    {
      std::unique_lock lock(mutex_);
      const auto has_news = [this] { return is_stopping_ || !arrivals_.empty(); };
      if (is_watched_)
        changed_.wait_until(lock, last_look_ + threshold_,
                            [&] { return has_news() || !is_watched_; });
      else
        changed_.wait(lock, [&] { return has_news() || is_watched_; });
      if (is_stopping_) return;
      arrivals = std::exchange(arrivals_, {});
      if (!is_watched_ && arrivals.empty()) continue;
    }
    for (const ConsumerId consumer : arrivals) introduce(consumer);
    if (Clock::now() - last_look_ >= threshold_) look();
  }
}

void Watchdog::introduce(ConsumerId consumer) {
  if (!stacks_.code().all().empty())
    server_->publish(
        [&](std::uint64_t sequence) { return protocol::encode(stacks_.code().all(), sequence); },
        {.is_reliable = true}, consumer);
  for (const auto& [id, worker] : workers_)
    if (worker.poll.stack && is_still_in(id, worker.poll)) publish(*worker.poll.stack, consumer);
}

void Watchdog::look() {
  const auto now = Clock::now();
  if (last_look_ != Clock::time_point{})
    tokens_ += std::chrono::duration<double>(now - last_look_).count() * kReadingsPerSecond;
  else
    tokens_ = kReadingsAtOnce;
  tokens_ = std::min(tokens_, kReadingsAtOnce);
  last_look_ = now;

  struct Visitor final : runtime::observe::WorkerVisitor {
    void visit(const runtime::observe::WorkerView& view) override {
      if (view.current != runtime::observe::TaskId::None) views.push_back(view);
    }
    std::vector<runtime::observe::WorkerView> views;
  } busy;
  for (auto* const inspector : inspectors_->all())
    inspectors_->with(inspector, [&](auto& i) { i.visit_workers(busy); });

  const std::uint64_t ticks = ticks_now();
  for (const auto& view : busy.views) {
    if (view.tid == 0) continue;
    Worker& worker = workers_[number(view.worker)];
    worker.seen = now;
    worker.tid = view.tid;
    Poll& poll = worker.poll;
    if (poll.sequence != view.poll_sequence || poll.task != number(view.current)) {
      poll = {.task = number(view.current),
              .sequence = view.poll_sequence,
              .since_ticks = ticks,
              .next_reading = std::max(now + threshold_, worker.last_reading + kBetweenPolls)};
      continue;
    }
    if (now < poll.next_reading || tokens_ < 1) continue;
    // Who has only computed since it was last looked at may be sent a signal.
    const std::uint64_t waits = std::exchange(poll.waits, ThreadStacks::waits(view.tid));
    tokens_ -= 1;
    worker.last_reading = now;
    read(number(view.worker), worker, waits);
  }
  std::erase_if(workers_,
                [&](const auto& entry) { return now - entry.second.seen > kForgetAfter; });
}

bool Watchdog::is_still_in(std::uint32_t worker, const Poll& poll) {
  struct Visitor final : runtime::observe::WorkerVisitor {
    Visitor(std::uint32_t number_of_worker, const Poll& wanted)
        : worker(number_of_worker), poll(&wanted) {}
    void visit(const runtime::observe::WorkerView& view) override {
      if (number(view.worker) == worker)
        is_in = number(view.current) == poll->task && view.poll_sequence == poll->sequence;
    }
    std::uint32_t worker;
    const Poll* poll;
    bool is_in = false;
  } visitor(worker, poll);
  for (auto* const inspector : inspectors_->all())
    inspectors_->with(inspector, [&](auto& i) { i.visit_workers(visitor); });
  return visitor.is_in;
}

void Watchdog::read(std::uint32_t id, Worker& worker, std::uint64_t waits) {
  Poll& poll = worker.poll;
  const std::uint64_t sent = ThreadStacks::signals_sent();
  const std::uint64_t ticks = ticks_now();
  ThreadStack stack = stacks_.read(worker.tid, waits == 0 ? 0 : kMaxSignals - poll.signals, waits);
  poll.signals += static_cast<int>(ThreadStacks::signals_sent() - sent);
  if (waits == 0 && stack.callers.frames.empty()) return;  // it runs: at the next look
  if (stack.callers.frames.empty()) {
    poll.next_reading = Clock::now() + threshold_ * (2 << std::min(poll.failures++, 8));
  } else {
    const auto last = std::size(kPauses) - 1;
    poll.next_reading = Clock::now() + kPauses[std::min(poll.readings++, last)];
  }
  // A worker never comes back to a poll: the stack was that of this one all the time.
  if (!is_still_in(id, poll)) return;

  protocol::NativeStack report{.ticks = ticks,
                               .since_ticks = poll.since_ticks,
                               .task = poll.task,
                               .worker = id,
                               .tid = worker.tid,
                               .poll_sequence = poll.sequence,
                               .in_kernel = stack.in_kernel,
                               .system_call = std::move(stack.system_call),
                               .frames = std::move(stack.callers.frames),
                               .cut = stack.callers.is_cut,
                               .problem = std::move(stack.problem)};
  // What was seen before still stands when there is nothing better.
  if (poll.stack && report.frames.empty()) return;
  if (poll.stack && poll.stack->frames == report.frames &&
      poll.stack->in_kernel == report.in_kernel)
    return;
  if (const auto fresh = stacks_.code().take_new(); !fresh.empty())
    server_->publish([&](std::uint64_t sequence) { return protocol::encode(fresh, sequence); },
                     {.is_reliable = true});
  poll.stack = std::move(report);
  publish(*poll.stack, ConsumerId::Everybody);
}

void Watchdog::publish(const protocol::NativeStack& stack, ConsumerId audience) {
  server_->publish([&](std::uint64_t sequence) { return protocol::encode(stack, sequence); },
                   {.first_ticks = stack.ticks, .last_ticks = stack.ticks}, audience);
}

}  // namespace taskscope::instrumentation
