#include "taskscope/console/analysis/resource_troubles.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "taskscope/console/analysis/finder.h"

namespace taskscope::console::analysis {
namespace {

using protocol::WaitOp;
using session::AwaitGroup;
using session::kNone;
using session::Model;
using session::Task;
using session::TimerTick;
using session::Wait;

constexpr std::size_t kScanned = 50'000;  // waiting tasks of one await

const Wait* leaf_of(const Task& task, WaitOp op) {
  for (const Wait& wait : task.waits)
    if (wait.op == op) return &wait;
  return nullptr;
}

std::optional<std::uint64_t> attribute(const session::Resource& resource, std::string_view name) {
  for (const auto& one : resource.attributes)
    if (one.name == name) return one.value;
  return std::nullopt;
}

class Finder : FinderBase {
 public:
  using FinderBase::FinderBase;

  Findings find() {
    if (model_.clock().calibrated()) {
      permit_leaks();
      slow_consumers();
      timer_bursts();
    }
    return std::move(found_);
  }

 private:
  /// Calls see(task, wait, site) for the tasks that wait for `op`, those of one await from the
  /// longest wait on, as long as it says so.
  template <class See>
  void each_waiting(WaitOp op, See see) const {
    for (const AwaitGroup& group : model_.tasks().await_groups()) {
      if (group.waiting == 0) continue;
      const auto& kind = model_.wait_kinds()[group.wait];
      if (kind.op != op) continue;
      std::size_t scanned = 0;
      for (auto slot = group.longest_waiting; slot != kNone && ++scanned < kScanned;
           slot = model_.tasks().next_waiting_of_await(slot)) {
        const Task* task = model_.tasks().at(slot);
        const Wait* wait = task != nullptr ? leaf_of(*task, op) : nullptr;
        if (wait != nullptr && !see(*task, *wait, kind.site)) break;
      }
    }
  }

  // --- permit-leak

  [[nodiscard]] bool is_leak(const session::Resource& semaphore, std::uint64_t longest) const {
    for (const auto& holder : semaphore.holders)
      if (holder.permits != 0) return false;
    const auto forgotten = attribute(semaphore, "forgotten"), added = attribute(semaphore, "added");
    if (forgotten && added) return *forgotten > *added;
    return longest > 10 * ticks(limits_.permit_wait_ns);
  }

  void permit_leaks() {
    struct Waiting {
      std::uint64_t task = 0, since = 0;
      std::uint32_t site = 0;
    };
    std::map<std::uint64_t, std::vector<Waiting>> by_semaphore;
    each_waiting(WaitOp::Acquire, [&](const Task& task, const Wait& wait, std::uint32_t site) {
      if (wait.other != 0) by_semaphore[wait.other].push_back({task.id, task.state_since, site});
      return true;
    });
    for (auto& [id, waiting] : by_semaphore) {
      std::sort(waiting.begin(), waiting.end(), [](const Waiting& a, const Waiting& b) {
        return a.since != b.since ? a.since < b.since : a.task < b.task;
      });
      const auto longest = since_then(waiting.front().since);
      const auto* semaphore = model_.resource(id);
      if (longest <= ticks(limits_.permit_wait_ns) || semaphore == nullptr ||
          semaphore->kind != protocol::ResourceKind::Semaphore || !is_leak(*semaphore, longest))
        continue;
      Finding& finding = found_.emplace_back();
      finding.kind = FindingKind::PermitLeak;
      finding.resources = {id};
      finding.site = waiting.front().site;
      finding.task_count = waiting.size();
      finding.since_ns = model_.clock().ns(waiting.front().since);
      for (const Waiting& one : waiting)
        if (finding.tasks.size() < limits_.tasks_per_finding) finding.tasks.push_back(one.task);
      finding.text = "nobody holds a permit of " +
                     resource_words(model_, id, protocol::ResourceKind::Semaphore) + ", yet " +
                     tasks_words(waiting.size()) + (waiting.size() == 1 ? " waits" : " wait") +
                     " for one, the longest for " + duration(longest);
      if (const auto lost = attribute(*semaphore, "forgotten"))
        finding.text += "; " + std::to_string(*lost) + (*lost == 1 ? " was" : " were") +
                        " taken and never given back";
    }
  }

