/// A point that a number of tasks reach before any of them goes on.
#pragma once

#include <cstddef>
#include <cstdint>

#include "taskscope/runtime/sync/wait_list.h"

namespace taskscope::runtime::sync {

/// What wait() gives.
class BarrierWaitResult {
 public:
  explicit BarrierWaitResult(bool leader) noexcept : leader_(leader) {}
  /// True for one of the tasks that go on together: the one that came last.
  [[nodiscard]] bool is_leader() const noexcept { return leader_; }

 private:
  bool leader_;
};

/// Lets tasks go on when `count` of them wait; then the next `count` may come. 0 counts as 1.
///
/// Shape    `const auto result = co_await barrier.wait();` The barrier must outlive its waits.
/// Cancel   safe: a cancelled wait has not arrived, unless all had arrived already. (tokio's counts
///          as arrived.)
/// Watch    how many are expected and how many have arrived; nobody knows who is still to come.
/// Source   tokio::sync::Barrier
class Barrier final : public Waitable {
 public:
  explicit Barrier(std::size_t count, Site site = Site::current()) noexcept
      : Barrier(count, "", site) {}
  /// `name` is shown to watchers and must live for ever: a string literal.
  Barrier(std::size_t count, const char* name, Site site = Site::current()) noexcept
      : Waitable(observe::ResourceKind::Barrier, "Barrier", site, name),
        expected_(count != 0 ? count : 1) {
    if (*name != '\0') registered();
  }
  ~Barrier() { leave(); }

  class [[nodiscard]] Waiting final : public WaitNodeOf<Barrier> {
   public:
    ~Waiting();
    [[nodiscard]] bool await_ready() noexcept { return waited() ? settled() : arrive_last(); }
    template <class Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> awaiting) noexcept {
      return start(awaiting.promise());
    }
    BarrierWaitResult await_resume() noexcept {
      static_cast<void>(take_grant());
      return BarrierWaitResult(leads_);
    }

   private:
    friend Barrier;
    explicit Waiting(Barrier& barrier) noexcept : WaitNodeOf(barrier, observe::WaitOp::Arrive) {}
    /// True: all have arrived with this one, and were let go.
    [[nodiscard]] bool arrive_last() noexcept;
    [[nodiscard]] bool start(task::PromiseBase& awaiting) noexcept;

    std::uint64_t round_ = 0;  // locked
    bool leads_ = false;
  };

  /// Arrives, and waits until all have.
  ///
  /// Cancel   safe: see above.
  Waiting wait() noexcept { return Waiting(*this); }

  void describe(observe::ResourceView& view, void (*visit)(const observe::ResourceView&, void*),
                void* context) override;

 private:
  const std::size_t expected_;
  std::size_t arrived_ = 0;  // in this round; these three: under lock_
  std::uint64_t round_ = 0;
  WaitList line_;
};

}  // namespace taskscope::runtime::sync
