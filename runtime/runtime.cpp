#include "taskscope/runtime/runtime.h"

#include <limits.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <stdexcept>
#include <string>
#include <system_error>

#include "taskscope/runtime/scheduler/context.h"
#include "taskscope/runtime/scheduler/scheduler.h"
#include "taskscope/runtime/spin_gate.h"

namespace taskscope::runtime {

namespace {

std::shared_ptr<scheduler::Scheduler> start(scheduler::Config config) {
  auto started = std::make_shared<scheduler::Scheduler>(std::move(config));
  started->start();
  return started;
}

}  // namespace

EnterGuard::EnterGuard(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept
    : scheduler_(std::move(scheduler)), scope_([this] {
        const scheduler::Context& here = scheduler::context();
        return scheduler::Context{
            .scheduler = scheduler_.get(),
            .task = here.task,
            .may_block = here.scheduler == nullptr || here.may_block,
            .entered = true,
        };
      }()) {}

Handle::Handle(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept
    : scheduler_(std::move(scheduler)) {}

RuntimeMetrics Handle::metrics() const { return scheduler_->metrics(); }

Handle Handle::current() {
  auto handle = try_current();
  if (!handle) {
    throw std::logic_error(
        "Handle::current was called outside a runtime: call it from a task, or enter one");
  }
  return *std::move(handle);
}

std::optional<Handle> Handle::try_current() noexcept {
  auto* const scheduler = scheduler::context().scheduler;
  if (scheduler == nullptr) return std::nullopt;
  return Handle(scheduler->shared_from_this());
}

Runtime::Runtime() : Runtime(Builder::multi_thread().build()) {}
Runtime::Runtime(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept
    : scheduler_(std::move(scheduler)) {}

Runtime::~Runtime() {
  if (scheduler_) shutdown();
}

void Runtime::shutdown() {
  // A worker can't wait for itself to stop.
  if (scheduler_->is_inside()) return shutdown_background();
  scheduler_->shutdown();
}

void Runtime::shutdown_background() {
  scheduler::Scheduler::shutdown_elsewhere(scheduler_, [] {});
}

void Runtime::shutdown_timeout(std::chrono::nanoseconds wait) {
  if (scheduler_->is_inside()) return shutdown_background();
  const auto done = std::make_shared<std::promise<void>>();
  auto is_done = done->get_future();
  scheduler::Scheduler::shutdown_elsewhere(scheduler_, [done] { done->set_value(); });
  // So that a deadline can be computed from any time.
  constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24 * 365);
  static_cast<void>(is_done.wait_for(std::min(wait, kLongest)));
}

observe::Inspector& Runtime::inspector() noexcept { return *scheduler_; }

Runtime Builder::build() const {
  constexpr std::uint32_t kMaxWorkers = 1024;
  constexpr std::uint32_t kMaxIoEvents = 1u << 20;
  const auto require = [](bool right, const char* otherwise) {
    if (!right) throw std::invalid_argument(otherwise);
  };
  auto config = config_;
  if (!has_workers_) config.workers = available_processors();
  require(config.workers >= 1, "worker_threads: must be at least 1");
  require(config.workers <= kMaxWorkers, "worker_threads: at most 1024 workers are supported");
  if (config.current_thread) config.workers = 1;
  require(config.max_blocking_threads >= 1, "max_blocking_threads: must be at least 1");
  require(config.thread_keep_alive >= std::chrono::nanoseconds::zero(),
          "thread_keep_alive: must not be negative");
  require(config.thread_stack_bytes == 0 ||
              config.thread_stack_bytes >= static_cast<std::size_t>(PTHREAD_STACK_MIN),
          "thread_stack_size: smaller than the system allows (PTHREAD_STACK_MIN)");
  require(config.event_interval >= 1, "event_interval: must be at least 1");
  if (!has_global_queue_interval_) {
    config.global_queue_interval = config.current_thread ? 31 : config.event_interval;
  }
  require(config.global_queue_interval >= 1, "global_queue_interval: must be at least 1");
  require(config.max_io_events >= 1 && config.max_io_events <= kMaxIoEvents,
          "max_io_events_per_tick: must be 1 to 1048576");
  require(config.current_thread || !config.start_paused,
          "start_paused: only the clock of a current_thread runtime can be paused");
  require(config.current_thread || !config.shuffle_tasks,
          "shuffle_tasks: only the tasks of a current_thread runtime can be shuffled");
  config.histograms = histograms_.scales();
  return Runtime(start(std::move(config)));
}

namespace task {

scheduler::Scheduler& current_scheduler() {
  auto* scheduler = scheduler::context().scheduler;
  if (scheduler == nullptr) {
    throw std::logic_error(
        "spawn was called outside a runtime: call it from a task, or use Runtime::spawn or "
        "Handle::spawn");
  }
  return *scheduler;
}

Header& make_header(void* body) noexcept {
  auto* memory = static_cast<Header*>(body) - 1;
  const auto frame_bytes = memory->frame_bytes;  // left there by operator new
  auto& header = *new (memory) Header;
  header.frame_bytes = frame_bytes;
  header.state.init_none();
  return header;
}

void adopt(scheduler::Scheduler& scheduler, Header& header, const BodyOps& ops,
           SpawnOptions options) {
  scheduler.adopt(header, ops, {options.kind, options.site, options.label.release()});
}

void submit_blocking(scheduler::Scheduler& scheduler, Header& header) {
  if (header.state.is_complete()) return;  // the runtime had shut down
  scheduler.blocking_began();
  if (scheduler.pool().submit(header)) return;
  cancel_blocking(header);
  if (!scheduler.is_stopping()) {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                            "spawn_blocking: no thread could be started for the call");
  }
}

void require_outside(scheduler::Scheduler& scheduler) {
  const scheduler::Context& here = scheduler::context();
  if (here.scheduler != nullptr && !here.may_block) {
    throw std::logic_error(
        "block_on was called inside a runtime, where it would hold up a worker: co_await the task "
        "instead");
  }
  if (scheduler.is_stopping()) {
    scheduler.rethrow_unhandled();
    throw std::logic_error("block_on was called after the runtime shut down");
  }
}

void drive(scheduler::Scheduler& scheduler, Header& header) { scheduler.drive(header); }

void awaited_twice() noexcept {
  std::fputs(
      "taskscope: a JoinHandle was awaited by two tasks at once; let one of them await it and tell "
      "the other\n",
      stderr);
  std::abort();
}

void miscompiled_coroutine() noexcept {
  std::fputs(
      "taskscope: the compiler misplaced a coroutine frame (GCC 12 does for some coroutines); see "
      "\"GCC 12\" "
      "in the README for what to write instead\n",
      stderr);
  std::abort();
}

}  // namespace task
}  // namespace taskscope::runtime
