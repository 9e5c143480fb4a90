// How a walk over the living corrects and completes the model. An entry was true when it was read;
// what events say about a later moment stands.
#include <algorithm>

#include "taskscope/console/session/merge.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::session {

using protocol::TaskState;

void Model::apply_snapshot_task(std::uint64_t snapshot, bool has_waits,
                                protocol::TaskSnapshot& entry) {
  ++revision_;
  const bool known = tasks_.slot_of(entry.task) != kNone;
  const auto slot = slot_for(entry.task, entry.ticks);
  if (slot == kNone) return;
  Task& row = tasks_.task(slot);
  if (!row.alive()) return;  // it finished while the walk went on
  row.snapshot_ = snapshot;
  if (row.placeholder || !known) {
    row.placeholder = false;
    row.spawned_about = true;
    row.parent = entry.parent;
    row.runtime = entry.runtime;
    row.frame_bytes = entry.frame_bytes;
    row.spawned = entry.spawned_ms == 0
                      ? 0
                      : std::min(entry.ticks,
                                 std::max<std::uint64_t>(
                                     1, clock_.ticks_of_monotonic(entry.spawned_ms * 1'000'000)));
    if (!entry.name.empty() || !entry.fields.empty()) {
      row.text = std::make_unique<TaskText>();
      row.text->name = entry.name.substr(0, limits_.string_bytes);
      if (entry.fields.size() > limits_.fields_per_task)
        entry.fields.resize(limits_.fields_per_task);
      row.text->fields = std::move(entry.fields);
      for (auto& field : row.text->fields)
        field.resize(std::min(field.size(), limits_.string_bytes));
    }
    tasks_.place(slot, entry.site, entry.kind);
  auto& frames = tasks_.call_group(row).max_frame;
  frames = std::max(frames, row.frame_bytes);
  }
  row.wakers = entry.wakers;
  row.wakers_at = entry.ticks;

  if (entry.state == TaskState::Running && entry.last_poll_ms != 0)
    evidence_.add_running(
        entry.task,
        {entry.ticks,
         std::min(entry.ticks, clock_.ticks_of_monotonic(entry.last_poll_ms * 1'000'000))});

  // The poll count: from the walk once, from events since; from the walk again where some are lost.
  const bool doubtful = !row.sure_ || row.sure_at_ < lost_until_;
  const bool missed = row.sure_ && entry.polls > row.polls;
  if (doubtful && entry.polls > row.polls) {
    tasks_.call_group(row).polls += entry.polls - row.polls;
    row.polls = entry.polls;
  }
  if (missed && doubtful) row.counts_incomplete = true;
  // The state: events know it better, unless there were none or some are missing.
  const bool untold = row.last_event_ == 0 && !row.sure_;
  const bool disproved = row.sure_ && doubtful && row.state != entry.state;
  if ((untold || disproved) && entry.ticks >= row.state_since &&
      entry.state != TaskState::Finished) {
    std::uint64_t since = entry.ticks;
    if (untold && entry.last_poll_ms != 0 && entry.state == TaskState::Idle) {
      since = std::min(entry.ticks, clock_.ticks_of_monotonic(entry.last_poll_ms * 1'000'000));
      row.last_poll_from = row.last_poll_to = since;
      waits_unsorted_ = true;
    }
    if (untold || row.state != TaskState::Running || row.lane == kNone ||
        lanes_[row.lane]->current_task != row.id) {
      clear_waits(row);
      enter(slot, entry.state, since);
      if (entry.state == TaskState::Running) row.last_poll_from = since;
      if (entry.state == TaskState::Scheduled) row.wake_pending_ = since;
    }
  }
  row.sure_ = true;
  row.sure_at_ = std::max(row.sure_at_, entry.ticks);

  if (has_waits && row.state == TaskState::Idle && entry.state == TaskState::Idle &&
      row.waits.empty() && entry.ticks >= row.state_since) {
    if (entry.branches.size() > limits_.branches_per_task)
      entry.branches.resize(limits_.branches_per_task);
    row.waits = entry.branches;
    for (auto& wait : row.waits) wait.frames = {};
    for (const auto& wait : row.waits)
      if (wait.other != 0 && wait.op != protocol::WaitOp::Join &&
          wait.op != protocol::WaitOp::Blocking)
        (void)resource_for(wait.other, wait.resource_kind);
    count_waits(row, true);
    for (const auto& wait : row.waits) {
      if (wait.op == protocol::WaitOp::None) continue;
      tasks_.set_await_group(
          slot, wait_kind({protocol::PollEnd::Pending, wait.op, wait.resource_kind, wait.site}));
      break;
    }
  }
  if (!entry.has_stacks || entry.branches.empty()) return;
  if (stacks_.size() >= limits_.stacks && !stacks_.contains(entry.task)) {
    ++totals_.bounded;
    return;
  }
  auto& stack = stacks_[entry.task];
  if (entry.ticks >= stack.ticks) stack = {entry.ticks, std::move(entry.branches)};
}

void Model::apply_snapshot_resource(protocol::ResourceSnapshot& entry) {
  Resource* resource = resource_for(entry.resource, entry.kind);
  if (resource == nullptr || resource->dropped != 0) return;
  resource->placeholder = false;
  resource->read_at = entry.ticks;
  resource->kind = entry.kind;
  resource->parent = entry.parent;
  resource->site = entry.site;
  resource->concrete_type = entry.concrete_type.substr(0, limits_.string_bytes);
  resource->name = entry.name.substr(0, limits_.string_bytes);
  constexpr std::size_t kMaxHolders = 1024, kMaxAttributes = 64;
  if (entry.holders.size() > kMaxHolders) entry.holders.resize(kMaxHolders);
  if (entry.attributes.size() > kMaxAttributes) entry.attributes.resize(kMaxAttributes);
  resource->holders = std::move(entry.holders);
  resource->attributes = std::move(entry.attributes);
  resource->reported_waiters = entry.waiters;
}

void Model::complete_snapshot(std::uint64_t snapshot, std::uint64_t begin_ticks) {
  ++snapshots_completed_;
  walk_begin_ = std::max(walk_begin_, begin_ticks);
  ++revision_;
  std::vector<std::uint32_t> gone;
  for (std::uint32_t slot = 0; slot < tasks_.slots(); ++slot) {
    const Task& row = tasks_.task(slot);
    if (row.id == 0 || !row.alive() || row.snapshot_ == snapshot) continue;
    const auto known_since = row.spawned != 0 ? row.spawned : row.observed_from;
    if (known_since >= begin_ticks || row.last_event_ >= begin_ticks) continue;
    if (row.lane != kNone && lanes_[row.lane]->current_task == row.id) continue;
    gone.push_back(slot);
  }
  for (const auto slot : gone) {
    Task& row = tasks_.task(slot);
    row.vanished = true;
    finish_task(slot, begin_ticks, protocol::Outcome::Done);
  }
  if (waits_unsorted_) tasks_.sort_waiting();
  waits_unsorted_ = false;
}

}  // namespace taskscope::console::session
