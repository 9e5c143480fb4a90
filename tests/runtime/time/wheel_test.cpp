#include "taskscope/runtime/time/wheel.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

using taskscope::runtime::time::Wheel;
using taskscope::runtime::time::WheelEntry;

namespace {

/// What a wheel should do, by a sorted map.
class Model {
 public:
  explicit Model(std::uint64_t now) : now_(now) {}
  bool insert(int id, std::uint64_t tick) {
    if (tick <= now_) return false;
    due_.emplace(tick, id);  // equal ticks: in the order of insertion
    return true;
  }
  void remove(int id) {
    due_.erase(std::find_if(due_.begin(), due_.end(), [&](auto& one) { return one.second == id; }));
  }
  std::vector<std::pair<std::uint64_t, int>> advance(std::uint64_t now) {
    now_ = std::max(now_, now);
    std::vector<std::pair<std::uint64_t, int>> out(due_.begin(), due_.upper_bound(now_));
    due_.erase(due_.begin(), due_.upper_bound(now_));
    return out;
  }
  [[nodiscard]] bool empty() const { return due_.empty(); }
  [[nodiscard]] std::uint64_t first() const { return due_.begin()->first; }
  [[nodiscard]] std::size_t size() const { return due_.size(); }

 private:
  std::uint64_t now_;
  std::multimap<std::uint64_t, int> due_;
};

struct Numbered : WheelEntry {
  int id = 0;
};

std::size_t count_of(const Wheel& wheel) {
  return std::accumulate(wheel.occupancy().begin(), wheel.occupancy().end(), std::size_t{0});
}

}  // namespace

TEST_CASE("wheel: a deadline that is not after now is refused") {
  Wheel wheel(1000);
  WheelEntry entry;
  CHECK_FALSE(wheel.insert(entry, 1000));
  CHECK_FALSE(wheel.insert(entry, 0));
  CHECK_FALSE(entry.linked());
  CHECK(wheel.empty());
  CHECK(wheel.insert(entry, 1001));
  CHECK(entry.linked());
  wheel.remove(entry);
}

TEST_CASE("wheel: an entry lies on the level of its distance and moves down as time passes") {
  Wheel wheel;
  WheelEntry entry;
  REQUIRE(wheel.insert(entry, 64 * 64 * 3 + 64 * 5 + 7));
  CHECK(wheel.occupancy()[2] == 1);
  CHECK(wheel.next_expiration() == 64u * 64 * 3);
  CHECK(wheel.pop_expired(64 * 64 * 3) == nullptr);
  CHECK(wheel.occupancy()[2] == 0);
  CHECK(wheel.occupancy()[1] == 1);
  CHECK(wheel.next_expiration() == 64u * 64 * 3 + 64 * 5);
  CHECK(wheel.pop_expired(64 * 64 * 3 + 64 * 5 + 6) == nullptr);
  CHECK(wheel.occupancy()[0] == 1);
  CHECK(wheel.next_expiration() == entry.tick());
  CHECK(wheel.pop_expired(entry.tick()) == &entry);
  CHECK_FALSE(entry.linked());
  CHECK(wheel.empty());
}

TEST_CASE("wheel: entries fire at their tick and not before, at every level boundary") {
  for (const std::uint64_t start :
       {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{64}, Wheel::kHorizon - 1,
        Wheel::kHorizon, Wheel::kHorizon * 3 + 5}) {
    for (std::size_t level = 0; level <= Wheel::kLevels; ++level) {
      const auto distance = std::uint64_t{1} << (level * Wheel::kSlotBits);
      for (const auto tick : {start + distance - 1, start + distance, start + distance + 1}) {
        if (tick <= start) continue;
        Wheel wheel(start);
        WheelEntry entry;
        REQUIRE(wheel.insert(entry, tick));
        REQUIRE(*wheel.next_expiration() <= tick);
        REQUIRE(*wheel.next_expiration() > start);
        REQUIRE(wheel.pop_expired(tick - 1) == nullptr);
        REQUIRE(wheel.pop_expired(tick) == &entry);
      }
    }
  }
}

