/// What ids in the stream stand for: call sites, copied from the program when first seen.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "taskscope/instrumentation/site_table.h"
#include "taskscope/protocol/update.h"

namespace taskscope::instrumentation {

/// Sites by content: the same line reached through several pointers gets one id. Thread-safe.
class Dictionary {
 public:
  /// The id that the stream uses for a number of the site table; 0 for 0.
  std::uint32_t define(std::uint32_t number);
  /// Definitions that were not taken yet. They have to travel before what uses them.
  std::vector<protocol::Site> take_new();
  /// All definitions, taken or not.
  std::vector<protocol::Site> all() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::uint32_t> ids_;  // by content
  std::vector<protocol::Site> sites_;
  std::size_t taken_ = 0;
};

/// A thread's view of the dictionary: asks it once per site.
class SiteNames {
 public:
  explicit SiteNames(Dictionary& dictionary) : dictionary_(&dictionary) {}

  [[nodiscard]] std::uint32_t operator()(std::uint32_t number) {
    if (number == 0) return 0;
    if (number >= known_.size()) known_.resize(number + std::size_t{1});
    std::uint32_t& id = known_[number];
    if (id == 0) id = dictionary_->define(number);
    return id;
  }
  [[nodiscard]] std::uint32_t operator()(const Site& site) { return (*this)(sites.id(site)); }

 private:
  Dictionary* dictionary_;
  std::vector<std::uint32_t> known_;
};

}  // namespace taskscope::instrumentation
