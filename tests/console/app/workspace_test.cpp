// The whole window without a window: every panel drawn with ImGui's null backend, in every state,
// at the sizes where text must fit.
#include "taskscope/console/app/workspace.h"

#include <catch2/catch.hpp>
#include <functional>

#include "taskscope/console/app/text_audit.h"
#include "taskscope/tests/console/app/null_imgui.h"
#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;
using namespace taskscope::tests;
namespace action = taskscope::console::panels::action;

namespace {

struct Size {
  float width, height, scale;
};
constexpr Size kSizes[] = {{1280, 800, 1}, {1920, 1080, 1}, {2560, 1600, 2}};

class Stage {
 public:
  explicit Stage(const Size& size, const SyntheticOptions& options = {})
      : imgui_(size.width, size.height, size.scale), size_(size) {
    workspace.adopt(synthetic_session(options));
  }
  /// Empty: the start screen.
  Stage(const Size& size, std::nullptr_t)
      : imgui_(size.width, size.height, size.scale), size_(size) {}

  void frames(int count = 3) {
    for (int i = 0; i < count; ++i, now_ms += 600) {
      workspace.tick(now_ms, 1'000'000'000);
      imgui_.begin_frame();
      workspace.draw();
      ImGui::Render();
      workspace.apply(now_ms);
    }
  }
  void ask(panels::Action asked) {
    workspace.ask(std::move(asked));
    frames(2);
  }
  [[nodiscard]] std::vector<app::TextRun> runs() const {
    return app::text_runs(*ImGui::GetDrawData(), *ImGui::GetIO().Fonts);
  }
  void check_text(const std::string& where) const {
    const auto seen = runs();
    CAPTURE(where, size_.width, size_.height, size_.scale);
    CHECK(seen.size() > 5);
    for (const std::string& problem : app::audit_text(seen)) FAIL_CHECK(problem);
  }
  [[nodiscard]] bool shows(const std::string& text) const {
    for (const app::TextRun& run : runs()) {
      if (run.text.find(text) != std::string::npos) return true;
    }
    return false;
  }
  [[nodiscard]] std::string dump() const {
    return workspace.dump(runs(), size_.width, size_.height, size_.scale, 1);
  }

  std::int64_t now_ms = 1'000'000;

 private:
  NullImgui imgui_;
  Size size_;

 public:
  app::Workspace workspace{app::Settings{}};
};

}  // namespace

TEST_CASE("window: no text is cut or lies on other text, in any view and state") {
  for (const Size& size : kSizes) {
    {
      Stage stage(size, nullptr);
      stage.frames(1);
      stage.workspace.wait_for_search();
      stage.frames(3);
      stage.check_text("start");
    }
    for (const char* view :
         {"overview", "timeline", "tasks", "workers", "resources", "timers", "problems"}) {
      Stage stage(size);
      REQUIRE(stage.workspace.show_view(view));
      stage.frames(4);
      stage.check_text(view);
    }
    for (const bool dead : {false, true}) {
      Stage stage(size, {.live = dead, .dead = dead});
      stage.frames(4);
      stage.check_text(dead ? "dead" : "recorded");
      CHECK(stage.shows(dead ? "was killed" : "recorded"));
    }
    Stage stage(size);
    stage.frames(3);
    for (const std::uint64_t task :
         {synthetic::kAcceptTask, synthetic::kFirstConnection, synthetic::kSnapshotTask}) {
      stage.ask(action::SelectTask{task});
      stage.check_text("task " + std::to_string(task));
    }
    stage.ask(action::ToggleGroup{0});
    stage.ask(action::ToggleGroup{1});
    stage.check_text("groups opened");
    stage.ask(action::Pause{true});
    stage.check_text("paused");
    for (const std::int64_t length : {100'000'000, 2'000'000, 50'000, 1'000}) {
      stage.ask(action::Frame{1'510'000'000, 1'510'000'000 + length});
      stage.check_text("zoomed to " + std::to_string(length));
    }
    stage.ask(action::Frame{2'200'000'000, 2'260'000'000});
    stage.check_text("loss");
    CHECK(stage.shows("1.23 k lost"));
    stage.ask(
        action::StartRecording{"/tmp/a recording with a long name, to see what happens.tscope"});
    stage.check_text("recording");
    CHECK(stage.shows("Stop"));
    stage.ask(action::SelectResource{synthetic::kStoreMutex});
    stage.frames(2);
    stage.check_text("a resource over time");
    CHECK(stage.shows("the selected resource"));
    for (const panels::Tab tab :
         {panels::Tab::Problems, panels::Tab::Resources, panels::Tab::Workers, panels::Tab::Timers,
          panels::Tab::Losses, panels::Tab::Tasks}) {
      stage.ask(action::ShowTab{tab});
      stage.frames(2);
      stage.check_text("tab " + std::to_string(static_cast<int>(tab)));
    }
  }
}

TEST_CASE("window: problems come first, and lead to their evidence and on to the graph") {
  for (const Size& size : kSizes) {
    Stage stage(size);
    stage.frames(3);
    CHECK(stage.dump().find("\"tab\": \"problems\"") != std::string::npos);
    analysis::Thresholds strict;
    strict.large_frame_bytes = 512;
    stage.ask(action::SetThresholds{strict});
    stage.frames(2);
    CHECK(stage.shows("Large frame"));
    stage.check_text("problems");
    stage.ask(action::StepFinding{1});
    stage.frames(2);
    CHECK(stage.dump().find("\"evidence\"") != std::string::npos);
    stage.check_text("finding");
    stage.ask(action::FilterFindings{analysis::FindingKind::Deadlock});
    stage.check_text("filtered to nothing");
    CHECK(stage.shows("None of this kind"));
    stage.ask(action::FilterFindings{});
    stage.ask(action::StepFinding{-1});
    stage.ask(action::SelectTask{synthetic::kFirstConnection});
    stage.ask(action::ShowGraph{});
    stage.frames(2);
    CHECK(stage.dump().find("\"in_sight\": true") != std::string::npos);
    stage.check_text("graph");
    stage.ask(action::SelectFinding{0});
    // With the usual thresholds nothing is large, and nothing blocks for long.
    analysis::Thresholds patient;
    patient.blocking_poll_ns = 1'000'000'000;
    stage.ask(action::SetThresholds{patient});
    stage.ask(action::ShowTab{panels::Tab::Problems});
    stage.frames(2);
    stage.check_text("no problems any more");
    CHECK(stage.dump().find("\"problems_active\": 0") != std::string::npos);
  }
}

TEST_CASE("window: moves of the view end following, and can be undone") {
  Stage stage(kSizes[0]);
  stage.frames(2);
  const std::string followed = stage.dump();
  CHECK(followed.find("\"following\": true") != std::string::npos);
  stage.ask(action::MoveView{{1'000'000'000, 1'100'000'000}});
  CHECK(stage.dump().find("\"following\": false") != std::string::npos);
  CHECK(stage.dump().find("\"view_from_ns\": 1000000000") != std::string::npos);
  stage.ask(action::Back{});
  CHECK(stage.dump().find("\"view_from_ns\": 1000000000") == std::string::npos);
  stage.ask(action::Forward{});
  CHECK(stage.dump().find("\"view_from_ns\": 1000000000") != std::string::npos);
  stage.ask(action::Follow{true});
  CHECK(stage.dump().find("\"following\": true") != std::string::npos);
}

TEST_CASE("window: what was asked of a session that is closed meanwhile is void") {
  Stage stage(kSizes[0]);
  stage.frames(2);
  stage.workspace.ask(action::CloseSession{});
  stage.workspace.ask(action::SelectTask{synthetic::kAcceptTask});
  stage.workspace.ask(action::Follow{true});
  stage.workspace.ask(action::StopRecording{});
  stage.frames(2);
  CHECK(stage.workspace.session() == nullptr);
  CHECK(stage.dump().find("\"screen\": \"start\"") != std::string::npos);
}

TEST_CASE("window: a target that can't be opened is said on the start screen") {
  Stage stage(kSizes[0], nullptr);
  stage.workspace.open("/no/such/file.tscope", true, stage.now_ms);
  for (int i = 0; i < 1000 && stage.workspace.opening(); ++i) {
    stage.workspace.wait_for_search();
    stage.frames(1);
  }
  CHECK(stage.workspace.open_problem().find("/no/such/file.tscope") != std::string::npos);
  stage.frames(2);
  CHECK(stage.shows("Cannot open"));
  stage.check_text("problem");
}

TEST_CASE("window: an empty session is drawn, and one that ends at once") {
  for (const bool live : {true, false}) {
    NullImgui imgui(1280, 800, 1);
    app::Workspace workspace{app::Settings{}};
    workspace.adopt(std::make_unique<session::Session>(scripted_source({}, live)));
    for (int i = 0; i < 3; ++i) {
      workspace.tick(1'000'000 + i * 1000, 1'000'000);
      imgui.begin_frame();
      workspace.draw();
      ImGui::Render();
      workspace.apply(1'000'000 + i * 1000);
    }
    CHECK(app::audit_text(app::text_runs(*ImGui::GetDrawData(), *ImGui::GetIO().Fonts)).empty());
  }
}
