#include "taskscope/console/analysis/stuck.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "taskscope/console/analysis/components.h"
#include "taskscope/console/analysis/diagnosis.h"
#include "taskscope/console/analysis/wait_graph.h"

using namespace taskscope;
using namespace taskscope::console;
using analysis::Certainty;
using analysis::FindingKind;
using protocol::BranchMode;
using protocol::ResourceKind;
using protocol::TaskState;
using protocol::WaitOp;

namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kThread = 0, kGone = 900;  // holders that are no tasks

protocol::BranchState leaf(WaitOp op, std::uint64_t other, std::uint16_t branch = 0,
                           std::uint16_t parent = 0) {
  protocol::BranchState wait;
  wait.branch = branch;
  wait.parent = parent;
  wait.op = op;
  wait.other = other;
  wait.site = 1 + static_cast<std::uint32_t>(op);
  return wait;
}

protocol::BranchState inner(BranchMode mode, std::uint16_t branch = 0, std::uint16_t parent = 0) {
  protocol::BranchState wait;
  wait.branch = branch;
  wait.parent = parent;
  wait.mode = mode;
  return wait;
}

/// Tasks and resources as a walk reads them, a moment of a session after the other.
class System {
 public:
  System() {
    protocol::Process process;
    process.ticks_are_tsc = false;
    model.apply(process);
    model.apply(protocol::ClockPoint{kMs, kMs, kMs});
  }

  void task(std::uint64_t id, std::vector<protocol::BranchState> waits = {},
            std::uint32_t wakers = 1, TaskState state = TaskState::Idle) {
    protocol::TaskSnapshot row;
    row.task = id;
    row.state = state;
    row.polls = 1;
    row.wakers = wakers;
    row.last_poll_ms = 1;
    row.branches = std::move(waits);
    walk_.tasks.push_back(row);
  }
  void resource(std::uint64_t id, ResourceKind kind, std::vector<protocol::HolderState> holders,
                std::vector<protocol::AttributeState> attributes = {}) {
    protocol::ResourceSnapshot row;
    row.resource = id;
    row.kind = kind;
    row.holders = std::move(holders);
    row.attributes = std::move(attributes);
    walk_.resources.push_back(row);
  }
  /// The walk is complete, 10 ms into the session.
  void walked() {
    for (auto& row : walk_.tasks) row.ticks = 10 * kMs;
    for (auto& row : walk_.resources) row.ticks = 10 * kMs;
    walk_.id = 1;
    walk_.begin_ticks = 9 * kMs;
    walk_.last = walk_.has_waits = true;
    model.apply(std::exchange(walk_, {}));
    now(20);
  }
  void now(std::uint64_t ms) {
    protocol::Samples samples;
    samples.ticks = ms * kMs;
    model.apply(samples);
    model.flush();
  }
  void event(std::uint64_t ms, protocol::EventKind kind, std::uint64_t task,
             std::uint64_t other = 0, std::uint8_t detail = 0,
             ResourceKind resource_kind = ResourceKind::Other, std::uint32_t worker = 1) {
    protocol::Event event;
    event.kind = kind;
    event.ticks = ms * kMs;
    event.task = task;
    event.other = other;
    event.detail = detail;
    event.resource_kind = static_cast<std::uint8_t>(resource_kind);
    event.site = 1;
    protocol::Events run;
    run.ring = run.worker = worker;
    run.events.push_back(event);
    model.apply(run);
    model.flush();
  }
  /// A poll within one millisecond, after which the task waits for `other`.
  void poll(std::uint64_t ms, std::uint64_t task, WaitOp op, std::uint64_t other,
            ResourceKind kind) {
    event(ms, protocol::EventKind::PollStarted, task);
    event(ms, protocol::EventKind::PollEnded, task, 0,
          static_cast<std::uint8_t>(protocol::PollEnd::Pending));
    event(ms, protocol::EventKind::Wait, task, other, static_cast<std::uint8_t>(op), kind);
  }

  session::Model model;

