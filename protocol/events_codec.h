/// The columns of an Events body. Private to the room; schema/update.proto says what they hold.
#pragma once

#include "taskscope/protocol/chunk.h"
#include "taskscope/protocol/update.h"

namespace taskscope::protocol::detail {

/// What the flags of a shape say; see schema/update.proto.
enum ShapeFlag : std::uint32_t {
  kTaskMask = 3,
  kTaskNone = 0,
  kTaskPolled = 1,
  kTaskWoken = 2,
  kTaskColumn = 3,
  kOtherMask = 3u << 2,
  kOtherNone = 0,
  kOtherPolled = 1u << 2,
  kOtherColumn = 3u << 2,
  kValueColumn = 1u << 4,
  kExtraColumn = 1u << 5,
  kTextColumn = 1u << 6,
  kFieldsColumn = 1u << 7,
  kBackwards = 1u << 8,
};

constexpr std::uint8_t kSameTicks = 0x80;
constexpr std::uint8_t kWideTag = 0x7f;
/// Tasks are predicted per kind; kinds of later versions share a slot, on both ends alike.
constexpr std::size_t kKindSlots = 64;

/// What both ends know of the run so far, to leave out what follows from it.
struct RunContext {
  std::uint64_t polled = 0, woken = 0;
  std::uint64_t last_task[kKindSlots] = {};

  void after(EventKind kind, std::uint64_t task) noexcept {
    if (kind == EventKind::PollStarted || kind == EventKind::Resync) polled = task;
    if (kind == EventKind::Woken) woken = task;
  }
  std::uint64_t& last_of(EventKind kind) noexcept {
    return last_task[static_cast<std::size_t>(kind) % kKindSlots];
  }
};

/// Errors   Malformed, TooLarge.
Result<Done> decode_events_body(BytesView body, Events& out);

}  // namespace taskscope::protocol::detail