  // --- slow-consumer

  struct Channel {
    std::unordered_map<std::uint64_t, std::uint64_t> waited;  // by sender, ticks
    std::vector<std::uint64_t> senders;                       // in the order they were met
    std::size_t waits = 0, ended = 0;
    std::uint64_t since = UINT64_MAX, longest = 0, receiver = 0;
    std::uint32_t site = 0;
    bool recent = false;

    void add(std::uint64_t sender, std::uint64_t from, std::uint64_t to) {
      const auto [place, fresh] = waited.try_emplace(sender, 0);
      if (fresh) senders.push_back(sender);
      place->second += to - from;
      longest = std::max(longest, to - from);
      since = std::min(since, from);
    }
    [[nodiscard]] std::uint64_t worst() const {
      std::uint64_t most = 0;
      for (const auto& [sender, ticks] : waited) most = std::max(most, ticks);
      return most;
    }
  };

  [[nodiscard]] const Task* receiver_of(std::uint64_t id, const Channel& channel) const {
    if (channel.receiver != 0) return model_.tasks().find(channel.receiver);
    const auto* resource = model_.resource(id);
    if (resource == nullptr) return nullptr;
    for (const auto& holder : resource->holders)
      if (holder.role == "receives") return model_.tasks().find(holder.task);
    return nullptr;
  }

  /// For how long the task was queued or polled within the last while.
  [[nodiscard]] std::uint64_t ran_lately(const Task& task) const {
    const bool waits = task.state == protocol::TaskState::Idle;
    std::uint64_t sum = waits ? 0 : since_then(std::max(task.state_since, recent_));
    for (const auto& lane : model_.lanes()) {
      const auto& polls = lane->polls;
      polls.scan_tags(
          polls.row_after(recent_), polls.end(), [&](std::uint64_t tag) { return tag == task.id; },
          [&](std::uint64_t number) {
            const auto row = polls.row(number);
            sum += row.queued + (row.to - row.from);
          });
    }
    return sum;
  }

  [[nodiscard]] std::string busy_words(const Task& receiver) const {
    if (receiver.state == protocol::TaskState::Running) return ", which is being polled";
    if (receiver.state == protocol::TaskState::Scheduled) return ", which is queued";
    for (const Wait& wait : receiver.waits)
      if (wait.op != WaitOp::None) return ", which waits " + wait_words(model_, wait);
    return {};
  }

  /// The longest that a worker had no processor within the last `ticks` and what is recent.
  [[nodiscard]] std::uint64_t without_processor(std::uint64_t ticks) const {
    const auto from = recent_ - std::min(recent_, ticks);
    std::uint64_t longest = 0;
    for (const auto& lane : model_.lanes())
      longest = std::max(longest, model_.unscheduled(lane->index, from, model_.now()));
    return longest;
  }

