/// Records what happens, on the thread where it happens: the way in for our runtime and for
/// adapters of other runtimes.
///
/// A call packs one record into the ring of the calling thread. It never waits, allocates, locks or
/// throws; where the ring is full, or the thread has none, the record is dropped and counted. Ask
/// `wants()` first: it costs a load and a bit test, and nothing more is due while nobody watches.
///
///     if (recorder::wants(Event::Poll)) recorder::poll_started(task, worker, read_ticks());
///
/// Ids are the caller's: never 0, below 2^48, never used again in this process, and, for adapters,
/// not those of our runtime. Strings and spans are copied (256 bytes a string, 16 fields).
/// Any thread may call; a task may move between threads, but its poll starts and ends on one.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "taskscope/instrumentation/producer.h"
#include "taskscope/instrumentation/site_table.h"
#include "taskscope/instrumentation/unit.h"
#include "taskscope/runtime/observe/facts.h"
#include "taskscope/runtime/observe/observer.h"

namespace taskscope::instrumentation::recorder {

using runtime::observe::BranchId;
using runtime::observe::Event;
using runtime::observe::Field;
using runtime::observe::Holder;
using runtime::observe::PollEnd;
using runtime::observe::ResourceId;
using runtime::observe::ResourceRegistered;
using runtime::observe::SpanId;
using runtime::observe::TaskFinished;
using runtime::observe::TaskId;
using runtime::observe::TaskSpawned;
using runtime::observe::Ticks;
using runtime::observe::Wait;
using runtime::observe::wants;
using runtime::observe::Woken;
using runtime::observe::WorkerId;

void task_spawned(const TaskSpawned& spawned, Ticks now) noexcept;
void task_finished(const TaskFinished& finished, Ticks now) noexcept;

/// `worker` None: a thread that is no worker polls.
void poll_started(TaskId task, WorkerId worker, Ticks now) noexcept;
/// Ends the poll running on this thread. `waits` say what a Pending end waits for (512 at most).
void poll_ended(TaskId task, Ticks now, PollEnd end, std::span<const Wait> waits) noexcept;
/// A wait that was not known when the poll ended.
void waits_on(TaskId task, const Wait& wait, Ticks now) noexcept;
/// A wait ended without a poll; the others end with the next poll of the task.
void wait_cancelled(TaskId task, BranchId branch, Ticks now) noexcept;
void woken(const Woken& woken, Ticks now) noexcept;

void resource_registered(const ResourceRegistered& resource, Ticks now) noexcept;
void resource_dropped(ResourceId resource, Ticks now) noexcept;
void resource_acquired(ResourceId resource, const Holder& holder, Ticks now) noexcept;
void resource_released(ResourceId resource, const Holder& holder, Ticks now) noexcept;

void worker_parked(WorkerId worker, Ticks now) noexcept;
void worker_unparked(WorkerId worker, Ticks now) noexcept;
void worker_stole(WorkerId thief, WorkerId from, std::uint32_t tasks, Ticks now) noexcept;

void span_entered(SpanId span, TaskId task, std::string_view name, std::span<const Field> fields,
                  Ticks now) noexcept;
void span_exited(SpanId span, TaskId task, Ticks now) noexcept;

// --- the hot ones, inline

namespace detail {

inline void record_one(Unit unit, Ticks now, const Dropped& if_full, bool is_busy_thread) noexcept {
  Producer* const producer = this_producer(is_busy_thread);
  if (producer == nullptr) return drop_without_producer(if_full);
  if (!producer->open(1, now)) return producer->drop(if_full);
  producer->put(0, unit);
  producer->commit(1);
}

[[nodiscard]] inline Unit pack(const Wait& wait) noexcept {
  using runtime::observe::number;
  using runtime::observe::ResourceKind;
  // What `value` means follows from the resource's kind, as in protocol::Event.
  std::uint64_t value = 0;
  std::uint64_t tag = 1;
  if (wait.resource != ResourceId::None) {
    value = number(wait.resource);
  } else if (wait.task != TaskId::None) {
    value = number(wait.task);
  } else if (wait.resource_kind == ResourceKind::Io) {
    tag = 2;
    value = static_cast<std::uint64_t>(static_cast<std::int64_t>(wait.fd));
  } else {
    tag = 2;
    value = wait.deadline_ns;
  }
  return {static_cast<std::uint64_t>(wait.branch) | static_cast<std::uint64_t>(wait.parent) << 16 |
              static_cast<std::uint64_t>(sites.id(wait.site)) << 32 |
              static_cast<std::uint64_t>(static_cast<unsigned>(wait.op) & 0x3f) << 48 |
              static_cast<std::uint64_t>(static_cast<unsigned>(wait.resource_kind) & 0x1f) << 54 |
              static_cast<std::uint64_t>(static_cast<unsigned>(wait.mode) & 0x3) << 59 | tag << 61,
          value};
}

}  // namespace detail

inline void poll_started(TaskId task, WorkerId worker, Ticks now) noexcept {
  Producer* const producer = this_producer(worker != WorkerId::None);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  producer->set_current(runtime::observe::number(task));
  if (!producer->open(1, now)) return producer->drop({.events = 1});
  producer->put(0, head(Record::PollStarted, now, runtime::observe::number(task),
                        runtime::observe::number(worker)));
  producer->commit(1);
}

inline void poll_ended(TaskId task, Ticks now, PollEnd end, std::span<const Wait> waits) noexcept {
  const std::size_t count = waits.size() < kMaxWaits ? waits.size() : kMaxWaits;
  Producer* const producer = this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1 + waits.size(), .polls = 1});
  if (!producer->open(1 + count, now)) {
    producer->set_current(0);
    return producer->drop({.events = 1 + waits.size(), .polls = 1});
  }
  producer->put(0, head(Record::PollEnded, now, runtime::observe::number(task),
                        aux(static_cast<std::uint32_t>(end), static_cast<std::uint32_t>(count))));
  for (std::size_t i = 0; i < count; ++i) producer->put(1 + i, detail::pack(waits[i]));
  producer->commit(1 + count);
  producer->set_current(0);
  if (count < waits.size()) [[unlikely]]
    producer->drop({.events = waits.size() - count});
}

