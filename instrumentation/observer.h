/// Our runtime's way to the recorder.
#pragma once

namespace taskscope::instrumentation {

/// Makes our Observer that of the process; later calls do nothing.
void set_observer_of_process() noexcept;

}  // namespace taskscope::instrumentation