 private:
  protocol::Snapshot walk_;
};

std::vector<analysis::Jam> jams(const System& system) {
  analysis::Thresholds thresholds;
  thresholds.orphan_ns = 0;
  return analysis::find_jams(system.model, thresholds);
}

using Ids = std::vector<std::uint64_t>;

/// Tasks 11, 12, 13: each holds mutex n - 10 and waits for the next.
void ring_of_three(System& system, bool certain) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    system.task(11 + i, {leaf(WaitOp::Lock, 1 + (i + 1) % 3)});
    system.resource(1 + i, ResourceKind::Mutex, {{11 + i, certain, 1, "holds"}});
  }
}

}  // namespace

TEST_CASE("stuck: a ring of locks is a deadlock in its order, who waits for it stands behind") {
  System system;
  ring_of_three(system, true);
  system.task(20, {leaf(WaitOp::Lock, 2)});
  system.task(21, {leaf(WaitOp::Join, 20)});
  system.task(22, {leaf(WaitOp::Sleep, 0)});
  system.task(23, {leaf(WaitOp::Join, 22)});
  system.walked();
  const auto found = jams(system);
  REQUIRE(found.size() == 2);
  CHECK(found[0].kind == FindingKind::Deadlock);
  CHECK(found[0].certainty == Certainty::Certain);
  CHECK(found[0].tasks == Ids{11, 12, 13});
  CHECK(found[0].resources == Ids{2, 3, 1});
  CHECK(found[1].kind == FindingKind::StuckBehind);
  CHECK(found[1].tasks == Ids{20, 21});
  CHECK(found[1].others == Ids{11, 12, 13});
  CHECK(found[1].resources == Ids{2});
  const auto finding = analysis::finding_of(system.model, found[0], {});
  CHECK(finding.text ==
        "3 tasks wait for each other: #11 waits to lock mutex #2, held by #12; #12 waits to lock "
        "mutex #3, held by #13; #13 waits to lock mutex #1, held by #11");
}

TEST_CASE("stuck: a timer in a select, an unknown wait, a stranger's permit keep a ring alive") {
  SECTION("a timeout") {
    System system;
    system.task(11, {inner(BranchMode::Any), leaf(WaitOp::Lock, 2, 1), leaf(WaitOp::Sleep, 0, 2)});
    system.task(12, {leaf(WaitOp::Lock, 1)});
    system.resource(1, ResourceKind::Mutex, {{11, true, 1, "holds"}});
    system.resource(2, ResourceKind::Mutex, {{12, true, 1, "holds"}});
    system.walked();
    CHECK(jams(system).empty());
  }
  SECTION("all of a lock and a timer wait for the lock") {
    System system;
    system.task(11, {inner(BranchMode::All), leaf(WaitOp::Lock, 2, 1), leaf(WaitOp::Sleep, 0, 2)});
    system.task(12, {leaf(WaitOp::Lock, 1)});
    system.resource(1, ResourceKind::Mutex, {{11, true, 1, "holds"}});
    system.resource(2, ResourceKind::Mutex, {{12, true, 1, "holds"}});
    system.walked();
    REQUIRE(jams(system).size() == 1);
    CHECK(jams(system)[0].resources == Ids{2, 1});
  }
  SECTION("nobody knows what one waits for") {
    System system;
    system.task(11);
    system.task(12, {leaf(WaitOp::Lock, 1)});
    system.resource(1, ResourceKind::Mutex, {{11, true, 1, "holds"}});
    system.walked();
    CHECK(jams(system).empty());
  }
  SECTION("permits make a suspect at most") {
    System system;
    system.task(11, {leaf(WaitOp::Acquire, 1)});
    system.resource(1, ResourceKind::Semaphore, {{11, true, 1, "holds"}});
    system.walked();
    REQUIRE(jams(system).size() == 1);
    CHECK(jams(system)[0].certainty == Certainty::Suspect);
  }
  SECTION("the lock is with a thread") {
    System system;
    system.task(11, {leaf(WaitOp::Lock, 1)});
    system.resource(1, ResourceKind::Mutex, {{kThread, false, 1, "holds"}});
    system.walked();
    CHECK(jams(system).empty());
  }
}