inline void woken(const Woken& woken, Ticks now) noexcept {
  using runtime::observe::number;
  Producer* const producer = this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1, .wakes = 1});
  const bool is_io = woken.cause == runtime::observe::WakeCause::Io;
  const auto value = is_io ? static_cast<std::uint64_t>(static_cast<std::int64_t>(woken.fd))
                           : number(woken.resource);
  const bool is_current = number(woken.by) == producer->current() && value == 0;
  const std::size_t units = is_current ? 1 : 2;
  if (!producer->open(units, now)) return producer->drop({.events = 1, .wakes = 1});
  producer->put(0, head(Record::Woken, now, number(woken.task),
                        aux(static_cast<std::uint32_t>(woken.cause) | (is_current ? kIsCurrent : 0),
                            number(woken.branch))));
  if (!is_current) producer->put(1, {number(woken.by), value});
  producer->commit(units);
}

inline void waits_on(TaskId task, const Wait& wait, Ticks now) noexcept {
  Producer* const producer = this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  if (!producer->open(2, now)) return producer->drop({.events = 1});
  producer->put(0, head(Record::Wait, now, runtime::observe::number(task)));
  producer->put(1, detail::pack(wait));
  producer->commit(2);
}

inline void wait_cancelled(TaskId task, BranchId branch, Ticks now) noexcept {
  detail::record_one(head(Record::WaitCancelled, now, runtime::observe::number(task),
                          aux(0, runtime::observe::number(branch))),
                     now, {.events = 1}, false);
}

inline void worker_parked(WorkerId worker, Ticks now) noexcept {
  detail::record_one(head(Record::WorkerParked, now, runtime::observe::number(worker)), now,
                     {.events = 1}, true);
}

inline void worker_unparked(WorkerId worker, Ticks now) noexcept {
  detail::record_one(head(Record::WorkerUnparked, now, runtime::observe::number(worker)), now,
                     {.events = 1}, true);
}

}  // namespace taskscope::instrumentation::recorder
