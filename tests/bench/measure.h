/// Clocks, memory readings and the lines of a benchmark: one JSON object a measured figure.
#pragma once

#include <time.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace taskscope::bench {

struct Metric {
  std::string name;
  std::string unit;
  std::size_t n = 0;                         ///< operations
  double value = 0;                          ///< wall time, or whatever `unit` says
  std::optional<double> cpu = std::nullopt;  ///< of the whole process, same interval and unit
};
using Metrics = std::vector<Metric>;

inline double process_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// An interval that begins where it is declared.
class Interval {
 public:
  [[nodiscard]] Metric per_operation(std::string name, std::size_t n) const {
    const auto each = static_cast<double>(n);
    return {std::move(name), "ns", n, wall_ns() / each, cpu_ns() / each};
  }
  [[nodiscard]] Metric total(std::string name, std::size_t n) const {
    return {std::move(name), "ms", n, wall_ns() / 1e6, cpu_ns() / 1e6};
  }
  [[nodiscard]] double wall_ns() const {
    const auto passed = std::chrono::steady_clock::now() - wall_;
    return std::chrono::duration<double, std::nano>(passed).count();
  }
  [[nodiscard]] double cpu_ns() const { return process_cpu_ns() - cpu_; }

 private:
  std::chrono::steady_clock::time_point wall_ = std::chrono::steady_clock::now();
  double cpu_ = process_cpu_ns();
};

/// A line of /proc/self/status in bytes.
inline double status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::strtod(line.c_str() + field.size(), nullptr) * 1024;
  }
  std::abort();
}
inline double resident_bytes() { return status_bytes("VmRSS:"); }
inline Metric peak_resident(std::size_t n) {
  return {"peak_rss", "MiB", n, status_bytes("VmHWM:") / (1 << 20)};
}
inline Metric bytes_each(std::string name, std::size_t n, double before) {
  return {std::move(name), "B", n, (resident_bytes() - before) / static_cast<double>(n)};
}

inline void print(const char* version, const std::string& workload, std::size_t workers,
                  std::size_t repetition, const Metric& metric) {
  std::printf(
      "{\"peer\":\"taskscope\",\"version\":\"%s\",\"workload\":\"%s\",\"workers\":%zu,\"rep\":%zu,"
      "\"metric\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"n\":%zu,\"cpu\":",
      version, workload.c_str(), workers, repetition, metric.name.c_str(), metric.value,
      metric.unit.c_str(), metric.n);
  if (metric.cpu) {
    std::printf("%.3f}\n", *metric.cpu);
  } else {
    std::puts("null}");
  }
  std::fflush(stdout);
}

/// A benchmark checks its results: a wrong one ends the program.
inline void must(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "taskscope-bench: %s\n", what);
  std::abort();
}

[[nodiscard]] constexpr std::uint64_t sum_below(std::size_t n) {
  return n == 0 ? 0 : static_cast<std::uint64_t>(n) * (n - 1) / 2;
}

/// The random numbers of every peer, so that all arm the same deadlines.
class Random {
 public:
  std::uint64_t below(std::uint64_t limit) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % limit;
  }

 private:
  std::uint64_t state_ = 0x9E3779B97F4A7C15u;
};

/// The deadlines of a timer workload: random in a window, or all at its start.
class Deadlines {
 public:
  using Clock = std::chrono::steady_clock;
  Deadlines(Clock::time_point first, std::chrono::milliseconds window)
      : first_(first), window_(window) {}

  Clock::time_point next() {
    if (window_.count() == 0) return first_;
    const auto limit = static_cast<std::uint64_t>(window_.count()) * 1000;
    return first_ + std::chrono::microseconds(random_.below(limit));
  }

 private:
  Clock::time_point first_;
  std::chrono::milliseconds window_;
  Random random_;
};

}  // namespace taskscope::bench
