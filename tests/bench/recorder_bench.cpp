// What recording an event costs the thread where it happens. Prints one JSON object a line.
//
//     taskscope-recorder-bench                  what a record costs
//     taskscope-recorder-bench attach [TASKS]   what attaching to so many waiting tasks costs
//
// The whole instrumentation runs: collector, server, and a consumer that reads from the socket and
// throws away. Each figure is the best and the median of bursts that fit a ring; between two bursts
// the ring is drained. "sustained" records for a second at a rate and says what was lost.

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/instrumentation/engine.h"
#include "taskscope/instrumentation/recorder.h"
#include "taskscope/protocol/codec.h"
#include "taskscope/protocol/stream_reader.h"
#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/notify.h"

using namespace taskscope;
using namespace taskscope::runtime::observe;
namespace recorder = instrumentation::recorder;
using Clock = std::chrono::steady_clock;

namespace {

std::uint64_t cpu_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(time.tv_nsec);
}

/// A consumer that counts and forgets.
class Drain {
 public:
  explicit Drain(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      std::perror("connect");
      std::exit(1);
    }
    say(protocol::Hello{.program = "bench"});
    say(protocol::Subscribe{.sample_every_ms = 0});
    reader_ = std::thread([this] { run(); });
    while (!wants(Event::Poll)) std::this_thread::yield();
  }
  ~Drain() {
    reader_.join();
    close(fd_);
  }
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  void wait_for(std::uint64_t events) const {
    while (received + lost < events) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::atomic<std::uint64_t> received{0}, lost{0}, bytes{0}, living{0}, own_cpu_ns{0};
  std::atomic<bool> has_all{false};

 private:
  void say(const protocol::Request& request) const {
    const auto bytes_to_say = *protocol::encode_request(request, 0);
    if (send(fd_, bytes_to_say.data(), bytes_to_say.size(), MSG_NOSIGNAL) < 0) std::perror("send");
  }
  void run() {
    protocol::StreamReader reader;
    constexpr std::size_t kPiece = 1 << 20;
    while (true) {
      const ssize_t got = recv(fd_, reader.prepare(kPiece), kPiece, 0);
      reader.commit(got > 0 ? static_cast<std::size_t>(got) : 0);
      if (got <= 0) return;
      bytes += static_cast<std::uint64_t>(got);
      while (const auto chunk = reader.next()) {
        if (chunk->header.kind == protocol::ChunkKind::Events) {
          received += chunk->header.events;
        } else if (chunk->header.kind == protocol::ChunkKind::Snapshot) {
          if (const auto update = protocol::decode(*chunk)) {
            const auto& piece = std::get<protocol::Snapshot>(*update);
            living += piece.tasks.size();
            own_cpu_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
            if (piece.last) has_all = true;
          }
        } else if (chunk->header.kind == protocol::ChunkKind::Loss) {
          if (const auto update = protocol::decode(*chunk))
            lost += std::get<protocol::Loss>(*update).events;
        }
      }
    }
  }
  int fd_;
  std::thread reader_;
};

std::uint64_t recorded = 0;

/// Calls `record(i)` in bursts; each call makes `events` events.
template <class Record>
void measure(Drain& drain, const char* name, std::uint64_t events, Record record) {
  constexpr std::uint64_t kBurst = 20'000;
  constexpr int kBursts = 60;
  std::vector<double> each;
  for (int burst = 0; burst < kBursts; ++burst) {
    const auto begin = Clock::now();
    for (std::uint64_t i = 0; i < kBurst; ++i) record(i);
    const double ns = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    each.push_back(ns / static_cast<double>(kBurst * events));
    recorded += kBurst * events;
    drain.wait_for(recorded);
  }
  std::sort(each.begin(), each.end());
  std::printf("{\"bench\":\"recorder\",\"what\":\"%s\",\"best_ns\":%.2f,\"median_ns\":%.2f}\n",
              name, each.front(), each[each.size() / 2]);
  std::fflush(stdout);
}

/// Keeps the compiler from seeing through what it is not shown in a program either.
template <class T>
void opaque(T& value) {
  asm volatile("" : "+r,m"(value) : : "memory");
}

