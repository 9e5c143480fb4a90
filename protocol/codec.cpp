#include "taskscope/protocol/codec.h"

#include <algorithm>

#include "taskscope/protocol/events_codec.h"
#include "taskscope/protocol/pack.h"
#include "taskscope_wire/request.pb.h"
#include "taskscope_wire/update.pb.h"

namespace taskscope::protocol {
namespace {

using detail::append_signed;
using detail::append_text;
using detail::append_varint;
using detail::Unpacker;

/// Limit of bodies that are one protobuf message through and through: an empty message inside takes
/// two bytes to write and a hundred to hold.
constexpr std::size_t kMaxMessageBytes = 4u << 20;

Error malformed(const char* what) { return {ErrorCode::Malformed, what}; }
Error too_large(const char* what) { return {ErrorCode::TooLarge, what}; }

std::string cut(std::string_view text) { return std::string(text.substr(0, kMaxTextBytes)); }
void append_cut(std::string& out, std::string_view text) {
  append_text(out, text.substr(0, kMaxTextBytes));
}

Result<Bytes> pack(ChunkKind kind, std::uint64_t sequence, std::uint64_t first_ticks,
                   std::uint64_t last_ticks, const google::protobuf::MessageLite& message) {
  if (message.ByteSizeLong() > kMaxMessageBytes)
    return too_large("the update does not fit into one chunk");
  ChunkHeader header;
  header.kind = kind;
  header.sequence = sequence;
  header.first_ticks = first_ticks;
  header.last_ticks = last_ticks;
  return make_chunk(header, message.SerializeAsString());
}

template <class Message>
Result<Message> parse(BytesView body, const char* what) {
  if (body.size() > kMaxMessageBytes) return too_large("the update is larger than allowed");
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return malformed(what);
  return message;
}

// --- definitions

Result<Update> decode_process(BytesView body) {
  const auto message = parse<wire::v1::Process>(body, "the process can't be read");
  if (!message) return message.error();
  Process process;
  process.pid = message->pid();
  process.start_time = message->start_time();
  process.name = message->name();
  process.command_line = message->command_line();
  process.executable = message->executable();
  process.build_id = message->build_id();
  process.host = message->host();
  process.taskscope_version = message->taskscope_version();
  process.wall_ns = message->wall_ns();
  process.ticks_are_tsc = message->ticks_are_tsc();
  return Update(std::move(process));
}

Result<Update> decode_sites(BytesView body) {
  const auto message = parse<wire::v1::Sites>(body, "the call sites can't be read");
  if (!message) return message.error();
  std::vector<Site> sites;
  sites.reserve(static_cast<std::size_t>(message->sites_size()));
  for (const auto& from : message->sites()) {
    Site& site = sites.emplace_back();
    site.id = from.id();
    site.file = from.file();
    site.function = from.function();
    site.line = from.line();
    site.column = from.column();
  }
  return Update(std::move(sites));
}

Result<Update> decode_clock_point(BytesView body) {
  const auto message = parse<wire::v1::ClockPoint>(body, "the clock reading can't be read");
  if (!message) return message.error();
  return Update(ClockPoint{message->ticks(), message->monotonic_ns(), message->wall_ns()});
}

Result<Update> decode_loss(BytesView body) {
  const auto message = parse<wire::v1::Loss>(body, "the loss record can't be read");
  if (!message) return message.error();
  Loss loss;
  loss.producer = message->producer();
  loss.cause = static_cast<LossCause>(message->cause());
  loss.events = message->events();
  loss.chunks = message->chunks();
  loss.from_ticks = message->from_ticks();
  loss.to_ticks = message->to_ticks();
  loss.spawns = message->spawns();
  loss.polls = message->polls();
  loss.wakes = message->wakes();
  return Update(loss);
}

// --- snapshots: rows, see schema/update.proto

void append_row(std::string& out, std::string& row) {
  append_text(out, row);
  row.clear();
}

void pack_branch(std::string& row, const BranchState& branch) {
  append_varint(row, branch.branch);
  append_varint(row, branch.parent);
  append_varint(row, static_cast<std::uint8_t>(branch.mode));
  append_varint(row, static_cast<std::uint8_t>(branch.op));
  append_varint(row, static_cast<std::uint8_t>(branch.resource_kind));
  append_varint(row, branch.other);
  append_varint(row, branch.value);
  append_varint(row, branch.site);
  append_varint(row, branch.cut ? 1 : 0);
  append_varint(row, branch.frames.size());
  for (const auto frame : branch.frames) append_varint(row, frame);
}

BranchState unpack_branch(Unpacker row) {
  BranchState branch;
  branch.branch = static_cast<std::uint16_t>(row.varint_or_0());
  branch.parent = static_cast<std::uint16_t>(row.varint_or_0());
  branch.mode = static_cast<BranchMode>(row.varint_or_0());
  branch.op = static_cast<WaitOp>(row.varint_or_0());
  branch.resource_kind = static_cast<ResourceKind>(row.varint_or_0());
  branch.other = row.varint_or_0();
  branch.value = row.varint_or_0();
  branch.site = static_cast<std::uint32_t>(row.varint_or_0());
  branch.cut = (row.varint_or_0() & 1) != 0;
  branch.frames.resize(row.count());
  for (auto& frame : branch.frames) frame = static_cast<std::uint32_t>(row.varint());
  return branch;
}

/// Fields, branches, holders and attributes in one snapshot: a hostile one takes a byte to write
/// and fifty to hold.
constexpr std::size_t kMaxSnapshotItems = 1u << 20;

class ItemLimit {
 public:
  /// False: too many by now.
  bool take(std::size_t items) noexcept {
    taken_ += items;
    return taken_ <= kMaxSnapshotItems;
  }

