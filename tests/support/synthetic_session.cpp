#include "taskscope/tests/support/synthetic_session.h"

#include <algorithm>
#include <map>
#include <queue>
#include <random>
#include <thread>

namespace taskscope::tests {
namespace {

using namespace protocol;
using namespace synthetic;

constexpr std::uint64_t kBegin = 1'000'000'000;
// Awaits.
constexpr std::uint32_t kReadAwait = 10, kLockAwait = 11, kSleepAwait = 12, kRecvAwait = 13,
                        kAcceptAwait = 14, kServeAwait = 15, kSelectAwait = 16;

std::vector<Site> sites() {
  const std::string at = "/home/ada/redis/src/";
  return {
      {kAcceptSite, at + "main.cpp", "redis::Server redis::start(const Options&)", 61, 9},
      {kConnectionSite, at + "server.cpp",
       "runtime::Task<void> redis::Server::accept_loop(net::TcpListener&)", 112, 5},
      {kExpireSite, at + "server.cpp", "redis::Server redis::start(const Options&)", 64, 9},
      {kSnapshotSite, at + "snapshot.cpp", "void redis::schedule_snapshot(Store&)", 38, 3},
      {kMetricsSite, at + "metrics.cpp", "void redis::start_metrics()", 22, 3},
      {kIdleSite, at + "idle.cpp", "runtime::Task<void> redis::park_many(int)", 17, 5},
      {kReadAwait, at + "connection.cpp", "runtime::Task<bool> redis::Connection::fill()", 57, 28},
      {kLockAwait, at + "store.cpp", "runtime::Task<Value> redis::Store::get(Key)", 23, 20},
      {kSleepAwait, at + "expiry.cpp", "runtime::Task<void> redis::expire_keys(Store&)", 19, 14},
      {kRecvAwait, at + "metrics.cpp", "runtime::Task<void> redis::collect(Receiver<Sample>)", 41,
       25},
      {kAcceptAwait, at + "server.cpp",
       "runtime::Task<void> redis::Server::accept_loop(net::TcpListener&)", 98, 30},
      {kServeAwait, at + "connection.cpp", "runtime::Task<void> redis::Connection::serve()", 31,
       11},
      {kSelectAwait, at + "server.cpp",
       "runtime::Task<void> redis::Server::accept_loop(net::TcpListener&)", 96, 20},
  };
}

struct SimTask {
  std::uint64_t id = 0;
  std::uint32_t site = 0;
  std::uint64_t poll_ns = 10'000, rest_ns = 1'000'000;
  WaitOp op = WaitOp::Readable;
  ResourceKind kind = ResourceKind::Io;
  std::uint32_t await_site = kReadAwait;
  std::uint64_t other = 0, value = 7;
  int polls_left = -1;  // -1: for good
  std::uint32_t polls = 0;
};

struct Ring {
  std::vector<Event> events;
  std::uint64_t free_at = kBegin, busy = 0, polls = 0, parks = 0, steals = 0;
  std::uint64_t parked_since = 0;
};

class Simulation {
 public:
  explicit Simulation(const SyntheticOptions& options)
      : options_(options), rings_(options.workers), random_(7) {}

  std::vector<Update> run() {
    const std::uint64_t end = kBegin + options_.length_ns;
    Process process;
    process.pid = 4242;
    process.name = "taskscope-redis";
    process.command_line = "taskscope-redis --port 7379";
    process.executable = "/usr/bin/taskscope-redis";
    process.host = "lovelace";
    process.wall_ns = 1'760'000'000'000'000'000;
    updates_.emplace_back(process);
    updates_.emplace_back(sites());
    updates_.emplace_back(ClockPoint{kBegin, kBegin, process.wall_ns});
    add_tasks();
    for (std::uint32_t w = 0; w < options_.workers; ++w) {
      push(w, {.kind = EventKind::ObservedFrom, .ticks = kBegin});
    }
    for (const auto& [id, task] : tasks_) {
      push(0, spawned(task, kBegin + id * 200));
      ready_.push({kBegin + 50'000 + id * 3'000, id, 0});
    }
    push(0, resource(kStoreMutex, ResourceKind::Mutex, kLockAwait, "Mutex", "store"));
    push(0, resource(kJobs, ResourceKind::Mpsc, kRecvAwait, "mpsc::channel", "samples"));
    rings_[0].free_at = kBegin + 60'000;

    std::uint64_t flushed = kBegin;
    while (!ready_.empty() && ready_.top().at < end) {
      if (!walked_ && flushed > end - 500'000'000) add_snapshot(flushed);
      while (ready_.top().at > flushed + 50'000'000) flush(flushed += 50'000'000);
      const Ready next = ready_.top();
      ready_.pop();
      poll(next, end);
    }
    add_snapshot(flushed);
    while (flushed < end) flush(flushed += 50'000'000);
    return std::move(updates_);
  }

