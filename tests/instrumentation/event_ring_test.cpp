#include "taskscope/instrumentation/event_ring.h"

#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace taskscope::instrumentation;

TEST_CASE("event ring: a record that does not fit is refused whole, and fits once there is room") {
  std::vector<Unit> memory(8);
  EventRing ring(memory);
  CHECK_FALSE(ring.fits(1));  // the owner has not looked yet
  CHECK(ring.refresh() == 8);
  for (std::uint64_t i = 0; i < 6; ++i) ring.put(static_cast<std::size_t>(i), {i, i});
  ring.commit(6);
  CHECK_FALSE(ring.fits(3));
  CHECK(ring.refresh() == 2);
  CHECK(ring.fits(2));
  CHECK(ring.tail() - ring.head() == 6);
  CHECK(ring.at(3).a == 3);
  ring.pop_to(ring.head() + 4);
  CHECK(ring.refresh() == 6);
  for (std::uint64_t i = 0; i < 6; ++i) ring.put(static_cast<std::size_t>(i), {100 + i, 0});
  CHECK(ring.tail() - ring.head() == 2);  // not published yet
  ring.commit(6);
  CHECK(ring.at(ring.head() + 2).a == 100);  // around the end
  CHECK(ring.at(ring.tail() - 1).a == 105);
}

TEST_CASE("event ring: hold makes the next record look closer") {
  std::vector<Unit> memory(8);
  EventRing ring(memory);
  ring.refresh();
  CHECK(ring.fits(1));
  ring.hold();
  CHECK_FALSE(ring.fits(1));
  ring.refresh();
  CHECK(ring.fits(1));
}

TEST_CASE("event ring: the collector sees whole records, in order, while the owner pushes") {
  std::vector<Unit> memory(64);
  EventRing ring(memory);
  constexpr std::uint64_t kRecords = 20'000;
  std::thread owner([&] {
    for (std::uint64_t number = 1; number <= kRecords;) {
      const auto units = static_cast<std::size_t>(1 + number % 5);
      if (!ring.fits(units)) {
        ring.refresh();
        if (!ring.fits(units)) {
          std::this_thread::yield();
          continue;
        }
      }
      for (std::size_t i = 0; i < units; ++i) ring.put(i, {number, units - i});
      ring.commit(units);
      ++number;
    }
    ring.close();
  });
  std::uint64_t expected = 1, wrong = 0;
  while (true) {
    const bool was_closed = ring.closed();
    const auto end = ring.tail();
    auto at = ring.head();
    if (at == end) std::this_thread::yield();
    while (at != end) {
      const auto units = ring.at(at).b;
      for (std::uint64_t i = 0; i < units; ++i)
        wrong += ring.at(at + i).a != expected || ring.at(at + i).b != units - i ? 1 : 0;
      at += units;
      ++expected;
    }
    wrong += at != end ? 1 : 0;
    ring.pop_to(end);
    if (was_closed && ring.tail() == end) break;
  }
  owner.join();
  CHECK(wrong == 0);
  CHECK(expected == kRecords + 1);
}
