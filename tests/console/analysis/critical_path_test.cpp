#include "taskscope/console/analysis/critical_path.h"

#include <catch2/catch.hpp>
#include <limits>
#include <optional>
#include <random>
#include <sstream>

#include "taskscope/tests/console/analysis/script.h"
#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;
using analysis::critical_path;
using analysis::CriticalPath;
using analysis::PathKind;
using analysis::PathSegment;
using protocol::PollEnd;
using protocol::WaitOp;
using protocol::WakeCause;
using tests::kMs;
using tests::Script;

namespace {

constexpr auto kEver = std::numeric_limits<std::int64_t>::max();
constexpr auto kAll = std::numeric_limits<std::int64_t>::min();
constexpr auto kBegin = Script::kBegin;

/// "own/kind of task behind: from-to", in ticks after the beginning.
std::string text_of(const PathSegment& segment) {
  std::ostringstream text;
  text << analysis::name_of(segment.own) << "/" << analysis::name_of(segment.kind) << " of "
       << segment.task;
  if (segment.behind != 0) text << " behind " << segment.behind;
  text << ": " << segment.from - kBegin << "-" << segment.to - kBegin;
  return text.str();
}

std::string text_of(const CriticalPath& path) {
  std::string text;
  for (const auto& segment : path.segments) text += text_of(segment) + "\n";
  return text;
}

/// Each segment begins where the one before ends, from the first to the last tick.
bool is_partition(const CriticalPath& path) {
  auto at = path.from;
  std::uint64_t sum = 0;
  for (const auto& segment : path.segments) {
    if (segment.from != at || segment.to <= segment.from) return false;
    at = segment.to;
  }
  for (const auto& one : analysis::blame(path)) sum += one.ticks;
  return at == path.to && sum == path.to - path.from;
}

/// A program whose every delay is planned, and the path that has to come back.
class Planned {
 public:
  static constexpr std::uint64_t kFirst = 100, kHog = 7;

  Planned(std::uint64_t seed, int depth) : random_(seed), deepest_(depth) {
    script.spawn(1, at_, kFirst);
    live(kFirst, 0, 6);
    end = at_;
  }

  Script script;
  std::vector<PathSegment> expected;
  std::uint64_t end = 0;

 private:
  std::uint64_t some() { return 1 + random_() % 1'000'000; }

  void expect(std::uint64_t from, PathKind kind, std::uint64_t task, std::uint64_t behind = 0) {
    if (from == at_) return;
    PathSegment segment;
    segment.own = own_.value_or(kind);
    segment.kind = kind;
    segment.task = task;
    segment.behind = behind;
    segment.from = from;
    segment.to = at_;
    expected.push_back(segment);
  }

  /// From queued to polled: behind the hog, behind nobody, or in both ways.
  void queue(std::uint64_t task, std::uint32_t worker) {
    if (random_() % 2 == 0) {
      const auto from = at_;
      script.start(worker, at_, kHog + worker);
      at_ += some();
      script.end(worker, at_, kHog + worker);
      script.wait(worker, at_, kHog + worker, WaitOp::Waker);
      expect(from, PathKind::Queued, task, kHog + worker);
    }
    const auto from = at_;
    at_ += some();
    expect(from, PathKind::Queued, task);
    script.start(worker, at_, task);
  }

  /// The life of a task that is queued at `at_`: ends while it is polled.
  void live(std::uint64_t task, int depth, int stretches) {
    const auto worker = static_cast<std::uint32_t>(depth + 1);
    queue(task, worker);
    for (int i = 0; i < stretches; ++i) {
      auto from = at_;
      at_ += some();
      expect(from, PathKind::Polling, task);
      const auto what = random_() % (depth < deepest_ ? 5 : 3);
      if (what == 0) {
        script.end(worker, at_, task, PollEnd::Yielded);
      } else if (what <= 2) {
        const bool timer = what == 1;
        script.end(worker, at_, task);
        script.wait(worker, at_, task, timer ? WaitOp::Sleep : WaitOp::Readable, 0, 5);
        from = at_;
        at_ += some();
        expect(from, timer ? PathKind::Timer : PathKind::Io, task);
        script.wake(worker, at_, task, timer ? WakeCause::Timer : WakeCause::Io, 0, 5);
      } else {
        const bool joins = what == 3;
        const auto child = ++last_task_ + kFirst;
        const auto deeper = worker + 1;
        script.spawn(worker, at_, child, 1, task);
        script.end(worker, at_, task);
        script.wait(worker, at_, task, joins ? WaitOp::Join : WaitOp::Lock, joins ? child : 55);
        const bool outermost = !own_.has_value();
        if (outermost) own_ = joins ? PathKind::Join : PathKind::Waiting;
        live(child, depth + 1, static_cast<int>(random_() % 4));
        from = at_;
        at_ += some();
        expect(from, PathKind::Polling, child);
        script.wake(deeper, at_, task, WakeCause::Task, child, joins ? 0 : 55);
        // What it does after the wake is nobody's delay.
        script.end(deeper, at_ + 1, child, PollEnd::Ready);
        script.finish(deeper, at_ + 1, child);
        if (outermost) own_.reset();
      }
      queue(task, worker);
    }
  }