 private:
  struct Ready {
    std::uint64_t at = 0, task = 0, by = 0;
    bool operator<(const Ready& other) const {
      return at != other.at ? at > other.at : task > other.task;
    }
  };

  static Event spawned(const SimTask& task, std::uint64_t at) {
    return {.kind = EventKind::TaskSpawned,
            .site = task.site,
            .text = 0,
            .extra = 640,
            .ticks = at,
            .task = task.id,
            .other = task.site == kConnectionSite ? kAcceptTask : 0};
  }
  static Event resource(std::uint64_t id, ResourceKind kind, std::uint32_t site,
                        const char* /*type*/, const char* /*name*/) {
    return {.kind = EventKind::ResourceRegistered,
            .resource_kind = static_cast<std::uint8_t>(kind),
            .site = site,
            .ticks = kBegin + 5'000 + id,
            .other = id};
  }

  void push(std::uint32_t worker, const Event& event) { rings_[worker].events.push_back(event); }

  std::uint64_t about(std::uint64_t length) {
    // Log-normal: most are short, a few are long.
    std::lognormal_distribution<double> spread(0, 0.6);
    return std::max<std::uint64_t>(
        500, static_cast<std::uint64_t>(static_cast<double>(length) * spread(random_)));
  }

  void add_tasks() {
    tasks_[kAcceptTask] = {.id = kAcceptTask,
                           .site = kAcceptSite,
                           .poll_ns = 14'000,
                           .rest_ns = 40'000'000,
                           .op = WaitOp::Accept,
                           .await_site = kAcceptAwait,
                           .value = 5};
    tasks_[kExpireTask] = {.id = kExpireTask,
                           .site = kExpireSite,
                           .poll_ns = 120'000,
                           .rest_ns = 100'000'000,
                           .op = WaitOp::Sleep,
                           .kind = ResourceKind::Timer,
                           .await_site = kSleepAwait};
    tasks_[kSnapshotTask] = {.id = kSnapshotTask,
                             .site = kSnapshotSite,
                             .poll_ns = 2'000'000,
                             .rest_ns = 600'000'000,
                             .op = WaitOp::Sleep,
                             .kind = ResourceKind::Timer,
                             .await_site = kSleepAwait};
    tasks_[kMetricsTask] = {.id = kMetricsTask,
                            .site = kMetricsSite,
                            .poll_ns = 8'000,
                            .rest_ns = 3'000'000,
                            .op = WaitOp::Recv,
                            .kind = ResourceKind::Mpsc,
                            .await_site = kRecvAwait,
                            .other = kJobs};
    for (std::uint32_t i = 0; i < options_.connections; ++i) {
      const std::uint64_t id = kFirstConnection + i;
      const bool locks = i % 5 == 0;
      tasks_[id] = {.id = id,
                    .site = kConnectionSite,
                    .poll_ns = 18'000,
                    .rest_ns = 900'000 + i * 40'000,
                    .op = locks ? WaitOp::Lock : WaitOp::Readable,
                    .kind = locks ? ResourceKind::Mutex : ResourceKind::Io,
                    .await_site = locks ? kLockAwait : kReadAwait,
                    .other = locks ? kStoreMutex : 0,
                    .value = locks ? 0 : 8 + i,
                    .polls_left = i % 7 == 3 ? 400 : -1};
    }
  }

