#include "taskscope/instrumentation/recorder.h"

#include <algorithm>
#include <cstring>

namespace taskscope::instrumentation::recorder {

using runtime::observe::number;

namespace {

/// Lays strings into the units behind a head. Two passes: count, so that the record can be opened,
/// then put.
class Text {
 public:
  void count(std::string_view text) noexcept { bytes_ += 2 + std::min(text.size(), kMaxText); }
  void count(const Field& field) noexcept {
    bytes_ += 2 + std::min(field.key.size() + 1 + field.value.size(), kMaxText);
  }
  [[nodiscard]] std::size_t units() const noexcept { return (bytes_ + 15) / 16; }

  /// Where put() begins.
  void start(Producer& producer, std::size_t unit) noexcept {
    producer_ = &producer;
    unit_ = unit;
  }
  void put(std::string_view text) noexcept {
    const std::size_t size = std::min(text.size(), kMaxText);
    put_length(size, size < text.size());
    put_bytes(text.data(), size);
  }
  void put(const Field& field) noexcept {
    const std::size_t whole = field.key.size() + 1 + field.value.size();
    const std::size_t size = std::min(whole, kMaxText);
    put_length(size, size < whole);
    const std::size_t key = std::min(field.key.size(), size);
    put_bytes(field.key.data(), key);
    if (key < size) {
      put_bytes("=", 1);
      put_bytes(field.value.data(), size - key - 1);
    }
  }
  void finish() noexcept {
    if (used_ > 0) flush();
  }

 private:
  void put_length(std::size_t size, bool is_cut) noexcept {
    const auto word = static_cast<std::uint16_t>(size | (is_cut ? kTextIsCut : 0u));
    put_bytes(&word, sizeof word);
  }
  void put_bytes(const void* bytes, std::size_t size) noexcept {
    const auto* from = static_cast<const char*>(bytes);
    while (size > 0) {
      const std::size_t part = std::min(size, sizeof pending_ - used_);
      std::memcpy(pending_ + used_, from, part);
      used_ += part;
      from += part;
      size -= part;
      if (used_ == sizeof pending_) flush();
    }
  }
  void flush() noexcept {
    Unit unit;
    std::memcpy(&unit, pending_, sizeof unit);
    producer_->put(unit_++, unit);
    used_ = 0;
    std::memset(pending_, 0, sizeof pending_);
  }

