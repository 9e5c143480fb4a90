/// What travels from a target to its consumers, and what a file holds, as plain structs.
///
/// One vocabulary for every source (our runtime, adapters, files). No protobuf type leaves this
/// room, and nothing here knows the runtime: ids are plain numbers, enums are mirrored and may hold
/// values this version does not know (show those as "unknown", never reject them). Zero means
/// "none" in every id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace taskscope::protocol {

/// Raises when old consumers would misread new streams; a consumer refuses a newer major.
constexpr std::uint32_t kMajorVersion = 1;
/// Raises with every addition; unknown additions are skipped.
constexpr std::uint32_t kMinorVersion = 1;

// --- definitions: the reliable lane
// -------------------------------------------------------------------

/// Where the stream comes from. First chunk of every session and file.
struct Process {
  std::uint64_t pid = 0;
  std::uint64_t start_time = 0;  ///< field 22 of /proc/PID/stat, jiffies after boot
  std::string name;              ///< comm
  std::string command_line;      ///< arguments joined by spaces
  std::string executable;        ///< path
  std::string build_id;          ///< hex; empty when the executable has none
  std::string host;
  std::string taskscope_version;  ///< of the instrumentation
  std::uint64_t wall_ns = 0;      ///< CLOCK_REALTIME of the attach
  bool ticks_are_tsc = false;
};

/// A place in the source; `id` is what events carry.
struct Site {
  std::uint32_t id = 0;
  std::string file, function;
  std::uint32_t line = 0, column = 0;
};

/// One reading of all clocks together; a reader converts ticks piecewise-linearly between them.
struct ClockPoint {
  std::uint64_t ticks = 0, monotonic_ns = 0, wall_ns = 0;
};

enum class LossCause : std::uint8_t {
  RingFull,
  NoMemory,
  SlowConsumer,
  SpoolCapped,
  Damaged,
  BeforeAttach
};

/// Events that happened and are not in the stream. Drawn as a gap.
struct Loss {
  std::uint64_t producer = 0;  ///< ring id; 0: the whole stream
  LossCause cause = LossCause::RingFull;
  std::uint64_t events = 0;  ///< event records lost; 0 with SlowConsumer when only chunks are known
  std::uint64_t chunks = 0;
  std::uint64_t from_ticks = 0, to_ticks = 0;
  std::uint64_t spawns = 0, polls = 0,
                wakes = 0;  ///< of those: kinds, where the producer knows them
};

/// A file mapped into the target, which NativeFrame names by `id`. An id is never used again, so a
/// library that was unloaded keeps its name.
struct Module {
  std::uint32_t id = 0;
  std::uint64_t begin = 0, end = 0;  ///< addresses of its code
  std::uint64_t bias = 0;  ///< address minus this: address as the file itself counts (addr2line)
  std::string path;
  std::string build_id;  ///< hex; empty when the file has none
  bool operator==(const Module&) const = default;
};

/// A place in the source that an address stands for.
struct SymbolLine {
  std::string function;  ///< demangled
  std::string file;      ///< empty: unknown
  std::uint32_t line = 0;
  bool operator==(const SymbolLine&) const = default;
};

/// What an address in a module is called. Written by whoever reads the stream on the target's host,
/// never by the target.
struct Symbol {
  std::uint32_t module = 0;
  std::uint64_t offset = 0;       ///< address - Module::bias
  std::vector<SymbolLine> lines;  ///< innermost first: what was inlined, then the function itself
  bool operator==(const Symbol&) const = default;
};

// --- events
// -------------------------------------------------------------------------------------------

enum class TaskKind : std::uint8_t { Task, Local, Blocking, BlockOn };
enum class Outcome : std::uint8_t { Done, Cancelled, Exception };
enum class PollEnd : std::uint8_t { Ready, Pending, Yielded, OutOfBudget };
enum class WakeCause : std::uint8_t { Task, Timer, Io, Thread, Blocking, Abort };
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
  Join,
  Timer,
  Io,
  Blocking,
  Waker,
};
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
enum class BranchMode : std::uint8_t { Single, Any, All };

