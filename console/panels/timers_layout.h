/// Timers: how full each worker's wheel is, what fired late, and what fires next.
#pragma once

#include <span>
#include <vector>

#include "taskscope/console/panels/tables_layout.h"
#include "taskscope/console/panels/timeline_charts_layout.h"

namespace taskscope::console::panels {

/// The wheels of all workers together: a strip for each level, then timers fired and fired late.
/// Everything is sampled. Empty without samples.
[[nodiscard]] std::vector<ChartRow> timer_rows(const session::Model& model,
                                               const ChartOptions& options);

/// A task that waits for a moment.
struct NextTimer {
  std::uint64_t task = 0;
  std::uint64_t deadline_ns = 0;  ///< of the monotonic clock
  std::uint32_t site = 0;         ///< the await
  protocol::WaitOp op = protocol::WaitOp::Sleep;
  bool operator==(const NextTimer&) const = default;
};

/// The soonest of all tasks' timers, among however many tasks: looked for a piece at a time, while
/// the last answer goes on standing.
class NextTimers {
 public:
  explicit NextTimers(std::size_t limit = 100) : limit_(limit) {}
  /// Goes on for about `work` tasks looked at; begins anew when the last answer is complete, the
  /// model went on and `may_renew`. True while there is more to do.
  bool update(const session::Model& model, bool may_renew, std::size_t work = 50'000);
  [[nodiscard]] std::span<const NextTimer> soonest() const { return soonest_; }
  /// Timers that tasks wait for, of those found.
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] bool known() const { return known_; }

 private:
  std::size_t limit_;
  std::uint64_t revision_ = UINT64_MAX;
  std::uint32_t next_slot_ = 0;
  bool busy_ = false, known_ = false;
  std::vector<NextTimer> heap_, soonest_;
  std::size_t counted_ = 0, count_ = 0;
};

/// Soonest first. Overdue ones say by how much.
[[nodiscard]] TableView next_timer_table(const session::Model& model, const NextTimers& timers);

}  // namespace taskscope::console::panels
