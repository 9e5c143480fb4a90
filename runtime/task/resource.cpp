#include "taskscope/runtime/task/resource.h"

#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/task/resource_registry.h"

namespace taskscope::runtime::task {

namespace {

std::atomic<std::uint64_t> next_id{1};

observe::ResourceId new_id() noexcept {
  // Relaxed: only uniqueness matters.
  return observe::ResourceId{next_id.fetch_add(1, std::memory_order_relaxed)};
}

}  // namespace

ResourceRegistry& ResourceRegistry::instance() noexcept {
  static auto& registry = *new ResourceRegistry;
  return registry;
}

void ResourceRegistry::insert(Resource& resource) noexcept {
  const std::lock_guard lock(mutex_);
  // Two first waiters may race to here; one of them registers.
  if (resource.id() != observe::ResourceId::None) return;
  resource.next_ = first_;
  resource.link_ = &first_;
  if (first_ != nullptr) first_->link_ = &resource.next_;
  first_ = &resource;
  const auto id = new_id();
  // Told before the id is published, so that no wait names a resource that the stream does not know
  // yet.
  if (observe::wants(observe::Event::Resource)) {
    observe::ResourceRegistered registered;
    registered.id = id;
    registered.kind = resource.kind_;
    registered.concrete_type = resource.concrete_type_;
    registered.name = resource.name_;
    registered.site = resource.site_;
    observe::observer()->on_resource_registered(registered, observe::read_ticks());
  }
  resource.id_.store(id, std::memory_order_release);
  // Whoever took it before anybody waited has told nobody. A named one is new: nobody has it. What
  // is told here may come late by a moment; then its next holder's record puts it right.
  if (*resource.name_ != '\0' || !observe::wants(observe::Event::Resource)) return;
  observe::ResourceView view;
  view.info.id = id;
  view.info.kind = resource.kind_;
  resource.describe(
      view,
      [](const observe::ResourceView& filled, void*) {
        // What the ends of channels did last is no holding.
        for (const auto& holder : filled.holders)
          if (holder.permits != 0)
            observe::observer()->on_resource_acquired(filled.info.id, holder,
                                                      observe::read_ticks());
      },
      nullptr);
}

void ResourceRegistry::remove(Resource& resource) noexcept {
  const std::lock_guard lock(mutex_);
  *resource.link_ = resource.next_;
  if (resource.next_ != nullptr) resource.next_->link_ = resource.link_;
  if (observe::wants(observe::Event::Resource)) {
    observe::observer()->on_resource_dropped(resource.id(), observe::read_ticks());
  }
}

void ResourceRegistry::visit(observe::ResourceVisitor& visitor) {
  const std::lock_guard lock(mutex_);
  for (Resource* resource = first_; resource != nullptr; resource = resource->next_) {
    observe::ResourceView view;
    view.info.id = resource->id();
    view.info.kind = resource->kind_;
    view.info.concrete_type = resource->concrete_type_;
    view.info.name = resource->name_;
    view.info.site = resource->site_;
    resource->describe(
        view,
        [](const observe::ResourceView& filled, void* to) {
          static_cast<observe::ResourceVisitor*>(to)->visit(filled);
        },
        &visitor);
  }
}

observe::ResourceId Resource::do_register() noexcept {
  ResourceRegistry::instance().insert(*this);
  return id();
}

void Resource::do_deregister() noexcept { ResourceRegistry::instance().remove(*this); }

void Resource::report_acquired(const observe::Holder& holder) noexcept {
  if (id() == observe::ResourceId::None || !observe::wants(observe::Event::Resource)) return;
  observe::observer()->on_resource_acquired(id(), holder, observe::read_ticks());
}

void Resource::report_released(const observe::Holder& holder) noexcept {
  if (id() == observe::ResourceId::None || !observe::wants(observe::Event::Resource)) return;
  observe::observer()->on_resource_released(id(), holder, observe::read_ticks());
}

}  // namespace taskscope::runtime::task
