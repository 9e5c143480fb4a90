/// Tasks that never leave their thread.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/scheduler/local_tasks.h"
#include "taskscope/runtime/spawn.h"

namespace taskscope::runtime {

namespace task {

/// Makes a body a local task, and queues it.
template <class T>
JoinHandle<T> spawn_local_in(scheduler::LocalTasks& tasks, Task<T> task, SpawnOptions options) {
  scheduler::Scheduler& scheduler = tasks.bind();
  if (!options.label) options.label = std::make_unique<Label>();
  options.label->local = tasks.shared_from_this();
  options.kind = TaskKind::Local;
  Header& header = root_header(task);
  static_cast<void>(task.release());
  JoinHandle<T> handle(Reference::adopt(&header), &CoroutineBody<T>::take);
  adopt(scheduler, header, CoroutineBody<T>::kOps, std::move(options));
  tasks.adopt(header);
  return handle;
}

template <class T>
Task<T> run_local(std::shared_ptr<scheduler::LocalTasks> tasks, Task<T> task) {
  const scheduler::LocalTasks::Attachment attached(std::move(tasks));
  co_return co_await std::move(task);
}

}  // namespace task

/// Tasks that are polled and destroyed on the thread that made the set, so that what they share
/// needs no lock. They run while the task given to a block_on, not one it spawned, awaits the set:
/// by run_until, or until all of them have ended by `co_await local_set`. On either kind of
/// runtime; other tasks go on meanwhile, in a current_thread runtime in turn with these.
///
/// Shape    LocalSet local;
///          runtime.block_on(local.run_until(serve()));    // serve() calls spawn_local
///          Dropping the set destroys its tasks. Movable, on its thread.
/// Errors   std::logic_error, which says what to do, when the set is used on another thread, is
///          awaited anywhere else or twice at a time, or belongs to another runtime already.
///          Dropping it on another thread aborts.
/// Cancel   safe: a cancelled await leaves the tasks where they are, for the next one.
/// Source   tokio::task::LocalSet
class LocalSet {
 public:
  LocalSet() : tasks_(std::make_shared<scheduler::LocalTasks>()) {}
  LocalSet(LocalSet&&) noexcept = default;
  LocalSet& operator=(LocalSet&& other) noexcept {
    if (this != &other) {
      const LocalSet before(std::move(*this));
      tasks_ = std::move(other.tasks_);
    }
    return *this;
  }
  ~LocalSet() {
    if (tasks_) tasks_->close();
  }

  /// Within a runtime, also before the set is awaited.
  template <class T>
  JoinHandle<T> spawn_local(Task<T> task, observe::Site site = observe::Site::current()) {
    return task::spawn_local_in(*tasks_, std::move(task), {.site = site});
  }
  /// Awaits `task` within the task of block_on; local tasks run until it ends.
  template <class T>
  [[nodiscard]] Task<T> run_until(Task<T> task) {
    return task::run_local(tasks_, std::move(task));
  }
  /// The same from outside. Shape and Errors: as Runtime::block_on.
  template <class T>
  T block_on(Runtime& runtime, Task<T> task, observe::Site site = observe::Site::current()) {
    return runtime.block_on(run_until(std::move(task)), site);
  }
  /// `co_await local_set`: until no task is left.
  [[nodiscard]] scheduler::LocalTasks::Ended awaiter() {
    return scheduler::LocalTasks::Ended(tasks_);
  }
  /// Tasks that live.
  [[nodiscard]] std::size_t size() const noexcept { return tasks_->size(); }

 private:
  std::shared_ptr<scheduler::LocalTasks> tasks_;
};

/// Runs `task` concurrently, on this thread: in the LocalSet of the calling local task, or, within
/// run_until, in that one.
///
/// Errors   std::logic_error anywhere else; std::bad_alloc.
/// Source   tokio::task::spawn_local
template <class T>
JoinHandle<T> spawn_local(Task<T> task, observe::Site site = observe::Site::current()) {
  return task::spawn_local_in(scheduler::LocalTasks::current(), std::move(task), {.site = site});
}

namespace task {

template <class T>
JoinHandle<T> Builder::spawn_local(Task<T> task, Site site) && {
  return spawn_local_in(scheduler::LocalTasks::current(), std::move(task),
                        {.site = site, .label = std::move(label_)});
}

}  // namespace task
}  // namespace taskscope::runtime
