#include "taskscope/tests/runtime/interleave/workers.h"

#include "taskscope/runtime/scheduler/driver_access.h"
#include "taskscope/runtime/task/poll.h"
#include "taskscope/runtime/task/task_local.h"
#include "taskscope/runtime/task/thread_wait.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::interleave {

using runtime::task::Header;
using runtime::task::State;

namespace {
Workers* workers = nullptr;
}

Workers::Workers() { workers = this; }
Workers::~Workers() { workers = nullptr; }

void Workers::work() {
  while (auto* const next = static_cast<Header*>(queue_.take())) {
    Header& task = *next;
    bool done = true;
    if (task.state.to_running() == State::Taken::Cancel) {
      task.outcome = runtime::observe::Outcome::Cancelled;
      task.ops->destroy(task);
    } else {
      runtime::task::poll_body(task);
      done = task.body_done();
      if (done && task.ops->end(task)) task.outcome = runtime::observe::Outcome::Exception;
    }
    if (done) {
      finish(task);
    } else if (task.again != 0 || task.state.to_idle()) {
      queue_.put(&task);
    }
  }
}

void Workers::finish(Header& task) {
  runtime::task::complete(task);
  if (--alive_ == 0) queue_.close();
}

}  // namespace taskscope::interleave

// What the scheduler answers to tasks.
namespace taskscope::runtime::task {

const LocalValue*& local_values() noexcept {
  static const LocalValue* values = nullptr;  // no case has any
  return values;
}
void report_unhandled(const Header&, std::exception_ptr) noexcept {}

void submit(Header* task) noexcept {
  if (task != nullptr) interleave::workers->submit(*task);
}
void wake_thread(Header& task) noexcept {
  interleave::check(ThreadHeader::is(task), "no task here is one of block_on");
  static_cast<ThreadHeader&>(task).wake();
}
void report_wake(Header&, BranchId, observe::ResourceId) noexcept {}
TaskId current_task_id() noexcept { return TaskId::None; }
WakeOrigin::WakeOrigin(observe::WakeCause cause, int fd) noexcept {
  had_ = false;
  cause_before_ = cause;
  fd_before_ = fd;
}
WakeOrigin::~WakeOrigin() = default;
void WakeOrigin::set_fd(int fd) noexcept { fd_before_ = fd; }

Header& make_header(void* body) noexcept {
  auto* memory = static_cast<Header*>(body) - 1;
  const auto frame_bytes = memory->frame_bytes;
  auto& header = *new (memory) Header;
  header.frame_bytes = frame_bytes;
  header.state.init_none();
  return header;
}
void adopt(scheduler::Scheduler& scheduler, Header& header, const BodyOps& ops, SpawnOptions) {
  header.scheduler = &scheduler;
  header.ops = &ops;
  header.runtime = observe::RuntimeId{1};
  header.state.init_scheduled();
  interleave::workers->adopted(header);
  interleave::workers->submit(header);
}
void awaited_twice() noexcept { std::abort(); }
void miscompiled_coroutine() noexcept { std::abort(); }

}  // namespace taskscope::runtime::task

namespace taskscope::runtime::scheduler {

time::Timers& current_timers() noexcept { std::abort(); }
void timer_inserted(time::Timers&, std::uint64_t) noexcept {}

}  // namespace taskscope::runtime::scheduler
