#include "taskscope/console/analysis/poll_troubles.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "taskscope/console/analysis/finder.h"

namespace taskscope::console::analysis {
namespace {

using protocol::TaskKind;
using protocol::TaskState;
using session::kNone;
using session::Model;
using session::RunningPoll;
using session::Task;

/// Tasks looked at for those that stand in a queue, and polls looked at to say behind whom one did.
constexpr std::size_t kScanned = 200'000;
constexpr std::uint64_t kQueueRows = 10'000;

struct Suspect {
  const Task* task = nullptr;
  std::uint64_t measure = 0;  ///< ticks, bytes, wakes a second: the larger the worse
  std::uint64_t since = 0;    ///< ticks
  std::uint32_t site = 0;
  std::uint32_t lane = kNone;
  bool over = false;
  std::uint64_t to = 0;  ///< over: when
  std::uint64_t resource = 0;
};

/// Suspects of one finding; each task once, by its worst.
class Group {
 public:
  void add(const Suspect& suspect) {
    ++added_;
    const auto [place, fresh] = place_.emplace(suspect.task->id, all_.size());
    if (fresh)
      all_.push_back(suspect);
    else if (all_[place->second].measure < suspect.measure)
      all_[place->second] = suspect;
  }
  [[nodiscard]] std::size_t added() const noexcept { return added_; }
  /// Worst first.
  [[nodiscard]] const std::vector<Suspect>& sorted() {
    std::sort(all_.begin(), all_.end(), [](const Suspect& a, const Suspect& b) {
      return a.measure != b.measure ? a.measure > b.measure : a.task->id < b.task->id;
    });
    return all_;
  }

 private:
  std::vector<Suspect> all_;
  std::size_t added_ = 0;
  std::unordered_map<std::uint64_t, std::size_t> place_;
};

std::string lane_words(const Model& model, std::uint32_t lane) {
  if (lane >= model.lanes().size()) return "its worker";
  const session::Lane& row = *model.lanes()[lane];
  if (!row.name.empty()) return row.name;
  return row.worker != 0 ? "worker " + std::to_string(row.worker) : "its thread";
}

class Finder : FinderBase {
 public:
  Finder(const Model& model, const Thresholds& thresholds)
      : FinderBase(model, thresholds), running_(model.running_polls()) {
    // What runs on the blocking pool, or is a thread's own block_on, may take its time.
    std::erase_if(running_, [&](const RunningPoll& poll) {
      const Task* task = model_.tasks().find(poll.task);
      return task == nullptr || !task->alive() || !is_of_worker(*task, poll.lane);
    });
  }

  Findings find() {
    // Before, durations are guesses.
    if (model_.clock().calibrated()) {
      long_polls();
      starvation();
      self_wakes();
    }
    large_frames();
    return std::move(found_);
  }

 private:
  /// Of [from, to): without what the lane's thread had no processor for.
  [[nodiscard]] std::uint64_t with_processor(std::uint32_t lane, std::uint64_t from,
                                             std::uint64_t to) const {
    return to - from - std::min(to - from, model_.unscheduled(lane, from, to));
  }
  [[nodiscard]] bool is_of_worker(const Task& task, std::uint32_t lane) const {
    if (task.kind == TaskKind::Blocking) return false;
    return task.kind != TaskKind::BlockOn ||
           (lane < model_.lanes().size() && model_.lanes()[lane]->worker != 0);
  }
  [[nodiscard]] std::string from_words(const Task& task) const {
    const auto place = place_words(model_, task.site);
    return place.empty() ? std::string{} : " spawned at " + place;
  }

  Finding& report(FindingKind kind, Certainty certainty, const std::vector<Suspect>& suspects,
                  std::string text) {
    Finding& finding = found_.emplace_back();
    finding.kind = kind;
    finding.certainty = certainty;
    finding.site = suspects.front().site;
    finding.task_count = suspects.size();
    finding.since_ns = model_.clock().ns(suspects.front().since);
    finding.text = std::move(text);
    for (const Suspect& suspect : suspects) {
      if (finding.tasks.size() == limits_.tasks_per_finding) break;
      finding.tasks.push_back(suspect.task->id);
    }
    return finding;
  }

  /// The worst group first.
  template <class Groups, class Report>
  static void each(Groups& groups, Report tell) {
    std::vector<typename Groups::value_type*> order;
    for (auto& group : groups) order.push_back(&group);
    std::sort(order.begin(), order.end(), [](auto* a, auto* b) {
      const auto left = a->second.sorted().front().measure;
      const auto right = b->second.sorted().front().measure;
      return left != right ? left > right : a->first < b->first;
    });
    for (auto* group : order) tell(group->first, group->second.sorted());
  }