 private:
  std::size_t taken_ = 0;
};

struct TaskRows {
  explicit TaskRows(std::uint64_t begin, ItemLimit& limit) : begin_ticks(begin), items(limit) {}

  std::uint64_t begin_ticks;
  ItemLimit& items;
  std::uint64_t last_task = 0;
  std::string row, inner;

  bool pack(std::string& out, const TaskSnapshot& task) {
    if (!items.take(task.fields.size()) || !items.take(task.branches.size())) return false;
    append_signed(row, task.ticks - begin_ticks);
    append_signed(row, task.task - last_task);
    last_task = task.task;
    append_varint(row, task.parent);
    append_varint(row, task.runtime);
    append_varint(row, static_cast<std::uint8_t>(task.kind));
    append_varint(row, static_cast<std::uint8_t>(task.state));
    append_varint(row, task.site);
    append_varint(row, task.frame_bytes);
    append_varint(row, task.polls);
    append_varint(row, task.wakers);
    append_varint(row, task.spawned_ms);
    append_varint(row, task.last_poll_ms);
    append_varint(row, task.has_stacks ? 1 : 0);
    append_cut(row, task.name);
    append_varint(row, task.fields.size());
    for (const auto& field : task.fields) append_cut(row, field);
    append_varint(row, task.branches.size());
    for (const auto& branch : task.branches) {
      pack_branch(inner, branch);
      append_row(row, inner);
    }
    append_row(out, row);
    return true;
  }

