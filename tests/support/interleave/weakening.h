/// Weakens every ordering of some files, one at a time, and expects the cases to notice.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "taskscope/tests/support/interleave/interleave.h"

namespace taskscope::interleave {

struct Case {
  std::string name;
  std::function<void()> body;
  Options options = {};
};

/// An ordering that no case can show to be needed, or one that no case executes.
struct Exception {
  std::string function;   ///< part of the function's name
  std::string operation;  ///< load, store, fetch_or, compare_exchange, compare_exchange failed, ...
  std::memory_order from;
  std::memory_order to;
  std::string why;
};

/// A piece of the runtime: its files, relative to runtime/, and the cases that test it.
struct Part {
  std::vector<std::string> files;
  std::vector<Case> cases;
  std::vector<Exception> unneeded = {};
  /// Functions whose orderings no case executes; `operation` and orders are not looked at.
  std::vector<Exception> unreached = {};
};

/// Runs the cases as they are. What went wrong, one text a case; `log` says how many executions.
/// With INTERLEAVE_REPLAY="CASE=CHOICES" in the environment it runs that one execution of that
/// case.
[[nodiscard]] std::vector<std::string> run_cases(const Part& part, std::string& log);
/// seq_cst is weakened to acq_rel, acq_rel to acquire and to release, these to relaxed; some case
/// has to fail each time. What did not, and exceptions that are not needed.
[[nodiscard]] std::vector<std::string> weaken_each(const Part& part, std::string& log);

}  // namespace taskscope::interleave
