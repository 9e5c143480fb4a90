#include "taskscope/console/session/track.h"

#include <algorithm>

namespace taskscope::console::session {
namespace {

constexpr bool fits(std::uint64_t value) noexcept { return value <= UINT32_MAX; }

template <class To, class From>
void move_wide(std::vector<To>& to, std::vector<From>& from) {
  to.assign(from.begin(), from.end());
  std::vector<From>{}.swap(from);
}

template <class T>
std::size_t bytes_of(const std::vector<T>& values) noexcept {
  return values.capacity() * sizeof(T);
}

}  // namespace

void Track::Segment::widen() {
  move_wide(wide_starts, starts);
  move_wide(wide_durations, durations);
  move_wide(wide_queued, queued);
  move_wide(wide_tags, tags);
}

std::size_t Track::Segment::memory_bytes() const noexcept {
  std::size_t sum = sizeof(Segment) + bytes_of(starts) + bytes_of(durations) + bytes_of(queued) +
                    bytes_of(tags) + bytes_of(wide_starts) + bytes_of(wide_durations) +
                    bytes_of(wide_queued) + bytes_of(wide_tags) + bytes_of(waits);
  return sum + bytes_of(fine);
}

void Track::add(Node& node, const Row& row, bool is_first) {
  const auto duration = row.to - row.from;
  if (is_first) {
    node = {row.from, row.to, duration, row.queued, duration, row.tag};
    return;
  }
  node.to = row.to;
  node.busy += duration;
  node.queued += row.queued;
  if (duration > node.longest) {
    node.longest = duration;
    node.longest_tag = row.tag;
  }
}

std::uint64_t Track::append(const Row& given) {
  Row row = given;
  row.from = std::max(row.from, last_end_);
  row.to = std::max(row.to, row.from);
  last_end_ = row.to;

  const std::uint64_t number = count_;
  const std::uint64_t index = number / kSegmentRows;
  if (number % kSegmentRows == 0) {
    auto fresh = std::make_unique<Segment>();
    fresh->base = row.from;
    fresh->base_tag = row.tag > INT32_MAX ? row.tag - INT32_MAX : 0;  // room on both sides
    segments_.push_back(std::move(fresh));
  }
  Segment& part = *segments_.back();
  const std::uint64_t start = row.from - part.base, duration = row.to - row.from;
  const std::uint64_t tag = row.tag - part.base_tag;  // wraps below the base; then it is not narrow
  const bool narrow = fits(start) && fits(duration) && fits(row.queued) && fits(tag);
  if (part.wide() || !narrow) {
    if (!part.wide()) part.widen();
    part.wide_starts.push_back(start);
    part.wide_durations.push_back(duration);
    part.wide_queued.push_back(row.queued);
    part.wide_tags.push_back(tag);
  } else {
    part.starts.push_back(static_cast<std::uint32_t>(start));
    part.durations.push_back(static_cast<std::uint32_t>(duration));
    part.queued.push_back(static_cast<std::uint32_t>(row.queued));
    part.tags.push_back(static_cast<std::uint32_t>(tag));
  }
  part.waits.push_back(row.wait);

  const std::size_t position = part.rows;
  if (position % kFanOut == 0) part.fine.emplace_back();
  add(part.fine.back(), row, position % kFanOut == 0);
  add(part.middle[position / (kFanOut * kFanOut)], row, position % (kFanOut * kFanOut) == 0);
  add(part.whole, row, position == 0);
  // A level comes into being when the one below it outgrows one node, and takes over what is there.
  if (upper_.empty()) upper_.emplace_back();
  for (std::size_t k = 0; k < upper_.size(); ++k) {
    const auto at = static_cast<std::size_t>(index >> (4 * (k + 1)));
    const bool is_first = at == upper_[k].size();
    if (is_first && at == 1 && k + 1 == upper_.size()) upper_.push_back({upper_[k].front()});
    if (is_first) upper_[k].emplace_back();
    add(upper_[k][at], row, is_first);
  }
  ++part.rows;
  ++count_;
  return number;
}

void Track::set_wait(std::uint64_t number, std::uint16_t wait) {
  if (number < first() || number >= count_) return;
  auto& part = *segments_[static_cast<std::size_t>(number / kSegmentRows - first_segment_)];
  part.waits[static_cast<std::size_t>(number % kSegmentRows)] = wait;
}

Row Track::row(std::uint64_t number) const {
  const auto& part = segment(number / kSegmentRows);
  const auto i = static_cast<std::size_t>(number % kSegmentRows);
  const auto from = part.start(i);
  return {from, from + part.duration(i), part.queue(i), part.tag(i), part.waits[i]};
}

std::uint64_t Track::row_after(std::uint64_t ticks) const {
  const auto part =
      std::partition_point(segments_.begin(), segments_.end(),
                           [&](const auto& candidate) { return candidate->whole.to <= ticks; });
  if (part == segments_.end()) return count_;
  std::size_t low = 0, high = (*part)->rows;
  while (low < high) {
    const auto middle = (low + high) / 2;
    if ((*part)->start(middle) + (*part)->duration(middle) <= ticks)
      low = middle + 1;
    else
      high = middle;
  }
  const auto index = static_cast<std::uint64_t>(part - segments_.begin()) + first_segment_;
  return index * kSegmentRows + low;
}

void Track::drop_before(std::uint64_t ticks) {
  while (segments_.size() > 1 && segments_.front()->whole.to <= ticks) {
    segments_.pop_front();
    ++first_segment_;
  }
}

std::size_t Track::memory_bytes() const noexcept {
  std::size_t sum = sizeof(Track);
  for (const auto& part : segments_) sum += part->memory_bytes();
  for (const auto& level : upper_) sum += bytes_of(level);
  return sum;
}

/// One walk down the pyramid, left to right.
class Track::Query {
 public:
  Query(const Track& track, std::uint64_t from, std::uint64_t to, std::uint64_t resolution,
        std::vector<TickSlice>& out)
      : track_(track), from_(from), to_(to), resolution_(resolution), out_(out) {}

