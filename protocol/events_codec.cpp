/// Events as columns.
///
/// An event is 72 bytes as a struct and has to travel in four. Three things make it small. What
/// many events share (kind, operation, await site, ...) is a *shape*, spelled once a chunk and then
/// named by the seven low bits of a tag byte. What follows from the run (a poll ends for the task
/// that is polled, a wait has the ticks of the end it belongs to) takes no byte at all. What is
/// left is a varint of the difference to the value before it in its own column, and columns of like
/// things are what zstd is good at.
///
/// Prediction needs the same state on both ends, so it starts anew with each chunk: any chunk can
/// be decoded alone, which is what loss, resync and the index of a file rest on. The obvious
/// alternative, a message an event, costs 15 to 30 bytes and 100 ns.
#include "taskscope/protocol/events_codec.h"

#include <array>
#include <cassert>
#include <memory>

#include "taskscope/protocol/codec.h"
#include "taskscope/protocol/pack.h"
#include "taskscope_wire/update.pb.h"

namespace taskscope::protocol {
namespace {

using namespace detail;

constexpr std::size_t kMaxShapeBytes = 24;
/// More than an event can take in all columns together, its shape included.
constexpr std::size_t kMaxEventBytes = 96;
constexpr std::size_t kMaxTableBytes = 6u << 20;
constexpr std::size_t kMaxColumnBytes = kMaxBodyBytes - kMaxTableBytes - (1u << 16);

/// A column with room for the longest chunk, so that no append looks at its size. Pages that are
/// never written to are never there.
class Column {
 public:
  explicit Column(std::size_t bytes)
      : begin_(std::make_unique_for_overwrite<std::uint8_t[]>(bytes)), end_(begin_.get()) {}
  void varint(std::uint64_t value) noexcept { end_ = put_varint(end_, value); }
  void difference(std::uint64_t value) noexcept { varint(zigzag(value)); }
  void byte(std::uint8_t value) noexcept { *end_++ = value; }
  void clear() noexcept { end_ = begin_.get(); }
  [[nodiscard]] std::size_t size() const noexcept {
    return static_cast<std::size_t>(end_ - begin_.get());
  }
  void move_to(std::string* out) {
    out->assign(reinterpret_cast<const char*>(begin_.get()), size());
    clear();
  }

 private:
  std::unique_ptr<std::uint8_t[]> begin_;
  std::uint8_t* end_;
};

struct ShapeKey {
  std::uint64_t low = 0, high = 0;
  bool operator==(const ShapeKey&) const = default;
};

ShapeKey key_of(const Event& event, std::uint32_t flags) noexcept {
  return {static_cast<std::uint64_t>(event.kind) | std::uint64_t{event.detail} << 8 |
              std::uint64_t{event.mode} << 16 | std::uint64_t{event.resource_kind} << 24 |
              std::uint64_t{event.branch} << 32 | std::uint64_t{event.parent_branch} << 48,
          event.site | std::uint64_t{flags} << 32};
}

/// Shapes of this chunk by key: open addressing; entries of earlier chunks count as empty.
class ShapeTable {
 public:
  struct Entry {
    ShapeKey key;
    std::uint32_t chunk = 0;
    std::uint32_t number = 0;
    std::uint64_t last_other = 0, last_value = 0;
  };

  ShapeTable() : entries_(kFirstCapacity) {}

  /// The entry of a key, and whether it is new.
  std::pair<Entry*, bool> find_or_add(const ShapeKey& key) {
    if (count_ * 2 >= entries_.size()) [[unlikely]]
      grow();
    const std::size_t mask = entries_.size() - 1;
    for (std::size_t at = hash(key) & mask;; at = (at + 1) & mask) {
      Entry& entry = entries_[at];
      if (entry.chunk != chunk_) {
        entry = {key, chunk_, count_++, 0, 0};
        return {&entry, true};
      }
      if (entry.key == key) return {&entry, false};
    }
  }

  void clear() {
    count_ = 0;
    if (++chunk_ == 0) {  // wrapped: entries of long ago would look like ours
      entries_.assign(entries_.size(), Entry{});
      chunk_ = 1;
    }
  }

 private:
  static constexpr std::size_t kFirstCapacity = 1024;

  static std::size_t hash(const ShapeKey& key) noexcept {
    const std::uint64_t mixed = (key.low ^ (key.high * 0x9e3779b97f4a7c15u)) * 0xd6e8feb86659fd93u;
    return static_cast<std::size_t>(mixed >> 32);
  }

  void grow() {
    std::vector<Entry> old(entries_.size() * 2);
    old.swap(entries_);
    const std::size_t mask = entries_.size() - 1;
    for (const Entry& entry : old) {
      if (entry.chunk != chunk_) continue;
      std::size_t at = hash(entry.key) & mask;
      while (entries_[at].chunk == chunk_) at = (at + 1) & mask;
      entries_[at] = entry;
    }
  }

