/// The spelling of events in exported files: stable, lower case, with underscores.
#pragma once

#include <string_view>

#include "taskscope/protocol/update.h"

namespace taskscope::console::app::commands {

[[nodiscard]] std::string_view event_name(protocol::EventKind kind);  ///< "poll_started"
/// What Event::detail says for its kind: "pending", "recv"; empty where it says nothing.
[[nodiscard]] std::string_view detail_name(const protocol::Event& event);
[[nodiscard]] std::string_view resource_kind_name(protocol::ResourceKind kind);
[[nodiscard]] std::string_view task_kind_name(protocol::TaskKind kind);
[[nodiscard]] std::string_view outcome_name(protocol::Outcome outcome);

}  // namespace taskscope::console::app::commands
