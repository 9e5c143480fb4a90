/// Which of the sleeping workers keeps watch while others work (see worker.cpp).
#pragma once

#include <cstdint>

#include "taskscope/runtime/atomic.h"
#include "taskscope/runtime/scheduler/idle_set.h"

namespace taskscope::runtime::scheduler {

/// Taken and given back by the worker itself. Relaxed where nothing else is said: who keeps watch
/// only decides how soon something is noticed.
class Watch {
 public:
  /// True: the worker keeps it, now or already.
  [[nodiscard]] bool begin(std::uint32_t worker) noexcept {
    auto nobody = IdleSet::kNobody;
    return keeper_.compare_exchange_strong(nobody, worker, std::memory_order_relaxed,
                                           std::memory_order_relaxed) ||
           nobody == worker;
  }
  void give_up(std::uint32_t worker) noexcept {
    auto keeper = worker;
    keeper_.compare_exchange_strong(keeper, IdleSet::kNobody, std::memory_order_relaxed,
                                    std::memory_order_relaxed);
  }
  /// kNobody, or the worker.
  [[nodiscard]] std::uint32_t keeper() const noexcept {
    return keeper_.load(std::memory_order_relaxed);
  }

  /// May the keeper sleep without a limit, as it wants to? Not while anybody works; and who begins
  /// to work from now on sees is_deep().
  [[nodiscard]] bool try_deep(bool wanted, const IdleSet& idle) noexcept {
    deep_.store(wanted, std::memory_order_relaxed);
    if (!wanted) return false;
    // seq_cst: forbids that the count is read before the store is visible. Pairs with the fence
    // between a worker's being counted as awake and its is_deep().
    fence(std::memory_order_seq_cst);
    if (idle.awake() == 0) return true;
    deep_.store(false, std::memory_order_relaxed);
    return false;
  }
  [[nodiscard]] bool is_deep() const noexcept { return deep_.load(std::memory_order_relaxed); }

 private:
  Atomic<std::uint32_t> keeper_{IdleSet::kNobody};
  Atomic<bool> deep_{false};  // written by the keeper
};

}  // namespace taskscope::runtime::scheduler
