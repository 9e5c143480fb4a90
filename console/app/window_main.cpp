#include "taskscope/console/app/window_main.h"

#include <imgui.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "taskscope/console/app/glfw_window.h"
#include "taskscope/console/app/headless_gl.h"
#include "taskscope/console/app/png_file.h"
#include "taskscope/console/app/settings.h"
#include "taskscope/console/app/text_audit.h"
#include "taskscope/console/app/workspace.h"
#include "taskscope/console/source/open.h"

namespace taskscope::console::app {
namespace {

constexpr int kGood = 0, kUsage = 2, kUnusable = 3;
constexpr std::int64_t kPumpNs = 6'000'000;  // of a frame's 16 ms
constexpr std::int64_t kLongestPumpNs = 100'000'000;

std::atomic<bool> dump_asked{false};  // set by SIGUSR1, read by the loop
std::atomic<bool> end_asked{false};   // set by SIGINT and SIGTERM, read by the loop

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// A reader never sees half of it.
bool write_whole(const std::string& path, const std::string& text) {
  const std::string draft = path + ".new";
  {
    std::ofstream file(draft, std::ios::trunc);
    file << text;
    if (!file.flush()) return false;
  }
  std::error_code error;
  std::filesystem::rename(draft, path, error);
  return !error;
}

void handle(int signal_number, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(signal_number, &action, nullptr);
}

/// Views that tell about one finding.
bool shows_worst(const std::string& view) { return view == "problems" || view == "graph"; }

std::string dump_frame(const Workspace& workspace, float scale, std::uint64_t frame) {
  const ImGuiIO& io = ImGui::GetIO();
  return workspace.dump(text_runs(*ImGui::GetDrawData(), *io.Fonts), io.DisplaySize.x,
                        io.DisplaySize.y, scale, frame);
}

}  // namespace

int run_window(const WindowOptions& options) {
  if (!is_view(options.view)) {
    std::fprintf(stderr, "taskscope: there is no view \"%s\".\n", options.view.c_str());
    return kUsage;
  }
  const std::string settings_file = settings_path();
  Settings settings = load_settings(settings_file);
  const WindowSize size{options.width_px > 0 ? options.width_px : settings.width_px,
                        options.height_px > 0 ? options.height_px : settings.height_px};
  std::string why;
  const auto window = GlfwWindow::open("taskscope", size, options.scale, why);
  if (window == nullptr) {
    std::fprintf(stderr,
                 "taskscope: cannot open a window: %s. `taskscope screenshot` and the other "
                 "commands need no display.\n",
                 why.c_str());
    return kUnusable;
  }
  handle(SIGINT, [](int) { end_asked = true; });
  handle(SIGTERM, [](int) { end_asked = true; });
  if (!options.dump.empty()) handle(SIGUSR1, [](int) { dump_asked = true; });

  Workspace workspace(std::move(settings));
  workspace.show_view(options.view);
  if (!options.target.empty()) workspace.open(options.target, options.file_only, now_ms());

  std::uint64_t frame = 0;
  std::int64_t dumped_ms = 0, drawn_ms = 0, drawing_ns = 0;
  int calm_frames = 0;
  bool busiest_wanted = options.view == "inspector";
  bool worst_wanted = shows_worst(options.view);
  while (!window->close_asked() && !workspace.quit_asked() && !end_asked) {
    // Live: as fast as the display, with pauses that leave the target its processor where frames
    // are slow. Nothing moves: after a few frames only when something comes.
    const std::int64_t since = now_ms() - drawn_ms;
    const double wait = workspace.lively()
                            ? std::max(0.0, 0.016 - static_cast<double>(since) / 1000)
                            : (calm_frames > 3 ? 0.25 : 0.0);
    window->pump(wait);
    calm_frames = window->take_woken() ? 0 : calm_frames + 1;
    drawn_ms = now_ms();
    // A file is read for as long as drawing takes: where that is slow, reading is not slower still.
    const bool reading = workspace.session() != nullptr && !workspace.session()->source().live();
    workspace.tick(now_ms(), reading ? std::clamp(drawing_ns, kPumpNs, kLongestPumpNs) : kPumpNs);
    const std::int64_t begun_ms = now_ms();
    if (busiest_wanted && workspace.session() != nullptr &&
        workspace.session()->model().totals().polls_ended > 0) {
      workspace.select_busiest();
      busiest_wanted = false;
    }
    if (worst_wanted && workspace.session() != nullptr) worst_wanted = !workspace.select_worst();
    workspace.handle_keys(window->begin_frame());
    workspace.draw();
    window->end_frame();
    drawing_ns = (now_ms() - begun_ms) * 1'000'000;
    ++frame;
    workspace.apply(now_ms());
    window->set_title(workspace.title());
    if (!options.dump.empty() && (dump_asked.exchange(false) || now_ms() - dumped_ms >= 1'000)) {
      dumped_ms = now_ms();
      write_whole(options.dump, dump_frame(workspace, window->scale(), frame));
    }
  }
  if (session::Session* session = workspace.session()) session->stop_recording();
  const WindowSize last = window->size();
  workspace.settings().width_px = last.width_px;
  workspace.settings().height_px = last.height_px;
  save_settings(workspace.settings(), settings_file);
  return kGood;
}

int run_screenshot(const ScreenshotOptions& options) {
  const auto fail = [](int status, const std::string& sentence) {
    std::fprintf(stderr, "taskscope screenshot: %s.\n", sentence.c_str());
    return status;
  };
  if (!is_view(options.view)) return fail(kUsage, "there is no view \"" + options.view + "\"");
  if (options.width_px < 640 || options.height_px < 400 || options.width_px > 8192 ||
      options.height_px > 8192) {
    return fail(kUsage, "the size has to be between 640x400 and 8192x8192");
  }
  if (!(options.scale >= 0.5f && options.scale <= 4)) {
    return fail(kUsage, "the scale has to be between 0.5 and 4");
  }
  Workspace workspace(load_settings(settings_path()));
  workspace.settings().inspector_share = Settings{}.inspector_share;
  workspace.settings().timeline_share = Settings{}.timeline_share;
  workspace.show_view(options.view);
  if (options.view != "start") {
    auto source = source::open_target(options.target);
    if (!source) return fail(kUnusable, source.failure().sentence);
    const bool live = source.value()->live();
    workspace.adopt(std::make_unique<session::Session>(std::move(source.value())));
    session::Session& session = *workspace.session();
    if (live) {
      session.request_snapshot(true);
      session.pump_to_end(
          std::chrono::milliseconds(static_cast<std::int64_t>(options.seconds * 1000)));
    } else {
      session.pump_to_end(std::chrono::hours(24));
    }
  }
  std::string why;
  const auto gl = HeadlessGl::open(options.width_px, options.height_px, options.scale, why);
  if (gl == nullptr) return fail(kUnusable, why);
  if (workspace.session() != nullptr) {
    workspace.tick(now_ms(), kPumpNs);
    if (options.view == "inspector") workspace.select_busiest();
    if (options.view == "resources") workspace.select_contended();
    if (shows_worst(options.view)) workspace.select_worst();
  }
  // Layouts settle within a few frames. A live target goes on while they are drawn; the start
  // screen waits until its search is over.
  std::uint64_t frame = 0;
  for (; frame < 8; ++frame) {
    workspace.refresh_all();
    workspace.tick(now_ms(), kPumpNs);
    gl->begin_frame();
    workspace.draw();
    gl->end_frame();
    workspace.apply(now_ms());
    if (options.view == "start" && frame == 0) workspace.wait_for_search();
  }
  const std::string problem =
      write_png(options.output, gl->pixels(), options.width_px, options.height_px);
  if (!problem.empty()) return fail(kUnusable, problem);
  if (!options.dump.empty() &&
      !write_whole(options.dump, dump_frame(workspace, options.scale, frame))) {
    return fail(kUnusable, "cannot write " + options.dump);
  }
  return kGood;
}

}  // namespace taskscope::console::app
