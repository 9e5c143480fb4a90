#include "taskscope/console/panels/problems_layout.h"

#include <catch2/catch.hpp>

#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;
using namespace taskscope::console::panels;
using namespace taskscope::tests;
using analysis::Certainty;
using analysis::Finding;
using analysis::FindingKind;

namespace {

Finding finding(FindingKind kind, std::vector<std::uint64_t> tasks, std::int64_t since_ns,
                std::int64_t until_ns = 0) {
  Finding is;
  is.kind = kind;
  is.certainty = Certainty::Certain;
  is.task_count = tasks.size();
  is.tasks = std::move(tasks);
  is.site = synthetic::kAcceptSite;
  is.since_ns = since_ns;
  is.until_ns = until_ns;
  is.text = "something is wrong";
  return is;
}

}  // namespace

TEST_CASE("problems: those that last come first, those over after them, counted by kind") {
  const auto session = synthetic_session();
  const analysis::Findings active = {finding(FindingKind::Deadlock, {10, 11}, 1'000'000'000),
                                     finding(FindingKind::BlockingPoll, {3}, 1'500'000'000)};
  const analysis::Findings past = {
      finding(FindingKind::BlockingPoll, {3}, 500'000'000, 600'000'000)};
  const ProblemsView view = problems_view(session->model(), active, past, std::nullopt);
  REQUIRE(view.rows.size() == 3);
  CHECK(view.active == 2);
  CHECK(view.past == 1);
  CHECK(view.severe == 1);
  CHECK(view.rows[0].kind == FindingKind::Deadlock);
  CHECK(view.rows[0].severity == Severity::Severe);
  CHECK(view.rows[0].sentence == "Something is wrong.");
  CHECK(view.rows[0].when == "for 1.90 s");
  CHECK(view.rows[0].place == "main.cpp:61");
  CHECK_FALSE(view.rows[1].over);
  CHECK(view.rows[2].over);
  CHECK(view.rows[2].when == "at 0.500 s, lasted 100 ms");
  REQUIRE(view.chips.size() == 2);
  CHECK(view.chips[0].kind == FindingKind::Deadlock);
  CHECK(view.chips[1].active == 1);
  CHECK(view.chips[1].past == 1);

  const ProblemsView filtered =
      problems_view(session->model(), active, past, FindingKind::BlockingPoll);
  CHECK(filtered.rows.size() == 2);
  CHECK(filtered.active == 2);
  CHECK(filtered.chips.size() == 2);
}

TEST_CASE("problems: a finding keeps its key while it lasts") {
  const Finding then = finding(FindingKind::Deadlock, {10, 11}, 1'000'000'000);
  Finding now = then;
  now.text = "other words";
  now.since_ns += 5;
  CHECK(finding_key(now) == finding_key(then));
  now.until_ns = 2'000'000'000;
  CHECK(finding_key(now) != finding_key(then));
  CHECK(finding_key(finding(FindingKind::Deadlock, {12, 13}, 0)) != finding_key(then));
  // Which task of a place is worst changes, and it is the same trouble.
  CHECK(finding_key(finding(FindingKind::BlockingPoll, {3}, 0)) ==
        finding_key(finding(FindingKind::BlockingPoll, {4, 3}, 9)));
  CHECK(finding_key({}) != 0);
}

TEST_CASE("problems: evidence names the tasks, why they do not run, and a moment to look at") {
  const auto session = synthetic_session();
  Finding deadlock =
      finding(FindingKind::Deadlock, {synthetic::kFirstConnection, 99'999'999}, 1'000'000'000);
  deadlock.resources = {synthetic::kStoreMutex};
  deadlock.others.assign(500, synthetic::kAcceptTask);
  deadlock.task_count = 1204;
  const EvidenceView view = evidence_view(session->model(), deadlock);
  CHECK(view.evidence == Evidence::Graph);
  REQUIRE(view.tasks.size() == 2);
  CHECK(view.tasks[0].link.task == synthetic::kFirstConnection);
  CHECK_FALSE(view.tasks[0].why.empty());
  CHECK(view.tasks[1].link.detail == "not kept");
  CHECK(view.more_tasks == 1202);
  CHECK(view.others.size() < 500);
  REQUIRE(view.resources.size() == 1);
  CHECK(view.resources[0].resource == synthetic::kStoreMutex);
  CHECK(view.from_ns <= 1'000'000'000);
  CHECK(view.to_ns > view.from_ns);
  CHECK(view.to_ns <= session->model().now_ns());
}

TEST_CASE("problems: every kind has a title, a meaning and a severity") {
  for (int i = 0; i < analysis::kFindingKinds; ++i) {
    const auto kind = static_cast<FindingKind>(i);
    CAPTURE(i);
    CHECK(title_of(kind) != "Finding");
    CHECK_FALSE(meaning_of(kind).empty());
    CHECK_FALSE(name_of(severity_of(kind)).empty());
  }
}
