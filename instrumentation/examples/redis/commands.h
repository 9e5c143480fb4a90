/// What the server can do: each command with its arity, its keys and its handler. No sockets, no
/// locks, no clock: the caller brings them.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "taskscope/instrumentation/examples/redis/keyspace.h"
#include "taskscope/instrumentation/examples/redis/reply.h"

namespace taskscope::redis {

struct Config {
  std::string bind = "127.0.0.1";
  std::uint16_t port = 6379;
  std::size_t max_connections = 10'000;
};

/// The runtime's own counters, from its start.
struct RuntimeCounters {
  std::uint64_t workers = 0, live_tasks = 0;
  std::uint64_t tasks_spawned = 0, polls = 0, wakes = 0;
};

/// Counted by whichever task it happens in; relaxed everywhere, they are only shown.
struct Statistics {
  std::atomic<std::uint64_t> connections{0};     // ever
  std::atomic<std::uint64_t> connected{0};       // now
  std::atomic<std::uint64_t> commands{0};        // ever
  std::atomic<std::uint64_t> commands_per_s{0};  // written by the statistics task
  std::atomic<std::uint64_t> input_bytes{0}, output_bytes{0};
};

/// What all connections share.
struct Service {
  Config config;
  Keyspace keyspace;
  Statistics statistics;
  std::uint64_t started_ms = 0;  ///< wall clock
  std::function<RuntimeCounters()> runtime_counters = [] { return RuntimeCounters{}; };
};

/// What a connection is to its commands.
struct Session {
  std::uint64_t id = 0;
  std::string name;
  enum class After { GoOn, Close, Shutdown };
  After after = After::GoOn;  ///< what to do once the replies so far are sent
};

using Arguments = std::span<const std::string_view>;  ///< the first is the command's name

struct Call {
  Service& service;
  Session& session;
  Arguments arguments;
  UnixMs now = UnixMs::None;
  Reply& reply;
};

using ShardSet = std::bitset<kShards>;

/// One command, or one subcommand ("config|get").
struct Command {
  std::string_view name;                      ///< lower case
  int arity = 0;                              ///< with the name; negative: at least that many
  int first_key = 0, last_key = 0, step = 0;  ///< as COMMAND reports them; last_key -1: to the end
  enum class Kind : std::uint8_t { Plain, Read, Write };
  Kind kind = Kind::Plain;
  bool all_shards = false;  ///< touches the whole keyspace
  void (*run)(Call&) = nullptr;

  /// The shards that have to be locked while `run` runs.
  [[nodiscard]] ShardSet shards(Arguments arguments) const;
};

/// The command that `arguments` ask for. If there is none, or their number is wrong, writes the
/// error to `reply` and returns null.
[[nodiscard]] const Command* find_command(Arguments arguments, Reply& reply);

/// Glob as in CONFIG GET and KEYS, without regard to case: * ? [a-z] [^a] and \ before a literal.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text);

/// The text of INFO; `sections` in lower case, none for all.
[[nodiscard]] std::string info(const Service& service, std::span<const std::string> sections,
                               std::uint64_t now_ms);

}  // namespace taskscope::redis
