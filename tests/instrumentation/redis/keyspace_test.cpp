#include "taskscope/instrumentation/examples/redis/keyspace.h"

#include <catch2/catch.hpp>

namespace taskscope::redis {
namespace {

TEST_CASE("shard: a key is gone once its deadline has passed, whoever notices first") {
  Shard shard;
  shard.put("early", "1", UnixMs{100});
  shard.put("late", "2", UnixMs{200});
  shard.put("forever", "3");
  CHECK(shard.next_deadline() == UnixMs{100});
  CHECK(shard.find("early", UnixMs{99}) != nullptr);
  CHECK(shard.find("early", UnixMs{100}) == nullptr);
  CHECK(shard.next_deadline() == UnixMs{200});
  CHECK_FALSE(shard.erase("late", UnixMs{300}));
  CHECK(shard.next_deadline() == std::nullopt);
  CHECK(shard.size() == 1);
  CHECK(shard.expired() == 2);
}

TEST_CASE("shard: due keys are removed earliest first, in pieces") {
  Shard shard;
  for (int i = 0; i < 10; ++i) shard.put("key" + std::to_string(i), "x", UnixMs{1000 - i});
  CHECK(shard.expire_due(UnixMs{990}, 100) == 0);
  CHECK(shard.expire_due(UnixMs{995}, 3) == 3);
  CHECK(shard.find("key9", UnixMs{0}) == nullptr);
  CHECK(shard.find("key6", UnixMs{0}) != nullptr);
  CHECK(shard.expire_due(UnixMs{995}, 100) == 2);
  CHECK(shard.size() == 5);
}

TEST_CASE("shard: writing a key again replaces its deadline") {
  Shard shard;
  shard.put("a", "1", UnixMs{100});
  shard.put("a", "2");
  CHECK(shard.with_deadline() == 0);
  shard.set_deadline("a", UnixMs{300});
  shard.set_deadline("a", UnixMs{200});
  shard.set_deadline("nobody", UnixMs{50});
  CHECK(shard.with_deadline() == 1);
  CHECK(shard.next_deadline() == UnixMs{200});
  shard.clear();
  CHECK(shard.size() == 0);
  CHECK(shard.next_deadline() == std::nullopt);
}

}  // namespace
}  // namespace taskscope::redis