TEST_CASE("stuck: the last sender is a hint only as the one sender, read during the wait") {
  const auto recv = [](std::uint64_t senders) {
    System system;
    system.task(11, {leaf(WaitOp::Recv, 1)});
    system.task(12, {leaf(WaitOp::Join, 11)});
    system.resource(1, ResourceKind::Mpsc, {{12, false, 0, "sends"}, {11, false, 0, "receives"}},
                    {{"senders", "", senders}});
    system.walked();
    return jams(system);
  };
  CHECK(recv(2).empty());
  const auto found = recv(1);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == FindingKind::Deadlock);
  CHECK(found[0].certainty == Certainty::Suspect);
  CHECK(found[0].tasks == Ids{11, 12});

  System later;
  later.task(11, {leaf(WaitOp::Recv, 1)});
  later.task(12, {leaf(WaitOp::Join, 11)});
  later.resource(1, ResourceKind::Mpsc, {{12, false, 0, "sends"}}, {{"senders", "", 1}});
  later.walked();
  later.poll(30, 11, WaitOp::Recv, 1, ResourceKind::Mpsc);
  later.now(200);
  CHECK(jams(later).empty());
}

TEST_CASE("stuck: a wait for what the dead left is a suspected orphan, after a while") {
  System system;
  system.task(11, {leaf(WaitOp::Lock, 1)});
  system.task(12, {leaf(WaitOp::Lock, 1)});
  system.resource(1, ResourceKind::Mutex, {{kGone, false, 1, "holds"}});
  system.walked();
  CHECK(analysis::find_jams(system.model).empty());
  system.now(1500);
  const auto found = analysis::find_jams(system.model);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == FindingKind::Orphan);
  CHECK(found[0].certainty == Certainty::Suspect);
  CHECK(found[0].tasks == Ids{11, 12});
  CHECK(found[0].others == Ids{kGone});
  CHECK(found[0].resources == Ids{1});
}

TEST_CASE(
    "stuck: without a waker left a wait for one is lost, unless it was read before the wait") {
  System system;
  system.task(11, {leaf(WaitOp::Waker, 0)}, 0);
  system.task(12, {leaf(WaitOp::Waker, 0)}, 1);
  system.task(13, {inner(BranchMode::Any), leaf(WaitOp::Waker, 0, 1), leaf(WaitOp::Sleep, 0, 2)},
              0);
  system.walked();
  auto found = jams(system);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == FindingKind::LostWaker);
  CHECK(found[0].certainty == Certainty::Certain);
  CHECK(found[0].tasks == Ids{11});
  system.poll(30, 11, WaitOp::Waker, 0, ResourceKind::Waker);
  CHECK(jams(system).empty());
}

// --- against the definition

namespace {

struct Thing {
  ResourceKind kind = ResourceKind::Mutex;
  std::vector<protocol::HolderState> holders;
};

struct Member {
  bool runs = false;
  std::uint32_t wakers = 1;
  std::vector<protocol::BranchState> waits;
};

/// The definition, word by word: whoever can't go on even if all others that are left could.
class ByDefinition {
 public:
  ByDefinition(const std::map<std::uint64_t, Member>& tasks,
               const std::map<std::uint64_t, Thing>& things)
      : tasks_(tasks), things_(things) {}

