#include "taskscope/tests/console/session/model_text.h"

#include <algorithm>
#include <sstream>
#include <vector>

namespace taskscope::tests {

using console::session::Layer;

std::string model_text(console::session::Model& model) {
  std::ostringstream text;
  const auto& totals = model.totals();
  text << totals.events << ' ' << totals.spawned << ' ' << totals.finished << ' '
       << totals.polls_started << ' ' << totals.polls_ended << ' ' << totals.wakes << ' '
       << totals.lost_events << ' ' << totals.late << ' ' << totals.bogus << '\n'
       << model.begin_ns() << ' ' << model.now_ns() << '\n';
  std::vector<std::uint64_t> ids;
  const auto& tasks = model.tasks();
  for (std::uint32_t slot = 0; slot < tasks.slots(); ++slot)
    if (tasks.at(slot) != nullptr) ids.push_back(tasks.at(slot)->id);
  std::sort(ids.begin(), ids.end());
  for (const auto id : ids) {
    const auto& task = *tasks.find(id);
    text << "task " << id << ' ' << task.parent << ' ' << task.site << ' ' << task.name() << ' '
         << static_cast<int>(task.state) << ' ' << task.spawned << ' ' << task.finished << ' '
         << task.polls << ' ' << task.wakes << ' ' << task.busy << ' ' << task.scheduled << ' '
         << task.last_wake.ticks << ' ' << task.last_wake.by << ' ' << task.max_poll;
    for (const auto& wait : task.waits) text << ' ' << wait.site << ':' << wait.other;
    text << '\n';
    if (id % 7 != 0) continue;
    std::vector<console::session::StateSlice> states;
    model.task_slices(id, model.begin_ns(), model.now_ns(), 1'000'000, states);
    for (const auto& slice : states)
      text << slice.from_ns << '-' << slice.to_ns << ':' << static_cast<int>(slice.state) << ','
           << slice.polls << ' ';
    text << '\n';
  }
  for (const auto& group : tasks.call_groups())
    text << "group " << group.site << ' ' << group.live() << ' ' << group.polls << ' ' << group.busy
         << ' ' << group.max_poll_task << '\n';
  for (const auto& lane : model.lanes()) {
    text << "lane " << lane->worker << ' ' << lane->name << ' ' << lane->gaps.size() << '\n';
    for (const std::int64_t parts : {1, 100, 5000}) {
      for (const auto layer : {Layer::Polls, Layer::Parks}) {
        std::vector<console::session::Slice> slices;
        model.slices(lane->index, layer, model.begin_ns(), model.now_ns(),
                     (model.now_ns() - model.begin_ns()) / parts, slices);
        for (const auto& slice : slices)
          text << slice.from_ns << '-' << slice.to_ns << ':' << slice.busy_ns << ',' << slice.polls
               << ',' << slice.task << ' ';
        text << '\n';
      }
    }
  }
  return text.str();
}

}  // namespace taskscope::tests
