#include "taskscope/runtime/time/timeout.h"

namespace taskscope::runtime::time {

Task<void> until(std::uint64_t deadline_ns) {
  Sleep sleep(deadline_ns);
  task::Inherited<Sleep&> inner(sleep);
  co_await inner;
}

}  // namespace taskscope::runtime::time
