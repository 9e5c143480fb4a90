/// What the runtime keeps of a task, in front of the task's body, in the same allocation.
///
///     one allocation:  [ Header | coroutine frame (resume, destroy, promise, locals) ]
///
/// Every frame of Task<T> has room for a Header in front, because a coroutine is made before
/// anybody knows whether it will be spawned or awaited by another; an awaited frame leaves all but
/// two words of it untouched. The body can end before the memory does: destroying the frame gives
/// the memory to the reference count.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/observe/facts.h"
#include "taskscope/runtime/task/frame_pool.h"
#include "taskscope/runtime/task/state.h"

namespace taskscope::runtime::scheduler {
class Scheduler;
class LocalTasks;
class Root;
}  // namespace taskscope::runtime::scheduler

namespace taskscope::runtime::task {

using observe::BranchId;
using observe::Site;
using observe::TaskId;
using observe::TaskKind;

class Header;
class PromiseBase;
class Waiter;
class Group;
struct LocalValue;

/// A strand of awaiting inside a task: the task's own body, or an arm of select, join, timeout.
/// All of it belongs to whoever holds the task's kRunning bit.
class Branch {
 public:
  PromiseBase* leaf = nullptr;  ///< the innermost suspended coroutine: what a wake resumes; null
                                ///< when its body has ended
  Waiter* waiter = nullptr;     ///< what it waits for; null before the first poll
  BranchId id = BranchId::Root;
  bool woken = false;      ///< a wake named this branch; taken from Header::ready
  bool announced = false;  ///< the observer was told of its wait, which is not over

  [[nodiscard]] bool is_arm() const noexcept { return id != BranchId::Root; }
  [[nodiscard]] Header& task() const noexcept;
};

/// An arm of select, join or timeout: a branch with a group that it reports to.
class Arm : public Branch {
 public:
  Header* owner = nullptr;  ///< the task
  Group* group = nullptr;
  Arm* next = nullptr;                 // list of the task's live arms
  Arm** link = nullptr;                // what points here
  const LocalValue* locals = nullptr;  // in force while it runs; see task_local.h
  std::uint32_t index = 0;             // in the group
  bool declined = false;               // ended without a result, out of a select
};

/// What differs between a coroutine and a blocking call, as one static table a type.
struct BodyOps {
  void (*destroy)(Header&) noexcept;  ///< destroys a body that has not ended
  /// A coroutine ran to its end: destroys it, with what it was passed by value, as a future is
  /// dropped. Only the result stays, in its place. True: it is an exception.
  bool (*end)(Header&) noexcept;
  void (*destroy_result)(Header&) noexcept;  ///< of a completed body
  /// Blocking calls: makes the call; true: it threw. Null for coroutines.
  bool (*run)(Header&) noexcept;
  std::exception_ptr (*exception)(Header&) noexcept;  ///< of a completed body; null: none
};

/// What few tasks have.
struct Label {
  std::string name;
  std::vector<std::pair<std::string, std::string>> fields;
  // Of tasks of kind Local:
  std::shared_ptr<scheduler::LocalTasks> local = nullptr;
  Header* next_local = nullptr;  ///< both: the set's list, and its thread's
  Header* previous_local = nullptr;
};

/// Told of a task's end, in the place of a task that awaits it.
class Completion {
 public:
  /// Once, on the thread that ended the task, with no lock held.
  virtual void completed() noexcept = 0;

