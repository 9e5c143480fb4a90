#include "taskscope/instrumentation/site_table.h"

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "taskscope/instrumentation/dictionary.h"

using namespace taskscope::instrumentation;

namespace {

Site here(Site site = Site::current()) { return site; }

template <int kNumber>
Site make() {
  return Site::current();
}

/// As many different sites as there are numbers: functions that differ.
template <int... kNumbers>
std::vector<Site> many(std::integer_sequence<int, kNumbers...>) {
  return {make<kNumbers>()...};
}

}  // namespace

TEST_CASE("site table: a site has one number, and the number leads back to it") {
  const auto table = std::make_unique<SiteTable>();
  const Site site = here();
  const Site other = here();
  const auto id = table->id(site);
  CHECK(id != 0);
  CHECK(table->id(site) == id);
  CHECK(table->id(other) != id);
  CHECK(table->at(id).line() == site.line());
  CHECK(std::string(table->at(id).file_name()) == site.file_name());
  CHECK(table->id(Site{}) == 0);
}

TEST_CASE("site table: threads that race for the same sites agree on their numbers") {
  const auto table = std::make_unique<SiteTable>();
  const auto all = many(std::make_integer_sequence<int, 200>{});
  std::vector<std::vector<std::uint32_t>> seen(4);
  std::vector<std::thread> threads;
  for (auto& mine : seen)
    threads.emplace_back([&] {
      for (const Site& site : all) mine.push_back(table->id(site));
    });
  for (auto& thread : threads) thread.join();
  CHECK(seen[0] == seen[1]);
  CHECK(seen[0] == seen[2]);
  CHECK(seen[0] == seen[3]);
  CHECK(std::set<std::uint32_t>(seen[0].begin(), seen[0].end()).size() == all.size());
  CHECK(seen[0].front() != 0);
}

TEST_CASE("dictionary: defines a site once, by content, and keeps all definitions") {
  Dictionary dictionary;
  SiteNames names(dictionary);
  const Site site = here();
  const auto id = names(site);
  CHECK(id != 0);
  CHECK(names(site) == id);
  auto fresh = dictionary.take_new();
  REQUIRE(fresh.size() == 1);
  CHECK(fresh[0].id == id);
  CHECK(fresh[0].line == site.line());
  CHECK(fresh[0].function == site.function_name());
  CHECK(dictionary.take_new().empty());
  CHECK(dictionary.all().size() == 1);
  CHECK(names(Site{}) == 0);
}
