#include "taskscope/console/app/text_audit.h"

#include <imgui.h>

#include <catch2/catch.hpp>

#include "taskscope/tests/console/app/null_imgui.h"

using namespace taskscope::console::app;
using taskscope::tests::NullImgui;

namespace {

/// The text runs of a frame that `draw` fills, in a window named `window`.
template <class Draw>
std::vector<TextRun> runs_of(Draw draw, const char* window = "plain") {
  NullImgui imgui(800, 600, 1);
  imgui.begin_frame();
  ImGui::SetNextWindowPos({0, 0});
  ImGui::SetNextWindowSize({800, 600});
  ImGui::Begin(window, nullptr, ImGuiWindowFlags_NoDecoration);
  draw(ImGui::GetWindowDrawList());
  ImGui::End();
  ImGui::Render();
  return text_runs(*ImGui::GetDrawData(), *ImGui::GetIO().Fonts);
}

}  // namespace

TEST_CASE("text audit: reads back what was drawn, and where") {
  const auto runs = runs_of([](ImDrawList* draw) {
    draw->AddRectFilled({0, 0}, {50, 50}, IM_COL32_WHITE);
    draw->AddText({100, 40}, IM_COL32_WHITE, "Hello, tasks · 12 µs");
    draw->AddCircleFilled({300, 300}, 20, IM_COL32_WHITE);
    draw->AddText({100, 80}, IM_COL32_WHITE, "second");
  });
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].text == "Hello, tasks · 12 µs");
  CHECK(runs[0].x == Approx(100).margin(1.5));
  CHECK(runs[0].y == Approx(40).margin(1.5));
  CHECK(runs[0].window == "plain");
  CHECK(audit_text(runs).empty());
}

TEST_CASE("text audit: columns on one line are texts of their own") {
  const auto runs = runs_of([](ImDrawList* draw) {
    draw->AddText({100, 40}, IM_COL32_WHITE, "left");
    draw->AddText({300, 40}, IM_COL32_WHITE, "right");
  });
  REQUIRE(runs.size() == 2);
  CHECK(audit_text(runs).empty());
}

TEST_CASE("text audit: text over an edge is found; above and below only where nothing scrolls") {
  const auto cut_right = [](ImDrawList* draw) {
    draw->PushClipRect({0, 0}, {140, 600}, true);
    draw->AddText({100, 40}, IM_COL32_WHITE, "too long for this");
    draw->PopClipRect();
  };
  CHECK_FALSE(audit_text(runs_of(cut_right)).empty());
  CHECK_FALSE(audit_text(runs_of(cut_right, "a scroll")).empty());
  const auto cut_below = [](ImDrawList* draw) {
    draw->PushClipRect({0, 0}, {800, 46}, true);
    draw->AddText({100, 38}, IM_COL32_WHITE, "half");
    draw->PopClipRect();
  };
  CHECK_FALSE(audit_text(runs_of(cut_below)).empty());
  CHECK(audit_text(runs_of(cut_below, "a scroll")).empty());
}

TEST_CASE("text audit: text on text is found") {
  const auto runs = runs_of([](ImDrawList* draw) {
    draw->AddText({100, 40}, IM_COL32_WHITE, "one");
    draw->AddText({104, 44}, IM_COL32_WHITE, "two");
  });
  const auto problems = audit_text(runs);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].find("overlap") == 0);
}
