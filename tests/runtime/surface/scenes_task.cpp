#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <mutex>
#include <optional>
#include <vector>

#include "taskscope/runtime/scheduler/driver_access.h"
#include "taskscope/runtime/sync/join_set.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/task/task_local.h"
#include "taskscope/runtime/task/try_join.h"
#include "taskscope/runtime/task/waker.h"
#include "taskscope/runtime/time/interval.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/surface/scene.h"

namespace taskscope::runtime::surface_test {

namespace {

using namespace std::chrono_literals;
using observe::BranchMode;
using observe::ResourceKind;
using observe::WaitOp;

/// A task that ends when it is told to.
struct Child : Scene {
  sync::Notify go_on;
  Task<void> child() { co_await go_on.notified(); }
  void complete() override { go_on.notify_waiters(); }
};
struct JoinHandleAwait final : Child {
  std::optional<JoinHandle<void>> handle;
  Task<void> prepare() override {
    handle.emplace(spawn(child()));
    co_return;
  }
  Task<void> wait() override { co_await *handle; }
  observe::TaskId awaited() override { return handle->id(); }
};
struct JoinAborted final : Child {
  std::optional<JoinHandle<void>> handle;
  Task<void> prepare() override {
    handle.emplace(spawn(child()));
    co_return;
  }
  Task<void> wait() override {
    try {
      co_await *handle;
    } catch (const Cancelled&) {
      // As it should.
    }
  }
  void complete() override { handle->abort(); }
  observe::TaskId awaited() override { return handle->id(); }
};

struct BlockingAwait final : Scene {
  std::mutex mutex;
  std::condition_variable changed;
  bool let_go = false;  // under mutex
  std::atomic<bool> runs{false};
  std::optional<JoinHandle<void>> handle;

  ~BlockingAwait() override { complete(); }
  Task<void> prepare() override {
    const auto call = [this] {
      runs = true;
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return let_go; });
    };
    handle.emplace(spawn_blocking(call));
    // One that has not begun could be aborted.
    while (!runs) co_await yield_now();
  }
  Task<void> wait() override { co_await *handle; }
  void complete() override {
    const std::lock_guard lock(mutex);
    let_go = true;
    changed.notify_all();
  }
  observe::TaskId awaited() override { return handle->id(); }
};

struct JoinSetScene : Child {
  sync::JoinSet<void> set;
  Task<void> prepare() override {
    set.spawn(child());
    co_return;
  }
  task::Resource* resource() override { return &set.resource(); }
};
/// The one task, or the end of the set: both end a wait.
struct JoinSetNext final : JoinSetScene {
  Task<void> wait() override {
    const auto ended = co_await set.join_next();
    static_cast<void>(ended.has_value());
  }
};
struct JoinSetAll final : JoinSetScene {
  Task<void> wait() override { co_await set.join_all(); }
};
/// A call that is asked to end, and can't before complete().
struct JoinSetShutdown final : Scene {
  BlockingAwait call;
  sync::JoinSet<void> set;
  Task<void> prepare() override {
    co_await call.prepare();
    set.add(std::move(*call.handle));
  }
  Task<void> wait() override { co_await set.shutdown(); }
  void complete() override { call.complete(); }
  task::Resource* resource() override { return &set.resource(); }
};

/// What is due in a day; complete() lets the day pass for the wheel of this worker.
struct Timed : Scene {
  void complete() override {
    task::WakeBatch batch;
    static_cast<void>(
        scheduler::current_timers().advance(time::now_ns() + 25 * 3'600'000'000'000u, batch));
  }
};
struct SleepAwait final : Timed {
  Task<void> wait() override { co_await time::sleep(24h); }
};
struct SleepKept final : Timed {
  time::Sleep sleep = time::sleep(24h);
  Task<void> wait() override { co_await sleep; }
};
struct IntervalTick final : Timed {
  time::Interval interval = time::interval_at(time::now() + 24h, 1min);
  Task<void> wait() override {
    const auto due = co_await interval.tick();
    static_cast<void>(due);
  }
};
struct TimeoutDeadline final : Timed {
  sync::Notify never;
  Task<void> wait() override {
    const auto result = co_await time::timeout(24h, never.notified());
    if (result) std::abort();
  }
};

