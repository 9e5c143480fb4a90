#include "taskscope/console/panels/names.h"

#include <algorithm>

#include "taskscope/console/analysis/words.h"
#include "taskscope/console/panels/format.h"

namespace taskscope::console::panels {

using protocol::ResourceKind;
using protocol::TaskState;
using protocol::WaitOp;

WaitClass wait_class(const session::WaitKind& wait) {
  switch (wait.resource_kind) {
    case ResourceKind::Io:
      return WaitClass::Io;
    case ResourceKind::Timer:
      return WaitClass::Timer;
    case ResourceKind::Mpsc:
    case ResourceKind::Oneshot:
    case ResourceKind::Broadcast:
    case ResourceKind::Watch:
      return WaitClass::Channel;
    case ResourceKind::Join:
      return WaitClass::Join;
    case ResourceKind::Blocking:
      return WaitClass::Blocking;
    case ResourceKind::Mutex:
    case ResourceKind::RwLock:
    case ResourceKind::Semaphore:
      return WaitClass::Lock;
    case ResourceKind::Notify:
    case ResourceKind::Barrier:
    case ResourceKind::OnceCell:
      return WaitClass::Notify;
    case ResourceKind::Other:
    case ResourceKind::Waker:
      break;
  }
  switch (wait.op) {
    case WaitOp::Sleep:
    case WaitOp::Tick:
      return WaitClass::Timer;
    case WaitOp::Readable:
    case WaitOp::Writable:
    case WaitOp::Accept:
    case WaitOp::Connect:
      return WaitClass::Io;
    case WaitOp::Join:
      return WaitClass::Join;
    case WaitOp::Blocking:
      return WaitClass::Blocking;
    default:
      return WaitClass::Other;
  }
}

std::string_view name_of(WaitClass which) {
  switch (which) {
    case WaitClass::Io:
      return "I/O";
    case WaitClass::Timer:
      return "timer";
    case WaitClass::Channel:
      return "channel";
    case WaitClass::Join:
      return "join";
    case WaitClass::Blocking:
      return "blocking";
    case WaitClass::Notify:
      return "notify";
    case WaitClass::Lock:
      return "lock";
    case WaitClass::Other:
      return "other";
  }
  return "other";
}

Colour colour_of(WaitClass which) {
  switch (which) {
    case WaitClass::Io:
      return colour::kWaitIo;
    case WaitClass::Timer:
      return colour::kWaitTimer;
    case WaitClass::Channel:
      return colour::kWaitChannel;
    case WaitClass::Join:
      return colour::kWaitJoin;
    case WaitClass::Blocking:
      return colour::kWaitBlocking;
    case WaitClass::Notify:
      return colour::kWaitNotify;
    case WaitClass::Lock:
      return colour::kWaitLock;
    case WaitClass::Other:
      return colour::kWaitOther;
  }
  return colour::kWaitOther;
}

Colour colour_of(const session::WaitKind& wait) {
  const Colour hue = colour_of(wait_class(wait));
  const auto lighter = [&](float share) { return mixed(hue, rgb(0xffffff), share); };
  const auto darker = [&](float share) { return mixed(hue, rgb(0x000000), share); };
  switch (wait.op) {
    case WaitOp::WriteLock:
    case WaitOp::Closed:
    case WaitOp::Tick:
      return darker(0.22f);
    case WaitOp::ReadLock:
    case WaitOp::Acquire:
    case WaitOp::Changed:
    case WaitOp::Accept:
    case WaitOp::Arrive:
      return lighter(0.18f);
    case WaitOp::Send:
    case WaitOp::Writable:
    case WaitOp::Connect:
    case WaitOp::Get:
      return lighter(0.36f);
    default:
      return hue;
  }
}

std::string_view name_of(protocol::TaskKind kind) {
  switch (kind) {
    case protocol::TaskKind::Task:
      return "task";
    case protocol::TaskKind::Local:
      return "local";
    case protocol::TaskKind::Blocking:
      return "blocking";
    case protocol::TaskKind::BlockOn:
      return "block_on";
  }
  return "unknown";
}

std::string_view name_of(TaskState state) {
  switch (state) {
    case TaskState::Idle:
      return "waiting";
    case TaskState::Scheduled:
      return "scheduled";
    case TaskState::Running:
      return "polling";
    case TaskState::Finished:
      return "done";
  }
  return "unknown";
}

std::string_view name_of(ResourceKind kind) {
  // In a column of kinds, "resource" would say nothing.
  return kind == ResourceKind::Other ? "other" : analysis::words_of(kind);
}

std::string_view name_of(protocol::LossCause cause) {
  switch (cause) {
    case protocol::LossCause::RingFull:
      return "ring full";
    case protocol::LossCause::NoMemory:
      return "no memory for a ring";
    case protocol::LossCause::SlowConsumer:
      return "console too slow";
    case protocol::LossCause::SpoolCapped:
      return "spool cap reached";
    case protocol::LossCause::Damaged:
      return "file damaged";
    case protocol::LossCause::BeforeAttach:
      return "before the attach";
  }
  return "unknown cause";
}

std::string_view name_of(WaitOp op) {
  switch (op) {
    case WaitOp::None:
      return "";
    case WaitOp::Lock:
      return "lock";
    case WaitOp::ReadLock:
      return "read lock";
    case WaitOp::WriteLock:
      return "write lock";
    case WaitOp::Acquire:
      return "acquire";
    case WaitOp::Notified:
      return "notified";
    case WaitOp::Arrive:
      return "arrive";
    case WaitOp::Get:
      return "get";
    case WaitOp::Send:
      return "send";
    case WaitOp::Recv:
      return "recv";
    case WaitOp::Closed:
      return "closed";
    case WaitOp::Changed:
      return "changed";
    case WaitOp::Join:
      return "join";
    case WaitOp::Sleep:
      return "sleep";
    case WaitOp::Tick:
      return "tick";
    case WaitOp::Readable:
      return "readable";
    case WaitOp::Writable:
      return "writable";
    case WaitOp::Accept:
      return "accept";
    case WaitOp::Connect:
      return "connect";
    case WaitOp::Blocking:
      return "blocking call";
    case WaitOp::Waker:
      return "waker";
    case WaitOp::Yield:
      return "yield";
  }
  return "unknown";
}

std::string_view name_of(protocol::Outcome outcome) {
  switch (outcome) {
    case protocol::Outcome::Done:
      return "done";
    case protocol::Outcome::Cancelled:
      return "cancelled";
    case protocol::Outcome::Exception:
      return "failed";
  }
  return "finished";
}

namespace {

/// "recv · mpsc"; the kind only where the operation does not say it.
std::string operation_text(WaitOp op, ResourceKind kind) {
  std::string text(name_of(op));
  const bool kind_tells = kind != ResourceKind::Other && kind != ResourceKind::Timer &&
                          kind != ResourceKind::Io && kind != ResourceKind::Join &&
                          kind != ResourceKind::Waker && kind != ResourceKind::Blocking;
  if (text.empty()) return std::string(name_of(kind));
  if (kind_tells) {
    text += " on ";
    text += name_of(kind);
  }
  return text;
}

}  // namespace

std::string wait_text(const session::WaitKind& wait) {
  switch (wait.end) {
    case protocol::PollEnd::Ready:
      return "ready";
    case protocol::PollEnd::Yielded:
      return "yielded";
    case protocol::PollEnd::OutOfBudget:
      return "out of budget";
    case protocol::PollEnd::Pending:
      break;
  }
  if (wait.op == WaitOp::None && wait.resource_kind == ResourceKind::Other) return "unknown";
  return operation_text(wait.op, wait.resource_kind);
}

std::string wait_text(const protocol::BranchState& wait) {
  if (wait.mode == protocol::BranchMode::Any) return "any of";
  if (wait.mode == protocol::BranchMode::All) return "all of";
  std::string text = operation_text(wait.op, wait.resource_kind);
  const bool io = wait.resource_kind == ResourceKind::Io;
  const bool task =
      wait.resource_kind == ResourceKind::Join || wait.resource_kind == ResourceKind::Blocking;
  if (io && static_cast<std::int64_t>(wait.value) >= 0) {
    text += ", fd " + std::to_string(wait.value);
  }
  if (task && wait.other != 0) text += " " + std::to_string(wait.other);
  if (!io && !task && wait.other != 0) text += " " + std::to_string(wait.other);
  return text.empty() ? "unknown" : text;
}

StateText state_text(const session::Model& model, const session::Task& task) {
  if (!task.alive()) {
    if (task.vanished) return {"gone", colour::kDone};
    const bool failed = task.outcome == protocol::Outcome::Exception;
    return {std::string(name_of(task.outcome)), failed ? colour::kTrouble : colour::kDone};
  }
  switch (task.state) {
    case TaskState::Running:
      return {"polling", colour::kPolling};
    case TaskState::Scheduled:
      return {"scheduled", colour::kScheduled};
    case TaskState::Finished:
      return {"done", colour::kDone};
    case TaskState::Idle:
      break;
  }
  WaitClass which = WaitClass::Other;
  if (!task.waits.empty()) {
    // The first real wait stands for all; the inspector has the others.
    for (const session::Wait& wait : task.waits) {
      which = wait_class({protocol::PollEnd::Pending, wait.op, wait.resource_kind, wait.site});
      if (wait.mode == protocol::BranchMode::Single) break;
    }
  } else if (task.await_group != session::kNone) {
    const auto& group = model.tasks().await_groups()[task.await_group];
    which = wait_class(model.wait_kinds()[group.wait]);
  } else {
    return {"waiting", colour_of(WaitClass::Other)};
  }
  return {"waiting · " + std::string(name_of(which)), colour_of(which)};
}

std::string site_place(const session::Model& model, std::uint32_t site) {
  const protocol::Site* known = model.site(site);
  if (known == nullptr) return "unknown place";
  return place_text(known->file, known->line);
}

std::string site_function(const session::Model& model, std::uint32_t site) {
  const protocol::Site* known = model.site(site);
  return known == nullptr ? std::string() : short_function(known->function);
}

std::string body_function(const session::Model& model, const session::Task& task) {
  const session::Stack* stack = model.stack(task.id);
  if (stack == nullptr) return {};
  for (const session::Wait& branch : stack->branches) {
    if (!branch.frames.empty()) return site_function(model, branch.frames.front());
  }
  return {};
}

std::string group_title(const session::Model& model, const session::CallGroup& group) {
  // A name that its tasks share says it as well.
  const session::Task* first =
      group.first_member == session::kNone ? nullptr : model.tasks().at(group.first_member);
  const session::Task* last =
      group.last_member == session::kNone ? nullptr : model.tasks().at(group.last_member);
  if (first != nullptr && last != nullptr && !first->name().empty() &&
      first->name() == last->name()) {
    return std::string(first->name());
  }
  int looked = 0;
  for (std::uint32_t slot = group.longest_waiting; slot != session::kNone && looked < 4;
       slot = model.tasks().next_waiting_of_call(slot), ++looked) {
    const session::Task* task = model.tasks().at(slot);
    if (task == nullptr) continue;
    if (std::string function = body_function(model, *task); !function.empty()) return function;
  }
  return {};
}

std::string task_title(const session::Model& model, const session::Task& task) {
  if (!task.name().empty()) return std::string(task.name());
  if (std::string function = body_function(model, task); !function.empty()) return function;
  return "task " + std::to_string(task.id);
}

std::string lane_name(const session::Lane& lane) {
  if (lane.worker != 0) {
    if (!lane.samples.empty()) {
      return "worker " + std::to_string(lane.samples.back().sample.index);
    }
    return "worker " + std::to_string(lane.worker - 1);
  }
  if (!lane.name.empty()) return lane.name;
  return lane.tid != 0 ? "thread " + std::to_string(lane.tid) : "ring " + std::to_string(lane.ring);
}

std::string lane_name(const session::Model& model, const session::Lane& lane) {
  std::string name = lane_name(lane);
  if (lane.worker != 0 && !lane.samples.empty() && model.runtimes().size() > 1) {
    name += " · rt " + std::to_string(lane.samples.back().sample.runtime);
  }
  return name;
}

SampledPoll sampled_poll(const session::Lane& lane) {
  if (lane.current_task != 0 || lane.parked_from != 0 || lane.samples.empty()) return {};
  const session::WorkerPoint& last = lane.samples.back();
  if (last.sample.current_task == 0 || last.sample.parked) return {};
  // The number counts up with every poll.
  const auto first = std::partition_point(
      lane.samples.begin(), lane.samples.end(), [&](const session::WorkerPoint& point) {
        return point.sample.poll_sequence < last.sample.poll_sequence;
      });
  const bool recorded_since = !lane.polls.empty() && lane.polls.last_end() > first->ticks;
  if (first->ticks == last.ticks || recorded_since) return {};
  return {last.sample.current_task, first->ticks, last.ticks};
}

}  // namespace taskscope::console::panels
