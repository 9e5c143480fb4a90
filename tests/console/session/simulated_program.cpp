#include "taskscope/tests/console/session/simulated_program.h"

#include <algorithm>
#include <random>

namespace taskscope::tests {
namespace {

using protocol::Event;
using protocol::EventKind;
using protocol::TaskState;

constexpr std::uint32_t kSites = 12;
constexpr std::uint64_t kPassNs = 10'000'000;

Event make(EventKind kind, std::uint64_t ticks, std::uint64_t task) {
  Event event;
  event.kind = kind;
  event.ticks = ticks;
  event.task = task;
  return event;
}

}  // namespace

SimulatedProgram::SimulatedProgram(const SimulationOptions& options) {
  simulate(options);
  package(options);
}

void SimulatedProgram::simulate(const SimulationOptions& options) {
  std::mt19937_64 random(options.seed);
  const auto up_to = [&](std::uint64_t limit) {
    return random() % std::max<std::uint64_t>(1, limit);
  };
  rings_.resize(options.workers + 1);
  for (std::uint32_t i = 0; i < options.workers; ++i) {
    rings_[i].worker = i + 1;
    rings_[i].events.push_back(make(EventKind::ObservedFrom, kBegin, 0));
  }
  Ring& foreign = rings_.back();
  std::uint64_t next_id = 1;
  std::vector<std::uint64_t> living;

  const auto spawn = [&](Ring& ring, std::uint64_t at, std::uint64_t parent) {
    SimulatedTask task;
    task.id = next_id++;
    task.parent = parent;
    task.site = 1 + static_cast<std::uint32_t>(up_to(kSites));
    task.spawned = task.since = task.wake = at;
    auto event = make(EventKind::TaskSpawned, at, task.id);
    event.other = parent;
    event.site = task.site;
    event.extra = 160;
    ring.events.push_back(event);
    living.push_back(task.id);
    tasks[task.id] = task;
    ++spawned;
  };
  const auto wake = [&](Ring& ring, std::uint64_t at, SimulatedTask& task, std::uint64_t by) {
    auto event = make(EventKind::Woken, at, task.id);
    event.other = by;
    event.detail = static_cast<std::uint8_t>(by != 0 ? protocol::WakeCause::Task
                                                     : protocol::WakeCause::Thread);
    ring.events.push_back(event);
    ++wakes;
    ++task.wakes;
    if (by == task.id) ++task.self_wakes;
    if (task.state == TaskState::Idle) {
      task.state = TaskState::Scheduled;
      task.since = task.wake = at;
    }
  };
  const auto any_idle = [&](std::uint64_t at) -> SimulatedTask* {
    for (int i = 0; i < 8 && !living.empty(); ++i) {
      auto& task = tasks[living[up_to(living.size())]];
      if (task.state == TaskState::Idle && task.since < at) return &task;
    }
    return nullptr;
  };

  for (std::size_t i = 0; i < options.tasks; ++i) spawn(rings_[0], kBegin + i, 0);
  rings_[0].now = kBegin + options.tasks;
  while (polls < options.polls) {
    auto& ring = *std::min_element(rings_.begin(), rings_.end() - 1,
                                   [](const Ring& a, const Ring& b) { return a.now < b.now; });
    const auto now = ring.now;
    SimulatedTask* chosen = nullptr;
    for (int i = 0; i < 16 && chosen == nullptr && !living.empty(); ++i) {
      auto& task = tasks[living[up_to(living.size())]];
      if (task.state == TaskState::Scheduled && task.wake <= now && task.since <= now)
        chosen = &task;
    }
    if (chosen == nullptr) {  // the worker sleeps; somebody outside wakes a task
      const auto later = now + 1 + up_to(options.poll_ns);
      ring.events.push_back(make(EventKind::WorkerParked, now, 0));
      ring.events.push_back(make(EventKind::WorkerUnparked, later, 0));
      ring.now = later + 1;
      const auto at = std::max(foreign.now, now);
      if (auto* idle = any_idle(at)) {
        wake(foreign, at, *idle, 0);
        foreign.now = at;
      }
      continue;
    }
    SimulatedTask& task = *chosen;
    const auto id = task.id;
    const auto from = now + 1, to = from + 1 + up_to(options.poll_ns);
    ring.events.push_back(make(EventKind::PollStarted, from, id));
    task.scheduled += from - std::max(task.wake, task.last_end);
    task.wake = 0;
    task.state = TaskState::Running;
    bool woken = false;
    std::uint64_t at = from;
    for (auto actions = up_to(3); actions > 0; --actions) {
      at += up_to((to - at) / 2);
      const auto what = up_to(10);
      if (what == 0 && living.size() < 2 * options.tasks) {
        spawn(ring, at, id);
      } else if (what == 1) {
        wake(ring, at, tasks[id], id);
        woken = true;
      } else if (auto* idle = any_idle(at)) {
        wake(ring, at, *idle, id);
      }
    }
    SimulatedTask& self = tasks[id];
    ++polls;
    ++self.polls;
    self.busy += to - from;
    self.longest = std::max(self.longest, to - from);
    self.last_end = to;
    self.since = to;
    auto ended = make(EventKind::PollEnded, to, id);
    const auto how = up_to(20);
    if (how == 0 && living.size() > options.tasks / 2) {
      ended.detail = static_cast<std::uint8_t>(protocol::PollEnd::Ready);
      ring.events.push_back(ended);
      auto finish = make(EventKind::TaskFinished, to, id);
      finish.site = self.site;
      ring.events.push_back(finish);
      self.state = TaskState::Finished;
      self.finished = to;
      std::erase(living, id);
      ++finished;
    } else if (how < 4) {
      ended.detail = static_cast<std::uint8_t>(protocol::PollEnd::Yielded);
      ring.events.push_back(ended);
      self.state = TaskState::Scheduled;
      self.wake = to;
    } else {
      ended.detail = static_cast<std::uint8_t>(protocol::PollEnd::Pending);
      ring.events.push_back(ended);
      auto wait = make(EventKind::Wait, to, id);
      wait.detail = static_cast<std::uint8_t>(protocol::WaitOp::Lock);
      wait.resource_kind = static_cast<std::uint8_t>(protocol::ResourceKind::Mutex);
      wait.site = self.wait_site = 100 + static_cast<std::uint32_t>(up_to(kSites));
      wait.other = 1000 + up_to(5);
      ring.events.push_back(wait);
      self.state = woken ? TaskState::Scheduled : TaskState::Idle;
      self.wake = woken ? to : 0;
    }
    ring.now = to + up_to(500);
    end = std::max(end, to);
  }
}

void SimulatedProgram::package(const SimulationOptions& options) {
  std::mt19937_64 random(options.seed + 1);
  protocol::Process process;
  process.pid = 4711;
  process.name = "simulated";
  process.ticks_are_tsc = false;
  updates.push_back(process);
  std::vector<protocol::Site> sites;
  for (std::uint32_t i = 1; i <= kSites; ++i)
    for (const auto id : {i, 99 + i})
      sites.push_back({id, "program.cpp", "function_" + std::to_string(id), id, 1});
  updates.push_back(sites);
  std::vector<std::size_t> next(rings_.size());
  std::uint64_t next_second = kBegin;
  for (std::uint64_t pass = kBegin; pass <= end + 2 * kPassNs; pass += kPassNs) {
    if (pass >= next_second) {
      updates.push_back(protocol::ClockPoint{pass, pass, pass + 1'000'000'000'000});
      next_second += 1'000'000'000;
    }
    std::uint64_t drained_until = pass;
    for (std::size_t i = 0; i < rings_.size(); ++i) {
      drained_until += random() % 1'000'000;  // rings are drained one after the other
      protocol::Events run;
      run.ring = i + 1;
      run.worker = rings_[i].worker;
      run.tid = static_cast<std::int32_t>(5000 + i);
      run.thread_name =
          rings_[i].worker != 0 ? "worker " + std::to_string(rings_[i].worker) : "main";
      const auto& events = rings_[i].events;
      while (next[i] < events.size() && events[next[i]].ticks < drained_until)
        run.events.push_back(events[next[i]++]);
      if (!run.events.empty()) updates.push_back(std::move(run));
    }
  }
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    protocol::Events run;
    run.ring = i + 1;
    run.worker = rings_[i].worker;
    run.events.assign(rings_[i].events.begin() + static_cast<std::ptrdiff_t>(next[i]),
                      rings_[i].events.end());
    if (!run.events.empty()) updates.push_back(std::move(run));
  }
  updates.push_back(protocol::ClockPoint{end + 3 * kPassNs, end + 3 * kPassNs,
                                         end + 3 * kPassNs + 1'000'000'000'000});
  if (options.goodbye) updates.push_back(protocol::Goodbye{"the program ended"});
}

}  // namespace taskscope::tests
