#include "taskscope/console/app/editor.h"

#include <catch2/catch.hpp>

using taskscope::console::app::editor_command;
using Words = std::vector<std::string>;

TEST_CASE("editor: the place is put where the command says") {
  CHECK(editor_command("code -g {file}:{line}", "/src/a.cpp:42") ==
        Words{"code", "-g", "/src/a.cpp:42"});
  CHECK(editor_command("vim +{line} {file}", "/src/a.cpp:42") == Words{"vim", "+42", "/src/a.cpp"});
  CHECK(editor_command("xdg-open", "/src/a.cpp:42") == Words{"xdg-open", "/src/a.cpp"});
}

TEST_CASE("editor: a path stays one word, whatever is in it") {
  CHECK(editor_command("vi {file}", "/src/a b {line} $(x).cpp:7") ==
        Words{"vi", "/src/a b {line} $(x).cpp"});
  // Without a line, the first.
  CHECK(editor_command("vi +{line} {file}", "/src/a:b") == Words{"vi", "+1", "/src/a:b"});
}

TEST_CASE("editor: without a file or a command there is nothing to start") {
  CHECK(editor_command("vi {file}", "").empty());
  CHECK(editor_command("   ", "/src/a.cpp:1").empty());
  CHECK_FALSE(taskscope::console::app::open_in_editor("/no/such/file.cpp:1").empty());
}
