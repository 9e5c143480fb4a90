// Draws the synthetic session without a display: the design, looked at before there is a target.
//   console_picture OUT.png [VIEW [WIDTH HEIGHT SCALE [SELECT|dead|recorded|paused|many]]]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <imgui.h>

#include "taskscope/console/app/headless_gl.h"
#include "taskscope/console/app/png_file.h"
#include "taskscope/console/app/text_audit.h"
#include "taskscope/console/app/workspace.h"
#include "taskscope/tests/support/synthetic_session.h"

using namespace taskscope;
using namespace taskscope::console;

int main(int argc, char** argv) {
  const auto argument = [&](int i, const char* otherwise) -> std::string {
    return argc > i ? argv[i] : otherwise;
  };
  const int width = std::atoi(argument(3, "1600").c_str());
  const int height = std::atoi(argument(4, "1000").c_str());
  const auto scale = static_cast<float>(std::atof(argument(5, "1").c_str()));
  const std::string what = argument(6, "");
  std::string why;
  const auto gl = app::HeadlessGl::open(width, height, scale, why);
  if (gl == nullptr) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return 1;
  }
  app::Workspace workspace{app::Settings{}};
  workspace.show_view(argument(2, "overview"));
  if (argument(2, "overview") != "start") {
    workspace.adopt(tests::synthetic_session({.live = what != "recorded",
                                              .dead = what == "dead",
                                              .idle_tasks = what == "many" ? 1'000'000u : 0u}));
  }
  std::int64_t now = 1'000'000;
  for (int frame = 0; frame < 12; ++frame, now += 700) {
    workspace.refresh_all();
    const auto before = std::chrono::steady_clock::now();
    workspace.tick(now, 1'000'000'000);
    const auto ticked = std::chrono::steady_clock::now();
    gl->begin_frame();
    if (frame == 2 && workspace.session() != nullptr) {
      workspace.ask(panels::action::SelectTask{what == "accept"
                                                   ? tests::synthetic::kAcceptTask
                                                   : tests::synthetic::kFirstConnection + 1});
      workspace.ask(panels::action::ToggleGroup{1});
      if (what == "paused") workspace.ask(panels::action::Pause{true});
      if (what == "zoom") {
        workspace.ask(panels::action::Frame{1'499'000'000, 1'530'000'000});
      }
      if (what == "zoomer") {
        workspace.ask(panels::action::Frame{1'500'000'000, 1'500'900'000});
      }
      if (what == "loss") {
        workspace.ask(panels::action::Frame{2'150'000'000, 2'300'000'000});
      }
    }
    workspace.draw();
    ImGui::EndFrame();
    if (what == "many") {
      const auto drawn = std::chrono::steady_clock::now();
      std::printf("tick %.2f ms, draw %.2f ms\n",
                  std::chrono::duration<double, std::milli>(ticked - before).count(),
                  std::chrono::duration<double, std::milli>(drawn - ticked).count());
    }
    gl->end_frame();
    workspace.apply(now);
  }
  const std::string problem = app::write_png(argument(1, "out.png"), gl->pixels(), width, height);
  if (!problem.empty()) std::fprintf(stderr, "%s\n", problem.c_str());
  const auto runs = app::text_runs(*ImGui::GetDrawData(), *ImGui::GetIO().Fonts);
  for (const std::string& line : app::audit_text(runs)) std::printf("%s\n", line.c_str());
  std::printf("%zu texts\n", runs.size());
  return problem.empty() ? 0 : 1;
}
