#include "taskscope/console/analysis/poll_troubles.h"

#include <algorithm>
#include <map>

#include "taskscope/console/analysis/words.h"

namespace taskscope::console::analysis {
namespace {

using session::Model;
using session::Task;

struct Suspect {
  const Task* task = nullptr;
  std::uint64_t measure = 0;  // ticks, bytes
  std::uint64_t since = 0;    // ticks
};

/// Suspects of one call site, worst first.
using Sites = std::map<std::uint32_t, std::vector<Suspect>>;

std::uint64_t longest_poll(const Model& model, const Task& task, std::uint64_t& since) {
  since = task.max_poll_from;
  if (task.state == protocol::TaskState::Running && model.now() > task.last_poll_from &&
      model.now() - task.last_poll_from > task.max_poll) {
    since = task.last_poll_from;
    return model.now() - task.last_poll_from;
  }
  return task.max_poll;
}

std::string tasks_words(std::size_t count) {
  return count == 1 ? "1 task" : std::to_string(count) + " tasks";
}

std::string from_words(const Model& model, std::uint32_t site) {
  const auto place = place_words(model, site);
  return place.empty() ? std::string{} : " spawned at " + place;
}

template <class Sentence>
void report(std::vector<Finding>& out, const Model& model, const Thresholds& thresholds,
            FindingKind kind, Certainty certainty, Sites& sites, Sentence sentence) {
  std::vector<std::pair<std::uint64_t, Finding>> found;
  for (auto& [site, suspects] : sites) {
    std::sort(suspects.begin(), suspects.end(), [](const Suspect& a, const Suspect& b) {
      return a.measure != b.measure ? a.measure > b.measure : a.task->id < b.task->id;
    });
    Finding finding;
    finding.kind = kind;
    finding.certainty = certainty;
    finding.site = site;
    finding.task_count = suspects.size();
    finding.text = sentence(suspects, site);
    finding.since_ns = model.clock().ns(suspects.front().since);
    for (const Suspect& suspect : suspects) {
      if (finding.tasks.size() == thresholds.tasks_per_finding) break;
      finding.tasks.push_back(suspect.task->id);
    }
    found.emplace_back(suspects.front().measure, std::move(finding));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second.site < b.second.site;
  });
  for (auto& [measure, finding] : found) out.push_back(std::move(finding));
}

}  // namespace

Findings find_poll_troubles(const Model& model, const Thresholds& thresholds) {
  Sites blocking, large;
  const auto limit = model.clock().duration_ticks(thresholds.blocking_poll_ns);
  for (std::uint32_t slot = 0; slot < model.tasks().slots(); ++slot) {
    const Task* task = model.tasks().at(slot);
    if (task == nullptr) continue;
    std::uint64_t since = 0;
    const auto longest = longest_poll(model, *task, since);
    // What runs on the blocking pool, or is a thread's block_on, may block.
    if (longest > limit && task->kind != protocol::TaskKind::Blocking && model.clock().calibrated())
      blocking[task->site].push_back({task, longest, since});
    if (task->frame_bytes > thresholds.large_frame_bytes)
      large[task->site].push_back({task, task->frame_bytes, task->spawned});
  }
  Findings found;
  report(found, model, thresholds, FindingKind::BlockingPoll, Certainty::Suspect, blocking,
         [&](const std::vector<Suspect>& suspects, std::uint32_t site) {
           return "a poll of task " + task_words(model, suspects.front().task->id) + " took " +
                  duration_words(model.clock().duration_ns(suspects.front().measure)) + "; " +
                  tasks_words(suspects.size()) + from_words(model, site) + " polled longer than " +
                  duration_words(thresholds.blocking_poll_ns);
         });
  report(found, model, thresholds, FindingKind::LargeFrame, Certainty::Certain, large,
         [&](const std::vector<Suspect>& suspects, std::uint32_t site) {
           return tasks_words(suspects.size()) + from_words(model, site) + " take up to " +
                  std::to_string(suspects.front().measure) + " bytes each in one allocation";
         });
  return found;
}

}  // namespace taskscope::console::analysis
