#include "taskscope/runtime/runtime.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
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

Handle::Handle(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept
    : scheduler_(std::move(scheduler)) {}

RuntimeMetrics Handle::metrics() const { return scheduler_->metrics(); }

Runtime::Runtime() : Runtime(Builder::multi_thread().build()) {}
Runtime::Runtime(std::shared_ptr<scheduler::Scheduler> scheduler) noexcept
    : scheduler_(std::move(scheduler)) {}

Runtime::~Runtime() {
  if (scheduler_) shutdown();
}

void Runtime::shutdown() {
  if (scheduler::context().scheduler == scheduler_.get()) {
    // A worker can't wait for itself to stop.
    std::fputs(
        "taskscope: a Runtime was shut down or destroyed from inside one of its own tasks; "
        "move it out and destroy it on another thread\n",
        stderr);
    std::abort();
  }
  scheduler_->shutdown();
}

observe::Inspector& Runtime::inspector() noexcept { return *scheduler_; }

Runtime Builder::build() const {
  constexpr std::uint32_t kMaxWorkers = 1024;
  const std::uint32_t workers = workers_ != 0 ? workers_ : available_processors();
  if (workers > kMaxWorkers) {
    throw std::invalid_argument("worker_threads: at most 1024 workers are supported");
  }
  if (max_blocking_ == 0) {
    throw std::invalid_argument("max_blocking_threads: must be at least 1");
  }
  if (event_interval_ == 0) throw std::invalid_argument("event_interval: must be at least 1");
  return Runtime(start({.workers = workers,
                        .max_blocking_threads = max_blocking_,
                        .thread_name = thread_name_,
                        .event_interval = event_interval_,
                        .histograms = histograms_.scales()}));
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
  if (scheduler.pool().submit(header)) return;
  cancel_blocking(header);
  if (!scheduler.is_stopping()) {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                            "spawn_blocking: no thread could be started for the call");
  }
}

void require_outside(scheduler::Scheduler& scheduler) {
  if (scheduler::context().scheduler != nullptr) {
    throw std::logic_error(
        "block_on was called inside a runtime, where it would hold up a worker: co_await the task "
        "instead");
  }
  if (scheduler.is_shut_down())
    throw std::logic_error("block_on was called after the runtime shut down");
}

void drive(scheduler::Scheduler& scheduler, Header& header, Atomic<std::uint32_t>& parked_thread) {
  const scheduler::ContextScope scope({.scheduler = &scheduler});
  while (!header.state.is_complete()) {
    // Acquire: pairs with submit's release; the word is 1 exactly while the task is queued.
    if (parked_thread.exchange(0, std::memory_order_acquire) == 1) {
      scheduler.poll_elsewhere(header);
    } else {
      futex_wait(parked_thread, 0, kForever);
    }
  }
}

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
