#include "taskscope/console/app/commands/common.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "taskscope/console/app/command_line.h"
#include "taskscope/console/source/open.h"

namespace taskscope::console::app::commands {
namespace {

constexpr std::chrono::milliseconds kLiveSample{1000};  // how long a live target is watched
constexpr std::chrono::hours kWholeFile{24};

/// Characters, not bytes: continuation bytes take no room.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

int fail(std::string_view command, std::string_view sentence) {
  std::fprintf(stderr, "taskscope %.*s: %.*s.\n", static_cast<int>(command.size()), command.data(),
               static_cast<int>(sentence.size()), sentence.data());
  return kExitUnusable;
}
int fail(std::string_view command, const source::Failure& failure) {
  return fail(command, failure.sentence);
}
int fail(std::string_view command, const protocol::Error& error) {
  return fail(command, error.message);
}

std::unique_ptr<session::Session> open_session(std::string_view command, const std::string& target,
                                               const session::Limits& limits,
                                               std::function<void(const session::Model&)> watch) {
  auto source = source::open_target(target);
  if (!source) {
    fail(command, source.failure());
    return nullptr;
  }
  auto session = std::make_unique<session::Session>(std::move(source.value()), limits);
  if (watch) session->after_each_chunk(std::move(watch));
  const bool live = session->source().live();
  session->pump_to_end(live ? kLiveSample : std::chrono::milliseconds(kWholeFile));
  // What lives is known once the first walk has come; a busy machine may take longer for it than
  // the sample lasts.
  if (live) static_cast<void>(wait_for_walk(*session, 0));
  session->model().flush();
  return session;
}

bool wait_for_walk(session::Session& session, std::uint64_t before) {
  const auto& model = session.model();
  const auto end = std::chrono::steady_clock::now() + kWalkLimit;
  while (model.snapshots_completed() <= before && !model.ended() &&
         std::chrono::steady_clock::now() < end)
    session.pump_to_end(kTurn);
  session.model().flush();
  return model.snapshots_completed() > before;
}

bool print(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

std::string utc_text(std::uint64_t wall_ns) {
  const auto seconds = static_cast<std::time_t>(wall_ns / 1'000'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char day[32], text[64];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text, sizeof text, "%s.%09lluZ", day,
                static_cast<unsigned long long>(wall_ns % 1'000'000'000));
  return text;
}

std::string count_words(std::uint64_t n) {
  const std::string digits = std::to_string(n);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string counted(std::uint64_t n, std::string_view noun) {
  return count_words(n) + " " + std::string(noun) + (n == 1 ? "" : "s");
}

std::string bytes_words(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double n = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* next : {"KiB", "MiB", "GiB", "TiB"}) {
    if (n < 999.5) break;
    n /= 1024;
    unit = next;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %s", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, unit);
  return text;
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], width_of(row[i]));
    }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

std::string_view name_of(protocol::LossCause cause) {
  switch (cause) {
    case protocol::LossCause::RingFull:
      return "ring-full";
    case protocol::LossCause::NoMemory:
      return "no-memory";
    case protocol::LossCause::SlowConsumer:
      return "slow-consumer";
    case protocol::LossCause::SpoolCapped:
      return "spool-capped";
    case protocol::LossCause::Damaged:
      return "damaged";
    case protocol::LossCause::BeforeAttach:
      return "before-attach";
  }
  return "unknown";
}

}  // namespace taskscope::console::app::commands