  // --- blocking-poll, never-yielded

  [[nodiscard]] const session::NativeStack* stack_of(const Suspect& suspect) const {
    const auto* stack = model_.native_stack(suspect.task->id);
    if (stack == nullptr || stack->ticks < suspect.since) return nullptr;
    return suspect.over && stack->since_ticks > suspect.to ? nullptr : stack;
  }

  /// ", in read, called from load_config"; empty where nothing is known.
  [[nodiscard]] std::string stack_words(const Suspect& suspect) const {
    const auto* stack = stack_of(suspect);
    if (stack == nullptr) return {};
    const auto words = native_words(*stack);
    return words.empty() ? words : ", " + words;
  }

  void long_polls() {
    std::map<std::uint32_t, Group> never, blocking;
    const auto limit = ticks(limits_.blocking_poll_ns);
    const auto add = [&](std::map<std::uint32_t, Group>& groups, const Suspect& suspect) {
      groups[suspect.task->site].add(suspect);
    };
    for (const RunningPoll& poll : running_) {
      const Task* task = model_.tasks().find(poll.task);
      Suspect suspect{task, since_then(poll.from), poll.from, task->site, poll.lane};
      const auto* stack = stack_of(suspect);
      const bool computes = stack == nullptr || !stack->in_kernel;
      const auto endless = task->polls <= 1
                               ? std::min(limits_.first_poll_ns, limits_.never_yielded_ns)
                               : limits_.never_yielded_ns;
      if (computes && with_processor(poll.lane, poll.from, model_.now()) > ticks(endless))
        add(never, suspect);
      else if (suspect.measure > limit)
        add(blocking, suspect);
    }
    const auto& ended = model_.evidence().polls();
    for (auto poll = ended.rbegin(); poll != ended.rend() && poll->to >= recent_; ++poll) {
      if (poll->to - poll->from <= limit) continue;
      const Task* task = model_.tasks().find(poll->task);
      if (task == nullptr || !is_of_worker(*task, poll->lane)) continue;
      add(blocking,
          {task, poll->to - poll->from, poll->from, task->site, poll->lane, true, poll->to});
    }
    for (auto group = blocking.begin(); group != blocking.end();) {
      const Suspect& worst = group->second.sorted().front();
      const bool chance = worst.over && group->second.added() == 1 &&
                          worst.measure < ticks(kByChance * limits_.blocking_poll_ns);
      group = chance ? blocking.erase(group) : std::next(group);
    }
    each(never, [&](std::uint32_t, const std::vector<Suspect>& suspects) {
      const Suspect& worst = suspects.front();
      auto text = "task " + task_words(model_, worst.task->id) + " has been polled by " +
                  lane_words(model_, worst.lane) + " for " + duration(worst.measure) +
                  (worst.task->polls <= 1 ? " and has never yielded since it was spawned"
                                          : " without yielding") +
                  stack_words(worst);
      if (suspects.size() > 1)
        text += "; " + tasks_words(suspects.size()) + from_words(*worst.task) + " have";
      report(FindingKind::NeverYielded, Certainty::Certain, suspects, std::move(text));
    });
    each(blocking, [&](std::uint32_t, const std::vector<Suspect>& suspects) {
      const Suspect& worst = suspects.front();
      const auto who = task_words(model_, worst.task->id);
      auto text = worst.over
                      ? "a poll of task " + who + " blocked " + lane_words(model_, worst.lane) +
                            " for " + duration(worst.measure)
                      : "task " + who + " has blocked " + lane_words(model_, worst.lane) + " for " +
                            duration(worst.measure);
      text += stack_words(worst);
      if (worst.over) text += "; it ended " + duration(since_then(worst.to)) + " ago";
      if (suspects.size() > 1)
        text += "; " + tasks_words(suspects.size()) + from_words(*worst.task) +
                " polled longer than " + duration_words(limits_.blocking_poll_ns);
      const bool certain = with_processor(worst.lane, worst.since, worst.since + worst.measure) >=
                           ticks(limits_.certain_delay_ns);
      report(FindingKind::BlockingPoll, certain ? Certainty::Certain : Certainty::Suspect, suspects,
             std::move(text));
    });
  }

  // --- starvation

