/// What the start screen lists: processes that can be attached to, and recent files.
#pragma once

#include <string>
#include <vector>

#include "taskscope/console/source/target.h"

namespace taskscope::console::panels {

struct StartEntry {
  std::string title;    ///< the process's or the file's name
  std::string number;   ///< the pid, or the file's size
  std::string detail;   ///< the command line, or the folder
  std::string problem;  ///< why it can't be opened; empty: it can
  std::string target;   ///< what action::Open gets
  bool file = false;
};

/// Those that can be attached to first, then by pid. Stale sockets are left out.
[[nodiscard]] std::vector<StartEntry> process_entries(const source::Discovery& discovery);

struct RecentFile {
  std::string path;
  bool exists = false;
  std::uint64_t bytes = 0;
};
/// In the order given: newest first.
[[nodiscard]] std::vector<StartEntry> file_entries(const std::vector<RecentFile>& files);

}  // namespace taskscope::console::panels
