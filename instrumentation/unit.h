/// The records that travel through a ring: how an event is laid out in 16-byte units.
///
/// The first unit of a record is its head:
///
///     a  kind 6 | ticks 50 | low 8 bits of aux      b  id 48 | high 16 bits of aux
///
/// The units that follow are raw words whose number and meaning the kind gives. Ticks are the low
/// 50 bits of the clock; the collector, which reads every record within hours of its making, adds
/// the rest. Strings follow as a run of {length 16, bytes}, padded to whole units.
#pragma once

#include <cstddef>
#include <cstdint>

#include "taskscope/runtime/observe/ids.h"
#include "taskscope/runtime/observe/ticks.h"

namespace taskscope::instrumentation {

struct Unit {
  std::uint64_t a = 0, b = 0;
};

/// What a record says. aux8 is the low byte of aux, aux16 the rest.
enum class Record : std::uint8_t {
  None,
  TaskSpawned,    ///< id task, aux16 site · {parent 48, kind 8, fields 8 | frame bytes 32,
                  ///< runtime 16, text units 16} · text: name, fields
  TaskFinished,   ///< id task, aux8 outcome and kHasText, aux16 site · if text: {text units} ·
                  ///< text: error
  PollStarted,    ///< id task, aux worker
  PollEnded,      ///< id task, aux8 end, aux16 waits · a wait each
  Wait,           ///< id task · one wait
  WaitCancelled,  ///< id task, aux16 branch
  Woken,          ///< id task, aux8 cause and kIsCurrent, aux16 branch · unless kIsCurrent: {by |
                  ///< fd or resource}
  ResourceRegistered,  ///< id resource, aux8 kind, aux16 site · {parent 48 | text units} · text:
                       ///< name, concrete type
  ResourceDropped,     ///< id resource
  ResourceAcquired,    ///< id resource, aux8 kIsCertain and kIsCurrent · unless kIsCurrent: {task |
                       ///< permits}
  ResourceReleased,    ///< likewise
  WorkerParked,        ///< id worker
  WorkerUnparked,      ///< id worker
  WorkerStole,         ///< id worker stolen from, aux tasks
  SpanEntered,         ///< id span, aux8 fields · {task 48 | text units} · text: name, fields
  SpanExited,          ///< id span, aux8 kIsCurrent · unless kIsCurrent: {task}
  Resync,  ///< id task being polled · {ticks of the first drop | events} {spawns | poll ends}
           ///< {wakes}, of all drops of the producer so far
};

constexpr std::uint32_t kHasText = 0x80;
constexpr std::uint32_t kIsCurrent = 0x80;  ///< the task polled on this ring, and one permit
constexpr std::uint32_t kIsCertain = 0x01;

constexpr unsigned kTickBits = 50;
constexpr std::uint64_t kTickMask = (std::uint64_t{1} << kTickBits) - 1;
constexpr std::uint64_t kIdMask = (std::uint64_t{1} << 48) - 1;
constexpr std::size_t kResyncUnits = 4;

/// A string in a record is cut to this many bytes, and marked.
constexpr std::size_t kMaxText = 256;
/// Fields beyond these are left out.
constexpr std::size_t kMaxFields = 16;
/// Waits of one poll end beyond these are counted as lost.
constexpr std::size_t kMaxWaits = 512;
constexpr std::uint16_t kTextIsCut = 0x8000;

[[nodiscard]] constexpr Unit head(Record kind, runtime::observe::Ticks ticks, std::uint64_t id,
                                  std::uint32_t aux = 0) noexcept {
  return {static_cast<std::uint64_t>(kind) | (static_cast<std::uint64_t>(ticks) & kTickMask) << 6 |
              static_cast<std::uint64_t>(aux) << 56,
          (id & kIdMask) | static_cast<std::uint64_t>(aux >> 8) << 48};
}
[[nodiscard]] constexpr std::uint32_t aux(std::uint32_t aux8, std::uint32_t aux16) noexcept {
  return (aux8 & 0xff) | (aux16 & 0xffff) << 8;
}

[[nodiscard]] constexpr Record kind_of(Unit unit) noexcept {
  return static_cast<Record>(unit.a & 0x3f);
}
[[nodiscard]] constexpr std::uint64_t ticks50_of(Unit unit) noexcept {
  return (unit.a >> 6) & kTickMask;
}
[[nodiscard]] constexpr std::uint64_t id_of(Unit unit) noexcept { return unit.b & kIdMask; }
[[nodiscard]] constexpr std::uint32_t aux8_of(Unit unit) noexcept {
  return static_cast<std::uint32_t>(unit.a >> 56);
}
[[nodiscard]] constexpr std::uint32_t aux16_of(Unit unit) noexcept {
  return static_cast<std::uint32_t>(unit.b >> 48);
}
[[nodiscard]] constexpr std::uint32_t aux_of(Unit unit) noexcept {
  return aux8_of(unit) | aux16_of(unit) << 8;
}

/// The full reading behind 50 bits of it: the one nearest to `now`.
[[nodiscard]] constexpr std::uint64_t extend_ticks(std::uint64_t ticks50,
                                                   std::uint64_t now) noexcept {
  const std::uint64_t ahead = (ticks50 - now) & kTickMask;
  const bool is_past = ahead >> (kTickBits - 1) != 0;
  return now + ahead - (is_past ? kTickMask + 1 : 0);
}

}  // namespace taskscope::instrumentation
