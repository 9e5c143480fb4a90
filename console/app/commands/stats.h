/// What `taskscope stats` prints.
#pragma once

#include <string>

#include "taskscope/console/analysis/diagnosis.h"
#include "taskscope/console/session/model.h"

namespace taskscope::console::app::commands {

/// One object, as `taskscope stats --help` documents it.
[[nodiscard]] std::string stats_json(const session::Model& model,
                                     const analysis::Diagnosis& diagnosis);
/// The same for people: the first rows of each.
[[nodiscard]] std::string stats_text(const session::Model& model,
                                     const analysis::Diagnosis& diagnosis);

}  // namespace taskscope::console::app::commands
