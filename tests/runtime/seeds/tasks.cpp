// Tasks and their ends: sets of them, tokens, and races against time.
#include <algorithm>
#include <stdexcept>

#include "taskscope/runtime/sync/join_set.h"
#include "taskscope/tests/runtime/seeds/scenarios.h"

namespace taskscope::runtime::seeds {

namespace {

// --- join_set

Task<int> numbered(World& world, World::Live, int number) {
  co_await pause(world);
  co_await pause(world);
  world.note("ends as", number);
  if (world.one_in(8)) throw std::runtime_error("as planned");
  co_return number;
}

struct Ends {
  std::vector<bool> joined;
  int left = 0;
  bool aborts = false;
};

void joined(World& world, Ends& ends, sync::Joined<int>& task) {
  --ends.left;
  if (task.outcome() == observe::Outcome::Cancelled) {
    world.check(ends.aborts, "cancelled, and nobody did");
    world.note("joins one that was aborted");
    return;
  }
  if (task.outcome() == observe::Outcome::Exception) return;
  const auto number = static_cast<std::size_t>(task.take());
  world.note("joins", static_cast<long>(number));
  world.check(!ends.joined[number], "joined twice");
  ends.joined[number] = true;
}

Task<void> join_some(World& world, sync::JoinSet<int>& set, Ends& ends) {
  while (world.below(6) != 0) {
    const auto join = [&set] { return set.join_next(); };
    auto result = co_await maybe(world, join);
    if (result) {
      world.check(result->has_value() == (ends.left > 0),
                  "an empty set that is not, or one that is");
      if (!*result) break;
      joined(world, ends, **result);
    }
    if (auto ended = set.try_join_next()) joined(world, ends, *ended);
    co_await pause(world);
  }
}

// --- cancellation_token

struct TokenState {
  sync::CancellationToken root;
  sync::CancellationToken child = root.child_token();
};

Task<int> work_on(World& world) {
  for (int i = 0; i < 3; ++i) co_await pause(world);
  co_return 1;
}
Task<void> obey(World& world, TokenState& state) {
  const bool own = world.one_in(2);
  const sync::CancellationToken token = (own ? state.child : state.root).child_token();
  for (int round = 0; round < 2; ++round) {
    switch (world.below(3)) {
      case 0: {
        const auto worked = co_await token.run_until_cancelled(work_on(world));
        world.check(worked || token.is_cancelled(), "ended before the token was cancelled");
        break;
      }
      case 1: {
        const auto cancelled = [&token] { return token.cancelled(); };
        const auto result = co_await maybe(world, cancelled);
        world.check(!result || token.is_cancelled(), "ended before the token was cancelled");
        break;
      }
      default: {
        const auto guard = token.child_token().drop_guard();
        co_await pause(world);
      }
    }
  }
  co_await token.cancelled();
  world.check(token.is_cancelled() && (own ? state.child : state.root).is_cancelled(),
              "cancelled without its parent");
  world.note("obeys");
}
Task<void> command(World& world, TokenState& state) {
  {
    const auto guard = state.child.drop_guard();
    co_await pause(world);
    co_await pause(world);
    world.note("cancels the child");
  }
  world.check(!state.root.is_cancelled(), "the parent is cancelled with its child");
  co_await pause(world);
  state.root.cancel();
  world.note("cancels the root");
}

// --- select_timers

Task<void> sleep_exactly(World& world, World::Live, int for_ms) {
  const auto deadline = time::now() + ms(for_ms);
  co_await time::sleep_until(deadline);
  world.check(time::now() >= deadline, "slept too short");
  world.note("slept", for_ms);
}
Task<void> race(World& world) {
  for (int round = 0; round < 3; ++round) {
    const auto began = time::now();
    const int first = world.below(6);
    const int second = world.below(6);
    auto one = sleep_exactly(world, World::Live(world), first);
    auto other = sleep_exactly(world, World::Live(world), second);
    switch (world.below(4)) {
      case 0: {
        const auto result = co_await time::timeout(ms(second), std::move(one));
        world.check(result || time::now() >= began + ms(second), "the timeout came too early");
        break;
      }
      case 1: {
        const auto won = co_await select(std::move(one), std::move(other), yields(world.below(20)));
        world.check(won.index() == 2 || time::now() >= began + ms(std::min(first, second)),
                    "select ended before any of its arms could");
        break;
      }
      case 2: {
        const auto both = co_await join(std::move(one), std::move(other));
        static_cast<void>(both);
        world.check(time::now() >= began + ms(std::max(first, second)), "join ended too early");
        break;
      }
      default: {
        auto timer = time::sleep(ms(first));
        const auto won = co_await select_biased(timer, yields(2));
        if (won.index() == 1) {
          timer.reset(time::now() + ms(second));
          co_await timer;
          world.check(time::now() >= began + ms(second), "the timer fired as it was before");
        }
      }
    }
    co_await pause(world);
  }
}

}  // namespace

Task<void> join_set(World& world) {
  const int count = 2 + world.below(4);
  {
    auto& ends = world.keep<Ends>();
    ends.joined.resize(static_cast<std::size_t>(count));
    ends.left = count;
    sync::JoinSet<int> set;
    std::vector<AbortHandle> aborting;
    for (int i = 0; i < count; ++i)
      aborting.push_back(set.spawn(numbered(world, World::Live(world), i)));
    if (world.one_in(2)) {
      ends.aborts = true;
      co_await pause(world);
      aborting[static_cast<std::size_t>(world.below(count))].abort();
    }
    co_await join_some(world, set, ends);
    world.check(static_cast<int>(set.size()) == ends.left, "the set has lost count");
    switch (world.below(4)) {
      case 0:
        set.abort_all();
        ends.aborts = true;
        [[fallthrough]];
      case 1:
        for (;;) {
          auto ended = co_await set.join_next();
          if (!ended) break;
          joined(world, ends, *ended);
        }
        world.check(ends.left == 0 && set.empty(), "not all were joined");
        break;
      case 2:
        co_await set.shutdown();
        world.check(world.alive() == 0, "a task outlives shutdown()");
        break;
      default:
        break;  // they end with the set
    }
  }
  // Aborted with the set: each is gone by its next turn, and nothing but their turns comes before
  // the clock jumps.
  co_await time::sleep(ms(1));
}

Task<void> cancellation_token(World& world) {
  auto& state = world.keep<TokenState>();
  std::vector<Task<void>> tasks;
  for (int left = 2 + world.below(3); left > 0; --left) tasks.push_back(obey(world, state));
  auto commander = spawn(command(world, state));
  co_await crowd(world, std::move(tasks));
  co_await commander;
}

Task<void> select_timers(World& world) {
  std::vector<Task<void>> tasks;
  for (int left = 2 + world.below(3); left > 0; --left) tasks.push_back(race(world));
  co_await crowd(world, std::move(tasks));
}

namespace {
constexpr Scenario kScenarios[] = {
    {"mutex", mutex},
    {"rw_lock", rw_lock},
    {"semaphore", semaphore},
    {"notify_one", notify_one},
    {"notify_waiters", notify_waiters},
    {"barrier", barrier},
    {"once_cell", once_cell},
    {"mpsc_bounded", mpsc_bounded},
    {"mpsc_unbounded", mpsc_unbounded},
    {"oneshot", oneshot},
    {"broadcast", broadcast},
    {"watch", watch},
    {"join_set", join_set},
    {"cancellation_token", cancellation_token},
    {"select_timers", select_timers},
};
constexpr Scenario kBroken{"broken_lock", broken_lock};
}  // namespace

std::span<const Scenario> scenarios() { return kScenarios; }
const Scenario& broken_scenario() { return kBroken; }

}  // namespace taskscope::runtime::seeds