  Producer* producer_ = nullptr;
  std::size_t bytes_ = 0, unit_ = 0, used_ = 0;
  char pending_[sizeof(Unit)] = {};
};

std::span<const Field> bounded(std::span<const Field> fields) noexcept {
  return fields.first(std::min(fields.size(), kMaxFields));
}

}  // namespace

namespace detail {

void record_one_slowly(Unit unit, Ticks now, bool is_busy_thread) noexcept {
  Producer* const producer = instrumentation::this_producer(is_busy_thread);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  if (!producer->open(1, now)) return producer->drop({.events = 1});
  producer->put(0, unit);
  producer->commit(1);
}

void poll_started_slowly(TaskId task, WorkerId worker, Ticks now) noexcept {
  Producer* const producer = instrumentation::this_producer(worker != WorkerId::None);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  // First: a resync tells of the task that is polled now.
  producer->set_current(number(task));
  if (!producer->open(1, now)) return producer->drop({.events = 1});
  write_poll_started(*producer, task, worker, now);
}

void poll_ended_slowly(TaskId task, Ticks now, PollEnd end, std::span<const Wait> waits) noexcept {
  const auto kept = waits.first(std::min(waits.size(), kMaxWaits));
  const Dropped all{.events = 1 + waits.size(), .polls = 1};
  Producer* const producer = instrumentation::this_producer(false);
  if (producer == nullptr) return drop_without_producer(all);
  if (!producer->open(1 + kept.size(), now)) {
    producer->set_current(0);
    return producer->drop(all);
  }
  write_poll_ended(*producer, task, now, end, kept);
  if (kept.size() < waits.size()) producer->drop({.events = waits.size() - kept.size()});
}

void woken_slowly(const Woken& woken, Ticks now) noexcept {
  constexpr Dropped kDropped{.events = 1, .wakes = 1};
  Producer* const producer = instrumentation::this_producer(false);
  if (producer == nullptr) return drop_without_producer(kDropped);
  if (!producer->open(2, now)) return producer->drop(kDropped);
  write_woken(*producer, woken, now);
}

}  // namespace detail

void waits_on(TaskId task, const Wait& wait, Ticks now) noexcept {
  Producer* const producer = instrumentation::this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  if (!producer->open(2, now)) return producer->drop({.events = 1});
  producer->put(0, head(Record::Wait, now, number(task)));
  producer->put(1, detail::pack(wait));
  producer->commit(2);
}

void task_spawned(const TaskSpawned& spawned, Ticks now) noexcept {
  constexpr Dropped kDropped{.events = 1, .spawns = 1};
  Producer* const producer = instrumentation::this_producer(true);
  if (producer == nullptr) return drop_without_producer(kDropped);
  const auto fields = bounded(spawned.fields);
  Text text;
  const bool has_text = !spawned.name.empty() || !fields.empty();
  if (has_text) {
    text.count(spawned.name);
    for (const Field& field : fields) text.count(field);
  }
  const std::size_t units = 2 + text.units();
  if (!producer->open(units, now)) return producer->drop(kDropped);
  producer->put(
      0, head(Record::TaskSpawned, now, number(spawned.task), aux(0, sites.id(spawned.site))));
  producer->put(
      1, {(number(spawned.parent) & kIdMask) | static_cast<std::uint64_t>(spawned.kind) << 48 |
              static_cast<std::uint64_t>(fields.size()) << 56,
          spawned.frame_bytes | static_cast<std::uint64_t>(number(spawned.runtime) & 0xffff) << 32 |
              static_cast<std::uint64_t>(text.units()) << 48});
  if (has_text) {
    text.start(*producer, 2);
    text.put(spawned.name);
    for (const Field& field : fields) text.put(field);
    text.finish();
  }
  producer->commit(units);
}

void task_finished(const TaskFinished& finished, Ticks now) noexcept {
  const bool has_text = !finished.error.empty();
  const auto aux_word =
      aux(static_cast<std::uint32_t>(finished.outcome) | (has_text ? kHasText : 0),
          sites.id(finished.site));
  const Unit first = head(Record::TaskFinished, now, number(finished.task), aux_word);
  if (!has_text) return detail::record_one(first, now, false);

  Producer* const producer = instrumentation::this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  Text text;
  text.count(finished.error);
  const std::size_t units = 2 + text.units();
  if (!producer->open(units, now)) return producer->drop({.events = 1});
  producer->put(0, first);
  producer->put(1, {text.units(), 0});
  text.start(*producer, 2);
  text.put(finished.error);
  text.finish();
  producer->commit(units);
}

void resource_registered(const ResourceRegistered& resource, Ticks now) noexcept {
  Producer* const producer = instrumentation::this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  Text text;
  text.count(resource.name);
  text.count(resource.concrete_type);
  const std::size_t units = 2 + text.units();
  if (!producer->open(units, now)) return producer->drop({.events = 1});
  producer->put(0, head(Record::ResourceRegistered, now, number(resource.id),
                        aux(static_cast<std::uint32_t>(resource.kind), sites.id(resource.site))));
  producer->put(1, {number(resource.parent), text.units()});
  text.start(*producer, 2);
  text.put(resource.name);
  text.put(resource.concrete_type);
  text.finish();
  producer->commit(units);
}

void resource_dropped(ResourceId resource, Ticks now) noexcept {
  detail::record_one(head(Record::ResourceDropped, now, number(resource)), now, false);
}

namespace {

void resource_moved(Record kind, ResourceId resource, const Holder& holder, Ticks now) noexcept {
  Producer* const producer = instrumentation::this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  const bool is_current = number(holder.task) == producer->current() && holder.permits == 1;
  const std::size_t units = is_current ? 1 : 2;
  if (!producer->open(units, now)) return producer->drop({.events = 1});
  const std::uint32_t flags = (holder.certain ? kIsCertain : 0) | (is_current ? kIsCurrent : 0);
  producer->put(0, head(kind, now, number(resource), aux(flags, 0)));
  if (!is_current) producer->put(1, {number(holder.task), holder.permits});
  producer->commit(units);
}

}  // namespace

void resource_acquired(ResourceId resource, const Holder& holder, Ticks now) noexcept {
  resource_moved(Record::ResourceAcquired, resource, holder, now);
}

void resource_released(ResourceId resource, const Holder& holder, Ticks now) noexcept {
  resource_moved(Record::ResourceReleased, resource, holder, now);
}

void worker_stole(WorkerId, WorkerId from, std::uint32_t tasks, Ticks now) noexcept {
  detail::record_one(
      head(Record::WorkerStole, now, number(from), std::min(tasks, std::uint32_t{0xffffff})), now,
      true);
}

void span_entered(SpanId span, TaskId task, std::string_view name, std::span<const Field> all,
                  Ticks now) noexcept {
  Producer* const producer = instrumentation::this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  const auto fields = bounded(all);
  Text text;
  text.count(name);
  for (const Field& field : fields) text.count(field);
  const std::size_t units = 2 + text.units();
  if (!producer->open(units, now)) return producer->drop({.events = 1});
  producer->put(0, head(Record::SpanEntered, now, number(span),
                        aux(static_cast<std::uint32_t>(fields.size()), 0)));
  producer->put(1, {number(task), text.units()});
  text.start(*producer, 2);
  text.put(name);
  for (const Field& field : fields) text.put(field);
  text.finish();
  producer->commit(units);
}

void span_exited(SpanId span, TaskId task, Ticks now) noexcept {
  Producer* const producer = instrumentation::this_producer(false);
  if (producer == nullptr) return drop_without_producer({.events = 1});
  const bool is_current = number(task) == producer->current();
  const std::size_t units = is_current ? 1 : 2;
  if (!producer->open(units, now)) return producer->drop({.events = 1});
  producer->put(0,
                head(Record::SpanExited, now, number(span), aux(is_current ? kIsCurrent : 0, 0)));
  if (!is_current) producer->put(1, {number(task), 0});
  producer->commit(units);
}

}  // namespace taskscope::instrumentation::recorder