  void run() {
    if (track_.empty() || from_ >= to_) return;
    const auto top = track_.upper_.size() - 1;
    for (std::size_t i = 0; i < track_.upper_[top].size() && !past_; ++i) upper(top, i);
    if (open_.rows > 0) out_.push_back(open_);
  }

 private:
  void upper(std::size_t level, std::size_t index) {
    const auto first_part = static_cast<std::uint64_t>(index) << (4 * (level + 1));
    const auto last_part = first_part + (std::uint64_t{1} << (4 * (level + 1)));
    if (last_part <= track_.first_segment_) return;
    const Node& node = track_.upper_[level][index];
    if (outside(node)) return;
    const auto last_row = std::min(last_part * kSegmentRows, track_.count_);
    const auto rows = last_row - first_part * kSegmentRows;
    if (first_part >= track_.first_segment_ && rows > 1 && whole(node)) {
      take(node, rows);
      return;
    }
    if (level > 0) {
      const auto below = track_.upper_[level - 1].size();
      for (std::size_t i = index * kFanOut; i < std::min(below, (index + 1) * kFanOut) && !past_;
           ++i)
        upper(level - 1, i);
      return;
    }
    const auto end = std::min(last_part, track_.first_segment_ + track_.segments_.size());
    constexpr std::uint64_t kAhead = 4;
    for (auto i = std::max(first_part, track_.first_segment_); i < end && !past_; ++i) {
      if (i + kAhead < track_.first_segment_ + track_.segments_.size()) {
        const auto& soon = track_.segment(i + kAhead);
        for (std::size_t k = 0; k < kFanOut; k += 2)
          __builtin_prefetch(&soon.middle[k]);
        __builtin_prefetch(&soon.whole);
        __builtin_prefetch(&soon);
      }
      within(track_.segment(i), 2, 0);
    }
  }

  void within(const Segment& part, std::size_t level, std::size_t index) {
    const Node& node = part.node(level, index);
    if (outside(node)) return;
    const std::size_t rows_each = std::size_t{1} << (4 * (level + 1));
    const auto begin = index * rows_each, end = std::min<std::size_t>(part.rows, begin + rows_each);
    if (end - begin > 1 && whole(node)) {  // of a single row the node does not know all
      take(node, end - begin);
      return;
    }
    if (level > 0) {
      const auto below = part.nodes(level - 1);
      for (std::size_t i = index * kFanOut; i < std::min(below, (index + 1) * kFanOut) && !past_;
           ++i)
        within(part, level - 1, i);
      return;
    }
    for (std::size_t i = begin; i < end; ++i) {
      const auto from = part.start(i), duration = part.duration(i);
      if (from >= to_) {
        past_ = true;
        return;
      }
      if (from + duration <= from_ && from < from_) continue;
      take({from, from + duration, duration, part.queue(i), duration, part.tag(i)}, 1,
           part.waits[i]);
    }
  }

  [[nodiscard]] bool outside(const Node& node) noexcept {
    if (node.from >= to_) past_ = true;
    return past_ || (node.to <= from_ && node.from < from_ && !touches_at_end(node));
  }
  /// An empty row exactly at from_ belongs to the window, though its node may begin before.
  [[nodiscard]] bool touches_at_end(const Node& node) const noexcept { return node.to == from_; }
  [[nodiscard]] bool whole(const Node& node) const noexcept {
    return node.from >= from_ && node.to < to_ && node.to - node.from <= resolution_;
  }

  void take(const Node& node, std::uint64_t rows, std::uint16_t wait = 0) {
    if (open_.rows > 0 && node.to - open_.from <= resolution_) {
      open_.to = node.to;
      open_.busy += node.busy;
      open_.queued += node.queued;
      open_.rows += static_cast<std::uint32_t>(rows);
      open_.wait = 0;
      if (node.longest > open_.longest) {
        open_.longest = node.longest;
        open_.longest_tag = node.longest_tag;
      }
      return;
    }
    if (open_.rows > 0) out_.push_back(open_);
    open_ = {node.from,
             node.to,
             node.busy,
             node.queued,
             node.longest,
             node.longest_tag,
             static_cast<std::uint32_t>(rows),
             wait};
  }

  const Track& track_;
  const std::uint64_t from_, to_, resolution_;
  std::vector<TickSlice>& out_;
  TickSlice open_;
  bool past_ = false;
};

void Track::query(std::uint64_t from, std::uint64_t to, std::uint64_t resolution,
                  std::vector<TickSlice>& out) const {
  Query(*this, from, to, resolution, out).run();
}

}  // namespace taskscope::console::session
