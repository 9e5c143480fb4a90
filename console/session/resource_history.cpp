#include "taskscope/console/session/resource_history.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>

#include "taskscope/console/session/session.h"

namespace taskscope::console::session {
namespace {

using protocol::EventKind;

/// What the history is made from, in the order in which it happened.
struct Record {
  std::uint64_t ticks = 0, task = 0;
  std::uint64_t order = 0;  // among equal ticks: chunk, then place
  EventKind kind = EventKind::None;
  std::uint32_t permits = 0;
  bool certain = false;
  bool about_resource = false;
};

bool earlier(const Record& a, const Record& b) {
  return std::tie(a.ticks, a.order) < std::tie(b.ticks, b.order);
}

bool is_hold(EventKind kind) {
  return kind == EventKind::ResourceAcquired || kind == EventKind::ResourceReleased;
}

/// Takes of a chunk what may matter: everything about the resource, and whatever ends waits.
void collect(const protocol::Events& run, std::uint64_t resource, std::uint64_t chunk,
             std::vector<Record>& records) {
  for (std::size_t i = 0; i < run.events.size(); ++i) {
    const auto& event = run.events[i];
    Record record{event.ticks, event.task, chunk << 32 | i, event.kind, 0, false, false};
    switch (event.kind) {
      case EventKind::Wait:
        if (event.other != resource ||
            event.detail == static_cast<std::uint8_t>(protocol::WaitOp::None) ||
            event.detail == static_cast<std::uint8_t>(protocol::WaitOp::Join) ||
            event.detail == static_cast<std::uint8_t>(protocol::WaitOp::Blocking))
          continue;
        break;
      case EventKind::ResourceAcquired:
      case EventKind::ResourceReleased:
      case EventKind::ResourceRegistered:
      case EventKind::ResourceDropped:
        if (event.other != resource) continue;
        record.permits = std::max(event.extra, 1u);
        record.certain = event.detail == 1;
        break;
      case EventKind::Woken:
        record.about_resource = event.value == resource &&
                                event.detail != static_cast<std::uint8_t>(protocol::WakeCause::Io);
        break;
      case EventKind::PollStarted:
      case EventKind::TaskFinished:
        break;
      default:
        continue;
    }
    records.push_back(record);
  }
}

/// Tasks that wait for the resource, and since when nobody knew of it.
class WaitReplay {
 public:
  void take(const Record& record) {
    switch (record.kind) {
      case EventKind::Wait: {
        State& state = states_[record.task];
        state.seen = true;
        if (state.woken) return;  // woken while it was still polled: it is queued already
        ++state.branches;
        step(record.ticks, 1);
        return;
      }
      case EventKind::Woken:
      case EventKind::PollStarted:
      case EventKind::TaskFinished: {
        State& state = states_[record.task];
        if (state.branches > 0) {
          step(record.ticks, -static_cast<std::int64_t>(state.branches));
          state.branches = 0;
        } else if (!state.seen && record.about_resource) {
          // It waited since before the records that were read.
          ++before_;
          step(record.ticks, -1);
        }
        state.seen = true;
        state.woken = record.kind == EventKind::Woken;
        return;
      }
      default:
        return;
    }
  }
  [[nodiscard]] bool knows(std::uint64_t task) const { return states_.contains(task); }

  struct Step {
    std::uint64_t ticks = 0;
    std::int64_t by = 0;
  };
  std::vector<Step> steps;
  [[nodiscard]] std::uint32_t before() const { return before_; }

 private:
  struct State {
    std::uint32_t branches = 0;
    bool woken = false, seen = false;
  };
  void step(std::uint64_t ticks, std::int64_t by) {
    if (!steps.empty() && steps.back().ticks == ticks)
      steps.back().by += by;
    else
      steps.push_back({ticks, by});
  }
  std::unordered_map<std::uint64_t, State> states_;
  std::uint32_t before_ = 0;
};

/// Who holds it, from one record to the next.
class HoldReplay {
 public:
  HoldReplay(const Clock& clock, std::int64_t known_from_ns)
      : clock_(clock), known_from_ns_(known_from_ns) {}

  void take(const Record& record) {
    const auto at = clock_.ns(record.ticks);
    switch (record.kind) {
      case EventKind::ResourceAcquired:
        open.push_back({at, at, record.task, record.permits, record.certain, false, false});
        return;
      case EventKind::ResourceReleased:
        release(record, at);
        return;
      case EventKind::ResourceDropped:
        for (auto& hold : open) close(hold, at);
        open.clear();
        return;
      default:
        return;
    }
  }
  std::vector<ResourceHold> open, closed;

