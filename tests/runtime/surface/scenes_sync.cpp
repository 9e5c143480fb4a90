#include <cstdlib>
#include <string>

#include "taskscope/runtime/sync/barrier.h"
#include "taskscope/runtime/sync/cancellation_token.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/once_cell.h"
#include "taskscope/runtime/sync/rw_lock.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/tests/runtime/surface/scene.h"

namespace taskscope::runtime::surface_test {

namespace {

using observe::ResourceKind;
using observe::WaitOp;

struct Locked : Scene {
  sync::Mutex<> mutex;
  sync::Mutex<>::OwnedGuard held;
  Task<void> prepare() override { held = co_await mutex.lock_owned(); }
  void complete() override { held.unlock(); }
  task::Resource* resource() override { return &mutex.resource(); }
};
struct MutexLock final : Locked {
  Task<void> wait() override { const auto guard = co_await mutex.lock(); }
};
struct MutexLockOwned final : Locked {
  Task<void> wait() override { const auto guard = co_await mutex.lock_owned(); }
};

struct Written : Scene {
  sync::RwLock<> lock;
  sync::RwLock<>::OwnedWriteGuard held;
  Task<void> prepare() override { held = co_await lock.write_owned(); }
  void complete() override { held.unlock(); }
  task::Resource* resource() override { return &lock.resource(); }
};
struct RwRead final : Written {
  Task<void> wait() override { const auto guard = co_await lock.read(); }
};
struct RwReadOwned final : Written {
  Task<void> wait() override { const auto guard = co_await lock.read_owned(); }
};
struct RwWrite final : Written {
  Task<void> wait() override { const auto guard = co_await lock.write(); }
};
struct RwWriteOwned final : Written {
  Task<void> wait() override { const auto guard = co_await lock.write_owned(); }
};
/// Behind another reader, where there may be one.
struct RwReadLimited final : Scene {
  sync::RwLock<> lock = sync::RwLock<>::with_max_readers({}, 1);
  sync::RwLock<>::OwnedReadGuard held;
  Task<void> prepare() override { held = co_await lock.read_owned(); }
  Task<void> wait() override { const auto guard = co_await lock.read(); }
  void complete() override { held.unlock(); }
  task::Resource* resource() override { return &lock.resource(); }
};
/// Behind a reader, instead of a writer.
struct RwWriteRead final : Scene {
  sync::RwLock<> lock;
  sync::RwLock<>::OwnedReadGuard held;
  Task<void> prepare() override { held = co_await lock.read_owned(); }
  Task<void> wait() override { const auto guard = co_await lock.write(); }
  void complete() override { held.unlock(); }
  task::Resource* resource() override { return &lock.resource(); }
};

struct Taken : Scene {
  sync::Semaphore semaphore{3};
  sync::Semaphore::OwnedPermit held;
  Task<void> prepare() override { held = co_await semaphore.acquire_owned(3); }
  void complete() override { held.release(); }
  task::Resource* resource() override { return &semaphore; }
};
struct SemaphoreAcquire final : Taken {
  Task<void> wait() override { const auto permit = co_await semaphore.acquire(); }
};
struct SemaphoreAcquireOwned final : Taken {
  Task<void> wait() override { const auto permit = co_await semaphore.acquire_owned(); }
};
/// As many as there are: who waits has gathered two of them.
struct SemaphoreAcquireMany final : Taken {
  Task<void> prepare() override { held = co_await semaphore.acquire_owned(1); }
  Task<void> wait() override { const auto permit = co_await semaphore.acquire(3); }
};
struct SemaphoreClose final : Taken {
  Task<void> wait() override { const auto permit = co_await semaphore.acquire(); }
  void complete() override { semaphore.close(); }
};

struct Notified : Scene {
  sync::Notify notify;
  Task<void> wait() override { co_await notify.notified(); }
  task::Resource* resource() override { return &notify; }
};
struct NotifyOne final : Notified {
  void complete() override { notify.notify_one(); }
};
struct NotifyWaiters final : Notified {
  void complete() override { notify.notify_waiters(); }
};
struct NotifyLast final : Notified {
  void complete() override { notify.notify_last(); }
};
struct NotifyEnabled final : Notified {
  Task<void> wait() override {
    auto notified = notify.notified();
    const bool at_once = notified.enable();
    if (!at_once) co_await notified;
  }
  void complete() override { notify.notify_one(); }
};

struct BarrierWait final : Scene {
  static constexpr std::uint64_t kExpected = 4;
  sync::Barrier barrier{kExpected};
  std::uint64_t arrived = 0;

  Task<void> wait() override {
    const auto result = co_await barrier.wait();
    static_cast<void>(result);
  }
  Task<void> lead_up() override {
    for (look(); arrived + 1 < kExpected; look()) {
      spawn(wait()).detach();
      co_await yield_now();
    }
  }
  /// The last to come does not wait.
  void complete() override {
    auto last = barrier.wait();
    if (!last.await_ready()) std::abort();
    static_cast<void>(last.await_resume());
  }
  task::Resource* resource() override { return &barrier; }
  void look() {
    observe::ResourceView view;
    barrier.describe(
        view,
        [](const observe::ResourceView& seen, void* count) {
          for (const auto& attribute : seen.attributes)
            if (attribute.name == "arrived") *static_cast<std::uint64_t*>(count) = attribute.value;
        },
        &arrived);
  }
};

/// Somebody else fills the cell, and has not done so yet.
struct Filled : Scene {
  sync::OnceCell<int> cell;
  sync::Notify go_on;
  bool fails = false;

