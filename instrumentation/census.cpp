#include "taskscope/instrumentation/census.h"

#include <algorithm>
#include <utility>

#include "taskscope/instrumentation/threads.h"
#include "taskscope/protocol/codec.h"
#include "taskscope/runtime/observe/ticks.h"

namespace taskscope::instrumentation {

using runtime::observe::number;

namespace {

/// Tasks that the inspector reads in one call, and tasks in one chunk.
constexpr std::size_t kPieceTasks = 256;
constexpr std::size_t kChunkTasks = 2048;
constexpr std::size_t kChunkResources = 4096;

std::uint64_t ticks_now() { return static_cast<std::uint64_t>(runtime::observe::read_ticks()); }

}  // namespace

/// One walk: gathers what the inspectors show and sends it in chunks.
class Census::Walk final : public runtime::observe::TaskVisitor,
                           public runtime::observe::ResourceVisitor {
 public:
  Walk(Census& census, const Job& job, std::uint64_t id)
      : census_(&census), job_(&job), names_(*census.dictionary_) {
    snapshot_.id = id;
    snapshot_.begin_ticks = ticks_now();
    snapshot_.has_stacks = job.request.stacks && census.allows_stacks_;
    snapshot_.has_waits = job.request.waits || snapshot_.has_stacks;
  }

  void run() {
    using runtime::observe::Detail;
    const Detail detail = snapshot_.has_stacks  ? Detail::Stacks
                          : snapshot_.has_waits ? Detail::Waits
                                                : Detail::Facts;
    Inspectors& inspectors = *census_->inspectors_;
    const auto all = inspectors.all();
    if (job_->request.task != 0) {
      const auto task = runtime::observe::TaskId{job_->request.task};
      for (auto* const inspector : all)
        inspectors.with(inspector, [&](auto& i) { i.visit_task(task, detail, *this); });
      // Never `last`: the others live on.
      return send();
    }
    if (all.empty()) return;  // nobody who could say that what is not named is gone
    bool has_resources = false;
    for (auto* const inspector : all) {
      runtime::observe::TaskCursor cursor;
      bool is_there = true;
      while (is_there && !cursor.done && !census_->is_stopping_.load(std::memory_order_relaxed)) {
        is_there = inspectors.with(
            inspector, [&](auto& i) { i.visit_tasks(cursor, kPieceTasks, detail, *this); });
        if (snapshot_.tasks.size() >= kChunkTasks) send();
      }
      // Resources are those of the process: any inspector shows them all.
      if (!has_resources)
        has_resources = inspectors.with(inspector, [&](auto& i) { i.visit_resources(*this); });
    }
    while (snapshot_.resources.size() > kChunkResources) send_some_resources();
    if (census_->is_stopping_.load(std::memory_order_relaxed)) return;
    snapshot_.last = true;
    send();
  }

  void visit(const runtime::observe::TaskView& view) override {
    protocol::TaskSnapshot& task = snapshot_.tasks.emplace_back();
    task.ticks = ticks_now();
    task.task = number(view.task);
    task.parent = number(view.parent);
    task.runtime = number(view.runtime);
    task.kind = static_cast<protocol::TaskKind>(view.kind);
    task.state = static_cast<protocol::TaskState>(view.state);
    task.site = names_(view.site);
    task.name = view.name;
    for (const auto& field : view.fields)
      task.fields.push_back(std::string(field.key).append("=").append(field.value));
    task.frame_bytes = view.frame_bytes;
    task.polls = view.polls;
    task.wakers = view.wakers;
    task.spawned_ms = view.spawned_ms;
    task.last_poll_ms = view.last_poll_ms;
    task.has_stacks = snapshot_.has_stacks && view.state == runtime::observe::TaskState::Idle;
    for (const auto& branch : view.branches) task.branches.push_back(copy(branch));
  }

  void visit(const runtime::observe::ResourceView& view) override {
    protocol::ResourceSnapshot& resource = snapshot_.resources.emplace_back();
    resource.ticks = ticks_now();
    resource.resource = number(view.info.id);
    resource.parent = number(view.info.parent);
    resource.kind = static_cast<protocol::ResourceKind>(view.info.kind);
    resource.concrete_type = view.info.concrete_type;
    resource.name = view.info.name;
    resource.site = names_(view.info.site);
    resource.waiters = view.waiters;
    for (const auto& holder : view.holders)
      resource.holders.push_back({.task = number(holder.task),
                                  .certain = holder.certain,
                                  .permits = holder.permits,
                                  .role = std::string(holder.role)});
    for (const auto& attribute : view.attributes)
      resource.attributes.push_back({.name = std::string(attribute.name),
                                     .unit = std::string(attribute.unit),
                                     .value = attribute.value});
  }

 private:
  protocol::BranchState copy(const runtime::observe::BranchView& view) {
    const auto& wait = view.wait;
    protocol::BranchState branch{
        .branch = number(wait.branch),
        .parent = number(wait.parent),
        .mode = static_cast<protocol::BranchMode>(wait.mode),
        .op = static_cast<protocol::WaitOp>(wait.op),
        .resource_kind = static_cast<protocol::ResourceKind>(wait.resource_kind),
        .other = wait.resource != runtime::observe::ResourceId::None ? number(wait.resource)
                                                                     : number(wait.task),
        .value = wait.resource_kind == runtime::observe::ResourceKind::Io
                     ? static_cast<std::uint64_t>(static_cast<std::int64_t>(wait.fd))
                     : wait.deadline_ns,
        .site = names_(wait.site),
        .frames = {},
        .cut = view.cut,
    };
    for (const Site& frame : view.frames) branch.frames.push_back(names_(frame));
    return branch;
  }

  void send_some_resources() {
    const auto keep = snapshot_.resources.begin() + kChunkResources;
    std::vector<protocol::ResourceSnapshot> later(
        std::make_move_iterator(keep), std::make_move_iterator(snapshot_.resources.end()));
    snapshot_.resources.erase(keep, snapshot_.resources.end());
    send();
    snapshot_.resources = std::move(later);
  }

  void send() {
    census_->server_->wait_for_room(job_->audience);
    census_->server_->publish(
        [this](std::uint64_t sequence) { return protocol::encode(snapshot_, sequence); },
        {.first_ticks = snapshot_.begin_ticks, .last_ticks = ticks_now(), .snapshot = snapshot_.id},
        job_->audience);
    snapshot_.tasks.clear();
    snapshot_.resources.clear();
  }

  Census* census_;
  const Job* job_;
  SiteNames names_;
  protocol::Snapshot snapshot_;
};

bool Census::start() {
  thread_ = start_thread("taskscope-walk", [this] { run(); });
  return thread_.joinable();
}

void Census::finish(std::chrono::milliseconds limit) {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [this] { return jobs_.empty() && !is_busy_; });
    is_stopping_.store(true, std::memory_order_relaxed);
  }
  changed_.notify_all();
  thread_.join();
}

void Census::request(ConsumerId audience, const protocol::RequestSnapshot& request) {
  {
    const std::lock_guard lock(mutex_);
    const bool is_asked = std::any_of(jobs_.begin(), jobs_.end(), [&](const Job& job) {
      return job.audience == audience && job.request.task == request.task &&
             job.request.stacks == request.stacks && job.request.waits == request.waits;
    });
    if (is_asked) return;
    jobs_.push_back({audience, request});
  }
  changed_.notify_all();
}

void Census::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(
        lock, [this] { return is_stopping_.load(std::memory_order_relaxed) || !jobs_.empty(); });
    if (is_stopping_.load(std::memory_order_relaxed)) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    is_busy_ = true;
    lock.unlock();
    Walk(*this, job, next_snapshot_++).run();
    lock.lock();
    is_busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace taskscope::instrumentation
