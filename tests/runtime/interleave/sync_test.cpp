// The words under the synchronization types in every interleaving: who gets in sees what was done
// inside before, nobody waits for ever, and nothing is used after its end.

#include <memory>
#include <mutex>
#include <optional>

#include "taskscope/runtime/sync/barrier.h"
#include "taskscope/runtime/sync/cancellation_token.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/once_cell.h"
#include "taskscope/runtime/sync/rw_lock.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/runtime/sync/watch.h"
#include "taskscope/tests/runtime/interleave/workers.h"

using namespace taskscope::interleave;
using namespace taskscope::runtime;

namespace {

void use(Tracked<int>& data) { data.write(data.read() + 1); }

// --- Lock ------------------------------------------------------------------------------------

template <int kThreads>
void lock() {
  sync::Lock lock;
  Tracked<int> inside;
  const auto use_it = [&] {
    const std::lock_guard guard(lock);
    use(inside);
  };
  if constexpr (kThreads == 2) {
    threads(use_it, use_it);
  } else {
    threads(use_it, use_it, use_it);
  }
  check(inside.read() == kThreads, "everybody was inside");
}
/// What the lock is in is destroyed by who learned inside that it is the last.
void lock_destroyed() {
  struct Locked {
    sync::Lock lock;
    Tracked<int> were_inside;
  };
  auto* locked = new Locked;
  const auto drop = [locked] {
    bool last = false;
    {
      const std::lock_guard guard(locked->lock);
      use(locked->were_inside);
      last = locked->were_inside.read() == 2;
    }
    if (last) delete locked;
  };
  threads(drop, drop);
}
/// As Waitable::leave(): the last to let go may still be on its way out.
void lock_left() {
  auto* lock = new sync::Lock;
  Tracked<int> inside;
  lock->lock();
  threads(
      [&] {
        use(inside);
        lock->unlock();
      },
      [&] {
        lock->wait_until_left();
        use(inside);
        delete lock;
      });
}

Part locks() {
  return {.files = {"sync/lock.h", "sync/lock.cpp"},
          .cases = {{"two", lock<2>},
                    {"three", lock<3>},
                    {"destroyed by who was inside last", lock_destroyed},
                    {"left", lock_left}}};
}

// --- Mutex, Semaphore ----------------------------------------------------------------------------

Task<void> lock_mutex(sync::Mutex<Tracked<int>>* mutex) {
  auto guard = co_await mutex->lock();
  use(*guard);
}
/// A task waits or does not, while another thread has the mutex.
void mutex_and_thread() {
  Workers workers;
  auto mutex = std::make_unique<sync::Mutex<Tracked<int>>>(Tracked<int>());
  workers.spawn(lock_mutex(mutex.get())).detach();
  threads([&] { workers.work(); },
          [&] {
            if (auto guard = mutex->try_lock()) use(*guard);
          });
}
void mutex_between_tasks() {
  Workers workers;
  auto mutex = std::make_unique<sync::Mutex<Tracked<int>>>(Tracked<int>());
  workers.spawn(lock_mutex(mutex.get())).detach();
  workers.spawn(lock_mutex(mutex.get())).detach();
  threads([&] { workers.work(); }, [&] { workers.work(); });
  check(mutex->try_lock()->read() == 2, "both were inside");
}

/// Who is first in line is gone when the mutex is passed on: it is free then, and carries on what
/// was done inside.
void mutex_waiter_goes() {
  Workers workers;
  auto mutex = std::make_unique<sync::Mutex<Tracked<int>>>(Tracked<int>());
  auto held = std::make_optional(mutex->try_lock_owned());
  auto waiting = workers.spawn(lock_mutex(mutex.get()));
  threads([&] { workers.work(); }, [&] { waiting.abort(); },
          [&] {
            use(**held);
            held.reset();
          },
          [&] {
            if (auto guard = mutex->try_lock()) use(*guard);
          });
}

Task<void> acquire(sync::Semaphore* semaphore, Tracked<int>* inside) {
  auto permit = co_await semaphore->acquire();
  if (permit) use(*inside);
}
void semaphore_and_thread() {
  Workers workers;
  auto semaphore = std::make_unique<sync::Semaphore>(1);
  Tracked<int> inside;
  workers.spawn(acquire(semaphore.get(), &inside)).detach();
  threads([&] { workers.work(); },
          [&] {
            if (auto permit = semaphore->try_acquire()) use(inside);
          });
}
void semaphore_between_tasks() {
  Workers workers;
  auto semaphore = std::make_unique<sync::Semaphore>(1);
  Tracked<int> inside;
  workers.spawn(acquire(semaphore.get(), &inside)).detach();
  workers.spawn(acquire(semaphore.get(), &inside)).detach();
  threads([&] { workers.work(); }, [&] { workers.work(); });
  check(inside.read() == 2, "both had the permit");
}
Task<void> acquire_two(sync::Semaphore* semaphore, Tracked<int>* one, Tracked<int>* two) {
  auto permit = co_await semaphore->acquire(2);
  check(one->read() + two->read() == 2, "what was done before both were added is seen");
}
/// Permits that come from two sides, one maybe before it is waited for.
void semaphore_gathers() {
  Workers workers;
  auto semaphore = std::make_unique<sync::Semaphore>(0);
  Tracked<int> one, two;
  workers.spawn(acquire_two(semaphore.get(), &one, &two)).detach();
  threads([&] { workers.work(); },
          [&] {
            use(one);
            semaphore->add_permits(1);
          },
          [&] {
            use(two);
            semaphore->add_permits(1);
          });
}
/// Permits that carry what was written before they were added.
void semaphore_adds() {
  Workers workers;
  auto semaphore = std::make_unique<sync::Semaphore>(0);
  Tracked<int> inside;
  workers.spawn(acquire(semaphore.get(), &inside)).detach();
  threads([&] { workers.work(); },
          [&] {
            use(inside);
            semaphore->add_permits(1);
          });
}
void semaphore_closes() {
  Workers workers;
  auto semaphore = std::make_unique<sync::Semaphore>(0);
  Tracked<int> before;
  Tracked<int> unused;
  workers.spawn(acquire(semaphore.get(), &unused)).detach();
  threads([&] { workers.work(); },
          [&] {
            use(before);
            semaphore->close();
          },
          [&] {
            if (semaphore->is_closed()) check(before.read() == 1, "done before it was closed");
          });
}

Part mutexes() {
  return {
      .files = {"sync/mutex.h", "sync/mutex.cpp", "sync/semaphore.h", "sync/semaphore.cpp"},
      .cases = {{"mutex: a task and a thread", mutex_and_thread},
                {"mutex: two tasks", mutex_between_tasks, {.preemptions = 2}},
                {"semaphore: a task and a thread", semaphore_and_thread, {.preemptions = 4}},
                {"semaphore: two tasks", semaphore_between_tasks, {.preemptions = 2}},
                {"mutex: a waiter goes", mutex_waiter_goes, {.preemptions = 2}},
                {"semaphore: adds", semaphore_adds},
                {"semaphore: gathers", semaphore_gathers, {.preemptions = 2}},
                {"semaphore: closes", semaphore_closes, {.preemptions = 3}}},
      // Whoever has taken a permit enters the list of holders, under the lock under which it
      // was given; these are for when that is no more.
      .unneeded = {
          {"Semaphore::try_take", "compare_exchange", kAcquire, kRelaxed, "the list of holders"},
          {"AcquiringBase::start", "compare_exchange", kAcquire, kRelaxed, "is under the lock"},
          {"Semaphore::give", "fetch_add", kRelease, kRelaxed, "the list of holders"}}};
}

// --- those that have no words of their own -----------------------------------------------------

using RwLock = sync::RwLock<Tracked<int>>;

Task<void> write_in(RwLock* lock) {
  auto guard = co_await lock->write();
  use(*guard);
}
Task<void> read_in(RwLock* lock, int* seen) {
  const auto guard = co_await lock->read();
  *seen = guard->read();
}
void rw_lock() {
  Workers workers;
  auto lock = std::make_unique<RwLock>(Tracked<int>());
  int seen = -1;
  bool wrote = false;
  workers.spawn(write_in(lock.get())).detach();
  workers.spawn(read_in(lock.get(), &seen)).detach();
  threads([&] { workers.work(); }, [&] { workers.work(); },
          [&] {
            if (auto guard = lock->try_write()) {
              use(*guard);
              wrote = true;
            }
          });
  check(lock->try_read()->read() == (wrote ? 2 : 1), "all have written");
  check(seen >= 0 && seen <= 2, "it was read");
}
/// A writer that waits for a reader goes: the readers behind it need not wait for it any more.
void rw_lock_writer_goes() {
  Workers workers;
  auto lock = std::make_unique<RwLock>(Tracked<int>());
  const auto held = lock->try_read();
  int seen = -1;
  auto writing = workers.spawn(write_in(lock.get()));
  workers.spawn(read_in(lock.get(), &seen)).detach();
  threads([&] { workers.work(); }, [&] { writing.abort(); });
  check(seen == 0, "it was read beside the other reader");
}

Task<void> meet(sync::Barrier* barrier, Tracked<int>* mine, Tracked<int>* other, int* leaders) {
  mine->write(1);
  const auto met = co_await barrier->wait();
  check(other->read() == 1, "the other has arrived");
  if (met.is_leader()) ++*leaders;
}
void barrier() {
  Workers workers;
  auto barrier = std::make_unique<sync::Barrier>(2);
  Tracked<int> one, two;
  int leaders = 0;
  workers.spawn(meet(barrier.get(), &one, &two, &leaders)).detach();
  workers.spawn(meet(barrier.get(), &two, &one, &leaders)).detach();
  threads([&] { workers.work(); }, [&] { workers.work(); });
  check(leaders == 1, "one of them leads");
}

Part locked() {
  return {.files = {},
          .cases = {{"rw lock", rw_lock, {.preemptions = 2}},
                    {"rw lock: a writer goes", rw_lock_writer_goes},
                    {"barrier", barrier, {.preemptions = 3}}}};
}

// --- what is told
// ----------------------------------------------------------------------------------

Task<void> wait_until(sync::Notify* notify, Atomic<bool>* condition, Tracked<int>* before) {
  auto notified = notify->notified();
  if (!condition->load(kRelaxed)) {
    co_await notified;
    check(condition->load(kRelaxed), "notified after it became true");
    check(before->read() == 1, "and after what was done before");
  }
}
template <bool kAll>
void notify() {
  Workers workers;
  auto notify = std::make_unique<sync::Notify>();
  Atomic<bool> condition{false};
  Tracked<int> before;
  workers.spawn(wait_until(notify.get(), &condition, &before)).detach();
  threads([&] { workers.work(); },
          [&] {
            before.write(1);
            condition.store(true, kRelaxed);
            if (kAll) {
              notify->notify_waiters();
            } else {
              notify->notify_one();
            }
          });
}

void once_cell() {
  auto cell = std::make_unique<sync::OnceCell<Tracked<int>>>();
  const auto look = [&] {
    if (const auto* value = cell->get()) check(value->read() > 0, "the value is whole");
  };
  threads(
      [&] {
        static_cast<void>(cell->set(Tracked<int>(1)));
        look();
      },
      [&] {
        look();
        static_cast<void>(cell->set(Tracked<int>(2)));
      },
      look);
}

Task<void> wait_for_token(sync::CancellationToken token, Tracked<int>* before) {
  co_await token.cancelled();
  check(before->read() == 1, "done before it was cancelled");
}
void token() {
  Workers workers;
  sync::CancellationToken token;
  Tracked<int> before;
  workers.spawn(wait_for_token(token, &before)).detach();
  threads([&] { workers.work(); },
          [&] {
            before.write(1);
            token.cancel();
          },
          [&] {
            if (token.is_cancelled()) check(before.read() == 1, "done before it was cancelled");
          });
}

Part told() {
  return {.files = {"sync/notify.h", "sync/notify.cpp", "sync/once_cell.h", "sync/once_cell.cpp",
                    "sync/cancellation_token.h", "sync/cancellation_token.cpp"},
          .cases = {{"notify_one", notify<false>, {.preemptions = 4}},
                    {"notify_waiters", notify<true>, {.preemptions = 4}},
                    {"once cell", once_cell},
                    {"cancellation token", token, {.preemptions = 3}}}};
}

}  // namespace

TEST_CASE("interleavings: lock") { check_cases(locks()); }
TEST_CASE("interleavings: every order of the lock is needed") { check_orders(locks()); }
TEST_CASE("interleavings: mutex and semaphore") { check_cases(mutexes()); }
TEST_CASE("interleavings: every order of mutex and semaphore is needed") {
  check_orders(mutexes());
}
TEST_CASE("interleavings: rw lock and barrier") { check_cases(locked()); }
TEST_CASE("interleavings: notify, once cell and token") { check_cases(told()); }
TEST_CASE("interleavings: every order of notify, once cell and token is needed") {
  check_orders(told());
}
