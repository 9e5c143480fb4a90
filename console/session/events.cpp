// How one event changes the model. Everything here is called in the order of the merge; records
// that contradict what is known are counted and skipped, never trusted.
#include <algorithm>

#include "taskscope/console/session/merge.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::session {
namespace {

using protocol::EventKind;
using protocol::TaskState;

constexpr std::size_t kMaxHolders = 1024;

std::string text_of(const protocol::Events& chunk, std::uint32_t number, std::size_t limit) {
  if (number == 0 || number > chunk.texts.size()) return {};
  return chunk.texts[number - 1].substr(0, limit);
}

std::uint64_t since(std::uint64_t later, std::uint64_t earlier) noexcept {
  return later > earlier ? later - earlier : 0;
}

/// Where `other` of a wait is a task, not a resource.
bool waits_for_task(protocol::WaitOp op) noexcept {
  return op == protocol::WaitOp::Join || op == protocol::WaitOp::Blocking;
}

}  // namespace

void Model::apply_event(std::uint32_t lane_index, const protocol::Events& chunk,
                        const Event& event) {
  LaneWork& work = *work_[lane_index];
  Lane& lane = *lanes_[lane_index];
  if (event.ticks < merge_->applied) {
    ++totals_.late;
    behind_until_ = merge_->seen;
  }
  ++totals_.events;
  switch (event.kind) {
    case EventKind::TaskSpawned:
      on_spawned(chunk, event);
      break;
    case EventKind::TaskFinished:
      on_finished(chunk, event);
      break;
    case EventKind::PollStarted:
      on_poll_started(lane_index, event.task, event.ticks, true);
      break;
    case EventKind::PollEnded:
      on_poll_ended(lane_index, event);
      break;
    case EventKind::Wait:
      on_wait(lane_index, event);
      break;
    case EventKind::WaitCancelled:
      on_wait_cancelled(event);
      break;
    case EventKind::Woken:
      on_woken(event);
      break;
    case EventKind::ResourceRegistered:
    case EventKind::ResourceDropped:
      on_resource(chunk, event);
      break;
    case EventKind::ResourceAcquired:
      on_acquired(event);
      break;
    case EventKind::ResourceReleased:
      on_released(event);
      break;
    case EventKind::WorkerParked:
      lane.parked_from = event.ticks;
      break;
    case EventKind::WorkerUnparked:
      // A thread may have been parked since before the attach.
      if (lane.parked_from == 0) lane.parked_from = work.complete_from;
      if (lane.parked_from != 0)
        lane.parks.append({lane.parked_from, event.ticks, 0, 0, kWaitUnknown});
      lane.parked_from = 0;
      ++totals_.parks;
      break;
    case EventKind::WorkerStole:
      lane.steals += event.extra;
      totals_.steals += event.extra;
      break;
    case EventKind::ObservedFrom:
      if (lane.observed_from == 0) lane.observed_from = event.ticks;
      work.complete_from = event.ticks;
      if (event.task != 0) on_poll_started(lane_index, event.task, event.ticks, false);
      break;
    case EventKind::Resync:
      // When the open poll ended is lost; it lasted at least to the last record before the loss.
      if (lane.current_task != 0) close_poll(lane_index, work.applied, kWaitUnknown);
      lane.parked_from = 0;
      work.complete_from = event.ticks;
      if (event.task != 0) on_poll_started(lane_index, event.task, event.ticks, false);
      break;
    default:
      break;  // spans, and what a later version records
  }
  work.applied = event.ticks;
}

std::uint32_t Model::slot_for(std::uint64_t task, std::uint64_t ticks) {
  auto slot = tasks_.slot_of(task);
  if (slot != kNone || task == 0) return slot;
  if (is_tombstone(task)) return kNone;
  if (tasks_.live() >= limits_.live_tasks) {
    ++totals_.bounded;
    return kNone;
  }
  slot = tasks_.add(task);
  Task& row = tasks_.task(slot);
  row.placeholder = true;
  row.observed_from = ticks;
  tasks_.place(slot, 0, protocol::TaskKind::Task);
  tasks_.set_state(slot, TaskState::Idle, ticks);
  return slot;
}

