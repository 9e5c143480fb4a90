/// The words that analysis makes its sentences from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "taskscope/console/session/model.h"

namespace taskscope::console::analysis {

/// "840 ns", "12.3 µs", "4.56 ms", "1.23 s", "123 s".
[[nodiscard]] std::string duration_words(std::int64_t ns);
[[nodiscard]] std::string_view words_of(protocol::ResourceKind kind);
/// What the task is about to do once its wait is over: "lock", "receive from", "read".
[[nodiscard]] std::string_view words_of(protocol::WaitOp op);
[[nodiscard]] std::string_view words_of(protocol::WakeCause cause);
[[nodiscard]] std::string_view words_of(protocol::Outcome outcome);
/// "mutex #12", "mpsc "jobs"".
[[nodiscard]] std::string resource_words(const session::Model& model, std::uint64_t id,
                                         protocol::ResourceKind kind);
/// "1 task", "12 tasks".
[[nodiscard]] std::string tasks_words(std::size_t count);
/// "#7", "#7 (session)".
[[nodiscard]] std::string task_words(const session::Model& model, std::uint64_t id);
/// "/src/server.cpp:42"; empty when nothing defines the site.
[[nodiscard]] std::string place_words(const session::Model& model, std::uint32_t site);
/// "in read, called from load_config (/src/config.cpp:42)"; empty where no name is known.
[[nodiscard]] std::string native_words(const session::NativeStack& stack);
/// What the wait is for: "to lock mutex #12", "until fd 7 is readable", "for a timer".
[[nodiscard]] std::string wait_words(const session::Model& model, const session::Wait& wait);

}  // namespace taskscope::console::analysis
