/// The clock of the event stream: raw, cheap, and converted only by the reader.
#pragma once

#include <compare>
#include <cstdint>
#include <ctime>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace taskscope::runtime::observe {

/// A raw reading of the stream's clock: the time stamp counter where it is invariant, else
/// nanoseconds of CLOCK_MONOTONIC. Only differences and comparisons of readings of one process mean
/// anything; the conversion to time travels with the stream as clock points.
enum class Ticks : std::uint64_t {};

/// True when Ticks count the time stamp counter. Decided once, before the first reading.
[[nodiscard]] bool ticks_are_tsc() noexcept;

[[nodiscard]] inline std::uint64_t monotonic_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(now.tv_nsec);
}

namespace detail {
extern const bool tsc_is_invariant;
}

[[nodiscard]] inline Ticks read_ticks() noexcept {
#if defined(__x86_64__)
  if (detail::tsc_is_invariant) [[likely]]
    return Ticks{__rdtsc()};
#endif
  return Ticks{monotonic_ns()};
}

}  // namespace taskscope::runtime::observe
