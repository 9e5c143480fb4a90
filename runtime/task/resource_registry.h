/// The resources of the process that watchers can see: those somebody waited for, and those with a
/// name.
#pragma once

#include <mutex>

#include "taskscope/runtime/observe/inspector.h"
#include "taskscope/runtime/task/resource.h"

namespace taskscope::runtime::task {

class ResourceRegistry {
 public:
  /// Leaked on purpose: resources in static storage may outlive every other static.
  [[nodiscard]] static ResourceRegistry& instance() noexcept;

  void insert(Resource& resource) noexcept;
  void remove(Resource& resource) noexcept;
  void visit(observe::ResourceVisitor& visitor);

 private:
  std::mutex mutex_;
  Resource* first_ = nullptr;  // under mutex_
};

}  // namespace taskscope::runtime::task
