/// Everything a window would show of a model, as text: equal texts are equal pictures.
#pragma once

#include <string>

#include "taskscope/console/session/model.h"

namespace taskscope::tests {

[[nodiscard]] std::string model_text(console::session::Model& model);

}  // namespace taskscope::tests