  [[nodiscard]] std::uint32_t runtime_of(std::uint32_t lane) const {
    const auto& samples = model_.lanes()[lane]->samples;
    return samples.empty() ? 0 : samples.back().sample.runtime;
  }

  /// Behind whose poll the task stands: its last worker's; before it had one, that of any worker
  /// of its runtime. Null: behind none that is long.
  [[nodiscard]] const RunningPoll* ahead_of(const Task& task,
                                            const std::vector<RunningPoll>& hogs) const {
    const RunningPoll* worst = nullptr;
    for (const RunningPoll& hog : hogs) {
      if (hog.task == task.id) continue;
      if (hog.lane == task.lane) return &hog;
      if (task.lane != kNone) continue;
      if (task.runtime != 0 && runtime_of(hog.lane) != task.runtime) continue;
      if (worst == nullptr || hog.from < worst->from) worst = &hog;
    }
    return worst;
  }

  /// Who was polled for at least half of [from, to) on a lane; 0: nobody.
  [[nodiscard]] std::uint64_t hog_on(std::uint32_t index, std::uint64_t from,
                                     std::uint64_t to) const {
    const auto& polls = model_.lanes()[index]->polls;
    std::unordered_map<std::uint64_t, std::uint64_t> sums;
    auto number = polls.row_after(from);
    const auto end = std::min(polls.end(), number + kQueueRows);
    for (; number < end; ++number) {
      const auto row = polls.row(number);
      if (row.from >= to) break;
      auto& sum = sums[row.tag];
      sum += std::min(row.to, to) - std::max(row.from, from);
      if (sum >= (to - from) / 2) return row.tag;
    }
    return 0;
  }

  /// Whether a poll of the task lasts or lasted long enough to be no lack of processor.
  [[nodiscard]] bool is_certain_hog(std::uint64_t task) const {
    const auto enough = ticks(limits_.certain_delay_ns);
    const auto& ended = model_.evidence().polls();
    return std::any_of(running_.begin(), running_.end(),
                       [&](const RunningPoll& poll) {
                         return poll.task == task &&
                                with_processor(poll.lane, poll.from, model_.now()) >= enough;
                       }) ||
           std::any_of(ended.begin(), ended.end(), [&](const session::LongPoll& poll) {
             return poll.task == task && poll.to >= recent_ &&
                    with_processor(poll.lane, poll.from, poll.to) >= enough;
           });
  }

  void starvation() {
    const auto limit = ticks(limits_.starvation_ns);
    // By hog and, where there is none, call site.
    std::map<std::pair<std::uint64_t, std::uint32_t>, Group> groups;
    const auto add = [&](std::uint64_t hog, const Suspect& suspect) {
      groups[{hog, hog != 0 ? 0 : suspect.task->site}].add(suspect);
    };
    const auto& ended = model_.evidence().queues();
    bool any = false;
    for (auto one = ended.rbegin(); one != ended.rend() && one->polled >= recent_; ++one) {
      if (one->polled - one->woken <= limit) continue;
      const Task* task = model_.tasks().find(one->task);
      if (task == nullptr || task->kind == TaskKind::Blocking) continue;
      any = true;
      add(hog_on(one->lane, one->woken, one->polled),
          {task, one->polled - one->woken, one->woken, one->site != 0 ? one->site : task->site,
           one->lane, true, one->polled});
    }
    std::vector<RunningPoll> hogs;
    for (const RunningPoll& poll : running_)
      if (2 * since_then(poll.from) > limit) hogs.push_back(poll);
    // All who stand in a queue: looked for only when somebody may stand there for long.
    if (!hogs.empty() || any) {
      std::size_t scanned = 0;
      for (const auto& group : model_.tasks().call_groups()) {
        if (group.by_state[static_cast<std::size_t>(TaskState::Scheduled)] == 0 ||
            group.kind == TaskKind::Blocking)
          continue;
        for (auto slot = group.first_member; slot != kNone && ++scanned < kScanned;
             slot = model_.tasks().next_member(slot)) {
          const Task* task = model_.tasks().at(slot);
          if (task == nullptr || task->state != TaskState::Scheduled) continue;
          const auto waited = since_then(task->state_since);
          if (waited <= limit) continue;
          const RunningPoll* hog = ahead_of(*task, hogs);
          const auto polled =
              hog == nullptr ? 0 : since_then(std::max(hog->from, task->state_since));
          const auto leaf = std::find_if(
              task->waits.begin(), task->waits.end(),
              [](const session::Wait& wait) { return wait.op != protocol::WaitOp::None; });
          add(2 * polled >= waited && hog != nullptr ? hog->task : 0,
              {task, waited, task->state_since, leaf != task->waits.end() ? leaf->site : task->site,
               hog != nullptr ? hog->lane : task->lane});
        }
      }
    }
    each(groups, [&](const auto& key, const std::vector<Suspect>& suspects) {
      const Suspect& worst = suspects.front();
      const auto hog = key.first;
      auto text = "task " + task_words(model_, worst.task->id) +
                  (worst.over ? " was queued for " : " has been queued for ") +
                  duration(worst.measure);
      if (hog != 0) {
        text += " behind " + task_words(model_, hog) +
                (worst.over ? ", which " + lane_words(model_, worst.lane) + " polled meanwhile"
                            : ", which " + lane_words(model_, worst.lane) + " polls");
      } else {
        text += ", behind nobody in particular: there is too much to do, or too little processor";
      }
      if (suspects.size() > 1) text += "; " + tasks_words(suspects.size()) + " in all";
      const bool certain = worst.measure >= ticks(limits_.certain_wait_ns) && is_certain_hog(hog);
      Finding& finding =
          report(FindingKind::Starvation, certain ? Certainty::Certain : Certainty::Suspect,
                 suspects, std::move(text));
      if (hog != 0) finding.others.push_back(hog);
    });
  }

