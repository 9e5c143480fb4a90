#include "taskscope/instrumentation/observer.h"

#include "taskscope/instrumentation/engine.h"
#include "taskscope/instrumentation/recorder.h"
#include "taskscope/runtime/observe/observer.h"

namespace taskscope::instrumentation {

namespace {

using namespace runtime::observe;

class RecordingObserver final : public Observer {
 public:
  void on_runtime_started(Inspector& inspector) override {
    if (Engine* const engine = current_engine()) engine->runtime_started(inspector);
  }
  void on_runtime_stopping(Inspector& inspector) override {
    if (Engine* const engine = current_engine()) engine->runtime_stopping(inspector);
  }

  void on_task_spawned(const TaskSpawned& spawned, Ticks now) noexcept override {
    recorder::task_spawned(spawned, now);
  }
  void on_task_finished(const TaskFinished& finished, Ticks now) noexcept override {
    recorder::task_finished(finished, now);
  }
  void on_poll_started(TaskId task, WorkerId worker, Ticks now) noexcept override {
    recorder::poll_started(task, worker, now);
  }
  void on_poll_ended(TaskId task, WorkerId, Ticks now, PollEnd end,
                     std::span<const Wait> waits) noexcept override {
    recorder::poll_ended(task, now, end, waits);
  }
  void on_wait_cancelled(TaskId task, BranchId branch, Ticks now) noexcept override {
    recorder::wait_cancelled(task, branch, now);
  }
  void on_woken(const Woken& woken, Ticks now) noexcept override { recorder::woken(woken, now); }
  void on_resource_registered(const ResourceRegistered& resource, Ticks now) noexcept override {
    recorder::resource_registered(resource, now);
  }
  void on_resource_dropped(ResourceId resource, Ticks now) noexcept override {
    recorder::resource_dropped(resource, now);
  }
  void on_resource_acquired(ResourceId resource, const Holder& holder,
                            Ticks now) noexcept override {
    recorder::resource_acquired(resource, holder, now);
  }
  void on_resource_released(ResourceId resource, const Holder& holder,
                            Ticks now) noexcept override {
    recorder::resource_released(resource, holder, now);
  }
  void on_worker_parked(WorkerId worker, Ticks now) noexcept override {
    recorder::worker_parked(worker, now);
  }
  void on_worker_unparked(WorkerId worker, Ticks now) noexcept override {
    recorder::worker_unparked(worker, now);
  }
  void on_worker_stole(WorkerId thief, WorkerId from, std::uint32_t tasks,
                       Ticks now) noexcept override {
    recorder::worker_stole(thief, from, tasks, now);
  }
  void on_span_entered(SpanId span, TaskId task, std::string_view name,
                       std::span<const Field> fields, Ticks now) noexcept override {
    recorder::span_entered(span, task, name, fields, now);
  }
  void on_span_exited(SpanId span, TaskId task, Ticks now) noexcept override {
    recorder::span_exited(span, task, now);
  }
};

}  // namespace

void set_observer_of_process() noexcept {
  static auto* const recording = new RecordingObserver;
  set_observer(*recording);
}

}  // namespace taskscope::instrumentation
