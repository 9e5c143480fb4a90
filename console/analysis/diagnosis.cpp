#include "taskscope/console/analysis/diagnosis.h"

namespace taskscope::console::analysis {
namespace {

constexpr std::int64_t kLookEveryNs = 250'000'000;

}  // namespace

void Diagnosis::look(const session::Model& model) {
  if (model.now_ns() < next_look_ns_) return;
  look_now(model);
}

void Diagnosis::look_now(const session::Model& model) {
  next_look_ns_ = model.now_ns() + kLookEveryNs;
  active_ = find_troubles(model, thresholds_);
  ++revision_;
}

}  // namespace taskscope::console::analysis
