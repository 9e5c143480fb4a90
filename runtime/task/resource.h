/// What a primitive that can be waited for tells watchers about itself.
#pragma once

#include <atomic>

#include "taskscope/runtime/observe/facts.h"

namespace taskscope::runtime::task {

/// Base of Mutex, Semaphore, Notify, channel cores, ... It costs an id, a vtable and a site until
/// the first wait (or a name) registers it; then the Inspector finds it.
///
/// A type that derives calls `registered()` before it reports a wait, and `deregister()` first
/// thing in its destructor, while `describe` still works.
class Resource {
 public:
  Resource(const Resource&) = delete;
  Resource& operator=(const Resource&) = delete;

  /// The id, registering on first use: tells the observer and makes the Inspector see it. Any
  /// thread; may be called under the resource's own lock? No: registration takes the registry's
  /// lock, under which `describe` takes the resource's. Call it before locking.
  observe::ResourceId registered() noexcept {
    const auto id = id_.load(std::memory_order_acquire);
    return id != observe::ResourceId::None ? id : do_register();
  }
  /// The id, None if nobody ever waited. Any time, under any lock.
  [[nodiscard]] observe::ResourceId id() const noexcept {
    return id_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] observe::ResourceKind kind() const noexcept { return kind_; }
  [[nodiscard]] observe::Site site() const noexcept { return site_; }

  /// Fills holders, waiters and attributes of `view` and hands it to `visit` exactly once, from
  /// under the resource's own lock or after copying. `view.info` is filled already. Called by the
  /// Inspector, any thread.
  virtual void describe(observe::ResourceView& view,
                        void (*visit)(const observe::ResourceView&, void*), void* context) = 0;

 protected:
  /// `concrete_type` and `name` must live for ever (string literals); a name registers at once.
  Resource(observe::ResourceKind kind, const char* concrete_type, observe::Site site,
           const char* name = "") noexcept
      : kind_(kind), concrete_type_(concrete_type), name_(name), site_(site) {}
  ~Resource() = default;
  /// Leaves the registry; waits while the Inspector describes this resource.
  void deregister() noexcept {
    if (id() != observe::ResourceId::None) do_deregister();
  }
  /// A holder's change, for the event stream; nothing before the resource is registered or when
  /// nobody watches.
  void report_acquired(const observe::Holder& holder) noexcept;
  void report_released(const observe::Holder& holder) noexcept;

 private:
  friend class ResourceRegistry;
  observe::ResourceId do_register() noexcept;
  void do_deregister() noexcept;

  std::atomic<observe::ResourceId> id_{observe::ResourceId::None};  // written once, by do_register
  observe::ResourceKind kind_;
  const char* concrete_type_;
  const char* name_;
  observe::Site site_;
  Resource* next_ = nullptr;  // the registry's list, under its lock
  Resource** link_ = nullptr;
};

}  // namespace taskscope::runtime::task
