#include <catch2/catch.hpp>

#include "taskscope/console/analysis/poll_troubles.h"
#include "taskscope/console/analysis/resource_troubles.h"
#include "taskscope/console/analysis/why.h"
#include "taskscope/tests/console/analysis/script.h"

using namespace taskscope;
using namespace taskscope::console;
using analysis::Certainty;
using analysis::Finding;
using analysis::FindingKind;
using analysis::Findings;
using analysis::Thresholds;
using protocol::PollEnd;
using protocol::ResourceKind;
using protocol::TaskKind;
using protocol::TaskState;
using protocol::WaitOp;
using protocol::WakeCause;
using tests::kMs;
using tests::Script;
using Ids = std::vector<std::uint64_t>;

namespace {

constexpr auto kBegin = Script::kBegin;
constexpr std::uint32_t kSpawnSite = 1, kAwaitSite = 2;

Findings of_kind(Findings all, FindingKind kind) {
  std::erase_if(all, [kind](const Finding& finding) { return finding.kind != kind; });
  return all;
}

/// What is found `ms` after the beginning.
Findings polls_at(const Script& script, std::uint64_t ms, FindingKind kind,
                  const Thresholds& thresholds = {}) {
  const auto session = script.session(kBegin + ms * kMs);
  return of_kind(analysis::find_poll_troubles(session->model(), thresholds), kind);
}
Findings resources_at(const Script& script, std::uint64_t ms, FindingKind kind,
                      const Thresholds& thresholds = {}) {
  const auto session = script.session(kBegin + ms * kMs);
  return of_kind(analysis::find_resource_troubles(session->model(), thresholds), kind);
}

/// Spawned at the beginning and polled on worker 1 from there for `ms`; then it waits.
void poll_once(Script& script, std::uint64_t task, std::uint64_t ms,
               TaskKind kind = TaskKind::Task) {
  script.spawn(1, kBegin, task, kSpawnSite, 0, 0, kind);
  script.start(1, kBegin, task);
  script.end(1, kBegin + ms * kMs, task);
  script.wait(1, kBegin + ms * kMs, task, WaitOp::Notified, 9);
}

protocol::TaskSnapshot running(std::uint64_t task, std::uint32_t polls, std::uint64_t since_ms) {
  protocol::TaskSnapshot entry;
  entry.task = task;
  entry.state = TaskState::Running;
  entry.site = kSpawnSite;
  entry.polls = polls;
  entry.last_poll_ms = since_ms;
  entry.spawned_ms = 1;
  return entry;
}

/// A session that attaches to a worker that has been in one poll for 700 ms, and records nothing.
Script blocked_since_before(std::uint32_t polls) {
  Script script;
  script.snapshot(kBegin + 5 * kMs, {running(1, polls, (kBegin - 700 * kMs) / kMs)});
  for (std::uint64_t ms = 50; ms <= 450; ms += 100) script.sample(kBegin + ms * kMs, 1, 1, 17);
  return script;
}

}  // namespace

TEST_CASE("a long poll is found while it goes on and for a while after, by its length certain") {
  Script script;
  poll_once(script, 1, 1400);
  const auto kind = FindingKind::BlockingPoll;
  CHECK(polls_at(script, 5, kind).empty());
  const auto early = polls_at(script, 50, kind);
  REQUIRE(early.size() == 1);
  CHECK(early[0].certainty == Certainty::Suspect);
  CHECK(early[0].tasks == Ids{1});
  CHECK(early[0].site == kSpawnSite);
  CHECK(early[0].since_ns == 0);
  CHECK(early[0].text == "task #1 has blocked worker-1 for 50.0 ms");
  Thresholds patient;  // else a first poll of this length has never yielded
  patient.first_poll_ns = patient.never_yielded_ns;
  const auto late = polls_at(script, 1350, kind, patient);
  REQUIRE(late.size() == 1);
  CHECK(late[0].certainty == Certainty::Certain);
  const auto after = polls_at(script, 2000, kind);
  REQUIRE(after.size() == 1);
  CHECK(after[0].text == "a poll of task #1 blocked worker-1 for 1.40 s; it ended 600 ms ago");
  CHECK(polls_at(script, 3500, kind).empty());
}

