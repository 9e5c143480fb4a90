/// Millions of intervals of one lane, drawn at any zoom in microseconds.
///
/// Rows are kept in columns of 18 bytes: start, duration, time queued before, tag, what followed.
/// Above them stands a pyramid that only grows: each node sums up 16 of the level below. A query
/// walks down from the top and stops where a node is narrower than what can be told apart, so its
/// cost follows the number of pixels, not the number of rows. Rows live in segments of 4096: no
/// reallocation is larger than a segment, and the oldest segments can be dropped.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace taskscope::console::session {

/// One interval. In a worker's polls `tag` is the task, in a task's polls the lane.
struct Row {
  std::uint64_t from = 0, to = 0;  ///< ticks
  std::uint64_t queued = 0;        ///< ticks from the wake to the start; 0: unknown
  std::uint64_t tag = 0;
  std::uint16_t wait = 0;  ///< what followed: index into Model::wait_kinds()
};

/// What a query gives: one row, or a run of rows too narrow to tell apart.
struct TickSlice {
  std::uint64_t from = 0, to = 0;
  std::uint64_t busy = 0;  ///< ticks covered by rows
  std::uint64_t queued = 0;
  std::uint64_t longest = 0;      ///< the longest row of the run
  std::uint64_t longest_tag = 0;  ///< and its tag
  std::uint32_t rows = 0;         ///< 1: exactly one row
  std::uint16_t wait = 0;         ///< of the last row, where rows == 1
};

class Track {
 public:
  static constexpr std::size_t kFanOut = 16;
  static constexpr std::size_t kSegmentRows = 4096;

  /// Appends; a row that begins before the last one ended is moved up to it. Returns its number,
  /// which stays valid when older rows are dropped.
  std::uint64_t append(const Row& row);
  /// What followed the row is often known a moment later. Ignored for dropped rows.
  void set_wait(std::uint64_t number, std::uint16_t wait);

  /// Rows that touch [from, to), in order, folded where narrower than `resolution` ticks. Slices do
  /// not overlap; `out` is appended to. Never more than 2 * (to - from) / resolution + 2 slices.
  void query(std::uint64_t from, std::uint64_t to, std::uint64_t resolution,
             std::vector<TickSlice>& out) const;

  /// Rows [first(), end()) are there.
  [[nodiscard]] std::uint64_t first() const noexcept { return first_segment_ * kSegmentRows; }
  [[nodiscard]] std::uint64_t end() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return first() >= end(); }
  [[nodiscard]] Row row(std::uint64_t number) const;
  /// The first row that ends after `ticks`; end() if none.
  [[nodiscard]] std::uint64_t row_after(std::uint64_t ticks) const;
  [[nodiscard]] std::uint64_t last_end() const noexcept { return last_end_; }

  /// Calls visit(number) for each row in [number, end) whose tag is wanted(tag).
  template <class Wanted, class Visit>
  void scan_tags(std::uint64_t number, std::uint64_t end, Wanted wanted, Visit visit) const;

  /// Drops whole segments that end before `ticks`.
  void drop_before(std::uint64_t ticks);
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  struct Node {
    std::uint64_t from = 0, to = 0, busy = 0, queued = 0, longest = 0, longest_tag = 0;
  };
  struct Segment {
    std::uint64_t base = 0, base_tag = 0;
    std::uint32_t rows = 0;
    // Narrow columns relative to the bases; the wide ones replace them once a value does not fit.
    std::vector<std::uint32_t> starts, durations, queued, tags;
    std::vector<std::uint64_t> wide_starts, wide_durations, wide_queued, wide_tags;
    std::vector<std::uint16_t> waits;
    std::vector<Node> fine;            // of 16 rows
    std::array<Node, kFanOut> middle;  // of 256
    Node whole;                        // of 4096
    [[nodiscard]] bool wide() const noexcept { return !wide_starts.empty(); }
    [[nodiscard]] std::uint64_t start(std::size_t i) const noexcept {
      return base + (wide() ? wide_starts[i] : starts[i]);
    }
    [[nodiscard]] std::uint64_t duration(std::size_t i) const noexcept {
      return wide() ? wide_durations[i] : durations[i];
    }
    [[nodiscard]] std::uint64_t tag(std::size_t i) const noexcept {
      return base_tag + (wide() ? wide_tags[i] : tags[i]);
    }
    [[nodiscard]] std::uint64_t queue(std::size_t i) const noexcept {
      return wide() ? wide_queued[i] : queued[i];
    }
    /// Levels 0, 1 and 2: fine, middle, whole.
    [[nodiscard]] const Node& node(std::size_t level, std::size_t index) const noexcept {
      return level == 0 ? fine[index] : level == 1 ? middle[index] : whole;
    }
    [[nodiscard]] std::size_t nodes(std::size_t level) const noexcept {
      return (rows + (std::size_t{kFanOut} << (4 * level)) - 1) >> (4 * (level + 1));
    }
    void widen();
    [[nodiscard]] std::size_t memory_bytes() const noexcept;
  };
  class Query;

  [[nodiscard]] const Segment& segment(std::uint64_t index) const {
    return *segments_[static_cast<std::size_t>(index - first_segment_)];
  }
  static void add(Node& node, const Row& row, bool is_first);

  std::deque<std::unique_ptr<Segment>> segments_;
  std::vector<std::vector<Node>> upper_;  // of 16, 256, ... segments, by absolute index
  std::uint64_t first_segment_ = 0, count_ = 0, last_end_ = 0;
};

template <class Wanted, class Visit>
void Track::scan_tags(std::uint64_t number, std::uint64_t end, Wanted wanted, Visit visit) const {
  if (number < first()) number = first();
  if (end > count_) end = count_;
  while (number < end) {
    const auto& part = segment(number / kSegmentRows);
    const auto begin = static_cast<std::size_t>(number % kSegmentRows);
    auto rows = static_cast<std::size_t>(part.rows);
    if (rows - begin > end - number) rows = begin + static_cast<std::size_t>(end - number);
    for (std::size_t i = begin; i < rows; ++i)
      if (wanted(part.tag(i))) visit(number - begin + i);
    number += rows - begin;
  }
}

}  // namespace taskscope::console::session