  [[nodiscard]] std::set<std::uint64_t> stuck(bool follow_hints) const {
    std::set<std::uint64_t> live;
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto& [id, task] : tasks_)
        if (!live.contains(id) &&
            (task.runs || task.waits.empty() || holds(task, task.waits[0], live, follow_hints)))
          changed = live.insert(id).second || changed;
    }
    std::set<std::uint64_t> stuck;
    for (const auto& [id, task] : tasks_)
      if (!live.contains(id)) stuck.insert(id);
    return stuck;
  }

  /// Who `id` is stuck for, among `stuck`.
  [[nodiscard]] std::set<std::uint64_t> causes(std::uint64_t id,
                                               const std::set<std::uint64_t>& all_stuck,
                                               const std::set<std::uint64_t>& among,
                                               bool follow_hints) const {
    std::set<std::uint64_t> live;
    for (const auto& [other, task] : tasks_)
      if (!all_stuck.contains(other)) live.insert(other);
    std::set<std::uint64_t> causes;
    const Member& task = tasks_.at(id);
    for (const auto& wait : task.waits) {
      if (wait.mode != BranchMode::Single || can_come(task, wait, live, follow_hints)) continue;
      if (wait.op == WaitOp::Join && among.contains(wait.other)) causes.insert(wait.other);
      if (wait.op == WaitOp::Join || wait.op == WaitOp::Waker) continue;
      for (const auto& holder : things_.at(wait.other).holders)
        if (among.contains(holder.task)) causes.insert(holder.task);
    }
    return causes;
  }

 private:
  bool holds(const Member& task, const protocol::BranchState& branch,
             const std::set<std::uint64_t>& live, bool follow_hints) const {
    if (branch.mode == BranchMode::Single) return can_come(task, branch, live, follow_hints);
    bool any = false, all = true;
    for (const auto& arm : task.waits) {
      if (arm.parent != branch.branch || arm.branch == branch.branch) continue;
      const bool one = holds(task, arm, live, follow_hints);
      any = any || one;
      all = all && one;
    }
    return branch.mode == BranchMode::Any ? any : all;
  }

  bool can_come(const Member& task, const protocol::BranchState& wait,
                const std::set<std::uint64_t>& live, bool follow_hints) const {
    if (wait.op == WaitOp::Sleep || wait.op == WaitOp::Notified) return true;
    if (wait.op == WaitOp::Waker) return task.wakers != 0;
    if (wait.op == WaitOp::Join) return live.contains(wait.other);
    const Thing& thing = things_.at(wait.other);
    if (thing.holders.empty()) return true;
    bool any = false, all = true;
    for (const auto& holder : thing.holders) {
      if (holder.task == kThread) return true;
      const bool sure = holder.certain && thing.kind != ResourceKind::Semaphore;
      const bool one = (!sure && !follow_hints) || live.contains(holder.task);
      any = any || one;
      all = all && one;
    }
    return thing.kind == ResourceKind::RwLock ? all : any;
  }

  const std::map<std::uint64_t, Member>& tasks_;
  const std::map<std::uint64_t, Thing>& things_;
};

class RandomSystem {
 public:
  explicit RandomSystem(std::uint64_t seed) : random_(seed) {
    const auto count = one_of(1, 10), resources = one_of(1, 6);
    for (std::uint64_t id = 1; id <= resources; ++id) {
      constexpr ResourceKind kKinds[] = {ResourceKind::Mutex, ResourceKind::Mutex,
                                         ResourceKind::RwLock, ResourceKind::Semaphore};
      Thing thing{kKinds[one_of(0, 3)], {}};
      const auto most = thing.kind == ResourceKind::Mutex ? 1u : 3u;
      std::set<std::uint64_t> known;
      for (auto left = one_of(0, most); left > 0; --left) {
        const auto dice = one_of(0, 11);
        const auto task = dice == 0 ? kThread : dice == 1 ? kGone : 100 + one_of(1, count);
        // The guard of a certain holder dies with its task.
        if (known.insert(task).second)
          thing.holders.push_back(
              {task, task > kGone || task < 100 ? false : one_of(0, 2) != 0, 1, "holds"});
      }
      for (auto& holder : thing.holders)
        if (holder.task == kGone || holder.task == kThread) holder.certain = false;
      things[id] = std::move(thing);
    }
    for (std::uint64_t id = 101; id <= 100 + count; ++id) {
      Member task;
      task.runs = one_of(0, 9) == 0;
      task.wakers = static_cast<std::uint32_t>(one_of(0, 1));
      if (!task.runs) branch(task, 0, 0, 0, count, resources);
      tasks[id] = std::move(task);
    }
  }

