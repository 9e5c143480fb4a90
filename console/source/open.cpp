#include "taskscope/console/source/open.h"

#include "taskscope/console/source/file_source.h"

namespace taskscope::console::source {

Result<std::unique_ptr<Source>> open_target(std::string_view text, bool file_only,
                                            const LiveOptions& options) {
  const auto target = resolve(text, file_only);
  if (!target) return target.failure();
  if (target.value().kind == TargetKind::File) return open_file(target.value().path);
  return connect(target.value(), options);
}

}  // namespace taskscope::console::source
