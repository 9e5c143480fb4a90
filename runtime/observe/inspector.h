/// The pull side of observation: what a watcher can ask a runtime, at any time, from a thread of
/// its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "taskscope/runtime/observe/facts.h"

namespace taskscope::runtime::observe {

/// How much of a task is read. Waits and stacks take an idle task for the length of the reading, as
/// a worker would take it; tasks that run or are queued are reported without them.
enum class Detail : std::uint8_t { Facts, Waits, Stacks };

class TaskVisitor {
 public:
  virtual ~TaskVisitor() = default;
  virtual void visit(const TaskView&) = 0;  ///< must not call the inspector or the runtime
};
class ResourceVisitor {
 public:
  virtual ~ResourceVisitor() = default;
  virtual void visit(const ResourceView&) = 0;  ///< must not call the inspector or the runtime
};
class WorkerVisitor {
 public:
  virtual ~WorkerVisitor() = default;
  virtual void visit(const WorkerView&) = 0;
};

/// Where a walk over the tasks goes on. A walk visits every task that lives from its start to its
/// end once; tasks spawned or finished meanwhile may be visited or not.
struct TaskCursor {
  std::uint64_t after_id = 0;
  std::uint32_t shard = 0;
  bool done = false;
};

/// One per Runtime. Every call works while all workers are blocked, and holds no worker up for more
/// than one piece of a walk. Thread-safe; resources are those of the process.
class Inspector {
 public:
  virtual ~Inspector() = default;
  [[nodiscard]] virtual RuntimeView runtime() = 0;
  virtual void visit_workers(WorkerVisitor&) = 0;
  /// Visits up to `piece` tasks and moves the cursor on.
  virtual void visit_tasks(TaskCursor&, std::size_t piece, Detail, TaskVisitor&) = 0;
  /// Visits one task; false if it does not live.
  virtual bool visit_task(TaskId, Detail, TaskVisitor&) = 0;
  /// Visits the registered resources: those that were waited for, or are named.
  virtual void visit_resources(ResourceVisitor&) = 0;
};

}  // namespace taskscope::runtime::observe
