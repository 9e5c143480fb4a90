/// Small programs of a few tasks under random cancellation, of which a seed decides everything: who
/// runs next, what each does, when it is cancelled. What a seed finds it finds again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/cancellation_token.h"
#include "taskscope/runtime/task/select.h"
#include "taskscope/runtime/task/yield.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/test_clock.h"
#include "taskscope/runtime/time/timeout.h"

namespace taskscope::runtime::seeds {

/// What the tasks of one run share: chance, the books, and what lives as long as any of them.
class World {
 public:
  World(std::uint64_t seed, bool prints) noexcept;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  /// In [0, bound).
  [[nodiscard]] int below(int bound) noexcept;
  [[nodiscard]] bool one_in(int bound) noexcept { return below(bound) == 0; }
  /// A step of the running task, for the trace.
  void note(const char* what, long number = 0);
  /// The first that does not hold is what the run is known for.
  void check(bool holds, const char* otherwise);
  /// Made now, destroyed after the runtime: tasks that are left behind may use it to the end.
  template <class T, class... Args>
  T& keep(Args&&... args) {
    auto kept = std::make_unique<Kept<T>>(std::forward<Args>(args)...);
    T& value = kept->value;
    kept_.push_back(std::move(kept));
    return value;
  }

  /// Counts what lives: a task, mostly, by the copy of it in its frame.
  class Live {
   public:
    explicit Live(World& world) noexcept : world_(world) { ++world_.alive_; }
    Live(const Live& other) noexcept : Live(other.world_) {}
    Live& operator=(const Live&) noexcept { return *this; }  // of one world, both
    ~Live() { --world_.alive_; }

   private:
    World& world_;
  };
  [[nodiscard]] int alive() const noexcept { return alive_; }
  [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
  [[nodiscard]] std::uint64_t trace() const noexcept { return trace_; }
  void end() noexcept { kept_.clear(); }

 private:
  struct KeptBase {
    virtual ~KeptBase() = default;
  };
  template <class T>
  struct Kept final : KeptBase {
    template <class... Args>
    explicit Kept(Args&&... args) : value(std::forward<Args>(args)...) {}
    T value;
  };
  friend class Polls;
  [[nodiscard]] std::uint64_t number_of(observe::TaskId task);
  void mix(std::uint64_t value) noexcept;

  std::uint64_t random_;
  std::uint64_t began_ns_ = 0;
  std::uint64_t trace_ = 0;
  std::vector<observe::TaskId> seen_;  ///< tasks, in the order in which they first did something
  std::string failure_;
  std::vector<std::unique_ptr<KeptBase>> kept_;
  int alive_ = 0;
  const bool prints_;
};

/// Counts one while it lives: who is in a section, or waits.
class Within {
 public:
  explicit Within(int& count) noexcept : count_(count) { ++count_; }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;
  ~Within() { --count_; }

 private:
  int& count_;
};

struct Scenario {
  const char* name;
  Task<void> (*run)(World&);
};
[[nodiscard]] std::span<const Scenario> scenarios();
/// One with a mistake in it, so that it can be seen that mistakes are found.
[[nodiscard]] const Scenario& broken_scenario();

struct Outcome {
  std::string failure;  ///< empty: all was right
  std::uint64_t trace = 0;
};
/// `prints`: every poll and step, to standard output.
[[nodiscard]] Outcome run(const Scenario& scenario, std::uint64_t seed, bool prints = false);

// --- what scenarios are made of

[[nodiscard]] inline time::Duration ms(int count) { return std::chrono::milliseconds(count); }

/// Nothing, some yields, a sleep, or a jump of the clock.
Task<void> pause(World& world);
Task<void> yields(int times);
/// Spawns the tasks, aborts some of them at random moments, and waits for the end of all. Returns
/// how many were aborted before they ended.
Task<int> crowd(World& world, std::vector<Task<void>> tasks, bool aborts = true);

template <class F>
using Got = task::Wrapped<task::ArmResult<std::invoke_result_t<F&>>>;

template <class F>
Task<Got<F>> awaited(F& make) {
  auto awaiting = make();
  if constexpr (std::is_void_v<task::ArmResult<decltype(awaiting)>>) {
    co_await std::move(awaiting);
    co_return std::monostate();
  } else {
    co_return co_await std::move(awaiting);
  }
}

/// Awaits what `make` makes, perhaps within a timeout, a select or a token that ends the wait
/// first; then there is no result.
template <class F>
Task<std::optional<Got<F>>> maybe(World& world, F make) {
  std::optional<Got<F>> got;
  switch (world.below(6)) {
    case 0: {
      auto result = co_await time::timeout(ms(world.below(4)), awaited(make));
      if (result) got.emplace(*std::move(result));
      break;
    }
    case 1: {
      auto result = co_await select(awaited(make), time::sleep(ms(world.below(4))));
      if (result.index() == 0) got.emplace(std::get<0>(std::move(result)));
      break;
    }
    case 2: {
      auto result = co_await select_biased(awaited(make), yields(world.below(6)));
      if (result.index() == 0) got.emplace(std::get<0>(std::move(result)));
      break;
    }
    case 3: {
      auto result = co_await select_biased(yields(world.below(6)), awaited(make));
      if (result.index() == 1) got.emplace(std::get<1>(std::move(result)));
      break;
    }
    case 4: {
      // The awaitable is the arm itself.
      auto awaiting = make();
      auto result = co_await select(std::move(awaiting), pause(world));
      if (result.index() == 0) got.emplace(std::get<0>(std::move(result)));
      break;
    }
    default:
      got.emplace(co_await awaited(make));
  }
  if (!got) world.note("gives up");
  co_return got;
}

}  // namespace taskscope::runtime::seeds
