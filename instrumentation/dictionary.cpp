#include "taskscope/instrumentation/dictionary.h"

namespace taskscope::instrumentation {

std::uint32_t Dictionary::define(std::uint32_t number) {
  const Site site = sites.at(number);
  std::string key = site.file_name();
  key.append(1, '\0')
      .append(site.function_name())
      .append(1, '\0')
      .append(std::to_string(site.line()))
      .append(1, ':')
      .append(std::to_string(site.column()));
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = ids_.try_emplace(std::move(key), number);
  if (is_new)
    sites_.push_back({.id = number,
                      .file = site.file_name(),
                      .function = site.function_name(),
                      .line = site.line(),
                      .column = site.column()});
  return entry->second;
}

std::vector<protocol::Site> Dictionary::take_new() {
  const std::lock_guard lock(mutex_);
  std::vector<protocol::Site> fresh(sites_.begin() + static_cast<std::ptrdiff_t>(taken_),
                                    sites_.end());
  taken_ = sites_.size();
  return fresh;
}

std::vector<protocol::Site> Dictionary::all() const {
  const std::lock_guard lock(mutex_);
  return sites_;
}

}  // namespace taskscope::instrumentation
