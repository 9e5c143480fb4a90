#include "taskscope/console/session/tasks.h"

#include <algorithm>
#include <utility>

namespace taskscope::console::session {
namespace {

constexpr std::size_t kMaxCallGroups = 100'000;  // then further call sites share the unknown one

std::uint64_t since(std::uint64_t later, std::uint64_t earlier) noexcept {
  return later > earlier ? later - earlier : 0;
}

}  // namespace

std::uint64_t Task::total(std::uint64_t now) const noexcept {
  return since(alive() ? now : finished, spawned != 0 ? spawned : observed_from);
}

std::uint64_t Task::busy_until(std::uint64_t now) const noexcept {
  return busy + (state == protocol::TaskState::Running ? since(now, last_poll_from) : 0);
}

std::uint64_t Task::scheduled_until(std::uint64_t now) const noexcept {
  return scheduled + (state == protocol::TaskState::Scheduled ? since(now, state_since) : 0);
}

std::uint64_t Task::idle(std::uint64_t now) const noexcept {
  return since(total(now), busy_until(now) + scheduled_until(now));
}

// --- index

std::size_t TaskTable::Index::home(std::uint64_t id) const noexcept {
  return static_cast<std::size_t>((id * 0x9e3779b97f4a7c15u) >> 20) & (entries_.size() - 1);
}

std::uint32_t TaskTable::Index::find(std::uint64_t id) const noexcept {
  if (entries_.empty() || id == 0) return kNone;
  for (auto i = home(id);; i = (i + 1) & (entries_.size() - 1)) {
    if (entries_[i].id == id) return entries_[i].slot;
    if (entries_[i].id == 0) return kNone;
  }
}

void TaskTable::Index::grow() {
  const auto old = std::exchange(entries_, {});
  entries_.resize(old.empty() ? 1024 : old.size() * 2);
  used_ = 0;
  for (const auto& entry : old)
    if (entry.id != 0) insert(entry.id, entry.slot);
}

void TaskTable::Index::insert(std::uint64_t id, std::uint32_t slot) {
  if (2 * (used_ + 1) > entries_.size()) grow();
  auto i = home(id);
  while (entries_[i].id != 0) i = (i + 1) & (entries_.size() - 1);
  entries_[i] = {id, slot};
  ++used_;
}

void TaskTable::Index::erase(std::uint64_t id) {
  const auto mask = entries_.size() - 1;
  auto hole = home(id);
  while (entries_[hole].id != id) {
    if (entries_[hole].id == 0) return;
    hole = (hole + 1) & mask;
  }
  // Move back whatever would no longer be found past the hole.
  for (auto i = (hole + 1) & mask; entries_[i].id != 0; i = (i + 1) & mask) {
    if (((i - home(entries_[i].id)) & mask) < ((i - hole) & mask)) continue;
    entries_[hole] = entries_[i];
    hole = i;
  }
  entries_[hole] = {};
  --used_;
}

// --- table

std::uint32_t TaskTable::slot_of(std::uint64_t id) const { return index_.find(id); }

const Task* TaskTable::find(std::uint64_t id) const {
  const auto slot = index_.find(id);
  return slot == kNone ? nullptr : &task(slot);
}

const TaskHistograms* TaskTable::histograms(const Task& row) const {
  return row.histograms == kNone ? nullptr : &histograms_at(row.histograms);
}

std::uint32_t TaskTable::next_member(std::uint32_t slot) const {
  return in_call_group_[slot].after;
}
std::uint32_t TaskTable::next_waiting_of_call(std::uint32_t slot) const {
  return in_call_waits_[slot].after;
}
std::uint32_t TaskTable::next_waiting_of_await(std::uint32_t slot) const {
  return in_await_group_[slot].after;
}

std::uint32_t TaskTable::add(std::uint64_t id) {
  std::uint32_t slot;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else {
    slot = slots_++;
    if (slot % kBlock == 0) {
      blocks_.push_back(std::make_unique<Block>());
      for (auto* list : {&in_call_group_, &in_call_waits_, &in_await_group_})
        list->resize(slots_ - 1 + kBlock);
    }
  }
  task(slot).id = id;
  index_.insert(id, slot);
  ++size_;
  ++live_;
  return slot;
}

void TaskTable::place(std::uint32_t slot, std::uint32_t site, protocol::TaskKind kind) {
  Task& row = task(slot);
  if (row.call_group != kNone && row.site == site && row.kind == kind) return;
  const auto state = static_cast<std::size_t>(row.state);
  const bool listed = row.in_lists_;
  if (row.call_group != kNone) {
    auto& old = call_groups_[row.call_group];
    unlink(in_call_group_, old.first_member, old.last_member, slot);
    if (listed) unlink(in_call_waits_, old.longest_waiting, old.last_waiting, slot);
    --old.by_state[state];
    // What it did so far moves with it.
    old.polls -= std::min(old.polls, row.polls);
    old.busy -= std::min(old.busy, row.busy);
    old.scheduled -= std::min(old.scheduled, row.scheduled);
    old.wakes -= std::min(old.wakes, row.wakes);
    old.self_wakes -= std::min(old.self_wakes, row.self_wakes);
  }
  row.site = site;
  row.kind = kind;
  const auto key = [](std::uint32_t at, protocol::TaskKind of) {
    return (std::uint64_t{at} << 8) | static_cast<std::uint64_t>(of);
  };
  auto found = call_group_of_.find(key(site, kind));
  if (found == call_group_of_.end()) {
    if (call_groups_.size() >= kMaxCallGroups) {
      found = call_group_of_.try_emplace(key(0, protocol::TaskKind::Task), 0).first;
    } else {
      if (call_groups_.capacity() == call_groups_.size())
        call_groups_.reserve(std::max<std::size_t>(64, call_groups_.size() * 2));
      found =
          call_group_of_.emplace(key(site, kind), static_cast<std::uint32_t>(call_groups_.size()))
              .first;
      call_groups_.emplace_back();
      call_groups_.back().site = site;
      call_groups_.back().kind = kind;
    }
  }
  row.call_group = found->second;
  auto& group = call_groups_[row.call_group];
  link(in_call_group_, group.first_member, group.last_member, slot);
  if (listed) link(in_call_waits_, group.longest_waiting, group.last_waiting, slot);
  ++group.by_state[state];
  group.polls += row.polls;
  group.busy += row.busy;
  group.scheduled += row.scheduled;
  group.wakes += row.wakes;
  group.self_wakes += row.self_wakes;
}

void TaskTable::set_state(std::uint32_t slot, protocol::TaskState state, std::uint64_t ticks) {
  Task& row = task(slot);
  auto& group = call_groups_[row.call_group];
  if (row.in_lists_) {
    leave_await_group(slot, ticks);
    unlink(in_call_waits_, group.longest_waiting, group.last_waiting, slot);
    row.in_lists_ = false;
  }
  --group.by_state[static_cast<std::size_t>(row.state)];
  ++group.by_state[static_cast<std::size_t>(state)];
  row.state = state;
  row.state_since = ticks;
  row.granted = false;
  if (state == protocol::TaskState::Idle) {
    link(in_call_waits_, group.longest_waiting, group.last_waiting, slot);
    row.in_lists_ = true;
  }
}

void TaskTable::set_await_group(std::uint32_t slot, std::uint16_t wait) {
  Task& row = task(slot);
  if (!row.in_lists_ || row.await_group != kNone) return;
  if (wait >= await_group_of_.size()) await_group_of_.resize(wait + 1u, kNone);
  if (await_group_of_[wait] == kNone) {
    await_group_of_[wait] = static_cast<std::uint32_t>(await_groups_.size());
    await_groups_.emplace_back();
    await_groups_.back().wait = wait;
  }
  row.await_group = await_group_of_[wait];
  auto& group = await_groups_[row.await_group];
  ++group.waiting;
  ++group.ever;
  link(in_await_group_, group.longest_waiting, group.last_waiting, slot);
}

void TaskTable::leave_await_group(std::uint32_t slot, std::uint64_t now) {
  Task& row = task(slot);
  if (row.await_group == kNone) return;
  auto& group = await_groups_[row.await_group];
  unlink(in_await_group_, group.longest_waiting, group.last_waiting, slot);
  --group.waiting;
  const auto waited = since(now, row.state_since);
  group.waited += waited;
  group.wait_times.add(waited);
  row.await_group = kNone;
}

void TaskTable::finish(std::uint32_t slot, std::uint64_t ticks, protocol::Outcome outcome) {
  set_state(slot, protocol::TaskState::Finished, ticks);
  Task& row = task(slot);
  row.finished = std::max<std::uint64_t>(ticks, 1);
  row.outcome = outcome;
  auto& group = call_groups_[row.call_group];
  if (outcome == protocol::Outcome::Cancelled) ++group.cancelled;
  if (outcome == protocol::Outcome::Exception) ++group.panicked;
  finished_.push_back(row.id);
  --live_;
}

TaskHistograms& TaskTable::histograms_of(std::uint32_t slot) {
  Task& row = task(slot);
  const bool fresh = row.histograms == kNone;
  if (fresh && !free_histograms_.empty()) {
    row.histograms = free_histograms_.back();
    free_histograms_.pop_back();
  } else if (fresh) {
    row.histograms = histograms_used_++;
    if (row.histograms % kHistogramBlock == 0)
      histograms_.push_back(std::make_unique<std::array<TaskHistograms, kHistogramBlock>>());
  }
  auto& own = (*histograms_[row.histograms / kHistogramBlock])[row.histograms % kHistogramBlock];
  if (fresh) own = {};
  return own;
}

void TaskTable::sort_waiting() {
  std::vector<std::uint32_t> waiting;
  for (std::uint32_t slot = 0; slot < slots_; ++slot)
    if (task(slot).in_lists_) waiting.push_back(slot);
  std::sort(waiting.begin(), waiting.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair{task(a).state_since, a} < std::pair{task(b).state_since, b};
  });
  for (auto& group : call_groups_) group.longest_waiting = group.last_waiting = kNone;
  for (auto& group : await_groups_) group.longest_waiting = group.last_waiting = kNone;
  for (const auto slot : waiting) {
    const Task& row = task(slot);
    auto& call = call_groups_[row.call_group];
    link(in_call_waits_, call.longest_waiting, call.last_waiting, slot);
    if (row.await_group == kNone) continue;
    auto& await = await_groups_[row.await_group];
    link(in_await_group_, await.longest_waiting, await.last_waiting, slot);
  }
}