  void build(System& system) const {
    for (const auto& [id, task] : tasks)
      system.task(id, task.waits, task.wakers, task.runs ? TaskState::Running : TaskState::Idle);
    for (const auto& [id, thing] : things) system.resource(id, thing.kind, thing.holders);
    system.walked();
  }

  std::map<std::uint64_t, Member> tasks;
  std::map<std::uint64_t, Thing> things;

 private:
  std::uint64_t one_of(std::uint64_t least, std::uint64_t most) {
    return least + random_() % (most - least + 1);
  }

  void branch(Member& task, std::uint16_t number, std::uint16_t parent, int depth,
              std::uint64_t count, std::uint64_t resources) {
    if (depth < 2 && one_of(0, 3) == 0) {
      task.waits.push_back(
          inner(one_of(0, 1) == 0 ? BranchMode::Any : BranchMode::All, number, parent));
      for (auto arms = one_of(2, 3); arms > 0; --arms)
        branch(task, ++last_, number, depth + 1, count, resources);
      return;
    }
    const auto dice = one_of(0, 19);
    if (dice == 0) return task.waits.push_back(leaf(WaitOp::Sleep, 0, number, parent));
    if (dice == 1) return task.waits.push_back(leaf(WaitOp::Notified, 1, number, parent));
    if (dice == 2) return task.waits.push_back(leaf(WaitOp::Waker, 0, number, parent));
    if (dice < 8)
      return task.waits.push_back(leaf(WaitOp::Join, 100 + one_of(1, count), number, parent));
    const auto id = one_of(1, resources);
    const auto kind = things.at(id).kind;
    task.waits.push_back(leaf(kind == ResourceKind::Mutex    ? WaitOp::Lock
                              : kind == ResourceKind::RwLock ? WaitOp::WriteLock
                                                             : WaitOp::Acquire,
                              id, number, parent));
  }

  std::mt19937_64 random_;
  std::uint16_t last_ = 0;
};

/// Who lies on a cycle with whom, by walking everywhere from everywhere.
std::set<std::set<std::uint64_t>> cycles(const ByDefinition& definition,
                                         const std::set<std::uint64_t>& all_stuck,
                                         const std::set<std::uint64_t>& among, bool follow_hints) {
  std::map<std::uint64_t, std::set<std::uint64_t>> reach;
  for (const auto id : among) reach[id] = definition.causes(id, all_stuck, among, follow_hints);
  for (const auto through : among)
    for (const auto from : among)
      if (reach[from].contains(through))
        reach[from].insert(reach[through].begin(), reach[through].end());
  std::set<std::set<std::uint64_t>> cycles;
  for (const auto id : among) {
    if (!reach[id].contains(id)) continue;
    std::set<std::uint64_t> cycle;
    for (const auto other : reach[id])
      if (reach[other].contains(id)) cycle.insert(other);
    cycles.insert(cycle);
  }
  return cycles;
}

}  // namespace

