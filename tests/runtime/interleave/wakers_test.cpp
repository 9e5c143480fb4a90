// Waking in every interleaving: a FireWaiter that is fired while its task ends, a Waker, and the
// bits that name branches.

#include <memory>
#include <mutex>
#include <optional>

#include "taskscope/runtime/sync/join_set.h"
#include "taskscope/runtime/sync/lock.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/task/select.h"
#include "taskscope/runtime/task/waker.h"
#include "taskscope/runtime/task/yield.h"
#include "taskscope/tests/runtime/interleave/workers.h"

using namespace taskscope::interleave;
using namespace taskscope::runtime;
using task::Arm;
using task::Header;
using task::State;

namespace {

/// A wait of a task that consists of nothing else.
struct Wait final : task::FireWaiter {
  explicit Wait(task::Branch& branch) { branch_ = &branch; }
  void describe(observe::Wait&) const noexcept override {}
};

/// A task in hand: its header ends when its body does, so that a late touch is found.
struct Waiting {
  std::unique_ptr<Header> header = std::make_unique<Header>();
  Arm arm;
  std::optional<Wait> wait;
  bool linked = true;  // under lock
  sync::Lock lock;
  Handoff queue{true};
  Tracked<int> brought;

  explicit Waiting(bool is_arm) {
    header->state.init_scheduled();
    arm.owner = header.get();
    arm.id = observe::BranchId{1};
    wait.emplace(is_arm ? arm : header->root);
  }
  /// As the release of a lock: fires under it, queues after it.
  void fire() {
    Header* woken = nullptr;
    {
      const std::lock_guard guard(lock);
      if (!linked) return;
      linked = false;
      brought.write(1);
      woken = wait->fire();
    }
    if (woken != nullptr) queue.put(woken);
  }
  /// A poll. True: the wait is over, and with it the task.
  bool poll() {
    static_cast<void>(header->state.to_running());
    if (!wait->ready(false)) {
      if (header->state.to_idle()) queue.put(header.get());
      return false;
    }
    check(brought.read() == 1, "what the waker brought is seen");
    wait.reset();
    header.reset();
    return true;
  }
};

/// The task is polled as it was queued for another reason, while somebody fires.
template <bool kArm>
void fire_while_polled() {
  auto waiting = std::make_unique<Waiting>(kArm);
  waiting->queue.put(waiting->header.get());
  threads(
      [&] {
        do {
          static_cast<void>(waiting->queue.take());
        } while (!waiting->poll());
      },
      [&] { waiting->fire(); });
}

/// A wait is destroyed (select, abort) while somebody fires: it unlinks, or waits for the firing.
void fire_while_destroyed() {
  auto waiting = std::make_unique<Waiting>(false);
  threads(
      [&] {
        static_cast<void>(waiting->header->state.to_running());
        if (!waiting->wait->fired()) {
          const std::lock_guard guard(waiting->lock);
          waiting->linked = false;
        }
        waiting->wait.reset();
        waiting->header.reset();
      },
      [&] { waiting->fire(); });
}

struct Shared {
  Tracked<int> brought;
  Atomic<bool> is_brought{false};
  std::optional<task::Waker> waker;
  sync::Lock lock;  // around waker
};

Task<void> wait_for(Shared* shared) {
  auto wait = poll_fn([shared](task::Waker waker) {
    {
      const std::lock_guard guard(shared->lock);
      shared->waker.emplace(std::move(waker));
    }
    // Relaxed: the wake makes it visible.
    if (!shared->is_brought.load(kRelaxed)) return false;
    return true;
  });
  co_await wait;
}

/// A waker is taken and used while the task that made it is polled. It must not sleep for ever.
void waker() {
  Workers workers;
  Shared shared;
  auto handle = workers.spawn(wait_for(&shared));
  threads([&] { workers.work(); },
          [&] {
            shared.brought.write(1);
            shared.is_brought.store(true, kRelaxed);
            std::optional<task::Waker> waker;
            {
              const std::lock_guard guard(shared.lock);
              waker = shared.waker;
            }
            if (waker) waker->wake();
          });
}

/// A waker that is used on: the bit it leaves brings with it what was written before.
Task<void> wait_for_flag(Tracked<int>* brought, Atomic<int>* flag, std::optional<task::Waker>* out,
                         Handoff* ready) {
  auto wait = poll_fn([=](task::Waker waker) {
    if (!*out) {
      out->emplace(std::move(waker));
      ready->put(out);
      return false;
    }
    check(flag->load(kRelaxed) == 1, "polled because of the wake, and sees what was before it");
    check(brought->read() == 1, "also plain data");
    return true;
  });
  co_await wait;
}
void waker_brings() {
  Workers workers;
  Tracked<int> brought;
  Atomic<int> flag{0};
  std::optional<task::Waker> waker;
  Handoff ready;
  auto handle = workers.spawn(wait_for_flag(&brought, &flag, &waker, &ready));
  threads([&] { workers.work(); },
          [&] {
            static_cast<void>(ready.take());
            brought.write(1);
            flag.store(1, kRelaxed);
            waker->wake();
          });
}

/// The same while the task is polled for nothing: then only the bit tells of the wake.
void waker_brings_while_polled() {
  Workers workers;
  Tracked<int> brought;
  Atomic<int> flag{0};
  std::optional<task::Waker> waker;
  Handoff ready;
  auto handle = workers.spawn(wait_for_flag(&brought, &flag, &waker, &ready));
  threads([&] { workers.work(); },
          [&] {
            static_cast<void>(ready.take());
            brought.write(1);
            flag.store(1, kRelaxed);
            waker->wake();
          },
          [&] { workers.wake_newest(); });
}

/// The last Waker outlives the task and frees its memory.
void waker_outlives() {
  Workers workers;
  std::optional<task::Waker> kept;
  Handoff ready;
  {
    Tracked<int> brought;
    Atomic<int> flag{0};
    auto handle = workers.spawn(wait_for_flag(&brought, &flag, &kept, &ready));
    threads([&] { workers.work(); },
            [&] {
              static_cast<void>(ready.take());
              brought.write(1);
              flag.store(1, kRelaxed);
              const task::Waker mine = *kept;
              mine.wake();
              mine.wake();
            });
  }
  kept.reset();
}

Task<int> answer() { co_return 42; }
Task<void> join_it(JoinHandle<int> handle, int* got) { *got = co_await std::move(handle); }
/// The wait for a task is given up, maybe while it ends, and a set takes the place of who waited.
Task<void> give_to_set(JoinHandle<int> handle, int* got) {
  static_cast<void>(co_await select_biased(handle, yield_now()));
  sync::JoinSet<int> set;
  static_cast<void>(set.add(std::move(handle)));
  auto joined = co_await set.join_next();
  check(joined.has_value(), "the set has a task");
  *got = joined->take();
}
/// Two workers: one task awaits the other.
template <Task<void> (*kAwaits)(JoinHandle<int>, int*)>
void answered() {
  Workers workers;
  int got = 0;
  workers.spawn(kAwaits(workers.spawn(answer()), &got)).detach();
  threads([&] { workers.work(); }, [&] { workers.work(); });
  check(got == 42, "the result has come");
}

/// A thread waits in the place of a task; its header ends as soon as it was woken.
void thread_locks() {
  auto mutex = std::make_unique<sync::Mutex<Tracked<int>>>(Tracked<int>());
  threads(
      [&] {
        if (auto guard = mutex->try_lock()) guard->write(guard->read() + 1);
      },
      [&] {
        const auto guard = mutex->blocking_lock();
        guard->write(guard->read() + 1);
      });
}
void thread_receives() {
  auto [sender, receiver] = sync::oneshot::channel<Tracked<int>>();
  auto sending = std::make_optional(std::move(sender));
  threads(
      [&] {
        check(sending->send(Tracked<int>(7)).has_value(), "open");
        sending.reset();
      },
      [&] {
        auto got = receiver.blocking_recv();
        check(got.has_value() && got->read() == 7, "the message");
      });
}

Part thread_waits() {
  return {.files = {"task/thread_wait.h", "task/thread_wait.cpp"},
          .cases = {{"a thread locks", thread_locks}, {"a thread receives", thread_receives}}};
}

Part wakers() {
  return {.files = {"task/waiter.h", "task/fire_waiter.cpp", "task/header.h", "task/poll.cpp"},
          .cases = {{"fire while polled", fire_while_polled<false>},
                    {"fire an arm while polled", fire_while_polled<true>},
                    {"fire while destroyed", fire_while_destroyed},
                    {"a waker and its task", waker},
                    {"a waker brings", waker_brings},
                    {"a waker brings to a poll for nothing", waker_brings_while_polled},
                    {"a waker outlives its task", waker_outlives},
                    {"a task awaits another", answered<join_it>, {.preemptions = 3}},
                    {"a set takes over", answered<give_to_set>, {.preemptions = 2}}}};
}

}  // namespace

TEST_CASE("interleavings: wakers") { check_cases(wakers()); }
TEST_CASE("interleavings: every order of the wakers is needed") { check_orders(wakers()); }
TEST_CASE("interleavings: threads that wait") { check_cases(thread_waits()); }
TEST_CASE("interleavings: every order of threads that wait is needed") {
  check_orders(thread_waits());
}
