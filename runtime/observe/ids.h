/// Names of the things a watcher sees, as strong types.
///
/// An id is never reused within a process and stays below 2^48, so that it survives a JSON number
/// and the 48-bit field of an event unit. Zero means "none".
#pragma once

#include <cstdint>
#include <source_location>
#include <type_traits>

namespace taskscope::runtime::observe {

enum class TaskId : std::uint64_t { None = 0 };
enum class ResourceId : std::uint64_t { None = 0 };
enum class SpanId : std::uint64_t { None = 0 };
/// Unique in the process, across runtimes; worker ids start at 1.
enum class WorkerId : std::uint32_t { None = 0 };
enum class RuntimeId : std::uint32_t { None = 0 };
/// A branch of a task: 0 is the task's own body, others are the arms of select, join and timeout.
enum class BranchId : std::uint16_t { Root = 0 };

template <class Id>
[[nodiscard]] constexpr auto number(Id id) noexcept {
  return static_cast<std::underlying_type_t<Id>>(id);
}

/// Where in the source something was asked for. One pointer wide; the text it names is static.
using Site = std::source_location;

}  // namespace taskscope::runtime::observe
