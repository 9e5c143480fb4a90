/// The runtimes that can be asked about their tasks, and when they can't any more.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <vector>

#include "taskscope/runtime/observe/inspector.h"

namespace taskscope::instrumentation {

/// Lends inspectors out for one call at a time; remove() waits until nobody uses the one that goes.
/// Thread-safe.
class Inspectors {
 public:
  using Inspector = runtime::observe::Inspector;

  void add(Inspector& inspector);
  void remove(Inspector& inspector);
  [[nodiscard]] bool empty() const;

  /// Calls `use(inspector)` for one that is registered; false if it is not (any more).
  template <class Use>
  bool with(Inspector* inspector, Use&& use) {
    if (!lend(inspector)) return false;
    use(*inspector);
    take_back(inspector);
    return true;
  }

  /// Those registered now; each may be gone when it is used, which with() says.
  [[nodiscard]] std::vector<Inspector*> all() const;

 private:
  struct Entry {
    Inspector* inspector;
    std::size_t uses = 0;
    bool is_leaving = false;
  };
  bool lend(Inspector* inspector);
  void take_back(Inspector* inspector);

  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<Entry> entries_;
};

}  // namespace taskscope::instrumentation
