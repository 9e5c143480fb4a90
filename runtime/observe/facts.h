/// What a watcher is told: the vocabulary shared by Observer (push) and Inspector (pull).
///
/// Everything here is borrowed: strings and spans live only for the call that hands them over.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "taskscope/runtime/observe/ids.h"
#include "taskscope/runtime/observe/ticks.h"

namespace taskscope::runtime::observe {

enum class TaskKind : std::uint8_t { Task, Local, Blocking, BlockOn };

enum class Outcome : std::uint8_t { Done, Cancelled, Exception };

enum class PollEnd : std::uint8_t {
  Ready,        ///< the task finished in this poll
  Pending,      ///< it waits; the waits say for what
  Yielded,      ///< it asked to run again
  OutOfBudget,  ///< the cooperative budget made it yield
};

enum class WakeCause : std::uint8_t {
  Task,      ///< the poll running on the waking thread; `by` names it
  Timer,     ///< a deadline passed
  Io,        ///< readiness of a file descriptor; `fd` names it
  Thread,    ///< a thread that runs no task
  Blocking,  ///< a call on the blocking pool returned; `by` names it
  Abort,     ///< somebody aborted the task
};

enum class ResourceKind : std::uint8_t {
  Other,
  Mutex,
  RwLock,
  Semaphore,
  Notify,
  Barrier,
  OnceCell,
  Mpsc,
  Oneshot,
  Broadcast,
  Watch,
  Join,  ///< a child task; the resource is the task itself
  Timer,
  Io,
  Blocking,
  Waker,
};

/// What a wait tries to do with its resource.
enum class WaitOp : std::uint8_t {
  None,
  Lock,
  ReadLock,
  WriteLock,
  Acquire,
  Notified,
  Arrive,
  Get,
  Send,
  Recv,
  Closed,
  Changed,
  Join,
  Sleep,
  Tick,
  Readable,
  Writable,
  Accept,
  Connect,
  Blocking,
  Waker,
  Yield,
};

/// How the arms of a branching await are combined.
enum class BranchMode : std::uint8_t {
  Single,  ///< no arms: the branch itself waits
  Any,     ///< select, timeout: the first arm that is done ends the await
  All,     ///< join: every arm has to be done
};

/// One pending wait: what a suspended branch waits for.
struct Wait {
  BranchId branch = BranchId::Root;
  BranchId parent =
      BranchId::Root;  ///< the branch whose await owns this one; Root's parent is Root
  BranchMode mode =
      BranchMode::Single;  ///< Any or All: this branch waits for its arms, which follow
  WaitOp op = WaitOp::None;
  ResourceKind resource_kind = ResourceKind::Other;
  ResourceId resource = ResourceId::None;  ///< None for timers, I/O, joins, wakers
  TaskId task = TaskId::None;              ///< Join and Blocking: the task waited for
  std::int32_t fd = -1;                    ///< I/O: the descriptor
  std::uint64_t deadline_ns = 0;           ///< timers: CLOCK_MONOTONIC, unless a test paused it
  Site site;                               ///< the await
};

struct Field {
  std::string_view key, value;
};

struct TaskSpawned {
  TaskId task = TaskId::None;
  TaskId parent = TaskId::None;
  TaskKind kind = TaskKind::Task;
  RuntimeId runtime = RuntimeId::None;
  Site site;              ///< the call of spawn; its function name is the spawning function
  std::string_view name;  ///< empty: unnamed
  std::span<const Field> fields;
  std::uint32_t frame_bytes = 0;  ///< size of the task's one allocation
};

struct TaskFinished {
  TaskId task = TaskId::None;
  Outcome outcome = Outcome::Done;
  std::string_view error;  ///< what() of the exception
  Site site;               ///< the spawn call again, so that a late consumer can place the task
};

struct Woken {
  TaskId task = TaskId::None;
  BranchId branch = BranchId::Root;
  WakeCause cause = WakeCause::Thread;
  TaskId by = TaskId::None;
  std::int32_t fd = -1;
  ResourceId resource =
      ResourceId::None;  ///< what was released, sent or notified, if it is registered
};

/// Who holds or last used a resource. Certain: a scoped guard that can't move. Otherwise a hint.
struct Holder {
  TaskId task = TaskId::None;
  bool certain = false;
  std::uint32_t permits = 1;
  std::string_view role = "holds";  ///< "holds", "sends", "receives", ...
};

struct Attribute {
  std::string_view name, unit;  ///< unit may be empty
  std::uint64_t value = 0;
};

struct ResourceRegistered {
  ResourceId id = ResourceId::None;
  ResourceKind kind = ResourceKind::Other;
  std::string_view concrete_type;  ///< "Mutex", "mpsc::channel"
  std::string_view name;           ///< empty: unnamed
  ResourceId parent = ResourceId::None;
  Site site;  ///< where it was made
};

/// Counters of a worker since it started; a consumer takes differences.
struct WorkerCounters {
  std::uint64_t busy_ns = 0, polls = 0, parks = 0, noops = 0, steals = 0, steal_operations = 0;
  std::uint64_t local_schedules = 0, overflows = 0, budget_yields = 0, timers_fired = 0,
                timers_late = 0;
  std::uint64_t park_unparks = 0;  ///< odd while it sleeps
  std::uint64_t mean_poll_ns = 0;  ///< no count: see metrics::MeanPollTime
};

/// Wheel levels (6 of 64 slots); each entry counts the timers registered there.
constexpr int kWheelLevels = 6;

struct WorkerView {
  WorkerId worker = WorkerId::None;
  RuntimeId runtime = RuntimeId::None;
  std::uint32_t index = 0;        ///< within its runtime
  std::int32_t tid = 0;           ///< kernel thread id
  TaskId current = TaskId::None;  ///< the task being polled now
  std::uint64_t poll_sequence =
      0;  ///< counts polls; the same number with a current task twice is one long poll
  bool parked = false;
  std::uint32_t queue_depth = 0;  ///< local queue and LIFO slot
  std::uint32_t wheel[kWheelLevels] = {};
  std::uint64_t late_max_ns = 0;  ///< the latest fire so far: how long after its deadline
  WorkerCounters counters;
};

struct RuntimeView {
  RuntimeId runtime = RuntimeId::None;
  std::uint32_t workers = 0;
  std::uint64_t live_tasks = 0, spawned_tasks = 0;
  std::uint32_t injection_depth = 0;
  std::uint64_t remote_schedules = 0;
  std::uint32_t blocking_threads = 0, blocking_idle = 0, blocking_queue = 0;
  std::uint64_t io_registrations = 0, io_readiness = 0;
};

enum class TaskState : std::uint8_t { Idle, Scheduled, Running, Finished };

/// A suspended branch with its await stack.
struct BranchView {
  Wait wait;
  std::span<const Site>
      frames;        ///< awaiting functions, root first; each site is the await in that function
  bool cut = false;  ///< deeper than 64 frames: the middle is missing
};

/// One live task. Always there: identity and counts. `branches` only where the task was idle and
/// the caller asked for waits or stacks.
struct TaskView {
  TaskId task = TaskId::None;
  TaskId parent = TaskId::None;
  TaskKind kind = TaskKind::Task;
  RuntimeId runtime = RuntimeId::None;
  TaskState state = TaskState::Idle;
  Site site;
  std::string_view name;
  std::span<const Field> fields;
  std::uint32_t frame_bytes = 0;
  std::uint32_t polls = 0;         ///< wraps at 2^32
  std::uint64_t spawned_ms = 0;    ///< CLOCK_MONOTONIC, of the worker's cached wheel tick: "about"
  std::uint64_t last_poll_ms = 0;  ///< likewise; 0: never polled
  std::uint32_t wakers = 0;        ///< owned Waker clones alive
  std::span<const BranchView> branches;
};

struct ResourceView {
  ResourceRegistered info;
  std::span<const Holder> holders;
  std::uint32_t waiters = 0;
  std::span<const Attribute> attributes;
};

}  // namespace taskscope::runtime::observe