  bool unpack(Unpacker in, TaskSnapshot& task) {
    task.ticks = begin_ticks + in.signed_difference();
    task.task = last_task += in.signed_difference();
    task.parent = in.varint_or_0();
    task.runtime = static_cast<std::uint32_t>(in.varint_or_0());
    task.kind = static_cast<TaskKind>(in.varint_or_0());
    task.state = static_cast<TaskState>(in.varint_or_0());
    task.site = static_cast<std::uint32_t>(in.varint_or_0());
    task.frame_bytes = static_cast<std::uint32_t>(in.varint_or_0());
    task.polls = static_cast<std::uint32_t>(in.varint_or_0());
    task.wakers = static_cast<std::uint32_t>(in.varint_or_0());
    task.spawned_ms = in.varint_or_0();
    task.last_poll_ms = in.varint_or_0();
    task.has_stacks = (in.varint_or_0() & 1) != 0;
    task.name = in.text_or_empty();
    const auto fields = in.count();
    if (!items.take(fields)) return false;
    for (auto left = fields; left > 0; --left) task.fields.emplace_back(in.text());
    const auto branches = in.count();
    if (!items.take(branches)) return false;
    for (auto left = branches; left > 0 && !in.failed(); --left)
      task.branches.push_back(unpack_branch(in.row()));
    return !in.failed();
  }
};

struct ResourceRows {
  explicit ResourceRows(std::uint64_t begin, ItemLimit& limit) : begin_ticks(begin), items(limit) {}

  std::uint64_t begin_ticks;
  ItemLimit& items;
  std::uint64_t last_resource = 0;
  std::string row, inner;

  bool pack(std::string& out, const ResourceSnapshot& resource) {
    if (!items.take(resource.holders.size()) || !items.take(resource.attributes.size()))
      return false;
    append_signed(row, resource.ticks - begin_ticks);
    append_signed(row, resource.resource - last_resource);
    last_resource = resource.resource;
    append_varint(row, resource.parent);
    append_varint(row, static_cast<std::uint8_t>(resource.kind));
    append_varint(row, resource.site);
    append_varint(row, resource.waiters);
    append_cut(row, resource.concrete_type);
    append_cut(row, resource.name);
    append_varint(row, resource.holders.size());
    for (const auto& holder : resource.holders) {
      append_varint(inner, holder.task);
      append_varint(inner, holder.certain ? 1 : 0);
      append_varint(inner, holder.permits);
      append_cut(inner, holder.role);
      append_row(row, inner);
    }
    append_varint(row, resource.attributes.size());
    for (const auto& attribute : resource.attributes) {
      append_varint(inner, attribute.value);
      append_cut(inner, attribute.name);
      append_cut(inner, attribute.unit);
      append_row(row, inner);
    }
    append_row(out, row);
    return true;
  }

