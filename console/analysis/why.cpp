#include "taskscope/console/analysis/why.h"

#include <algorithm>

#include "taskscope/console/analysis/words.h"

namespace taskscope::console::analysis {
namespace {

using protocol::BranchMode;
using protocol::TaskState;
using protocol::WaitOp;
using session::Model;
using session::Task;
using session::Wait;

constexpr int kFollowedChildren = 3;          // how far a chain of joins is told
constexpr std::size_t kToldAlternatives = 6;  // of a select or join

std::string lasting(const Model& model, std::uint64_t since) {
  if (since == 0 || since > model.now()) return {};
  return " for " + duration_words(model.clock().duration_ns(model.now() - since));
}

std::string lane_words(const Model& model, std::uint32_t lane) {
  if (lane >= model.lanes().size()) return "a worker";
  const session::Lane& row = *model.lanes()[lane];
  if (row.worker == 0) return row.name.empty() ? "a thread" : "thread " + row.name;
  return row.name.empty() ? "worker " + std::to_string(row.worker) : row.name;
}

Why polling(const Model& model, const Task& task) {
  return {WhyKind::Polling,
          "polling on " + lane_words(model, task.lane) + lasting(model, task.last_poll_from), 0, 0,
          0};
}

Why scheduled(const Model& model, const Task& task) {
  Why why{WhyKind::Scheduled, "queued" + lasting(model, task.state_since), 0, 0, 0};
  if (task.last_wake.ticks != 0) {
    why.text += ", woken by ";
    why.text += words_of(task.last_wake.cause);
    if (task.last_wake.cause == protocol::WakeCause::Task && task.last_wake.by != 0)
      why.text += " " + task_words(model, task.last_wake.by);
    why.task = task.last_wake.by;
  }
  // Ahead of it is what its last worker polls now.
  if (task.lane < model.lanes().size()) {
    const session::Lane& lane = *model.lanes()[task.lane];
    if (lane.current_task != 0 && lane.current_task != task.id) {
      why.text += ", behind " + task_words(model, lane.current_task) + ", which " +
                  lane_words(model, task.lane) + " polls" + lasting(model, lane.current_from);
      why.task = lane.current_task;
    }
  }
  return why;
}

std::string holder_words(const Model& model, std::uint64_t resource_id, std::uint64_t& first) {
  const session::Resource* resource = model.resource(resource_id);
  if (resource == nullptr || resource->holders.empty()) return {};
  const auto& holder = resource->holders.front();
  first = holder.task;
  std::string text = holder.certain ? ", held by " : ", last used by ";
  text += task_words(model, holder.task);
  if (resource->holders.size() > 1)
    text += " and " + std::to_string(resource->holders.size() - 1) + " more";
  return text;
}

Why of_wait(const Model& model, const Task& task, const Wait& wait, int depth);

Why of_leaf(const Model& model, const Task& task, const Wait& wait, int depth) {
  Why why{WhyKind::Resource, "waits " + wait_words(model, wait), 0, 0, wait.site};
  switch (wait.op) {
    case WaitOp::Sleep:
    case WaitOp::Tick: {
      why.kind = WhyKind::Timer;
      if (wait.value == 0) break;
      const auto due = model.clock().ns_of_monotonic(wait.value) - model.now_ns();
      why.text +=
          due >= 0 ? ", due in " + duration_words(due) : ", due " + duration_words(-due) + " ago";
      break;
    }
    case WaitOp::Readable:
    case WaitOp::Writable:
    case WaitOp::Accept:
    case WaitOp::Connect:
      why.kind = WhyKind::Io;
      why.text += lasting(model, task.state_since);
      break;
    case WaitOp::Join: {
      why.kind = WhyKind::Child;
      why.task = wait.other;
      const Task* child = model.tasks().find(wait.other);
      if (child != nullptr && depth < kFollowedChildren && child->id != task.id) {
        std::string next;
        if (!child->alive()) {
          next = "is finished";
        } else if (child->state == TaskState::Running) {
          next = "is polling on " + lane_words(model, child->lane);
        } else if (child->state == TaskState::Scheduled) {
          next = "is queued";
        } else if (!child->waits.empty()) {
          next = of_wait(model, *child, child->waits.front(), depth + 1).text;
        }
        if (!next.empty()) why.text += ", which " + next;
      }
      break;
    }
    case WaitOp::Blocking:
      why.text += lasting(model, task.state_since);
      break;
    case WaitOp::Waker:
    case WaitOp::Yield:
      why.kind = WhyKind::Waker;
      why.text += lasting(model, task.state_since);
      break;
    default:
      why.resource = wait.other;
      why.text += lasting(model, task.state_since) + holder_words(model, wait.other, why.task);
  }
  return why;
}

Why of_wait(const Model& model, const Task& task, const Wait& wait, int depth) {
  if (wait.mode == BranchMode::Single) return of_leaf(model, task, wait, depth);
  Why why{WhyKind::Several,
          wait.mode == BranchMode::Any ? "waits for any of: " : "waits for all of: ", 0, 0,
          wait.site};
  std::size_t told = 0, arms = 0;
  for (const Wait& arm : task.waits) {
    if (arm.parent != wait.branch || arm.branch == wait.branch) continue;
    if (++arms > kToldAlternatives || depth >= 2 * kFollowedChildren) continue;
    const Why inner = of_wait(model, task, arm, depth + 1);
    // A later branch naming an earlier one as its arm would go in circles: depth ends that.
    std::string_view text = inner.text;
    if (text.starts_with("waits ")) text.remove_prefix(6);
    if (told++ != 0) why.text += " | ";
    why.text += text;
    if (why.task == 0) why.task = inner.task;
    if (why.resource == 0) why.resource = inner.resource;
  }
  if (arms == 0) why.text += "its branches";
  if (arms > told) why.text += " | and " + std::to_string(arms - told) + " more";
  return why;
}

}  // namespace

Why why_not_running(const Model& model, const Task& task) {
  if (!task.alive()) {
    Why why{WhyKind::Finished, std::string(words_of(task.outcome)), 0, 0, 0};
    if (task.vanished) why.text = "finished unseen: a walk over the living did not find it";
    if (!task.error().empty()) why.text += ": " + std::string(task.error());
    return why;
  }
  switch (task.state) {
    case TaskState::Running:
      return polling(model, task);
    case TaskState::Scheduled:
      return scheduled(model, task);
    case TaskState::Finished:
      return {WhyKind::Finished, std::string(words_of(task.outcome)), 0, 0, 0};
    case TaskState::Idle:
      break;
  }
  if (task.waits.empty())
    return {WhyKind::Unknown,
            "waits" + lasting(model, task.state_since) + ", its wait was not recorded", 0, 0, 0};
  const auto root = std::find_if(task.waits.begin(), task.waits.end(),
                                 [](const Wait& wait) { return wait.branch == wait.parent; });
  return of_wait(model, task, root == task.waits.end() ? task.waits.front() : *root, 0);
}

}  // namespace taskscope::console::analysis
