/// The words a person reads for what the model keeps as numbers.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "taskscope/console/panels/palette.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::panels {

/// What a wait is for, as far as hue tells.
enum class WaitClass : std::uint8_t { Lock, Channel, Timer, Io, Join, Blocking, Notify, Other };
inline constexpr std::array kWaitClasses = {
    WaitClass::Lock, WaitClass::Channel,  WaitClass::Timer,  WaitClass::Io,
    WaitClass::Join, WaitClass::Blocking, WaitClass::Notify, WaitClass::Other};

[[nodiscard]] WaitClass wait_class(const session::WaitKind& wait);
[[nodiscard]] std::string_view name_of(WaitClass which);
[[nodiscard]] Colour colour_of(WaitClass which);
/// The class's hue, with the lightness of the kind: a write lock is darker than a read lock.
[[nodiscard]] Colour colour_of(const session::WaitKind& wait);

[[nodiscard]] std::string_view name_of(protocol::TaskKind kind);
[[nodiscard]] std::string_view name_of(protocol::TaskState state);
[[nodiscard]] std::string_view name_of(protocol::ResourceKind kind);
[[nodiscard]] std::string_view name_of(protocol::LossCause cause);
/// What a waiting task does: "lock", "recv", "sleep".
[[nodiscard]] std::string_view name_of(protocol::WaitOp op);
/// "done", "cancelled", "failed".
[[nodiscard]] std::string_view name_of(protocol::Outcome outcome);

/// A task's state in a word or two, and its colour: "polling", "scheduled", "waiting · timer",
/// "cancelled".
struct StateText {
  std::string text;
  Colour colour = colour::kDone;
};
[[nodiscard]] StateText state_text(const session::Model& model, const session::Task& task);

/// "recv on mpsc", "sleep", "readable, fd 12".
[[nodiscard]] std::string wait_text(const protocol::BranchState& wait);
/// The same for a kind of wait, which names no particular resource.
[[nodiscard]] std::string wait_text(const session::WaitKind& wait);

/// The function that is the task's body, short; known where a stack was read, else empty.
[[nodiscard]] std::string body_function(const session::Model& model, const session::Task& task);
/// What the tasks of a call site are called: the name that they share, else their body's function,
/// where a stack was read; else empty.
[[nodiscard]] std::string group_title(const session::Model& model, const session::CallGroup& group);
/// What a person calls the task: its name, else its body's function, else its id.
[[nodiscard]] std::string task_title(const session::Model& model, const session::Task& task);
/// The spawning place as "server.cpp:42".
[[nodiscard]] std::string site_place(const session::Model& model, std::uint32_t site);
/// The function in which the place lies, short.
[[nodiscard]] std::string site_function(const session::Model& model, std::uint32_t site);
/// "worker 0", or the thread's name.
[[nodiscard]] std::string lane_name(const session::Lane& lane);
/// The same, with the number of its runtime where there are several: "worker 0 · rt 2".
[[nodiscard]] std::string lane_name(const session::Model& model, const session::Lane& lane);

/// A poll that began before the records of its worker and did not end since: only samples tell.
struct SampledPoll {
  std::uint64_t task = 0;          ///< 0: there is none
  std::uint64_t from = 0, to = 0;  ///< ticks of the first and the last sample that saw it
};
[[nodiscard]] SampledPoll sampled_poll(const session::Lane& lane);

}  // namespace taskscope::console::panels
