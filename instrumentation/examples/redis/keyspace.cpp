#include "taskscope/instrumentation/examples/redis/keyspace.h"

namespace taskscope::redis {

Shard::Entry* Shard::find(std::string_view key, UnixMs now) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  Entry& entry = found->second;
  if (entry.deadline != UnixMs::None && entry.deadline <= now) {
    forget_deadline(*found);
    entries_.erase(found);
    ++expired_;
    return nullptr;
  }
  return &entry;
}

void Shard::put(std::string_view key, Value value, UnixMs deadline) {
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    found = entries_.try_emplace(std::string(key)).first;
  } else {
    forget_deadline(*found);
  }
  found->second.value = std::move(value);
  found->second.deadline = deadline;
  if (deadline != UnixMs::None) deadlines_.emplace(deadline, found->first);
}

void Shard::set_deadline(std::string_view key, UnixMs deadline) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  forget_deadline(*found);
  found->second.deadline = deadline;
  if (deadline != UnixMs::None) deadlines_.emplace(deadline, found->first);
}

bool Shard::erase(std::string_view key, UnixMs now) {
  if (find(key, now) == nullptr) return false;
  const auto found = entries_.find(key);
  forget_deadline(*found);
  entries_.erase(found);
  return true;
}

void Shard::clear() {
  deadlines_.clear();
  entries_.clear();
}

std::optional<UnixMs> Shard::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

std::size_t Shard::expire_due(UnixMs now, std::size_t most) {
  std::size_t removed = 0;
  while (removed < most && !deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto found = entries_.find(deadlines_.begin()->second);
    deadlines_.erase(deadlines_.begin());
    entries_.erase(found);
    ++removed;
  }
  expired_ += removed;
  return removed;
}

void Shard::forget_deadline(const Entries::value_type& entry) {
  if (entry.second.deadline != UnixMs::None) deadlines_.erase({entry.second.deadline, entry.first});
}

}  // namespace taskscope::redis
