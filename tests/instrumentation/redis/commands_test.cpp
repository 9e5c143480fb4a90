#include "taskscope/instrumentation/examples/redis/commands.h"

#include <catch2/catch.hpp>

#include "taskscope/instrumentation/examples/redis/request_parser.h"

namespace taskscope::redis {
namespace {

/// A server without sockets: a line in, the bytes of its reply out, at a time that the test sets.
class Server {
 public:
  std::string operator()(std::string_view line) {
    std::vector<std::string> words;
    REQUIRE(split_quoted(line, words));
    const std::vector<std::string_view> arguments(words.begin(), words.end());
    Reply reply;
    const Command* const command = find_command(arguments, reply);
    if (command != nullptr) {
      shards = command->shards(arguments);
      Call call{service, session, arguments, UnixMs{now_ms}, reply};
      command->run(call);
    }
    return reply.bytes();
  }

  Service service;
  Session session;
  ShardSet shards;  // of the last command
  std::int64_t now_ms = 1'000'000;
};

const std::string kWrongType =
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const std::string kNotAnInteger = "-ERR value is not an integer or out of range\r\n";
const std::string kSyntax = "-ERR syntax error\r\n";

TEST_CASE("redis: unknown commands and wrong numbers of arguments are answered as Redis answers") {
  Server server;
  CHECK(server("FOO a b") == "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' \r\n");
  CHECK(server("foo") == "-ERR unknown command 'foo', with args beginning with: \r\n");
  CHECK(server("foo " + std::string(200, 'x') + " y") ==
        "-ERR unknown command 'foo', with args beginning with: '" + std::string(128, 'x') +
            "' \r\n");
  CHECK(server("foo \"a\\nb\"") ==
        "-ERR unknown command 'foo', with args beginning with: 'a b' \r\n");
  CHECK(server("GET") == "-ERR wrong number of arguments for 'get' command\r\n");
  CHECK(server("gEt a b") == "-ERR wrong number of arguments for 'get' command\r\n");
  CHECK(server("mset a 1 b") == "-ERR wrong number of arguments for 'mset' command\r\n");
  CHECK(server("config") == "-ERR wrong number of arguments for 'config' command\r\n");
  CHECK(server("config get") == "-ERR wrong number of arguments for 'config|get' command\r\n");
  CHECK(server("config foo") == "-ERR unknown subcommand 'foo'. Try CONFIG HELP.\r\n");
}

TEST_CASE("redis: set knows its options and their conflicts") {
  Server server;
  CHECK(server("set a 1") == "+OK\r\n");
  CHECK(server("set a 2 nx") == "$-1\r\n");
  CHECK(server("set b 2 xx") == "$-1\r\n");
  CHECK(server("set a 3 XX get") == "$1\r\n1\r\n");
  CHECK(server("set a 3 nx xx") == kSyntax);
  CHECK(server("set a 3 ex") == kSyntax);
  CHECK(server("set a 3 ex 5 px 5") == kSyntax);
  CHECK(server("set a 3 ex 5 keepttl") == kSyntax);
  CHECK(server("set a 3 ex five") == kNotAnInteger);
  CHECK(server("set a 3 ex 0") == "-ERR invalid expire time in 'set' command\r\n");
  CHECK(server("set a 3 ex 9223372036854775807") ==
        "-ERR invalid expire time in 'set' command\r\n");
  CHECK(server("set a 4 ex 10") == "+OK\r\n");
  CHECK(server("set a 5 keepttl") == "+OK\r\n");
  CHECK(server("ttl a") == ":10\r\n");
  CHECK(server("set a 6") == "+OK\r\n");
  CHECK(server("ttl a") == ":-1\r\n");
}

TEST_CASE("redis: keys expire when their time has come") {
  Server server;
  server("set a 1 px 1500");
  CHECK(server("pttl a") == ":1500\r\n");
  CHECK(server("ttl a") == ":2\r\n");
  server.now_ms += 1499;
  CHECK(server("exists a a nobody") == ":2\r\n");
  server.now_ms += 1;
  CHECK(server("get a") == "$-1\r\n");
  CHECK(server("ttl a") == ":-2\r\n");
  CHECK(server("expire a 10") == ":0\r\n");
  server("rpush l x");
  CHECK(server("expire l 10") == ":1\r\n");
  CHECK(server("expire l 5 gt") == ":0\r\n");
  CHECK(server("expire l 20 gt") == ":1\r\n");
  CHECK(server("expire l 20 nx gt") ==
        "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
  CHECK(server("expire l 20 foo") == "-ERR Unsupported option foo\r\n");
  CHECK(server("expire l 9223372036854775807") ==
        "-ERR invalid expire time in 'expire' command\r\n");
  CHECK(server("persist l") == ":1\r\n");
  CHECK(server("ttl l") == ":-1\r\n");
  CHECK(server("expire l -1") == ":1\r\n");
  CHECK(server("exists l") == ":0\r\n");
}

TEST_CASE("redis: numbers are counted up and down within 64 bits") {
  Server server;
  CHECK(server("incr n") == ":1\r\n");
  CHECK(server("incrby n 41") == ":42\r\n");
  CHECK(server("decr n") == ":41\r\n");
  CHECK(server("decrby n -1") == ":42\r\n");
  CHECK(server("decrby n -9223372036854775808") == "-ERR decrement would overflow\r\n");
  CHECK(server("incrby n 9223372036854775807") == "-ERR increment or decrement would overflow\r\n");
  server("set s abc ex 10");
  CHECK(server("incr s") == kNotAnInteger);
  server("set s 1 ex 10");
  CHECK(server("incr s") == ":2\r\n");
  CHECK(server("ttl s") == ":10\r\n");
}

TEST_CASE("redis: lists are pushed, cut and popped at both ends") {
  Server server;
  CHECK(server("rpush l b c") == ":2\r\n");
  CHECK(server("lpush l a z") == ":4\r\n");
  CHECK(server("lrange l 0 -1") == "*4\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
  CHECK(server("lrange l -2 100") == "*2\r\n$1\r\nb\r\n$1\r\nc\r\n");
  CHECK(server("lrange l 3 1") == "*0\r\n");
  CHECK(server("lrange l -100 -200") == "*0\r\n");
  CHECK(server("lrange l a 1") == kNotAnInteger);
  CHECK(server("lpop l") == "$1\r\nz\r\n");
  CHECK(server("rpop l 2") == "*2\r\n$1\r\nc\r\n$1\r\nb\r\n");
  CHECK(server("lpop l -1") == "-ERR value is out of range, must be positive\r\n");
  CHECK(server("llen l") == ":1\r\n");
  CHECK(server("lpop l 5") == "*1\r\n$1\r\na\r\n");
  CHECK(server("exists l") == ":0\r\n");
  CHECK(server("lpop l") == "$-1\r\n");
  CHECK(server("lpop l 1") == "*-1\r\n");
}

TEST_CASE("redis: a key of the wrong kind is refused and left alone") {
  Server server;
  server("set s 1");
  server("rpush l 1");
  for (const auto* line :
       {"get l", "incr l", "set l 1 get", "lpush s 1", "rpop s", "llen s", "lrange s 0 1"}) {
    CAPTURE(line);
    CHECK(server(line) == kWrongType);
  }
  CHECK(server("mget s l nobody") == "*3\r\n$1\r\n1\r\n$-1\r\n$-1\r\n");
  CHECK(server("type l") == "+list\r\n");
  CHECK(server("set l 1") == "+OK\r\n");
  CHECK(server("type l") == "+string\r\n");
}

TEST_CASE("redis: a command locks the shards of its keys and no others") {
  Server server;
  server("mset a 1 b 2 c 3");
  ShardSet expected;
  for (const auto* key : {"a", "b", "c"}) expected.set(Keyspace::shard_of(key));
  CHECK(server.shards == expected);
  server("ping");
  CHECK(server.shards.none());
  server("lrange a 0 1");
  CHECK(server.shards == ShardSet().set(Keyspace::shard_of("a")));
  CHECK(server("dbsize") == ":3\r\n");
  CHECK(server.shards.all());
  CHECK(server("del a b nobody") == ":2\r\n");
  CHECK(server("flushdb") == "+OK\r\n");
  CHECK(server("dbsize") == ":0\r\n");
}

TEST_CASE("redis: what redis-cli and redis-benchmark ask first is answered") {
  Server server;
  CHECK(server("config get save") == "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
  CHECK(server("CONFIG GET appendonly") == "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n");
  CHECK(server("config get p[oa]r? save").substr(0, 4) == "*4\r\n");
  CHECK(server("command docs") == "*0\r\n");
  CHECK(server("command info nobody") == "*1\r\n$-1\r\n");
  CHECK(server("command").substr(0, 14) == "*34\r\n*10\r\n$6\r\n");
  CHECK(server("client setname me") == "+OK\r\n");
  CHECK(server("client getname") == "$2\r\nme\r\n");
  CHECK(server("client setinfo lib-name x") == "+OK\r\n");
  CHECK(server("select 0") == "+OK\r\n");
  CHECK(server("select 1") == "-ERR DB index is out of range\r\n");
  CHECK(server("hello 3") == "-NOPROTO unsupported protocol version\r\n");
  CHECK(server("ping") == "+PONG\r\n");
  CHECK(server("ping hello") == "$5\r\nhello\r\n");
}

TEST_CASE("redis: leaving is up to the session") {
  Server server;
  CHECK(server("quit") == "+OK\r\n");
  CHECK(server.session.after == Session::After::Close);
  CHECK(server("shutdown foo") == kSyntax);
  CHECK(server.session.after == Session::After::Close);
  CHECK(server("shutdown nosave") == "");
  CHECK(server.session.after == Session::After::Shutdown);
}

TEST_CASE("redis: info reports the runtime's counters") {
  Server server;
  server.service.runtime_counters = [] {
    return RuntimeCounters{
        .workers = 2, .live_tasks = 3, .tasks_spawned = 4, .polls = 5, .wakes = 6};
  };
  server("set a 1 ex 10");
  CHECK(server("info runtime") ==
        "$71\r\n# Runtime\r\nworkers:2\r\nlive_tasks:3\r\ntasks_spawned:4\r\npolls:5\r\n"
        "wakes:6\r\n\r\n");
  CHECK(server("info").find("db0:keys=1,expires=1,avg_ttl=0\r\n") != std::string::npos);
}

TEST_CASE("redis: patterns match as in Redis and in bounded time") {
  CHECK(glob_matches("*", ""));
  CHECK(glob_matches("a*c?e", "abbcde"));
  CHECK(glob_matches("h[^b-x]l\\*", "HAL*"));
  CHECK_FALSE(glob_matches("h[^a-x]l", "hal"));
  CHECK_FALSE(glob_matches("a", "ab"));
  CHECK_FALSE(glob_matches("ab", "a"));
  CHECK_FALSE(glob_matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));
}

}  // namespace
}  // namespace taskscope::redis
