#include "taskscope/tests/support/interleave/weakening.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

namespace taskscope::interleave {

namespace {

using Order = std::memory_order;

std::vector<Order> weaker(const Site& site) {
  const bool loads = site.operation == "load" || site.operation == "compare_exchange failed";
  const bool stores = site.operation == "store";
  switch (site.order) {
    case Order::seq_cst:
      return {loads ? Order::acquire : stores ? Order::release : Order::acq_rel};
    case Order::acq_rel:
      return {Order::acquire, Order::release};
    case Order::relaxed:
      return {};
    default:
      return {Order::relaxed};
  }
}

std::size_t file_of(const Part& part, const Site& site) {
  for (std::size_t i = 0; i < part.files.size(); ++i) {
    if (site.file.ends_with("/runtime/" + part.files[i])) return i;
  }
  return part.files.size();
}

/// Orders that a file writes and no case has executed.
void find_unreached(const Part& part, const std::vector<std::size_t>& met,
                    std::vector<std::string>& problems) {
  for (std::size_t i = 0; i < part.files.size(); ++i) {
    const std::string path = TASKSCOPE_RUNTIME_SOURCES + part.files[i];
    std::ifstream file(path);
    if (!file) problems.push_back(path + ": can't be read");
    unsigned number = 0;
    for (std::string line; std::getline(file, line);) {
      ++number;
      const auto code = line.substr(0, line.find("//"));
      for (const auto order : {Order::acquire, Order::release, Order::acq_rel, Order::seq_cst}) {
        if (code.find("memory_order_" + name_of(order)) == std::string::npos) continue;
        const bool reached = std::any_of(met.begin(), met.end(), [&](std::size_t at) {
          const Site& site = sites()[at];
          return file_of(part, site) == i && site.order == order && site.line <= number + 1 &&
                 site.line + 3 >= number;
        });
        const bool excused = std::any_of(
            part.unreached.begin(), part.unreached.end(),
            [&](const Exception& known) { return code.find(known.function) != std::string::npos; });
        if (!reached && !excused) {
          problems.push_back(part.files[i] + ":" + std::to_string(number) +
                             ": no case executes this " + name_of(order) + ": " + code);
        }
        if (reached && excused)
          problems.push_back(part.files[i] + ":" + std::to_string(number) +
                             ": is executed after all");
      }
    }
  }
}

}  // namespace

std::vector<std::string> run_cases(const Part& part, std::string& log) {
  std::vector<std::string> problems;
  std::ostringstream said;
  const char* const wanted = std::getenv("INTERLEAVE_REPLAY");
  const std::string replayed = wanted != nullptr ? wanted : "";
  for (const auto& one : part.cases) {
    Options options = one.options;
    if (!replayed.empty()) {
      if (!replayed.starts_with(one.name + "=")) continue;
      options.replay = replayed.substr(one.name.size() + 1);
    }
    const auto result = explore(one.body, options);
    said << one.name << ": " << result.executions << " executions\n";
    if (result.failure) {
      problems.push_back(one.name + ": " + *result.failure);
    } else if (!result.complete) {
      problems.push_back(one.name + ": not all was tried in " + std::to_string(result.executions) +
                         " executions");
    }
  }
  log = said.str();
  return problems;
}

std::vector<std::string> weaken_each(const Part& part, std::string& log) {
  std::vector<std::string> problems;
  std::ostringstream said;
  std::vector<std::set<std::size_t>> met_by;
  std::set<std::size_t> met;
  for (const auto& one : part.cases) {
    const auto result = explore(one.body, one.options);
    if (!result.passed()) problems.push_back(one.name + ": fails as it is");
    met_by.emplace_back(result.sites.begin(), result.sites.end());
    met.insert(result.sites.begin(), result.sites.end());
  }
  find_unreached(part, {met.begin(), met.end()}, problems);
  std::set<const Exception*> used;
  for (const auto at : met) {
    const Site site = sites()[at];
    if (file_of(part, site) == part.files.size()) continue;
    for (const Order order : weaker(site)) {
      weaken(at, order);
      std::uint64_t executions = 0;
      std::string noticed;
      for (std::size_t i = 0; i < part.cases.size() && noticed.empty(); ++i) {
        if (!met_by[i].contains(at)) continue;
        const auto result = explore(part.cases[i].body, part.cases[i].options);
        executions += result.executions;
        if (result.failure)
          noticed =
              part.cases[i].name + ": " + result.failure->substr(0, result.failure->find('\n'));
      }
      weaken_nothing();
      said << describe(site) << " -> " << name_of(order) << ": "
           << (noticed.empty() ? "not noticed" : noticed) << " (" << executions << ")\n";
      const auto known =
          std::find_if(part.unneeded.begin(), part.unneeded.end(), [&](const Exception& exception) {
            return site.function.find(exception.function) != std::string::npos &&
                   site.operation == exception.operation && site.order == exception.from &&
                   order == exception.to;
          });
      if (noticed.empty() && known == part.unneeded.end())
        problems.push_back(describe(site) + " -> " + name_of(order) + ": no case fails");
      if (noticed.empty() && known != part.unneeded.end()) used.insert(&*known);
    }
  }
  for (const auto& exception : part.unneeded) {
    if (!used.contains(&exception))
      problems.push_back("listed, and not needed: " + exception.function + " " +
                         exception.operation + " " + name_of(exception.from) + " -> " +
                         name_of(exception.to));
  }
  log = said.str();
  return problems;
}

}  // namespace taskscope::interleave
