// The walls of the house: who may include whom, what the root holds, how headers begin.
//
// `violations` judges one file by its path and text alone, so that the second half of this file can
// show it made-up offenders: a check that can't fail checks nothing.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;
using std::string;
using std::string_view;

bool is_under(string_view path, string_view folder) {
  return path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/';
}
bool is_one_of(string_view word, std::initializer_list<string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

struct Include {
  string target;
  bool quoted = false;
  int line = 0;
};

std::vector<Include> includes_of(const string& text) {
  std::vector<Include> found;
  std::istringstream lines(text);
  int number = 0;
  for (string line; std::getline(lines, line);) {
    ++number;
    const auto hash = line.find_first_not_of(" \t");
    if (hash == string::npos || line[hash] != '#') continue;
    const auto word = line.find_first_not_of(" \t", hash + 1);
    if (word == string::npos || line.compare(word, 7, "include") != 0) continue;
    const auto open = line.find_first_of("\"<", word);
    if (open == string::npos) continue;
    const auto close = line.find_first_of("\">", open + 1);
    if (close == string::npos) continue;
    found.push_back({line.substr(open + 1, close - open - 1), line[open] == '"', number});
  }
  return found;
}

/// Which folders of ours a folder may include beside itself. Longest matching key wins; a file that
/// lies directly in `runtime` or `console` is matched by that key.
const std::map<string, std::vector<string>>& arrows() {
  static const std::map<string, std::vector<string>> kArrows = {
      {"runtime", {"runtime"}},
      {"runtime/observe", {}},
      {"protocol", {}},
      {"instrumentation", {"runtime/observe", "runtime/metrics", "protocol"}},
      {"instrumentation/examples", {"instrumentation", "runtime"}},
      {"console/source", {"protocol"}},
      {"console/session", {"protocol", "console/source"}},
      {"console/analysis", {"protocol", "console/source", "console/session"}},
      {"console/panels", {"protocol", "console/source", "console/session", "console/analysis"}},
      {"console/app", {"protocol", "console"}},
      {"console", {"protocol"}},
      {"tests", {"runtime", "instrumentation", "protocol", "console"}},
  };
  return kArrows;
}

/// The key of `arrows` that rules the file at `path`, or "".
string ruler_of(string_view path) {
  string best;
  for (const auto& [folder, unused] : arrows()) {
    if (is_under(path, folder) && folder.size() > best.size()) best = folder;
  }
  return best;
}

bool is_header(string_view path) { return path.ends_with(".h"); }
bool is_source(string_view path) { return is_header(path) || path.ends_with(".cpp"); }

/// What is wrong with one file, one sentence each; empty when it keeps the rules.
std::vector<string> violations(const string& path, const string& text) {
  std::vector<string> found;
  const auto blame = [&](int line, const string& what) {
    found.push_back(path + ":" + std::to_string(line) + ": " + what);
  };
  const auto rule = ruler_of(path);
  if (rule.empty()) {
    blame(1, "lies in no room");
    return found;
  }
  if (is_header(path) && text.find("\n#pragma once\n") == string::npos &&
      !text.starts_with("#pragma once\n")) {
    blame(1, "a header says #pragma once");
  }

  // The theme and the widgets are what all panels share: colours, fonts, shapes in ImGui's own
  // types.
  const string stem = path.substr(0, path.rfind('.'));
  const bool may_draw = is_under(path, "console/app") || is_under(path, "tests") ||
                        (is_under(path, "console/panels") && stem.ends_with("_panel")) ||
                        stem == "console/panels/theme" || stem == "console/panels/widgets";
  const bool may_see_protobuf =
      (is_under(path, "protocol") && !is_header(path)) || is_under(path, "tests");

  for (const auto& include : includes_of(text)) {
    const string_view target = include.target;
    if (target.find("../") != string_view::npos) {
      blame(include.line, "climbs out of its folder: " + include.target);
      continue;
    }
    if (target.ends_with(".pb.h") || target.starts_with("google/protobuf/")) {
      if (!may_see_protobuf) blame(include.line, "protobuf is seen only by protocol's sources");
      continue;
    }
    if (target.starts_with("imgui") || target.starts_with("backends/imgui") ||
        target.starts_with("GLFW/") || target.starts_with("GL/") || target.starts_with("EGL/")) {
      if (!may_draw)
        blame(include.line, "only panels, what they share and app draw: " + include.target);
      continue;
    }
    if (target.starts_with("catch2/") && !is_under(path, "tests")) {
      blame(include.line, "Catch belongs to the tests");
      continue;
    }
    if (!target.starts_with("taskscope/")) {
      if (include.quoted) {
        blame(include.line, "ours are spelled \"taskscope/room/file.h\": " + include.target);
      }
      continue;
    }
    if (!include.quoted) blame(include.line, "ours are included with quotes: " + include.target);
    const auto ours = target.substr(string_view("taskscope/").size());
    const auto& allowed = arrows().at(rule);
    const bool same_folder = ruler_of(ours) == rule;
    const bool arrow = std::any_of(allowed.begin(), allowed.end(),
                                   [&](const string& to) { return is_under(ours, to); });
    if (!same_folder && !arrow) blame(include.line, rule + " must not include " + string(ours));
  }
  return found;
}

/// What must not lie in the root of the tree.
std::vector<string> strangers(const std::vector<string>& names) {
  std::vector<string> found;
  for (const auto& name : names) {
    const bool known =
        is_one_of(name, {"CMakeLists.txt", "runtime", "instrumentation", "console", "protocol",
                         "tests", "screenshots", "README.md", "CMakePresets.json", "LICENSE"});
    // Build folders and a user's presets are ignored by git, so they are none of our business.
    const bool ignored = name.starts_with("build") || name == "CMakeUserPresets.json";
    if (!known && !ignored && name[0] != '.') found.push_back(name);
  }
  return found;
}

const fs::path kRoot = TASKSCOPE_SOURCE_DIR;

string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Every header and source of the rooms and their tests, as paths below the root.
std::vector<string> sources() {
  std::vector<string> found;
  for (const auto* room : {"runtime", "instrumentation", "protocol", "console", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / room)) {
      const auto path = fs::relative(entry.path(), kRoot).generic_string();
      // A consumer of the installed package, and programs of other projects to race with.
      if (is_under(path, "tests/architecture/consumer") || is_under(path, "tests/bench/peers")) {
        continue;
      }
      if (entry.is_regular_file() && is_source(path)) found.push_back(path);
    }
  }
  return found;
}

