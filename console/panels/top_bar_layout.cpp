#include "taskscope/console/panels/top_bar_layout.h"

#include <algorithm>

#include "taskscope/console/panels/format.h"

namespace taskscope::console::panels {

CostRates cost_rates(const session::Model& model, std::int64_t span_ns) {
  const auto samples = model.cost_samples();
  if (samples.size() < 2) return {};
  const session::CostPoint& last = samples.back();
  std::size_t from = samples.size() - 1;
  while (from > 0 && model.clock().duration_ns(last.ticks - samples[from].ticks) < span_ns) --from;
  const session::CostPoint& first = samples[from];
  const auto ns = static_cast<double>(model.clock().duration_ns(last.ticks - first.ticks));
  if (ns <= 0) return {};
  // Counters of a target that was attached to anew begin again.
  const auto rate = [&](std::uint64_t now, std::uint64_t then) {
    return now < then ? 0.0 : static_cast<double>(now - then) * 1e9 / ns;
  };
  return {rate(last.sample.events, first.sample.events),
          rate(last.sample.bytes, first.sample.bytes),
          rate(last.sample.collector_cpu_ns, first.sample.collector_cpu_ns) / 1e9};
}

TopBarView top_bar(const session::Session& session, const TopBarOptions& options) {
  TopBarView view;
  const session::Model& model = session.model();
  const source::Source& source = session.source();
  const source::SourceStats stats = source.stats();
  const std::string span = duration_text(model.now_ns() - model.begin_ns());
  const std::string events = short_count_text(static_cast<double>(model.totals().events));

  view.title = source.title();
  if (const auto& process = model.process()) {
    view.title = process->name.empty() ? "process" : process->name;
    view.subtitle = "pid " + std::to_string(process->pid);
    if (!process->host.empty()) view.subtitle += " on " + process->host;
  }

  if (source.live()) {
    if (model.ended() && model.dead()) {
      view.link = Link::Dead;
      view.link_text = "dead";
      view.sentence = model.end_reason().empty() ? "the link broke" : model.end_reason();
    } else if (model.ended()) {
      view.link = Link::Ended;
      view.link_text = "ended";
      view.sentence = model.end_reason().empty() ? "the process ended" : model.end_reason();
    } else {
      view.link = Link::Live;
      view.link_text = "live";
    }
    if (!view.sentence.empty()) {
      if (view.sentence.back() != '.') view.sentence += '.';
      view.sentence.front() =
          static_cast<char>(std::toupper(static_cast<unsigned char>(view.sentence.front())));
      view.sentence += " The session is kept: " + span + ", " + events + " events.";
    }
  } else if (source.state() == source::SourceState::Open) {
    view.link = Link::Reading;
    view.link_text = "reading";
    if (stats.total_bytes > 0) {
      view.link_text += " " + percent_text(static_cast<double>(stats.bytes) /
                                           static_cast<double>(stats.total_bytes));
    }
  } else {
    view.link = Link::Recorded;
    view.link_text = "recorded";
    if (stats.damaged_chunks > 0) {
      view.sentence = "This recording is damaged: " + count_text(stats.damaged_chunks) +
                      " of its chunks could not be read; the rest is shown.";
    }
  }

  view.can_record = source.live();
  view.recording = !stats.recording.empty();
  if (view.recording) {
    view.recording_text = bytes_text(static_cast<double>(stats.recorded_bytes));
  }
  if (!stats.recording_error.empty()) {
    view.sentence = "The recording stopped: " + stats.recording_error + ".";
  }

  const CostRates rates = cost_rates(model);
  const protocol::CostSample cost =
      model.cost_samples().empty() ? protocol::CostSample{} : model.cost_samples().back().sample;
  const session::Totals& totals = model.totals();
  const std::uint64_t lost = totals.lost_events;
  const bool moving = view.link == Link::Live;
  if (moving) {
    view.gauges.push_back({"events/s", short_count_text(rates.events),
                           "Events that the target records each second.", false});
    view.gauges.push_back(
        {"sent", bytes_text(rates.bytes) + "/s", "What the target sends to this console.", false});
    view.gauges.push_back({"collector", percent_text(rates.cpu_share),
                           "Processor time of the target's collector thread, of one core.",
                           rates.cpu_share > 0.5});
    view.gauges.push_back(
        {"delay",
         cost.delay_ns == 0 ? std::string("–")
                            : duration_text(static_cast<std::int64_t>(cost.delay_ns)),
         "Age of the oldest event when it was sent.", cost.delay_ns > 1'000'000'000});
  } else {
    view.gauges.push_back({"span", span, "From the first record to the last.", false});
    view.gauges.push_back({"events", events, count_text(totals.events) + " events.", false});
    view.gauges.push_back(
        {"size", bytes_text(static_cast<double>(std::max(stats.total_bytes, stats.bytes))),
         "Of the recording, or of what was received.", false});
  }
  view.gauges.push_back({"lost",
                         lost == 0 && totals.lost_chunks > 0
                             ? count_text(totals.lost_chunks) + " chunks"
                             : short_count_text(static_cast<double>(lost)),
                         lost == 0 && totals.lost_chunks == 0
                             ? "Every event that was recorded is here."
                             : count_text(lost) + " events and " + count_text(totals.lost_chunks) +
                                   " chunks were lost; the timeline shows where.",
                         lost > 0 || totals.lost_chunks > 0});
  if (moving || cost.ring_bytes > 0) {
    view.gauges.push_back({"rings", bytes_text(static_cast<double>(cost.ring_bytes)),
                           "Memory of the target's event rings.", false});
  }
  view.gauges.push_back({"console", bytes_text(static_cast<double>(options.console_memory_bytes)),
                         "Memory of this console's model of the session.", false});
  return view;
}

}  // namespace taskscope::console::panels
