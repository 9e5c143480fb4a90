#include "taskscope/console/session/session.h"

#include <algorithm>
#include <tuple>

namespace taskscope::console::session {
namespace {

bool names(const protocol::Event& event, std::uint64_t task) {
  if (event.task == task) return true;
  return event.kind == protocol::EventKind::Woken && event.other == task;
}

}  // namespace

Session::Session(std::unique_ptr<source::Source> source, const Limits& limits)
    : source_(std::move(source)), model_(limits) {}

Session::~Session() = default;

bool Session::pump(std::chrono::nanoseconds budget) {
  const auto begin = std::chrono::steady_clock::now();
  do {
    auto chunk = source_->next();
    if (!chunk) {
      const auto state = source_->state();
      if (state != source::SourceState::Open && !finished_) {
        finished_ = true;
        if (model_.ended())
          model_.flush();
        else
          model_.end(state == source::SourceState::Dead, source_->end_reason());
        if (after_each_) after_each_(model_);
      }
      break;
    }
    model_.apply(std::move(chunk->update), chunk->place);
    if (after_each_) after_each_(model_);
  } while (std::chrono::steady_clock::now() - begin < budget);
  const auto stats = source_->stats();
  if (stats.readable_from != 0) model_.drop_chunks_before(stats.readable_from);
  return stats.queued_chunks > 0;
}

void Session::pump_to_end(std::chrono::milliseconds at_most) {
  const auto end = std::chrono::steady_clock::now() + at_most;
  while (!finished_ && std::chrono::steady_clock::now() < end) {
    if (pump(std::chrono::milliseconds{20}) || finished_) continue;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    source_->wait(std::clamp(left, std::chrono::milliseconds{1}, std::chrono::milliseconds{100}));
  }
}

void Session::request_snapshot(bool stacks, std::uint64_t task) {
  source_->request(protocol::RequestSnapshot{true, stacks, task});
}

source::Result<source::Nothing> Session::start_recording(const std::string& path) {
  return source_->start_recording(path);
}

bool Session::stop_recording() { return source_->stop_recording(); }

std::vector<NamedEvent> Session::events_of(std::uint64_t task, std::size_t limit,
                                           std::size_t chunks) {
  struct Found {
    std::size_t chunk, place;  // chunks count backwards, places forwards
    NamedEvent named;
  };
  std::vector<Found> found;
  const auto& all = model_.chunks();
  const Task* row = model_.tasks().find(task);
  const auto born = row == nullptr ? 0 : row->spawned != 0 ? row->spawned : row->observed_from;
  std::size_t read = 0;
  for (auto entry = all.rbegin(); entry != all.rend() && read < chunks; ++entry) {
    if (entry->to < born) continue;
    if (row != nullptr && !row->alive() && entry->from > row->finished) continue;
    auto update = source_->read(entry->place);
    ++read;
    const auto* run = update ? std::get_if<protocol::Events>(&*update) : nullptr;
    if (run == nullptr) continue;
    for (std::size_t i = 0; i < run->events.size(); ++i) {
      const auto& event = run->events[i];
      if (!names(event, task)) continue;
      found.push_back({read, i, {event, entry->lane, {}}});
      if (event.text != 0 && event.text <= run->texts.size())
        found.back().named.text = run->texts[event.text - 1];
    }
    // Chunks of several lanes overlap: read on a little before the newest are taken.
    if (found.size() >= 4 * limit) break;
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    if (a.named.event.ticks != b.named.event.ticks)
      return a.named.event.ticks > b.named.event.ticks;
    return a.chunk != b.chunk ? a.chunk < b.chunk : a.place > b.place;
  });
  std::vector<NamedEvent> events;
  for (auto& one : found) {
    if (events.size() == limit) break;
    events.push_back(std::move(one.named));
  }
  return events;
}

std::vector<WakeArrow> Session::wakes(std::uint64_t task, std::int64_t from_ns, std::int64_t to_ns,
                                      std::size_t limit, std::size_t chunks) {
  const auto from = model_.clock().ticks(from_ns), to = model_.clock().ticks(to_ns);
  std::vector<const ChunkEntry*> within;
  for (const auto& entry : model_.chunks()) {
    if (entry.to < from || entry.from > to) continue;
    within.push_back(&entry);
    if (within.size() > chunks) return {};
  }
  std::vector<WakeArrow> arrows;
  for (const auto* entry : within) {
    auto update = source_->read(entry->place);
    const auto* run = update ? std::get_if<protocol::Events>(&*update) : nullptr;
    if (run == nullptr) continue;
    for (const auto& event : run->events) {
      if (event.kind != protocol::EventKind::Woken || event.ticks < from || event.ticks >= to)
        continue;
      if (task != 0 && event.task != task) continue;
      arrows.push_back({model_.clock().ns(event.ticks), event.task, event.other, entry->lane,
                        static_cast<protocol::WakeCause>(event.detail), event.value});
    }
  }
  std::sort(arrows.begin(), arrows.end(), [](const WakeArrow& a, const WakeArrow& b) {
    return std::tie(a.at_ns, a.task, a.lane) < std::tie(b.at_ns, b.task, b.lane);
  });
  if (arrows.size() > limit) arrows.resize(limit);
  return arrows;
}

}  // namespace taskscope::console::session