  void poll(const Ready& next, std::uint64_t end) {
    SimTask& task = tasks_[next.task];
    // The worker that is free first takes it.
    std::uint32_t worker = 0;
    for (std::uint32_t w = 1; w < options_.workers; ++w) {
      if (rings_[w].free_at < rings_[worker].free_at) worker = w;
    }
    Ring& ring = rings_[worker];
    std::uint64_t from = std::max(next.at + 2'000 + random_() % 6'000, ring.free_at + 300);
    std::uint64_t length = about(task.poll_ns);
    if (task.id == kSnapshotTask && !had_long_poll_ && next.at > kBegin + options_.length_ns / 2) {
      length = kLongPollNs;
      had_long_poll_ = true;
    }
    if (from + length >= end) return;
    if (from > ring.free_at + 20'000) {
      push(worker, {.kind = EventKind::WorkerParked, .ticks = ring.free_at + 2'000});
      push(worker, {.kind = EventKind::WorkerUnparked, .ticks = from - 1'500});
      ++ring.parks;
    }
    const WakeCause cause = task.kind == ResourceKind::Io      ? WakeCause::Io
                            : task.kind == ResourceKind::Timer ? WakeCause::Timer
                                                               : WakeCause::Task;
    push(worker, {.kind = EventKind::Woken,
                  .detail = static_cast<std::uint8_t>(cause),
                  .ticks = std::max(next.at, ring.free_at + 100),
                  .task = task.id,
                  .other = cause == WakeCause::Task ? kExpireTask : 0,
                  .value = cause == WakeCause::Io ? task.value : 0});
    push(worker, {.kind = EventKind::PollStarted, .ticks = from, .task = task.id});
    const std::uint64_t to = from + length;
    const bool last = task.polls_left == 1;
    if (task.polls_left > 0) --task.polls_left;
    push(worker, {.kind = EventKind::PollEnded,
                  .detail = static_cast<std::uint8_t>(last ? PollEnd::Ready : PollEnd::Pending),
                  .ticks = to,
                  .task = task.id});
    if (last) {
      push(
          worker,
          {.kind = EventKind::TaskFinished, .site = task.site, .ticks = to + 100, .task = task.id});
    } else {
      push(worker, {.kind = EventKind::Wait,
                    .detail = static_cast<std::uint8_t>(task.op),
                    .resource_kind = static_cast<std::uint8_t>(task.kind),
                    .site = task.await_site,
                    .ticks = to,
                    .task = task.id,
                    .other = task.other,
                    .value = task.kind == ResourceKind::Timer ? to + task.rest_ns : task.value});
      // Load comes in waves, so that the picture has something to tell.
      const std::uint64_t phase = (to - kBegin) % 1'000'000'000;
      const std::uint64_t rest = phase < 350'000'000 ? task.rest_ns : task.rest_ns * 4;
      ready_.push({to + about(rest), task.id, 0});
    }
    ring.free_at = to + 200;
    ring.busy += length;
    ++ring.polls;
    ++task.polls;
  }

  /// What was recorded until `until`, one chunk for each ring, and samples.
  void flush(std::uint64_t until) {
    Samples samples;
    samples.ticks = until;
    for (std::uint32_t w = 0; w < options_.workers; ++w) {
      Ring& ring = rings_[w];
      std::sort(ring.events.begin(), ring.events.end(), [](const Event& one, const Event& other) {
        return one.ticks != other.ticks ? one.ticks < other.ticks : one.kind < other.kind;
      });
      Events chunk;
      chunk.ring = 100 + w;
      chunk.worker = w + 1;
      chunk.tid = static_cast<std::int32_t>(4243 + w);
      chunk.thread_name = "worker-" + std::to_string(w);
      chunk.texts = {"accept", "expire keys", "snapshot", "metrics"};
      auto last = ring.events.begin();
      while (last != ring.events.end() && last->ticks < until) ++last;
      chunk.events.assign(ring.events.begin(), last);
      ring.events.erase(ring.events.begin(), last);
      for (Event& event : chunk.events) {
        if (event.kind != EventKind::TaskSpawned) continue;
        if (event.task <= kMetricsTask) {
          event.text = static_cast<std::uint32_t>(event.task);
        } else {
          event.fields = static_cast<std::uint32_t>(chunk.texts.size() + 1);
          event.field_count = 2;
          chunk.texts.push_back("peer=127.0.0.1:" + std::to_string(40'000 + event.task));
          chunk.texts.push_back("db=0");
        }
      }
      lose_some(w, until, chunk);
      sent_ += chunk.events.size();
      updates_.emplace_back(std::move(chunk));
      WorkerSample sample;
      sample.worker = w + 1;
      sample.index = w;
      sample.tid = static_cast<std::int32_t>(4243 + w);
      const std::uint64_t phase = (until - kBegin) % 1'000'000'000;
      sample.queue_depth =
          static_cast<std::uint32_t>(phase < 350'000'000 ? random_() % 14 : random_() % 3);
      sample.busy_ns = ring.busy;
      sample.polls = ring.polls;
      sample.parks = ring.parks;
      sample.steals = ring.polls / 40;
      sample.timers_fired = ring.polls / 90;
      sample.late_max_ns = 310'000;
      samples.workers.push_back(sample);
    }
    RuntimeSample runtime;
    runtime.runtime = 1;
    runtime.workers = options_.workers;
    runtime.live_tasks = tasks_.size();
    samples.runtimes.push_back(runtime);
    CostSample cost;
    cost.events = sent_;
    cost.bytes = sent_ * 4;
    cost.lost_events = lost_ ? kLostEvents : 0;
    cost.collector_cpu_ns = (until - kBegin) / 70;
    cost.ring_bytes = options_.workers * 8ull << 20;
    cost.delay_ns = 12'400'000;
    samples.cost = cost;
    updates_.emplace_back(std::move(samples));
    updates_.emplace_back(ClockPoint{until, until, 1'760'000'000'000'000'000 + until - kBegin});
  }

  /// The ring of worker 2 was too small for a moment.
  void lose_some(std::uint32_t worker, std::uint64_t until, Events& chunk) {
    if (lost_ || worker != 2 || until < kBegin + options_.length_ns * 3 / 4) return;
    lost_ = true;
    const std::uint64_t from = until - 40'000'000, to = until - 15'000'000;
    std::erase_if(chunk.events,
                  [&](const Event& event) { return event.ticks >= from && event.ticks < to; });
    const auto after = std::find_if(chunk.events.begin(), chunk.events.end(),
                                    [&](const Event& event) { return event.ticks >= to; });
    chunk.events.insert(after, {.kind = EventKind::Resync, .ticks = to});
    updates_.emplace_back(Loss{.producer = chunk.ring,
                               .cause = LossCause::RingFull,
                               .events = kLostEvents,
                               .chunks = 0,
                               .from_ticks = from,
                               .to_ticks = to,
                               .spawns = 0,
                               .polls = 400,
                               .wakes = 400});
  }

  void add_snapshot(std::uint64_t end) {
    if (walked_) return;
    walked_ = true;
    Snapshot snapshot;
    snapshot.id = 1;
    snapshot.begin_ticks = end;
    snapshot.has_waits = snapshot.has_stacks = true;
    const auto io = [](std::uint32_t fd, WaitOp op, std::uint32_t site) {
      BranchState branch;
      branch.op = op;
      branch.resource_kind = ResourceKind::Io;
      branch.value = fd;
      branch.site = site;
      return branch;
    };
    for (const auto& [id, task] : tasks_) {
      if (task.polls_left == 0) continue;
      TaskSnapshot one;
      one.ticks = end;
      one.task = id;
      one.site = task.site;
      one.state = TaskState::Idle;
      one.frame_bytes = 640;
      one.has_stacks = true;
      one.polls = task.polls;
      one.parent = task.site == kConnectionSite ? kAcceptTask : 0;
      if (id == kAcceptTask) {
        one.name = "accept";
        // select: accept, or the stop signal.
        BranchState root;
        root.mode = BranchMode::Any;
        root.site = kSelectAwait;
        root.frames = {kSelectAwait};
        BranchState accept = io(5, WaitOp::Accept, kAcceptAwait);
        accept.branch = 1;
        accept.frames = {kAcceptAwait};
        BranchState stop;
        stop.branch = 2;
        stop.op = WaitOp::Notified;
        stop.resource_kind = ResourceKind::Notify;
        stop.other = 77;
        stop.site = kSelectAwait;
        one.branches = {root, accept, stop};
      } else {
        BranchState branch = io(static_cast<std::uint32_t>(task.value), task.op, task.await_site);
        branch.resource_kind = task.kind;
        branch.other = task.other;
        branch.frames = task.site == kConnectionSite
                            ? std::vector<std::uint32_t>{kServeAwait, task.await_site}
                            : std::vector<std::uint32_t>{task.await_site};
        one.branches = {branch};
      }
      if (task.site == kConnectionSite) {
        one.fields = {"peer=127.0.0.1:" + std::to_string(40'000 + id), "db=0"};
      }
      snapshot.tasks.push_back(std::move(one));
    }
    for (std::uint32_t i = 0; i < options_.idle_tasks; ++i) {
      TaskSnapshot one;
      one.ticks = end;
      one.task = 1'000'000 + i;
      one.site = kIdleSite;
      one.state = TaskState::Idle;
      one.polls = 1 + i % 100;
      one.spawned_ms = kBegin / 1'000'000 - 500;
      snapshot.tasks.push_back(std::move(one));
    }
    ResourceSnapshot mutex;
    mutex.ticks = end;
    mutex.resource = kStoreMutex;
    mutex.kind = ResourceKind::Mutex;
    mutex.concrete_type = "Mutex";
    mutex.name = "store";
    mutex.site = kLockAwait;
    mutex.waiters = options_.connections / 5;
    mutex.holders = {{.task = kExpireTask, .certain = true, .permits = 1, .role = "holds"}};
    ResourceSnapshot jobs;
    jobs.ticks = end;
    jobs.resource = kJobs;
    jobs.kind = ResourceKind::Mpsc;
    jobs.concrete_type = "mpsc::channel";
    jobs.name = "samples";
    jobs.site = kRecvAwait;
    jobs.waiters = 1;
    jobs.attributes = {{"capacity", "", 64}, {"queued", "", 3}};
    jobs.holders = {{.task = kFirstConnection, .certain = false, .permits = 1, .role = "sends"}};
    snapshot.resources = {mutex, jobs};
    snapshot.last = false;  // piece by piece; what it does not name goes on
    updates_.emplace_back(std::move(snapshot));
  }

  SyntheticOptions options_;
  std::vector<Ring> rings_;
  std::mt19937_64 random_;
  std::map<std::uint64_t, SimTask> tasks_;
  std::priority_queue<Ready> ready_;
  std::vector<Update> updates_;
  std::uint64_t sent_ = 0;
  bool had_long_poll_ = false, lost_ = false, walked_ = false;
};

class ScriptedSource final : public console::source::Source {
 public:
  ScriptedSource(std::vector<Update> updates, bool live, bool dead)
      : updates_(std::move(updates)), live_(live), dead_(dead) {
    stats_.total_bytes = live ? 0 : updates_.size() * 1000;
  }
  std::optional<console::source::Chunk> next() override {
    if (taken_ == updates_.size()) return std::nullopt;
    stats_.chunks = ++taken_;
    stats_.bytes = taken_ * 1000;
    return console::source::Chunk{updates_[taken_ - 1],
                                  {.offset = (taken_ - 1) * 1000, .bytes = 1000}};
  }
  void wait(std::chrono::milliseconds) override {}
  [[nodiscard]] console::source::SourceState state() const override {
    if (taken_ < updates_.size()) return console::source::SourceState::Open;
    if (dead_) return console::source::SourceState::Dead;
    return live_ ? console::source::SourceState::Open : console::source::SourceState::Ended;
  }
  [[nodiscard]] std::string end_reason() const override {
    return dead_ ? "process 4242 (taskscope-redis) was killed" : "the recording ends here";
  }
  [[nodiscard]] console::source::SourceStats stats() const override { return stats_; }
  [[nodiscard]] bool live() const override { return live_; }
  [[nodiscard]] std::string title() const override { return "taskscope-redis (4242)"; }
  [[nodiscard]] std::optional<Update> read(const console::source::ChunkPlace& place) override {
    const std::size_t index = place.offset / 1000;
    if (index >= updates_.size()) return std::nullopt;
    return updates_[index];
  }
  console::source::Result<console::source::Nothing> start_recording(
      const std::string& path) override {
    stats_.recording = path;
    stats_.recorded_bytes = 1'234'567;
    return console::source::Nothing{};
  }
  bool stop_recording() override {
    const bool recorded = !stats_.recording.empty();
    stats_.recording.clear();
    return recorded;
  }

 private:
  std::vector<Update> updates_;
  std::size_t taken_ = 0;
  bool live_, dead_;
  console::source::SourceStats stats_;
};

}  // namespace

std::vector<Update> synthetic_updates(const SyntheticOptions& options) {
  return Simulation(options).run();
}

std::unique_ptr<console::source::Source> scripted_source(std::vector<Update> updates, bool live,
                                                         bool dead) {
  return std::make_unique<ScriptedSource>(std::move(updates), live, dead);
}

std::unique_ptr<console::session::Session> synthetic_session(const SyntheticOptions& options) {
  auto session = std::make_unique<console::session::Session>(
      scripted_source(synthetic_updates(options), options.live, options.dead));
  while (session->pump(std::chrono::seconds(1))) {
  }
  return session;
}

}  // namespace taskscope::tests
