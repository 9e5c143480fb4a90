/// One observer for the whole program: it is set once and never freed.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/support/recording_observer.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;
using taskscope::tests::recording;

namespace {

Task<void> inner_sleep() { co_await time::sleep(24h); }
Task<void> outer_sleep() { co_await inner_sleep(); }
Task<void> either() {
  const auto result = co_await select(outer_sleep(), outer_sleep());
  static_cast<void>(result);
}

struct Seen final : observe::TaskVisitor {
  struct One {
    observe::TaskState state;
    std::string name;
    std::vector<std::pair<observe::Wait, std::vector<observe::Site>>> branches;
    std::uint32_t polls;
  };
  std::map<observe::TaskId, One> tasks;
  void visit(const observe::TaskView& view) override {
    auto& one = tasks[view.task];
    one.state = view.state;
    one.name = std::string(view.name);
    one.polls = view.polls;
    one.branches.clear();
    for (const auto& branch : view.branches) {
      one.branches.emplace_back(branch.wait,
                                std::vector(branch.frames.begin(), branch.frames.end()));
    }
  }
};

Seen look(observe::Inspector& inspector, observe::Detail detail = observe::Detail::Stacks) {
  Seen seen;
  observe::TaskCursor cursor;
  while (!cursor.done) inspector.visit_tasks(cursor, 7, detail, seen);
  return seen;
}

/// Until the runtime has polled everything there is to poll.
Seen look_when_idle(observe::Inspector& inspector) {
  for (;;) {
    Seen seen = look(inspector);
    bool idle = true;
    for (const auto& [id, task] : seen.tasks) idle = idle && task.state == observe::TaskState::Idle;
    if (idle) return seen;
    std::this_thread::yield();
  }
}

/// Loses two arms that wait, one of them with an arm of its own, after a poll that said so.
Task<void> loses(sync::Notify& notify) {
  const auto result =
      co_await select_biased(notify.notified(), outer_sleep(), time::timeout(24h, inner_sleep()));
  static_cast<void>(result);
  // Never told of, and so never cancelled: this arm begins and loses within one poll.
  const auto at_once = co_await select_biased(inner_sleep(), []() -> Task<void> { co_return; }());
  static_cast<void>(at_once);
  co_await inner_sleep();
}

Task<void> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield_now();
}
Task<void> churn() {
  std::vector<JoinHandle<void>> handles;
  for (int i = 0; i < 200; ++i) handles.push_back(spawn(yields(10)));
  for (auto& handle : handles) co_await handle;
  co_await time::sleep(1ms);
  auto blocking = spawn_blocking([] {});
  co_await blocking;
}

}  // namespace

TEST_CASE("the observer hears of every task, poll and wake that the runtime counts") {
  auto& seen = recording();
  auto runtime = Builder::multi_thread().worker_threads(3).build();
  runtime.block_on(churn());
  runtime.shutdown();
  const auto metrics = runtime.metrics();
  const std::lock_guard lock(seen.mutex);
  CHECK(seen.spawned == metrics.spawned_tasks);
  CHECK(seen.outcomes.size() == metrics.finished_tasks);
  CHECK(seen.polls == metrics.polls);
  CHECK(seen.all_wakes == metrics.wakes);
  CHECK(seen.started == seen.ended);
  CHECK_FALSE(seen.time_went_back);
}

TEST_CASE("a pending poll says what every branch waits for, and where") {
  auto& seen = recording();
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto handle = runtime.spawn(either());
  look_when_idle(runtime.inspector());
  const std::lock_guard lock(seen.mutex);
  const auto& waits = seen.waits[handle.id()];
  REQUIRE(waits.size() == 3);
  CHECK(waits[0].branch == observe::BranchId::Root);
  CHECK(waits[0].mode == observe::BranchMode::Any);
  CHECK(std::string(waits[0].site.function_name()).find("either") != std::string::npos);
  for (std::size_t i = 1; i < 3; ++i) {
    CHECK(waits[i].parent == observe::BranchId::Root);
    CHECK(waits[i].mode == observe::BranchMode::Single);
    CHECK(waits[i].op == observe::WaitOp::Sleep);
    CHECK(waits[i].deadline_ns > observe::monotonic_ns());
    CHECK(std::string(waits[i].site.function_name()).find("inner_sleep") != std::string::npos);
  }
}

