/// What the bar at the top tells: what is watched, how the link is, and what watching costs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "taskscope/console/panels/palette.h"
#include "taskscope/console/session/session.h"

namespace taskscope::console::panels {

enum class Link : std::uint8_t { Live, Ended, Dead, Recorded, Reading };

struct Gauge {
  std::string label, value, note;
  bool alarming = false;
};

struct TopBarView {
  std::string title, subtitle;
  Link link = Link::Live;
  std::string link_text;
  std::string sentence;  ///< when the link is not what it was: what happened, and what is kept
  bool recording = false;
  bool can_record = false;
  std::string recording_text;
  std::vector<Gauge> gauges;
};

struct TopBarOptions {
  std::size_t console_memory_bytes = 0;  ///< of this program
};
[[nodiscard]] TopBarView top_bar(const session::Session& session, const TopBarOptions& options);

/// Events and bytes a second over the last `span_ns` of the session.
struct CostRates {
  double events = 0, bytes = 0, cpu_share = 0;
};
[[nodiscard]] CostRates cost_rates(const session::Model& model,
                                   std::int64_t span_ns = 2'000'000'000);

}  // namespace taskscope::console::panels