 private:
  void close(ResourceHold& hold, std::int64_t at) {
    hold.to_ns = at;
    closed.push_back(hold);
  }
  void release(const Record& record, std::int64_t at) {
    auto permits = record.permits;
    bool found = false;
    for (auto hold = open.begin(); hold != open.end() && permits > 0;) {
      // Whoever releases may not be who acquired, as with a guard that moved: the only holder is
      // meant then, as in the model.
      if (hold->task != record.task && open.size() > 1) {
        ++hold;
        continue;
      }
      found = true;
      const auto part = std::min(permits, hold->permits);
      permits -= part;
      if (part < hold->permits) {
        hold->permits -= part;
        closed.push_back(
            {hold->from_ns, at, hold->task, part, hold->certain, hold->began_before, false});
        break;
      }
      close(*hold, at);
      hold = open.erase(hold);
    }
    if (!found && closed.empty() && open.empty() && at > known_from_ns_)
      closed.push_back(
          {known_from_ns_, at, record.task, record.permits, record.certain, true, false});
  }
  const Clock& clock_;
  std::int64_t known_from_ns_;
};

void add_gaps(const Model& model, ResourceHistory& history) {
  constexpr std::size_t kGaps = 1000;
  const auto& clock = model.clock();
  const auto take = [&](const Gap& gap) {
    const UnknownSpan span{std::max(clock.ns(gap.from), history.from_ns),
                           std::min(clock.ns(gap.to), history.to_ns)};
    if (span.from_ns <= span.to_ns && history.gaps.size() < kGaps) history.gaps.push_back(span);
  };
  for (const auto& gap : model.gaps()) take(gap);
  for (const auto& lane : model.lanes())
    for (const auto& gap : lane->gaps) take(gap);
  auto& gaps = history.gaps;
  std::sort(gaps.begin(), gaps.end(), [](const UnknownSpan& a, const UnknownSpan& b) {
    return std::tie(a.from_ns, a.to_ns) < std::tie(b.from_ns, b.to_ns);
  });
  std::size_t kept = 0;
  for (const auto& gap : gaps) {
    if (kept > 0 && gap.from_ns <= gaps[kept - 1].to_ns)
      gaps[kept - 1].to_ns = std::max(gaps[kept - 1].to_ns, gap.to_ns);
    else
      gaps[kept++] = gap;
  }
  gaps.resize(kept);
}

}  // namespace

ResourceHistory Session::resource_history(std::uint64_t resource, std::int64_t from_ns,
                                          std::int64_t to_ns, const HistoryLimits& limits) {
  ResourceHistory history;
  history.resource = resource;
  const auto& clock = model_.clock();
  history.from_ns = std::max(from_ns, model_.begin_ns());
  history.to_ns = history.holders_from_ns = std::min(to_ns, model_.now_ns());
  const Resource* known = model_.resource(resource);
  if (history.from_ns >= history.to_ns || known == nullptr || resource == 0) {
    history.from_ns = history.holders_from_ns = history.to_ns;
    return history;
  }
  const auto from = clock.ticks(history.from_ns);
  auto to = clock.ticks(history.to_ns);
  const auto& all = model_.chunks();
  // What is held now tells of the span too, if nothing happened to it in between: that is read as
  // well, where it is not much.
  bool to_now = to_ns >= model_.now_ns();
  if (!to_now) {
    std::size_t beyond = 0;
    for (auto entry = all.rbegin(); entry != all.rend() && beyond <= limits.events / 4; ++entry)
      if (entry->to > to) beyond += entry->events;
    to_now = beyond <= limits.events / 4;
    if (to_now) to = std::max(to, model_.now());
  }

  // The chunks of the span, the newest first; then older ones, until they tell who held it at the
  // span's begin.
  std::vector<Record> records;
  std::size_t chunks = 0, events = 0;
  std::uint64_t unread_to = 0, read_from = from;
  bool holder_found = false, budget_left = true;
  for (std::size_t i = all.size(); i-- > 0;) {
    const auto& entry = all[i];
    if (entry.from > to) continue;
    const bool within = entry.to >= from;
    if (!within && (holder_found || entry.to < known->registered)) continue;
    if (budget_left && chunks > 0 &&
        (chunks >= limits.chunks || events + entry.events > limits.events))
      budget_left = false;
    if (!budget_left) {
      unread_to = std::max(unread_to, entry.to);
      continue;
    }
    ++chunks;
    events += entry.events;
    const auto update = source_->read(entry.place);
    const auto* run = update ? std::get_if<protocol::Events>(&*update) : nullptr;
    if (run == nullptr) continue;
    const auto before = records.size();
    collect(*run, resource, i, records);
    for (auto record = records.begin() + static_cast<std::ptrdiff_t>(before);
         record != records.end(); ++record)
      holder_found = holder_found || (is_hold(record->kind) && record->ticks < from);
    if (!within) {
      // Only who holds it matters of what came before.
      records.erase(
          std::remove_if(records.begin() + static_cast<std::ptrdiff_t>(before), records.end(),
                         [](const Record& record) { return !is_hold(record.kind); }),
          records.end());
      read_from = std::min(read_from, entry.from);
    }
  }
  if (unread_to >= from) {
    history.from_ns = std::min(clock.ns(unread_to), history.to_ns);
    std::erase_if(records, [&](const Record& record) { return record.ticks < unread_to; });
  }
  const auto begin = clock.ticks(history.from_ns);
  std::sort(records.begin(), records.end(), earlier);

  // Only tasks that wait for it matter among the ends of waits.
  std::unordered_set<std::uint64_t> waiters;
  for (const auto& record : records)
    if (record.kind == EventKind::Wait || record.about_resource) waiters.insert(record.task);

  WaitReplay waits;
  HoldReplay holds(clock, history.from_ns);
  bool told = known->registered != 0 && known->registered >= read_from;
  std::uint64_t told_from = told ? known->registered : UINT64_MAX;
  for (const auto& record : records) {
    if (record.ticks > to) break;
    if (is_hold(record.kind) || record.kind == EventKind::ResourceDropped) {
      if (!told && is_hold(record.kind)) {
        told = true;
        // A release tells of the time before it as well.
        told_from = record.kind == EventKind::ResourceReleased ? 0 : record.ticks;
      }
      holds.take(record);
    }
    if (record.ticks < begin) continue;
    if (waiters.contains(record.task)) waits.take(record);
  }

  // What goes on now began before what was read, if nothing in it tells.
  if (to_now) {
    for (const auto& holder : known->holders) {
      const bool seen = std::any_of(holds.open.begin(), holds.open.end(),
                                    [&](const auto& hold) { return hold.task == holder.task; });
      const bool closed = std::any_of(holds.closed.begin(), holds.closed.end(),
                                      [&](const auto& hold) { return hold.task == holder.task; });
      if (seen || closed) continue;
      holds.open.push_back({history.from_ns, model_.now_ns(), holder.task, holder.permits,
                            holder.certain, true, true});
    }
    if (!told) told_from = 0;
    told = true;
  }
  std::uint32_t waiting = waits.before();
  // Who waits now and did so before the span waited all through it.
  if (known->waiters > 0) {
    for (const auto task : model_.waiters_of(resource)) {
      const Task* row = model_.tasks().find(task);
      if (row != nullptr && row->state_since < begin && !waits.knows(task)) ++waiting;
    }
  }
  history.waiting_before = waiting;
  std::int64_t count = waiting;
  for (const auto& step : waits.steps) {
    if (step.by == 0) continue;
    if (clock.ns(step.ticks) >= history.to_ns) break;
    if (history.waiting.size() >= limits.steps) {
      history.cut = true;
      break;
    }
    count = std::max<std::int64_t>(0, count + step.by);
    history.waiting.push_back({clock.ns(step.ticks), static_cast<std::uint32_t>(count)});
  }

  history.holds = std::move(holds.closed);
  for (auto& hold : holds.open) {
    hold.to_ns = history.to_ns;
    hold.lasts = true;
    history.holds.push_back(hold);
  }
  std::erase_if(history.holds, [&](const ResourceHold& hold) {
    return hold.to_ns < history.from_ns || hold.from_ns > history.to_ns;
  });
  for (auto& hold : history.holds) {
    if (hold.to_ns <= history.to_ns) continue;
    hold.to_ns = history.to_ns;
    hold.lasts = true;
  }
  std::sort(history.holds.begin(), history.holds.end(),
            [](const ResourceHold& a, const ResourceHold& b) {
              return std::tie(a.from_ns, a.to_ns, a.task) < std::tie(b.from_ns, b.to_ns, b.task);
            });
  if (history.holds.size() > limits.holds) {
    // The newest are kept.
    history.holds.erase(history.holds.begin(),
                        history.holds.end() - static_cast<std::ptrdiff_t>(limits.holds));
    history.cut = true;
    told_from = std::max(told_from, clock.ticks(history.holds.front().from_ns));
  }
  if (told)
    history.holders_from_ns = std::clamp(clock.ns(told_from), history.from_ns, history.to_ns);
  add_gaps(model_, history);
  return history;
}

}  // namespace taskscope::console::session