void Model::count_waits(Task& row, bool add) {
  if (row.waits_counted_ == add) return;
  row.waits_counted_ = add;
  for (const auto& wait : row.waits) {
    if (wait.other == 0 || waits_for_task(wait.op)) continue;
    const auto found = resources_.find(wait.other);
    if (found == resources_.end()) continue;
    auto& waiters = found->second.waiters;
    if (add)
      ++waiters;
    else if (waiters > 0)
      --waiters;
  }
}

void Model::clear_waits(Task& row) {
  count_waits(row, false);
  row.waits.clear();
}

void Model::enter(std::uint32_t slot, TaskState state, std::uint64_t ticks) {
  Task& row = tasks_.task(slot);
  if (row.state == TaskState::Idle && state != TaskState::Idle) count_waits(row, false);
  tasks_.set_state(slot, state, ticks);
}

void Model::on_spawned(const protocol::Events& chunk, const Event& event) {
  ++totals_.spawned;
  const auto slot = slot_for(event.task, event.ticks);
  if (slot == kNone) return;
  Task& row = tasks_.task(slot);
  if (row.spawned != 0 && !row.spawned_about) {
    ++totals_.bogus;
    return;
  }
  const bool fresh = row.last_event_ == 0 && row.alive();
  row.placeholder = row.spawned_about = false;
  row.parent = event.other;
  row.spawned = event.ticks;
  row.frame_bytes = event.extra;
  row.runtime = static_cast<std::uint32_t>(event.value);
  if (event.text != 0 || event.field_count != 0) {
    row.text = std::make_unique<TaskText>();
    row.text->name = text_of(chunk, event.text, limits_.string_bytes);
    const auto fields = std::min<std::size_t>(event.field_count, limits_.fields_per_task);
    if (event.fields != 0)
      for (std::size_t i = 0; i < fields; ++i)
        row.text->fields.push_back(
            text_of(chunk, event.fields + static_cast<std::uint32_t>(i), limits_.string_bytes));
  }
  tasks_.place(slot, event.site, static_cast<protocol::TaskKind>(event.detail));
  auto& frames = tasks_.call_group(row).max_frame;
  frames = std::max(frames, row.frame_bytes);
  if (!fresh) return;
  row.observed_from = row.last_event_ = event.ticks;
  row.sure_ = true;
  row.sure_at_ = event.ticks;
  row.wake_pending_ = event.ticks;  // a new task is queued
  enter(slot, TaskState::Scheduled, event.ticks);
}

void Model::finish_task(std::uint32_t slot, std::uint64_t ticks, protocol::Outcome outcome) {
  clear_waits(tasks_.task(slot));
  enter(slot, TaskState::Finished, ticks);
  tasks_.finish(slot, ticks, outcome);
  for (auto surplus = tasks_.surplus(); surplus != kNone; surplus = tasks_.surplus())
    drop_task(surplus);
}

void Model::on_finished(const protocol::Events& chunk, const Event& event) {
  ++totals_.finished;
  const auto slot = slot_for(event.task, event.ticks);
  if (slot == kNone) return;
  Task& row = tasks_.task(slot);
  if (!row.alive()) {
    if (!row.vanished) ++totals_.bogus;
    return;
  }
  row.last_event_ = std::max(row.last_event_, event.ticks);
  if (row.placeholder && event.site != 0) tasks_.place(slot, event.site, row.kind);
  if (event.text != 0) {
    if (!row.text) row.text = std::make_unique<TaskText>();
    row.text->error = text_of(chunk, event.text, limits_.string_bytes);
  }
  finish_task(slot, event.ticks, static_cast<protocol::Outcome>(event.detail));
}

