/// The same questions to every awaitable of the core: see scene.h for the rows.
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/task/select.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/surface/scene.h"
#include "taskscope/tests/runtime/sync/sync_support.h"
#include "taskscope/tests/support/recording_observer.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::surface_test;
using namespace std::chrono_literals;
using taskscope::runtime::sync_test::on_worker;
using taskscope::runtime::sync_test::runtime_with;
using taskscope::runtime::sync_test::waits_of;
using taskscope::tests::recording;

namespace {

std::vector<Row> all_rows() {
  auto rows = sync_rows();
  for (const auto& more : {channel_rows(), task_rows()})
    rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

/// How many waits have begun, ended in the ordinary way, and left their frames.
struct Tally {
  std::atomic<int> alive{0}, completed{0};
};
struct Alive {
  explicit Alive(Tally& in) : tally(in) { ++tally.alive; }
  ~Alive() { --tally.alive; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  Tally& tally;
};

Task<void> attempt(Scene& scene, Tally& tally) {
  const Alive alive(tally);
  co_await scene.wait();
  ++tally.completed;
}
Task<void> complete_now(Scene& scene) {
  scene.complete();
  co_return;
}
/// In one poll, which nobody else comes between.
Task<void> complete_and_abort(Scene& scene, AbortHandle waiting) {
  scene.complete();
  waiting.abort();
  co_return;
}
Task<void> complete_and_win(Scene& scene, sync::Notify& winner) {
  winner.notify_one();
  scene.complete();
  co_return;
}
/// The winner goes first when both may go on.
Task<bool> loses(Scene& scene, Tally& tally, sync::Notify& winner) {
  const auto result = co_await select_biased(winner.notified(), attempt(scene, tally));
  co_return result.index() == 1;
}
Task<bool> times_out(Scene& scene, Tally& tally) {
  const auto result = co_await time::timeout(1ms, attempt(scene, tally));
  co_return result.has_value();
}

/// A scene in a runtime with one worker: nothing runs beside what is looked at.
class Stage {
 public:
  explicit Stage(const Row& of) : row(of), scene(row.make()) { run(scene->prepare()); }
  ~Stage() { close(); }

  void run(Task<void> task) { runtime->block_on(on_worker(std::move(task))); }
  JoinHandle<void> begin() {
    auto handle = runtime->spawn(attempt(*scene, tally));
    settle();
    return handle;
  }
  void complete() {
    run(scene->lead_up());
    run(complete_now(*scene));
    settle();
  }
  /// Has this wait ended? Or will it: where the end comes from another thread.
  template <class T>
  bool ends(JoinHandle<T>& handle) {
    if (row.is(kElsewhere)) {
      struct Awaits {
        static Task<void> end(JoinHandle<T>& awaited) {
          if constexpr (std::is_void_v<T>) {
            co_await awaited;
          } else {
            const auto value = co_await awaited;
            static_cast<void>(value);
          }
        }
      };
      run(Awaits::end(handle));
    }
    return handle.is_finished();
  }
  /// Returns when nothing will happen by itself any more: every task waits and every worker sleeps,
  /// and did so in the look before, with nobody polled in between. A task that ended is out of
  /// sight a moment before it wakes who joins it; its worker is awake then.
  void settle() {
    struct Look final : observe::TaskVisitor, observe::WorkerVisitor {
      void visit(const observe::WorkerView& worker) override { idle = idle && worker.parked; }
      void visit(const observe::TaskView& task) override {
        if (task.kind == observe::TaskKind::Blocking) return;
        idle = idle && task.state == observe::TaskState::Idle;
        ++tasks;
        polls += task.polls;
      }
      bool idle = true;
      std::uint64_t tasks = 0, polls = 0;
    };
    Look before;
    before.idle = false;
    for (;;) {
      Look now;
      for (observe::TaskCursor cursor; !cursor.done;)
        runtime->inspector().visit_tasks(cursor, 64, observe::Detail::Facts, now);
      runtime->inspector().visit_workers(now);
      if (before.idle && now.idle && before.tasks == now.tasks && before.polls == now.polls) return;
      before = now;
      std::this_thread::yield();
    }
  }
  /// The resource as a watcher sees it; none of its own: as nobody waits for it.
  struct Seen {
    bool there = false;
    std::uint32_t waiters = 0;
    std::size_t holders = 0;
  };
  Seen look() {
    struct Find final : observe::ResourceVisitor {
      void visit(const observe::ResourceView& view) override {
        if (view.info.id == wanted) seen = {true, view.waiters, view.holders.size()};
      }
      observe::ResourceId wanted{};
      Seen seen;
    } find;
    if (scene->resource() == nullptr) return {};
    find.wanted = scene->resource()->id();
    runtime->inspector().visit_resources(find);
    return find.seen;
  }
  /// Timers that are in the wheel.
  std::uint32_t timers() {
    struct Count final : observe::WorkerVisitor {
      void visit(const observe::WorkerView& worker) override {
        for (const auto level : worker.wheel) timers += level;
      }
      std::uint32_t timers = 0;
    } count;
    runtime->inspector().visit_workers(count);
    return count.timers;
  }
  /// Whatever was done to it: who waits now, waits and is served.
  void check_usable() {
    const int before = tally.completed;
    auto again = begin();
    if (!again.is_finished()) complete();
    CHECK(ends(again));
    CHECK(tally.completed == before + 1);
    CHECK(tally.alive == 0);
    CHECK(look().waiters == 0);
  }
  /// Ends the runtime, with whatever waits in it.
  void close() {
    if (!runtime) return;
    // A runtime waits for the calls that block.
    if (row.is(kElsewhere)) scene->complete();
    runtime.reset();
  }
  void open() { runtime = std::make_unique<Runtime>(runtime_with(1)); }

  const Row& row;
  Tally tally;
  sync::Notify winner;
  std::unique_ptr<Scene> scene;
  std::unique_ptr<Runtime> runtime = std::make_unique<Runtime>(runtime_with(1));
};

/// The wait among those of a task that this row is about.
const observe::Wait* find_wait(const Row& row, const std::vector<observe::Wait>& waits) {
  for (const auto& wait : waits)
    if (wait.op == row.op && wait.resource_kind == row.kind) return &wait;
  return nullptr;
}

void check_wait(Stage& stage, const std::vector<observe::Wait>& waits) {
  const Row& row = stage.row;
  REQUIRE(!waits.empty());
  CHECK(waits.front().mode == row.mode);
  const auto* wait = find_wait(row, waits);
  REQUIRE(wait != nullptr);
  CHECK_THAT(wait->site.file_name(), Catch::Contains("/surface/scenes_"));
  CHECK_THAT(wait->site.function_name(), Catch::Contains("wait"));
  if (auto* resource = stage.scene->resource(); resource != nullptr) {
    CHECK(wait->resource != observe::ResourceId::None);
    CHECK(wait->resource == resource->id());
  }
  CHECK(wait->task == stage.scene->awaited());
  if (row.kind == observe::ResourceKind::Timer) CHECK(wait->deadline_ns > time::now_ns());
}

/// A wait was cancelled, granted or not: another has its turn, and so have those who come later.
template <class T>
void check_next(Stage& stage, std::optional<JoinHandle<void>>& next, JoinHandle<T>& cancelled,
                bool is_completed) {
  CHECK(cancelled.is_finished());
  if (!next) {
    CHECK(stage.tally.completed == 0);
    CHECK(stage.tally.alive == 0);
    CHECK(stage.look().waiters == 0);
    CHECK(stage.timers() == 0);
    next.emplace(stage.begin());
  }
  if (!is_completed) {
    CHECK_FALSE(next->is_finished());
    CHECK(stage.tally.completed == 0);
    stage.complete();
  }
  CHECK(stage.ends(*next));
  CHECK(stage.tally.completed == 1);
  CHECK(stage.tally.alive == 0);
  stage.check_usable();
}

std::optional<JoinHandle<void>> begin_next(Stage& stage) {
  std::optional<JoinHandle<void>> next;
  if (!stage.row.is(kOne)) next.emplace(stage.begin());
  return next;
}

// --- the rows are all that there is

/// Declarations of await_ready in the headers, which every awaitable has one of or inherits. A new
/// one is counted here when it has its row.
const std::map<std::string, int> kDeclared = {
    // Not of the core.
    {"io/operation.h", 1},
    {"net/tcp_stream.h", 1},
    // Awaited in block_on only: see local_set_test.cpp.
    {"scheduler/local_tasks.h", 1},
    // What every await goes through: Budgeted, Direct, FinalAwaiter, Promise's suspensions, and the
    // await of another Task.
    {"task/task.h", 4},
    {"sync/barrier.h", 1},
    {"sync/broadcast.h", 2},
    {"sync/cancellation_token.h", 1},
    {"sync/channel.h", 1},
    {"sync/join_set.h", 1},
    {"sync/mpsc.h", 4},
    {"sync/mutex.h", 1},
    {"sync/notify.h", 1},
    {"sync/once_cell.h", 1},
    {"sync/oneshot.h", 2},
    {"sync/rw_lock.h", 1},
    {"sync/semaphore.h", 1},
    {"sync/watch.h", 2},
    {"task/join_handle.h", 1},
    {"task/select.h", 2},
    {"task/task_local.h", 1},
    {"task/waker.h", 1},
    {"task/yield.h", 2},
    {"time/interval.h", 1},
    {"time/sleep.h", 1},
};

/// Is there to be a row for it? No default: a new operation has to be thought of.
bool wants_row(observe::WaitOp op) {
  switch (op) {
    case observe::WaitOp::None:
      return false;
    case observe::WaitOp::Readable:
    case observe::WaitOp::Writable:
    case observe::WaitOp::Accept:
    case observe::WaitOp::Connect:
      return false;  // descriptors have tests of their own
    case observe::WaitOp::Yield:
      return false;  // never pending: see below
    case observe::WaitOp::Lock:
    case observe::WaitOp::ReadLock:
    case observe::WaitOp::WriteLock:
    case observe::WaitOp::Acquire:
    case observe::WaitOp::Notified:
    case observe::WaitOp::Arrive:
    case observe::WaitOp::Get:
    case observe::WaitOp::Send:
    case observe::WaitOp::Recv:
    case observe::WaitOp::Closed:
    case observe::WaitOp::Changed:
    case observe::WaitOp::Join:
    case observe::WaitOp::Sleep:
    case observe::WaitOp::Tick:
    case observe::WaitOp::Blocking:
    case observe::WaitOp::Waker:
      return true;
  }
  return true;
}
constexpr auto kLastOp = observe::WaitOp::Yield;

bool wants_row(observe::ResourceKind kind) {
  switch (kind) {
    case observe::ResourceKind::Io:
      return false;
    case observe::ResourceKind::Other:
    case observe::ResourceKind::Mutex:
    case observe::ResourceKind::RwLock:
    case observe::ResourceKind::Semaphore:
    case observe::ResourceKind::Notify:
    case observe::ResourceKind::Barrier:
    case observe::ResourceKind::OnceCell:
    case observe::ResourceKind::Mpsc:
    case observe::ResourceKind::Oneshot:
    case observe::ResourceKind::Broadcast:
    case observe::ResourceKind::Watch:
    case observe::ResourceKind::Join:
    case observe::ResourceKind::Timer:
    case observe::ResourceKind::Blocking:
    case observe::ResourceKind::Waker:
      return true;
  }
  return true;
}
constexpr auto kLastKind = observe::ResourceKind::Waker;

}  // namespace

TEST_CASE("surface: every operation and every kind of resource has a row") {
  std::set<observe::WaitOp> ops;
  std::set<observe::ResourceKind> kinds;
  std::set<std::string> names;
  for (const auto& row : all_rows()) {
    ops.insert(row.op);
    kinds.insert(row.kind);
    CHECK(names.insert(row.name).second);
  }
  for (int i = 0; i <= static_cast<int>(kLastOp); ++i) {
    INFO("operation " << i);
    CHECK(ops.contains(observe::WaitOp(i)) == wants_row(observe::WaitOp(i)));
  }
  for (int i = 0; i <= static_cast<int>(kLastKind); ++i) {
    INFO("kind " << i);
    CHECK(kinds.contains(observe::ResourceKind(i)) == wants_row(observe::ResourceKind(i)));
  }
}

TEST_CASE("surface: every awaitable of the headers was counted") {
  const std::filesystem::path room = TASKSCOPE_RUNTIME_DIR;
  std::map<std::string, int> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(room)) {
    if (entry.path().extension() != ".h") continue;
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    const std::string source = text.str();
    constexpr std::string_view kDeclaration = "bool await_ready(";
    for (auto at = source.find(kDeclaration); at != std::string::npos;
         at = source.find(kDeclaration, at + 1))
      ++found[std::filesystem::relative(entry.path(), room).generic_string()];
  }
  for (const auto& [file, count] : found) {
    INFO(file);
    CHECK((kDeclared.contains(file) ? kDeclared.at(file) : 0) == count);
  }
  for (const auto& [file, count] : kDeclared) {
    INFO(file);
    CHECK((found.contains(file) ? found.at(file) : 0) == count);
  }
}

// --- the battery

TEST_CASE("surface: a wait ends in the ordinary way, and watchers see it begin and end") {
  for (const auto& row : all_rows()) {
    INFO(row.name);
    auto& heard = recording();
    observe::ResourceId id{};
    {
      Stage stage(row);
      auto waiting = stage.begin();
      REQUIRE_FALSE(waiting.is_finished());
      check_wait(stage, waits_of(*stage.runtime, waiting.id()));
      {
        const std::lock_guard lock(heard.mutex);
        check_wait(stage, heard.waits[waiting.id()]);
      }
      if (auto* resource = stage.scene->resource(); resource != nullptr) {
        id = resource->id();
        const auto seen = stage.look();
        CHECK(seen.there);
        CHECK(seen.waiters == 1);
        CHECK((seen.holders != 0) == row.is(kHeld));
        const std::lock_guard lock(heard.mutex);
        const auto& told = heard.resources[id];
        CHECK(told.registered == 1);
        CHECK(told.kind == row.kind);
        CHECK(!told.type.empty());
      }
      const auto waits_before = heard.waits[waiting.id()].size();
      CHECK(waits_before != 0);
      stage.complete();
      CHECK(stage.ends(waiting));
      CHECK(stage.tally.completed == 1);
      CHECK(stage.tally.alive == 0);
      CHECK(stage.look().waiters == 0);
      const std::lock_guard lock(heard.mutex);
      CHECK(heard.outcomes[waiting.id()] == observe::Outcome::Done);
      CHECK(!heard.wakes[waiting.id()].empty());
    }
    const std::lock_guard lock(heard.mutex);
    if (id != observe::ResourceId::None) CHECK(heard.resources[id].dropped == 1);
  }
}

TEST_CASE("surface: a wait that is aborted leaves nothing, and takes nothing from the next") {
  for (const auto& row : all_rows()) {
    INFO(row.name);
    auto& heard = recording();
    Stage stage(row);
    auto aborted = stage.begin();
    auto next = begin_next(stage);
    aborted.abort();
    stage.settle();
    {
      const std::lock_guard lock(heard.mutex);
      CHECK(heard.outcomes[aborted.id()] == observe::Outcome::Cancelled);
    }
    check_next(stage, next, aborted, false);
  }
}

TEST_CASE("surface: a wait that loses a select is told to be over, and leaves nothing") {
  for (const auto& row : all_rows()) {
    INFO(row.name);
    auto& heard = recording();
    Stage stage(row);
    auto loser = stage.runtime->spawn(loses(*stage.scene, stage.tally, stage.winner));
    stage.settle();
    std::size_t arms = 0;
    {
      const std::lock_guard lock(heard.mutex);
      const auto& waits = heard.waits[loser.id()];
      CHECK(find_wait(row, waits) != nullptr);
      arms = waits.size() - 1;
    }
    auto next = begin_next(stage);
    stage.winner.notify_one();
    stage.settle();
    {
      // Every arm but the winner, innermost ones with them.
      const std::lock_guard lock(heard.mutex);
      CHECK(heard.cancelled[loser.id()].size() == arms - 1);
    }
    check_next(stage, next, loser, false);
  }
}

TEST_CASE("surface: a wait that times out leaves nothing") {
  for (const auto& row : all_rows()) {
    INFO(row.name);
    static_cast<void>(recording());
    Stage stage(row);
    auto late = stage.runtime->spawn(times_out(*stage.scene, stage.tally));
    auto next = begin_next(stage);
    struct Awaits {
      static Task<void> end(JoinHandle<bool>& handle) {
        const bool ended = co_await handle;
        static_cast<void>(ended);
      }
    };
    stage.run(Awaits::end(late));
    check_next(stage, next, late, false);
  }
}

TEST_CASE("surface: a wait aborted between its grant and its turn passes the grant on") {
  for (const auto& row : all_rows()) {
    INFO(row.name);
    static_cast<void>(recording());
    Stage stage(row);
    auto aborted = stage.begin();
    auto next = begin_next(stage);
    stage.run(stage.scene->lead_up());
    stage.run(complete_and_abort(*stage.scene, aborted.abort_handle()));
    stage.settle();
    check_next(stage, next, aborted, true);
  }
}

TEST_CASE("surface: a wait that loses a select between its grant and its turn passes it on") {
  for (const auto& row : all_rows()) {
    INFO(row.name);
    static_cast<void>(recording());
    Stage stage(row);
    auto loser = stage.runtime->spawn(loses(*stage.scene, stage.tally, stage.winner));
    stage.settle();
    auto next = begin_next(stage);
    stage.run(stage.scene->lead_up());
    stage.run(complete_and_win(*stage.scene, stage.winner));
    stage.settle();
    check_next(stage, next, loser, true);
  }
}

TEST_CASE("surface: a runtime shuts down while it waits; elsewhere it can be waited for again") {
  for (const auto& row : all_rows()) {
    INFO(row.name);
    auto& heard = recording();
    Stage stage(row);
    auto first = stage.begin();
    auto next = begin_next(stage);
    CHECK(stage.tally.alive == (next ? 2 : 1));
    stage.close();
    CHECK(stage.tally.alive == 0);
    CHECK(first.is_finished());
    if (next) CHECK(next->is_finished());
    if (!row.is(kElsewhere)) {
      CHECK(stage.tally.completed == 0);
      const std::lock_guard lock(heard.mutex);
      CHECK(heard.outcomes[first.id()] == observe::Outcome::Cancelled);
    }
    stage.open();
    CHECK(stage.look().waiters == 0);
    if (!row.is(kOneRuntime)) stage.check_usable();
  }
}

// --- what never waits for anything

namespace {
Task<void> yields_for_ever(Tally& tally) {
  const Alive alive(tally);
  for (;;) co_await yield_now();
}
}  // namespace

TEST_CASE("surface: a task that yields can be aborted, lose a select, and be shut down") {
  auto runtime = runtime_with(1);
  Tally tally;
  auto aborted = runtime.spawn(yields_for_ever(tally));
  while (tally.alive == 0) std::this_thread::yield();
  aborted.abort();
  while (!aborted.is_finished()) std::this_thread::yield();
  CHECK(tally.alive == 0);
  const auto race = [](Tally& in) -> Task<std::size_t> {
    const auto result = co_await select_biased(yields_for_ever(in), yield_now());
    co_return result.index();
  };
  CHECK(runtime.block_on(race(tally)) == 1);
  CHECK(tally.alive == 0);
  const auto left = runtime.spawn(yields_for_ever(tally));
  while (tally.alive == 0) std::this_thread::yield();
  runtime.shutdown();
  CHECK(left.is_finished());
  CHECK(tally.alive == 0);
}
