// The queues of the workers in every interleaving: nothing is lost, nothing is had twice, and who
// has an item sees what was written into it.

#include <array>

#include "taskscope/runtime/scheduler/idle_set.h"
#include "taskscope/runtime/scheduler/injection_queue.h"
#include "taskscope/runtime/scheduler/lifo_slot.h"
#include "taskscope/runtime/scheduler/local_queue.h"
#include "taskscope/runtime/scheduler/park_word.h"
#include "taskscope/runtime/scheduler/root.h"
#include "taskscope/runtime/scheduler/watch.h"
#include "taskscope/tests/runtime/interleave/part.h"

using namespace taskscope::interleave;
using namespace taskscope::runtime;

namespace {

struct Item {
  Tracked<int> taken{0};
  /// Whoever gets it writes: a second one, or one that is not ordered behind the pusher, races.
  void take() { taken.write(taken.read() + 1); }
};

template <std::size_t kCapacity>
using Queue = scheduler::LocalQueue<Item, kCapacity>;

template <std::size_t kCapacity>
void steal_all(Queue<kCapacity>& queue) {
  std::array<Item*, kCapacity> out;
  const auto count = queue.steal(out.data(), out.size());
  for (std::size_t i = 0; i < count; ++i) out[i]->take();
}
template <std::size_t kCapacity>
void pop_all(Queue<kCapacity>& queue) {
  while (Item* item = queue.pop()) item->take();
}
template <std::size_t kItems>
void each_was_taken_once(std::array<Item, kItems>& items) {
  for (const Item& item : items) check(item.taken.read() == 1, "an item was taken once");
}

/// The owner pushes and pops while others steal.
template <std::size_t kCapacity, std::size_t kItems, int kThieves>
void owner_and_thieves() {
  Queue<kCapacity> queue;
  std::array<Item, kItems> items;
  const auto owner = [&] {
    for (auto& item : items) {
      item.taken.write(0);
      if (!queue.push(&item)) item.take();
    }
    pop_all(queue);
  };
  const auto thief = [&] { steal_all(queue); };
  if constexpr (kThieves == 1) {
    threads(owner, thief);
  } else {
    threads(owner, thief, thief);
  }
  pop_all(queue);
  each_was_taken_once(items);
}

/// Two slots used again and again: what a thief copied may be overwritten before it claims.
void wraps() {
  Queue<2> queue;
  std::array<Item, 4> items;
  threads(
      [&] {
        for (auto& item : items) {
          item.taken.write(0);
          if (!queue.push(&item)) item.take();
          if (&item == &items[1]) {
            if (Item* popped = queue.pop()) popped->take();
          }
        }
      },
      [&] { steal_all(queue); });
  pop_all(queue);
  each_was_taken_once(items);
}

/// What a thief stole it writes into memory of its own; the owner reuses the slot's item.
void thief_is_seen() {
  Queue<2> queue;
  std::array<Item, 3> items;
  Tracked<int> read_by_thief;
  threads(
      [&] {
        for (int i = 0; i < 2; ++i) {
          if (!queue.push(&items[static_cast<std::size_t>(i)])) check(false, "two fit");
        }
        // A third fits only when the thief has claimed, and then all it did before is seen.
        if (queue.push(&items[2])) read_by_thief.write(2);
      },
      [&] {
        read_by_thief.write(1);
        std::array<Item*, 2> out;
        static_cast<void>(queue.steal(out.data(), 1));
      });
}

/// The slot in front of the queue: put in, displaced, taken, stolen.
void owner_and_thief_of_slot() {
  scheduler::LifoSlot<Item> slot;
  std::array<Item, 3> items;
  threads(
      [&] {
        for (auto& item : items) {
          item.taken.write(0);
          if (Item* displaced = slot.swap(&item, false)) displaced->take();
        }
        if (Item* left = slot.take(false)) left->take();
      },
      [&] {
        for (int i = 0; i < 2; ++i)
          if (Item* stolen = slot.steal()) stolen->take();
      });
  check(slot.empty(), "taken or stolen");
  each_was_taken_once(items);
}

/// A thread in block_on is told to look, by two, and sees what each did before.
void block_on_is_notified() {
  using scheduler::Root;
  task::Header of;
  Root root(of);
  check(root.take() == Root::kReady, "it begins ready");
  Tracked<int> ready, stopped;
  threads(
      [&] {
        for (std::uint32_t had = 0; had != (Root::kReady | Root::kLook);) {
          const std::uint32_t bits = root.take();
          if (bits == 0) root.sleep();
          if ((bits & Root::kReady) != 0) check(ready.read() == 1, "done before");
          if ((bits & Root::kLook) != 0) check(stopped.read() == 1, "done before");
          had |= bits;
        }
      },
      [&] {
        ready.write(1);
        root.notify(Root::kReady);
      },
      [&] {
        stopped.write(1);
        root.notify(Root::kLook);
      });
}

// --- injection and idle set --------------------------------------------------------------------

struct Job : task::Header {
  Tracked<int> brought, taken;
};

/// What of the scheduler decides who sleeps: its queues, its idle set and the words that workers
/// sleep on, used in the order of Worker::park, found_work and Scheduler::notify_one.
template <std::uint32_t kWorkers>
struct Pool {
  using Local = scheduler::LocalQueue<task::Header, 2>;

