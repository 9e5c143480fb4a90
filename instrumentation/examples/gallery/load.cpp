/// Healthy tasks: they contend, wait for each other, time out and end, and nothing is wrong.
#include <array>

#include "taskscope/instrumentation/examples/gallery/curator.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/runtime/time/interval.h"
#include "taskscope/runtime/time/timeout.h"

namespace taskscope::gallery {

namespace mpsc = runtime::sync::mpsc;
namespace oneshot = runtime::sync::oneshot;
namespace time = runtime::time;
using runtime::sync::Mutex;
using runtime::sync::Notify;
using runtime::sync::Semaphore;

namespace {

constexpr std::size_t kBurst = 16;  // rounds between two rests
constexpr std::size_t kShared = 8;  // of each kind: many tasks meet at few

struct Crowd {
  std::array<Mutex<std::uint64_t>, kShared> counters;
  std::array<Semaphore, kShared> gates{Semaphore(3), Semaphore(3), Semaphore(3), Semaphore(3),
                                       Semaphore(3), Semaphore(3), Semaphore(3), Semaphore(3)};
  Notify bell;  // rings for nobody: who waits for it times out
};
using TheCrowd = std::shared_ptr<Crowd>;

milliseconds rest_of(std::size_t i) { return milliseconds(2 + i % 7); }

Task<void> count_together(TheCrowd crowd, std::size_t i) {
  for (;; ++i) {
    for (std::size_t round = 0; round < kBurst; ++round) {
      auto counter = co_await crowd->counters[(i + round / 4) % kShared].lock();
      ++*counter;
      if (round % 4 == 0) co_await runtime::yield_now();
    }
    co_await time::sleep(rest_of(i));
  }
}

Task<void> pass_the_gate(TheCrowd crowd, std::size_t i) {
  for (;; ++i) {
    for (std::size_t round = 0; round < kBurst; ++round) {
      const auto permit = co_await crowd->gates[i % kShared].acquire(1 + i % 2);
      co_await runtime::yield_now();
    }
    co_await time::sleep(rest_of(i));
  }
}

Task<void> write_messages(mpsc::Sender<std::size_t> sender, std::size_t i) {
  for (;; ++i) {
    for (std::size_t round = 0; round < kBurst; ++round)
      static_cast<void>(co_await sender.send(round));
    co_await time::sleep(rest_of(i));
  }
}

Task<void> read_messages(mpsc::Receiver<std::size_t> receiver) {
  std::array<std::size_t, kBurst> messages{};
  for (;;) {
    const auto count = co_await receiver.recv_many(std::span<std::size_t>(messages));
    if (count == 0) co_return;
  }
}

Task<void> reply(oneshot::Sender<std::size_t> sender, std::size_t number) {
  co_await runtime::yield_now();
  static_cast<void>(sender.send(number));
}

Task<void> ask_around(std::size_t i) {
  for (;; ++i) {
    for (std::size_t round = 0; round < kBurst / 4; ++round) {
      auto ends = oneshot::channel<std::size_t>();
      auto child = runtime::spawn(reply(std::move(ends.first), round));
      static_cast<void>(co_await ends.second.recv());
      co_await child;
    }
    co_await time::sleep(rest_of(i));
  }
}

Task<void> keep_time(TheCrowd crowd, std::size_t i) {
  auto interval = time::interval(milliseconds(5 + i % 45));
  for (;;) {
    static_cast<void>(co_await interval.tick());
    static_cast<void>(co_await time::timeout(rest_of(i), crowd->bell.notified()));
  }
}

}  // namespace

void spawn_load(Curator& curator) {
  if (curator.options().load == 0) return;
  const auto crowd = std::make_shared<Crowd>();
  struct Group {
    const char* name;
    Site site = Site::current();  // of the group: a call site each
    Tasks tasks = {};
  };
  Group counting{"counts together"};
  Group passing{"passes the gate"};
  Group writing{"writes messages"};
  Group reading{"reads messages"};
  Group asking{"asks around"};
  Group timing{"keeps time"};
  std::optional<mpsc::Sender<std::size_t>> sender;
  for (std::size_t i = 0; i < curator.options().load; ++i) {
    const std::size_t role = i % 8;  // of eight, a reader and three writers
    if (role == 0) {
      auto ends = mpsc::channel<std::size_t>(4);
      sender.emplace(std::move(ends.first));
      reading.tasks.push_back(read_messages(std::move(ends.second)));
    } else if (role < 4) {
      writing.tasks.push_back(write_messages(*sender, i));
    } else if (role == 4) {
      asking.tasks.push_back(ask_around(i));
    } else if (role == 5) {
      timing.tasks.push_back(keep_time(crowd, i));
    } else if (role == 6) {
      passing.tasks.push_back(pass_the_gate(crowd, i));
    } else {
      counting.tasks.push_back(count_together(crowd, i));
    }
  }
  for (Group* group : {&counting, &passing, &writing, &reading, &asking, &timing}) {
    if (!group->tasks.empty())
      static_cast<void>(curator.spawn(group->name, std::move(group->tasks), group->site));
  }
}

}  // namespace taskscope::gallery