  // --- self-wakes

  void self_wakes() {
    std::map<std::uint32_t, Group> groups;
    const auto window = ticks(session::Evidence::kWindowNs);
    for (const auto& [id, waker] : model_.evidence().self_wakers()) {
      if (since_then(waker.current.to) > window || waker.last.to <= waker.last.from) continue;
      const Task* task = model_.tasks().find(id);
      if (task == nullptr || !task->alive()) continue;
      const auto& last = waker.last;
      const auto length = static_cast<double>(model_.clock().duration_ns(last.to - last.from));
      const auto rate = static_cast<std::uint64_t>(static_cast<double>(last.wakes) * 1e9 / length);
      if (rate <= limits_.self_wakes_per_s || 2 * last.wakes < last.polls) continue;
      groups[task->site].add({task, rate, waker.since, waker.site != 0 ? waker.site : task->site,
                              task->lane, false, 0, waker.resource});
    }
    each(groups, [&](std::uint32_t, const std::vector<Suspect>& suspects) {
      const Suspect& worst = suspects.front();
      auto text = "task " + task_words(model_, worst.task->id) + " wakes itself " +
                  std::to_string(worst.measure) + " times a second";
      if (suspects.size() > 1)
        text += "; " + tasks_words(suspects.size()) + from_words(*worst.task) + " do";
      Finding& finding =
          report(FindingKind::SelfWakes, Certainty::Certain, suspects, std::move(text));
      for (const Suspect& suspect : suspects)
        if (suspect.resource != 0 && finding.resources.size() < limits_.tasks_per_finding)
          finding.resources.push_back(suspect.resource);
    });
  }

  // --- large-frame

  void large_frames() {
    std::map<std::uint32_t, Group> groups;
    for (const auto& calls : model_.tasks().call_groups()) {
      if (calls.max_frame <= limits_.large_frame_bytes || calls.live() == 0) continue;
      std::size_t scanned = 0;
      for (auto slot = calls.first_member; slot != kNone && ++scanned < kScanned;
           slot = model_.tasks().next_member(slot)) {
        const Task* task = model_.tasks().at(slot);
        if (task != nullptr && task->alive() && task->frame_bytes > limits_.large_frame_bytes)
          groups[calls.site].add({task, task->frame_bytes, task->spawned, task->site});
      }
    }
    each(groups, [&](std::uint32_t, const std::vector<Suspect>& suspects) {
      const auto place = from_words(*suspects.front().task);
      report(FindingKind::LargeFrame, Certainty::Certain, suspects,
             tasks_words(suspects.size()) + place +
                 (suspects.size() == 1 ? " takes " : " take up to ") +
                 std::to_string(suspects.front().measure) +
                 (suspects.size() == 1 ? " bytes in one allocation"
                                       : " bytes each in one allocation"));
    });
  }

  std::vector<RunningPoll> running_;
};

}  // namespace

Findings find_poll_troubles(const Model& model, const Thresholds& thresholds) {
  return Finder(model, thresholds).find();
}

}  // namespace taskscope::console::analysis
