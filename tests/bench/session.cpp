// What opening and looking at a large recording costs. Prints one JSON object a line.
//
//     taskscope-session-bench make FILE EVENTS [WORKERS] [TASKS]   a synthetic recording
//     taskscope-session-bench open FILE                            time to the full picture, memory
//     taskscope-session-bench attach TASKS                         a walk over so many living
//     taskscope-session-bench pyramid POLLS                        timeline queries, no file
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "taskscope/console/session/session.h"
#include "taskscope/console/source/file_source.h"
#include "taskscope/protocol/trace_file.h"

using namespace taskscope;
using Clock = std::chrono::steady_clock;

namespace {

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// CPU time of this thread: on a busy machine the wall clock tells of the neighbours.
double thread_cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

protocol::Event make(protocol::EventKind kind, std::uint64_t ticks, std::uint64_t task) {
  protocol::Event event;
  event.kind = kind;
  event.ticks = ticks;
  event.task = task;
  return event;
}

struct Fail {
  std::string what;
};

template <class T>
T value(protocol::Result<T> result) {
  if (!result) throw Fail{result.error().message};
  return std::move(*result);
}

/// Each poll is four records: a wake, a start, an end, a wait. Tasks move between workers.
void make_file(const std::string& path, std::uint64_t events, std::uint32_t workers,
               std::uint64_t tasks) {
  auto writer = value(protocol::TraceWriter::create(path));
  protocol::Process process;
  process.pid = 1;
  process.name = "synthetic";
  process.ticks_are_tsc = false;
  (void)value(writer.append(protocol::Update(process)));
  std::vector<protocol::Site> sites;
  for (std::uint32_t id = 1; id <= 100; ++id)
    sites.push_back({id, "synthetic.cpp", "function_" + std::to_string(id), id, 1});
  (void)value(writer.append(protocol::Update(sites)));
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> now(workers, 1'000'000'000);
  protocol::EventsBuilder builder;
  std::uint64_t made = 0, sequence = 0, task_spawned = 0, second = 0;
  const auto send = [&] {
    if (!builder.empty())
      (void)value(writer.append(protocol::BytesView(builder.finish(++sequence))));
  };
  const auto add = [&](const protocol::Event& event) {
    if (builder.full()) send();
    builder.append(event);
    ++made;
  };
  std::uint64_t pass = 1'000'000'000;
  while (made < events) {
    if (pass / 1'000'000'000 != second) {
      second = pass / 1'000'000'000;
      (void)value(writer.append(protocol::Update(protocol::ClockPoint{pass, pass, pass})));
    }
    for (std::uint32_t i = 0; i < workers; ++i) {
      builder.begin(i + 1, i + 1, static_cast<std::int32_t>(100 + i), "worker");
      while (now[i] < pass + 10'000'000) {
        if (task_spawned < tasks) {
          auto spawned = make(protocol::EventKind::TaskSpawned, now[i], ++task_spawned);
          spawned.site = 1 + static_cast<std::uint32_t>(task_spawned % 50);
          add(spawned);
        }
        const auto bits = random();
        const auto task = 1 + (bits >> 32) % task_spawned;
        auto woken = make(protocol::EventKind::Woken, now[i], task);
        woken.other = 1 + (bits & 0xffff) % task_spawned;
        add(woken);
        now[i] += 100 + bits % 700;
        add(make(protocol::EventKind::PollStarted, now[i], task));
        now[i] += 200 + (bits >> 10) % 1500;
        auto ended = make(protocol::EventKind::PollEnded, now[i], task);
        ended.detail = static_cast<std::uint8_t>(protocol::PollEnd::Pending);
        add(ended);
        auto wait = make(protocol::EventKind::Wait, now[i], task);
        wait.detail = static_cast<std::uint8_t>(protocol::WaitOp::Recv);
        wait.resource_kind = static_cast<std::uint8_t>(protocol::ResourceKind::Mpsc);
        wait.other = 1 + task % 100;
        wait.site = 51 + static_cast<std::uint32_t>(task % 50);
        add(wait);
      }
      send();
    }
    pass += 10'000'000;
  }
  (void)value(writer.finish());
  std::printf("{\"bench\":\"make\",\"events\":%llu,\"bytes_an_event\":%.2f}\n",
              static_cast<unsigned long long>(made),
              static_cast<double>(writer.bytes_written()) / static_cast<double>(made));
}

void time_queries(const console::session::Model& model, const char* bench) {
  const auto begin = model.begin_ns(), end = model.now_ns();
  for (const std::int64_t zoom : {1, 30, 1000, 30'000}) {
    std::vector<double> times;
    std::size_t pieces = 0;
    for (int round = 0; round < 15; ++round) {
      const auto width = (end - begin) / zoom;
      const auto from = begin + (end - begin - width) * round / 15;
      const auto start = Clock::now();
      std::vector<console::session::Slice> slices;
      pieces = 0;
      for (const auto& lane : model.lanes()) {
        slices.clear();
        model.slices(lane->index, console::session::Layer::Polls, from, from + width, width / 2000,
                     slices);
        pieces += slices.size();
      }
      times.push_back(ms_since(start));
    }
    std::sort(times.begin(), times.end());
    std::printf(
        "{\"bench\":\"%s\",\"zoom\":%lld,\"lanes\":%zu,\"px\":2000,\"slices\":%zu,"
        "\"min_ms\":%.3f,\"median_ms\":%.3f,\"max_ms\":%.3f}\n",
        bench, static_cast<long long>(zoom), model.lanes().size(), pieces, times.front(),
        times[times.size() / 2], times.back());
  }
}

void open(const std::string& path) {
  const auto before = resident_bytes();
  const auto begin = Clock::now();
  auto source = console::source::open_file(path);
  if (!source) throw Fail{source.failure().sentence};
  const auto opened = ms_since(begin);
  console::session::Session session(std::move(source.value()));
  session.pump_to_end(std::chrono::hours{1});
  const auto loaded = ms_since(begin);
  const auto cpu = thread_cpu_ms();
  const auto& model = session.model();
  const auto events = static_cast<double>(model.totals().events);
  const auto memory = model.memory();
  std::printf(
      "{\"bench\":\"open\",\"events\":%.0f,\"open_ms\":%.1f,\"full_picture_ms\":%.1f,\"session_cpu_"
      "ms\":%.1f,"
      "\"cpu_ns_an_event\":%.1f,\"model_bytes_an_event\":%.2f,\"tracks\":%zu,\"tasks\":%zu,"
      "\"others\":%zu,\"resident_bytes_an_event\":%.2f,\"late\":%llu,\"bogus\":%llu,\"bounded\":%"
      "llu}\n",
      events, opened, loaded, cpu, cpu * 1e6 / events, static_cast<double>(memory.total()) / events,
      memory.tracks, memory.tasks, memory.others + memory.chunks,
      static_cast<double>(resident_bytes() - before) / events,
      static_cast<unsigned long long>(model.totals().late),
      static_cast<unsigned long long>(model.totals().bogus),
      static_cast<unsigned long long>(model.totals().bounded));
  time_queries(model, "timeline");
  std::vector<std::uint64_t> tasks;
  for (std::uint64_t task = 1; task <= 60; ++task) tasks.push_back(task * 7);
  const auto shown = Clock::now();
  session.model().show_tasks(tasks);
  std::printf("{\"bench\":\"show_tasks\",\"tasks\":60,\"ms\":%.1f}\n", ms_since(shown));
}

/// A walk over many living tasks, as it comes after an attach.
void attach(std::uint64_t tasks) {
  std::vector<protocol::Update> pieces;
  protocol::Process process;
  process.ticks_are_tsc = false;
  pieces.push_back(process);
  pieces.push_back(protocol::ClockPoint{1'000'000'000, 1'000'000'000, 1});
  protocol::Snapshot piece;
  piece.id = 1;
  piece.begin_ticks = 2'000'000'000;
  piece.has_waits = true;
  for (std::uint64_t task = 1; task <= tasks; ++task) {
    protocol::TaskSnapshot entry;
    entry.ticks = piece.begin_ticks + task;
    entry.task = task;
    entry.parent = 1;
    entry.site = 1 + static_cast<std::uint32_t>(task % 20);
    entry.polls = 3;
    entry.spawned_ms = 1000;
    entry.last_poll_ms = 1000 + (task * 7919) % 900;
    protocol::BranchState wait;
    wait.op = protocol::WaitOp::Recv;
    wait.resource_kind = protocol::ResourceKind::Mpsc;
    wait.other = 1 + task % 10'000;
    wait.site = 50 + static_cast<std::uint32_t>(task % 20);
    entry.branches.push_back(wait);
    piece.tasks.push_back(std::move(entry));
    if (piece.tasks.size() == 4096 || task == tasks) {
      piece.last = task == tasks;
      pieces.push_back(std::exchange(piece, {}));
      piece.id = 1;
      piece.begin_ticks = 2'000'000'000;
      piece.has_waits = true;
    }
  }
  const auto before = resident_bytes();
  console::session::Model model;
  const auto begin = Clock::now();
  const auto cpu = thread_cpu_ms();
  double longest = 0;
  for (auto& update : pieces) {
    const auto start = Clock::now();
    model.apply(std::move(update));
    longest = std::max(longest, ms_since(start));
  }
  model.flush();
  std::printf(
      "{\"bench\":\"attach\",\"tasks\":%zu,\"ms\":%.1f,\"cpu_ms\":%.1f,"
      "\"longest_piece_ms\":%.1f,\"bytes_a_task\":%.0f,\"resident_bytes_a_task\":%.0f}\n",
      model.tasks().size(), ms_since(begin), thread_cpu_ms() - cpu, longest,
      static_cast<double>(model.memory().total()) / static_cast<double>(tasks),
      static_cast<double>(resident_bytes() - std::min(before, resident_bytes())) /
          static_cast<double>(tasks));
}

/// The store alone: 64 lanes, as many polls as asked for.
void pyramid(std::uint64_t polls) {
  std::mt19937_64 random(1);
  std::vector<console::session::Track> tracks(64);
  const auto each = polls / tracks.size();
  const auto begin = Clock::now();
  for (auto& track : tracks) {
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < each; ++i) {
      const auto bits = random();
      at += bits % 1000;
      const auto to = at + (bits >> 20) % 2000;
      track.append({at, to, bits % 100, 1 + (bits >> 50), 0});
      at = to;
    }
  }
  const auto built = ms_since(begin);
  std::size_t bytes = 0;
  std::uint64_t end = UINT64_MAX;
  for (const auto& track : tracks) {
    bytes += track.memory_bytes();
    end = std::min(end, track.last_end());
  }
  std::printf("{\"bench\":\"append\",\"polls\":%llu,\"ns_a_poll\":%.1f,\"bytes_a_poll\":%.2f}\n",
              static_cast<unsigned long long>(polls), built * 1e6 / static_cast<double>(polls),
              static_cast<double>(bytes) / static_cast<double>(polls));
  for (const std::uint64_t zoom : {1u, 7u, 30u, 1000u, 30'000u}) {
    std::vector<double> times;
    std::size_t pieces = 0;
    for (std::uint64_t round = 0; round < 15; ++round) {
      const auto width = end / zoom, from = (end - width) * round / 15;
      const auto start = Clock::now();
      std::vector<console::session::TickSlice> slices;
      pieces = 0;
      for (const auto& track : tracks) {
        slices.clear();
        track.query(from, from + width, width / 2000, slices);
        pieces += slices.size();
      }
      times.push_back(ms_since(start));
    }
    std::sort(times.begin(), times.end());
    std::printf(
        "{\"bench\":\"pyramid\",\"polls\":%llu,\"zoom\":%llu,\"slices\":%zu,"
        "\"min_ms\":%.3f,\"median_ms\":%.3f,\"max_ms\":%.3f}\n",
        static_cast<unsigned long long>(polls), static_cast<unsigned long long>(zoom), pieces,
        times.front(), times[times.size() / 2], times.back());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, std::uint64_t otherwise) {
    return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
  };
  try {
    if (argc >= 4 && std::strcmp(argv[1], "make") == 0)
      make_file(argv[2], number(3, 0), static_cast<std::uint32_t>(number(4, 4)), number(5, 10'000));
    else if (argc == 3 && std::strcmp(argv[1], "open") == 0)
      open(argv[2]);
    else if (argc == 3 && std::strcmp(argv[1], "attach") == 0)
      attach(number(2, 0));
    else if (argc == 3 && std::strcmp(argv[1], "pyramid") == 0)
      pyramid(number(2, 0));
    else
      throw Fail{
          "usage: taskscope-session-bench make FILE EVENTS [WORKERS] [TASKS] | open FILE | "
          "pyramid POLLS"};
  } catch (const Fail& fail) {
    std::fprintf(stderr, "taskscope-session-bench: %s\n", fail.what.c_str());
    return 2;
  }
  return 0;
}