  void slow_consumers() {
    std::map<std::uint64_t, Channel> channels;
    const auto limit = ticks(limits_.slow_send_ns);
    const auto& sends = model_.evidence().sends();
    for (auto send = sends.rbegin(); send != sends.rend(); ++send) {
      if (send->to - send->from <= limit) continue;
      Channel& channel = channels[send->channel];
      if (channel.receiver == 0) channel.receiver = send->by;
      if (channel.site == 0) channel.site = send->site;
      ++channel.ended;
      if (send->to < recent_) continue;
      ++channel.waits;
      channel.recent = true;
      channel.add(send->task, send->from, send->to);
    }
    // Those that wait now; a short wait is evidence of nothing, but its task belongs to the
    // picture.
    if (!channels.empty())
      each_waiting(WaitOp::Send, [&](const Task& task, const Wait& wait, std::uint32_t site) {
        const auto found = channels.find(wait.other);
        if (found == channels.end()) return true;
        const bool is_long = since_then(task.state_since) > limit;
        found->second.waits += is_long ? 1 : 0;
        found->second.recent = found->second.recent || is_long;
        found->second.add(task.id, std::min(task.state_since, model_.now()), model_.now());
        found->second.site = site;
        return true;
      });
    std::vector<std::pair<std::uint64_t, Finding>> found;
    for (auto& [id, channel] : channels) {
      if (!channel.recent || channel.waits < 2) continue;
      const Task* receiver = receiver_of(id, channel);
      if (receiver != nullptr && !receiver->alive()) continue;
      Finding finding;
      finding.kind = FindingKind::SlowConsumer;
      const auto worst = channel.worst();
      const auto lacked = without_processor(worst);
      const bool certain = receiver != nullptr &&
                           worst - std::min(worst, lacked) >= ticks(limits_.certain_wait_ns) &&
                           2 * ran_lately(*receiver) < worst;
      finding.certainty = certain ? Certainty::Certain : Certainty::Suspect;
      finding.resources = {id};
      finding.site = channel.site;
      finding.since_ns = model_.clock().ns(channel.since);
      std::sort(channel.senders.begin(), channel.senders.end(), [&](auto a, auto b) {
        const auto left = channel.waited[a], right = channel.waited[b];
        return left != right ? left > right : a < b;
      });
      if (receiver != nullptr) finding.tasks = {receiver->id};
      finding.task_count = finding.tasks.size();
      const auto named = std::min(channel.senders.size(), limits_.tasks_per_finding);
      finding.others.assign(channel.senders.begin(),
                            channel.senders.begin() + static_cast<std::ptrdiff_t>(named));
      finding.text = tasks_words(channel.senders.size()) +
                     (channel.senders.size() == 1 ? " waits" : " wait") + " to send to " +
                     resource_words(model_, id, protocol::ResourceKind::Mpsc) + ", for up to " +
                     duration(channel.longest);
      if (receiver != nullptr)
        finding.text += ": task " + task_words(model_, receiver->id) + " receives too slowly" +
                        busy_words(*receiver);
      found.emplace_back(worst, std::move(finding));
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first
                                : a.second.resources.front() < b.second.resources.front();
    });
    for (auto& [measure, finding] : found) found_.push_back(std::move(finding));
  }

  // --- timer-burst

  struct Burst {
    std::uint64_t count = 0;  // of the largest
    std::uint64_t since = UINT64_MAX, due_ms = 0, last = 0;
    std::uint64_t ticks = 0;                                     // with a burst
    std::vector<std::pair<std::uint64_t, std::uint64_t>> fired;  // from, to
    std::unordered_set<std::uint64_t> ahead;                     // due_ms
  };