  std::vector<Entry> entries_;
  std::uint32_t chunk_ = 1;
  std::uint32_t count_ = 0;
};

}  // namespace

struct EventsBuilder::State {
  explicit State(std::size_t max)
      : max_events(max),
        shapes(max * kMaxShapeBytes),
        tags(max),
        wide_tags(max * 5),
        ticks(max * kMaxVarintBytes),
        tasks(max * kMaxVarintBytes),
        others(max * kMaxVarintBytes),
        values(max * kMaxVarintBytes),
        extras(max * 5),
        texts(max * 5),
        fields(max * 10) {}

  std::size_t max_events;
  std::uint64_t ring = 0;
  std::uint32_t worker = 0;
  std::int32_t tid = 0;
  std::string thread_name;

  Column shapes, tags, wide_tags, ticks, tasks, others, values, extras, texts, fields;
  std::string text_table;
  std::uint32_t text_count = 0;
  std::uint32_t next_text = 1;  // what the reader expects next
  ShapeTable table;
  RunContext context;
  std::uint64_t first_ticks = 0, last_ticks = 0;
  std::uint64_t min_ticks = 0, max_ticks = 0;

  [[nodiscard]] std::size_t column_bytes() const noexcept {
    return shapes.size() + tags.size() + wide_tags.size() + ticks.size() + tasks.size() +
           others.size() + values.size() + extras.size() + texts.size() + fields.size();
  }
  void clear() {
    for (Column* column :
         {&shapes, &tags, &wide_tags, &ticks, &tasks, &others, &values, &extras, &texts, &fields})
      column->clear();
    text_table.clear();
    text_count = 0;
    next_text = 1;
    table.clear();
    context = {};
    first_ticks = last_ticks = min_ticks = max_ticks = 0;
  }
  void spell(const Event& event, std::uint32_t flags) noexcept {
    shapes.varint(static_cast<std::uint8_t>(event.kind));
    shapes.varint(event.detail);
    shapes.varint(event.mode);
    shapes.varint(event.resource_kind);
    shapes.varint(event.branch);
    shapes.varint(event.parent_branch);
    shapes.varint(event.site);
    shapes.varint(flags);
  }
};

EventsBuilder::EventsBuilder(std::size_t max_events)
    : state_(std::make_unique<State>(std::clamp<std::size_t>(max_events, 1, kMaxEventsPerChunk))) {}
EventsBuilder::~EventsBuilder() = default;
EventsBuilder::EventsBuilder(EventsBuilder&&) noexcept = default;
EventsBuilder& EventsBuilder::operator=(EventsBuilder&&) noexcept = default;

void EventsBuilder::begin(std::uint64_t ring, std::uint32_t worker, std::int32_t tid,
                          std::string_view thread_name) {
  state_->clear();
  state_->ring = ring;
  state_->worker = worker;
  state_->tid = tid;
  state_->thread_name = thread_name.substr(0, kMaxTextBytes);
}

std::uint32_t EventsBuilder::add_text(std::string_view text) {
  State& s = *state_;
  text = text.substr(0, kMaxTextBytes);
  if (s.text_count == kMaxTextsPerChunk ||
      s.text_table.size() + text.size() + kMaxVarintBytes > kMaxTableBytes)
    return 0;
  append_text(s.text_table, text);
  return ++s.text_count;
}

void EventsBuilder::append(const Event& event) noexcept {
  State& s = *state_;
  assert(s.tags.size() < s.max_events);
  if (s.tags.size() == 0) [[unlikely]]
    s.first_ticks = s.last_ticks = s.min_ticks = s.max_ticks = event.ticks;

  std::uint32_t flags = 0;
  if (event.task != 0)
    flags |= event.task == s.context.polled  ? kTaskPolled
             : event.task == s.context.woken ? kTaskWoken
                                             : kTaskColumn;
  if (event.other != 0) flags |= event.other == s.context.polled ? kOtherPolled : kOtherColumn;
  if (event.value != 0) flags |= kValueColumn;
  if (event.extra != 0) flags |= kExtraColumn;
  if (event.text != 0) flags |= kTextColumn;
  if ((event.fields | event.field_count) != 0) flags |= kFieldsColumn;
  std::uint8_t tag = 0;
  if (event.ticks == s.last_ticks) {
    tag = kSameTicks;
  } else if (event.ticks > s.last_ticks) [[likely]] {
    s.ticks.varint(event.ticks - s.last_ticks);
    s.max_ticks = std::max(s.max_ticks, event.ticks);
  } else {
    flags |= kBackwards;
    s.ticks.varint(s.last_ticks - event.ticks);
    s.min_ticks = std::min(s.min_ticks, event.ticks);
  }
  s.last_ticks = event.ticks;

  const auto [shape, added] = s.table.find_or_add(key_of(event, flags));
  if (added) [[unlikely]]
    s.spell(event, flags);
  if (shape->number < kWideTag) [[likely]] {
    tag = static_cast<std::uint8_t>(tag | shape->number);
  } else {
    tag |= kWideTag;
    s.wide_tags.varint(shape->number - kWideTag);
  }
  s.tags.byte(tag);

  std::uint64_t& last_task = s.context.last_of(event.kind);
  if ((flags & kTaskMask) == kTaskColumn) s.tasks.difference(event.task - last_task);
  last_task = event.task;
  if ((flags & kOtherMask) == kOtherColumn) {
    s.others.difference(event.other - shape->last_other);
    shape->last_other = event.other;
  }
  if ((flags & kValueColumn) != 0) {
    s.values.difference(event.value - shape->last_value);
    shape->last_value = event.value;
  }
  if ((flags & kExtraColumn) != 0) s.extras.varint(event.extra);
  if ((flags & kTextColumn) != 0) {
    s.texts.difference(std::uint64_t{event.text} - s.next_text);
    s.next_text = event.text + 1;
  }
  if ((flags & kFieldsColumn) != 0) {
    s.fields.difference(std::uint64_t{event.fields} - s.next_text);
    s.fields.varint(event.field_count);
    s.next_text = event.fields + event.field_count;
  }
  s.context.after(event.kind, event.task);
}

bool EventsBuilder::empty() const noexcept { return state_->tags.size() == 0; }
std::size_t EventsBuilder::size() const noexcept { return state_->tags.size(); }
std::size_t EventsBuilder::bytes() const noexcept {
  return state_->column_bytes() + state_->text_table.size();
}

bool EventsBuilder::full() const noexcept {
  const State& s = *state_;
  // A quarter of the text limits stays free for the texts of one more event.
  return s.tags.size() == s.max_events || s.text_count > kMaxTextsPerChunk / 4 * 3 ||
         s.text_table.size() > kMaxTableBytes / 4 * 3 ||
         (s.tags.size() > kMaxColumnBytes / kMaxEventBytes &&
          s.column_bytes() + kMaxEventBytes > kMaxColumnBytes);
}

Bytes EventsBuilder::finish(std::uint64_t sequence) {
  State& s = *state_;
  ChunkHeader header;
  header.kind = ChunkKind::Events;
  header.sequence = sequence;
  header.ring = s.ring;
  header.events = static_cast<std::uint32_t>(s.tags.size());
  header.first_ticks = s.min_ticks;
  header.last_ticks = s.max_ticks;

  wire::v1::Events body;
  body.set_ring(s.ring);
  body.set_worker(s.worker);
  body.set_tid(s.tid);
  body.set_thread_name(s.thread_name);
  body.set_first_ticks(s.first_ticks);
  s.shapes.move_to(body.mutable_shapes());
  s.tags.move_to(body.mutable_tags());
  s.wide_tags.move_to(body.mutable_wide_tags());
  s.ticks.move_to(body.mutable_ticks());
  s.tasks.move_to(body.mutable_tasks());
  s.others.move_to(body.mutable_others());
  s.values.move_to(body.mutable_values());
  s.extras.move_to(body.mutable_extras());
  s.texts.move_to(body.mutable_texts());
  s.fields.move_to(body.mutable_fields());
  body.mutable_text_table()->swap(s.text_table);
  s.clear();
  auto chunk = make_chunk(header, body.SerializeAsString());
  assert(chunk.has_value());  // full() keeps the limits
  return std::move(*chunk);
}

Result<Bytes> encode(const Events& events, std::uint64_t sequence) {
  const Error too_large{ErrorCode::TooLarge, "too many events for one chunk"};
  if (events.events.size() > kMaxEventsPerChunk) return too_large;
  EventsBuilder builder(events.events.size());
  builder.begin(events.ring, events.worker, events.tid, events.thread_name);
  for (const auto& text : events.texts)
    if (builder.add_text(text) == 0) return too_large;
  for (const Event& event : events.events) {
    if (builder.bytes() + kMaxEventBytes > kMaxColumnBytes + kMaxTableBytes) return too_large;
    builder.append(event);
  }
  return builder.finish(sequence);
}

namespace detail {
namespace {

struct Shape {
  Event event;  // the shared fields, the rest 0
  std::uint32_t flags = 0;
  std::uint64_t last_other = 0, last_value = 0;
};

Result<std::vector<Shape>> unpack_shapes(BytesView bytes) {
  std::vector<Shape> shapes;
  for (Unpacker in(bytes); !in.at_end();) {
    if (shapes.size() == kMaxEventsPerChunk)
      return Error{ErrorCode::TooLarge, "the chunk has more shapes than events"};
    Shape& shape = shapes.emplace_back();
    shape.event.kind = static_cast<EventKind>(in.varint());
    shape.event.detail = static_cast<std::uint8_t>(in.varint());
    shape.event.mode = static_cast<std::uint8_t>(in.varint());
    shape.event.resource_kind = static_cast<std::uint8_t>(in.varint());
    shape.event.branch = static_cast<std::uint16_t>(in.varint());
    shape.event.parent_branch = static_cast<std::uint16_t>(in.varint());
    shape.event.site = static_cast<std::uint32_t>(in.varint());
    shape.flags = static_cast<std::uint32_t>(in.varint());
    if (in.failed()) return Error{ErrorCode::Malformed, "the shapes of events are cut off"};
  }
  return shapes;
}

}  // namespace

Result<Done> decode_events_body(BytesView body, Events& out) {
  wire::v1::Events message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return Error{ErrorCode::Malformed, "the events can't be read"};
  const std::string& tags = message.tags();
  if (tags.size() > kMaxEventsPerChunk)
    return Error{ErrorCode::TooLarge, "the chunk has more events than this version reads"};
  auto shapes = unpack_shapes(message.shapes());
  if (!shapes) return shapes.error();

  out.ring = message.ring();
  out.worker = message.worker();
  out.tid = message.tid();
  out.thread_name = message.thread_name();
  out.texts.clear();
  for (Unpacker in(message.text_table()); !in.at_end();) {
    if (out.texts.size() == kMaxTextsPerChunk)
      return Error{ErrorCode::TooLarge, "the chunk has more texts than this version reads"};
    out.texts.emplace_back(in.text());
    if (in.failed()) return Error{ErrorCode::Malformed, "the texts of events are cut off"};
  }

  Unpacker wide_tags(message.wide_tags()), ticks(message.ticks()), tasks(message.tasks()),
      others(message.others()), values(message.values()), extras(message.extras()),
      texts(message.texts()), fields(message.fields());
  RunContext context;
  std::uint64_t now = message.first_ticks();
  std::uint32_t next_text = 1;
  out.events.resize(tags.size());
  auto* event = out.events.data();
  for (const char tag_char : tags) {
    const auto tag = static_cast<std::uint8_t>(tag_char);
    std::uint64_t number = tag & kWideTag;
    if (number == kWideTag) [[unlikely]]
      number += wide_tags.varint();
    if (number >= shapes->size())
      return Error{ErrorCode::Malformed, "an event has a shape that is not there"};
    Shape& shape = (*shapes)[number];
    const std::uint32_t flags = shape.flags;
    *event = shape.event;

    if ((tag & kSameTicks) == 0) {
      const auto difference = ticks.varint();
      now = (flags & kBackwards) != 0 ? now - difference : now + difference;
    }
    event->ticks = now;

    std::uint64_t& last_task = context.last_of(event->kind);
    switch (flags & kTaskMask) {
      case kTaskNone:
        break;
      case kTaskPolled:
        event->task = context.polled;
        break;
      case kTaskWoken:
        event->task = context.woken;
        break;
      default:
        event->task = last_task + tasks.signed_difference();
    }
    last_task = event->task;
    if ((flags & kOtherMask) == kOtherPolled) {
      event->other = context.polled;
    } else if ((flags & kOtherMask) != kOtherNone) {
      event->other = shape.last_other += others.signed_difference();
    }
    if ((flags & kValueColumn) != 0) event->value = shape.last_value += values.signed_difference();
    if ((flags & kExtraColumn) != 0) event->extra = static_cast<std::uint32_t>(extras.varint());
    if ((flags & kTextColumn) != 0) {
      event->text = static_cast<std::uint32_t>(next_text + texts.signed_difference());
      next_text = event->text + 1;
      if (event->text > out.texts.size()) event->text = 0;  // names no text: has none
    }
    if ((flags & kFieldsColumn) != 0) {
      event->fields = static_cast<std::uint32_t>(next_text + fields.signed_difference());
      event->field_count = static_cast<std::uint32_t>(fields.varint());
      next_text = event->fields + event->field_count;
      if (event->fields == 0 ||
          std::uint64_t{event->fields} + event->field_count > out.texts.size() + 1)
        event->fields = event->field_count = 0;
    }
    context.after(event->kind, event->task);
    ++event;
  }
  for (const Unpacker* column :
       {&wide_tags, &ticks, &tasks, &others, &values, &extras, &texts, &fields})
    if (column->failed()) return Error{ErrorCode::Malformed, "a column of events is cut off"};
  return Done{};
}

}  // namespace detail
}  // namespace taskscope::protocol
