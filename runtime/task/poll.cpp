#include "taskscope/runtime/task/poll.h"

#include <array>
#include <utility>

#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/task/task_local.h"
#include "taskscope/runtime/task/wake.h"

namespace taskscope::runtime::task {

namespace {

/// Turns the bits that wakes left into marks on branches. An arm shares its bit with others once
/// there were more than 31: a mark too many asks a waiter in vain.
void take_ready(Header& task) noexcept {
  // Relaxed look first: a plain task woken through its waiter has none, and saves the exchange.
  if (task.ready.load(std::memory_order_relaxed) == 0) return;
  // Acquire: pairs with notify().
  const auto bits = task.ready.exchange(0, std::memory_order_acquire);
  if ((bits & Header::bit_of(BranchId::Root)) != 0) task.root.woken = true;
  for (Arm* arm = task.arms; arm != nullptr; arm = arm->next) {
    if ((bits & Header::bit_of(arm->id)) != 0) arm->woken = true;
  }
}

bool may_go_on(Branch& branch) noexcept {
  const bool woken = std::exchange(branch.woken, false);
  return branch.leaf != nullptr && (branch.waiter == nullptr || branch.waiter->ready(woken));
}

Branch* next_runnable(Header& task) noexcept {
  if (may_go_on(task.root)) return &task.root;
  // From the start each time: what was resumed last may have destroyed arms or made new ones.
  for (Arm* arm = task.arms; arm != nullptr; arm = arm->next) {
    if (arm->woken && may_go_on(*arm)) return arm;
  }
  return nullptr;
}

void resume(Branch& branch) {
  branch.waiter = nullptr;
  branch.announced = false;
  branch.leaf->handle().resume();
}

observe::Wait wait_of(const Branch& branch) noexcept {
  observe::Wait wait;
  wait.branch = branch.id;
  if (branch.is_arm()) {
    const auto& arm = static_cast<const Arm&>(branch);
    wait.parent = arm.group->owner()->id;
  }
  if (branch.leaf != nullptr) wait.site = branch.leaf->site();
  if (branch.waiter != nullptr) branch.waiter->describe(wait);
  return wait;
}

}  // namespace

void poll_body(Header& task) {
  task.budget = kBudget;
  const auto again = std::exchange(task.again, std::uint8_t{0});
  take_ready(task);
  if (task.arms == nullptr) [[likely]] {
    // A plain task goes on once a poll: what wakes it while it runs has it queued again. One that
    // yielded need not be asked.
    if ((again & Header::kRootYielded) == 0 && !may_go_on(task.root)) return;
    resume(task.root);
    if (task.body_done() || task.arms == nullptr) return;
  }
  while (Branch* branch = next_runnable(task)) {
    if (branch->is_arm() && static_cast<const Arm*>(branch)->locals != nullptr) [[unlikely]] {
      const LocalsInForce in_force(static_cast<const Arm*>(branch)->locals);
      resume(*branch);
    } else {
      resume(*branch);
    }
    if (task.body_done()) return;
    // Here and not in the arm's last suspension: its group may destroy its frame.
    if (branch->is_arm() && branch->leaf == nullptr) {
      auto& arm = static_cast<Arm&>(*branch);
      arm.group->arm_done(arm);
    }
  }
}

std::size_t collect_waits(Header& task, std::span<observe::Wait> out) noexcept {
  std::size_t count = 0;
  if (out.empty()) return 0;
  out[count++] = wait_of(task.root);
  for (Arm* arm = task.arms; arm != nullptr && count < out.size(); arm = arm->next) {
    // An arm that is done waits for nothing; its group knows.
    if (arm->leaf == nullptr) continue;
    out[count++] = wait_of(*arm);
    arm->announced = true;
  }
  return count;
}

void visit_branches(const Header& task, bool with_frames, BranchVisit visit, void* context) {
  std::array<Site, kMaxFrames> frames;
  const auto visit_one = [&](const Branch& branch) {
    std::size_t count = 0;
    bool cut = false;
    if (with_frames && branch.leaf != nullptr) {
      std::size_t depth = 0;
      for (const PromiseBase* at = branch.leaf; at != nullptr; at = at->awaiter()) ++depth;
      cut = depth > kMaxFrames;
      count = cut ? kMaxFrames : depth;
      // Root first. Of a stack too deep the innermost frames stay, and the outermost one.
      std::size_t i = count;
      const PromiseBase* at = branch.leaf;
      for (; at != nullptr && i > (cut ? 1u : 0u); at = at->awaiter()) frames[--i] = at->site();
      if (cut) {
        while (at->awaiter() != nullptr) at = at->awaiter();
        frames[0] = at->site();
      }
    }
    visit(wait_of(branch), std::span(frames.data(), count), cut, context);
  };
  visit_one(task.root);
  for (const Arm* arm = task.arms; arm != nullptr; arm = arm->next) {
    if (arm->leaf != nullptr) visit_one(*arm);
  }
}

void Group::link(Arm& arm, Branch& owner, Arm* after) noexcept {
  Header& task = owner.task();
  arm.owner = &task;
  // Id 0 is the root's; ids are reused only after 65,534 arms of one task.
  if (++task.last_branch == observe::number(Header::kCompletes)) task.last_branch = 1;
  arm.id = BranchId{task.last_branch};
  arm.locals = owner.is_arm() ? static_cast<const Arm&>(owner).locals : nullptr;
  Arm* const previous = after != nullptr ? after
                        : owner.is_arm() ? &static_cast<Arm&>(owner)
                                         : nullptr;
  arm.link = previous != nullptr ? &previous->next : &task.arms;
  arm.next = *arm.link;
  if (arm.next != nullptr) arm.next->link = &arm.next;
  *arm.link = &arm;
}

void Group::unlink(Arm& arm) noexcept {
  if (arm.link == nullptr) return;
  // Still announced: destroyed while it waited. The end of a task says so of its root.
  if (std::exchange(arm.announced, false) && observe::wants(observe::Event::Wait)) {
    observe::observer()->on_wait_cancelled(arm.owner->id, arm.id, observe::read_ticks());
  }
  *arm.link = arm.next;
  if (arm.next != nullptr) arm.next->link = arm.link;
  arm.link = nullptr;
}

void Group::satisfy() noexcept {
  satisfied_ = true;
  // Within the poll: the owner goes on when the arm's last suspension has returned to poll_body.
  branch_->woken = true;
}

void Header::drop_reference() noexcept {
  if (state.drop_reference()) free();
}

void Header::free() noexcept {
  // An exception that is still there was taken by nobody, and now nobody can.
  if (outcome == observe::Outcome::Exception) [[unlikely]] {
    if (auto exception = ops->exception(*this)) report_unhandled(*this, std::move(exception));
  }
  // A cancelled body was destroyed when it was cancelled; others hold the result until here.
  if (outcome != observe::Outcome::Cancelled) ops->destroy_result(*this);
  delete label;
  free_frame(this, frame_bytes);
}

}  // namespace taskscope::runtime::task