TEST_CASE("stuck: both fixed points and all cycles are as defined, in random systems") {
  int with_cycles = 0, with_suspects = 0, with_behind = 0;
  for (std::uint64_t seed = 1; seed <= 4000; ++seed) {
    const RandomSystem random(seed);
    System system;
    random.build(system);
    const ByDefinition definition(random.tasks, random.things);
    const auto certain = definition.stuck(false), suspect = definition.stuck(true);
    auto only_suspect = suspect;
    for (const auto id : certain) only_suspect.erase(id);

    std::set<std::uint64_t> found_certain, found_suspect;
    std::set<std::set<std::uint64_t>> found_cycles;
    bool twice = false, behind = false;
    for (const auto& jam : jams(system)) {
      auto& found = jam.certainty == Certainty::Certain ? found_certain : found_suspect;
      for (const auto id : jam.tasks) twice = !found.insert(id).second || twice;
      if (jam.kind == FindingKind::Deadlock)
        found_cycles.insert({jam.tasks.begin(), jam.tasks.end()});
      behind = behind || jam.kind == FindingKind::StuckBehind;
    }
    auto expected_cycles = cycles(definition, certain, certain, false);
    expected_cycles.merge(cycles(definition, suspect, only_suspect, true));
    const bool right = found_certain == certain && found_suspect == only_suspect &&
                       found_cycles == expected_cycles && !twice;
    if (!right) {
      CAPTURE(seed, certain, found_certain, only_suspect, found_suspect);
      CAPTURE(expected_cycles.size(), found_cycles.size(), twice);
      FAIL();
    }
    with_cycles += expected_cycles.empty() ? 0 : 1;
    with_suspects += only_suspect.empty() ? 0 : 1;
    with_behind += behind ? 1 : 0;
  }
  // The generator makes what is to be tested.
  CHECK(with_cycles > 400);
  CHECK(with_suspects > 400);
  CHECK(with_behind > 400);
}

TEST_CASE("components: each node has the one of all it shares a cycle with") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    const auto count = 1 + random() % 12;
    std::vector<std::vector<std::uint32_t>> next(count);
    std::vector<std::vector<bool>> reach(count, std::vector<bool>(count));
    for (std::uint32_t from = 0; from < count; ++from) {
      reach[from][from] = true;
      for (auto edges = random() % 3; edges > 0; --edges) {
        const auto to = static_cast<std::uint32_t>(random() % count);
        next[from].push_back(to);
        reach[from][to] = true;
      }
    }
    for (std::size_t k = 0; k < count; ++k)
      for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = 0; j < count; ++j)
          if (reach[i][k] && reach[k][j]) reach[i][j] = true;
    const auto part = analysis::components(next);
    bool right = true;
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = 0; j < count; ++j)
        right = right && (part[i] == part[j]) == (reach[i][j] && reach[j][i]);
      for (const auto to : next[i]) right = right && part[to] <= part[i];
    }
    REQUIRE(right);
  }
  // Deep paths take no stack.
  std::vector<std::vector<std::uint32_t>> chain(1'000'000);
  for (std::uint32_t i = 0; i + 1 < chain.size(); ++i) chain[i] = {i + 1};
  chain.back() = {0};
  CHECK(analysis::components(chain).back() == 0);
}

// --- over time

TEST_CASE("diagnosis: a deadlock is named once two looks have seen it, and over when it is") {
  System system;
  ring_of_three(system, true);
  system.walked();
  analysis::Diagnosis diagnosis;
  diagnosis.look(system.model);
  CHECK(diagnosis.active().empty());
  system.now(60);
  diagnosis.look(system.model);
  CHECK(diagnosis.active().empty());
  system.now(140);
  diagnosis.look(system.model);
  REQUIRE(diagnosis.active().size() == 1);
  const auto since = diagnosis.active()[0].since_ns;
  CHECK(diagnosis.active()[0].active());
  const auto revision = diagnosis.revision();
  system.now(1000);
  diagnosis.look(system.model);
  REQUIRE(diagnosis.active().size() == 1);
  CHECK(diagnosis.active()[0].since_ns == since);
  CHECK(diagnosis.revision() == revision);

  system.event(1100, protocol::EventKind::TaskFinished, 12, 0,
               static_cast<std::uint8_t>(protocol::Outcome::Cancelled));
  system.now(1500);
  diagnosis.look(system.model);
  CHECK(diagnosis.active().empty());
  REQUIRE(diagnosis.past().size() == 1);
  CHECK(diagnosis.past()[0].tasks == Ids{11, 12, 13});
  CHECK(diagnosis.past()[0].since_ns == since);
  CHECK(diagnosis.past()[0].until_ns == system.model.now_ns());
  CHECK(diagnosis.revision() > revision);
}

