#include "taskscope/console/analysis/why.h"

#include <algorithm>
#include <optional>

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
constexpr std::size_t kToldHolders = 3;

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

/// The poll of the task that runs now, where a thread is known to do it.
std::optional<session::RunningPoll> poll_of(const Model& model, std::uint64_t task) {
  for (const auto& poll : model.running_polls())
    if (poll.task == task) return poll;
  return std::nullopt;
}

/// "polling on worker-1 for 1.2 s, in read, called from load (/src/load.cpp:42)"
std::string polling_words(const Model& model, const Task& task) {
  auto lane = task.lane;
  auto since = task.last_poll_from;
  bool about = false;
  if (const auto poll = poll_of(model, task.id)) {
    lane = poll->lane;
    since = poll->from;
    about = poll->about;
  }
  auto text = "polling on " + lane_words(model, lane);
  auto lasts = lasting(model, since);
  if (about && !lasts.empty()) lasts.insert(5, "about ");
  text += lasts;
  const auto* stack = model.native_stack(task.id);
  if (stack == nullptr || stack->ticks < since) return text;
  const auto place = native_words(*stack);
  return place.empty() ? text : text + ", " + place;
}

Why polling(const Model& model, const Task& task) {
  return {WhyKind::Polling, polling_words(model, task), 0, 0, 0};
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
  for (const auto& poll : model.running_polls()) {
    if (poll.lane != task.lane || poll.task == task.id) continue;
    why.text += ", behind " + task_words(model, poll.task) + ", which " +
                lane_words(model, task.lane) + " polls" + lasting(model, poll.from);
    why.task = poll.task;
  }
  return why;
}

std::string holder_words(const Model& model, const Wait& wait, std::uint64_t& first) {
  const session::Resource* resource = model.resource(wait.other);
  if (resource == nullptr) return {};
  // Of a channel, the end that has to move.
  const std::string_view role = wait.op == WaitOp::Send   ? "receives"
                                : wait.op == WaitOp::Recv ? "sends"
                                                          : "";
  std::string text;
  std::size_t told = 0, all = 0;
  for (const auto& holder : resource->holders) {
    if (!role.empty() && holder.role != role) continue;
    if (all++ == 0) {
      first = holder.task;
      text = role == "receives" ? ", last received from by "
             : role == "sends"  ? ", last sent to by "
             : holder.certain   ? ", held by "
                                : ", last used by ";
    } else if (told < kToldHolders) {
      text += ", ";
    }
    if (told < kToldHolders) {
      text += task_words(model, holder.task);
      const Task* task = model.tasks().find(holder.task);
      if (task != nullptr && !task->alive()) text += ", which is finished";
      ++told;
    }
  }
  if (all > told) text += " and " + std::to_string(all - told) + " more";
  return text;
}

/// What a task that is waited for does itself: "is polling on worker-1", "waits for a timer".
std::string doing_words(const Model& model, const Task& task, int depth);

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
        const auto next = doing_words(model, *child, depth + 1);
        if (!next.empty()) why.text += ", which " + next;
      }
      break;
    }
    case WaitOp::Blocking: {
      why.task = wait.other;
      why.text += lasting(model, task.state_since);
      const Task* call = model.tasks().find(wait.other);
      if (call == nullptr || !call->alive()) break;
      if (call->state == TaskState::Running)
        why.text += ", which runs on " + lane_words(model, call->lane) +
                    lasting(model, call->last_poll_from);
      else if (call->state == TaskState::Scheduled)
        why.text += ", which waits for a thread of the blocking pool";
      break;
    }
    case WaitOp::Waker:
    case WaitOp::Yield:
      why.kind = WhyKind::Waker;
      why.text += lasting(model, task.state_since);
      break;
    default:
      why.resource = wait.other;
      why.text += lasting(model, task.state_since) + holder_words(model, wait, why.task);
  }
  return why;
}

std::string doing_words(const Model& model, const Task& task, int depth) {
  if (!task.alive()) return "is finished";
  if (task.state == TaskState::Running) return "is " + polling_words(model, task);
  if (task.state == TaskState::Scheduled) return "is " + scheduled(model, task).text;
  return task.waits.empty() ? std::string{} : of_wait(model, task, task.waits.front(), depth).text;
}

/// What is known to have become of the task's wait: ", part of a deadlock of 3 tasks".
std::string stuck_words(const Model& model, const Task& task, const Findings& findings) {
  for (const Finding& finding : findings) {
    if (!finding.active() ||
        std::find(finding.tasks.begin(), finding.tasks.end(), task.id) == finding.tasks.end())
      continue;
    const std::string perhaps = finding.certainty == Certainty::Certain ? "" : "perhaps ";
    switch (finding.kind) {
      case FindingKind::Deadlock:
        return ": " + perhaps + "part of a deadlock of " + std::to_string(finding.task_count) +
               (finding.task_count == 1 ? " task" : " tasks");
      case FindingKind::StuckBehind:
        return ": " + perhaps + "stuck behind " +
               (finding.others.empty() ? std::string("others")
                                       : task_words(model, finding.others.front()));
      case FindingKind::Orphan:
        return ": " + perhaps + "for ever, since who had it is finished";
      case FindingKind::LostWaker:
        return ": " + perhaps + "for ever, since nobody holds its waker";
      case FindingKind::PermitLeak:
        return ": " + perhaps + "for ever, since nobody holds a permit";
      default:
        break;
    }
  }
  return {};
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

Why why_not_running(const Model& model, const Task& task, const Findings& findings) {
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
  auto why = of_wait(model, task, root == task.waits.end() ? task.waits.front() : *root, 0);
  const auto stuck = stuck_words(model, task, findings);
  if (!stuck.empty()) {
    why.kind = WhyKind::Stuck;
    why.text += stuck;
  }
  return why;
}

}  // namespace taskscope::console::analysis
