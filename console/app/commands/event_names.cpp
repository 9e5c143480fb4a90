#include "taskscope/console/app/commands/event_names.h"

#include <cstddef>

namespace taskscope::console::app::commands {
namespace {

template <std::size_t kCount>
std::string_view pick(const std::string_view (&names)[kCount], std::size_t index) {
  return index < kCount ? names[index] : std::string_view("unknown");
}

constexpr std::string_view kEvents[] = {"none",
                                        "task_spawned",
                                        "task_finished",
                                        "poll_started",
                                        "poll_ended",
                                        "wait",
                                        "wait_cancelled",
                                        "woken",
                                        "resource_registered",
                                        "resource_dropped",
                                        "resource_acquired",
                                        "resource_released",
                                        "worker_parked",
                                        "worker_unparked",
                                        "worker_stole",
                                        "span_entered",
                                        "span_exited",
                                        "observed_from",
                                        "resync"};
constexpr std::string_view kTaskKinds[] = {"task", "local", "blocking", "block_on"};
constexpr std::string_view kOutcomes[] = {"done", "cancelled", "exception"};
constexpr std::string_view kPollEnds[] = {"ready", "pending", "yielded", "out_of_budget"};
constexpr std::string_view kWakeCauses[] = {"task", "timer", "io", "thread", "blocking", "abort"};
constexpr std::string_view kResourceKinds[] = {
    "other",   "mutex",     "rwlock", "semaphore", "notify", "barrier", "once_cell", "mpsc",
    "oneshot", "broadcast", "watch",  "join",      "timer",  "io",      "blocking",  "waker"};
constexpr std::string_view kWaitOps[] = {
    "none",     "lock",   "read_lock", "write_lock", "acquire", "notified", "arrive", "get",
    "send",     "recv",   "closed",    "changed",    "join",    "sleep",    "tick",   "readable",
    "writable", "accept", "connect",   "blocking",   "waker",   "yield"};

}  // namespace

std::string_view event_name(protocol::EventKind kind) {
  return pick(kEvents, static_cast<std::size_t>(kind));
}

std::string_view detail_name(const protocol::Event& event) {
  switch (event.kind) {
    case protocol::EventKind::TaskSpawned:
      return pick(kTaskKinds, event.detail);
    case protocol::EventKind::TaskFinished:
      return pick(kOutcomes, event.detail);
    case protocol::EventKind::PollEnded:
      return pick(kPollEnds, event.detail);
    case protocol::EventKind::Wait:
      return pick(kWaitOps, event.detail);
    case protocol::EventKind::Woken:
      return pick(kWakeCauses, event.detail);
    case protocol::EventKind::ResourceAcquired:
      return event.detail != 0 ? "certain" : "hint";
    default:
      return {};
  }
}

std::string_view resource_kind_name(protocol::ResourceKind kind) {
  return pick(kResourceKinds, static_cast<std::size_t>(kind));
}
std::string_view task_kind_name(protocol::TaskKind kind) {
  return pick(kTaskKinds, static_cast<std::size_t>(kind));
}
std::string_view outcome_name(protocol::Outcome outcome) {
  return pick(kOutcomes, static_cast<std::size_t>(outcome));
}

}  // namespace taskscope::console::app::commands