std::uint32_t TaskTable::surplus() {
  return finished_.size() > keep_finished_ ? index_.find(finished_.front()) : kNone;
}

void TaskTable::drop(std::uint32_t slot) {
  Task& row = task(slot);
  auto& group = call_groups_[row.call_group];
  unlink(in_call_group_, group.first_member, group.last_member, slot);
  if (!finished_.empty() && finished_.front() == row.id) finished_.pop_front();
  if (row.histograms != kNone) free_histograms_.push_back(row.histograms);
  index_.erase(row.id);
  row = Task{};
  free_.push_back(slot);
  --size_;
  ++dropped_;
}

void TaskTable::link(List& list, std::uint32_t& first, std::uint32_t& last, std::uint32_t slot) {
  list[slot] = {last, kNone};
  (last == kNone ? first : list[last].after) = slot;
  last = slot;
}

void TaskTable::unlink(List& list, std::uint32_t& first, std::uint32_t& last, std::uint32_t slot) {
  const auto own = std::exchange(list[slot], {});
  (own.before == kNone ? first : list[own.before].after) = own.after;
  (own.after == kNone ? last : list[own.after].before) = own.before;
}

std::size_t TaskTable::memory_bytes() const noexcept {
  std::size_t sum =
      blocks_.size() * sizeof(Block) + index_.memory_bytes() +
      histograms_.size() * kHistogramBlock * sizeof(TaskHistograms) +
      3 * in_call_group_.capacity() * sizeof(Links) + call_groups_.capacity() * sizeof(CallGroup) +
      await_groups_.capacity() * sizeof(AwaitGroup) + finished_.size() * sizeof(std::uint64_t);
  // What rows own is estimated from a sample, so that asking costs the same for a million of them.
  const std::uint32_t step = 1 + slots_ / 65'536;
  for (std::uint32_t slot = 0; slot < slots_; slot += step) {
    const Task& row = task(slot);
    sum += step * row.waits.capacity() * sizeof(Wait);
    if (row.text) sum += step * (sizeof(TaskText) + row.text->name.size() + row.text->error.size());
  }
  return sum;
}

}  // namespace taskscope::console::session