TEST_CASE("diagnosis: a lock that moves among its waiters is never stuck") {
  // 50 tasks wait for the mutex. Whoever gets it is looked at before the record of its wake comes:
  // whatever moment is looked at, there is a holder that seems to wait for itself, and a line
  // behind it that does not move for half a second.
  System system;
  for (std::uint64_t id = 11; id <= 60; ++id) system.task(id, {leaf(WaitOp::Lock, 1)});
  system.resource(1, ResourceKind::Mutex, {{11, true, 1, "holds"}});
  system.walked();
  analysis::Diagnosis diagnosis;
  std::uint64_t ms = 30;
  for (int round = 0; round < 400; ++round, ms += 10) {
    const auto holder = 11 + static_cast<std::uint64_t>(round) % 50;
    system.event(ms, protocol::EventKind::Woken, holder);
    system.poll(ms, holder, WaitOp::Lock, 1, ResourceKind::Mutex);
    const auto next = 11 + (holder - 10) % 50;
    system.event(ms, protocol::EventKind::ResourceAcquired, next, 1, 1, ResourceKind::Mutex);
    diagnosis.look(system.model);
    REQUIRE(diagnosis.active().empty());
    REQUIRE(diagnosis.past().empty());
  }
}

TEST_CASE("diagnosis: who was handed a lock is not stuck, however late its wake is heard of") {
  System system;
  system.task(11, {leaf(WaitOp::Lock, 1)});
  system.task(12, {leaf(WaitOp::Lock, 1)});
  system.resource(1, ResourceKind::Mutex, {});
  system.walked();
  analysis::Diagnosis diagnosis;
  system.event(30, protocol::EventKind::ResourceAcquired, 11, 1, 1, ResourceKind::Mutex);
  for (std::uint64_t ms = 40; ms < 1000; ms += 50) {
    system.now(ms);
    diagnosis.look(system.model);
  }
  CHECK(diagnosis.active().empty());
  CHECK(diagnosis.past().empty());

  // Now it holds the lock, and waits for it once more.
  system.event(1000, protocol::EventKind::Woken, 11);
  system.poll(1010, 11, WaitOp::Lock, 1, ResourceKind::Mutex);
  for (std::uint64_t ms = 1050; ms < 2000; ms += 50) {
    system.now(ms);
    diagnosis.look(system.model);
  }
  REQUIRE_FALSE(diagnosis.active().empty());
  CHECK(diagnosis.active()[0].kind == FindingKind::Deadlock);
  CHECK(diagnosis.active()[0].tasks == Ids{11});
}

TEST_CASE("diagnosis: of those stuck behind, each is named when it is confirmed") {
  System system;
  ring_of_three(system, true);
  system.walked();
  analysis::Diagnosis diagnosis;
  std::uint64_t ms = 20;
  // A new one comes every 50 ms: there is always one that is not confirmed.
  for (std::uint64_t id = 100; id < 120; ++id, ms += 50) {
    system.event(ms, protocol::EventKind::TaskSpawned, id);
    system.poll(ms + 1, id, WaitOp::Lock, 1, ResourceKind::Mutex);
    system.now(ms + 40);
    diagnosis.look(system.model);
  }
  REQUIRE(diagnosis.active().size() == 2);
  const auto& behind = diagnosis.active()[1];
  CHECK(behind.kind == FindingKind::StuckBehind);
  CHECK(behind.tasks.size() >= 10);
  CHECK(behind.tasks.size() < 20);
  CHECK(behind.tasks.front() == 100);
  CHECK(diagnosis.past().empty());
}

TEST_CASE("diagnosis: after a loss nobody is called stuck before a walk and a while") {
  System system;
  ring_of_three(system, true);
  system.walked();
  protocol::Loss loss;
  loss.events = 5;
  loss.from_ticks = 21 * kMs;
  loss.to_ticks = 30 * kMs;
  system.model.apply(loss);
  analysis::Diagnosis diagnosis;
  for (std::uint64_t ms = 40; ms < 4000; ms += 50) {
    system.now(ms);
    diagnosis.look(system.model);
  }
  CHECK(diagnosis.active().empty());
}