  bool unpack(Unpacker in, ResourceSnapshot& resource) {
    resource.ticks = begin_ticks + in.signed_difference();
    resource.resource = last_resource += in.signed_difference();
    resource.parent = in.varint_or_0();
    resource.kind = static_cast<ResourceKind>(in.varint_or_0());
    resource.site = static_cast<std::uint32_t>(in.varint_or_0());
    resource.waiters = static_cast<std::uint32_t>(in.varint_or_0());
    resource.concrete_type = in.text_or_empty();
    resource.name = in.text_or_empty();
    const auto holders = in.count();
    if (!items.take(holders)) return false;
    for (auto left = holders; left > 0 && !in.failed(); --left) {
      Unpacker from = in.row();
      HolderState& holder = resource.holders.emplace_back();
      holder.task = from.varint_or_0();
      holder.certain = (from.varint_or_0() & 1) != 0;
      holder.permits = static_cast<std::uint32_t>(from.varint_or_0());
      holder.role = from.text_or_empty();
    }
    const auto attributes = in.count();
    if (!items.take(attributes)) return false;
    for (auto left = attributes; left > 0 && !in.failed(); --left) {
      Unpacker from = in.row();
      AttributeState& attribute = resource.attributes.emplace_back();
      attribute.value = from.varint_or_0();
      attribute.name = from.text_or_empty();
      attribute.unit = from.text_or_empty();
    }
    return !in.failed();
  }
};

Result<Update> decode_snapshot(BytesView body) {
  wire::v1::Snapshot message;  // two columns of bytes: nothing that multiplies
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return malformed("the snapshot can't be read");
  Snapshot snapshot;
  snapshot.id = message.id();
  snapshot.begin_ticks = message.begin_ticks();
  snapshot.last = message.last();
  snapshot.has_waits = message.has_waits();
  snapshot.has_stacks = message.has_stacks();
  ItemLimit items;
  TaskRows task_rows(snapshot.begin_ticks, items);
  for (Unpacker in(message.tasks()); !in.at_end();) {
    if (snapshot.tasks.size() == kMaxSnapshotRows) return too_large("too many tasks in a chunk");
    const Unpacker row = in.row();
    if (in.failed() || !task_rows.unpack(row, snapshot.tasks.emplace_back()))
      return malformed("a task of the snapshot can't be read");
  }
  ResourceRows resource_rows(snapshot.begin_ticks, items);
  for (Unpacker in(message.resources()); !in.at_end();) {
    if (snapshot.resources.size() == kMaxSnapshotRows)
      return too_large("too many resources in a chunk");
    const Unpacker row = in.row();
    if (in.failed() || !resource_rows.unpack(row, snapshot.resources.emplace_back()))
      return malformed("a resource of the snapshot can't be read");
  }
  return Update(std::move(snapshot));
}

// --- samples

void pack(const WorkerSample& from, wire::v1::WorkerSample& to) {
  to.set_worker(from.worker);
  to.set_runtime(from.runtime);
  to.set_index(from.index);
  to.set_tid(from.tid);
  to.set_current_task(from.current_task);
  to.set_poll_sequence(from.poll_sequence);
  to.set_parked(from.parked);
  to.set_queue_depth(from.queue_depth);
  for (const auto level : from.wheel) to.add_wheel(level);
  to.set_busy_ns(from.busy_ns);
  to.set_polls(from.polls);
  to.set_parks(from.parks);
  to.set_noops(from.noops);
  to.set_steals(from.steals);
  to.set_steal_operations(from.steal_operations);
  to.set_local_schedules(from.local_schedules);
  to.set_overflows(from.overflows);
  to.set_budget_yields(from.budget_yields);
  to.set_timers_fired(from.timers_fired);
  to.set_timers_late(from.timers_late);
  to.set_late_max_ns(from.late_max_ns);
  to.set_unscheduled_ns(from.unscheduled_ns);
}

WorkerSample unpack(const wire::v1::WorkerSample& from) {
  WorkerSample to;
  to.worker = from.worker();
  to.runtime = from.runtime();
  to.index = from.index();
  to.tid = from.tid();
  to.current_task = from.current_task();
  to.poll_sequence = from.poll_sequence();
  to.parked = from.parked();
  to.queue_depth = from.queue_depth();
  const int levels = std::min(from.wheel_size(), kWheelLevels);
  for (int level = 0; level < levels; ++level) to.wheel[level] = from.wheel(level);
  to.busy_ns = from.busy_ns();
  to.polls = from.polls();
  to.parks = from.parks();
  to.noops = from.noops();
  to.steals = from.steals();
  to.steal_operations = from.steal_operations();
  to.local_schedules = from.local_schedules();
  to.overflows = from.overflows();
  to.budget_yields = from.budget_yields();
  to.timers_fired = from.timers_fired();
  to.timers_late = from.timers_late();
  to.late_max_ns = from.late_max_ns();
  to.unscheduled_ns = from.unscheduled_ns();
  return to;
}

void pack(const RuntimeSample& from, wire::v1::RuntimeSample& to) {
  to.set_runtime(from.runtime);
  to.set_workers(from.workers);
  to.set_live_tasks(from.live_tasks);
  to.set_spawned_tasks(from.spawned_tasks);
  to.set_injection_depth(from.injection_depth);
  to.set_remote_schedules(from.remote_schedules);
  to.set_blocking_threads(from.blocking_threads);
  to.set_blocking_idle(from.blocking_idle);
  to.set_blocking_queue(from.blocking_queue);
  to.set_io_registrations(from.io_registrations);
  to.set_io_readiness(from.io_readiness);
}

RuntimeSample unpack(const wire::v1::RuntimeSample& from) {
  RuntimeSample to;
  to.runtime = from.runtime();
  to.workers = from.workers();
  to.live_tasks = from.live_tasks();
  to.spawned_tasks = from.spawned_tasks();
  to.injection_depth = from.injection_depth();
  to.remote_schedules = from.remote_schedules();
  to.blocking_threads = from.blocking_threads();
  to.blocking_idle = from.blocking_idle();
  to.blocking_queue = from.blocking_queue();
  to.io_registrations = from.io_registrations();
  to.io_readiness = from.io_readiness();
  return to;
}

Result<Update> decode_samples(BytesView body) {
  const auto message = parse<wire::v1::Samples>(body, "the samples can't be read");
  if (!message) return message.error();
  Samples samples;
  samples.ticks = message->ticks();
  for (const auto& worker : message->workers()) samples.workers.push_back(unpack(worker));
  for (const auto& runtime : message->runtimes()) samples.runtimes.push_back(unpack(runtime));
  if (message->has_cost()) {
    const auto& cost = message->cost();
    samples.cost = CostSample{cost.events(),           cost.bytes(),      cost.lost_events(),
                              cost.collector_cpu_ns(), cost.ring_bytes(), cost.delay_ns()};
  }
  return Update(std::move(samples));
}

Result<Update> decode_goodbye(BytesView body) {
  const auto message = parse<wire::v1::Goodbye>(body, "the goodbye can't be read");
  if (!message) return message.error();
  return Update(Goodbye{message->reason()});
}

// --- native stacks

constexpr std::size_t kMaxLines = 64;  // of one symbol: calls inlined into each other

Result<Update> decode_modules(BytesView body) {
  const auto message = parse<wire::v1::Modules>(body, "the modules can't be read");
  if (!message) return message.error();
  if (static_cast<std::size_t>(message->modules_size()) > kMaxModules)
    return too_large("too many modules in one chunk");
  std::vector<Module> modules;
  modules.reserve(static_cast<std::size_t>(message->modules_size()));
  for (const auto& from : message->modules()) {
    Module& module = modules.emplace_back();
    module.id = from.id();
    module.begin = from.begin();
    module.end = from.end();
    module.bias = from.bias();
    module.path = from.path();
    module.build_id = from.build_id();
  }
  return Update(std::move(modules));
}

Result<Update> decode_native_stack(BytesView body) {
  const auto message = parse<wire::v1::NativeStack>(body, "the native stack can't be read");
  if (!message) return message.error();
  const int frames = message->addresses_size();
  if (static_cast<std::size_t>(frames) > kMaxNativeFrames)
    return too_large("too many frames in one native stack");
  NativeStack stack;
  stack.ticks = message->ticks();
  stack.since_ticks = message->since_ticks();
  stack.task = message->task();
  stack.worker = message->worker();
  stack.tid = message->tid();
  stack.poll_sequence = message->poll_sequence();
  stack.in_kernel = message->in_kernel();
  stack.system_call = message->system_call();
  stack.cut = message->cut();
  stack.problem = message->problem();
  stack.frames.resize(static_cast<std::size_t>(frames));
  for (int i = 0; i < frames; ++i) {
    NativeFrame& frame = stack.frames[static_cast<std::size_t>(i)];
    frame.address = message->addresses(i);
    if (i < message->modules_size()) frame.module = message->modules(i);
    if (i < message->guessed_size()) frame.guessed = message->guessed(i);
  }
  return Update(std::move(stack));
}

Result<Update> decode_symbols(BytesView body) {
  const auto message = parse<wire::v1::Symbols>(body, "the symbols can't be read");
  if (!message) return message.error();
  if (static_cast<std::size_t>(message->symbols_size()) > kMaxSymbols)
    return too_large("too many symbols in one chunk");
  std::vector<Symbol> symbols;
  symbols.reserve(static_cast<std::size_t>(message->symbols_size()));
  for (const auto& from : message->symbols()) {
    if (static_cast<std::size_t>(from.lines_size()) > kMaxLines)
      return too_large("too many lines for one address");
    Symbol& symbol = symbols.emplace_back();
    symbol.module = from.module();
    symbol.offset = from.offset();
    for (const auto& line : from.lines())
      symbol.lines.push_back({line.function(), line.file(), line.line()});
  }
  return Update(std::move(symbols));
}

}  // namespace

Result<Bytes> encode(const Update& update, std::uint64_t sequence) {
  return std::visit([&](const auto& alternative) { return encode(alternative, sequence); }, update);
}

Result<Bytes> encode(const Process& process, std::uint64_t sequence) {
  wire::v1::Process message;
  message.set_pid(process.pid);
  message.set_start_time(process.start_time);
  message.set_name(cut(process.name));
  message.set_command_line(cut(process.command_line));
  message.set_executable(cut(process.executable));
  message.set_build_id(cut(process.build_id));
  message.set_host(cut(process.host));
  message.set_taskscope_version(cut(process.taskscope_version));
  message.set_wall_ns(process.wall_ns);
  message.set_ticks_are_tsc(process.ticks_are_tsc);
  return pack(ChunkKind::Process, sequence, 0, 0, message);
}

Result<Bytes> encode(const std::vector<Site>& sites, std::uint64_t sequence) {
  wire::v1::Sites message;
  for (const Site& from : sites) {
    auto& site = *message.add_sites();
    site.set_id(from.id);
    site.set_file(cut(from.file));
    site.set_function(cut(from.function));
    site.set_line(from.line);
    site.set_column(from.column);
  }
  return pack(ChunkKind::Sites, sequence, 0, 0, message);
}

Result<Bytes> encode(const ClockPoint& point, std::uint64_t sequence) {
  wire::v1::ClockPoint message;
  message.set_ticks(point.ticks);
  message.set_monotonic_ns(point.monotonic_ns);
  message.set_wall_ns(point.wall_ns);
  return pack(ChunkKind::ClockPoint, sequence, point.ticks, point.ticks, message);
}

Result<Bytes> encode(const Loss& loss, std::uint64_t sequence) {
  wire::v1::Loss message;
  message.set_producer(loss.producer);
  message.set_cause(static_cast<std::uint8_t>(loss.cause));
  message.set_events(loss.events);
  message.set_chunks(loss.chunks);
  message.set_from_ticks(loss.from_ticks);
  message.set_to_ticks(loss.to_ticks);
  message.set_spawns(loss.spawns);
  message.set_polls(loss.polls);
  message.set_wakes(loss.wakes);
  return pack(ChunkKind::Loss, sequence, loss.from_ticks, loss.to_ticks, message);
}

Result<Bytes> encode(const Snapshot& snapshot, std::uint64_t sequence) {
  if (snapshot.tasks.size() > kMaxSnapshotRows || snapshot.resources.size() > kMaxSnapshotRows)
    return too_large("too many tasks or resources for one chunk");
  wire::v1::Snapshot message;
  message.set_id(snapshot.id);
  message.set_begin_ticks(snapshot.begin_ticks);
  message.set_last(snapshot.last);
  message.set_has_waits(snapshot.has_waits);
  message.set_has_stacks(snapshot.has_stacks);
  ChunkHeader header;
  header.kind = ChunkKind::Snapshot;
  header.sequence = sequence;
  header.first_ticks = header.last_ticks = snapshot.begin_ticks;
  ItemLimit items;
  TaskRows task_rows(snapshot.begin_ticks, items);
  for (const auto& task : snapshot.tasks) {
    if (!task_rows.pack(*message.mutable_tasks(), task))
      return too_large("too many branches and fields for one chunk");
    header.last_ticks = std::max(header.last_ticks, task.ticks);
  }
  ResourceRows resource_rows(snapshot.begin_ticks, items);
  for (const auto& resource : snapshot.resources) {
    if (!resource_rows.pack(*message.mutable_resources(), resource))
      return too_large("too many holders and attributes for one chunk");
    header.last_ticks = std::max(header.last_ticks, resource.ticks);
  }
  return make_chunk(header, message.SerializeAsString());
}

Result<Bytes> encode(const Samples& samples, std::uint64_t sequence) {
  wire::v1::Samples message;
  message.set_ticks(samples.ticks);
  for (const auto& worker : samples.workers) pack(worker, *message.add_workers());
  for (const auto& runtime : samples.runtimes) pack(runtime, *message.add_runtimes());
  if (samples.cost) {
    auto& cost = *message.mutable_cost();
    cost.set_events(samples.cost->events);
    cost.set_bytes(samples.cost->bytes);
    cost.set_lost_events(samples.cost->lost_events);
    cost.set_collector_cpu_ns(samples.cost->collector_cpu_ns);
    cost.set_ring_bytes(samples.cost->ring_bytes);
    cost.set_delay_ns(samples.cost->delay_ns);
  }
  return pack(ChunkKind::Samples, sequence, samples.ticks, samples.ticks, message);
}

Result<Bytes> encode(const Goodbye& goodbye, std::uint64_t sequence) {
  wire::v1::Goodbye message;
  message.set_reason(cut(goodbye.reason));
  return pack(ChunkKind::Goodbye, sequence, 0, 0, message);
}

Result<Bytes> encode(const std::vector<Module>& modules, std::uint64_t sequence) {
  if (modules.size() > kMaxModules) return too_large("too many modules for one chunk");
  wire::v1::Modules message;
  for (const Module& from : modules) {
    auto& module = *message.add_modules();
    module.set_id(from.id);
    module.set_begin(from.begin);
    module.set_end(from.end);
    module.set_bias(from.bias);
    module.set_path(cut(from.path));
    module.set_build_id(cut(from.build_id));
  }
  return pack(ChunkKind::Modules, sequence, 0, 0, message);
}

Result<Bytes> encode(const NativeStack& stack, std::uint64_t sequence) {
  if (stack.frames.size() > kMaxNativeFrames) return too_large("too many frames for one chunk");
  wire::v1::NativeStack message;
  message.set_ticks(stack.ticks);
  message.set_since_ticks(stack.since_ticks);
  message.set_task(stack.task);
  message.set_worker(stack.worker);
  message.set_tid(stack.tid);
  message.set_poll_sequence(stack.poll_sequence);
  message.set_in_kernel(stack.in_kernel);
  message.set_system_call(cut(stack.system_call));
  message.set_cut(stack.cut);
  message.set_problem(cut(stack.problem));
  for (const NativeFrame& frame : stack.frames) {
    message.add_addresses(frame.address);
    message.add_modules(frame.module);
    message.add_guessed(frame.guessed);
  }
  return pack(ChunkKind::NativeStack, sequence, stack.ticks, stack.ticks, message);
}

Result<Bytes> encode(const std::vector<Symbol>& symbols, std::uint64_t sequence) {
  if (symbols.size() > kMaxSymbols) return too_large("too many symbols for one chunk");
  wire::v1::Symbols message;
  for (const Symbol& from : symbols) {
    if (from.lines.size() > kMaxLines) return too_large("too many lines for one address");
    auto& symbol = *message.add_symbols();
    symbol.set_module(from.module);
    symbol.set_offset(from.offset);
    for (const SymbolLine& from_line : from.lines) {
      auto& line = *symbol.add_lines();
      line.set_function(cut(from_line.function));
      line.set_file(cut(from_line.file));
      line.set_line(from_line.line);
    }
  }
  return pack(ChunkKind::Symbols, sequence, 0, 0, message);
}

Result<Update> decode(BytesView bytes) {
  const auto chunk = parse_chunk(bytes);
  if (!chunk) return chunk.error();
  return decode(*chunk);
}

Result<Update> decode(const ChunkView& chunk) {
  if (chunk.header.kind == ChunkKind::Events) {
    Update update{std::in_place_type<Events>};
    const auto done = decode_events(chunk, std::get<Events>(update));
    if (!done) return done.error();
    return update;
  }
  Bytes storage;
  const auto body = plain_body(chunk, storage);
  if (!body) return body.error();
  switch (chunk.header.kind) {
    case ChunkKind::Process:
      return decode_process(*body);
    case ChunkKind::Sites:
      return decode_sites(*body);
    case ChunkKind::ClockPoint:
      return decode_clock_point(*body);
    case ChunkKind::Loss:
      return decode_loss(*body);
    case ChunkKind::Snapshot:
      return decode_snapshot(*body);
    case ChunkKind::Samples:
      return decode_samples(*body);
    case ChunkKind::Goodbye:
      return decode_goodbye(*body);
    case ChunkKind::Modules:
      return decode_modules(*body);
    case ChunkKind::NativeStack:
      return decode_native_stack(*body);
    case ChunkKind::Symbols:
      return decode_symbols(*body);
    default:
      return Error{ErrorCode::UnknownKind, "the chunk holds something this version does not know"};
  }
}

Result<Done> decode_events(const ChunkView& chunk, Events& out) {
  if (chunk.header.kind != ChunkKind::Events)
    return Error{ErrorCode::UnknownKind, "the chunk holds no events"};
  Bytes storage;
  const auto body = plain_body(chunk, storage);
  if (!body) return body.error();
  auto done = detail::decode_events_body(*body, out);
  if (done && out.events.size() != chunk.header.events)
    return malformed("the chunk holds another number of events than its header says");
  return done;
}

Result<Bytes> encode_request(const Request& request, std::uint64_t sequence) {
  if (const auto* hello = std::get_if<Hello>(&request)) {
    wire::v1::Hello message;
    message.set_major(hello->major);
    message.set_minor(hello->minor);
    message.set_program(cut(hello->program));
    message.set_probe(hello->probe);
    return pack(ChunkKind::Hello, sequence, 0, 0, message);
  }
  if (const auto* subscribe = std::get_if<Subscribe>(&request)) {
    wire::v1::Subscribe message;
    message.set_events(subscribe->events);
    message.set_sample_every_ms(subscribe->sample_every_ms);
    message.set_stacks_every_ms(subscribe->stacks_every_ms);
    return pack(ChunkKind::Subscribe, sequence, 0, 0, message);
  }
  const auto& wish = std::get<RequestSnapshot>(request);
  wire::v1::RequestSnapshot message;
  message.set_waits(wish.waits);
  message.set_stacks(wish.stacks);
  message.set_task(wish.task);
  return pack(ChunkKind::RequestSnapshot, sequence, 0, 0, message);
}

Result<Request> decode_request(const ChunkView& chunk) {
  Bytes storage;
  const auto body = plain_body(chunk, storage);
  if (!body) return body.error();
  switch (chunk.header.kind) {
    case ChunkKind::Hello: {
      const auto message = parse<wire::v1::Hello>(*body, "the greeting can't be read");
      if (!message) return message.error();
      return Request(
          Hello{message->major(), message->minor(), message->program(), message->probe()});
    }
    case ChunkKind::Subscribe: {
      const auto message = parse<wire::v1::Subscribe>(*body, "the subscription can't be read");
      if (!message) return message.error();
      return Request(
          Subscribe{message->events(), message->sample_every_ms(), message->stacks_every_ms()});
    }
    case ChunkKind::RequestSnapshot: {
      const auto message = parse<wire::v1::RequestSnapshot>(*body, "the request can't be read");
      if (!message) return message.error();
      return Request(RequestSnapshot{message->waits(), message->stacks(), message->task()});
    }
    default:
      return Error{ErrorCode::UnknownKind, "the chunk holds a request this version does not know"};
  }
}

}  // namespace taskscope::protocol
