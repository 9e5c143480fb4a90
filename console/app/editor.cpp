#include "taskscope/console/app/editor.h"

#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <thread>

extern char** environ;

namespace taskscope::console::app {
namespace {

void replace_all(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

}  // namespace

std::vector<std::string> editor_command(const std::string& command, const std::string& place) {
  std::string file = place, line = "1";
  const std::size_t colon = place.rfind(':');
  if (colon != std::string::npos && colon + 1 < place.size() &&
      place.find_first_not_of("0123456789", colon + 1) == std::string::npos) {
    file = place.substr(0, colon);
    line = place.substr(colon + 1);
  }
  std::vector<std::string> words;
  std::istringstream split(command);
  bool names_file = false;
  // Words are split before the place is put in: a path with spaces stays one word.
  for (std::string word; split >> word;) {
    names_file = names_file || word.find("{file}") != std::string::npos;
    replace_all(word, "{line}", line);
    replace_all(word, "{file}", file);
    words.push_back(word);
  }
  if (file.empty() || words.empty()) return {};
  if (!names_file) words.push_back(file);
  return words;
}

std::string open_in_editor(const std::string& place) {
  const char* chosen = std::getenv("TASKSCOPE_EDITOR");
  const bool has_editor = chosen != nullptr && chosen[0] != '\0';
  const auto words = editor_command(has_editor ? chosen : "xdg-open {file}", place);
  if (words.empty()) return "There is no file to open.";
  const std::string file = place.substr(0, place.rfind(':'));
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return "This machine has no file " + file + ".";
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failure =
      posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ);
  if (failure != 0) {
    return "Cannot start " + words[0] + ": " + std::strerror(failure) +
           (has_editor ? "." : ". Set TASKSCOPE_EDITOR, as to: code -g {file}:{line}");
  }
  std::thread([child] { waitpid(child, nullptr, 0); }).detach();  // else it stays a zombie
  return {};
}

}  // namespace taskscope::console::app
