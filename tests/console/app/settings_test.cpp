#include "taskscope/console/app/settings.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

using namespace taskscope::console::app;

TEST_CASE("settings: what was written is read again") {
  Settings settings;
  settings.width_px = 1800;
  settings.height_px = 1100;
  settings.timeline_share = 0.4f;
  settings.thresholds.blocking_poll_ns = 25'000'000;
  settings.remember("/tmp/with space.tscope");
  settings.remember("/tmp/other.tscope");
  const Settings read = parse_settings(settings_text(settings));
  CHECK(read.width_px == 1800);
  CHECK(read.height_px == 1100);
  CHECK(read.timeline_share == Approx(0.4f));
  CHECK(read.thresholds.blocking_poll_ns == 25'000'000);
  CHECK(read.recent == std::vector<std::string>{"/tmp/other.tscope", "/tmp/with space.tscope"});
}

TEST_CASE("settings: nonsense is passed by") {
  const Settings read = parse_settings(
      "width_px -5\nheight_px 99999999\ninspector_share nan\ntimeline_share 7\n"
      "threshold blocking-poll=soon\nthreshold\nthreshold what=3\nrecent\nx\n\n y\n");
  CHECK(read.width_px == 0);
  CHECK(read.height_px == 0);
  CHECK(read.inspector_share == Settings{}.inspector_share);
  CHECK(read.timeline_share == Settings{}.timeline_share);
  CHECK(read.recent.empty());
}

TEST_CASE("settings: a path is listed once, the newest first, and not too many") {
  Settings settings;
  for (int i = 0; i < 30; ++i) settings.remember("/tmp/" + std::to_string(i));
  CHECK(settings.recent.size() == Settings::kRecentFiles);
  settings.remember("/tmp/20");
  CHECK(settings.recent.front() == "/tmp/20");
  CHECK(settings.recent.size() == Settings::kRecentFiles);
}

TEST_CASE("settings: saved into a folder that is made; a place that can't be written is said") {
  const auto folder =
      std::filesystem::temp_directory_path() / ("taskscope-settings-" + std::to_string(getpid()));
  const std::string path = (folder / "deep" / "window").string();
  Settings settings;
  settings.remember("/tmp/a");
  CHECK(save_settings(settings, path));
  CHECK(load_settings(path).recent == settings.recent);
  CHECK_FALSE(save_settings(settings, path + "/not/a/folder"));
  CHECK_FALSE(save_settings(settings, ""));
  CHECK(load_settings("/no/such/file").recent.empty());
  std::filesystem::remove_all(folder);
}