string join(const std::vector<string>& lines) {
  string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

}  // namespace

TEST_CASE("layering: every include follows an arrow between rooms") {
  const auto files = sources();
  REQUIRE(files.size() > 10);
  std::vector<string> found;
  for (const auto& file : files) {
    for (auto& violation : violations(file, read(kRoot / file))) {
      found.push_back(std::move(violation));
    }
  }
  INFO(join(found));
  CHECK(found.empty());
}

TEST_CASE("layering: every include of ours names a file that exists") {
  std::vector<string> found;
  for (const auto& file : sources()) {
    for (const auto& include : includes_of(read(kRoot / file))) {
      const string prefix = "taskscope/";
      if (!include.target.starts_with(prefix) || include.target.ends_with(".pb.h")) continue;
      if (!fs::exists(kRoot / include.target.substr(prefix.size()))) {
        found.push_back(file + ":" + std::to_string(include.line) + ": no " + include.target);
      }
    }
  }
  INFO(join(found));
  CHECK(found.empty());
}

TEST_CASE("layering: the root holds the rooms and little else") {
  std::vector<string> names;
  for (const auto& entry : fs::directory_iterator(kRoot)) {
    names.push_back(entry.path().filename().string());
  }
  const auto found = strangers(names);
  INFO(join(found));
  CHECK(found.empty());
}

