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

// --- the hot ones, inline: what they do while there is room

namespace detail {

using instrumentation::detail::this_producer;

// The same calls for threads that have no ring yet, and for rings that may be full. Out of line, so
// that the way of an ordinary record calls nothing and saves no register.
void record_one_slowly(Unit unit, Ticks now, bool is_busy_thread) noexcept;
void poll_started_slowly(TaskId task, WorkerId worker, Ticks now) noexcept;
void poll_ended_slowly(TaskId task, Ticks now, PollEnd end, std::span<const Wait> waits) noexcept;
void woken_slowly(const Woken& woken, Ticks now) noexcept;

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

// Each writes a record that was found to fit.

inline void write_poll_started(Producer& producer, TaskId task, WorkerId worker,
                               Ticks now) noexcept {
  using runtime::observe::number;
  producer.set_current(number(task));
  producer.put(0, head(Record::PollStarted, now, number(task), number(worker)));
  producer.commit(1);
}

inline void write_poll_ended(Producer& producer, TaskId task, Ticks now, PollEnd end,
                             std::span<const Wait> waits) noexcept {
  producer.put(
      0, head(Record::PollEnded, now, runtime::observe::number(task),
              aux(static_cast<std::uint32_t>(end), static_cast<std::uint32_t>(waits.size()))));
  for (std::size_t i = 0; i < waits.size(); ++i) producer.put(1 + i, pack(waits[i]));
  producer.commit(1 + waits.size());
  producer.set_current(0);
}

inline void write_woken(Producer& producer, const Woken& woken, Ticks now) noexcept {
  using runtime::observe::number;
  const bool is_io = woken.cause == runtime::observe::WakeCause::Io;
  const auto value = is_io ? static_cast<std::uint64_t>(static_cast<std::int64_t>(woken.fd))
                           : number(woken.resource);
  const auto cause = static_cast<std::uint32_t>(woken.cause);
  if (number(woken.by) == producer.current() && value == 0) {
    producer.put(0, head(Record::Woken, now, number(woken.task),
                         aux(cause | kIsCurrent, number(woken.branch))));
    producer.commit(1);
  } else {
    producer.put(0, head(Record::Woken, now, number(woken.task), aux(cause, number(woken.branch))));
    producer.put(1, {number(woken.by), value});
    producer.commit(2);
  }
}

inline void record_one(Unit unit, Ticks now, bool is_busy_thread) noexcept {
  Producer* const producer = this_producer;
  if (producer == nullptr || !producer->fits(1)) [[unlikely]]
    return record_one_slowly(unit, now, is_busy_thread);
  producer->put(0, unit);
  producer->commit(1);
}

}  // namespace detail

inline void poll_started(TaskId task, WorkerId worker, Ticks now) noexcept {
  Producer* const producer = detail::this_producer;
  if (producer == nullptr || !producer->fits(1)) [[unlikely]]
    return detail::poll_started_slowly(task, worker, now);
  detail::write_poll_started(*producer, task, worker, now);
}

inline void poll_ended(TaskId task, Ticks now, PollEnd end, std::span<const Wait> waits) noexcept {
  Producer* const producer = detail::this_producer;
  if (producer == nullptr || waits.size() > kMaxWaits || !producer->fits(1 + waits.size()))
      [[unlikely]]
    return detail::poll_ended_slowly(task, now, end, waits);
  detail::write_poll_ended(*producer, task, now, end, waits);
}

inline void woken(const Woken& woken, Ticks now) noexcept {
  Producer* const producer = detail::this_producer;
  if (producer == nullptr || !producer->fits(2)) [[unlikely]]
    return detail::woken_slowly(woken, now);
  detail::write_woken(*producer, woken, now);
}

inline void wait_cancelled(TaskId task, BranchId branch, Ticks now) noexcept {
  detail::record_one(head(Record::WaitCancelled, now, runtime::observe::number(task),
                          aux(0, runtime::observe::number(branch))),
                     now, false);
}

inline void worker_parked(WorkerId worker, Ticks now) noexcept {
  detail::record_one(head(Record::WorkerParked, now, runtime::observe::number(worker)), now, true);
}

inline void worker_unparked(WorkerId worker, Ticks now) noexcept {
  detail::record_one(head(Record::WorkerUnparked, now, runtime::observe::number(worker)), now,
                     true);
}

}  // namespace taskscope::instrumentation::recorder
