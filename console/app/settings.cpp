#include "taskscope/console/app/settings.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "taskscope/console/analysis/thresholds.h"

namespace taskscope::console::app {
namespace {

namespace fs = std::filesystem;

float share_of(const std::string& text, float otherwise) {
  char* end = nullptr;
  const float share = std::strtof(text.c_str(), &end);
  return end != text.c_str() && share >= 0.05f && share <= 0.95f ? share : otherwise;
}

int pixels_of(const std::string& text) {
  const long pixels = std::strtol(text.c_str(), nullptr, 10);
  return pixels >= 200 && pixels <= 16'384 ? static_cast<int>(pixels) : 0;
}

}  // namespace

void Settings::remember(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  const std::string name = error ? path : absolute.lexically_normal().string();
  recent.erase(std::remove(recent.begin(), recent.end(), name), recent.end());
  recent.insert(recent.begin(), name);
  if (recent.size() > kRecentFiles) recent.resize(kRecentFiles);
}

std::string settings_path() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && config[0] == '/') return std::string(config) + "/taskscope/window";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.config/taskscope/window";
  return {};
}

std::string settings_text(const Settings& settings) {
  std::ostringstream text;
  text << "width_px " << settings.width_px << "\nheight_px " << settings.height_px
       << "\ninspector_share " << settings.inspector_share << "\ntimeline_share "
       << settings.timeline_share << '\n';
  for (const analysis::Setting& setting : analysis::settings()) {
    text << "threshold " << setting.name << '='
         << analysis::value_words(settings.thresholds, setting) << '\n';
  }
  for (const std::string& path : settings.recent) {
    if (path.find('\n') == std::string::npos) text << "recent " << path << '\n';
  }
  return text.str();
}

Settings parse_settings(const std::string& text) {
  Settings settings;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || space + 1 == line.size()) continue;
    const std::string key = line.substr(0, space), value = line.substr(space + 1);
    if (key == "width_px") settings.width_px = pixels_of(value);
    if (key == "height_px") settings.height_px = pixels_of(value);
    if (key == "inspector_share") {
      settings.inspector_share = share_of(value, settings.inspector_share);
    }
    if (key == "timeline_share") settings.timeline_share = share_of(value, settings.timeline_share);
    if (key == "threshold") (void)analysis::set(settings.thresholds, value);
    if (key == "recent" && settings.recent.size() < Settings::kRecentFiles) {
      settings.recent.push_back(value);
    }
  }
  return settings;
}

Settings load_settings(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (file) text << file.rdbuf();
  return parse_settings(text.str());
}

bool save_settings(const Settings& settings, const std::string& path) {
  if (path.empty()) return false;
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  // Whole or not at all: two windows may end at the same time.
  const std::string draft = path + ".new";
  {
    std::ofstream file(draft, std::ios::trunc);
    file << settings_text(settings);
    if (!file.flush()) return false;
  }
  fs::rename(draft, path, error);
  return !error;
}

}  // namespace taskscope::console::app
