// taskscope-bench: the workloads of the peer benchmarks, with their arguments and lines.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <utility>

#include "taskscope/runtime/runtime.h"
#include "taskscope/tests/bench/workloads.h"

namespace {

using namespace taskscope;
using namespace std::chrono_literals;
using bench::Root;

constexpr const char* kUsage =
    "usage: taskscope-bench list\n"
    "       taskscope-bench WORKLOAD WORKERS [REPS] [SCALE]\n"
    "       taskscope-bench echo WORKERS [PORT]\n";

/// A count at the scale of a run.
class Scale {
 public:
  explicit Scale(double scale) : scale_(scale) {}
  std::size_t operator()(std::size_t full) const {
    return std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(full) * scale_));
  }

 private:
  double scale_;
};

struct Workload {
  const char* name;
  bool cold;  // no warm-up: its memory figures must come from a fresh heap
  Root (*root)(Scale);
};

constexpr std::size_t kMillion = 1'000'000;

constexpr Workload kWorkloads[] = {
    {"spawn_join", false, [](Scale n) { return bench::spawn_join(n(kMillion), n(kMillion)); }},
    {"spawn_batch", false, [](Scale n) { return bench::spawn_join(n(kMillion), 1000); }},
    {"yield", false, [](Scale n) { return bench::yield_often(1000, n(1000)); }},
    {"ping_pong", false, [](Scale n) { return bench::ping_pong(n(kMillion)); }},
    {"chain", false, [](Scale n) { return bench::chain(n(kMillion)); }},
    {"mpsc", false, [](Scale n) { return bench::mpsc(4, n(kMillion)); }},
    {"mutex", false, [](Scale n) { return bench::mutex(100, n(10'000), false); }},
    {"mutex_yield", false, [](Scale n) { return bench::mutex(100, n(10'000), true); }},
    {"timer_cancel", true, [](Scale n) { return bench::timer_cancel(n(kMillion)); }},
    {"timer_fire", true, [](Scale n) { return bench::timer_fire(n(kMillion), 100ms); }},
    {"timer_burst", true, [](Scale n) { return bench::timer_fire(n(kMillion), 0ms); }},
    {"timer_tasks", true, [](Scale n) { return bench::timer_tasks(n(kMillion), 100ms); }},
    {"idle", true, [](Scale n) { return bench::idle(n(kMillion)); }},
    {"idle_wait", true, [](Scale n) { return bench::idle_wait(n(kMillion)); }},
    {"blocking", false, [](Scale n) { return bench::blocking(n(100'000)); }},
    {"blocking_seq", false, [](Scale n) { return bench::blocking_in_turn(n(20'000)); }},
};

// The root runs on a worker, not on the thread that waits for it.
runtime::Task<bench::Metrics> on_worker(Root root) {
  auto handle = runtime::spawn(std::move(root));
  bench::Metrics metrics = co_await std::move(handle);
  co_return metrics;
}

int measure(const Workload& workload, std::size_t workers, std::size_t repetitions, double scale) {
  auto runtime =
      runtime::Builder::multi_thread().worker_threads(static_cast<std::uint32_t>(workers)).build();
  if (!workload.cold) runtime.block_on(on_worker(workload.root(Scale(scale / 10))));
  for (std::size_t i = 0; i < repetitions; ++i) {
    for (const auto& metric : runtime.block_on(on_worker(workload.root(Scale(scale))))) {
      bench::print(TASKSCOPE_VERSION, workload.name, workers, i, metric);
    }
  }
  std::_Exit(0);  // some workloads end with a million parked tasks
}

int refuse(const std::string& what) {
  std::fprintf(stderr, "taskscope-bench: %s\n%s", what.c_str(), kUsage);
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string name = count > 1 ? arguments[1] : "";
  if (name == "list") {
    for (const Workload& workload : kWorkloads) std::puts(workload.name);
    std::puts("echo");
    return 0;
  }
  const std::size_t workers = count > 2 ? std::strtoul(arguments[2], nullptr, 10) : 1;
  if (workers < 1 || workers > 1024) return refuse("WORKERS has to be from 1 to 1024");
  try {
    if (name == "echo") {
      const unsigned long port = count > 3 ? std::strtoul(arguments[3], nullptr, 10) : 0;
      if (port > 65535) return refuse("there is no such port");
      bench::serve_echo(workers, static_cast<std::uint16_t>(port));
      return 0;
    }
    const std::size_t repetitions = count > 3 ? std::strtoul(arguments[3], nullptr, 10) : 5;
    const double scale = count > 4 ? std::strtod(arguments[4], nullptr) : 1;
    if (!(scale > 0 && scale <= 1000)) return refuse("SCALE has to be positive");
    for (const Workload& workload : kWorkloads) {
      if (name == workload.name) return measure(workload, workers, repetitions, scale);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "taskscope-bench: %s\n", error.what());
    return 3;
  }
  return refuse("unknown workload '" + name + "'");
}