TEST_CASE("a wait that was told of and is destroyed is told to have ended, once") {
  auto& seen = recording();
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  sync::Notify notify;
  auto handle = runtime.spawn(loses(notify));
  look_when_idle(runtime.inspector());
  std::vector<observe::BranchId> losing;
  {
    const std::lock_guard lock(seen.mutex);
    // The root, three arms, and the two arms of the timeout.
    const auto& waits = seen.waits[handle.id()];
    REQUIRE(waits.size() == 6);
    for (const auto& wait : waits) {
      if (wait.branch != observe::BranchId::Root && wait.op != observe::WaitOp::Notified)
        losing.push_back(wait.branch);
    }
    CHECK(seen.cancelled.empty());
  }
  notify.notify_one();
  const auto cancelled = [&] {
    const std::lock_guard lock(seen.mutex);
    return seen.cancelled[handle.id()];
  };
  while (cancelled().size() < losing.size()) std::this_thread::yield();
  look_when_idle(runtime.inspector());
  auto ended = cancelled();
  std::sort(ended.begin(), ended.end());
  std::sort(losing.begin(), losing.end());
  CHECK(ended == losing);
  // The end of a task ends its root's wait.
  handle.abort();
  while (!handle.is_finished()) std::this_thread::yield();
  CHECK(cancelled().size() == losing.size());
}

TEST_CASE("aborting a task ends the waits of its arms") {
  auto& seen = recording();
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  auto handle = runtime.spawn(either());
  look_when_idle(runtime.inspector());
  handle.abort();
  while (!handle.is_finished()) std::this_thread::yield();
  const std::lock_guard lock(seen.mutex);
  CHECK(seen.cancelled[handle.id()].size() == 2);
}

TEST_CASE("the inspector shows await stacks root first, a branch each, without stopping anything") {
  recording();
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto plain = runtime.spawn(outer_sleep());
  const auto branching = runtime.spawn(either());
  const auto seen = look_when_idle(runtime.inspector());
  REQUIRE(seen.tasks.size() == 2);
  const auto& stack = seen.tasks.at(plain.id()).branches;
  REQUIRE(stack.size() == 1);
  REQUIRE(stack[0].second.size() == 2);
  CHECK(std::string(stack[0].second[0].function_name()).find("outer_sleep") != std::string::npos);
  CHECK(std::string(stack[0].second[1].function_name()).find("inner_sleep") != std::string::npos);
  const auto& tree = seen.tasks.at(branching.id()).branches;
  REQUIRE(tree.size() == 3);
  CHECK(tree[0].second.size() == 1);
  CHECK(tree[1].second.size() == 2);
  CHECK(tree[2].second.size() == 2);
}

TEST_CASE("tasks inspected again and again while they run lose no wake") {
  recording();
  observe::set_mask(0);
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  std::atomic<bool> stop{false};
  std::uint64_t looks = 0;
  std::thread inspector([&] {
    while (!stop.load()) {
      look(runtime.inspector());
      ++looks;
    }
  });
  const auto work = []() -> Task<void> {
    for (int round = 0; round < 20; ++round) {
      std::vector<JoinHandle<void>> handles;
      for (int i = 0; i < 100; ++i) {
        handles.push_back(spawn(yields(5)));
        handles.push_back(spawn([]() -> Task<void> { co_await time::sleep(1ms); }()));
        auto doomed = spawn(either());
        co_await yield_now();
        doomed.abort();
      }
      for (auto& handle : handles) co_await handle;
    }
  };
  runtime.block_on(work());
  stop.store(true);
  inspector.join();
  CHECK(looks > 0);
}

TEST_CASE("a lock's holder is known without anybody watching") {
  recording();
  observe::set_mask(0);
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  sync::Mutex<int> mutex(0);
  const auto hold = [](sync::Mutex<int>& lock) -> Task<void> {
    auto guard = co_await lock.lock();
    co_await time::sleep(24h);
  };
  const auto holder = runtime.spawn(hold(mutex));
  look_when_idle(runtime.inspector());
  const auto waiter = runtime.spawn(hold(mutex));
  const auto seen = look_when_idle(runtime.inspector());
  const auto& wait = seen.tasks.at(waiter.id()).branches.at(0).first;
  CHECK(wait.op == observe::WaitOp::Lock);
  struct Holders final : observe::ResourceVisitor {
    std::map<observe::ResourceId, observe::TaskId> by;
    bool certain = false;
    void visit(const observe::ResourceView& view) override {
      for (const auto& holder : view.holders) {
        by[view.info.id] = holder.task;
        certain = holder.certain;
      }
    }
  } holders;
  runtime.inspector().visit_resources(holders);
  CHECK(holders.by[wait.resource] == holder.id());
  CHECK(holders.certain);
  runtime.shutdown();  // before the mutex goes
}
