#include "taskscope/instrumentation/examples/gallery/curator.h"

#include <signal.h>

#include <algorithm>
#include <optional>

namespace taskscope::gallery {

namespace {

using runtime::observe::Detail;
using runtime::observe::TaskState;
using runtime::observe::TaskView;

/// True: a signal asked for the end.
bool wait_for_signal(std::optional<std::chrono::nanoseconds> time) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  for (;;) {
    const auto ns = time.value_or(std::chrono::nanoseconds(0)).count();
    const timespec limit{ns / 1'000'000'000, ns % 1'000'000'000};
    if (sigtimedwait(&ends, nullptr, time ? &limit : nullptr) >= 0) return true;
    if (errno != EINTR) return false;
  }
}

Task<Handles> spawn_named(std::string name, Tasks tasks, Site site) {
  Handles handles;
  handles.reserve(tasks.size());
  for (auto& task : tasks)
    handles.push_back(runtime::task::Builder().name(name).spawn(std::move(task), site));
  co_return handles;
}

}  // namespace

void Closing::ask() {
  {
    const std::lock_guard lock(mutex_);
    asked_.store(true, std::memory_order_relaxed);
  }
  condition_.notify_all();
}

bool Closing::doze(std::chrono::nanoseconds time) const {
  std::unique_lock lock(mutex_);
  return !condition_.wait_for(lock, time, [this] { return asked(); });
}

bool Seen::waits_on(WaitOp op, ResourceId resource) const {
  return state == TaskState::Idle &&
         std::any_of(waits.begin(), waits.end(), [&](const runtime::observe::Wait& wait) {
           return wait.op == op && wait.resource == resource && resource != ResourceId::None;
         });
}

bool Seen::waits_on(WaitOp op) const {
  return state == TaskState::Idle &&
         std::any_of(waits.begin(), waits.end(),
                     [op](const runtime::observe::Wait& wait) { return wait.op == op; });
}

bool Seen::waits_for(TaskId child) const {
  return state == TaskState::Idle &&
         std::any_of(waits.begin(), waits.end(), [child](const runtime::observe::Wait& wait) {
           return wait.op == WaitOp::Join && wait.task == child;
         });
}

Curator::Curator(const Options& options) : options_(options) {
  rooms_.push_back(std::make_unique<runtime::Runtime>(runtime::Builder::multi_thread()
                                                          .worker_threads(options.workers)
                                                          .thread_name("gallery")
                                                          .build()));
}

runtime::Runtime& Curator::room_of_one() {
  rooms_.push_back(std::make_unique<runtime::Runtime>(
      runtime::Builder::multi_thread().worker_threads(1).thread_name("room").build()));
  return *rooms_.back();
}

Handles Curator::spawn(runtime::Runtime& in, std::string name, Tasks tasks, Site site) {
  return in.block_on(spawn_named(std::move(name), std::move(tasks), site));
}

void Curator::start_thread(std::function<void()> body) { threads_.emplace_back(std::move(body)); }

Seen Curator::look(runtime::Runtime& in, TaskId task) {
  struct Visitor final : runtime::observe::TaskVisitor {
    Seen seen;
    void visit(const TaskView& view) override {
      seen.is_alive = true;
      seen.state = view.state;
      seen.polls = view.polls;
      seen.wakers = view.wakers;
      seen.frame_bytes = view.frame_bytes;
      for (const auto& branch : view.branches) seen.waits.push_back(branch.wait);
    }
  } visitor;
  static_cast<void>(in.inspector().visit_task(task, Detail::Waits, visitor));
  return std::move(visitor.seen);
}

void Curator::pause() {
  if (wait_for_signal(1ms)) throw Interrupted{};
}

std::string Curator::too_late() const {
  return "what --" + std::string(planting_ != nullptr ? planting_->name : "load") +
         " plants with --seed " + std::to_string(seed_) +
         " did not begin within a minute; are there too few workers for all of it?";
}

void Curator::plant_all() {
  spawn_load(*this);
  std::uint64_t planted = 0;
  for (const Exhibit* exhibit : options_.planted) {
    for (std::uint64_t i = 0; i < options_.count; ++i) {
      planting_ = exhibit;
      seed_ = options_.seed + i;
      Shape shape(seed_, exhibit->name);
      exhibit->plant(*this, shape);
      ++planted;
    }
  }
  Line().number("planted", planted).print();
}

void Curator::say(const Planted& planted) const {
  Line line;
  line.text("trouble", planted.trouble)
      .text("kind", planted.kind)
      .text("certainty", planted.certainty)
      .ids<TaskId>("tasks", planted.tasks)
      .resource("resource",
                planted.resources.empty() ? ResourceId::None : planted.resources.front())
      .ids<ResourceId>("resources", planted.resources)
      .text("where", planted.where)
      .number("at_ns", runtime::observe::monotonic_ns())
      .number("seed", seed_)
      .text("shape", planted.shape)
      .add(planted.more)
      .print();
}

void Curator::say_decoy(std::string_view name, const Handles& tasks, std::string shape) const {
  const std::vector<TaskId> ids = ids_of(tasks);
  Line()
      .text("decoy", name)
      .ids<TaskId>("tasks", ids)
      .number("at_ns", runtime::observe::monotonic_ns())
      .number("seed", seed_)
      .text("shape", shape)
      .print();
}

void Curator::open() { static_cast<void>(wait_for_signal(options_.open_for)); }

void Curator::close() {
  closing_.ask();
  threads_.clear();  // joins
  for (const auto& room : rooms_) room->shutdown();
  rooms_.clear();
  kept_.clear();
}

std::vector<TaskId> ids_of(const Handles& handles) {
  std::vector<TaskId> ids;
  ids.reserve(handles.size());
  for (const auto& handle : handles) ids.push_back(handle.id());
  return ids;
}

}  // namespace taskscope::gallery
