// taskscope-redis: a server of the Redis protocol, and something to look at.

#include <sys/resource.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>

#include "taskscope/instrumentation/examples/redis/server.h"
#include "taskscope/instrumentation/init.h"
#include "taskscope/runtime/runtime.h"

namespace {

using namespace taskscope;

constexpr int kUsageError = 2, kUnusable = 3;

constexpr const char* kUsage =
    "usage: taskscope-redis [--port N] [--bind ADDRESS] [--max-connections N] [--workers N]\n"
    "                       [--print-counters]\n"
    "  --port N             0 lets the system choose; the first line of output says which (6379)\n"
    "  --bind ADDRESS       an IPv4 or IPv6 address (127.0.0.1); there is no password, so bind\n"
    "                       only where everybody may read and write\n"
    "  --max-connections N  the next ones wait until one of these is closed (10000)\n"
    "  --workers N          threads that run tasks (as many as processors)\n"
    "  --print-counters     at exit, a line of JSON: tasks spawned, polls, wakes\n"
    "SIGINT, SIGTERM and the command SHUTDOWN end it: replies under way are finished.\n";

struct Options {
  redis::Config config;
  std::uint32_t workers = 0;
  bool print_counters = false;
};

template <class Number>
bool take_number(std::string_view text, Number& number, Number least) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= least;
}

/// Nothing: `what` is wrong with the arguments.
std::optional<Options> parse(int count, char** arguments, std::string& what) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view name = arguments[i];
    if (name == "--print-counters") {
      options.print_counters = true;
      continue;
    }
    if (name != "--port" && name != "--bind" && name != "--max-connections" &&
        name != "--workers") {
      what = "unknown option " + std::string(name);
      return std::nullopt;
    }
    if (++i == count) {
      what = std::string(name) + " needs a value";
      return std::nullopt;
    }
    const std::string_view value = arguments[i];
    bool good = true;
    if (name == "--port") good = take_number<std::uint16_t>(value, options.config.port, 0);
    if (name == "--workers") {
      good = take_number<std::uint32_t>(value, options.workers, 1) && options.workers <= 1024;
    }
    if (name == "--max-connections") {
      good = take_number<std::size_t>(value, options.config.max_connections, 1) &&
             options.config.max_connections <= 1'000'000;
    }
    if (name == "--bind") {
      options.config.bind = value;
      good = runtime::net::SocketAddress::parse(value, 0).has_value();
    }
    if (!good) {
      what = std::string(name) + " can't be " + std::string(value);
      return std::nullopt;
    }
  }
  return options;
}

// A connection is a descriptor, and the usual limit is 1,024.
void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);  // as many as it was stays enough to begin with
}

redis::RuntimeCounters counters(const runtime::RuntimeMetrics& metrics) {
  return {.workers = metrics.workers.size(),
          .live_tasks = metrics.live_tasks,
          .tasks_spawned = metrics.spawned_tasks,
          .polls = metrics.polls,
          .wakes = metrics.wakes};
}

int serve(const Options& options) {
  redis::Service service;
  service.config = options.config;
  service.started_ms = static_cast<std::uint64_t>(redis::now_ms());
  redis::Server server(service);  // outlives the runtime, whose tasks use it

  auto builder = runtime::Builder::multi_thread();
  if (options.workers != 0) builder.worker_threads(options.workers);
  runtime::Runtime runtime = builder.build();
  service.runtime_counters = [handle = runtime.handle()] { return counters(handle.metrics()); };

  const std::error_code failure = runtime.block_on(server.run());
  runtime.shutdown();  // destroys what still runs; the counters are exact from here on
  if (failure) {
    std::fprintf(stderr, "taskscope-redis: can't listen on %s port %u: %s\n",
                 options.config.bind.c_str(), options.config.port, failure.message().c_str());
    return kUnusable;
  }
  if (options.print_counters) {
    const redis::RuntimeCounters at_exit = service.runtime_counters();
    std::printf("{\"tasks_spawned\":%llu,\"polls\":%llu,\"wakes\":%llu}\n",
                static_cast<unsigned long long>(at_exit.tasks_spawned),
                static_cast<unsigned long long>(at_exit.polls),
                static_cast<unsigned long long>(at_exit.wakes));
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  taskscope::instrumentation::init();
  if (count == 2 && std::strcmp(arguments[1], "--help") == 0) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  std::string wrong;
  const std::optional<Options> options = parse(count, arguments, wrong);
  if (!options) {
    std::fprintf(stderr, "taskscope-redis: %s\n%s", wrong.c_str(), kUsage);
    return kUsageError;
  }
  allow_many_descriptors();
  try {
    return serve(*options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "taskscope-redis: %s\n", error.what());
    return kUnusable;
  }
}