  scheduler::IdleSet idle{kWorkers};
  scheduler::InjectionQueue injection;
  std::array<Local, kWorkers> locals;
  std::array<scheduler::ParkWord, kWorkers> words;
  std::array<bool, kWorkers> searching{};

  void unpark(std::uint32_t worker) {
    if (worker != scheduler::IdleSet::kNobody)
      check(!words[worker].notify(), "there is no driver here");
  }
  void inject(Job& job) {
    job.brought.write(1);
    injection.push(&job);
    unpark(idle.notify_after_fence());
  }
  void push(std::uint32_t worker, Job& job) {
    job.brought.write(1);
    if (!locals[worker].template push<kSeqCst>(&job)) check(false, "it fits");
    unpark(idle.notify());
  }
  task::Header* injected() {
    std::size_t count = 0;
    return injection.pop_chain(1, count);
  }
  bool anything_queued() {
    scheduler::IdleSet::look_again();
    bool any = injection.size() != 0;
    for (auto& local : locals) any = any || !local.empty();
    return any;
  }
  task::Header* search(std::uint32_t worker) {
    if (!searching[worker]) {
      if (!idle.try_search()) return nullptr;
      searching[worker] = true;
    }
    for (auto& local : locals) {
      task::Header* stolen = nullptr;
      if (&local != &locals[worker] && local.steal(&stolen, 1) == 1) return stolen;
    }
    return injected();
  }
  void park(std::uint32_t worker) {
    idle.sleep(worker, searching[worker]);
    searching[worker] = false;
    if (anything_queued()) unpark(idle.notify_after_fence());
    for (;;) {
      if (words[worker].begin(false)) words[worker].wait(kForever);
      static_cast<void>(words[worker].end());
      if (!idle.is_asleep(worker)) break;
    }
    searching[worker] = true;
  }
  /// Until there is a job; never returns without.
  Job& next(std::uint32_t worker) {
    for (;;) {
      task::Header* job = locals[worker].pop();
      if (job == nullptr) job = injected();
      if (job == nullptr) job = search(worker);
      if (job == nullptr) {
        park(worker);
        continue;
      }
      if (std::exchange(searching[worker], false) && idle.stop_searching() && anything_queued())
        unpark(idle.notify_after_fence());
      auto& got = static_cast<Job&>(*job);
      check(got.brought.read() == 1, "what was written before the push is seen");
      got.taken.write(got.taken.read() + 1);
      return got;
    }
  }
};

/// A foreign thread submits while the last worker goes to sleep.
void submit_to_the_last() {
  Pool<1> pool;
  Job job;
  threads([&] { static_cast<void>(pool.next(0)); }, [&] { pool.inject(job); });
}
/// Two foreign threads, one worker.
void two_submitters() {
  Pool<1> pool;
  std::array<Job, 2> jobs;
  threads(
      [&] {
        static_cast<void>(pool.next(0));
        static_cast<void>(pool.next(0));
      },
      [&] { pool.inject(jobs[0]); }, [&] { pool.inject(jobs[1]); });
}
/// A worker queues a job for itself and is then busy for ever: the other one has to come.
void worker_that_is_busy() {
  Pool<2> pool;
  Job job;
  threads([&] { pool.push(0, job); }, [&] { static_cast<void>(pool.next(1)); });
}
/// The same with the other one asleep at first.
void worker_that_sleeps() {
  Pool<2> pool;
  Job job;
  pool.idle.sleep(1, false);
  threads([&] { pool.push(0, job); },
          [&] {
            if (pool.words[1].begin(false)) pool.words[1].wait(kForever);
            static_cast<void>(pool.words[1].end());
            pool.searching[1] = true;
            static_cast<void>(pool.next(1));
          });
}
/// Two jobs that wait for each other, so two workers have to take them; while one searches nobody
/// is woken, so it has to wake the other when it has found something.
void searcher_wakes_the_next() {
  Pool<2> pool;
  std::array<Job, 2> jobs;
  Handoff other;
  Atomic<int> began{0};
  const auto worker = [&](std::uint32_t index) {
    static_cast<void>(pool.next(index));
    if (began.fetch_add(1, kRelaxed) == 0) {
      static_cast<void>(other.take());
    } else {
      other.put(&pool);
    }
  };
  threads([&] { worker(0); }, [&] { worker(1); },
          [&] {
            pool.inject(jobs[0]);
            pool.inject(jobs[1]);
          });
}
/// Chains in and out, in order.
void chains() {
  scheduler::InjectionQueue queue;
  std::array<Job, 3> jobs;
  int taken = 0;
  const auto take = [&](std::size_t limit) {
    std::size_t count = 0;
    task::Header* at = queue.pop_chain(limit, count);
    for (; at != nullptr; at = at->queue_next, --count) {
      auto& job = static_cast<Job&>(*at);
      check(job.brought.read() == 1, "what was written before the push is seen");
      job.taken.write(job.taken.read() + 1);
    }
    check(count == 0, "as many as it says");
  };
  threads(
      [&] {
        for (auto& job : jobs) job.brought.write(1);
        jobs[0].queue_next = &jobs[1];
        jobs[1].queue_next = nullptr;
        queue.push_chain(&jobs[0], &jobs[1], 2);
        queue.push(&jobs[2]);
      },
      [&] { take(2); }, [&] { take(1); });
  take(3);
  check(queue.size() == 0, "all are out");
  for (auto& job : jobs) taken += job.taken.read();
  check(taken == 3, "each was had once");
}
/// A worker that wakes by itself, by a timer, while somebody notifies it.
void wakes_by_itself() {
  scheduler::IdleSet idle{1};
  idle.sleep(0, false);
  std::uint32_t notified = scheduler::IdleSet::kNobody;
  bool alone = false;
  threads([&] { alone = idle.wake_self(0); }, [&] { notified = idle.notify_after_fence(); });
  check(alone == (notified == scheduler::IdleSet::kNobody), "counted awake once");
  check(idle.awake() == 1, "awake");
}

/// A notification comes once, whenever it comes, and with what was done before.
void notified() {
  scheduler::ParkWord word;
  Tracked<int> before;
  threads(
      [&] {
        for (bool got = false; !got;) {
          if (word.begin(false)) word.wait(kForever);
          got = word.end();
        }
        check(before.read() == 1, "done before");
      },
      [&] {
        before.write(1);
        static_cast<void>(word.notify());
      },
      [&] { word.stir(); });
}
/// A worker that watches sleeps without a limit only while nobody works: who begins to work finds
/// it so, and then it wakes.
void watch_deepens() {
  scheduler::IdleSet idle{2};
  scheduler::Watch watch;
  scheduler::ParkWord word;
  idle.sleep(0, false);
  idle.sleep(1, false);
  check(watch.begin(0), "nobody else watches");
  threads(
      [&] {
        check(word.begin(false), "nobody notifies");
        if (watch.try_deep(true, idle)) word.wait(kForever);
        static_cast<void>(word.end());
      },
      [&] {
        static_cast<void>(idle.wake_self(1));
        fence(kSeqCst);
        if (watch.keeper() == 0 && watch.is_deep()) word.stir();
      });
}

Part queues() {
  return {.files = {"scheduler/local_queue.h", "scheduler/lifo_slot.h",
                    "scheduler/injection_queue.h", "scheduler/idle_set.h", "scheduler/park_word.h",
                    "scheduler/root.h", "scheduler/watch.h"},
          .cases = {{"owner and thief", owner_and_thieves<4, 3, 1>},
                    {"owner and two thieves", owner_and_thieves<4, 2, 2>, {.preemptions = 2}},
                    {"full, with a thief", owner_and_thieves<2, 3, 1>},
                    {"wraps", wraps},
                    {"a thief is seen", thief_is_seen},
                    {"owner and thief of the slot", owner_and_thief_of_slot},
                    {"block_on is notified", block_on_is_notified},
                    {"chains", chains},
                    {"submit to the last worker", submit_to_the_last},
                    {"a worker that is busy", worker_that_is_busy},
                    {"a worker that sleeps", worker_that_sleeps},
                    {"wakes by itself", wakes_by_itself},
                    {"notified", notified},
                    {"a watch without a limit", watch_deepens},
                    {"two submitters", two_submitters, {.preemptions = 2}},
                    {"a searcher wakes the next", searcher_wakes_the_next, {.preemptions = 1}}},
          .unreached = {{"kPublished =", "", kRelease, kRelease, "the default of push's order"}}};
}

}  // namespace

TEST_CASE("interleavings: queues and idle set") { check_cases(queues()); }
TEST_CASE("interleavings: every order of queues and idle set is needed") { check_orders(queues()); }