 protected:
  ~Completion() = default;
};

class alignas(16) Header {
 public:
  /// First, as Branch::task() wants. What follows up to `outcome` lies in its tail.
  [[no_unique_address]] Branch root;
  std::uint8_t again = 0;   ///< kYielded and so on: why this poll ends in a queue
  std::uint8_t budget = 0;  ///< awaits left in this poll
  TaskKind kind = TaskKind::Task;
  observe::Outcome outcome = observe::Outcome::Done;
  State state;
  union {
    Header* queue_next = nullptr;  ///< link of the injection queue
    scheduler::Root* thread;       ///< BlockOn: the thread that polls it
  };
  scheduler::Scheduler* scheduler = nullptr;
  const BodyOps* ops = nullptr;
  TaskId id = TaskId::None;
  TaskId parent = TaskId::None;
  Site site;
  Arm* arms = nullptr;  ///< live ones, in the order of Group::link; owner of kRunning only
  union {
    Header* join_task =
        nullptr;             ///< the task that awaits this one; owned as State::kJoinWaker says
    Completion* completion;  ///< likewise, if join_branch is kCompletes
  };
  Label* label = nullptr;
  // Written by the owner of kRunning, read by anybody: relaxed, they publish nothing.
  std::atomic<std::uint32_t> polls{0};
  std::atomic<std::uint32_t> last_poll_ms{0};
  std::uint32_t spawned_ms =
      0;  ///< both: low half of CLOCK_MONOTONIC in ms, from the worker's cached tick
  std::uint32_t frame_bytes = 0;
  std::uint32_t slot = 0;  ///< in the registry
  std::atomic<std::uint32_t> wakers{0};
  /// Branches named by a wake, as bits of (id mod 32): a hint that says which branches to ask.
  Atomic<std::uint32_t> ready{0};
  observe::RuntimeId runtime = observe::RuntimeId::None;
  /// While it is queued: since when, if schedule latency is measured (metrics::QueueStamp). Written
  /// by who queues it.
  std::uint32_t scheduled_at;
  BranchId join_branch = BranchId::Root;
  std::uint16_t last_branch = 0;

  /// In the place of a branch of `join_task`; the id of no branch.
  static constexpr BranchId kCompletes{0xffff};
  static constexpr std::uint8_t kYielded = 1, kRootYielded = 2, kOutOfBudget = 4;

  Header() noexcept = default;
  Header(const Header&) = delete;
  Header& operator=(const Header&) = delete;

  /// The coroutine ran to its end; only for one that was polled.
  [[nodiscard]] bool body_done() const noexcept { return root.leaf == nullptr; }
  [[nodiscard]] void* body() noexcept { return this + 1; }
  [[nodiscard]] static Header& of_body(void* body) noexcept {
    return static_cast<Header*>(body)[-1];
  }

  /// Has what a poll touches first fetched: the header and the start of the frame.
  void prefetch() const noexcept {
    constexpr std::size_t kLine = 64;
    for (std::size_t at = 0; at < sizeof(Header) + kLine; at += kLine)
      __builtin_prefetch(reinterpret_cast<const char*>(this) + at, 1);
  }

  void add_reference() noexcept { state.add_reference(); }
  void drop_reference() noexcept;
  /// Nobody refers to it any more.
  void free() noexcept;

  /// Names a branch and wakes. Null: somebody else queues the task or it runs or is over.
  [[nodiscard]] Header* notify(BranchId branch) noexcept {
    // Release: pairs with the acquire exchange in the poll; what the waker wrote is seen with the
    // bit.
    ready.fetch_or(bit_of(branch), std::memory_order_release);
    return state.to_scheduled() ? this : nullptr;
  }
  /// The same where an arm is named only: the root is asked in every poll.
  [[nodiscard]] Header* wake(BranchId branch) noexcept {
    if (branch != BranchId::Root) [[unlikely]]
      return notify(branch);
    return state.to_scheduled() ? this : nullptr;
  }
  [[nodiscard]] static std::uint32_t bit_of(BranchId branch) noexcept {
    return std::uint32_t{1} << (observe::number(branch) % 32);
  }
};
static_assert(sizeof(Header) <= 144, "every task and every awaited frame pays for it");
static_assert(std::is_standard_layout_v<Header>, "its address is that of its root");

inline Header& Branch::task() const noexcept {
  if (is_arm()) [[unlikely]]
    return *static_cast<const Arm*>(this)->owner;
  return *reinterpret_cast<Header*>(const_cast<Branch*>(this));
}

/// Memory for a header and `body_bytes` behind it. Throws std::bad_alloc.
[[nodiscard]] inline void* allocate_body(std::size_t body_bytes) {
  const std::size_t bytes = sizeof(Header) + body_bytes;
  auto* header = static_cast<Header*>(allocate_frame(bytes));
  // Only what tells a task from an awaited frame, and the size.
  new (&header->state) State;
  header->state.init_none();
  header->frame_bytes = static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX));
  return header->body();
}
/// Called when a body is gone: frees the memory now, or leaves it to the references of a task.
inline void release_body(void* body) noexcept {
  Header& header = Header::of_body(body);
  if (!header.state.is_task()) free_frame(&header, header.frame_bytes);
}

}  // namespace taskscope::runtime::task
