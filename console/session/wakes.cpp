#include "taskscope/console/session/wakes.h"

#include <algorithm>
#include <tuple>
#include <variant>

namespace taskscope::console::session {

void WakeWindow::clear() {
  parts_.clear();
  ++generation_;
  revision_ = UINT64_MAX;
  too_wide_ = more_ = false;
}

bool WakeWindow::look(Session& session, std::int64_t from_ns, std::int64_t to_ns,
                      std::size_t events) {
  const Model& model = session.model();
  if (!more_ && revision_ == model.revision() && from_ns == from_ns_ && to_ns == to_ns_)
    return false;
  revision_ = model.revision();
  from_ns_ = from_ns;
  to_ns_ = to_ns;
  ++look_;
  const auto from = model.clock().ticks(from_ns), to = model.clock().ticks(to_ns);
  std::vector<const ChunkEntry*> missing;
  std::size_t in_view = 0, chunks = 0;
  too_wide_ = false;
  for (const auto& entry : model.chunks()) {
    if (entry.to < from || entry.from > to) continue;
    in_view += entry.events;
    if (in_view > kMostEvents || ++chunks > kMostChunks) {
      too_wide_ = true;
      break;
    }
    const auto known = parts_.find(entry.place.offset);
    if (known != parts_.end())
      known->second.seen = look_;
    else
      missing.push_back(&entry);
  }
  if (too_wide_) {
    parts_.clear();
    ++generation_;
    more_ = false;
    return false;
  }
  if (std::erase_if(parts_, [&](const auto& part) { return part.second.seen != look_; }) > 0)
    ++generation_;
  more_ = false;
  std::size_t read = 0;
  // The newest first: one looks at those while following.
  for (auto entry = missing.rbegin(); entry != missing.rend(); ++entry) {
    const auto cost =
        std::max<std::size_t>((*entry)->events, 256);  // a small one costs its reading
    if (read > 0 && read + cost > events) {
      more_ = true;
      break;
    }
    read += cost;
    Part& part = parts_[(*entry)->place.offset];
    part.seen = look_;
    part.lane = (*entry)->lane;
    ++generation_;
    const auto update = session.source().read((*entry)->place);
    const auto* run = update ? std::get_if<protocol::Events>(&*update) : nullptr;
    if (run == nullptr) continue;
    for (const auto& event : run->events) {
      if (event.kind == protocol::EventKind::Woken)
        part.wakes.push_back({event.ticks, event.task, event.other, event.value,
                              static_cast<protocol::WakeCause>(event.detail)});
      else if (event.kind == protocol::EventKind::PollStarted)
        part.starts.push_back({event.ticks, event.task, part.lane});
    }
  }
  return more_;
}

const std::vector<Wake>& WakeWindow::of(const Model& model, std::uint64_t task, std::size_t limit) {
  Answer* answer = &answers_[0];
  for (auto& one : answers_) {
    if (one.task == task && one.generation == generation_ && one.limit == limit) {
      one.used = ++look_;
      return one.wakes;
    }
    if (one.used < answer->used) answer = &one;
  }
  answer->task = task;
  answer->generation = generation_;
  answer->limit = limit;
  answer->used = ++look_;
  auto& wakes = answer->wakes;
  wakes.clear();
  std::vector<std::pair<RawWake, std::uint32_t>> raw;
  for (const auto& [offset, part] : parts_)
    for (const auto& wake : part.wakes)
      if (wake.task == task || wake.by == task) raw.emplace_back(wake, part.lane);
  std::sort(raw.begin(), raw.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.ticks, a.first.task, a.second) <
           std::tie(b.first.ticks, b.first.task, b.second);
  });
  if (raw.size() > limit) raw.resize(limit);
  std::vector<std::uint64_t> woken;
  for (const auto& [wake, lane] : raw) woken.push_back(wake.task);
  std::sort(woken.begin(), woken.end());
  woken.erase(std::unique(woken.begin(), woken.end()), woken.end());
  std::vector<Start> starts;
  if (!woken.empty())
    for (const auto& [offset, part] : parts_)
      for (const auto& start : part.starts)
        if (std::binary_search(woken.begin(), woken.end(), start.task)) starts.push_back(start);
  const auto before = [](const Start& a, const Start& b) {
    return std::tie(a.task, a.ticks) < std::tie(b.task, b.ticks);
  };
  std::sort(starts.begin(), starts.end(), before);
  for (const auto& [wake, lane] : raw) {
    Wake arrow{
        model.clock().ns(wake.ticks), wake.task, wake.by, lane, wake.cause, wake.value, 0, kNone};
    const auto next =
        std::lower_bound(starts.begin(), starts.end(), Start{wake.ticks, wake.task, kNone}, before);
    if (next != starts.end() && next->task == wake.task) {
      arrow.polled_ns = model.clock().ns(next->ticks);
      arrow.polled_lane = next->lane;
    }
    wakes.push_back(arrow);
  }
  return wakes;
}

}  // namespace taskscope::console::session
