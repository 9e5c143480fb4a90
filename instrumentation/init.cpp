#include "taskscope/instrumentation/init.h"

#include <bit>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string_view>

#include "taskscope/instrumentation/engine.h"

namespace taskscope::instrumentation {

namespace {

void complain(const char* variable, std::string_view value, const char* allowed) {
  std::fprintf(stderr, "taskscope: %s=%.*s is not understood, it is ignored; it can be %s\n",
               variable, static_cast<int>(value.size()), value.data(), allowed);
}

/// "64K", "8M", "1G", or bytes; 0 when it is none of these.
std::size_t parse_size(const std::string& text) {
  char* end = nullptr;
  const unsigned long long number = std::strtoull(text.c_str(), &end, 10);
  if (end == text.c_str() || text.front() == '-') return 0;
  unsigned shift = 0;
  switch (std::toupper(static_cast<unsigned char>(*end))) {
    case 'K':
      shift = 10;
      ++end;
      break;
    case 'M':
      shift = 20;
      ++end;
      break;
    case 'G':
      shift = 30;
      ++end;
      break;
    default:
      break;
  }
  if (*end != '\0' || number > (1ull << 40 >> shift)) return 0;
  return static_cast<std::size_t>(number << shift);
}

/// The environment wins: it is the word of who runs the program now.
Options with_environment(Options options) {
  const auto read = [](const char* name) -> std::string {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  if (const auto value = read("TASKSCOPE"); !value.empty()) {
    if (value == "off" || value == "0") {
      options.state = Switch::Off;
    } else if (value == "on" || value == "1") {
      options.state = Switch::On;
    } else if (value == "wait") {
      options.state = Switch::Wait;
    } else {
      complain("TASKSCOPE", value, "on, off or wait");
    }
  }
  if (const auto value = read("TASKSCOPE_LISTEN"); !value.empty()) options.listen = value;
  if (read("TASKSCOPE_LISTEN_BEYOND_LOOPBACK") == "yes") options.listen_beyond_loopback = true;
  if (const auto value = read("TASKSCOPE_STACKS"); !value.empty()) {
    if (value == "on" || value == "off")
      options.stacks = value == "on";
    else
      complain("TASKSCOPE_STACKS", value, "on or off");
  }
  if (const auto value = read("TASKSCOPE_RING"); !value.empty()) {
    const std::size_t bytes = parse_size(value);
    if (bytes >= (std::size_t{64} << 10) && bytes <= (std::size_t{64} << 20) &&
        std::has_single_bit(bytes))
      options.worker_ring_bytes = bytes;
    else
      complain("TASKSCOPE_RING", value, "a power of two from 64K to 64M");
  }
  return options;
}

std::mutex init_mutex;
bool was_called = false;
Engine* engine_of_process = nullptr;  // leaked, so that no order of destruction matters

void finish_at_exit() {
  // In a forked child there is none: it switched off.
  if (Engine* const engine = current_engine()) engine->finish("the program has ended");
}

}  // namespace

bool init(const Options& given) {
  Engine* engine = nullptr;
  bool is_waiting = false;
  {
    const std::lock_guard lock(init_mutex);
    if (was_called) return current_engine() != nullptr && current_engine()->is_listening();
    was_called = true;
    try {
      const Options options = with_environment(given);
      if (options.state == Switch::Off) return false;
      engine = engine_of_process = new Engine(options);
      is_waiting = options.state == Switch::Wait && engine->is_listening();
      std::atexit(&finish_at_exit);
      std::at_quick_exit(&finish_at_exit);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "taskscope: this process can't be watched: %s\n", error.what());
      return false;
    }
  }
  if (is_waiting) {
    std::fprintf(
        stderr, "taskscope: waiting for a console: taskscope attach %s\n",
        engine->socket_path().empty() ? "(TASKSCOPE_LISTEN)" : engine->socket_path().c_str());
    engine->wait_for_consumer();
  }
  return engine->is_listening();
}

std::string socket_path() {
  const Engine* const engine = current_engine();
  return engine != nullptr ? engine->socket_path() : std::string();
}

}  // namespace taskscope::instrumentation
