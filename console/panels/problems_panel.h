/// Draws the list of findings and, beside it, the evidence of the selected one.
#pragma once

#include <optional>

#include "taskscope/console/panels/actions.h"
#include "taskscope/console/panels/graph_panel.h"
#include "taskscope/console/panels/problems_layout.h"

namespace taskscope::console::panels {

struct ProblemsInput {
  const ProblemsView* view = nullptr;
  const EvidenceView* evidence = nullptr;    ///< null: no finding is selected
  const InspectorView* inspector = nullptr;  ///< of the selected task: its native stack
  GraphInput graph;                          ///< about the finding
  std::uint64_t selected = 0;                ///< finding_key
  std::optional<analysis::FindingKind> only;
  const analysis::Thresholds* thresholds = nullptr;
};

/// Kept between frames; for drawing only.
struct ProblemsMemory {
  bool scroll_to_selected = false;
  analysis::Thresholds edited;  ///< in the popup
  std::string wrong;            ///< with what was entered there last
};

/// Fills what is left of the current ImGui window.
void draw_problems(const ProblemsInput& input, ProblemsMemory& memory, GraphMemory& graph,
                   Actions& actions);

}  // namespace taskscope::console::panels
