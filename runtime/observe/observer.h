/// The push side of observation: what the runtime tells whoever watches.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "taskscope/runtime/observe/facts.h"

namespace taskscope::runtime::observe {

class Inspector;

/// Groups of events, as bits of the mask.
enum class Event : std::uint32_t {
  Task = 1u << 0,  ///< spawned, finished
  Poll = 1u << 1,  ///< started, ended
  Wait = 1u << 2,  ///< the waits of a pending end, cancelled waits
  Wake = 1u << 3,
  Resource = 1u << 4,  ///< registered, dropped, acquired, released
  Worker = 1u << 5,    ///< parked, unparked, stole
  Span = 1u << 6,
};
constexpr std::uint32_t kAllEvents = (1u << 7) - 1;

/// Called on the thread where the event happens, sometimes under a runtime lock:
/// an override must not block, allocate, throw, or call back into the runtime.
/// The two runtime_* calls are the exception: they come from Runtime's constructor and destructor,
/// may block, and come whatever the mask says.
class Observer {
 public:
  virtual ~Observer() = default;

  virtual void on_runtime_started(Inspector&) {}
  /// After this returns the inspector is gone: an override waits until nobody uses it.
  virtual void on_runtime_stopping(Inspector&) {}

  virtual void on_task_spawned(const TaskSpawned&, Ticks) noexcept {}
  virtual void on_task_finished(const TaskFinished&, Ticks) noexcept {}
  virtual void on_poll_started(TaskId, WorkerId, Ticks) noexcept {}
  /// `waits` is empty unless the end is Pending and Event::Wait is wanted.
  virtual void on_poll_ended(TaskId, WorkerId, Ticks, PollEnd, std::span<const Wait>) noexcept {}
  /// A wait ended because its branch was destroyed; other waits end with the next poll.
  virtual void on_wait_cancelled(TaskId, BranchId, Ticks) noexcept {}
  virtual void on_woken(const Woken&, Ticks) noexcept {}
  virtual void on_resource_registered(const ResourceRegistered&, Ticks) noexcept {}
  virtual void on_resource_dropped(ResourceId, Ticks) noexcept {}
  virtual void on_resource_acquired(ResourceId, const Holder&, Ticks) noexcept {}
  virtual void on_resource_released(ResourceId, const Holder&, Ticks) noexcept {}
  virtual void on_worker_parked(WorkerId, Ticks) noexcept {}
  virtual void on_worker_unparked(WorkerId, Ticks) noexcept {}
  virtual void on_worker_stole(WorkerId /*thief*/, WorkerId /*from*/, std::uint32_t /*tasks*/,
                               Ticks) noexcept {}
  virtual void on_span_entered(SpanId, TaskId, std::string_view /*name*/, std::span<const Field>,
                               Ticks) noexcept {}
  virtual void on_span_exited(SpanId, TaskId, Ticks) noexcept {}
};

namespace detail {
inline std::atomic<std::uint32_t> mask{0};        // written by set_mask, read by every hook
inline std::atomic<Observer*> observer{nullptr};  // written once by set_observer
}  // namespace detail

/// True when somebody wants this group of events. Checked before a clock is read.
/// Relaxed: the mask publishes nothing; a hook that sees it late records late.
/// TASKSCOPE_WITHOUT_HOOKS compiles the hooks out, to measure what they cost (tests/bench/hooks).
[[nodiscard]] inline bool wants([[maybe_unused]] Event event) noexcept {
#if defined(TASKSCOPE_WITHOUT_HOOKS)
  return false;
#else
  return (detail::mask.load(std::memory_order_relaxed) & static_cast<std::uint32_t>(event)) != 0;
#endif
}

/// True when somebody wants any event: one look for a whole poll, of which nothing is watched.
[[nodiscard]] inline bool wants_any() noexcept {
#if defined(TASKSCOPE_WITHOUT_HOOKS)
  return false;
#else
  return detail::mask.load(std::memory_order_relaxed) != 0;
#endif
}

/// The process's observer. Only meaningful after `wants` said yes or from Runtime's constructor.
/// Acquire pairs with set_observer's release: the observer is whole when a hook calls it.
[[nodiscard]] inline Observer* observer() noexcept {
  return detail::observer.load(std::memory_order_acquire);
}

/// Sets the process's observer: once, before the first Runtime is built; it is never freed.
/// Returns false, and changes nothing, if there is one already.
bool set_observer(Observer& observer) noexcept;

/// Says which events the observer wants from now on; 0 for none. Without an observer it stays 0.
void set_mask(std::uint32_t mask) noexcept;

}  // namespace taskscope::runtime::observe
