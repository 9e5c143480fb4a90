/// Making tasks: spawn, spawn_blocking, and names for them.
#pragma once

#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "taskscope/runtime/task/blocking_body.h"
#include "taskscope/runtime/task/join_handle.h"
#include "taskscope/runtime/task/select.h"
#include "taskscope/runtime/task/task.h"
#include "taskscope/runtime/task/yield.h"

namespace taskscope::runtime {

namespace task {

struct SpawnOptions {
  TaskKind kind = TaskKind::Task;
  Site site;
  std::unique_ptr<Label> label = nullptr;
};

/// The scheduler of the calling thread. std::logic_error outside a runtime.
[[nodiscard]] scheduler::Scheduler& current_scheduler();
/// Makes a body a living task; see Scheduler::adopt, also for what it throws. Not for blocking
/// calls' queueing.
void adopt(scheduler::Scheduler& scheduler, Header& header, const BodyOps& ops,
           SpawnOptions options);
/// Queues a blocking call for the pool, or cancels it if there is none to take it; that is
/// std::system_error unless the runtime shuts down.
void submit_blocking(scheduler::Scheduler& scheduler, Header& header);
/// Polls the task of kind block_on whenever it is woken, until it is complete; see
/// Scheduler::drive.
void drive(scheduler::Scheduler& scheduler, Header& header);
/// std::logic_error if the calling thread may not block, or `scheduler` has shut down.
void require_outside(scheduler::Scheduler& scheduler);

template <class T>
struct CoroutineBody {
  [[nodiscard]] static Promise<T>& promise(Header& header) noexcept {
    return std::coroutine_handle<Promise<T>>::from_address(header.body()).promise();
  }
  /// Of a body that has ended.
  [[nodiscard]] static PromiseResult<T>& result(Header& header) noexcept {
    return *std::launder(static_cast<PromiseResult<T>*>(header.body()));
  }
  static T take(Header& header) { return result(header).take(); }
  static void destroy(Header& header) noexcept {
    std::coroutine_handle<>::from_address(header.body()).destroy();
  }
  static bool end(Header& header) noexcept {
    // The frame is larger: its promise holds one of these. Its memory stays, as the task's.
    PromiseResult<T> kept(static_cast<PromiseResult<T>&&>(promise(header)));
    destroy(header);
    return (new (header.body()) PromiseResult<T>(std::move(kept)))->threw();
  }
  static constexpr BodyOps kOps{
      .destroy = &destroy,
      .end = &end,
      .destroy_result = [](Header& header) noexcept { std::destroy_at(&result(header)); },
      .run = nullptr,
      .exception = [](Header& header) noexcept { return result(header).exception(); },
  };
};

/// Makes a header in front of a frame, of which only one word was alive.
[[nodiscard]] Header& make_header(void* body) noexcept;

template <class T>
Header& root_header(Task<T>& task) {
  if (!task.valid())
    throw std::logic_error("this Task was awaited or spawned before, or moved from");
  auto& promise = task.promise();
  Header& header = make_header(promise.handle().address());
  header.root.leaf = &promise;
  promise.start_in(&header.root, nullptr);
  return header;
}

template <class T>
JoinHandle<T> spawn_on(scheduler::Scheduler& scheduler, Task<T> task, SpawnOptions options) {
  Header& header = root_header(task);
  // From here on the frame belongs to the header.
  static_cast<void>(task.release());
  JoinHandle<T> handle(Reference::adopt(&header), &CoroutineBody<T>::take);
  adopt(scheduler, header, CoroutineBody<T>::kOps, std::move(options));
  return handle;
}

template <class F>
auto spawn_blocking_on(scheduler::Scheduler& scheduler, F call, SpawnOptions options) {
  using T = std::invoke_result_t<F&&>;
  using Body = BlockingBody<F, T>;
  void* memory = allocate_body(sizeof(Body));
  Header& header = make_header(memory);
  try {
    new (memory) Body(std::move(call));
  } catch (...) {
    release_body(memory);
    throw;
  }
  options.kind = TaskKind::Blocking;
  JoinHandle<T> handle(Reference::adopt(&header),
                       [](Header& done) -> T { return Body::of(done).take(); });
  adopt(scheduler, header, Body::kOps, std::move(options));
  submit_blocking(scheduler, header);
  return handle;
}

template <class T>
T block_on(scheduler::Scheduler& scheduler, Task<T> task, SpawnOptions options) {
  require_outside(scheduler);
  Header& header = root_header(task);
  static_cast<void>(task.release());
  options.kind = TaskKind::BlockOn;
  const auto reference = Reference::adopt(&header);
  adopt(scheduler, header, CoroutineBody<T>::kOps, std::move(options));
  drive(scheduler, header);
  if (header.outcome == observe::Outcome::Cancelled) throw Cancelled();
  return CoroutineBody<T>::take(header);
}

}  // namespace task

/// Runs `task` concurrently, on any worker of the current runtime, beginning soon.
///
/// Shape    the handle gives the task's result; dropped, it lets the task run on.
/// Errors   std::logic_error outside a runtime (use Runtime::spawn or Handle::spawn there), and for
///          a Task that was awaited, spawned or moved from; std::bad_alloc.
/// Source   tokio::spawn
template <class T>
JoinHandle<T> spawn(Task<T> task, observe::Site site = observe::Site::current()) {
  return task::spawn_on(task::current_scheduler(), std::move(task), {.site = site});
}

/// Makes a call that blocks, on a thread of the blocking pool. It can't be aborted once it runs.
///
/// Errors   as spawn; std::system_error (resource_unavailable_try_again) when the pool has no
///          thread and the system gives none: the call is not made. The handle throws Cancelled if
///          the runtime shuts down before the call begins.
/// Source   tokio::task::spawn_blocking
template <class F>
auto spawn_blocking(F call, observe::Site site = observe::Site::current()) {
  return task::spawn_blocking_on(task::current_scheduler(), std::move(call), {.site = site});
}

namespace task {

/// A task with a name and fields that watchers show.
///
/// Shape    `task::Builder().name("conn").field("peer", address).spawn(serve(...))`; of more than
///          16 fields the first are shown.
/// Errors   as spawn and spawn_blocking.
/// Source   tokio::task::Builder
class Builder {
 public:
  Builder&& name(std::string name) && {
    label_->name = std::move(name);
    return std::move(*this);
  }
  Builder&& field(std::string key, std::string value) && {
    label_->fields.emplace_back(std::move(key), std::move(value));
    return std::move(*this);
  }
  template <class T>
  JoinHandle<T> spawn(Task<T> task, Site site = Site::current()) && {
    return spawn_on(current_scheduler(), std::move(task),
                    {.site = site, .label = std::move(label_)});
  }
  /// Defined in task/local_set.h.
  template <class T>
  JoinHandle<T> spawn_local(Task<T> task, Site site = Site::current()) &&;
  template <class F>
  auto spawn_blocking(F call, Site site = Site::current()) && {
    return spawn_blocking_on(current_scheduler(), std::move(call),
                             {.site = site, .label = std::move(label_)});
  }

 private:
  std::unique_ptr<Label> label_ = std::make_unique<Label>();
};

}  // namespace task
}  // namespace taskscope::runtime
