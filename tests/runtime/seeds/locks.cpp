// Locks, and what tasks wait for without data.
#include <algorithm>
#include <array>

#include "taskscope/runtime/sync/barrier.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/once_cell.h"
#include "taskscope/runtime/sync/rw_lock.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/tests/runtime/seeds/scenarios.h"

namespace taskscope::runtime::seeds {

namespace {

/// As many tasks as chance wants, within limits.
template <class Make>
std::vector<Task<void>> some(World& world, int least, int most, Make make) {
  std::vector<Task<void>> tasks;
  for (int left = least + world.below(most - least + 1); left > 0; --left) tasks.push_back(make());
  return tasks;
}

// --- mutex

struct MutexState {
  sync::Mutex<int> mutex;
  int inside = 0;
};

Task<void> in_mutex(World& world, MutexState& state) {
  const Within within(state.inside);
  world.note("holds");
  world.check(state.inside == 1, "two tasks hold the mutex");
  co_await pause(world);
}

Task<void> use_mutex(World& world, MutexState& state) {
  for (int round = 0; round < 3; ++round) {
    switch (world.below(3)) {
      case 0: {
        auto guard = co_await state.mutex.lock();
        ++*guard;
        co_await in_mutex(world, state);
        break;
      }
      case 1: {
        auto guard = state.mutex.try_lock_owned();
        if (guard) co_await in_mutex(world, state);
        break;
      }
      default: {
        const auto lock = [&state] { return state.mutex.lock_owned(); };
        auto guard = co_await maybe(world, lock);
        if (guard) co_await in_mutex(world, state);
      }
    }
    co_await pause(world);
  }
}

// --- rw_lock

struct RwState {
  explicit RwState(std::size_t most)
      : lock(sync::RwLock<int>::with_max_readers(0, most)), max_readers(static_cast<int>(most)) {}
  sync::RwLock<int> lock;
  const int max_readers;
  int readers = 0, writers = 0;
};

Task<void> reads(World& world, RwState& state) {
  const Within within(state.readers);
  world.note("reads");
  world.check(state.writers == 0, "a reader beside a writer");
  world.check(state.readers <= state.max_readers, "too many readers");
  co_await pause(world);
}
Task<void> writes(World& world, RwState& state) {
  const Within within(state.writers);
  world.note("writes");
  world.check(state.writers == 1 && state.readers == 0, "a writer that is not alone");
  co_await pause(world);
}

Task<void> use_rw_lock(World& world, RwState& state) {
  for (int round = 0; round < 3; ++round) {
    switch (world.below(6)) {
      case 0: {
        const auto guard = co_await state.lock.read();
        co_await reads(world, state);
        break;
      }
      case 1: {
        const auto guard = co_await state.lock.write();
        co_await writes(world, state);
        break;
      }
      case 2: {
        auto guard = co_await state.lock.write_owned();
        co_await writes(world, state);
        const auto reading = guard.downgrade();
        co_await reads(world, state);
        break;
      }
      case 3: {
        const auto guard = state.lock.try_write_owned();
        if (guard) co_await writes(world, state);
        break;
      }
      case 4: {
        const auto lock = [&state] { return state.lock.read_owned(); };
        const auto guard = co_await maybe(world, lock);
        if (guard) co_await reads(world, state);
        break;
      }
      default: {
        const auto lock = [&state] { return state.lock.write_owned(); };
        const auto guard = co_await maybe(world, lock);
        if (guard) co_await writes(world, state);
      }
    }
    co_await pause(world);
  }
}

// --- semaphore

struct SemaphoreState {
  explicit SemaphoreState(int permits)
      : semaphore(static_cast<std::size_t>(permits)), total(permits) {}
  sync::Semaphore semaphore;
  int total;
  int held = 0;
};

/// While it lives the permits count as held.
class Holding {
 public:
  Holding(World& world, SemaphoreState& state, int count) : state_(state), count_(count) {
    state_.held += count_;
    world.note("has", count_);
    world.check(
        state_.held + static_cast<int>(state_.semaphore.available_permits()) <= state_.total,
        "more permits than there are");
  }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;
  ~Holding() { state_.held -= count_; }