TEST_CASE("diagnosis: while a ring is read late nobody is called stuck") {
  System system;
  ring_of_three(system, true);
  system.walked();
  analysis::Diagnosis diagnosis;
  const auto parked = [&](std::uint64_t ms, std::uint32_t worker) {
    system.event(ms, protocol::EventKind::WorkerParked, 0, 0, 0, ResourceKind::Other, worker);
  };
  for (std::uint64_t ms = 20; ms < 1000; ms += 40) {
    parked(ms, 1);
    parked(ms - 10, 2);
    diagnosis.look(system.model);
    REQUIRE(diagnosis.active().empty());
  }
  for (std::uint64_t ms = 1000; ms < 4000; ms += 50) {
    system.now(ms);
    diagnosis.look(system.model);
    // A second and a half after the last that came late, and no sooner, it may be named.
    if (ms < 2480) REQUIRE(diagnosis.active().empty());
  }
  CHECK(diagnosis.active().size() == 1);
}

// --- the graph to draw

TEST_CASE("graph: around a deadlock are its tasks, resources and holders, the cycle marked") {
  System system;
  ring_of_three(system, true);
  for (std::uint64_t id = 100; id < 200; ++id) system.task(id, {leaf(WaitOp::Lock, 2)});
  system.task(20, {leaf(WaitOp::Join, 11)});
  system.walked();
  const Ids seeds{11, 12};
  const auto graph = analysis::graph_around(system.model, {seeds, {}}, 20);
  REQUIRE(graph.nodes.size() == 20);
  CHECK(graph.nodes[0].id == 11);
  CHECK(graph.nodes[0].seed);
  CHECK(graph.nodes[0].on_cycle);
  CHECK(graph.left_out > 0);
  std::size_t on_cycle = 0, waiters = 0;
  for (const auto& node : graph.nodes) on_cycle += node.on_cycle ? 1u : 0u;
  CHECK(on_cycle == 6);
  for (const auto& edge : graph.edges) {
    REQUIRE(edge.from < graph.nodes.size());
    REQUIRE(edge.to < graph.nodes.size());
    CHECK(edge.certain);
    if (graph.nodes[edge.to].id == 2 && edge.op == WaitOp::Lock) ++waiters;
  }
  const auto mutex = std::find_if(graph.nodes.begin(), graph.nodes.end(), [](const auto& node) {
    return node.kind == analysis::NodeKind::Resource && node.id == 2;
  });
  REQUIRE(mutex != graph.nodes.end());
  CHECK(mutex->label == "mutex #2");
  CHECK(mutex->more_waiters + waiters == 101);
}

TEST_CASE("graph: a hint is dashed, an arm of a select an alternative, a timer a node") {
  System system;
  system.task(11, {inner(BranchMode::Any), leaf(WaitOp::Lock, 1, 1), leaf(WaitOp::Sleep, 0, 2)});
  system.task(12, {leaf(WaitOp::Readable, 0)});
  system.resource(1, ResourceKind::Mutex, {{12, false, 1, "holds"}});
  system.walked();
  const Ids seeds{11};
  const auto graph = analysis::graph_around(system.model, {seeds, {}});
  REQUIRE(graph.nodes.size() == 5);
  REQUIRE(graph.edges.size() == 4);
  CHECK(graph.edges[0].alternative);
  CHECK(graph.edges[1].alternative);
  CHECK(graph.nodes[graph.edges[1].to].kind == analysis::NodeKind::Timer);
  const auto held = std::find_if(graph.edges.begin(), graph.edges.end(), [&](const auto& edge) {
    return graph.nodes[edge.from].kind == analysis::NodeKind::Resource;
  });
  REQUIRE(held != graph.edges.end());
  CHECK(!held->certain);
  CHECK(graph.nodes[held->to].id == 12);
  CHECK(std::none_of(graph.nodes.begin(), graph.nodes.end(),
                     [](const auto& node) { return node.on_cycle; }));
}
