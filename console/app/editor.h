/// Opens a place of the source in the user's editor.
#pragma once

#include <string>
#include <vector>

namespace taskscope::console::app {

/// The command for "file:line" by a template of words like "code -g {file}:{line}": {file} and
/// {line} stand for the place. Without either of them the file is appended. Empty for a path or a
/// template without words.
[[nodiscard]] std::vector<std::string> editor_command(const std::string& command,
                                                      const std::string& place);

/// Starts the command that TASKSCOPE_EDITOR holds, else xdg-open, and does not wait for it.
/// Returns what went wrong, as a sentence; empty: started.
[[nodiscard]] std::string open_in_editor(const std::string& place);

}  // namespace taskscope::console::app
