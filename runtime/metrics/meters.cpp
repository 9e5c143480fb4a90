#include "taskscope/runtime/metrics/meters.h"

#include <chrono>
#include <thread>

namespace taskscope::runtime::metrics {

namespace {

struct Point {
  std::uint64_t ticks, ns;
};

/// Both clocks at about the same moment: of several tries the one that took shortest.
Point read_both() noexcept {
  Point best{};
  std::uint64_t shortest = UINT64_MAX;
  for (int i = 0; i < 8; ++i) {
    const auto before = static_cast<std::uint64_t>(observe::read_ticks());
    const std::uint64_t ns = observe::monotonic_ns();
    const auto after = static_cast<std::uint64_t>(observe::read_ticks());
    if (after - before >= shortest) continue;
    shortest = after - before;
    best = {before + shortest / 2, ns};
  }
  return best;
}

double measure() {
  if (!observe::ticks_are_tsc()) return 1;
  const Point first = read_both();
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const Point last = read_both();
  return static_cast<double>(last.ns - first.ns) / static_cast<double>(last.ticks - first.ticks);
}

std::unique_ptr<Histogram> make(const std::optional<BucketScale>& scale) {
  return scale ? std::make_unique<Histogram>(*scale) : nullptr;
}

}  // namespace

double ns_per_tick() {
  static const double measured = measure();
  return measured;
}

Meters::Meters(const HistogramScales& scales)
    : poll_time(make(scales.poll_time)),
      schedule_latency(make(scales.schedule_latency)),
      poll_count(make(scales.poll_count)),
      // Only times need it.
      ns_per_tick_(scales.poll_time || scales.schedule_latency ? ns_per_tick() : 1) {}

}  // namespace taskscope::runtime::metrics
