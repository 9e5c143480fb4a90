#include "taskscope/console/source/source.h"

namespace taskscope::console::source {

Result<Nothing> Source::start_recording(const std::string& /*path*/) {
  return Failure{FailureKind::System, "this session is a recording already"};
}

}  // namespace taskscope::console::source
