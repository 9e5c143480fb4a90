/// What the windowless commands share.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "taskscope/console/session/session.h"
#include "taskscope/console/source/result.h"
#include "taskscope/protocol/result.h"

namespace taskscope::console::app::commands {

constexpr std::chrono::seconds kWalkLimit{10};  ///< a million tasks take one or two
constexpr std::chrono::milliseconds kTurn{20};

/// "taskscope NAME: SENTENCE." on stderr; returns kExitUnusable.
int fail(std::string_view command, std::string_view sentence);
int fail(std::string_view command, const source::Failure& failure);
int fail(std::string_view command, const protocol::Error& error);

/// Opens a target or file and reads a file to its end, or a live process for a while and until the
/// first walk over its tasks has come, at most kWalkLimit; null after having said why not.
/// `watch` is called as by Session::after_each_chunk.
std::unique_ptr<session::Session> open_session(
    std::string_view command, const std::string& target, const session::Limits& limits = {},
    std::function<void(const session::Model&)> watch = {});

/// Reads until more than `before` walks over the tasks have come, at most kWalkLimit; false: none
/// more has.
bool wait_for_walk(session::Session& session, std::uint64_t before);

/// Everything to stdout at once; false when that failed (the reader of a pipe has gone).
bool print(std::string_view text);

/// "2026-01-02T03:04:05.678901234Z"
[[nodiscard]] std::string utc_text(std::uint64_t wall_ns);
/// "1,234,567"
[[nodiscard]] std::string count_words(std::uint64_t n);
/// "1 event", "2 events"
[[nodiscard]] std::string counted(std::uint64_t n, std::string_view noun);
/// "640 B", "12.3 KiB"
[[nodiscard]] std::string bytes_words(std::uint64_t bytes);
/// Two spaces between columns, as wide as their widest cell; the last one is not padded.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows);

/// "ring-full"
[[nodiscard]] std::string_view name_of(protocol::LossCause cause);

}  // namespace taskscope::console::app::commands