  Task<int> fill() {
    co_await go_on.notified();
    if (fails) throw 1;
    co_return 1;
  }
  Task<void> filler() {
    // Named first: GCC 12 misplaces lambdas with captures inside an awaiting expression.
    const auto make = [this] { return fill(); };
    try {
      const int* value = co_await cell.get_or_init(make);
      static_cast<void>(value);
    } catch (int) {
      // Now it is for another to fill.
    }
  }
  Task<void> prepare() override {
    spawn(filler()).detach();
    while (!cell_is_taken()) co_await yield_now();
  }
  [[nodiscard]] bool cell_is_taken() {
    bool taken = false;
    observe::ResourceView view;
    cell.resource().describe(
        view,
        [](const observe::ResourceView& seen, void* to) {
          *static_cast<bool*>(to) = !seen.holders.empty();
        },
        &taken);
    return taken;
  }
  Task<void> wait() override {
    const auto make = []() -> Task<int> { co_return 2; };
    const int* value = co_await cell.get_or_init(make);
    static_cast<void>(value);
  }
  void complete() override { go_on.notify_one(); }
  task::Resource* resource() override { return &cell.resource(); }
};
struct OnceCellGetOrInit final : Filled {};
struct OnceCellGetOrTryInit final : Filled {
  Task<void> wait() override {
    const auto make = []() -> Task<Result<int, std::string>> { co_return 2; };
    const auto value = co_await cell.get_or_try_init(make);
    if (!value) std::abort();
  }
};
struct OnceCellTakeOver final : Filled {
  OnceCellTakeOver() { fails = true; }
};

struct TokenCancelled : Scene {
  sync::CancellationToken token;
  Task<void> wait() override { co_await token.cancelled(); }
  void complete() override { token.cancel(); }
  task::Resource* resource() override { return &token.resource(); }
};
struct TokenCancelledParent final : TokenCancelled {
  sync::CancellationToken child = token.child_token();
  Task<void> wait() override { co_await child.cancelled(); }
  task::Resource* resource() override { return &child.resource(); }
};
struct TokenRunUntil final : TokenCancelled {
  sync::Notify never;
  Task<void> work() { co_await never.notified(); }
  Task<void> wait() override {
    const bool ended = co_await token.run_until_cancelled(work());
    if (ended) std::abort();
  }
};

}  // namespace

std::vector<Row> sync_rows() {
  return {
      {"Mutex::lock", make<MutexLock>, WaitOp::Lock, ResourceKind::Mutex, kHeld},
      {"Mutex::lock_owned", make<MutexLockOwned>, WaitOp::Lock, ResourceKind::Mutex, kHeld},
      {"RwLock::read", make<RwRead>, WaitOp::ReadLock, ResourceKind::RwLock, kHeld},
      {"RwLock::read_owned", make<RwReadOwned>, WaitOp::ReadLock, ResourceKind::RwLock, kHeld},
      {"RwLock::write", make<RwWrite>, WaitOp::WriteLock, ResourceKind::RwLock, kHeld},
      {"RwLock::write_owned", make<RwWriteOwned>, WaitOp::WriteLock, ResourceKind::RwLock, kHeld},
      {"RwLock::read of too many", make<RwReadLimited>, WaitOp::ReadLock, ResourceKind::RwLock,
       kHeld},
      {"RwLock::write behind a reader", make<RwWriteRead>, WaitOp::WriteLock, ResourceKind::RwLock,
       kHeld},
      {"Semaphore::acquire", make<SemaphoreAcquire>, WaitOp::Acquire, ResourceKind::Semaphore,
       kHeld},
      {"Semaphore::acquire_owned", make<SemaphoreAcquireOwned>, WaitOp::Acquire,
       ResourceKind::Semaphore, kHeld},
      {"Semaphore::acquire, several", make<SemaphoreAcquireMany>, WaitOp::Acquire,
       ResourceKind::Semaphore, kHeld},
      {"Semaphore::acquire, then close", make<SemaphoreClose>, WaitOp::Acquire,
       ResourceKind::Semaphore, kHeld},
      {"Notify::notified, notify_one", make<NotifyOne>, WaitOp::Notified, ResourceKind::Notify},
      {"Notify::notified, notify_last", make<NotifyLast>, WaitOp::Notified, ResourceKind::Notify},
      {"Notify::notified, notify_waiters", make<NotifyWaiters>, WaitOp::Notified,
       ResourceKind::Notify},
      {"Notify::notified, enabled", make<NotifyEnabled>, WaitOp::Notified, ResourceKind::Notify},
      {"Barrier::wait", make<BarrierWait>, WaitOp::Arrive, ResourceKind::Barrier},
      {"OnceCell::get_or_init", make<OnceCellGetOrInit>, WaitOp::Get, ResourceKind::OnceCell,
       kHeld},
      {"OnceCell::get_or_try_init", make<OnceCellGetOrTryInit>, WaitOp::Get, ResourceKind::OnceCell,
       kHeld},
      {"OnceCell::get_or_init, after one that failed", make<OnceCellTakeOver>, WaitOp::Get,
       ResourceKind::OnceCell, kHeld},
      {"CancellationToken::cancelled", make<TokenCancelled>, WaitOp::Notified, ResourceKind::Other},
      {"CancellationToken::cancelled, of a child", make<TokenCancelledParent>, WaitOp::Notified,
       ResourceKind::Other},
      {"CancellationToken::run_until_cancelled", make<TokenRunUntil>, WaitOp::Notified,
       ResourceKind::Other, 0, observe::BranchMode::Any},
  };
}

}  // namespace taskscope::runtime::surface_test