void run(Drain& drain) {
  const Site site = Site::current();
  const Wait lock{.op = WaitOp::Lock,
                  .resource_kind = ResourceKind::Mutex,
                  .resource = ResourceId{7},
                  .site = site};
  const std::span<const Wait> one_wait(&lock, 1);
  Observer* observing = observer();
  opaque(observing);
  Ticks now = read_ticks();
  std::uint64_t clock_sum = 0;

  const auto begin = Clock::now();
  constexpr std::uint64_t kReads = 1'000'000;
  for (std::uint64_t i = 0; i < kReads; ++i) clock_sum += static_cast<std::uint64_t>(read_ticks());
  opaque(clock_sum);
  std::printf("{\"bench\":\"recorder\",\"what\":\"clock read alone\",\"best_ns\":%.2f}\n",
              std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / kReads);

  // The first record of a thread finds its ring; a small one is changed for a large one when full.
  for (int i = 0; i < 20'000; ++i) {
    recorder::poll_started(TaskId{1}, WorkerId{1}, now);
    ++recorded;
    if (i % 1000 == 0) drain.wait_for(recorded);
  }
  drain.wait_for(recorded);

  measure(drain, "poll start and end, no clock", 2, [&](std::uint64_t i) {
    recorder::poll_started(TaskId{i + 1}, WorkerId{1}, now);
    recorder::poll_ended(TaskId{i + 1}, now, PollEnd::Yielded, {});
  });
  measure(drain, "poll start and end, a clock read each", 2, [&](std::uint64_t i) {
    recorder::poll_started(TaskId{i + 1}, WorkerId{1}, read_ticks());
    recorder::poll_ended(TaskId{i + 1}, read_ticks(), PollEnd::Yielded, {});
  });
  measure(drain, "poll start and end through the virtual observer, no clock", 2,
          [&](std::uint64_t i) {
            if (wants(Event::Poll)) observing->on_poll_started(TaskId{i + 1}, WorkerId{1}, now);
            if (wants(Event::Poll))
              observing->on_poll_ended(TaskId{i + 1}, WorkerId{1}, now, PollEnd::Yielded, {});
          });
  measure(drain, "poll end with one wait, no clock", 2, [&](std::uint64_t i) {
    recorder::poll_ended(TaskId{i + 1}, now, PollEnd::Pending, one_wait);
  });
  measure(drain, "wake by the running task, no clock", 1, [&](std::uint64_t i) {
    recorder::woken({.task = TaskId{i + 1}, .cause = WakeCause::Task}, now);
  });
  measure(drain, "wake by a descriptor, no clock", 1, [&](std::uint64_t i) {
    recorder::woken({.task = TaskId{i + 1}, .cause = WakeCause::Io, .fd = 5}, now);
  });
  measure(drain, "task spawned, a clock read", 1, [&](std::uint64_t i) {
    recorder::task_spawned(
        {.task = TaskId{i + 1}, .site = site, .name = {}, .fields = {}, .frame_bytes = 512},
        read_ticks());
  });
  measure(drain, "task spawned with a name of 16 bytes, a clock read", 1, [&](std::uint64_t i) {
    recorder::task_spawned({.task = TaskId{i + 1},
                            .site = site,
                            .name = "connection 12345",
                            .fields = {},
                            .frame_bytes = 512},
                           read_ticks());
  });

  // What is lost at a given rate, a clock read a record.
  for (const double million : {6.0, 12.0, 20.0}) {
    const auto lost_before = drain.lost.load(), bytes_before = drain.bytes.load();
    std::uint64_t events = 0;
    const auto start = Clock::now();
    double seconds = 0;
    while (seconds < 1) {
      for (std::uint64_t i = 0; i < 1000; ++i) {
        recorder::poll_started(TaskId{i + 1}, WorkerId{1}, read_ticks());
        recorder::poll_ended(TaskId{i + 1}, read_ticks(), PollEnd::Pending, one_wait);
      }
      events += 3000;
      do {
        seconds = std::chrono::duration<double>(Clock::now() - start).count();
      } while (seconds * million * 1e6 < static_cast<double>(events));
    }
    recorded += events;
    drain.wait_for(recorded);
    const auto lost = drain.lost - lost_before;
    std::printf(
        "{\"bench\":\"recorder\",\"what\":\"sustained, one worker: polls with a wait\","
        "\"events_per_s\":%.0f,\"lost_share\":%.4f,\"bytes_per_event\":%.2f}\n",
        static_cast<double>(events) / seconds,
        static_cast<double>(lost) / static_cast<double>(events),
        static_cast<double>(drain.bytes - bytes_before) / static_cast<double>(events - lost));
  }
}

}  // namespace

namespace {

runtime::Task<void> waits(runtime::sync::Notify& notify) { co_await notify.notified(); }

/// From the connection to the end of the walk.
void attach(instrumentation::Engine& engine, std::uint64_t tasks) {
  runtime::sync::Notify notify;
  runtime::Runtime runtime;
  for (std::uint64_t i = 0; i < tasks; ++i) runtime.spawn(waits(notify)).detach();
  while (runtime.metrics().polls < tasks) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
  const auto begin = Clock::now();
  Drain drain(engine.socket_path());
  while (!drain.has_all) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const double wall_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  const auto used = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu - drain.own_cpu_ns;
  std::printf(
      "{\"bench\":\"attach\",\"tasks\":%llu,\"seen\":%llu,\"wall_ms\":%.1f,"
      "\"target_cpu_ms\":%.1f,\"bytes_per_task\":%.1f}\n",
      static_cast<unsigned long long>(tasks), static_cast<unsigned long long>(drain.living.load()),
      wall_ms, static_cast<double>(used) / 1e6,
      static_cast<double>(drain.bytes) / static_cast<double>(tasks));
  std::fflush(stdout);
  runtime.shutdown();
  engine.finish("done");
}

}  // namespace

int main(int count, char** arguments) {
  char directory[] = "/tmp/taskscope-bench-XXXXXX";
  if (mkdtemp(directory) == nullptr) return 1;
  {
    instrumentation::Engine engine(
        {.queue_bytes = std::size_t{1} << 30, .socket_directory = directory});
    if (!engine.is_listening()) return 1;
    if (count > 1 && std::strcmp(arguments[1], "attach") == 0) {
      attach(engine, count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1'000'000);
    } else {
      Drain drain(engine.socket_path());
      std::thread worker([&] { run(drain); });
      worker.join();
      engine.finish("done");
    }
  }
  rmdir(directory);
}