TEST_CASE("what a thread had no processor for is no certain trouble") {
  Script script;
  poll_once(script, 1, 1400);
  // Ready and without a processor for 900 of the 1,400 ms.
  for (std::uint64_t ms = 0; ms <= 1300; ms += 100)
    script.sample(kBegin + ms * kMs, 1, 1, 17, std::min<std::uint64_t>(ms, 900) * kMs);
  Thresholds patient;
  patient.first_poll_ns = patient.never_yielded_ns;
  const auto found = polls_at(script, 1350, FindingKind::BlockingPoll, patient);
  REQUIRE(found.size() == 1);
  CHECK(found[0].certainty == Certainty::Suspect);
  Thresholds quick;
  quick.first_poll_ns = 600 * std::int64_t{kMs};
  CHECK(polls_at(script, 1350, FindingKind::NeverYielded, quick).empty());
  quick.first_poll_ns = 300 * std::int64_t{kMs};
  CHECK(polls_at(script, 1350, FindingKind::NeverYielded, quick).size() == 1);
}

TEST_CASE("calls on the blocking pool may block, and a block_on on a thread of its own") {
  Script script;
  poll_once(script, 1, 400, TaskKind::Blocking);
  CHECK(polls_at(script, 500, FindingKind::BlockingPoll).empty());
  CHECK(polls_at(script, 390, FindingKind::BlockingPoll).empty());
}

TEST_CASE("thousands of long polls are one finding a call site") {
  Script script;
  auto at = kBegin;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    const auto task = 1 + i % 150;
    if (i < 150) script.spawn(1, at, task, kSpawnSite + static_cast<std::uint32_t>(i % 2));
    script.start(1, at, task);
    script.end(1, at + 11 * kMs, task);
    at += 12 * kMs;
  }
  const auto found = polls_at(script, (at - kBegin) / kMs, FindingKind::BlockingPoll);
  REQUIRE(found.size() == 2);
  for (const auto& finding : found) {
    CHECK(finding.task_count == 75);
    CHECK(finding.tasks.size() == 75);
    CHECK(finding.certainty == Certainty::Suspect);
  }
  Thresholds few;
  few.tasks_per_finding = 10;
  const auto cut = polls_at(script, (at - kBegin) / kMs, FindingKind::BlockingPoll, few);
  REQUIRE(cut.size() == 2);
  CHECK(cut[0].tasks.size() == 10);
  CHECK(cut[0].task_count == 75);
}

TEST_CASE("a poll that goes on since before the attach is known from samples and the walk") {
  const auto never = polls_at(blocked_since_before(1), 500, FindingKind::NeverYielded);
  REQUIRE(never.size() == 1);
  CHECK(never[0].tasks == Ids{1});
  CHECK(never[0].certainty == Certainty::Certain);
  CHECK(never[0].since_ns == -700'000'000);
  CHECK(never[0].text ==
        "task #1 has been polled by worker 1 for 1.20 s and has never yielded since it was "
        "spawned");
  CHECK(polls_at(blocked_since_before(1), 500, FindingKind::BlockingPoll).empty());

  // One that has returned from a poll before may return from this one.
  CHECK(polls_at(blocked_since_before(2), 500, FindingKind::NeverYielded).empty());
  const auto blocking = polls_at(blocked_since_before(2), 500, FindingKind::BlockingPoll);
  REQUIRE(blocking.size() == 1);
  CHECK(blocking[0].since_ns == -700'000'000);

  // A single sample proves nothing.
  Script once;
  once.sample(kBegin + 50 * kMs, 1, 1, 17);
  once.sample(kBegin + 150 * kMs, 1, 1, 18);
  CHECK(once.session(kBegin + 200 * kMs)->model().running_polls().empty());
}

