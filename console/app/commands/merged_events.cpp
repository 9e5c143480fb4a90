#include "taskscope/console/app/commands/merged_events.h"

#include <algorithm>
#include <unordered_map>

#include "taskscope/protocol/codec.h"

namespace taskscope::console::app::commands {
namespace {

constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.ticks != b.ticks ? a.ticks > b.ticks : a.ring > b.ring;
};

}  // namespace

MergedEvents::MergedEvents(const protocol::TraceReader& reader) : reader_(reader) {
  std::unordered_map<std::uint64_t, std::size_t> index;
  for (const auto& entry : reader.chunks()) {
    if (entry.header.kind != protocol::ChunkKind::Events) continue;
    const auto [at, added] = index.emplace(entry.header.ring, rings_.size());
    if (added) rings_.emplace_back();
    rings_[at->second].chunks.push_back(&entry);
  }
  for (std::size_t ring = 0; ring < rings_.size(); ++ring) push(ring);
}

void MergedEvents::push(std::size_t ring) {
  Ring& row = rings_[ring];
  if (row.loaded && row.next_event == row.run.events.size()) row.loaded = false;
  std::uint64_t ticks = 0;
  if (row.loaded) {
    ticks = row.run.events[row.next_event].ticks;
  } else if (row.next_chunk < row.chunks.size()) {
    ticks = row.chunks[row.next_chunk]->header.first_ticks;  // decoded when its time has come
  } else {
    return;
  }
  heads_.push_back({ticks, ring});
  std::push_heap(heads_.begin(), heads_.end(), kLater);
}

bool MergedEvents::load(Ring& ring) {
  while (ring.next_chunk < ring.chunks.size()) {
    const auto& entry = *ring.chunks[ring.next_chunk++];
    const auto chunk = reader_.view(entry);
    ring.next_event = 0;
    if (chunk && protocol::decode_events(*chunk, ring.run)) {
      ring.loaded = !ring.run.events.empty();
      if (ring.loaded) return true;
    } else {
      unreadable_ += entry.header.events;
    }
  }
  return false;
}

std::optional<MergedEvents::Item> MergedEvents::next() {
  while (!heads_.empty()) {
    const std::size_t index = heads_.front().ring;
    std::pop_heap(heads_.begin(), heads_.end(), kLater);
    heads_.pop_back();
    Ring& ring = rings_[index];
    if (!ring.loaded || ring.next_event == ring.run.events.size()) {
      if (load(ring)) push(index);
      continue;
    }
    // The event stays where it is until next() is called again: pushing decodes nothing.
    const Item item{&ring.run.events[ring.next_event++], &ring.run};
    push(index);
    return item;
  }
  return std::nullopt;
}

}  // namespace taskscope::console::app::commands
