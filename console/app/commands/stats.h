/// What `taskscope stats` prints.
#pragma once

#include <string>

#include "taskscope/console/session/model.h"

namespace taskscope::console::app::commands {

/// One object, as `taskscope stats --help` documents it.
[[nodiscard]] std::string stats_json(const session::Model& model);
/// The same for people: the first rows of each.
[[nodiscard]] std::string stats_text(const session::Model& model);

}  // namespace taskscope::console::app::commands
