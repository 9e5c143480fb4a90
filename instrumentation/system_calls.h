/// Names of system calls.
#pragma once

#include <string>

namespace taskscope::instrumentation {

/// Of those that wait, its name; of others, its number.
[[nodiscard]] std::string system_call_name(long number);

}  // namespace taskscope::instrumentation
