#include "taskscope/instrumentation/inspectors.h"

#include <algorithm>

namespace taskscope::instrumentation {

namespace {
auto find(auto& entries, const Inspectors::Inspector* inspector) {
  return std::find_if(entries.begin(), entries.end(),
                      [inspector](const auto& entry) { return entry.inspector == inspector; });
}
}  // namespace

void Inspectors::add(Inspector& inspector) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({.inspector = &inspector});
}

void Inspectors::remove(Inspector& inspector) {
  std::unique_lock lock(mutex_);
  const auto entry = find(entries_, &inspector);
  if (entry == entries_.end()) return;
  entry->is_leaving = true;
  returned_.wait(lock, [&] { return find(entries_, &inspector)->uses == 0; });
  entries_.erase(find(entries_, &inspector));
}

bool Inspectors::empty() const {
  const std::lock_guard lock(mutex_);
  return entries_.empty();
}

std::vector<Inspectors::Inspector*> Inspectors::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<Inspector*> inspectors;
  for (const Entry& entry : entries_)
    if (!entry.is_leaving) inspectors.push_back(entry.inspector);
  return inspectors;
}

bool Inspectors::lend(Inspector* inspector) {
  const std::lock_guard lock(mutex_);
  const auto entry = find(entries_, inspector);
  if (entry == entries_.end() || entry->is_leaving) return false;
  ++entry->uses;
  return true;
}

void Inspectors::take_back(Inspector* inspector) {
  {
    const std::lock_guard lock(mutex_);
    --find(entries_, inspector)->uses;
  }
  returned_.notify_all();
}

}  // namespace taskscope::instrumentation