void Model::on_poll_started(std::uint32_t lane_index, std::uint64_t task, std::uint64_t ticks,
                            bool recorded) {
  Lane& lane = *lanes_[lane_index];
  LaneWork& work = *work_[lane_index];
  if (recorded) ++totals_.polls_started;
  if (lane.current_task != 0) close_poll(lane_index, ticks, kWaitUnknown);
  const auto slot = slot_for(task, ticks);
  lane.current_task = task;
  lane.current_from = ticks;
  work.slot = slot;
  work.queued = 0;
  work.recorded = recorded;
  if (slot == kNone) return;
  Task& row = tasks_.task(slot);
  row.last_event_ = std::max(row.last_event_, ticks);
  row.lane = lane_index;
  if (recorded) {
    ++row.polls;
    auto& group = tasks_.call_group(row);
    ++group.polls;
    if (row.wake_pending_ != 0) {
      work.queued = since(ticks, std::max(row.wake_pending_, row.last_poll_to));
      row.scheduled += work.queued;
      group.scheduled += work.queued;
      group.scheduled_times.add(work.queued);
      if (evidence_.is_long_queue(work.queued)) {
        const auto leaf = std::find_if(row.waits.begin(), row.waits.end(), [](const Wait& wait) {
          return wait.op != protocol::WaitOp::None;
        });
        evidence_.add(LongQueue{task, ticks - work.queued, ticks, lane_index,
                                leaf == row.waits.end() ? 0 : leaf->site});
      }
    }
    if (row.polls > 1) {
      const bool first = row.histograms == kNone;
      auto& times = tasks_.histograms_of(slot);
      if (first && row.max_poll != 0) times.polls.add(row.max_poll);
      if (first && row.scheduled > work.queued) times.scheduled.add(row.scheduled - work.queued);
      if (row.wake_pending_ != 0) times.scheduled.add(work.queued);
    }
  }
  row.wake_pending_ = 0;
  row.last_poll_from = ticks;
  if (!row.alive()) return;
  if (row.last_poll_to >= ticks) row.last_poll_to = ticks > 0 ? ticks - 1 : 0;
  if (row.state != TaskState::Running || recorded) {
    enter(slot, TaskState::Running, ticks);
    clear_waits(row);
  }
}

std::uint64_t Model::began_about(std::uint64_t task, std::uint64_t seen,
                                 std::uint64_t ended) const {
  const auto* reading = evidence_.running(task);
  const Task* row = tasks_.find(task);
  if (reading == nullptr || row == nullptr) return seen;
  // The reading is of this poll unless another one has ended since, or may have.
  const bool same = reading->read <= ended && reading->from < seen &&
                    row->last_poll_to <= reading->from && lost_until_ <= reading->read;
  return same ? reading->from : seen;
}

void Model::close_poll(std::uint32_t lane_index, std::uint64_t ticks, std::uint16_t wait) {
  Lane& lane = *lanes_[lane_index];
  LaneWork& work = *work_[lane_index];
  const auto task = lane.current_task;
  lane.current_task = 0;
  const Row polled{lane.current_from, std::max(ticks, lane.current_from), work.queued, task, wait};
  work.last_row = lane.polls.append(polled);
  const auto began = work.recorded ? polled.from : began_about(task, polled.from, polled.to);
  if (evidence_.is_long_poll(polled.to - began))
    evidence_.add(LongPoll{task, began, polled.to, lane_index, !work.recorded});
  work.last_shown_row = UINT64_MAX;
  if (work.slot == kNone || tasks_.task(work.slot).id != task) work.slot = tasks_.slot_of(task);
  if (work.slot == kNone) return;
  Task& row = tasks_.task(work.slot);
  const auto duration = polled.to - polled.from;
  auto& group = tasks_.call_group(row);
  row.busy += duration;
  group.busy += duration;
  group.poll_times.add(duration);
  if (row.histograms != kNone) tasks_.histograms_of(work.slot).polls.add(duration);
  if (duration > row.max_poll) {
    row.max_poll = duration;
    row.max_poll_from = polled.from;
  }
  if (duration > group.max_poll) {
    group.max_poll = duration;
    group.max_poll_task = task;
  }
  if (row.shown_) {
    const auto shown = shown_.find(task);
    if (shown != shown_.end()) {
      Row own = polled;
      own.tag = lane_index;
      work.last_shown_row = shown->second->polls.append(own);
    }
  }
  if (row.lane != lane_index || row.last_poll_from != polled.from) return;  // it runs elsewhere
  row.last_poll_to = polled.to;
  if (row.state == TaskState::Running) enter(work.slot, TaskState::Idle, polled.to);
}

