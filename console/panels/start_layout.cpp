#include "taskscope/console/panels/start_layout.h"

#include <algorithm>

#include "taskscope/console/panels/format.h"

namespace taskscope::console::panels {

std::vector<StartEntry> process_entries(const source::Discovery& discovery) {
  struct Ranked {
    StartEntry entry;
    std::uint64_t pid = 0;
  };
  std::vector<Ranked> ranked;
  for (const source::Candidate& candidate : discovery.candidates) {
    if (candidate.stale) continue;
    StartEntry entry;
    entry.title = "process";
    entry.number = std::to_string(candidate.pid);
    entry.target = candidate.path;
    entry.problem = candidate.problem;
    if (candidate.process) {
      if (!candidate.process->name.empty()) entry.title = candidate.process->name;
      entry.detail = candidate.process->command_line;
    }
    if (entry.detail.empty()) entry.detail = candidate.path;
    ranked.push_back({std::move(entry), candidate.pid});
  }
  std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    if (a.entry.problem.empty() != b.entry.problem.empty()) return a.entry.problem.empty();
    return a.pid < b.pid;
  });
  std::vector<StartEntry> entries;
  for (Ranked& is : ranked) entries.push_back(std::move(is.entry));
  return entries;
}

std::vector<StartEntry> file_entries(const std::vector<RecentFile>& files) {
  std::vector<StartEntry> entries;
  for (const RecentFile& file : files) {
    StartEntry entry;
    entry.title = file_name(file.path);
    const std::size_t name = entry.title.size();
    entry.detail = file.path.size() > name + 1 ? file.path.substr(0, file.path.size() - name - 1)
                                               : std::string("/");
    entry.number = file.exists ? bytes_text(static_cast<double>(file.bytes)) : "–";
    if (!file.exists) entry.problem = "the file is gone";
    entry.target = file.path;
    entry.file = true;
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace taskscope::console::panels