TEST_CASE("when such a poll ends, it has lasted since it began, not since the attach") {
  auto script = blocked_since_before(2);
  script.end(1, kBegin + 500 * kMs, 1);
  script.wait(1, kBegin + 500 * kMs, 1, WaitOp::Notified, 9);
  const auto found = polls_at(script, 600, FindingKind::BlockingPoll);
  REQUIRE(found.size() == 1);
  CHECK(found[0].since_ns == -700'000'000);
  CHECK(found[0].text == "a poll of task #1 blocked worker-1 for 1.20 s; it ended 100 ms ago");

  // The next poll that has no recorded start is another one.
  script.wake(2, kBegin + 550 * kMs, 1, WakeCause::Timer);
  script.start(1, kBegin + 600 * kMs, 1);
  script.end(1, kBegin + 615 * kMs, 1);
  const auto polls = script.session(kBegin + 700 * kMs)->model().evidence().polls();
  REQUIRE(polls.size() == 2);
  CHECK(polls[1].to - polls[1].from == 15 * kMs);
}

TEST_CASE("any poll that goes on for very long has not yielded") {
  Script script;
  poll_once(script, 1, 1);
  script.start(1, kBegin + 10 * kMs, 1);
  CHECK(polls_at(script, 3000, FindingKind::NeverYielded).empty());
  const auto found = polls_at(script, 5000, FindingKind::NeverYielded);
  REQUIRE(found.size() == 1);
  CHECK(found[0].text.find("for 4.99 s without yielding") != std::string::npos);
  CHECK(polls_at(script, 5000, FindingKind::BlockingPoll).empty());
}

TEST_CASE("who stands in a queue for long is starved by whom its worker polls") {
  Script script;
  for (const std::uint64_t task : {1u, 2u}) {
    script.spawn(1, kBegin, task);
    script.start(1, kBegin, task);
    script.end(1, kBegin + 1 * kMs, task);
    script.wait(1, kBegin + 1 * kMs, task, WaitOp::Notified, 9);
  }
  script.spawn(1, kBegin + 2 * kMs, 7, 3);
  script.start(1, kBegin + 2 * kMs, 7);
  script.wake(1, kBegin + 3 * kMs, 2, WakeCause::Task, 7, 9);
  script.wake(1, kBegin + 4 * kMs, 1, WakeCause::Task, 7, 9);
  script.end(1, kBegin + 1802 * kMs, 7);
  script.start(1, kBegin + 1802 * kMs, 1);
  script.end(1, kBegin + 1803 * kMs, 1);
  script.start(1, kBegin + 1803 * kMs, 2);
  script.end(1, kBegin + 1804 * kMs, 2);
  const auto kind = FindingKind::Starvation;
  CHECK(polls_at(script, 90, kind).empty());
  const auto early = polls_at(script, 200, kind);
  REQUIRE(early.size() == 1);
  CHECK(early[0].certainty == Certainty::Suspect);
  const auto found = polls_at(script, 1500, kind);
  REQUIRE(found.size() == 1);
  CHECK(found[0].certainty == Certainty::Certain);
  CHECK(found[0].tasks == Ids{2, 1});
  CHECK(found[0].others == Ids{7});
  CHECK(found[0].site == kAwaitSite);
  CHECK(found[0].text ==
        "task #2 has been queued for 1.50 s behind #7, which worker-1 polls; 2 tasks in all");
  const auto over = polls_at(script, 2000, kind);
  REQUIRE(over.size() == 1);
  CHECK(over[0].tasks == Ids{2, 1});
  CHECK(over[0].others == Ids{7});
  CHECK(over[0].certainty == Certainty::Certain);
  CHECK(polls_at(script, 4000, kind).empty());
}

TEST_CASE("a long time in the queue behind nobody is only a suspect") {
  Script script;
  script.spawn(1, kBegin, 1);
  script.start(1, kBegin + 900 * kMs, 1);
  script.end(1, kBegin + 901 * kMs, 1);
  const auto found = polls_at(script, 1000, FindingKind::Starvation);
  REQUIRE(found.size() == 1);
  CHECK(found[0].certainty == Certainty::Suspect);
  CHECK(found[0].others.empty());
}