void Model::on_poll_ended(std::uint32_t lane_index, const Event& event) {
  Lane& lane = *lanes_[lane_index];
  LaneWork& work = *work_[lane_index];
  ++totals_.polls_ended;
  if (lane.current_task != event.task) {
    if (lane.current_task != 0) close_poll(lane_index, event.ticks, kWaitUnknown);
    if (event.task == 0 || work.complete_from == 0) {
      ++totals_.bogus;
      return;
    }
    // It was being polled when the records began.
    on_poll_started(lane_index, event.task, std::max(work.complete_from, lane.polls.last_end()),
                    false);
  }
  const auto end = static_cast<protocol::PollEnd>(event.detail);
  const std::uint16_t wait = end == protocol::PollEnd::Ready         ? kWaitReady
                             : end == protocol::PollEnd::Yielded     ? kWaitYielded
                             : end == protocol::PollEnd::OutOfBudget ? kWaitOutOfBudget
                                                                     : kWaitUnknown;
  close_poll(lane_index, event.ticks, wait);
  if (work.slot == kNone) return;
  Task& row = tasks_.task(work.slot);
  row.last_event_ = std::max(row.last_event_, event.ticks);
  if (row.state != TaskState::Idle || row.lane != lane_index || row.last_poll_to != event.ticks)
    return;
  if ((wait == kWaitYielded || wait == kWaitOutOfBudget) && row.wake_pending_ == 0)
    row.wake_pending_ = event.ticks;
  if (row.wake_pending_ != 0) enter(work.slot, TaskState::Scheduled, event.ticks);
}

void Model::on_wait(std::uint32_t lane_index, const Event& event) {
  LaneWork& work = *work_[lane_index];
  auto slot = work.slot;
  if (slot == kNone || tasks_.task(slot).id != event.task) slot = tasks_.slot_of(event.task);
  const WaitKind kind{protocol::PollEnd::Pending, static_cast<protocol::WaitOp>(event.detail),
                      static_cast<protocol::ResourceKind>(event.resource_kind), event.site};
  const bool leaf = kind.op != protocol::WaitOp::None;
  const auto number = leaf ? wait_kind(kind) : kWaitUnknown;
  if (slot == kNone) return;
  Task& row = tasks_.task(slot);
  if (!row.alive() || row.lane != lane_index || row.state == TaskState::Running) return;
  const bool first_leaf =
      leaf && std::none_of(row.waits.begin(), row.waits.end(),
                           [](const Wait& wait) { return wait.op != protocol::WaitOp::None; });
  if (row.waits.size() >= limits_.branches_per_task) {
    ++totals_.bounded;
    return;
  }
  Wait wait;
  wait.branch = event.branch;
  wait.parent = event.parent_branch;
  wait.mode = static_cast<protocol::BranchMode>(event.mode);
  wait.op = kind.op;
  wait.resource_kind = kind.resource_kind;
  wait.other = event.other;
  wait.value = event.value;
  wait.site = event.site;
  row.waits.push_back(std::move(wait));
  if (leaf && event.other != 0 && !waits_for_task(kind.op)) {
    Resource* resource = resource_for(event.other, kind.resource_kind);
    if (resource != nullptr) {
      ++resource->waits_ever;
      if (row.state == TaskState::Idle) ++resource->waiters;
    }
  }
  if (row.state == TaskState::Idle) row.waits_counted_ = true;
  if (leaf && row.state == TaskState::Scheduled && row.last_wake.by == row.id)
    evidence_.add_self_wait(row.id, event.branch, event.site,
                            waits_for_task(kind.op) ? 0 : event.other);
  if (!first_leaf) return;
  tasks_.set_await_group(slot, number);
  if (work.last_row == UINT64_MAX || row.last_poll_to != event.ticks) return;
  lanes_[lane_index]->polls.set_wait(work.last_row, number);
  if (work.last_shown_row == UINT64_MAX) return;
  const auto shown = shown_.find(event.task);
  if (shown != shown_.end()) shown->second->polls.set_wait(work.last_shown_row, number);
}

void Model::on_wait_cancelled(const Event& event) {
  const auto slot = tasks_.slot_of(event.task);
  if (slot == kNone) return;
  Task& row = tasks_.task(slot);
  const bool counted = row.waits_counted_;
  count_waits(row, false);
  std::erase_if(row.waits, [&](const Wait& wait) { return wait.branch == event.branch; });
  count_waits(row, counted);
}