TEST_CASE("layering: an include against the arrows is found, whichever room does it") {
  struct Case {
    const char* path;
    const char* include;
  };
  const Case bad[] = {
      {"runtime/task/task.cpp", "\"taskscope/instrumentation/recorder.h\""},
      {"runtime/runtime.cpp", "\"taskscope/protocol/update.h\""},
      {"runtime/observe/observe.cpp", "\"taskscope/runtime/task/task.h\""},
      {"instrumentation/recorder.cpp", "\"taskscope/runtime/scheduler/worker.h\""},
      {"instrumentation/recorder.cpp", "\"taskscope/runtime/runtime.h\""},
      {"instrumentation/collector.cpp", "\"taskscope/console/session/store.h\""},
      {"instrumentation/examples/redis/main.cpp", "\"taskscope/protocol/update.h\""},
      {"protocol/codec.cpp", "\"taskscope/runtime/observe/ids.h\""},
      {"console/session/store.cpp", "\"taskscope/runtime/observe/ids.h\""},
      {"console/session/store.cpp", "\"taskscope/console/analysis/stuck.h\""},
      {"console/source/live.cpp", "\"taskscope/instrumentation/server.h\""},
      {"console/analysis/stuck.cpp", "\"taskscope/console/panels/table_layout.h\""},
      {"console/panels/table_layout.cpp", "<imgui.h>"},
      {"console/panels/table_layout.h", "\"imgui.h\""},
      {"console/panels/table_panel.cpp", "\"taskscope/console/app/window.h\""},
      {"console/session/store.h", "<GLFW/glfw3.h>"},
      {"console/source/file.cpp", "\"taskscope/protocol/schema/chunk.pb.h\""},
      {"protocol/codec.h", "<google/protobuf/message_lite.h>"},
      {"runtime/task/task.h", "\"../observe/ids.h\""},
      {"runtime/task/task.cpp", "\"task.h\""},
      {"runtime/task/task.cpp", "<taskscope/runtime/task/task.h>"},
      {"runtime/task/task.cpp", "<catch2/catch.hpp>"},
      {"attic/old.cpp", "<vector>"},
  };
  for (const auto& [path, include] : bad) {
    INFO(path << " includes " << include);
    const auto text = string("/// Says.\n#pragma once\n\n  #  include ") + include + "  // why\n";
    CHECK(violations(path, text).size() == 1);
  }
}

TEST_CASE("layering: an include along the arrows is not blamed") {
  struct Case {
    const char* path;
    const char* include;
  };
  const Case good[] = {
      {"runtime/runtime.h", "\"taskscope/runtime/scheduler/worker.h\""},
      {"runtime/sync/mutex.h", "\"taskscope/runtime/task/task.h\""},
      {"runtime/observe/observer.h", "\"taskscope/runtime/observe/ids.h\""},
      {"instrumentation/recorder.cpp", "\"taskscope/runtime/observe/observer.h\""},
      {"instrumentation/collector.cpp", "\"taskscope/protocol/update.h\""},
      {"instrumentation/examples/redis/main.cpp", "\"taskscope/runtime/runtime.h\""},
      {"protocol/codec.cpp", "\"taskscope/protocol/schema/chunk.pb.h\""},
      {"protocol/codec.cpp", "<google/protobuf/arena.h>"},
      {"console/panels/table_panel.cpp", "<imgui.h>"},
      {"console/panels/table_panel.cpp", "\"taskscope/console/panels/table_layout.h\""},
      {"console/app/window.cpp", "<GLFW/glfw3.h>"},
      {"console/app/main.cpp", "\"taskscope/console/session/store.h\""},
      {"tests/console/window_test.cpp", "<catch2/catch.hpp>"},
      {"runtime/task/task.cpp", "<coroutine>"},
  };
  for (const auto& [path, include] : good) {
    INFO(path << " includes " << include);
    const auto text = string("#pragma once\n#include ") + include + "\n";
    CHECK(join(violations(path, text)) == "");
  }
}

TEST_CASE("layering: a header without its guard and a stranger in the root are found") {
  CHECK(violations("runtime/task/task.h", "#include <vector>\n").size() == 1);
  CHECK(violations("runtime/task/task.h", "// #pragma once\n").size() == 1);
  CHECK(strangers({"runtime", "README.md", ".git", "build-gcc"}).empty());
  CHECK(strangers({"runtime", "notes.txt", "scripts"}).size() == 2);
}
