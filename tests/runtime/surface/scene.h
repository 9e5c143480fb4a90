/// Every awaitable of the core, once: how to make it wait, and what ends the wait.
///
/// The battery in surface_test.cpp runs over all rows. An awaitable is added to the rows in one of
/// the scenes_*.cpp, and counted in kDeclared of surface_test.cpp, which compares the headers.
#pragma once

#include <memory>
#include <vector>

#include "taskscope/runtime/runtime.h"

namespace taskscope::runtime::surface_test {

/// One resource with all that the wait needs. It outlives the runtimes it is used in.
class Scene {
 public:
  Scene() = default;
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;
  virtual ~Scene() = default;

  /// Brings it about that wait() waits. On a worker, once.
  virtual Task<void> prepare() { co_return; }
  /// The await under test, to its ordinary end.
  virtual Task<void> wait() = 0;
  /// What has to happen before complete(), whenever that is called.
  virtual Task<void> lead_up() { co_return; }
  /// Ends one wait at least. Within a poll on a worker, which it does not end.
  virtual void complete() = 0;
  /// What is waited for, where it is a resource.
  virtual task::Resource* resource() { return nullptr; }
  /// What is waited for, where it is a task.
  virtual observe::TaskId awaited() { return observe::TaskId::None; }
};

enum Trait : unsigned {
  kOne = 1,         ///< one task waits at a time: the next waits when the first is gone
  kHeld = 2,        ///< watchers see who holds it, or used it last
  kOneRuntime = 4,  ///< what ends the wait lives in the runtime, and dies with it
  kElsewhere = 8,   ///< another thread ends the wait
};

struct Row {
  const char* name;
  std::unique_ptr<Scene> (*make)();
  observe::WaitOp op;
  observe::ResourceKind kind;
  unsigned traits = 0;
  observe::BranchMode mode = observe::BranchMode::Single;

  [[nodiscard]] bool is(Trait trait) const { return (traits & trait) != 0; }
};

template <class S>
std::unique_ptr<Scene> make() {
  return std::make_unique<S>();
}

[[nodiscard]] std::vector<Row> sync_rows();
[[nodiscard]] std::vector<Row> channel_rows();
[[nodiscard]] std::vector<Row> task_rows();

}  // namespace taskscope::runtime::surface_test