  static std::uint64_t due_ms(const Wait& wait) { return (wait.value + 999'999) / 1'000'000; }

  void timer_bursts() {
    std::map<std::uint32_t, Burst> bursts;  // by await site
    const auto fired = [&](const TimerTick& tick) {
      if (tick.count < limits_.timers_in_a_tick) return;
      Burst& burst = bursts[tick.site];
      burst.since = std::min(burst.since, tick.first);
      ++burst.ticks;
      if (tick.last < recent_) return;
      burst.fired.emplace_back(tick.first, tick.last);
      if (tick.last > burst.last) {
        burst.last = tick.last;
        burst.due_ms = tick.due_ms;
      }
      burst.count = std::max(burst.count, tick.count);
    };
    for (const TimerTick& tick : model_.evidence().bursts()) fired(tick);
    for (const TimerTick& tick : model_.evidence().timer_ticks()) fired(tick);
    for (const AwaitGroup& group : model_.tasks().await_groups())
      if (group.waiting >= limits_.timers_in_a_tick) ahead(group, bursts);
    for (auto& [site, burst] : bursts)
      if (burst.count != 0) report(site, burst);
  }

  /// Timers that wait to be due together, soon.
  void ahead(const AwaitGroup& group, std::map<std::uint32_t, Burst>& bursts) const {
    const auto& kind = model_.wait_kinds()[group.wait];
    if (kind.op != WaitOp::Sleep && kind.op != WaitOp::Tick) return;
    std::unordered_map<std::uint64_t, std::uint64_t> by_due;
    std::size_t scanned = 0;
    std::uint64_t since = UINT64_MAX;
    for (auto slot = group.longest_waiting; slot != kNone && ++scanned < kScanned;
         slot = model_.tasks().next_waiting_of_await(slot)) {
      const Task* task = model_.tasks().at(slot);
      const Wait* wait = task != nullptr ? leaf_of(*task, kind.op) : nullptr;
      if (wait == nullptr) continue;
      ++by_due[due_ms(*wait)];
      since = std::min(since, task->state_since);
    }
    for (const auto& [due, count] : by_due) {
      if (count < limits_.timers_in_a_tick) continue;
      const auto in = model_.clock().ns_of_monotonic(due * 1'000'000) - model_.now_ns();
      if (in > kBurstAheadNs) continue;
      Burst& burst = bursts[kind.site];
      burst.count = std::max(burst.count, count);
      burst.since = std::min(burst.since, since);
      if (burst.last == 0) burst.due_ms = std::max(burst.due_ms, due);
      burst.ahead.insert(due);
    }
  }

  void report(std::uint32_t site, const Burst& burst) {
    Finding& finding = found_.emplace_back();
    finding.kind = FindingKind::TimerBurst;
    finding.certainty = Certainty::Certain;
    finding.site = site;
    finding.since_ns = model_.clock().ns(burst.since);
    const auto tasks = tasks_of(site, burst);
    finding.task_count = tasks.size();
    const auto named = std::min(tasks.size(), limits_.tasks_per_finding);
    finding.tasks.assign(tasks.begin(), tasks.begin() + static_cast<std::ptrdiff_t>(named));
    finding.text = std::to_string(burst.count) + " timers of one await ";
    if (burst.last == 0) {
      finding.text += "will be due in the same millisecond";
      return;
    }
    const auto late =
        model_.clock().ns(burst.last) - model_.clock().ns_of_monotonic(burst.due_ms * 1'000'000);
    finding.text += "were due in the same millisecond; the last fired " +
                    duration_words(std::max<std::int64_t>(late, 0)) + " late";
    if (burst.ticks > 1)
      finding.text += "; it happened " + std::to_string(burst.ticks) + " times lately";
  }

  /// Those who wait for the next burst or were woken by one: by id.
  [[nodiscard]] std::vector<std::uint64_t> tasks_of(std::uint32_t site, const Burst& burst) const {
    const auto belongs = [&](const Task& task) {
      for (const Wait& wait : task.waits)
        if (wait.site == site && wait.value != 0 && burst.ahead.contains(due_ms(wait))) return true;
      return task.last_wake.cause == protocol::WakeCause::Timer &&
             std::any_of(burst.fired.begin(), burst.fired.end(), [&](const auto& span) {
               return task.last_wake.ticks >= span.first && task.last_wake.ticks <= span.second;
             });
    };
    // Who does not wait at this moment was spawned where those were that do.
    std::unordered_set<std::uint32_t> calls;
    std::vector<std::uint64_t> tasks;
    for (const AwaitGroup& group : model_.tasks().await_groups()) {
      if (group.waiting == 0 || model_.wait_kinds()[group.wait].site != site) continue;
      std::size_t scanned = 0;
      for (auto slot = group.longest_waiting; slot != kNone && ++scanned < kScanned;
           slot = model_.tasks().next_waiting_of_await(slot))
        if (const Task* task = model_.tasks().at(slot); task != nullptr && belongs(*task))
          calls.insert(task->call_group);
    }
    for (const auto call : calls) {
      std::size_t scanned = 0;
      for (auto slot = model_.tasks().call_groups()[call].first_member;
           slot != kNone && ++scanned < kScanned; slot = model_.tasks().next_member(slot))
        if (const Task* task = model_.tasks().at(slot);
            task != nullptr && task->alive() && belongs(*task))
          tasks.push_back(task->id);
    }
    std::sort(tasks.begin(), tasks.end());
    return tasks;
  }
};

}  // namespace

Findings find_resource_troubles(const Model& model, const Thresholds& thresholds) {
  return Finder(model, thresholds).find();
}

}  // namespace taskscope::console::analysis
