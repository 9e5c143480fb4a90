// Questions that walk the columns.
#include <algorithm>
#include <tuple>

#include "taskscope/console/session/merge.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::session {
namespace {

using protocol::TaskState;

/// Times are converted at the slices' ends only, and the ends of a slice lie in one clock piece
/// nearly always: the clock's search is the cost, and it is small.
Slice convert(const Clock& clock, const TickSlice& tick) {
  Slice slice;
  slice.from_ns = clock.ns(tick.from);
  slice.to_ns = clock.ns(tick.to);
  const auto width = slice.to_ns - slice.from_ns;
  const auto ticks = tick.to - tick.from;
  const double rate = ticks == 0 ? 0 : static_cast<double>(width) / static_cast<double>(ticks);
  slice.busy_ns = static_cast<std::int64_t>(static_cast<double>(tick.busy) * rate);
  slice.longest_ns = static_cast<std::int64_t>(static_cast<double>(tick.longest) * rate);
  slice.task = tick.longest_tag;
  slice.polls = tick.rows;
  slice.wait = tick.wait;
  return slice;
}

}  // namespace

void Model::slices(std::uint32_t lane_index, Layer layer, std::int64_t from_ns, std::int64_t to_ns,
                   std::int64_t resolution_ns, std::vector<Slice>& out) const {
  if (lane_index >= lanes_.size() || from_ns >= to_ns) return;
  const Lane& lane = *lanes_[lane_index];
  const Track& track = layer == Layer::Polls ? lane.polls : lane.parks;
  const auto from = clock_.ticks(from_ns), to = clock_.ticks(to_ns);
  std::vector<TickSlice> ticks;
  track.query(from, to, clock_.duration_ticks(resolution_ns), ticks);
  out.reserve(out.size() + ticks.size() + 1);
  for (const auto& tick : ticks) out.push_back(convert(clock_, tick));

  const bool polls = layer == Layer::Polls;
  const auto begun = polls ? (lane.current_task != 0 ? lane.current_from : 0) : lane.parked_from;
  if (begun == 0 || begun >= to || now_ < from) return;
  auto open = convert(
      clock_, {begun, std::max(now_, begun), now_ > begun ? now_ - begun : 0, 0,
               now_ > begun ? now_ - begun : 0, polls ? lane.current_task : 0, 1, kWaitUnknown});
  open.open = true;
  out.push_back(open);
}

void Model::show_tasks(std::span<const std::uint64_t> tasks) {
  std::vector<std::uint64_t> missing;
  for (const auto task : tasks) {
    const auto found = shown_.find(task);
    if (found != shown_.end())
      found->second->used = revision_;
    else if (tasks_.slot_of(task) != kNone)
      missing.push_back(task);
  }
  if (!missing.empty()) build_tracks(missing);
}

void Model::build_tracks(std::span<const std::uint64_t> tasks) {
  if (shown_.size() + tasks.size() > limits_.shown_task_tracks) {
    // The half that was looked at longest ago goes.
    std::vector<std::pair<std::uint64_t, std::uint64_t>> by_use;
    for (const auto& [task, track] : shown_) by_use.emplace_back(track->used, task);
    std::sort(by_use.begin(), by_use.end());
    for (std::size_t i = 0; i < by_use.size() / 2; ++i) {
      const auto slot = tasks_.slot_of(by_use[i].second);
      if (slot != kNone) tasks_.task(slot).shown_ = false;
      shown_.erase(by_use[i].second);
    }
    if (tasks.size() > limits_.shown_task_tracks) tasks = tasks.first(limits_.shown_task_tracks);
  }
  struct Found {
    std::uint64_t from;
    std::uint32_t lane;
    std::uint64_t row;
  };
  std::unordered_map<std::uint64_t, std::vector<Found>> found;
  std::uint64_t since = UINT64_MAX;
  for (const auto task : tasks) {
    found.try_emplace(task);
    const Task& row = tasks_.task(tasks_.slot_of(task));
    since = std::min(since, row.spawned != 0 ? row.spawned : row.observed_from);
  }
  // One pass over the tags of all lanes; a small filter in front of the exact lookup.
  std::vector<bool> filter(1024);
  const auto hash = [](std::uint64_t task) {
    return static_cast<std::size_t>((task * 0x9e3779b97f4a7c15u) >> 54);
  };
  for (const auto task : tasks) filter[hash(task)] = true;
  const bool single = tasks.size() == 1;
  const auto only = tasks.front();
  for (const auto& lane : lanes_) {
    const auto& polls = lane->polls;
    const auto keep = [&](std::uint64_t number) {
      const auto row = polls.row(number);
      const auto place = found.find(row.tag);
      if (place != found.end()) place->second.push_back({row.from, lane->index, number});
    };
    if (single)
      polls.scan_tags(
          polls.row_after(since), polls.end(), [&](std::uint64_t tag) { return tag == only; },
          keep);
    else
      polls.scan_tags(
          polls.row_after(since), polls.end(), [&](std::uint64_t tag) { return filter[hash(tag)]; },
          keep);
  }
  for (auto& [task, rows] : found) {
    std::sort(rows.begin(), rows.end(), [](const Found& a, const Found& b) {
      return std::tie(a.from, a.lane, a.row) < std::tie(b.from, b.lane, b.row);
    });
    auto track = std::make_unique<TaskTrack>();
    track->used = revision_;
    for (const auto& place : rows) {
      auto row = lanes_[place.lane]->polls.row(place.row);
      row.tag = place.lane;
      track->polls.append(row);
    }
    shown_[task] = std::move(track);
    tasks_.task(tasks_.slot_of(task)).shown_ = true;
  }
}