void Model::on_woken(const Event& event) {
  ++totals_.wakes;
  const auto cause = static_cast<protocol::WakeCause>(event.detail);
  const bool by_itself = event.other == event.task && event.task != 0;
  if (by_itself) ++totals_.self_wakes;
  const auto slot = slot_for(event.task, event.ticks);
  if (slot == kNone) return;
  Task& row = tasks_.task(slot);
  auto& group = tasks_.call_group(row);
  row.last_event_ = std::max(row.last_event_, event.ticks);
  ++row.wakes;
  ++group.wakes;
  if (by_itself) {
    ++row.self_wakes;
    ++group.self_wakes;
    evidence_.add_self_wake(row.id, row.polls, event.ticks);
  }
  if (event.ticks >= row.last_wake.ticks)
    row.last_wake = {event.ticks, cause, event.branch, event.other, event.value};
  if (row.state == TaskState::Running) {
    if (event.ticks >= row.last_poll_from && row.wake_pending_ == 0)
      row.wake_pending_ = event.ticks;
  } else if (row.state == TaskState::Idle && event.ticks >= row.state_since) {
    log_wait(row, event);
    row.wake_pending_ = event.ticks;
    enter(slot, TaskState::Scheduled, event.ticks);
  }
}

void Model::log_wait(const Task& row, const Event& wake) {
  if (static_cast<protocol::WakeCause>(wake.detail) == protocol::WakeCause::Timer) {
    for (const auto& wait : row.waits)
      if (wait.op == protocol::WaitOp::Sleep || wait.op == protocol::WaitOp::Tick)
        return evidence_.add_timer(wait.value, wait.site, wake.ticks);
    return;
  }
  if (!evidence_.is_long_send(wake.ticks - row.state_since)) return;
  for (const auto& wait : row.waits)
    if (wait.op == protocol::WaitOp::Send && wait.other != 0)
      evidence_.add(
          LongSend{wait.other, row.id, row.state_since, wake.ticks, wake.other, wait.site});
}

void Model::on_resource(const protocol::Events& chunk, const Event& event) {
  Resource* resource =
      resource_for(event.other, static_cast<protocol::ResourceKind>(event.resource_kind));
  if (resource == nullptr) return;
  if (event.kind == EventKind::ResourceRegistered) {
    resource->placeholder = false;
    resource->kind = static_cast<protocol::ResourceKind>(event.resource_kind);
    resource->site = event.site;
    resource->parent = event.value;
    resource->registered = event.ticks;
    resource->name = text_of(chunk, event.text, limits_.string_bytes);
    resource->concrete_type = text_of(chunk, event.fields, limits_.string_bytes);
    return;
  }
  if (resource->dropped != 0) return;
  resource->dropped = event.ticks;
  resource->holders.clear();
  dropped_resources_.push_back(event.other);
  if (dropped_resources_.size() <= limits_.dropped_resources) return;
  resources_.erase(dropped_resources_.front());
  dropped_resources_.pop_front();
}

void Model::on_acquired(const Event& event) {
  Resource* resource =
      resource_for(event.other, static_cast<protocol::ResourceKind>(event.resource_kind));
  if (resource == nullptr) return;
  // Who hands a lock over tells of it before it wakes, and may lose its processor in between.
  if (const auto slot = tasks_.slot_of(event.task); slot != kNone) {
    Task& row = tasks_.task(slot);
    const auto is_for_it = [&](const Wait& wait) {
      return wait.other == event.other && !waits_for_task(wait.op);
    };
    if (row.state == TaskState::Idle && event.ticks >= row.state_since &&
        std::any_of(row.waits.begin(), row.waits.end(), is_for_it))
      row.granted = true;
  }
  auto& holders = resource->holders;
  // Its last holder has let go of it, whatever was read or lost of that.
  if (resource->kind == protocol::ResourceKind::Mutex) holders.clear();
  const auto same = std::find_if(holders.begin(), holders.end(), [&](const auto& holder) {
    return holder.task == event.task && holder.role == "holds";
  });
  if (same != holders.end()) {
    same->permits += event.extra;
    return;
  }
  if (holders.size() >= kMaxHolders) {
    ++totals_.bounded;
    return;
  }
  holders.push_back({event.task, event.detail == 1, std::max(event.extra, 1u), "holds"});
}

void Model::on_released(const Event& event) {
  const auto found = resources_.find(event.other);
  if (found == resources_.end()) return;
  auto& holders = found->second.holders;
  auto holder = std::find_if(holders.begin(), holders.end(),
                             [&](const auto& one) { return one.task == event.task; });
  // Whoever releases may not be who acquired: a guard that moved. The only holder is meant then.
  if (holder == holders.end() && holders.size() == 1) holder = holders.begin();
  if (holder == holders.end()) return;
  const auto permits = std::max(event.extra, 1u);
  if (holder->permits > permits)
    holder->permits -= permits;
  else
    holders.erase(holder);
}

}  // namespace taskscope::console::session
