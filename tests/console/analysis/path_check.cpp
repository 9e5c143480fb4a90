// Walks critical paths of a recording's tasks between many moments: whether the segments cover the
// time without gap or overlap, what they come to, and how long the walks take.
//
//   path_check FILE [WALKS]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "taskscope/console/analysis/critical_path.h"
#include "taskscope/console/source/file_source.h"

using namespace taskscope::console;
using analysis::CriticalPath;

namespace {

bool is_partition(const CriticalPath& path) {
  auto at = path.from;
  for (const auto& segment : path.segments) {
    if (segment.from != at || segment.to <= segment.from) return false;
    at = segment.to;
  }
  std::uint64_t sum = 0;
  for (const auto& one : analysis::blame(path)) sum += one.ticks;
  return at == path.to && sum == path.to - path.from;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int walks = argc > 2 ? std::atoi(argv[2]) : 300;
  auto source = source::open_file(argv[1]);
  if (!source) {
    std::fprintf(stderr, "path_check: %s does not open\n", argv[1]);
    return 3;
  }
  session::Session session(std::move(source.value()));
  session.pump_to_end(std::chrono::hours(1));
  const auto& model = session.model();
  std::vector<std::uint64_t> tasks, alive;
  for (std::uint32_t slot = 0; slot < model.tasks().slots(); ++slot)
    if (const auto* task = model.tasks().at(slot))
      (task->alive() ? alive : tasks).push_back(task->id);
  if (tasks.empty()) tasks = alive;
  if (alive.empty()) alive = tasks;
  if (tasks.empty()) return 1;

  std::mt19937_64 random(1);
  const auto length = static_cast<std::uint64_t>(model.now_ns() - model.begin_ns()) + 1;
  std::uint64_t kinds[analysis::kPathKinds] = {};
  std::uint64_t segments = 0, followed = 0, all = 0;
  double longest_ms = 0;
  int wrong = 0, cut = 0;
  for (int i = 0; i < walks; ++i) {
    const auto& some = i % 8 == 7 ? tasks : alive;
    const auto task = some[random() % some.size()];
    auto from = std::numeric_limits<std::int64_t>::min();
    auto to = std::numeric_limits<std::int64_t>::max();
    if (i % 4 != 0) {
      to = model.begin_ns() + static_cast<std::int64_t>(random() % length);
      from = to - static_cast<std::int64_t>(random() % (i % 4 == 1 ? length : 100'000'000));
    }
    const auto begin = std::chrono::steady_clock::now();
    const auto path = analysis::critical_path(session, task, from, to);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    longest_ms = std::max(longest_ms, took.count());
    if (!is_partition(path)) {
      ++wrong;
      std::fprintf(stderr, "path_check: task %llu: no partition\n",
                   static_cast<unsigned long long>(task));
    }
    cut += path.cut ? 1 : 0;
    segments += path.segments.size();
    for (const auto& segment : path.segments) {
      kinds[static_cast<std::size_t>(segment.kind)] += segment.ticks();
      all += segment.ticks();
      if (segment.depth != 0) ++followed;
    }
    if (i < 8)
      std::printf("#%llu %s\n", static_cast<unsigned long long>(task),
                  analysis::path_words(model, path).c_str());
  }
  std::printf(
      "{\"walks\": %d, \"wrong\": %d, \"cut\": %d, \"segments\": %llu, \"followed\": %llu, ", walks,
      wrong, cut, static_cast<unsigned long long>(segments),
      static_cast<unsigned long long>(followed));
  for (int kind = 0; kind < analysis::kPathKinds; ++kind) {
    const auto name = analysis::name_of(static_cast<analysis::PathKind>(kind));
    std::printf("\"%.*s_percent\": %.1f, ", static_cast<int>(name.size()), name.data(),
                all == 0 ? 0.0 : 100 * static_cast<double>(kinds[kind]) / static_cast<double>(all));
  }
  std::printf("\"longest_ms\": %.1f}\n", longest_ms);
  return wrong == 0 && segments > 0 && followed > 0 ? 0 : 1;
}