TEST_CASE("wheel: what lies beyond the horizon goes round again") {
  Wheel wheel(123'456);
  WheelEntry far, farther;
  REQUIRE(wheel.insert(far, 123'456 + 3 * Wheel::kHorizon + 17));
  REQUIRE(wheel.insert(farther, UINT64_MAX / 1'000'000));
  int steps = 0;
  std::uint64_t before = wheel.now();
  while (far.linked()) {
    const auto next = wheel.next_expiration();
    REQUIRE(next);
    REQUIRE(*next > before);
    before = *next;
    if (WheelEntry* due = wheel.pop_expired(*next)) {
      REQUIRE(due == &far);
      REQUIRE(*next == far.tick());
    }
    REQUIRE(++steps < 1000);
  }
  wheel.remove(farther);
  CHECK(wheel.empty());
}

TEST_CASE("wheel: entries of one tick come in the order of insertion, from every level") {
  Wheel wheel;
  std::deque<Numbered> entries(60);  // more than a slot has strands
  for (std::size_t i = 0; i < 20; ++i) REQUIRE(wheel.insert(entries[i], 10'000));  // level 2
  REQUIRE(wheel.pop_expired(9'900) == nullptr);
  for (std::size_t i = 20; i < 41; ++i) REQUIRE(wheel.insert(entries[i], 10'000));  // level 1
  REQUIRE(wheel.pop_expired(9'990) == nullptr);
  for (std::size_t i = 41; i < 60; ++i) REQUIRE(wheel.insert(entries[i], 10'000));  // level 0
  for (auto& entry : entries) CHECK(wheel.pop_expired(20'000) == &entry);
  CHECK(wheel.pop_expired(20'000) == nullptr);
}

TEST_CASE("wheel: the wheel may change between two pops") {
  Wheel wheel;
  WheelEntry first, second, third;
  REQUIRE(wheel.insert(first, 5));
  REQUIRE(wheel.insert(second, 5));
  CHECK(wheel.pop_expired(100) == &first);
  CHECK(wheel.now() == 5);
  wheel.remove(second);
  REQUIRE(wheel.insert(first, 6));
  REQUIRE(wheel.insert(third, 101));
  CHECK(wheel.pop_expired(100) == &first);
  CHECK(wheel.pop_expired(100) == nullptr);
  CHECK(wheel.now() == 100);
  CHECK(wheel.pop_expired(50) == nullptr);  // time does not go back
  CHECK(wheel.now() == 100);
  CHECK(wheel.pop_expired(101) == &third);
}

TEST_CASE("wheel: agrees with a sorted map over random operations") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    // Starts near the places where groups of bits roll over.
    const std::uint64_t start =
        (std::uint64_t{1} << (random() % 40)) - std::min<std::uint64_t>(random() % 70, 1);
    Wheel wheel(start);
    Model model(start);
    std::deque<Numbered> entries(200);
    std::vector<int> free, live;
    for (int i = 0; i < 200; ++i) {
      entries[static_cast<std::size_t>(i)].id = i;
      free.push_back(i);
    }
    const auto entry = [&](int id) -> Numbered& { return entries[static_cast<std::size_t>(id)]; };
    std::uint64_t now = start;
    for (int step = 0; step < 3000; ++step) {
      const auto what = random() % 10;
      if (what < 5 && !free.empty()) {
        // Distances of every magnitude, beyond the horizon too, and often exactly on a boundary.
        const auto bits = random() % 39;
        auto tick = now + (random() & ((std::uint64_t{1} << bits) - 1));
        if (random() % 3 == 0) tick = (tick >> (bits / 6 * 6)) << (bits / 6 * 6);
        const int id = free.back();
        const bool entered = wheel.insert(entry(id), tick);
        REQUIRE(entered == model.insert(id, tick));
        if (entered) {
          free.pop_back();
          live.push_back(id);
        }
      } else if (what < 7 && !live.empty()) {
        const auto at = random() % live.size();
        const int id = live[at];
        wheel.remove(entry(id));
        model.remove(id);
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
        free.push_back(id);
      } else {
        const auto next = wheel.next_expiration();
        REQUIRE(next.has_value() == !model.empty());
        if (next) {
          REQUIRE(*next <= model.first());
          REQUIRE(*next > now);
        }
        // To the next event, exactly to a deadline, or anywhere.
        const auto jump = random() % 4;
        if (jump == 0 && next) {
          now = *next;
        } else if (jump == 1 && next) {
          now = model.first();
        } else {
          now += random() & ((std::uint64_t{1} << (random() % 30)) - 1);
        }
        // By ticks; within one the order is free where entries were removed.
        std::multimap<std::uint64_t, int> expected, seen;
        for (const auto& [tick, id] : model.advance(now)) {
          expected.emplace(tick, id);
          WheelEntry* due = wheel.pop_expired(now);
          REQUIRE(due != nullptr);
          REQUIRE(due->tick() == tick);
          seen.emplace(tick, static_cast<Numbered*>(due)->id);
          live.erase(std::find(live.begin(), live.end(), static_cast<Numbered*>(due)->id));
          free.push_back(static_cast<Numbered*>(due)->id);
        }
        REQUIRE(std::is_permutation(seen.begin(), seen.end(), expected.begin(), expected.end()));
        REQUIRE(wheel.pop_expired(now) == nullptr);
      }
      REQUIRE(count_of(wheel) == model.size());
    }
    for (const int id : live) wheel.remove(entry(id));
    REQUIRE(wheel.empty());
  }
}
