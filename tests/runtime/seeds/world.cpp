#include "taskscope/tests/runtime/seeds/world.h"

#include <algorithm>
#include <cstdio>

#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/scheduler/random.h"

namespace taskscope::runtime::seeds {

namespace {
/// No scenario takes so long. The clock jumps there when nothing else is left that could happen.
constexpr auto kNever = std::chrono::hours(1000);
}  // namespace

/// Prints the polls of a run that is traced.
class Polls final : public observe::Observer {
 public:
  static Polls& instance() {
    static Polls polls;
    return polls;
  }
  World* of = nullptr;
  void on_poll_started(observe::TaskId task, observe::WorkerId, observe::Ticks) noexcept override {
    if (of == nullptr) return;
    const auto at_ns = time::now_ns();
    if (of->began_ns_ == 0) of->began_ns_ = at_ns;
    std::printf("%4llu ms  task %llu runs\n",
                static_cast<unsigned long long>((at_ns - of->began_ns_) / 1'000'000),
                static_cast<unsigned long long>(of->number_of(task)));
  }
};

World::World(std::uint64_t seed, bool prints) noexcept
    : random_(scheduler::mixed(seed) | 1), prints_(prints) {}

int World::below(int bound) noexcept {
  // xorshift64 (Marsaglia 2003); the high half, whose bits are the better ones.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<int>((random_ >> 32) % static_cast<std::uint64_t>(bound));
}

std::uint64_t World::number_of(observe::TaskId task) {
  auto at = std::find(seen_.begin(), seen_.end(), task);
  if (at == seen_.end()) at = seen_.insert(at, task);
  return static_cast<std::uint64_t>(at - seen_.begin());
}

void World::mix(std::uint64_t value) noexcept { trace_ = scheduler::mixed(trace_ ^ value); }

void World::note(const char* what, long number) {
  if (began_ns_ == 0) began_ns_ = time::now_ns();
  const auto task = number_of(task::current_task_id());
  for (const char* at = what; *at != '\0'; ++at) mix(static_cast<unsigned char>(*at));
  mix(static_cast<std::uint64_t>(number));
  mix(task);
  mix(time::now_ns() - began_ns_);
  if (prints_) std::printf("             %s %ld\n", what, number);
}

void World::check(bool holds, const char* otherwise) {
  if (holds) return;
  note(otherwise);
  if (failure_.empty()) failure_ = otherwise;
}

Task<void> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield_now();
}

Task<void> pause(World& world) {
  switch (world.below(8)) {
    case 0:
    case 1:
      break;
    case 2:
    case 3:
    case 4:
      co_await yields(1 + world.below(3));
      break;
    case 5:
      // What is due then comes while others still have something to do.
      co_await time::advance(ms(world.below(3)));
      break;
    default:
      co_await time::sleep(ms(world.below(4)));
  }
}

namespace {
Task<void> abort_some(World& world, std::vector<AbortHandle> tasks) {
  for (int left = world.below(static_cast<int>(tasks.size()) + 1); left > 0; --left) {
    co_await pause(world);
    const int chosen = world.below(static_cast<int>(tasks.size()));
    world.note("aborts one", chosen);
    tasks[static_cast<std::size_t>(chosen)].abort();
  }
}

Task<void> counted(World& world, World::Live, Task<void> inner) {
  co_await std::move(inner);
  world.note("ends");
}
}  // namespace

Task<int> crowd(World& world, std::vector<Task<void>> tasks, bool aborts) {
  std::vector<JoinHandle<void>> handles;
  std::vector<AbortHandle> targets;
  for (auto& task : tasks) {
    handles.push_back(spawn(counted(world, World::Live(world), std::move(task))));
    targets.push_back(handles.back().abort_handle());
  }
  if (aborts && world.below(4) != 0)
    handles.push_back(spawn(abort_some(world, std::move(targets))));
  int aborted = 0;
  for (auto& handle : handles) {
    try {
      co_await handle;
    } catch (const Cancelled&) {
      ++aborted;
    }
  }
  co_return aborted;
}

namespace {
Task<void> join(JoinHandle<void> handle) { co_await handle; }

/// What still runs after this waits for what will not come.
Task<void> root(World& world, const Scenario& scenario) {
  const auto result = co_await time::timeout(kNever, join(spawn(scenario.run(world))));
  world.check(result.has_value(), "a wait that nothing will end");
  if (result) world.check(world.alive() == 0, "a task is left");
}
}  // namespace

Outcome run(const Scenario& scenario, std::uint64_t seed, bool prints) {
  World world(seed, prints);
  if (prints) {
    auto& polls = Polls::instance();
    static_cast<void>(observe::set_observer(polls));
    polls.of = &world;
    observe::set_mask(static_cast<std::uint32_t>(observe::Event::Poll));
  }
  {
    auto runtime =
        Builder::current_thread().start_paused(true).rng_seed(seed).shuffle_tasks(true).build();
    try {
      runtime.block_on(root(world, scenario));
    } catch (const std::exception& error) {
      world.check(false, error.what());
    }
    if (world.failure().empty()) {
      world.check(runtime.metrics().num_alive_tasks == 0, "the runtime still has a task");
    }
    if (prints) {
      observe::set_mask(0);
      Polls::instance().of = nullptr;
    }
  }
  world.end();
  world.check(world.alive() == 0, "a task's frame is left");
  return {world.failure(), world.trace()};
}

}  // namespace taskscope::runtime::seeds
