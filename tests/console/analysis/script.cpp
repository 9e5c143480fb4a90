#include "taskscope/tests/console/analysis/script.h"

#include <algorithm>

#include "taskscope/tests/support/synthetic_session.h"

namespace taskscope::tests {
namespace {

using namespace protocol;

template <class Enum>
std::uint8_t byte(Enum value) {
  return static_cast<std::uint8_t>(value);
}

Event event_at(std::uint64_t at, EventKind kind, std::uint64_t task, std::uint8_t detail = 0) {
  Event event;
  event.ticks = at;
  event.kind = kind;
  event.task = task;
  event.detail = detail;
  return event;
}

ResourceKind kind_of(WaitOp op) {
  switch (op) {
    case WaitOp::Lock:
      return ResourceKind::Mutex;
    case WaitOp::Acquire:
      return ResourceKind::Semaphore;
    case WaitOp::Send:
    case WaitOp::Recv:
      return ResourceKind::Mpsc;
    case WaitOp::Join:
      return ResourceKind::Join;
    case WaitOp::Sleep:
      return ResourceKind::Timer;
    case WaitOp::Readable:
      return ResourceKind::Io;
    case WaitOp::Blocking:
      return ResourceKind::Blocking;
    case WaitOp::Notified:
      return ResourceKind::Notify;
    default:
      return ResourceKind::Waker;
  }
}

}  // namespace

void Script::put(std::uint32_t worker, const Event& event) {
  auto& ring = rings_[worker];
  if (ring.empty()) ring.push_back(event_at(kBegin, EventKind::ObservedFrom, 0));
  ring.push_back(event);
}

void Script::spawn(std::uint32_t worker, std::uint64_t at, std::uint64_t task, std::uint32_t site,
                   std::uint64_t parent, std::uint32_t frame_bytes, TaskKind kind) {
  Event event = event_at(at, EventKind::TaskSpawned, task, byte(kind));
  event.other = parent;
  event.site = site;
  event.extra = frame_bytes;
  put(worker, event);
}

void Script::start(std::uint32_t worker, std::uint64_t at, std::uint64_t task) {
  put(worker, event_at(at, EventKind::PollStarted, task));
}

void Script::end(std::uint32_t worker, std::uint64_t at, std::uint64_t task, PollEnd how) {
  put(worker, event_at(at, EventKind::PollEnded, task, byte(how)));
}

void Script::wait(std::uint32_t worker, std::uint64_t at, std::uint64_t task, WaitOp op,
                  std::uint64_t other, std::uint64_t value, std::uint32_t site,
                  std::uint16_t branch) {
  Event event = event_at(at, EventKind::Wait, task, byte(op));
  event.resource_kind = byte(kind_of(op));
  event.other = other;
  event.value = value;
  event.site = site;
  event.branch = branch;
  put(worker, event);
}

void Script::wake(std::uint32_t worker, std::uint64_t at, std::uint64_t task, WakeCause cause,
                  std::uint64_t by, std::uint64_t value) {
  Event event = event_at(at, EventKind::Woken, task, byte(cause));
  event.other = by;
  event.value = value;
  put(worker, event);
}

void Script::finish(std::uint32_t worker, std::uint64_t at, std::uint64_t task) {
  put(worker, event_at(at, EventKind::TaskFinished, task, byte(Outcome::Done)));
}

void Script::acquire(std::uint32_t worker, std::uint64_t at, std::uint64_t task,
                     std::uint64_t resource, ResourceKind kind, bool certain) {
  Event event = event_at(at, EventKind::ResourceAcquired, task, certain ? 1 : 0);
  event.other = resource;
  event.resource_kind = byte(kind);
  event.extra = 1;
  put(worker, event);
}

void Script::lose(std::uint32_t worker, std::uint64_t from, std::uint64_t to) {
  Loss loss;
  loss.producer = worker;
  loss.events = 1;
  loss.from_ticks = from;
  loss.to_ticks = to;
  add(to, loss);
}

void Script::snapshot(std::uint64_t at, std::vector<TaskSnapshot> tasks,
                      std::vector<ResourceSnapshot> resources) {
  Snapshot walk;
  walk.id = ++snapshots_;
  walk.begin_ticks = at;
  walk.last = true;
  walk.has_waits = true;
  for (auto& task : tasks) task.ticks = at;
  for (auto& resource : resources) resource.ticks = at;
  walk.tasks = std::move(tasks);
  walk.resources = std::move(resources);
  add(at, std::move(walk));
}

void Script::sample(std::uint64_t at, std::uint32_t worker, std::uint64_t task,
                    std::uint64_t sequence, std::uint64_t unscheduled_ns) {
  Samples samples;
  samples.ticks = at;
  WorkerSample one;
  one.worker = worker;
  one.runtime = 1;
  one.current_task = task;
  one.poll_sequence = sequence;
  one.unscheduled_ns = unscheduled_ns;
  samples.workers.push_back(one);
  add(at, std::move(samples));
}

std::vector<Update> Script::updates(std::uint64_t until) const {
  constexpr std::size_t kChunk = 64;
  std::multimap<std::uint64_t, Update> stream;
  for (const auto& [worker, ring] : rings_) {
    for (std::size_t i = 0; i < ring.size();) {
      Events run;
      run.ring = run.worker = worker;
      run.thread_name = "worker-" + std::to_string(worker);
      // As a collector does: what a ring holds is sent soon.
      const auto soon = std::min(until, ring[i].ticks + 50 * kMs);
      for (; i < ring.size() && run.events.size() < kChunk && ring[i].ticks <= soon; ++i)
        run.events.push_back(ring[i]);
      if (run.events.empty()) break;
      const auto at = run.events.back().ticks;
      stream.emplace(at, std::move(run));
    }
  }
  for (const auto& [at, update] : others_)
    if (at <= until) stream.emplace(at, update);
  Process process;
  process.name = "script";
  std::vector<Site> sites;
  for (std::uint32_t i = 1; i < 10; ++i) sites.push_back({i, "/src/site.cpp", "f()", i, 1});
  const auto clock = [](std::uint64_t at) {
    return ClockPoint{at, at, 1'700'000'000'000'000'000 + at};
  };
  std::vector<Update> updates{process, std::move(sites), clock(kBegin)};
  for (auto& [at, update] : stream) updates.push_back(std::move(update));
  updates.push_back(clock(until));
  return updates;
}

std::unique_ptr<console::session::Session> Script::session(std::uint64_t until) const {
  auto session =
      std::make_unique<console::session::Session>(scripted_source(updates(until), false));
  session->pump_to_end(std::chrono::hours(1));
  return session;
}

}  // namespace taskscope::tests
