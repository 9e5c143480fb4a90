#include "taskscope/instrumentation/examples/redis/commands.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "taskscope/instrumentation/examples/redis/request_parser.h"

namespace taskscope::redis {
namespace {

constexpr std::string_view kSyntaxError = "ERR syntax error";
constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool is(std::string_view word, std::string_view lower_case) {
  return word.size() == lower_case.size() &&
         std::equal(word.begin(), word.end(), lower_case.begin(),
                    [](char a, char b) { return lower(a) == b; });
}

// Up to the first NUL: Redis prints arguments of an error as C strings.
std::string_view printable(std::string_view text, std::size_t most) {
  return text.substr(0, std::min(most, text.find('\0')));
}

void wrong_arity(std::string_view command, Reply& reply) {
  reply.error("ERR wrong number of arguments for '" + std::string(command) + "' command");
}

bool take_integer(Call& call, std::size_t at, std::int64_t& number) {
  if (parse_integer(call.arguments[at], number)) return true;
  call.reply.error(kNotAnInteger);
  return false;
}

Shard::Entry* find(Call& call, std::string_view key) {
  return call.service.keyspace.of(key).find(key, call.now);
}

/// The string or list of `entry`; null, and WRONGTYPE replied, if it is of the other kind.
template <class Kind>
Kind* as(Call& call, Shard::Entry& entry) {
  Kind* const value = std::get_if<Kind>(&entry.value);
  if (value == nullptr) call.reply.error(kWrongType);
  return value;
}

// --- connection ----------------------------------------------------------------------------------

void ping(Call& call) {
  if (call.arguments.size() > 2) return wrong_arity("ping", call.reply);
  if (call.arguments.size() == 2) return call.reply.bulk(call.arguments[1]);
  call.reply.status("PONG");
}

void echo(Call& call) { call.reply.bulk(call.arguments[1]); }

void select_database(Call& call) {
  std::int64_t index = 0;
  if (!take_integer(call, 1, index)) return;
  if (index != 0) return call.reply.error("ERR DB index is out of range");
  call.reply.ok();
}

void quit(Call& call) {
  call.reply.ok();
  call.session.after = Session::After::Close;
}

void hello(Call& call) {
  if (call.arguments.size() > 1) {
    std::int64_t version = 0;
    if (!parse_integer(call.arguments[1], version)) {
      return call.reply.error("ERR Protocol version is not an integer or out of range");
    }
    if (version != 2) return call.reply.error("NOPROTO unsupported protocol version");
    if (call.arguments.size() > 2) {
      return call.reply.error("ERR Syntax error in HELLO option '" +
                              std::string(printable(call.arguments[2], 128)) + "'");
    }
  }
  call.reply.array(14);
  for (const std::string_view text : {"server", "redis", "version", "7.0.15", "proto"}) {
    call.reply.bulk(text);
  }
  call.reply.integer(2);
  call.reply.bulk("id");
  call.reply.integer(static_cast<std::int64_t>(call.session.id));
  for (const std::string_view text : {"mode", "standalone", "role", "master", "modules"}) {
    call.reply.bulk(text);
  }
  call.reply.array(0);
}

void client_setname(Call& call) {
  const std::string_view name = call.arguments[2];
  if (std::any_of(name.begin(), name.end(), [](char c) { return c < '!' || c > '~'; })) {
    return call.reply.error(
        "ERR Client names cannot contain spaces, newlines or special characters.");
  }
  call.session.name = name;
  call.reply.ok();
}

void client_getname(Call& call) {
  if (call.session.name.empty()) return call.reply.null();
  call.reply.bulk(call.session.name);
}

void client_id(Call& call) { call.reply.integer(static_cast<std::int64_t>(call.session.id)); }

void reply_ok(Call& call) { call.reply.ok(); }

// --- server --------------------------------------------------------------------------------------

void shutdown(Call& call) {
  for (const std::string_view option : call.arguments.subspan(1)) {
    if (!is(option, "nosave") && !is(option, "save") && !is(option, "now") &&
        !is(option, "force")) {
      return call.reply.error(kSyntaxError);
    }
  }
  call.session.after = Session::After::Shutdown;
}

void database_size(Call& call) {
  std::size_t keys = 0;
  for (const Shard& shard : call.service.keyspace.shards) keys += shard.size();
  call.reply.integer(static_cast<std::int64_t>(keys));
}

void flush_database(Call& call) {
  if (call.arguments.size() > 2 || (call.arguments.size() == 2 && !is(call.arguments[1], "sync") &&
                                    !is(call.arguments[1], "async"))) {
    return call.reply.error(kSyntaxError);
  }
  for (Shard& shard : call.service.keyspace.shards) shard.clear();
  call.reply.ok();
}

void info_command(Call& call) {
  std::vector<std::string> sections;
  for (const std::string_view section : call.arguments.subspan(1)) {
    sections.push_back(lowered(section));
  }
  call.reply.bulk(info(call.service, sections, static_cast<std::uint64_t>(call.now)));
}

void config_get(Call& call) {
  const Config& config = call.service.config;
  const std::pair<std::string_view, std::string> settings[] = {
      {"appendonly", "no"},
      {"bind", config.bind},
      {"databases", "1"},
      {"maxclients", std::to_string(config.max_connections)},
      {"maxmemory", "0"},
      {"port", std::to_string(config.port)},
      {"proto-max-bulk-len", std::to_string(RequestLimits().bulk_bytes)},
      {"save", ""},
      {"timeout", "0"},
  };
  std::vector<std::pair<std::string_view, std::string_view>> found;
  for (const auto& [name, value] : settings) {
    for (const std::string_view pattern : call.arguments.subspan(2)) {
      if (!glob_matches(pattern, name)) continue;
      // A name that was asked for literally comes back as it was typed.
      found.emplace_back(is(pattern, name) ? pattern : name, value);
      break;
    }
  }
  call.reply.array(found.size() * 2);
  for (const auto& [name, value] : found) {
    call.reply.bulk(name);
    call.reply.bulk(value);
  }
}

void config_set(Call& call) {
  call.reply.error("ERR Unknown option or number of arguments for CONFIG SET - '" +
                   std::string(printable(call.arguments[2], 128)) + "'");
}

// --- keys ----------------------------------------------------------------------------------------

void del(Call& call) {
  std::int64_t removed = 0;
  for (const std::string_view key : call.arguments.subspan(1)) {
    removed += call.service.keyspace.of(key).erase(key, call.now);
  }
  call.reply.integer(removed);
}

void exists(Call& call) {
  std::int64_t found = 0;
  for (const std::string_view key : call.arguments.subspan(1)) found += find(call, key) != nullptr;
  call.reply.integer(found);
}

void type(Call& call) {
  const Shard::Entry* const entry = find(call, call.arguments[1]);
  if (entry == nullptr) return call.reply.status("none");
  call.reply.status(std::holds_alternative<List>(entry->value) ? "list" : "string");
}

struct ExpireOptions {
  bool nx = false, xx = false, gt = false, lt = false;
};

bool take_expire_options(Call& call, ExpireOptions& options) {
  for (const std::string_view word : call.arguments.subspan(3)) {
    if (is(word, "nx")) {
      options.nx = true;
    } else if (is(word, "xx")) {
      options.xx = true;
    } else if (is(word, "gt")) {
      options.gt = true;
    } else if (is(word, "lt")) {
      options.lt = true;
    } else {
      call.reply.error("ERR Unsupported option " + std::string(printable(word, 128)));
      return false;
    }
  }
  if (options.nx && (options.xx || options.gt || options.lt)) {
    call.reply.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (options.gt && options.lt) {
    call.reply.error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

// EXPIRE and PEXPIRE: `unit` milliseconds make one of what the client counts in.
void expire_in(Call& call, std::int64_t unit, std::string_view name) {
  ExpireOptions options;
  std::int64_t when = 0;
  if (!take_expire_options(call, options) || !take_integer(call, 2, when)) return;
  const auto now = static_cast<std::int64_t>(call.now);
  if (when > kMost / unit || when < kLeast / unit || when * unit > kMost - now) {
    return call.reply.error("ERR invalid expire time in '" + std::string(name) + "' command");
  }
  when = when * unit + now;
  const std::string_view key = call.arguments[1];
  const Shard::Entry* const entry = find(call, key);
  if (entry == nullptr) return call.reply.integer(0);
  const auto current = static_cast<std::int64_t>(entry->deadline);
  const bool has_deadline = entry->deadline != UnixMs::None;
  if ((options.nx && has_deadline) || (options.xx && !has_deadline) ||
      (options.gt && (!has_deadline || when <= current)) ||
      (options.lt && has_deadline && when >= current)) {
    return call.reply.integer(0);
  }
  if (when <= now) {
    call.service.keyspace.of(key).erase(key, call.now);
  } else {
    call.service.keyspace.of(key).set_deadline(key, UnixMs{when});
  }
  call.reply.integer(1);
}

void expire(Call& call) { expire_in(call, 1000, "expire"); }
void pexpire(Call& call) { expire_in(call, 1, "pexpire"); }

// -2: no such key; -1: no deadline.
std::int64_t time_to_live_ms(Call& call) {
  const Shard::Entry* const entry = find(call, call.arguments[1]);
  if (entry == nullptr) return -2;
  if (entry->deadline == UnixMs::None) return -1;
  return static_cast<std::int64_t>(entry->deadline) - static_cast<std::int64_t>(call.now);
}

void ttl(Call& call) {
  const std::int64_t left_ms = time_to_live_ms(call);
  call.reply.integer(left_ms < 0 ? left_ms : (left_ms + 500) / 1000);
}

void pttl(Call& call) { call.reply.integer(time_to_live_ms(call)); }

void persist(Call& call) {
  const std::string_view key = call.arguments[1];
  const Shard::Entry* const entry = find(call, key);
  if (entry == nullptr || entry->deadline == UnixMs::None) return call.reply.integer(0);
  call.service.keyspace.of(key).set_deadline(key, UnixMs::None);
  call.reply.integer(1);
}

// --- strings -------------------------------------------------------------------------------------

// False, and replied to, if the key holds something else than a string.
bool reply_string(Call& call, std::string_view key) {
  Shard::Entry* const entry = find(call, key);
  if (entry == nullptr) {
    call.reply.null();
    return true;
  }
  const auto* const text = as<std::string>(call, *entry);
  if (text != nullptr) call.reply.bulk(*text);
  return text != nullptr;
}

void get(Call& call) { reply_string(call, call.arguments[1]); }

struct SetOptions {
  bool nx = false, xx = false, get = false, keep_ttl = false;
  char deadline = 0;            // 'x': EX, 'p': PX, 'X': EXAT, 'P': PXAT
  std::size_t deadline_at = 0;  // index of its number

  // One word of the command, and the one behind it if it takes one; false: a syntax error.
  bool take(Arguments arguments, std::size_t& at) {
    const std::string_view word = arguments[at];
    if (is(word, "nx") && !xx) return nx = true;
    if (is(word, "xx") && !nx) return xx = true;
    if (is(word, "get")) return get = true;
    if (is(word, "keepttl") && deadline == 0) return keep_ttl = true;
    char given = 0;
    if (is(word, "ex")) given = 'x';
    if (is(word, "px")) given = 'p';
    if (is(word, "exat")) given = 'X';
    if (is(word, "pxat")) given = 'P';
    if (given == 0 || keep_ttl || (deadline != 0 && deadline != given)) return false;
    deadline = given;
    deadline_at = ++at;
    return at < arguments.size();
  }
};

bool take_deadline(Call& call, const SetOptions& options, UnixMs& deadline) {
  std::int64_t when = 0;
  if (!take_integer(call, options.deadline_at, when)) return false;
  const std::int64_t unit = options.deadline == 'x' || options.deadline == 'X' ? 1000 : 1;
  const bool absolute = options.deadline == 'X' || options.deadline == 'P';
  const std::int64_t base = absolute ? 0 : static_cast<std::int64_t>(call.now);
  if (when <= 0 || when > kMost / unit || when * unit > kMost - base) {
    call.reply.error("ERR invalid expire time in 'set' command");
    return false;
  }
  deadline = UnixMs{when * unit + base};
  return true;
}

void set(Call& call) {
  SetOptions options;
  for (std::size_t at = 3; at < call.arguments.size(); ++at) {
    if (!options.take(call.arguments, at)) return call.reply.error(kSyntaxError);
  }
  UnixMs deadline = UnixMs::None;
  if (options.deadline != 0 && !take_deadline(call, options, deadline)) return;
  const std::string_view key = call.arguments[1];
  if (options.get && !reply_string(call, key)) return;
  const Shard::Entry* const entry = find(call, key);
  if ((options.nx && entry != nullptr) || (options.xx && entry == nullptr)) {
    if (!options.get) call.reply.null();
    return;
  }
  if (options.keep_ttl && entry != nullptr) deadline = entry->deadline;
  call.service.keyspace.of(key).put(key, std::string(call.arguments[2]), deadline);
  if (!options.get) call.reply.ok();
}

void mget(Call& call) {
  call.reply.array(call.arguments.size() - 1);
  for (const std::string_view key : call.arguments.subspan(1)) {
    const Shard::Entry* const entry = find(call, key);
    const auto* const text = entry == nullptr ? nullptr : std::get_if<std::string>(&entry->value);
    if (text == nullptr) {
      call.reply.null();
    } else {
      call.reply.bulk(*text);
    }
  }
}

void mset(Call& call) {
  if (call.arguments.size() % 2 == 0) return wrong_arity("mset", call.reply);
  for (std::size_t at = 1; at < call.arguments.size(); at += 2) {
    const std::string_view key = call.arguments[at];
    call.service.keyspace.of(key).put(key, std::string(call.arguments[at + 1]));
  }
  call.reply.ok();
}

void add(Call& call, std::int64_t step) {
  const std::string_view key = call.arguments[1];
  Shard::Entry* const entry = find(call, key);
  std::int64_t number = 0;
  if (entry != nullptr) {
    const auto* const text = as<std::string>(call, *entry);
    if (text == nullptr) return;
    if (!parse_integer(*text, number)) return call.reply.error(kNotAnInteger);
  }
  if (step < 0 ? number < kLeast - step : number > kMost - step) {
    return call.reply.error("ERR increment or decrement would overflow");
  }
  number += step;
  if (entry != nullptr) {
    entry->value = std::to_string(number);  // keeps the deadline
  } else {
    call.service.keyspace.of(key).put(key, std::to_string(number));
  }
  call.reply.integer(number);
}

void incr(Call& call) { add(call, 1); }
void decr(Call& call) { add(call, -1); }
void incrby(Call& call) {
  std::int64_t step = 0;
  if (take_integer(call, 2, step)) add(call, step);
}
void decrby(Call& call) {
  std::int64_t step = 0;
  if (!take_integer(call, 2, step)) return;
  if (step == kLeast) return call.reply.error("ERR decrement would overflow");
  add(call, -step);
}

// --- lists ---------------------------------------------------------------------------------------

void push(Call& call, bool left) {
  const std::string_view key = call.arguments[1];
  Shard::Entry* entry = find(call, key);
  if (entry == nullptr) {
    call.service.keyspace.of(key).put(key, List());
    entry = find(call, key);
  }
  List* const list = as<List>(call, *entry);
  if (list == nullptr) return;
  for (const std::string_view text : call.arguments.subspan(2)) {
    if (left) {
      list->emplace_front(text);
    } else {
      list->emplace_back(text);
    }
  }
  call.reply.integer(static_cast<std::int64_t>(list->size()));
}

void lpush(Call& call) { push(call, true); }
void rpush(Call& call) { push(call, false); }

void pop(Call& call, bool left) {
  if (call.arguments.size() > 3) return wrong_arity(left ? "lpop" : "rpop", call.reply);
  const bool counted = call.arguments.size() == 3;
  std::int64_t count = 1;
  if (counted && (!parse_integer(call.arguments[2], count) || count < 0)) {
    return call.reply.error("ERR value is out of range, must be positive");
  }
  const std::string_view key = call.arguments[1];
  Shard::Entry* const entry = find(call, key);
  if (entry == nullptr) return counted ? call.reply.null_array() : call.reply.null();
  List* const list = as<List>(call, *entry);
  if (list == nullptr) return;
  const std::size_t taken = std::min(list->size(), static_cast<std::size_t>(count));
  if (counted) call.reply.array(taken);
  for (std::size_t i = 0; i < taken; ++i) {
    call.reply.bulk(left ? list->front() : list->back());
    left ? list->pop_front() : list->pop_back();
  }
  if (list->empty()) call.service.keyspace.of(key).erase(key, call.now);
}

void lpop(Call& call) { pop(call, true); }
void rpop(Call& call) { pop(call, false); }

void llen(Call& call) {
  Shard::Entry* const entry = find(call, call.arguments[1]);
  if (entry == nullptr) return call.reply.integer(0);
  const List* const list = as<List>(call, *entry);
  if (list != nullptr) call.reply.integer(static_cast<std::int64_t>(list->size()));
}

void lrange(Call& call) {
  std::int64_t first = 0, last = 0;
  if (!take_integer(call, 2, first) || !take_integer(call, 3, last)) return;
  Shard::Entry* const entry = find(call, call.arguments[1]);
  if (entry == nullptr) return call.reply.array(0);
  const List* const list = as<List>(call, *entry);
  if (list == nullptr) return;
  const auto size = static_cast<std::int64_t>(list->size());
  if (first < 0) first = std::max<std::int64_t>(first + size, 0);
  if (last < 0) last += size;
  last = std::min(last, size - 1);
  if (first > last) return call.reply.array(0);
  call.reply.array(static_cast<std::size_t>(last - first + 1));
  for (std::int64_t at = first; at <= last; ++at) {
    call.reply.bulk((*list)[static_cast<std::size_t>(at)]);
  }
}

// --- the table -----------------------------------------------------------------------------------

void command_all(Call& call);
void command_count(Call& call);
void command_docs(Call& call);
void command_info(Call& call);
void command_list(Call& call);

constexpr auto kPlain = Command::Kind::Plain;
constexpr auto kRead = Command::Kind::Read;
constexpr auto kWrite = Command::Kind::Write;

constexpr Command kCommands[] = {
    {"client", -2},
    {"command", -1, 0, 0, 0, kPlain, false, command_all},
    {"config", -2},
    {"dbsize", 1, 0, 0, 0, kRead, true, database_size},
    {"decr", 2, 1, 1, 1, kWrite, false, decr},
    {"decrby", 3, 1, 1, 1, kWrite, false, decrby},
    {"del", -2, 1, -1, 1, kWrite, false, del},
    {"echo", 2, 0, 0, 0, kPlain, false, echo},
    {"exists", -2, 1, -1, 1, kRead, false, exists},
    {"expire", -3, 1, 1, 1, kWrite, false, expire},
    {"flushdb", -1, 0, 0, 0, kWrite, true, flush_database},
    {"get", 2, 1, 1, 1, kRead, false, get},
    {"hello", -1, 0, 0, 0, kPlain, false, hello},
    {"incr", 2, 1, 1, 1, kWrite, false, incr},
    {"incrby", 3, 1, 1, 1, kWrite, false, incrby},
    {"info", -1, 0, 0, 0, kPlain, true, info_command},
    {"llen", 2, 1, 1, 1, kRead, false, llen},
    {"lpop", -2, 1, 1, 1, kWrite, false, lpop},
    {"lpush", -3, 1, 1, 1, kWrite, false, lpush},
    {"lrange", 4, 1, 1, 1, kRead, false, lrange},
    {"mget", -2, 1, -1, 1, kRead, false, mget},
    {"mset", -3, 1, -1, 2, kWrite, false, mset},
    {"persist", 2, 1, 1, 1, kWrite, false, persist},
    {"pexpire", -3, 1, 1, 1, kWrite, false, pexpire},
    {"ping", -1, 0, 0, 0, kPlain, false, ping},
    {"pttl", 2, 1, 1, 1, kRead, false, pttl},
    {"quit", -1, 0, 0, 0, kPlain, false, quit},
    {"rpop", -2, 1, 1, 1, kWrite, false, rpop},
    {"rpush", -3, 1, 1, 1, kWrite, false, rpush},
    {"select", 2, 0, 0, 0, kPlain, false, select_database},
    {"set", -3, 1, 1, 1, kWrite, false, set},
    {"shutdown", -1, 0, 0, 0, kPlain, false, shutdown},
    {"ttl", 2, 1, 1, 1, kRead, false, ttl},
    {"type", 2, 1, 1, 1, kRead, false, type},
};

constexpr Command kSubcommands[] = {
    {"client|getname", 2, 0, 0, 0, kPlain, false, client_getname},
    {"client|id", 2, 0, 0, 0, kPlain, false, client_id},
    {"client|setinfo", 4, 0, 0, 0, kPlain, false, reply_ok},
    {"client|setname", 3, 0, 0, 0, kPlain, false, client_setname},
    {"command|count", 2, 0, 0, 0, kPlain, false, command_count},
    {"command|docs", -2, 0, 0, 0, kPlain, false, command_docs},
    {"command|info", -2, 0, 0, 0, kPlain, false, command_info},
    {"command|list", -2, 0, 0, 0, kPlain, false, command_list},
    {"config|get", -3, 0, 0, 0, kPlain, false, config_get},
    {"config|set", -4, 0, 0, 0, kPlain, false, config_set},
};

template <std::size_t kSize>
const Command* look_up(const Command (&table)[kSize], std::string_view name) {
  const auto* const found =
      std::lower_bound(std::begin(table), std::end(table), name,
                       [](const Command& a, std::string_view b) { return a.name < b; });
  return found != std::end(table) && found->name == name ? found : nullptr;
}

const Command* look_up_lowered(std::string_view name) {
  char lowered_name[16];
  if (name.size() > sizeof(lowered_name)) return nullptr;
  std::transform(name.begin(), name.end(), lowered_name, lower);
  return look_up(kCommands, {lowered_name, name.size()});
}

bool has_subcommands(const Command& command) {
  return std::any_of(std::begin(kSubcommands), std::end(kSubcommands), [&](const Command& sub) {
    return sub.name.starts_with(command.name) && sub.name[command.name.size()] == '|';
  });
}

// As COMMAND describes it: ten fields, the last four (ACL categories, tips, key specifications,
// subcommands) empty.
void describe(const Command& command, Reply& reply) {
  reply.array(10);
  reply.bulk(command.name);
  reply.integer(command.arity);
  reply.array(command.kind == kPlain ? 0 : 1);
  if (command.kind != kPlain) reply.status(command.kind == kRead ? "readonly" : "write");
  reply.integer(command.first_key);
  reply.integer(command.last_key);
  reply.integer(command.step);
  for (int i = 0; i < 4; ++i) reply.array(0);
}

void command_all(Call& call) {
  call.reply.array(std::size(kCommands));
  for (const Command& command : kCommands) describe(command, call.reply);
}

void command_count(Call& call) {
  call.reply.integer(static_cast<std::int64_t>(std::size(kCommands)));
}

void command_docs(Call& call) { call.reply.array(0); }

void command_info(Call& call) {
  if (call.arguments.size() == 2) return command_all(call);
  call.reply.array(call.arguments.size() - 2);
  for (const std::string_view name : call.arguments.subspan(2)) {
    const Command* const command = look_up_lowered(name);
    if (command == nullptr) {
      call.reply.null();
    } else {
      describe(*command, call.reply);
    }
  }
}

void command_list(Call& call) {
  if (call.arguments.size() > 2) return call.reply.error(kSyntaxError);
  call.reply.array(std::size(kCommands));
  for (const Command& command : kCommands) call.reply.bulk(command.name);
}

void unknown_command(Arguments arguments, Reply& reply) {
  std::string given;
  for (std::size_t at = 1; at < arguments.size() && given.size() < 128; ++at) {
    given += '\'';
    given += printable(arguments[at], 128 - (given.size() - 1));
    given += "' ";
  }
  reply.error("ERR unknown command '" + std::string(printable(arguments[0], 128)) +
              "', with args beginning with: " + given);
}

// Whether the first element of `pattern` matches `c`; if so, removes it.
bool glob_takes(std::string_view& pattern, char c) {
  std::size_t at = 0;
  bool matches = false;
  if (pattern[0] == '[') {
    const bool negated = pattern.size() > 1 && pattern[1] == '^';
    for (at = negated ? 2 : 1; at < pattern.size() && pattern[at] != ']'; ++at) {
      if (pattern[at] == '\\' && at + 1 < pattern.size()) {
        matches |= lower(pattern[++at]) == c;
      } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
        const auto [low, high] = std::minmax({lower(pattern[at]), lower(pattern[at + 2])});
        matches |= low <= c && c <= high;
        at += 2;
      } else {
        matches |= lower(pattern[at]) == c;
      }
    }
    matches = matches != negated;
  } else if (pattern[0] == '\\' && pattern.size() > 1) {
    matches = lower(pattern[at = 1]) == c;
  } else {
    matches = pattern[0] == '?' || lower(pattern[0]) == c;
  }
  if (matches) pattern.remove_prefix(std::min(at + 1, pattern.size()));
  return matches;
}

}  // namespace

ShardSet Command::shards(Arguments arguments) const {
  ShardSet set;
  if (all_shards) return set.set();
  if (first_key == 0) return set;
  const auto first = static_cast<std::size_t>(first_key);
  const std::size_t last = last_key < 0 ? arguments.size() - 1 : static_cast<std::size_t>(last_key);
  for (std::size_t at = first; at <= last; at += static_cast<std::size_t>(step)) {
    set.set(Keyspace::shard_of(arguments[at]));
  }
  return set;
}

const Command* find_command(Arguments arguments, Reply& reply) {
  const Command* command = look_up_lowered(arguments[0]);
  if (command == nullptr) {
    unknown_command(arguments, reply);
    return nullptr;
  }
  if (arguments.size() > 1 && has_subcommands(*command)) {
    std::string name(command->name);
    name += '|';
    name += lowered(arguments[1]);
    const Command* const sub = look_up(kSubcommands, name);
    if (sub == nullptr) {
      std::string upper(command->name);
      for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      reply.error("ERR unknown subcommand '" + std::string(printable(arguments[1], 128)) +
                  "'. Try " + upper + " HELP.");
      return nullptr;
    }
    command = sub;
  }
  const auto count = static_cast<int>(std::min<std::size_t>(arguments.size(), 1u << 30));
  if (command->arity < 0 ? count < -command->arity : count != command->arity) {
    wrong_arity(command->name, reply);
    return nullptr;
  }
  return command;
}

bool glob_matches(std::string_view pattern, std::string_view text) {
  // Only the last '*' needs a second try, so the time is bounded by the product of the lengths.
  std::string_view after_star, text_at_star;
  bool starred = false;
  while (true) {
    if (pattern.starts_with('*')) {
      pattern.remove_prefix(1);
      after_star = pattern;
      text_at_star = text;
      starred = true;
    } else if (!text.empty() && !pattern.empty() && glob_takes(pattern, lower(text[0]))) {
      text.remove_prefix(1);
    } else if (text.empty() && pattern.empty()) {
      return true;
    } else if (starred && !text_at_star.empty()) {
      text_at_star.remove_prefix(1);
      text = text_at_star;
      pattern = after_star;
    } else {
      return false;
    }
  }
}

std::string info(const Service& service, std::span<const std::string> sections,
                 std::uint64_t now_ms) {
  std::string text;
  const auto wanted = [&](std::string_view title) {
    const std::string name = lowered(title);
    const bool named = std::any_of(sections.begin(), sections.end(), [&](const std::string& s) {
      return s == name || s == "all" || s == "default" || s == "everything";
    });
    if (!sections.empty() && !named) return false;
    if (!text.empty()) text += "\r\n";
    text += "# " + std::string(title) + "\r\n";
    return true;
  };
  const auto line = [&](std::string_view name, std::string_view value) {
    text.append(name).append(":").append(value).append("\r\n");
  };
  const auto number = [&](std::string_view name, std::uint64_t value) {
    line(name, std::to_string(value));
  };
  const auto count = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  const Statistics& statistics = service.statistics;

  if (wanted("Server")) {
    line("redis_version", "7.0.15");  // whose commands and messages these are
    line("redis_mode", "standalone");
    line("server_name", "taskscope-redis");
    number("process_id", static_cast<std::uint64_t>(getpid()));
    number("tcp_port", service.config.port);
    number("uptime_in_seconds", (now_ms - service.started_ms) / 1000);
  }
  if (wanted("Clients")) {
    number("connected_clients", count(statistics.connected));
    number("maxclients", service.config.max_connections);
  }
  std::uint64_t keys = 0, with_deadline = 0, expired = 0;
  for (const Shard& shard : service.keyspace.shards) {
    keys += shard.size();
    with_deadline += shard.with_deadline();
    expired += shard.expired();
  }
  if (wanted("Stats")) {
    number("total_connections_received", count(statistics.connections));
    number("total_commands_processed", count(statistics.commands));
    number("instantaneous_ops_per_sec", count(statistics.commands_per_s));
    number("total_net_input_bytes", count(statistics.input_bytes));
    number("total_net_output_bytes", count(statistics.output_bytes));
    number("expired_keys", expired);
  }
  if (wanted("Runtime")) {
    const RuntimeCounters counters = service.runtime_counters();
    number("workers", counters.workers);
    number("live_tasks", counters.live_tasks);
    number("tasks_spawned", counters.tasks_spawned);
    number("polls", counters.polls);
    number("wakes", counters.wakes);
  }
  if (wanted("Keyspace") && keys != 0) {
    line("db0", "keys=" + std::to_string(keys) + ",expires=" + std::to_string(with_deadline) +
                    ",avg_ttl=0");
  }
  return text;
}

}  // namespace taskscope::redis