  std::mt19937_64 random_;
  int deepest_;
  std::uint64_t at_ = kBegin, last_task_ = 0;
  std::optional<PathKind> own_;
};

std::string text_of(const std::vector<PathSegment>& segments) {
  std::string text;
  for (const auto& segment : segments) text += text_of(segment) + "\n";
  return text;
}

}  // namespace

TEST_CASE("critical path: a task that was woken and queued names whose poll it stood behind") {
  Script script;
  script.spawn(1, kBegin, 1);
  script.spawn(1, kBegin, 2);
  script.start(1, kBegin, 1);
  script.end(1, kBegin + 1 * kMs, 1);
  script.wait(1, kBegin + 1 * kMs, 1, WaitOp::Sleep, 0, 5);
  script.start(1, kBegin + 4 * kMs, 2);
  script.wake(1, kBegin + 10 * kMs, 1, WakeCause::Timer);
  script.end(1, kBegin + 40 * kMs, 2);
  script.wait(1, kBegin + 40 * kMs, 2, WaitOp::Waker);
  script.start(1, kBegin + 41 * kMs, 1);
  script.end(1, kBegin + 43 * kMs, 1, PollEnd::Ready);
  script.finish(1, kBegin + 43 * kMs, 1);
  const auto session = script.session(kBegin + 50 * kMs);
  const auto path = critical_path(*session, 1, kAll, kEver);
  CHECK(is_partition(path));
  CHECK(text_of(path) ==
        "polling/polling of 1: 0-1000000\n"
        "timer/timer of 1: 1000000-10000000\n"
        "queued/queued of 1 behind 2: 10000000-40000000\n"
        "queued/queued of 1: 40000000-41000000\n"
        "polling/polling of 1: 41000000-43000000\n");
  CHECK(analysis::path_words(session->model(), path) ==
        "43.0 ms: 72 % queued behind #2; 21 % until a timer was due; 7 % polling");
  CHECK_FALSE(path.cut);

  // Any moment can be asked about: here, in the middle of the time in the queue.
  const auto part = critical_path(*session, 1, 5 * kMs, 20 * kMs);
  CHECK(is_partition(part));
  CHECK(text_of(part) ==
        "timer/timer of 1: 5000000-10000000\n"
        "queued/queued of 1 behind 2: 10000000-20000000\n");
}

TEST_CASE("critical path: a wait that goes on is the time of the holder, and of whom that joins") {
  Script script;
  script.spawn(1, kBegin, 1);
  script.spawn(1, kBegin, 2);
  script.start(1, kBegin, 2);
  script.acquire(1, kBegin, 2, 7, protocol::ResourceKind::Mutex);
  script.spawn(1, kBegin + 1 * kMs, 3, 1, 2);
  script.end(1, kBegin + 1 * kMs, 2);
  script.wait(1, kBegin + 1 * kMs, 2, WaitOp::Join, 3);
  script.start(1, kBegin + 1 * kMs, 1);
  script.end(1, kBegin + 2 * kMs, 1);
  script.wait(1, kBegin + 2 * kMs, 1, WaitOp::Lock, 7);
  script.start(1, kBegin + 2 * kMs, 3);
  script.end(1, kBegin + 3 * kMs, 3);
  script.wait(1, kBegin + 3 * kMs, 3, WaitOp::Sleep, 0, 3'600'000 * kMs);
  const auto session = script.session(kBegin + 50 * kMs);
  const auto path = critical_path(*session, 1, kAll, kEver);
  CHECK(is_partition(path));
  CHECK(text_of(path) ==
        "queued/queued of 1 behind 2: 0-1000000\n"
        "polling/polling of 1: 1000000-2000000\n"
        "waiting/polling of 3: 2000000-3000000\n"
        "waiting/timer of 3: 3000000-50000000\n");
  REQUIRE(path.segments.size() == 4);
  CHECK(path.segments.back().own_resource == 7);
  CHECK(path.segments.back().waits_for == 2);
  CHECK(path.segments.back().depth == 2);
}

