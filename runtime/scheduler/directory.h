/// The schedulers that live, for threads outside of them.
#pragma once

#include <algorithm>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "taskscope/runtime/observe/ids.h"

namespace taskscope::runtime::scheduler {

class Scheduler;

/// A waker or a handle may be used on any thread at any time, also while its runtime is being
/// destroyed. A thread that is not inside the runtime therefore reaches the scheduler through here:
/// it is there for the length of the visit, or it is gone and there is nothing left to wake. The
/// runtime's own threads go directly.
class Directory {
 public:
  /// Leaked on purpose: wakers in static storage may outlive every other static.
  [[nodiscard]] static Directory& instance() noexcept {
    static auto& directory = *new Directory;
    return directory;
  }

  void enter(observe::RuntimeId id, Scheduler& scheduler) {
    const std::unique_lock lock(mutex_);
    entries_.push_back({id, &scheduler});
  }
  /// Waits for visits under way.
  void leave(observe::RuntimeId id) noexcept {
    const std::unique_lock lock(mutex_);
    std::erase_if(entries_, [id](const Entry& entry) { return entry.id == id; });
  }
  /// Calls `visit(Scheduler&)` if the runtime lives.
  template <class Visit>
  void visit(observe::RuntimeId id, Visit&& visit) noexcept {
    const std::shared_lock lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.id == id) return visit(*entry.scheduler);
    }
  }

 private:
  struct Entry {
    observe::RuntimeId id;
    Scheduler* scheduler;
  };
  std::shared_mutex mutex_;
  std::vector<Entry> entries_;  // under mutex_; a process has few runtimes
};

}  // namespace taskscope::runtime::scheduler
