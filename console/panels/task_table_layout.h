/// Which tasks the table lists, in which order; and the text of a row.
///
/// With a million tasks a full sort takes longer than a frame. So the order is made anew a piece
/// at a time (scan, sorted runs, merges), while the table goes on showing the last one that was
/// complete. A row is a slot and an id: rows whose task is gone meanwhile are passed by.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/palette.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::panels {

struct TaskOrder {
  TaskColumn column = TaskColumn::Busy;
  bool descending = true;
  Shown shown = Shown::All;
  std::string filter;
  bool operator==(const TaskOrder&) const = default;
};

[[nodiscard]] std::string_view title_of(TaskColumn column);
/// The direction a first click on the column's title sorts in.
[[nodiscard]] bool descends_first(TaskColumn column);

/// The words of a filter; a task is listed if all of them are found. A word is looked for in name,
/// function, place, state, kind, id and fields; `state:`, `kind:`, `name:`, `id:`, `at:` and
/// `field:` before it say where. A word with `-` before it must not be found. Case does not matter.
class TaskFilter {
 public:
  explicit TaskFilter(std::string_view text);
  [[nodiscard]] bool passes(const session::Model& model, const session::Task& task);

 private:
  enum class Where : std::uint8_t { Anywhere, Name, Id, State, Kind, Place, Field };
  struct Word {
    Where where = Where::Anywhere;
    bool wanted = true;
    std::string text;
  };
  [[nodiscard]] bool found(const session::Model& model, const session::Task& task,
                           std::size_t word);
  [[nodiscard]] bool site_has(const session::Model& model, std::uint32_t site, std::size_t word);

  std::vector<Word> words_;
  /// Call sites are few and tasks are many: what was found out about a site, by site and word.
  std::unordered_map<std::uint64_t, bool> sites_;
};

class TaskTableLayout {
 public:
  struct Row {
    std::uint32_t slot = 0;
    std::uint64_t id = 0;
  };

  /// Goes on with the order, for about `work` rows looked at or moved; begins anew when `order`
  /// changed, or when the last one is complete, the model went on and `may_renew`. True while there
  /// is more to do.
  bool update(const session::Model& model, const TaskOrder& order, bool may_renew,
              std::size_t work = 40'000);
  /// update() until the order is complete.
  void finish(const session::Model& model, const TaskOrder& order);

  [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }
  /// Tasks that the filter was asked about.
  [[nodiscard]] std::size_t considered() const { return considered_; }
  /// The task of a row; null once it is gone.
  [[nodiscard]] const session::Task* task(const session::Model& model, std::size_t row) const;

 private:
  struct Keyed {
    std::uint64_t high = 0, low = 0;  // of the sort key, larger first
    Row row;
  };
  enum class Phase : std::uint8_t { Idle, Scan, SortRuns, Merge };
  static constexpr std::size_t kRun = 8192;

  void begin(const session::Model& model, const TaskOrder& order);
  [[nodiscard]] std::size_t scan(const session::Model& model, std::size_t work);
  [[nodiscard]] std::size_t sort_runs(std::size_t work);
  [[nodiscard]] std::size_t merge(std::size_t work);
  void complete();
  [[nodiscard]] Keyed key_of(const session::Model& model, const session::Task& task) const;
  [[nodiscard]] static bool before(const Keyed& a, const Keyed& b);

  TaskOrder order_;
  Phase phase_ = Phase::Idle;
  std::uint64_t revision_ = UINT64_MAX;
  TaskFilter filter_{""};
  std::unordered_map<std::uint32_t, std::uint64_t> site_rank_;
  std::uint32_t next_slot_ = 0;
  std::size_t scanned_ = 0, considered_ = 0;
  std::vector<Keyed> keyed_, merged_;
  std::size_t run_ = 0, at_ = 0, left_ = 0, right_ = 0;
  std::uint64_t now_ = 0;
  std::vector<Row> rows_;
};

/// A row's cells as text, with the colour of its state and its call site.
struct TaskCells {
  std::array<std::string, kTaskColumns> text;
  Colour state_colour = colour::kDone, site = colour::kDone;
  bool dim = false;  ///< finished
};
[[nodiscard]] TaskCells task_cells(const session::Model& model, const session::Task& task);

}  // namespace taskscope::console::panels