void Model::task_slices(std::uint64_t task, std::int64_t from_ns, std::int64_t to_ns,
                        std::int64_t resolution_ns, std::vector<StateSlice>& out) {
  if (from_ns >= to_ns) return;
  const std::uint64_t one[] = {task};
  show_tasks(one);
  const auto slot = tasks_.slot_of(task);
  const auto shown = shown_.find(task);
  if (slot == kNone || shown == shown_.end()) return;
  const Task& row = tasks_.task(slot);
  const Track& polls = shown->second->polls;
  const auto from = clock_.ticks(from_ns), to = clock_.ticks(to_ns);

  const auto add = [&](std::uint64_t begin, std::uint64_t end, TaskState state,
                       std::uint16_t wait) -> StateSlice* {
    if (begin >= to || end < from || begin > end) return nullptr;
    StateSlice slice;
    slice.from_ns = clock_.ns(begin);
    slice.to_ns = clock_.ns(end);
    slice.state = state;
    slice.wait = wait;
    out.push_back(slice);
    return &out.back();
  };
  /// Between two polls it waited, then stood in the queue.
  const auto add_gap = [&](std::uint64_t begin, std::uint64_t end, std::uint64_t queued,
                           std::uint16_t wait) {
    if (begin >= end) return;
    const bool yielded = wait == kWaitYielded || wait == kWaitOutOfBudget;
    const auto woken = yielded ? begin : end - std::min(queued, end - begin);
    if (woken > begin) add(begin, woken, TaskState::Idle, wait);
    if (end > woken) add(woken, end, TaskState::Scheduled, wait);
  };

  const auto born = row.spawned != 0 ? row.spawned : row.observed_from;
  // The row before the window says what the gap at its left edge is.
  std::uint64_t left = born;
  std::uint16_t left_wait = kWaitUnknown;
  const auto first = polls.row_after(from);
  if (first > polls.first()) {
    const auto before = polls.row(first - 1);
    left = before.to;
    left_wait = before.wait;
  }
  std::vector<TickSlice> ticks;
  polls.query(from, to, clock_.duration_ticks(resolution_ns), ticks);
  for (const auto& tick : ticks) {
    add_gap(left, tick.from, tick.rows == 1 ? tick.queued : 0, left_wait);
    if (auto* slice = add(tick.from, tick.to, TaskState::Running, tick.wait)) {
      slice->polls = tick.rows;
      slice->lane = static_cast<std::uint32_t>(tick.longest_tag);
      slice->busy_ns = clock_.duration_ns(tick.busy);
      slice->scheduled_ns = clock_.duration_ns(tick.queued);
    }
    left = tick.to;
    left_wait = tick.rows == 1 ? tick.wait : kWaitUnknown;
    if (tick.rows > 1) {
      const auto next = polls.row_after(tick.to);
      if (next > polls.first()) left_wait = polls.row(next - 1).wait;
    }
  }
  const auto next = polls.row_after(std::max(left, from));
  if (next < polls.end() && polls.row(next).from >= to) {  // the gap at the right edge
    const auto after = polls.row(next);
    add_gap(left, after.from, after.queued, left_wait);
    return;
  }
  if (row.alive()) {
    const auto now = std::max(now_, left);
    if (row.state == TaskState::Running) {
      add_gap(left, row.last_poll_from, 0, left_wait);
      if (auto* slice = add(row.last_poll_from, std::max(now, row.last_poll_from),
                            TaskState::Running, kWaitUnknown)) {
        slice->polls = 1;
        slice->lane = row.lane;
        slice->busy_ns = slice->to_ns - slice->from_ns;
        slice->open = true;
      }
      return;
    }
    if (row.state == TaskState::Scheduled && row.state_since > left)
      add_gap(left, row.state_since, 0, left_wait);
    const auto begin = row.state == TaskState::Scheduled ? std::max(left, row.state_since) : left;
    if (auto* slice = add(begin, now, row.state, left_wait)) slice->open = true;
    return;
  }
  add_gap(left, row.finished, 0, left_wait);
  add(row.finished, std::max(row.finished, to), TaskState::Finished, kWaitReady);
}