 private:
  SemaphoreState& state_;
  const int count_;
};

Task<void> use_semaphore(World& world, SemaphoreState& state) {
  for (int round = 0; round < 3; ++round) {
    const int wanted = 1 + world.below(3);
    const auto count = static_cast<std::size_t>(wanted);
    switch (world.below(5)) {
      case 0: {
        const auto permit = co_await state.semaphore.acquire(count);
        world.check(permit || state.semaphore.is_closed(), "an empty permit of an open semaphore");
        if (!permit) break;
        const Holding holding(world, state, wanted);
        co_await pause(world);
        break;
      }
      case 1: {
        auto permit = state.semaphore.try_acquire_owned(count);
        if (!permit) break;
        auto half = permit.split(1);
        {
          const Holding holding(world, state, wanted);
          co_await pause(world);
        }
        if (world.one_in(2)) permit.merge(std::move(half));
        break;
      }
      case 2:
        if (world.one_in(2)) {
          ++state.total;
          state.semaphore.add_permits(1);
        }
        break;
      default: {
        const auto acquire = [&state, count] { return state.semaphore.acquire_owned(count); };
        const auto permit = co_await maybe(world, acquire);
        if (!permit || !*permit) break;
        const Holding holding(world, state, wanted);
        co_await pause(world);
      }
    }
    co_await pause(world);
  }
}

Task<void> close_semaphore(World& world, SemaphoreState& state) {
  co_await yields(world.below(12));
  state.semaphore.close();
  world.note("closes");
}

// --- notify

struct NotifyState {
  sync::Notify notify;
  int items = 0;
  bool open = false;
};

/// Takes its share of the items, each of which was announced once.
Task<void> take_items(World& world, NotifyState& state, int share) {
  while (share > 0) {
    const auto look = [&state] { return state.notify.notified(); };
    auto notified = state.notify.notified();
    const bool enables = world.one_in(2);
    if (enables) static_cast<void>(notified.enable());
    if (state.items > 0) {
      --state.items;
      --share;
      world.note("takes one, left", state.items);
    } else if (enables) {
      const auto result = co_await select(notified, yields(1 + world.below(8)));
      world.note("goes on by", static_cast<long>(result.index()));
    } else if (world.one_in(2)) {
      co_await notified;
    } else {
      const auto result = co_await maybe(world, look);
      world.note(result ? "is notified" : "looks again");
    }
    if (world.one_in(3)) co_await pause(world);
  }
}
Task<void> make_items(World& world, NotifyState& state, int count) {
  for (; count > 0; --count) {
    ++state.items;
    if (world.one_in(3)) {
      state.notify.notify_last();
    } else {
      state.notify.notify_one();
    }
    world.note("announces one, there", state.items);
    co_await pause(world);
  }
}

Task<void> wait_for_gate(World& world, NotifyState& state) {
  while (!state.open) {
    auto notified = state.notify.notified();
    if (state.open) break;
    if (world.one_in(2)) co_await pause(world);  // called before is enough
    if (world.one_in(2)) {
      co_await notified;
      world.check(state.open, "notified while the gate is closed");
      break;
    }
    const auto result = co_await select(notified, pause(world));
    world.check(state.open || result.index() == 1, "notified while the gate is closed");
  }
  world.note("is through");
}
Task<void> open_gate(World& world, NotifyState& state) {
  co_await yields(world.below(12));
  state.open = true;
  state.notify.notify_waiters();
  world.note("opens");
}

// --- barrier

struct BarrierState {
  static constexpr int kSize = 3;
  sync::Barrier barrier{kSize};
  int waiting = 0;
  int passed = 0, rounds = 0;
};

void passed(World& world, BarrierState& state, const sync::BarrierWaitResult& result) {
  ++state.passed;
  world.note(result.is_leader() ? "leads" : "follows");
  if (!result.is_leader()) return;
  ++state.rounds;
  // It came last just now, and nobody it let go has run since.
  world.check(state.waiting >= BarrierState::kSize, "the barrier opened too early");
}

Task<void> use_barrier(World& world, BarrierState& state) {
  for (int round = 0; round < 2; ++round) {
    co_await pause(world);
    const Within within(state.waiting);
    if (world.one_in(2)) {
      const auto result = co_await state.barrier.wait();
      passed(world, state, result);
    } else {
      const auto wait = [&state] { return state.barrier.wait(); };
      const auto result = co_await maybe(world, wait);
      if (result) passed(world, state, *result);
    }
  }
}
/// Enough of them to let the others go.
Task<void> help_barrier(World& world, BarrierState& state, const bool& done) {
  constexpr int kMany = 1000;
  for (int i = 0; !done && i < kMany; ++i) {
    const Within within(state.waiting);
    const auto result = co_await time::timeout(ms(4), state.barrier.wait());
    if (result) passed(world, state, *result);
    if (i == kMany - 1) world.check(false, "the barrier stays closed");
    co_await time::sleep(ms(1));
  }
}
Task<void> pass_barrier(World& world, BarrierState& state, bool& done) {
  auto tasks = some(world, 2, 4, [&] { return use_barrier(world, state); });
  const int aborted = co_await crowd(world, std::move(tasks));
  world.note("aborted", aborted);
  done = true;
}

// --- once_cell

struct OnceState {
  sync::OnceCell<int> cell;
  int making = 0, made = 0;
};

Task<int> make_value(World& world, OnceState& state) {
  const Within within(state.making);
  world.note("makes the value");
  world.check(state.making == 1, "two make the value at once");
  co_await pause(world);
  co_return 41 + ++state.made;
}
enum class Refused : std::uint8_t { Now };
Task<Result<int, Refused>> try_make_value(World& world, OnceState& state) {
  if (world.one_in(2)) {
    co_await pause(world);
    world.note("makes none");
    co_return Refused::Now;
  }
  co_return co_await make_value(world, state);
}

Task<void> use_cell(World& world, OnceState& state) {
  const auto make = [&world, &state] { return make_value(world, state); };
  const auto try_make = [&world, &state] { return try_make_value(world, state); };
  co_await pause(world);
  switch (world.below(4)) {
    case 0: {
      const int* const value = co_await state.cell.get_or_init(make);
      world.check(*value == 42, "another value");
      break;
    }
    case 1: {
      const auto value = co_await state.cell.get_or_try_init(try_make);
      world.check(!value || **value == 42, "another value");
      break;
    }
    case 2: {
      if (state.cell.set(42)) {
        ++state.made;
        world.note("sets the value");
      }
      break;
    }
    default: {
      const auto get = [&state, make] { return state.cell.get_or_init(make); };
      const auto value = co_await maybe(world, get);
      world.check(!value || **value == 42, "another value");
    }
  }
}

// --- the broken lock

struct BrokenState {
  sync::Notify freed;
  bool locked = false;
  int inside = 0;
};

Task<void> use_broken_lock(World& world, BrokenState& state) {
  for (int round = 0; round < 2; ++round) {
    while (state.locked) {
      world.note("finds it locked");
      co_await yield_now();
      auto notified = state.freed.notified();
      co_await notified;
    }
    state.locked = true;
    world.note("locks");
    co_await pause(world);
    state.locked = false;
    state.freed.notify_waiters();
    world.note("unlocks");
  }
}

}  // namespace

Task<void> mutex(World& world) {
  auto& state = world.keep<MutexState>();
  auto tasks = some(world, 2, 5, [&] { return use_mutex(world, state); });
  co_await crowd(world, std::move(tasks));
  const auto guard = state.mutex.try_lock();
  world.check(static_cast<bool>(guard), "the mutex is still locked");
}

Task<void> rw_lock(World& world) {
  auto& state = world.keep<RwState>(static_cast<std::size_t>(1 + world.below(4)));
  auto tasks = some(world, 2, 5, [&] { return use_rw_lock(world, state); });
  co_await crowd(world, std::move(tasks));
  const auto guard = state.lock.try_write();
  world.check(static_cast<bool>(guard), "the lock is still held");
}

Task<void> semaphore(World& world) {
  // As many as one may ask for at least, or it would wait for ever.
  auto& state = world.keep<SemaphoreState>(3 + world.below(3));
  auto tasks = some(world, 2, 5, [&] { return use_semaphore(world, state); });
  if (world.one_in(4)) tasks.push_back(close_semaphore(world, state));
  co_await crowd(world, std::move(tasks));
  world.check(state.semaphore.available_permits() == static_cast<std::size_t>(state.total),
              "permits are lost");
  const auto permit = state.semaphore.try_acquire(static_cast<std::size_t>(state.total));
  world.check(permit || state.semaphore.is_closed(), "the permits can't be had");
}

Task<void> notify_one(World& world) {
  auto& state = world.keep<NotifyState>();
  int wanted = 0;
  std::vector<Task<void>> takers;
  for (int left = 2 + world.below(3); left > 0; --left) {
    const int share = 1 + world.below(3);
    wanted += share;
    takers.push_back(take_items(world, state, share));
  }
  auto maker = spawn(make_items(world, state, wanted / 2));
  auto other_maker = spawn(make_items(world, state, wanted - wanted / 2));
  co_await crowd(world, std::move(takers));
  co_await maker;
  co_await other_maker;
}

Task<void> notify_waiters(World& world) {
  auto& state = world.keep<NotifyState>();
  auto opener = spawn(open_gate(world, state));
  auto tasks = some(world, 2, 6, [&] { return wait_for_gate(world, state); });
  co_await crowd(world, std::move(tasks));
  co_await opener;
}

Task<void> barrier(World& world) {
  auto& state = world.keep<BarrierState>();
  bool& done = world.keep<bool>(false);
  std::vector<Task<void>> tasks;
  tasks.push_back(pass_barrier(world, state, done));
  for (int i = 0; i < BarrierState::kSize; ++i) tasks.push_back(help_barrier(world, state, done));
  co_await crowd(world, std::move(tasks), false);
  world.check(state.passed <= state.rounds * BarrierState::kSize,
              "more passed than in whole rounds");
}

Task<void> once_cell(World& world) {
  auto& state = world.keep<OnceState>();
  auto tasks = some(world, 2, 5, [&] { return use_cell(world, state); });
  co_await crowd(world, std::move(tasks));
  const auto make = [&world, &state] { return make_value(world, state); };
  const int* const value = co_await state.cell.get_or_init(make);
  world.check(*value == 42 && state.made == 1, "the value was made twice");
}

Task<void> broken_lock(World& world) {
  auto& state = world.keep<BrokenState>();
  auto tasks = some(world, 2, 3, [&] { return use_broken_lock(world, state); });
  co_await crowd(world, std::move(tasks), false);
}

}  // namespace taskscope::runtime::seeds
