// What it costs to look for stuck tasks. Prints one JSON object a line.
//
//     taskscope-graph-bench [TASKS] [RESOURCES] [REPS]     1,000,000 tasks, 1,000 mutexes, 9 times
//
// Each scene is a session with so many living tasks: `servers`, of which nine in ten wait outside
// (for descriptors and timers) and the others for the mutexes; `contended`, where all but the
// holders wait for the mutexes; `channels`, where each receives from a channel of its own, by the
// million. In each, eight members of a ring are stuck, and nobody else.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "taskscope/console/analysis/diagnosis.h"
#include "taskscope/console/analysis/stuck.h"
#include "taskscope/console/analysis/wait_graph.h"

using namespace taskscope;
using namespace taskscope::console;

namespace {

constexpr std::uint64_t kMs = 1'000'000, kMembers = 8;

double thread_cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

enum class Scene { Servers, Contended, Channels };
constexpr std::pair<Scene, const char*> kScenes[] = {
    {Scene::Servers, "servers"}, {Scene::Contended, "contended"}, {Scene::Channels, "channels"}};

/// Sends a walk in pieces, as a target does.
class Walk {
 public:
  explicit Walk(session::Model& model) : model_(model) {}

  void task(std::uint64_t id, protocol::WaitOp op, protocol::ResourceKind kind,
            std::uint64_t other) {
    protocol::TaskSnapshot row;
    row.ticks = 10 * kMs;
    row.task = id;
    row.site = 1 + static_cast<std::uint32_t>(op);
    row.polls = 3;
    row.last_poll_ms = 1 + id % 9;
    protocol::BranchState wait;
    wait.op = op;
    wait.resource_kind = kind;
    wait.other = other;
    wait.site = 100 + static_cast<std::uint32_t>(op);
    row.branches.push_back(wait);
    piece_.tasks.push_back(std::move(row));
    if (piece_.tasks.size() == 2048) send();
  }
  void resource(std::uint64_t id, protocol::ResourceKind kind, protocol::HolderState holder) {
    protocol::ResourceSnapshot row;
    row.ticks = 10 * kMs;
    row.resource = id;
    row.kind = kind;
    row.holders.push_back(std::move(holder));
    piece_.resources.push_back(std::move(row));
    if (piece_.resources.size() == 4096) send();
  }
  void finish() {
    piece_.last = true;
    send();
    protocol::Samples samples;
    samples.ticks = 20 * kMs;
    model_.apply(samples);
    model_.flush();
  }

 private:
  void send() {
    piece_.id = 1;
    piece_.begin_ticks = 9 * kMs;
    piece_.has_waits = true;
    model_.apply(std::exchange(piece_, {}));
  }

  session::Model& model_;
  protocol::Snapshot piece_;
};

/// Tasks 1 to `tasks`; the first `resources` hold one mutex each and wait for I/O, but the members
/// of the ring.
void build(session::Model& model, Scene scene, std::uint64_t tasks, std::uint64_t resources) {
  using enum protocol::WaitOp;
  using protocol::ResourceKind;
  protocol::Process process;
  process.ticks_are_tsc = false;
  model.apply(process);
  model.apply(protocol::ClockPoint{kMs, kMs, kMs});
  Walk walk(model);
  for (std::uint64_t id = 1; id <= tasks; ++id) {
    if (id <= kMembers) {
      walk.task(id, Lock, ResourceKind::Mutex, 1 + id % kMembers);
    } else if (id <= resources || (scene == Scene::Servers && id % 10 != 0)) {
      if (id % 3 == 0)
        walk.task(id, Sleep, ResourceKind::Timer, 0);
      else
        walk.task(id, Readable, ResourceKind::Io, 0);
    } else if (scene == Scene::Channels) {
      walk.task(id, Recv, ResourceKind::Mpsc, resources + id);
    } else {
      walk.task(id, Lock, ResourceKind::Mutex, kMembers + 1 + id % (resources - kMembers));
    }
  }
  for (std::uint64_t id = 1; id <= resources; ++id)
    walk.resource(id, ResourceKind::Mutex, {id, true, 1, "holds"});
  if (scene == Scene::Channels)
    for (std::uint64_t id = resources + 1; id <= tasks; ++id)
      walk.resource(resources + id, ResourceKind::Mpsc,
                    {kMembers + 1 + id % (resources - kMembers), false, 0, "sends"});
  walk.finish();
}

struct Times {
  double median_ms = 0, worst_ms = 0;
};

template <class Work>
Times measure(int reps, Work work) {
  std::vector<double> times;
  for (int rep = 0; rep < reps; ++rep) {
    const auto begin = thread_cpu_ms();
    work();
    times.push_back(thread_cpu_ms() - begin);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.back()};
}

bool run(Scene scene, const char* name, std::uint64_t tasks, std::uint64_t resources, int reps) {
  session::Limits limits;
  limits.resources = tasks + resources + 1;
  session::Model model(limits);
  build(model, scene, tasks, resources);
  std::vector<analysis::Jam> jams;
  const auto search = measure(reps, [&] { jams = analysis::find_jams(model); });
  analysis::Diagnosis diagnosis;
  const auto look = measure(reps, [&] { diagnosis.look_now(model); });
  const std::vector<std::uint64_t> seeds{1};
  analysis::Graph graph;
  const auto draw = measure(reps, [&] { graph = analysis::graph_around(model, {seeds, {}}); });
  const bool found = jams.size() == 1 && jams[0].tasks.size() == kMembers &&
                     jams[0].certainty == analysis::Certainty::Certain;
  std::printf(
      "{\"bench\":\"graph\",\"scene\":\"%s\",\"tasks\":%zu,\"resources\":%zu,\"found\":%s,"
      "\"search_cpu_ms\":%.2f,\"search_worst_ms\":%.2f,\"look_cpu_ms\":%.2f,\"draw_cpu_ms\":%.2f,"
      "\"nodes\":%zu}\n",
      name, model.tasks().size(), model.resources().size(), found ? "true" : "false",
      search.median_ms, search.worst_ms, look.median_ms, draw.median_ms, graph.nodes.size());
  return found;
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, std::uint64_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  const auto tasks = number(1, 1'000'000), resources = number(2, 1'000), reps = number(3, 9);
  if (resources <= kMembers || tasks <= resources || reps < 1 || reps > 1000) {
    std::fprintf(stderr, "usage: taskscope-graph-bench [TASKS] [RESOURCES] [REPS]\n");
    return 2;
  }
  bool good = true;
  for (const auto& [scene, name] : kScenes)
    good = run(scene, name, tasks, resources, static_cast<int>(reps)) && good;
  return good ? 0 : 1;
}
