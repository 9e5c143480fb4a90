/// The data: keys, their values and their deadlines, cut into shards that are locked one by one.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

namespace taskscope::redis {

/// Milliseconds of the wall clock since 1970, as in EXPIREAT; 0: no time.
enum class UnixMs : std::int64_t { None = 0 };

using List = std::deque<std::string>;
using Value = std::variant<std::string, List>;

/// Keys of one lock. A key whose deadline has passed is gone for every caller: `find` removes it,
/// and so does `expire_due`, which whoever waits for `next_deadline` calls.
class Shard {
 public:
  struct Entry {
    Value value;
    UnixMs deadline = UnixMs::None;
  };

  /// Null if the key is not there. Valid until the shard is changed for that key.
  [[nodiscard]] Entry* find(std::string_view key, UnixMs now);
  /// Replaces value and deadline.
  void put(std::string_view key, Value value, UnixMs deadline = UnixMs::None);
  /// Changes the deadline of a key that is there.
  void set_deadline(std::string_view key, UnixMs deadline);
  bool erase(std::string_view key, UnixMs now);
  void clear();

  /// Keys whose deadline has passed count until somebody removes them, as in Redis.
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] std::size_t with_deadline() const noexcept { return deadlines_.size(); }
  [[nodiscard]] std::optional<UnixMs> next_deadline() const;
  /// Removes up to `most` keys whose deadline has passed; returns how many.
  std::size_t expire_due(UnixMs now, std::size_t most);
  /// Keys that a deadline has removed so far.
  [[nodiscard]] std::uint64_t expired() const noexcept { return expired_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept {
      return std::hash<std::string_view>()(key);
    }
  };
  using Entries = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;

  void forget_deadline(const Entries::value_type& entry);

  Entries entries_;
  // Earliest first. Views the key in `entries_`, whose nodes stay where they are.
  std::set<std::pair<UnixMs, std::string_view>> deadlines_;
  std::uint64_t expired_ = 0;
};

constexpr std::size_t kShards = 8;

struct Keyspace {
  std::array<Shard, kShards> shards;

  [[nodiscard]] static std::size_t shard_of(std::string_view key) noexcept {
    // The high bits: a shard's table uses the low ones.
    return std::hash<std::string_view>()(key) >> 61;
  }
  [[nodiscard]] Shard& of(std::string_view key) { return shards[shard_of(key)]; }
};
static_assert(kShards == 1u << (64 - 61));

}  // namespace taskscope::redis