TEST_CASE("a task that mostly wakes itself is found by its rate, and no longer than it does") {
  const auto wakes = [](std::uint64_t every_us, bool by_itself) {
    Script script;
    script.spawn(1, kBegin, 1);
    auto at = kBegin;
    for (; at < kBegin + 1000 * kMs; at += every_us * 1000) {
      script.start(1, at, 1);
      script.wake(1, at + 100, 1, WakeCause::Task, by_itself ? 1 : 5);
      script.end(1, at + 200, 1);
      script.wait(1, at + 200, 1, WaitOp::Notified, 44, 0, kAwaitSite, 1);
    }
    return script;
  };
  const auto found = polls_at(wakes(1000, true), 1000, FindingKind::SelfWakes);
  REQUIRE(found.size() == 1);
  CHECK(found[0].certainty == Certainty::Certain);
  CHECK(found[0].tasks == Ids{1});
  CHECK(found[0].resources == Ids{44});
  CHECK(found[0].site == kAwaitSite);
  CHECK(found[0].text == "task #1 wakes itself 1000 times a second");
  CHECK(polls_at(wakes(1000, true), 2000, FindingKind::SelfWakes).empty());
  CHECK(polls_at(wakes(10'000, true), 1000, FindingKind::SelfWakes).empty());
  CHECK(polls_at(wakes(1000, false), 1000, FindingKind::SelfWakes).empty());
}

TEST_CASE("large frames are found as long as the tasks live") {
  Script script;
  for (const std::uint64_t task : {1u, 2u, 3u})
    script.spawn(1, kBegin, task, kSpawnSite, 0, task == 3 ? 100 : 100'000);
  script.start(1, kBegin + 100 * kMs, 2);
  script.finish(1, kBegin + 100 * kMs, 2);
  script.end(1, kBegin + 100 * kMs, 2, PollEnd::Ready);
  const auto found = polls_at(script, 50, FindingKind::LargeFrame);
  REQUIRE(found.size() == 1);
  CHECK(found[0].tasks == Ids{1, 2});
  CHECK(found[0].certainty == Certainty::Certain);
  CHECK(polls_at(script, 200, FindingKind::LargeFrame).at(0).tasks == Ids{1});
}

namespace {

/// Task 2 sends to channel 8; task 1 makes room every `rest_ms` and sleeps in between.
Script slow_channel(std::uint64_t rest_ms, std::uint64_t until_ms) {
  Script script;
  script.spawn(1, kBegin, 1);
  script.spawn(1, kBegin, 2);
  auto at = kBegin + 1 * kMs;
  script.start(1, at, 2);
  script.end(1, at, 2);
  script.wait(1, at, 2, WaitOp::Send, 8);
  while (at < kBegin + until_ms * kMs) {
    script.start(1, at, 1);
    script.wake(1, at + 1000, 2, WakeCause::Task, 1, 8);
    script.end(1, at + 2000, 1);
    script.wait(1, at + 2000, 1, WaitOp::Sleep, 0, at + rest_ms * kMs);
    script.start(1, at + 3000, 2);
    script.end(1, at + 4000, 2);
    script.wait(1, at + 4000, 2, WaitOp::Send, 8);
    at += rest_ms * kMs;
  }
  return script;
}

}  // namespace

TEST_CASE("a consumer that lets its senders wait is slow; one that never comes is not") {
  const auto kind = FindingKind::SlowConsumer;
  const auto script = slow_channel(150, 2000);
  CHECK(resources_at(script, 140, kind).empty());
  const auto found = resources_at(script, 1000, kind);
  REQUIRE(found.size() == 1);
  CHECK(found[0].certainty == Certainty::Certain);
  CHECK(found[0].tasks == Ids{1});
  CHECK(found[0].others == Ids{2});
  CHECK(found[0].resources == Ids{8});
  CHECK(found[0].site == kAwaitSite);
  CHECK(found[0].text ==
        "1 task waits to send to mpsc #8, for up to 150 ms: task #1 receives too slowly, which "
        "waits for a timer");
  CHECK(resources_at(slow_channel(20, 2000), 1500, kind).empty());

  // One that has no processor is not to blame.
  Script queue;
  queue.spawn(1, kBegin, 1);
  queue.spawn(1, kBegin, 2);
  for (std::uint64_t at = 1; at < 1000; at += 150) {
    const auto now = kBegin + at * kMs;
    if (at > 1) queue.start(1, now, 1);
    if (at > 1) queue.wake(1, now, 2, WakeCause::Task, 1, 8);
    if (at > 1) queue.end(1, now, 1, PollEnd::Yielded);
    queue.start(1, now, 2);
    queue.end(1, now, 2);
    queue.wait(1, now, 2, WaitOp::Send, 8);
  }
  const auto suspect = resources_at(queue, 1000, kind);
  REQUIRE(suspect.size() == 1);
  CHECK(suspect[0].certainty == Certainty::Suspect);
  CHECK(suspect[0].text.ends_with("receives too slowly, which is queued"));

  // Full for long, and nobody has ever received.
  Script full;
  full.spawn(1, kBegin, 2);
  full.start(1, kBegin, 2);
  full.end(1, kBegin + 1 * kMs, 2);
  full.wait(1, kBegin + 1 * kMs, 2, WaitOp::Send, 8);
  CHECK(resources_at(full, 5000, kind).empty());
}

TEST_CASE("permits that were forgotten are a leak when tasks wait for them") {
  const auto with = [](std::uint64_t forgotten, std::uint64_t added, bool held) {
    Script script;
    protocol::TaskSnapshot waiting;
    waiting.task = 1;
    waiting.last_poll_ms = (kBegin - 400 * kMs) / kMs;
    waiting.polls = 1;
    protocol::BranchState wait;
    wait.op = WaitOp::Acquire;
    wait.resource_kind = ResourceKind::Semaphore;
    wait.other = 8;
    wait.site = kAwaitSite;
    waiting.branches = {wait};
    protocol::ResourceSnapshot semaphore;
    semaphore.resource = 8;
    semaphore.kind = ResourceKind::Semaphore;
    semaphore.attributes = {{"permits", "", 0}, {"forgotten", "", forgotten}, {"added", "", added}};
    if (held) semaphore.holders = {{5, true, 1, "holds"}};
    script.snapshot(kBegin + 5 * kMs, {waiting}, {semaphore});
    return script;
  };
  const auto kind = FindingKind::PermitLeak;
  CHECK(resources_at(with(2, 0, false), 50, kind).empty());
  const auto found = resources_at(with(2, 0, false), 200, kind);
  REQUIRE(found.size() == 1);
  CHECK(found[0].certainty == Certainty::Suspect);
  CHECK(found[0].tasks == Ids{1});
  CHECK(found[0].resources == Ids{8});
  CHECK(found[0].site == kAwaitSite);
  CHECK(found[0].text ==
        "nobody holds a permit of semaphore #8, yet 1 task waits for one, the longest for 600 ms; "
        "2 were taken and never given back");
  CHECK(resources_at(with(2, 2, false), 5000, kind).empty());
  CHECK(resources_at(with(2, 0, true), 5000, kind).empty());
}

TEST_CASE("timers that are due together are a burst, before they fire and after") {
  const auto timers = [](std::uint64_t count, std::uint64_t due_ms, std::uint64_t apart_ms) {
    Script script;
    for (std::uint64_t i = 1; i <= count; ++i) {
      script.spawn(1, kBegin, i);
      script.start(1, kBegin, i);
      script.end(1, kBegin, i);
      script.wait(1, kBegin, i, WaitOp::Sleep, 0, kBegin + (due_ms + i * apart_ms) * kMs);
    }
    for (std::uint64_t i = 1; i <= count; ++i)
      script.wake(1, kBegin + (due_ms + i * apart_ms) * kMs + i * 1000, i, WakeCause::Timer);
    return script;
  };
  const auto kind = FindingKind::TimerBurst;
  const auto ahead = resources_at(timers(1500, 500, 0), 100, kind);
  REQUIRE(ahead.size() == 1);
  CHECK(ahead[0].task_count == 1500);
  CHECK(ahead[0].tasks.size() == 100);
  CHECK(ahead[0].site == kAwaitSite);
  CHECK(ahead[0].text == "1500 timers of one await will be due in the same millisecond");
  CHECK(resources_at(timers(1500, 60'000, 0), 100, kind).empty());
  CHECK(resources_at(timers(900, 500, 0), 100, kind).empty());
  CHECK(resources_at(timers(1500, 500, 1), 100, kind).empty());
  const auto fired = resources_at(timers(1500, 500, 0), 600, kind);
  REQUIRE(fired.size() == 1);
  CHECK(fired[0].certainty == Certainty::Certain);
  CHECK(fired[0].text ==
        "1500 timers of one await were due in the same millisecond; the last fired 1.50 ms late");
  CHECK(resources_at(timers(1500, 500, 0), 3000, kind).empty());
}

TEST_CASE("why: a poll that goes on since before the attach says about since when") {
  const auto session = blocked_since_before(2).session(kBegin + 500 * kMs);
  const auto* task = session->model().tasks().find(1);
  REQUIRE(task != nullptr);
  CHECK(analysis::why_not_running(session->model(), *task).text ==
        "polling on worker 1 for about 1.20 s");
}

TEST_CASE("why: what the findings know of a wait is added") {
  Script script;
  poll_once(script, 1, 1);
  const auto session = script.session(kBegin + 5 * kMs);
  const auto* task = session->model().tasks().find(1);
  REQUIRE(task != nullptr);
  Finding finding;
  finding.kind = FindingKind::Deadlock;
  finding.certainty = Certainty::Certain;
  finding.tasks = {7, 1};
  finding.task_count = 2;
  const auto why = analysis::why_not_running(session->model(), *task, {finding});
  CHECK(why.kind == analysis::WhyKind::Stuck);
  CHECK(why.text == "waits to be notified by notify #9 for 4.00 ms: part of a deadlock of 2 tasks");
  finding.until_ns = 1;  // over
  CHECK(analysis::why_not_running(session->model(), *task, {finding}).kind ==
        analysis::WhyKind::Resource);
  finding = {};
  finding.kind = FindingKind::StuckBehind;
  finding.tasks = {1};
  finding.others = {7};
  CHECK(analysis::why_not_running(session->model(), *task, {finding}).text ==
        "waits to be notified by notify #9 for 4.00 ms: perhaps stuck behind #7");
}

TEST_CASE("why: of a channel it names the end that has to move, of a permit all who hold one") {
  const auto session = slow_channel(150, 400).session(kBegin + 250 * kMs);
  const auto& model = session->model();
  const auto text = [&](std::uint64_t id) {
    const auto* task = model.tasks().find(id);
    REQUIRE(task != nullptr);
    return analysis::why_not_running(model, *task).text;
  };
  CHECK(text(2).starts_with("waits to send to mpsc #8 for 99.0 ms"));

  Script script;
  poll_once(script, 1, 1);
  for (std::uint64_t holder = 11; holder <= 15; ++holder)
    script.acquire(2, kBegin + 1 * kMs, holder, 8, ResourceKind::Semaphore);
  script.wake(1, kBegin + 2 * kMs, 1, WakeCause::Timer);
  script.start(1, kBegin + 2 * kMs, 1);
  script.end(1, kBegin + 2 * kMs, 1);
  script.wait(1, kBegin + 2 * kMs, 1, WaitOp::Acquire, 8);
  const auto permits = script.session(kBegin + 5 * kMs);
  const auto* task = permits->model().tasks().find(1);
  REQUIRE(task != nullptr);
  CHECK(analysis::why_not_running(permits->model(), *task).text ==
        "waits to acquire semaphore #8 for 3.00 ms, held by #11, #12, #13 and 2 more");
}