/// What each kind puts into Event's fields; a field that is not named is 0.
enum class EventKind : std::uint8_t {
  None,
  TaskSpawned,   ///< task; other: parent; site: spawn call; detail: TaskKind; extra: frame bytes;
                 ///< text: name; fields: "key=value" texts; value: runtime
  TaskFinished,  ///< task; detail: Outcome; site: spawn call; text: error
  PollStarted,   ///< task; the ring's worker polls it
  PollEnded,     ///< task; detail: PollEnd. Wait events of the same ring follow at the same ticks
  Wait,  ///< task; branch; parent_branch; detail: WaitOp; mode; resource_kind; site: the await;
         ///< other: resource, or task for Join and Blocking; value: deadline (monotonic ns) or fd
  WaitCancelled,  ///< task; branch
  Woken,          ///< task; branch; detail: WakeCause; other: waking task; value: fd or resource
  ResourceRegistered,  ///< other: resource; resource_kind; site; text: name; fields: concrete type;
                       ///< value: parent
  ResourceDropped,     ///< other: resource
  ResourceAcquired,    ///< other: resource; task; detail: 1 = certain; extra: permits
  ResourceReleased,    ///< other: resource; task; extra: permits
  WorkerParked,
  WorkerUnparked,
  WorkerStole,   ///< other: worker stolen from; extra: tasks
  SpanEntered,   ///< task; other: span; text: name; fields
  SpanExited,    ///< task; other: span
  ObservedFrom,  ///< first record of a ring: complete from here on
  Resync,        ///< after a loss; task: the one being polled, 0 for none
};

struct Event {
  EventKind kind = EventKind::None;
  std::uint8_t detail = 0;
  std::uint8_t mode = 0;  ///< BranchMode
  std::uint8_t resource_kind = 0;
  std::uint16_t branch = 0, parent_branch = 0;
  std::uint32_t site = 0;
  std::uint32_t text = 0;    ///< 1 + index into Events::texts; 0: none
  std::uint32_t fields = 0;  ///< 1 + index of the first field text; 0: none
  std::uint32_t field_count = 0;
  std::uint32_t extra = 0;
  std::uint64_t ticks = 0;
  std::uint64_t task = 0;
  std::uint64_t other = 0;
  std::uint64_t value = 0;

  bool operator==(const Event&) const = default;
};

/// A run of events of one ring, oldest first. Across rings nothing is promised.
struct Events {
  std::uint64_t ring = 0;
  std::uint32_t worker = 0;  ///< 0: not a worker's ring
  std::int32_t tid = 0;
  std::string thread_name;
  std::vector<Event> events;
  std::vector<std::string> texts;  ///< of this run only
};

// --- snapshots and samples
// ----------------------------------------------------------------------------

enum class TaskState : std::uint8_t { Idle, Scheduled, Running, Finished };

struct BranchState {
  std::uint16_t branch = 0, parent = 0;
  BranchMode mode = BranchMode::Single;
  WaitOp op = WaitOp::None;
  ResourceKind resource_kind = ResourceKind::Other;
  std::uint64_t other = 0;  ///< resource, or task for Join and Blocking
  std::uint64_t value = 0;  ///< deadline (monotonic ns) or fd
  std::uint32_t site = 0;
  std::vector<std::uint32_t> frames;  ///< await stack as site ids, root first; empty: not asked for
  bool cut = false;
  bool operator==(const BranchState&) const = default;
};

/// A task as the Inspector read it at `ticks`. Readers upsert; the larger poll count wins, then
/// later ticks.
struct TaskSnapshot {
  std::uint64_t ticks = 0;
  std::uint64_t task = 0, parent = 0;
  std::uint32_t runtime = 0;
  TaskKind kind = TaskKind::Task;
  TaskState state = TaskState::Idle;
  std::uint32_t site = 0;
  std::string name;
  std::vector<std::string> fields;  ///< "key=value"
  std::uint32_t frame_bytes = 0;
  std::uint32_t polls = 0, wakers = 0;
  std::uint64_t spawned_ms = 0, last_poll_ms = 0;  ///< CLOCK_MONOTONIC, about
  std::vector<BranchState> branches;
  bool has_stacks = false;
  bool operator==(const TaskSnapshot&) const = default;
};

struct HolderState {
  std::uint64_t task = 0;
  bool certain = false;
  std::uint32_t permits = 1;
  std::string role;
  bool operator==(const HolderState&) const = default;
};
struct AttributeState {
  std::string name, unit;
  std::uint64_t value = 0;
  bool operator==(const AttributeState&) const = default;
};

struct ResourceSnapshot {
  std::uint64_t ticks = 0;
  std::uint64_t resource = 0, parent = 0;
  ResourceKind kind = ResourceKind::Other;
  std::string concrete_type, name;
  std::uint32_t site = 0;
  std::uint32_t waiters = 0;
  std::vector<HolderState> holders;
  std::vector<AttributeState> attributes;
  bool operator==(const ResourceSnapshot&) const = default;
};

/// A piece of a walk over the living. `last` ends it: what is older than `begin_ticks` and was not
/// named is gone.
struct Snapshot {
  std::uint64_t id = 0;  ///< counts up
  std::uint64_t begin_ticks = 0;
  bool last = false;
  bool has_waits = false, has_stacks = false;
  std::vector<TaskSnapshot> tasks;
  std::vector<ResourceSnapshot> resources;
};

