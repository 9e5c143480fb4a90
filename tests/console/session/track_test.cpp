#include "taskscope/console/session/track.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

using taskscope::console::session::Row;
using taskscope::console::session::TickSlice;
using taskscope::console::session::Track;

namespace {

struct Shape {
  std::uint64_t longest, gap, base;
};

std::vector<Row> make_rows(std::size_t count, Shape shape, std::mt19937_64& random) {
  std::vector<Row> rows;
  std::uint64_t at = shape.base;
  for (std::size_t i = 0; i < count; ++i) {
    // Bursts: mostly small gaps, now and then a long one.
    at += random() % 100 == 0 ? random() % (1000 * shape.gap) : random() % shape.gap;
    const auto duration = random() % shape.longest;
    rows.push_back({at, at + duration, random() % 1000, 1 + random() % 50,
                    static_cast<std::uint16_t>(random() % 7)});
    at += duration;
  }
  return rows;
}

void check_against(const Track& track, const std::vector<Row>& rows, std::uint64_t from,
                   std::uint64_t to, std::uint64_t resolution) {
  std::vector<TickSlice> slices;
  track.query(from, to, resolution, slices);
  std::vector<Row> expected;
  for (const auto& row : rows)
    if (row.from < to && (row.to > from || row.from >= from)) expected.push_back(row);

  std::size_t next = 0;
  bool good = true;
  std::uint64_t last_to = 0;
  for (const auto& slice : slices) {
    good = good && slice.rows > 0 && next + slice.rows <= expected.size() && slice.from >= last_to;
    if (!good) break;
    std::uint64_t busy = 0, queued = 0, longest = 0;
    for (std::size_t i = next; i < next + slice.rows; ++i) {
      busy += expected[i].to - expected[i].from;
      queued += expected[i].queued;
      longest = std::max(longest, expected[i].to - expected[i].from);
    }
    good = good && slice.from == expected[next].from &&
           slice.to == expected[next + slice.rows - 1].to && slice.busy == busy &&
           slice.queued == queued && slice.longest == longest;
    if (slice.rows == 1)
      good = good && slice.longest_tag == expected[next].tag && slice.wait == expected[next].wait;
    else
      good = good && slice.to - slice.from <= resolution;
    next += slice.rows;
    last_to = slice.to;
  }
  INFO("window " << from << ".." << to << " by " << resolution << ", rows " << rows.size()
                 << ", at " << next << " of " << expected.size());
  CHECK(good);
  CHECK(next == expected.size());
  if (resolution > 0) {
    // A row may reach out of the window on either side.
    CHECK(slices.size() <= 2 * ((to - from) / resolution) + 4);
  }
}

}  // namespace

TEST_CASE("a track gives the same rows at any zoom as a walk over all of them") {
  std::mt19937_64 random(7);
  const Shape shapes[] = {{1000, 500, 1'000'000},
                          {1, 3, 5},  // rows of no length
                          {std::uint64_t{1} << 33, 1000, 0}};
  for (const auto& shape : shapes) {
    for (const std::size_t count : {0u, 1u, 15u, 16u, 17u, 4096u, 4097u, 70'000u, 140'000u}) {
      const auto rows = make_rows(count, shape, random);
      Track track;
      for (const auto& row : rows) track.append(row);
      const auto begin = rows.empty() ? 0 : rows.front().from;
      const auto end = rows.empty() ? 100 : rows.back().to + 1;
      check_against(track, rows, begin, end, end - begin);
      for (int i = 0; i < 12; ++i) {
        auto from = begin + random() % (end - begin), to = begin + random() % (end - begin);
        if (from > to) std::swap(from, to);
        const auto width = std::max<std::uint64_t>(1, to - from);
        check_against(track, rows, from, from + width, width / 2000);
        check_against(track, rows, from, from + width, width / 50);
        check_against(track, rows, from, from + std::min<std::uint64_t>(width, 5000), 0);
      }
    }
  }
}

TEST_CASE("a track keeps values that do not fit its narrow columns") {
  Track track;
  const Row rows[] = {{10, 20, 3, 7, 1},
                      {30, std::uint64_t{1} << 40, 4, 9, 2},
                      {std::uint64_t{1} << 41, (std::uint64_t{1} << 41) + 5, std::uint64_t{1} << 35,
                       std::uint64_t{1} << 47, 3},
                      {std::uint64_t{1} << 42, (std::uint64_t{1} << 42) + 1, 0, 1, 4}};
  for (const auto& row : rows) track.append(row);
  for (std::uint64_t i = 0; i < 4; ++i) {
    const auto row = track.row(i);
    CHECK(row.from == rows[i].from);
    CHECK(row.to == rows[i].to);
    CHECK(row.queued == rows[i].queued);
    CHECK(row.tag == rows[i].tag);
    CHECK(row.wait == rows[i].wait);
  }
}

TEST_CASE("a track moves up what overlaps, and learns what followed a row") {
  Track track;
  track.append({100, 200, 0, 1, 0});
  const auto number = track.append({150, 160, 0, 2, 0});
  CHECK(track.row(number).from == 200);
  CHECK(track.row(number).to == 200);
  track.set_wait(number, 9);
  CHECK(track.row(number).wait == 9);
  track.set_wait(12345, 9);
}

TEST_CASE("a track finds the first row after a time, and rows by tag") {
  std::mt19937_64 random(3);
  const auto rows = make_rows(20'000, {1000, 500, 77}, random);
  Track track;
  for (const auto& row : rows) track.append(row);
  for (int i = 0; i < 100; ++i) {
    const auto at = random() % (rows.back().to + 1000);
    const auto expected =
        std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.to > at; });
    CHECK(track.row_after(at) == static_cast<std::uint64_t>(expected - rows.begin()));
  }
  for (const std::ptrdiff_t end : {5000, 5001, 8192, 9000, 20'000, 30'000}) {
    std::size_t found = 0;
    track.scan_tags(
        5000, static_cast<std::uint64_t>(end), [](std::uint64_t tag) { return tag == 13; },
        [&](std::uint64_t number) { found += track.row(number).tag == 13; });
    CHECK(found == static_cast<std::size_t>(std::count_if(
                       rows.begin() + 5000, rows.begin() + std::min<std::ptrdiff_t>(end, 20'000),
                       [](const Row& row) { return row.tag == 13; })));
  }
}

TEST_CASE("a track drops its oldest segments and answers for the rest") {
  std::mt19937_64 random(5);
  auto rows = make_rows(300'000, {1000, 500, 77}, random);
  Track track;
  for (std::size_t i = 0; i < 250'000; ++i) track.append(rows[i]);
  const auto horizon = rows[123'456].from;
  const auto before = track.memory_bytes();
  track.drop_before(horizon);
  CHECK(track.memory_bytes() < before * 6 / 10);
  CHECK(track.first() > 110'000);
  CHECK(track.first() <= 123'456);
  for (std::size_t i = 250'000; i < rows.size(); ++i) CHECK(track.append(rows[i]) == i);
  const std::vector<Row> left(rows.begin() + static_cast<std::ptrdiff_t>(track.first()),
                              rows.end());
  const auto begin = rows.front().from, end = rows.back().to + 1;
  for (const std::uint64_t parts : {1u, 2u, 50u, 2000u, 100000u})
    check_against(track, left, begin, end, (end - begin) / parts);
}