struct Notifying : Scene {
  sync::Notify first, second;
  void complete() override {
    first.notify_one();
    second.notify_one();
  }
};
struct TimeoutBody final : Notifying {
  Task<void> wait() override {
    const auto result = co_await time::timeout(24h, first.notified());
    if (!result) std::abort();
  }
};
struct SelectScene final : Notifying {
  sync::Notify never;
  Task<void> wait() override {
    const auto result = co_await select(first.notified(), never.notified());
    if (result.index() != 0) std::abort();
  }
};
struct SelectBiased final : Notifying {
  sync::Notify never;
  Task<void> wait() override {
    const auto result = co_await select_biased(never.notified(), first.notified());
    if (result.index() != 1) std::abort();
  }
};
struct SelectOtherwise final : Notifying {
  Task<void> wait() override {
    const auto result =
        co_await select(if_some(wait_empty(first)), only_if(false, second.notified()), otherwise);
    if (result.index() != 2) std::abort();
  }
  static Task<std::optional<int>> wait_empty(sync::Notify& notify) {
    co_await notify.notified();
    co_return std::nullopt;
  }
};
struct JoinScene final : Notifying {
  Task<void> wait() override {
    const auto results = co_await join(first.notified(), second.notified());
    static_cast<void>(results);
  }
};
struct ScopeScene final : Notifying {
  TaskLocal<int> number;
  Task<void> wait_inside() {
    co_await first.notified();
    if (number.get() != 1) std::abort();
  }
  Task<void> wait() override { co_await number.scope(1, wait_inside()); }
};
struct TryJoinScene final : Notifying {
  using Arm = Result<void, int>;
  static Task<Arm> wait_arm(sync::Notify& notify) {
    co_await notify.notified();
    co_return Arm();
  }
  Task<void> wait() override {
    const auto results = co_await try_join(wait_arm(first), wait_arm(second));
    if (!results) std::abort();
  }
};

struct PollFnScene final : Scene {
  bool done = false;
  std::optional<task::Waker> waker;
  Task<void> wait() override {
    const auto is_done = [this](task::Waker here) {
      waker.emplace(std::move(here));
      return done;
    };
    auto polling = poll_fn(is_done);
    co_await polling;
  }
  void complete() override {
    done = true;
    if (waker) waker->wake();
  }
};

/// An event of another library: knows coroutines, and nothing of tasks.
struct AdaptScene final : Scene {
  struct Event {
    std::vector<std::coroutine_handle<>> waiting;
    bool happened = false;
  } event;
  struct Foreign {
    Event& event;
    [[nodiscard]] bool await_ready() const noexcept { return event.happened; }
    void await_suspend(std::coroutine_handle<> handle) const { event.waiting.push_back(handle); }
    void await_resume() const noexcept {}
  };
  ~AdaptScene() override { complete(); }
  Task<void> wait() override {
    Foreign foreign{event};
    co_await adapt(foreign);
  }
  void complete() override {
    event.happened = true;
    for (const auto handle : std::exchange(event.waiting, {})) handle.resume();
  }
};

}  // namespace

std::vector<Row> task_rows() {
  constexpr auto kNone = ResourceKind::Other;
  return {
      {"JoinHandle", make<JoinHandleAwait>, WaitOp::Join, ResourceKind::Join, kOne | kOneRuntime},
      {"JoinHandle, aborted", make<JoinAborted>, WaitOp::Join, ResourceKind::Join,
       kOne | kOneRuntime},
      {"JoinHandle of a blocking call", make<BlockingAwait>, WaitOp::Blocking,
       ResourceKind::Blocking, kOne | kOneRuntime | kElsewhere},
      {"JoinSet::join_next", make<JoinSetNext>, WaitOp::Recv, kNone, kHeld | kOneRuntime},
      {"JoinSet::join_all", make<JoinSetAll>, WaitOp::Recv, kNone, kHeld | kOneRuntime},
      {"JoinSet::shutdown", make<JoinSetShutdown>, WaitOp::Recv, kNone,
       kHeld | kOneRuntime | kElsewhere},
      {"sleep", make<SleepAwait>, WaitOp::Sleep, ResourceKind::Timer},
      {"sleep, kept", make<SleepKept>, WaitOp::Sleep, ResourceKind::Timer, kOne},
      {"Interval::tick", make<IntervalTick>, WaitOp::Tick, ResourceKind::Timer, kOne},
      {"timeout, to its deadline", make<TimeoutDeadline>, WaitOp::Sleep, ResourceKind::Timer, 0,
       BranchMode::Any},
      {"timeout, to the body's end", make<TimeoutBody>, WaitOp::Notified, ResourceKind::Notify, 0,
       BranchMode::Any},
      {"select", make<SelectScene>, WaitOp::Notified, ResourceKind::Notify, 0, BranchMode::Any},
      {"select_biased", make<SelectBiased>, WaitOp::Notified, ResourceKind::Notify, 0,
       BranchMode::Any},
      {"select, otherwise", make<SelectOtherwise>, WaitOp::Notified, ResourceKind::Notify, 0,
       BranchMode::Any},
      {"join", make<JoinScene>, WaitOp::Notified, ResourceKind::Notify, 0, BranchMode::All},
      {"try_join", make<TryJoinScene>, WaitOp::Notified, ResourceKind::Notify, 0, BranchMode::All},
      {"TaskLocal::scope", make<ScopeScene>, WaitOp::Notified, ResourceKind::Notify, 0,
       BranchMode::All},
      {"poll_fn", make<PollFnScene>, WaitOp::Waker, ResourceKind::Waker, kOne},
      {"adapt", make<AdaptScene>, WaitOp::Waker, ResourceKind::Waker},
  };
}

}  // namespace taskscope::runtime::surface_test