constexpr int kWheelLevels = 6;

/// A worker at `ticks`. Counters count since the worker started.
struct WorkerSample {
  std::uint32_t worker = 0, runtime = 0, index = 0;
  std::int32_t tid = 0;
  std::uint64_t current_task = 0, poll_sequence = 0;
  bool parked = false;
  std::uint32_t queue_depth = 0;
  std::uint32_t wheel[kWheelLevels] = {};
  std::uint64_t busy_ns = 0, polls = 0, parks = 0, noops = 0, steals = 0, steal_operations = 0;
  std::uint64_t local_schedules = 0, overflows = 0, budget_yields = 0, timers_fired = 0,
                timers_late = 0;
  std::uint64_t late_max_ns = 0;
  /// How long its thread stood in the kernel's run queue: ready, and without a processor.
  std::uint64_t unscheduled_ns = 0;
  bool operator==(const WorkerSample&) const = default;
};

struct RuntimeSample {
  std::uint32_t runtime = 0, workers = 0;
  std::uint64_t live_tasks = 0, spawned_tasks = 0;
  std::uint32_t injection_depth = 0;
  std::uint64_t remote_schedules = 0;
  std::uint32_t blocking_threads = 0, blocking_idle = 0, blocking_queue = 0;
  std::uint64_t io_registrations = 0, io_readiness = 0;
  bool operator==(const RuntimeSample&) const = default;
};

/// What watching costs the target, cumulative since the first consumer came.
struct CostSample {
  std::uint64_t events = 0, bytes = 0;  ///< recorded; sent
  std::uint64_t lost_events = 0;
  std::uint64_t collector_cpu_ns = 0;
  std::uint64_t ring_bytes = 0;  ///< memory of all rings
  std::uint64_t delay_ns = 0;    ///< age of the oldest event when it was packed
  bool operator==(const CostSample&) const = default;
};

struct Samples {
  std::uint64_t ticks = 0;
  std::vector<WorkerSample> workers;
  std::vector<RuntimeSample> runtimes;
  std::optional<CostSample> cost;
};

struct NativeFrame {
  std::uint64_t address = 0;  ///< of the next instruction; in callers it follows a call
  std::uint32_t module = 0;   ///< id; 0: no file's code
  /// Found by searching the stack for return addresses: it may be left from an earlier call.
  bool guessed = false;
  bool operator==(const NativeFrame&) const = default;
};

/// Where a poll is that has not come back for a while. Taken while it runs, a few times a poll.
struct NativeStack {
  std::uint64_t ticks = 0;        ///< of the reading
  std::uint64_t since_ticks = 0;  ///< first seen in this poll; it began at most a sample earlier
  std::uint64_t task = 0;
  std::uint32_t worker = 0;
  std::int32_t tid = 0;
  std::uint64_t poll_sequence = 0;
  bool in_kernel = false;           ///< in a system call
  std::string system_call;          ///< its name, or its number
  std::vector<NativeFrame> frames;  ///< leaf first
  bool cut = false;                 ///< callers are missing
  std::string problem;              ///< why there is no stack; empty: there is
  bool operator==(const NativeStack&) const = default;
};

/// The target ends the stream on purpose (exit, or the consumer was refused). Absent when it was
/// killed.
struct Goodbye {
  std::string reason;  ///< a sentence for the user
};

using Update = std::variant<Process, std::vector<Site>, ClockPoint, Loss, Events, Snapshot, Samples,
                            Goodbye, std::vector<Module>, NativeStack, std::vector<Symbol>>;

// --- what a consumer says
// -----------------------------------------------------------------------------

/// First message of a consumer. The target answers with Process and the definitions, or with
/// Goodbye.
struct Hello {
  std::uint32_t major = kMajorVersion, minor = kMinorVersion;
  std::string program;  ///< "taskscope 0.1.0"
  bool probe = false;   ///< only wants Process, then hangs up: `taskscope list`
};

/// What the consumer wants from now on. Bits as in runtime/observe/observer.h: 1 Task, 2 Poll, 4
/// Wait, 8 Wake, 16 Resource, 32 Worker, 64 Span.
struct Subscribe {
  std::uint32_t events = 0x7f;
  std::uint32_t sample_every_ms = 100;
  /// How often the living are walked with stacks on the target's own initiative; 0: only on
  /// request.
  std::uint32_t stacks_every_ms = 0;
};

/// Asks for a walk. `task` 0 means all.
struct RequestSnapshot {
  bool waits = true, stacks = false;
  std::uint64_t task = 0;
};

using Request = std::variant<Hello, Subscribe, RequestSnapshot>;

}  // namespace taskscope::protocol