std::vector<RunningPoll> Model::running_polls() const {
  std::vector<RunningPoll> polls;
  for (const auto& lane : lanes_) {
    if (lane->current_task != 0) {
      const bool about = !work_[lane->index]->recorded;
      const auto from =
          about ? began_about(lane->current_task, lane->current_from, now_) : lane->current_from;
      polls.push_back({lane->current_task, from, lane->index, about});
      continue;
    }
    const auto& samples = lane->samples;
    if (samples.empty() || samples.back().sample.current_task == 0) continue;
    const auto& last = samples.back().sample;
    auto first = samples.size() - 1;
    while (first > 0 && samples[first - 1].sample.poll_sequence == last.poll_sequence &&
           samples[first - 1].sample.current_task == last.current_task)
      --first;
    // Records say it better, where there are any since.
    if (first + 1 == samples.size() || lane->last_ticks >= samples[first].ticks) continue;
    polls.push_back({last.current_task,
                     began_about(last.current_task, samples[first].ticks, UINT64_MAX), lane->index,
                     true});
  }
  return polls;
}

std::uint64_t Model::unscheduled(std::uint32_t lane, std::uint64_t from, std::uint64_t to) const {
  if (lane >= lanes_.size() || lanes_[lane]->samples.empty()) return 0;
  const auto& samples = lanes_[lane]->samples;
  const auto is_before = [](const WorkerPoint& point, std::uint64_t ticks) {
    return point.ticks < ticks;
  };
  auto first = std::lower_bound(samples.begin(), samples.end(), from + 1, is_before);
  if (first != samples.begin()) --first;
  auto last = std::lower_bound(first, samples.end(), to, is_before);
  if (last == samples.end()) --last;
  const auto before = first->sample.unscheduled_ns, after = last->sample.unscheduled_ns;
  return after <= before ? 0
                         : clock_.duration_ticks(static_cast<std::int64_t>(
                               std::min<std::uint64_t>(after - before, INT64_MAX)));
}

std::vector<std::uint64_t> Model::waiters_of(std::uint64_t resource, std::size_t limit) const {
  std::vector<std::uint64_t> waiters;
  for (std::uint32_t slot = 0; slot < tasks_.slots() && waiters.size() < limit; ++slot) {
    const Task* row = tasks_.at(slot);
    if (row == nullptr || row->state != TaskState::Idle) continue;
    for (const auto& wait : row->waits) {
      if (wait.other != resource || wait.op == protocol::WaitOp::Join ||
          wait.op == protocol::WaitOp::Blocking)
        continue;
      waiters.push_back(row->id);
      break;
    }
  }
  return waiters;
}

std::vector<std::uint64_t> Model::children_of(std::uint64_t parent, std::size_t limit) const {
  std::vector<std::uint64_t> children;
  for (std::uint32_t slot = 0; slot < tasks_.slots() && children.size() < limit; ++slot) {
    const Task* row = tasks_.at(slot);
    if (row != nullptr && row->parent == parent) children.push_back(row->id);
  }
  return children;
}

Model::Memory Model::memory() const {
  Memory memory;
  for (const auto& lane : lanes_) {
    memory.tracks += lane->polls.memory_bytes() + lane->parks.memory_bytes();
    memory.others += lane->samples.capacity() * sizeof(WorkerPoint) +
                     lane->gaps.capacity() * sizeof(Gap) + sizeof(Lane);
  }
  for (const auto& [task, track] : shown_) memory.tracks += track->polls.memory_bytes();
  memory.tasks = tasks_.memory_bytes();
  memory.chunks = chunks_.size() * sizeof(ChunkEntry);
  memory.others += merge_->buffered * sizeof(protocol::Event) + evidence_.memory_bytes();
  memory.others += resources_.size() * (sizeof(Resource) + 32) + sites_.size() * 160;
  for (const auto& [task, stack] : stacks_) {
    memory.others += sizeof(Stack) + 32;
    for (const auto& branch : stack.branches)
      memory.others += sizeof(Wait) + branch.frames.capacity() * sizeof(std::uint32_t);
  }
  return memory;
}

}  // namespace taskscope::console::session