TEST_CASE("critical path: tasks that hold what each other wants end the walk") {
  Script script;
  for (const std::uint64_t task : {1u, 2u}) {
    const auto at = kBegin + task * kMs;
    script.spawn(1, at, task);
    script.start(1, at, task);
    script.acquire(1, at, task, 6 + task, protocol::ResourceKind::Mutex);
    script.end(1, at, task);
    script.wait(1, at, task, WaitOp::Lock, 6 + (3 - task));
  }
  const auto session = script.session(kBegin + 50 * kMs);
  for (const std::uint64_t task : {1u, 2u}) {
    const auto path = critical_path(*session, task, kAll, kEver);
    CHECK(is_partition(path));
    REQUIRE_FALSE(path.segments.empty());
    CHECK(path.segments.back().kind == PathKind::Waiting);
  }
}

TEST_CASE("critical path: what was lost is unknown, and so is what the wait came to") {
  Script script;
  script.spawn(1, kBegin, 1);
  script.start(1, kBegin, 1);
  script.end(1, kBegin + 1 * kMs, 1);
  script.wait(1, kBegin + 1 * kMs, 1, WaitOp::Sleep, 0, 5);
  script.lose(2, kBegin + 5 * kMs, kBegin + 7 * kMs);
  script.wake(1, kBegin + 10 * kMs, 1, WakeCause::Task, 9, 0);
  script.start(1, kBegin + 11 * kMs, 1);
  const auto session = script.session(kBegin + 12 * kMs);
  const auto path = critical_path(*session, 1, kAll, kEver);
  CHECK(is_partition(path));
  CHECK(text_of(path) ==
        "polling/polling of 1: 0-1000000\n"
        "timer/timer of 1: 1000000-5000000\n"
        "unknown/unknown of 1: 5000000-7000000\n"
        "waiting/unknown of 9: 7000000-10000000\n"
        "queued/queued of 1: 10000000-11000000\n"
        "polling/polling of 1: 11000000-12000000\n");
}

TEST_CASE("critical path: planned delays come back exactly, however deep") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Planned planned(seed, static_cast<int>(seed % 7));
    const auto session = planned.script.session(planned.end + 1);
    const auto path = critical_path(*session, Planned::kFirst, kAll,
                                    static_cast<std::int64_t>(planned.end - kBegin));
    INFO("seed " << seed);
    REQUIRE(is_partition(path));
    REQUIRE(text_of(path.segments) == text_of(planned.expected));
    REQUIRE_FALSE(path.cut);
    REQUIRE(path.from == kBegin);
    REQUIRE(path.to == planned.end);
  }
}

TEST_CASE("critical path: limits cut what is followed, not the sum") {
  const Planned planned(11, 6);
  const auto session = planned.script.session(planned.end + 1);
  for (const std::size_t few : {0u, 1u, 3u}) {
    analysis::PathLimits limits;
    limits.chunks = few;
    CHECK(is_partition(critical_path(*session, Planned::kFirst, kAll, kEver, limits)));
    limits = {};
    limits.depth = few;
    CHECK(is_partition(critical_path(*session, Planned::kFirst, kAll, kEver, limits)));
    limits = {};
    limits.segments = few;
    CHECK(is_partition(critical_path(*session, Planned::kFirst, kAll, kEver, limits)));
    limits = {};
    limits.rows = few;
    const auto path = critical_path(*session, Planned::kFirst, kAll, kEver, limits);
    CHECK(is_partition(path));
    CHECK(path.cut);
  }
  CHECK(critical_path(*session, 4711, kAll, kEver).segments.empty());
  CHECK(critical_path(*session, Planned::kFirst, 5, 5).segments.empty());
}

TEST_CASE(
    "critical path: of any task of a simulated program, between any moments, sums are exact") {
  std::mt19937_64 random(3);
  const auto session = tests::synthetic_session({.live = false});
  std::vector<std::uint64_t> tasks;
  for (std::uint32_t slot = 0; slot < session->model().tasks().slots(); ++slot)
    if (const auto* task = session->model().tasks().at(slot)) tasks.push_back(task->id);
  REQUIRE(tasks.size() > 10);
  for (int i = 0; i < 200; ++i) {
    const auto task = tasks[random() % tasks.size()];
    const auto from = static_cast<std::int64_t>(random() % 3'000'000'000);
    const auto to = static_cast<std::int64_t>(random() % 3'000'000'000);
    const auto path = critical_path(*session, task, std::min(from, to), std::max(from, to));
    CHECK(is_partition(path));
  }
}
