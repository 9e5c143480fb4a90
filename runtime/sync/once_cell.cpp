#include "taskscope/runtime/sync/once_cell.h"

#include <array>

#include "taskscope/runtime/observe/observer.h"

namespace taskscope::runtime::sync {

namespace {
observe::Holder filled_by(TaskId task) noexcept {
  observe::Holder holder;
  holder.task = task;
  holder.certain = task != TaskId::None;
  return holder;
}
}  // namespace

void OnceCore::begin(TaskId task) noexcept {
  // Relaxed: publishes nothing.
  state_.store(State::Filling, std::memory_order_relaxed);
  filler_ = task;
  if (observe::wants(observe::Event::Resource)) report_acquired(filled_by(task));
}

bool OnceCore::try_begin() noexcept {
  const auto task = task::current_task_id();
  const std::lock_guard guard(lock_);
  if (state_.load(std::memory_order_relaxed) != State::Empty) return false;
  begin(task);
  return true;
}

bool OnceCore::Waiting::try_now() noexcept {
  const auto state = owner().state_.load(std::memory_order_relaxed);
  granted_ = state == State::Empty;
  if (granted_) owner().begin(task::current_task_id());
  return state != State::Filling;
}

void OnceCore::fill() noexcept {
  task::WakeBatch batch;
  std::unique_lock lock(lock_);
  if (observe::wants(observe::Event::Resource)) report_released(filled_by(filler_));
  // Release: pairs with is_full's acquire.
  state_.store(State::Full, std::memory_order_release);
  filler_ = TaskId::None;
  line_.wake_all(lock, batch);
}

void OnceCore::give_up() noexcept {
  task::WakeBatch batch;
  const std::lock_guard guard(lock_);
  if (observe::wants(observe::Event::Resource)) report_released(filled_by(filler_));
  state_.store(State::Empty, std::memory_order_relaxed);
  filler_ = TaskId::None;
  if (line_.empty()) return;
  auto& next = static_cast<Waiting&>(*line_.front());
  begin(next.task_id());
  line_.wake(next, true, batch);
}

void OnceCore::clear() noexcept {
  const std::lock_guard guard(lock_);
  state_.store(State::Empty, std::memory_order_relaxed);
}

void OnceCore::describe(observe::ResourceView& view,
                        void (*visit)(const observe::ResourceView&, void*), void* context) {
  State state = State::Empty;
  TaskId filler = TaskId::None;
  {
    const std::lock_guard guard(lock_);
    state = state_.load(std::memory_order_relaxed);
    filler = filler_;
    view.waiters = line_.size();
  }
  const std::array holders{filled_by(filler)};
  if (state == State::Filling) view.holders = holders;
  const std::array attributes{
      observe::Attribute{"initialized", "", state == State::Full ? 1u : 0u}};
  view.attributes = attributes;
  visit(view, context);
}

}  // namespace taskscope::runtime::sync
