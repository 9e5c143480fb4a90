// Three steps: gather what may be stuck into a graph of tasks and of what they wait for; spread
// what is live over it, once for each of the two fixed points; tell apart what remains.
//
// Tasks that wait for one resource share one node for it: ten thousand waiters of a semaphore with
// a thousand holders are eleven thousand edges.
#include "taskscope/console/analysis/stuck.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "taskscope/console/analysis/components.h"
#include "taskscope/console/analysis/wait_graph.h"
#include "taskscope/console/analysis/words.h"

namespace taskscope::console::analysis {
namespace {

using protocol::BranchMode;
using protocol::TaskState;
using protocol::WaitOp;
using session::kNone;
using session::Model;
using session::Task;
using session::Wait;

constexpr std::size_t kCertain = 0, kSuspect = 1;
constexpr std::uint32_t kLive = UINT32_MAX, kNobody = UINT32_MAX - 1;  // instead of a source

/// A task that may be stuck.
struct Node {
  const Task* task = nullptr;
  std::uint32_t first_leaf = 0, leaves = 0;
  std::uint32_t first_given = kNone;  // giver
  std::array<bool, 2> live{};
};

/// A wait for one thing.
struct Leaf {
  std::uint32_t source = kLive;  // in Search::sources_, or kLive, kNobody
  std::uint32_t node = 0;
  std::uint32_t next = kNone;  // leaf of the same source
  const Wait* wait = nullptr;
};

enum class GiverState : std::uint8_t { Live, Gone, Node };
struct SourceGiver {
  std::uint64_t task = 0;
  std::uint32_t node = kNone, source = 0;
  std::uint32_t next = kNone;  // giver that is the same node
  bool certain = false;
  GiverState state = GiverState::Live;
};

/// What leaves wait for: a resource in one role, or the end of a task.
struct Source {
  std::uint64_t resource = 0;  // 0: a task is joined
  bool needs_all = false, always_live = false;
  std::uint32_t first_giver = 0, givers = 0;
  std::uint32_t first_waiting = kNone;  // leaf
  std::array<bool, 2> live{};
  std::array<std::uint32_t, 2> missing{};  // needs_all: givers that are not live
};

/// What of a task's row alone says that it is not stuck.
bool is_outside(WaitOp op) {
  switch (op) {
    case WaitOp::Sleep:
    case WaitOp::Tick:
    case WaitOp::Readable:
    case WaitOp::Writable:
    case WaitOp::Accept:
    case WaitOp::Connect:
    case WaitOp::Blocking:
    case WaitOp::Notified:
    case WaitOp::Arrive:
    case WaitOp::Yield:
      return true;
    default:
      return false;
  }
}

class Search {
 public:
  Search(const Model& model, const Thresholds& thresholds)
      : model_(model), thresholds_(thresholds) {}

  std::vector<Jam> run() {
    gather();
    if (nodes_.empty()) return {};
    connect();
    for (const auto level : {kCertain, kSuspect}) spread(level);
    jam_of_.assign(nodes_.size(), kNone);
    for (const auto level : {kCertain, kSuspect}) tell_apart(level);
    return order();
  }

  /// Ratios as measured with a million tasks.
  [[nodiscard]] std::size_t work() const {
    return node_of_slot_.size() + 4 * nodes_.size() + 20 * sources_.size() + givers_.size();
  }

 private:
  // --- gather

  void gather() {
    const auto& tasks = model_.tasks();
    const auto groups = tasks.await_groups();
    const auto kinds = model_.wait_kinds();
    node_of_slot_.assign(tasks.slots(), kNone);
    for (std::uint32_t slot = 0; slot < tasks.slots(); ++slot) {
      const Task* task = tasks.at(slot);
      if (task == nullptr || task->state != TaskState::Idle || !task->alive() || task->granted ||
          task->placeholder || task->kind == protocol::TaskKind::Blocking || task->waits.empty())
        continue;
      // Most wait for one thing outside; their group knows it without a look at the wait.
      if (task->waits.size() == 1 && task->await_group < groups.size() &&
          is_outside(kinds[groups[task->await_group].wait].op))
        continue;
      add_node(slot, *task);
    }
  }

  void add_node(std::uint32_t slot, const Task& task) {
    Node node;
    node.task = &task;
    node.first_leaf = static_cast<std::uint32_t>(leaves_.size());
    bool all_live = true;
    for (const auto& wait : task.waits) {
      Leaf leaf{kLive, 0, kNone, &wait};
      if (!is_inner(wait)) leaf.source = source_for(task, wait);
      all_live = all_live && leaf.source == kLive;
      leaves_.push_back(leaf);
    }
    node.leaves = static_cast<std::uint32_t>(leaves_.size()) - node.first_leaf;
    if (all_live || !is_tree(task)) {
      leaves_.resize(node.first_leaf);
      return;
    }
    const auto number = static_cast<std::uint32_t>(nodes_.size());
    for (std::uint32_t i = node.first_leaf; i < leaves_.size(); ++i) {
      leaves_[i].node = number;
      if (leaves_[i].source >= kNobody) continue;
      auto& first = sources_[leaves_[i].source].first_waiting;
      leaves_[i].next = std::exchange(first, i);
    }
    node_of_slot_[slot] = number;
    nodes_.push_back(node);
  }

  /// One root, first, and every branch after the one it belongs to.
  static bool is_tree(const Task& task) {
    const auto& waits = task.waits;
    if (waits[0].branch != waits[0].parent) return false;
    for (std::size_t i = 1; i < waits.size(); ++i)
      if (parent_of(waits, i) == i) return false;
    return true;
  }
  /// The place of the branch that `waits[i]` belongs to; i itself when there is none before it.
  static std::size_t parent_of(const std::vector<Wait>& waits, std::size_t i) {
    for (std::size_t above = i; above-- > 0;)
      if (waits[above].branch == waits[i].parent) return is_inner(waits[above]) ? above : i;
    return i;
  }

  std::uint32_t source_for(const Task& task, const Wait& wait) {
    if (is_outside(wait.op)) return kLive;
    if (wait.op == WaitOp::Waker) {
      supply_of(model_, task, wait, supply_);
      return supply_.supplier == Supplier::Nobody ? kNobody : kLive;
    }
    const bool joins = wait.op == WaitOp::Join;
    if (!joins && is_stale(model_, task, wait)) return kLive;
    // Of a channel, its two ends are two sources; of a rwlock, both ways to lock it.
    const auto role = joins ? 0u : static_cast<std::uint32_t>(wait.op);
    const auto [place, fresh] =
        source_of_.try_emplace({wait.other, role}, static_cast<std::uint32_t>(sources_.size()));
    if (fresh) {
      Source source;
      source.resource = joins ? 0 : wait.other;
      supply_of(model_, task, wait, supply_);
      source.always_live = supply_.supplier != Supplier::Tasks;
      source.needs_all = supply_.needs_all;
      source.first_giver = static_cast<std::uint32_t>(givers_.size());
      if (!source.always_live)
        for (const auto& giver : supply_.givers)
          givers_.push_back({giver.task, kNone, 0, kNone, giver.certain,
                             giver.gone ? GiverState::Gone : GiverState::Live});
      source.givers = static_cast<std::uint32_t>(givers_.size()) - source.first_giver;
      sources_.push_back(std::move(source));
    }
    return sources_[place->second].always_live ? kLive : place->second;
  }

  // --- connect

  void connect() {
    for (std::uint32_t number = 0; number < sources_.size(); ++number) {
      const Source& source = sources_[number];
      for (auto at = source.first_giver; at < source.first_giver + source.givers; ++at) {
        auto& giver = givers_[at];
        giver.source = number;
        if (giver.state == GiverState::Gone) continue;
        const auto slot = model_.tasks().slot_of(giver.task);
        giver.node = slot == kNone ? kNone : node_of_slot_[slot];
        if (giver.node == kNone) continue;
        giver.state = GiverState::Node;
        giver.next = std::exchange(nodes_[giver.node].first_given, at);
      }
    }
  }

  std::span<SourceGiver> givers_of(const Source& source) {
    return std::span(givers_).subspan(source.first_giver, source.givers);
  }

  // --- spread

  bool is_live(const SourceGiver& giver, std::size_t level) const {
    if (level == kCertain && !giver.certain) return true;
    if (giver.state == GiverState::Node) return nodes_[giver.node].live[level];
    return giver.state == GiverState::Live;
  }

  bool is_live(const Leaf& leaf, std::size_t level) const {
    if (leaf.source == kLive) return true;
    return leaf.source != kNobody && sources_[leaf.source].live[level];
  }

  /// The formula of its waits, from the leaves up: arms come after what they belong to.
  bool can_go_on(const Node& node, std::size_t level) {
    const auto& waits = node.task->waits;
    if (waits.size() == 1) return is_live(leaves_[node.first_leaf], level);
    struct Arms {
      std::uint32_t live = 0, all = 0;
    };
    std::vector<Arms> arms(waits.size());
    for (std::size_t i = waits.size(); i-- > 0;) {
      bool live = true;
      if (!is_inner(waits[i]))
        live = is_live(leaves_[node.first_leaf + i], level);
      else if (arms[i].all != 0)
        live = waits[i].mode == BranchMode::Any ? arms[i].live != 0 : arms[i].live == arms[i].all;
      if (i == 0) return live;
      auto& above = arms[parent_of(waits, i)];
      ++above.all;
      if (live) ++above.live;
    }
    return true;
  }

  void spread(std::size_t level) {
    std::vector<std::uint32_t> live_nodes;
    const auto wake = [&](std::uint32_t number) {
      Node& node = nodes_[number];
      if (node.live[level] || !can_go_on(node, level)) return;
      node.live[level] = true;
      live_nodes.push_back(number);
    };
    const auto revive = [&](Source& source) {
      if (source.live[level]) return;
      source.live[level] = true;
      for (auto at = source.first_waiting; at != kNone; at = leaves_[at].next)
        wake(leaves_[at].node);
    };
    std::vector<Source*> ready;  // before any node is live
    for (auto& source : sources_) {
      if (source.always_live) continue;
      std::uint32_t live = 0;
      for (const auto& giver : givers_of(source)) live += is_live(giver, level) ? 1u : 0u;
      source.missing[level] = source.givers - live;
      if (source.needs_all ? live == source.givers : live != 0) ready.push_back(&source);
    }
    for (auto* source : ready) revive(*source);
    for (std::uint32_t number = 0; number < nodes_.size(); ++number) wake(number);
    while (!live_nodes.empty()) {
      const auto number = live_nodes.back();
      live_nodes.pop_back();
      for (auto at = nodes_[number].first_given; at != kNone; at = givers_[at].next) {
        Source& source = sources_[givers_[at].source];
        // A hint was counted as live from the start where hints are not followed.
        if (level == kCertain && !givers_[at].certain) continue;
        if (!source.needs_all || --source.missing[level] == 0) revive(source);
      }
    }
  }

  // --- tell apart

  bool is_new(std::uint32_t node, std::size_t level) const {
    return !nodes_[node].live[level] && jam_of_[node] == kNone;
  }

  std::span<const Leaf> leaves_of(const Node& node) const {
    return std::span(leaves_).subspan(node.first_leaf, node.leaves);
  }

  std::uint32_t add_jam(FindingKind kind, std::size_t level) {
    jams_.push_back({});
    jams_.back().kind = kind;
    jams_.back().certainty = level == kCertain ? Certainty::Certain : Certainty::Suspect;
    return static_cast<std::uint32_t>(jams_.size() - 1);
  }

  void put(std::uint32_t jam, std::uint32_t node, std::uint32_t site, std::uint64_t resource = 0) {
    auto& into = jams_[jam];
    if (into.tasks.empty()) into.site = site;
    if (jam_of_[node] == kNone) into.tasks.push_back(nodes_[node].task->id);
    jam_of_[node] = jam;
    if (resource != 0 && named_.insert({resource, jam}).second) into.resources.push_back(resource);
  }

  void tell_apart(std::size_t level) {
    stuck_.clear();
    for (std::uint32_t number = 0; number < nodes_.size(); ++number)
      if (is_new(number, level)) stuck_.push_back(number);
    if (stuck_.empty()) return;
    std::sort(stuck_.begin(), stuck_.end(), [&](std::uint32_t a, std::uint32_t b) {
      return nodes_[a].task->id < nodes_[b].task->id;
    });
    find_cycles(level);
    find_roots(level);
    find_behind(level);
  }

  /// Nodes of the new stuck and their sources in one graph: every cycle has at least one of each.
  void find_cycles(std::size_t level) {
    std::unordered_map<std::uint32_t, std::uint32_t> place;  // of a node
    std::unordered_map<std::uint32_t, std::uint32_t> source_place;
    const auto count = static_cast<std::uint32_t>(stuck_.size());
    for (std::uint32_t i = 0; i < count; ++i) place.emplace(stuck_[i], i);
    std::vector<std::vector<std::uint32_t>> next(count);
    std::vector<std::uint32_t> sources;
    for (std::uint32_t i = 0; i < count; ++i) {
      for (const auto& leaf : leaves_of(nodes_[stuck_[i]])) {
        if (leaf.source >= kNobody || sources_[leaf.source].live[level]) continue;
        const auto [at, fresh] =
            source_place.try_emplace(leaf.source, static_cast<std::uint32_t>(next.size()));
        next[i].push_back(at->second);
        if (!fresh) continue;
        sources.push_back(leaf.source);
        next.emplace_back();
        for (const auto& giver : givers_of(sources_[leaf.source])) {
          if (giver.state != GiverState::Node) continue;
          if (const auto to = place.find(giver.node); to != place.end())
            next.back().push_back(to->second);
        }
      }
    }
    const auto part = components(next);
    std::map<std::uint32_t, std::vector<std::uint32_t>> members;  // by component, tasks by id
    std::vector<std::uint32_t> sizes(next.size());
    for (std::size_t i = 0; i < part.size(); ++i) ++sizes[part[i]];
    for (std::uint32_t i = 0; i < count; ++i)
      if (sizes[part[i]] > 1) members[part[i]].push_back(i);
    for (auto& [component, tasks] : members) {
      const auto jam = add_jam(FindingKind::Deadlock, level);
      for (const auto i : around(next, part, tasks, count)) {
        const auto& leaves = leaves_of(nodes_[stuck_[i]]);
        for (const auto& leaf : leaves) {
          if (leaf.source >= kNobody) continue;
          const auto at = source_place.find(leaf.source);
          if (at == source_place.end() || part[at->second] != component) continue;
          put(jam, stuck_[i], leaf.wait->site, sources_[leaf.source].resource);
        }
      }
    }
  }

  /// The members in the order of a shortest cycle through the first; those beside it follow by id.
  static std::vector<std::uint32_t> around(const std::vector<std::vector<std::uint32_t>>& next,
                                           const std::vector<std::uint32_t>& part,
                                           const std::vector<std::uint32_t>& members,
                                           std::uint32_t tasks) {
    const auto first = members.front();
    std::unordered_map<std::uint32_t, std::uint32_t> from;
    std::vector<std::uint32_t> queue{first};
    std::uint32_t last = kNone;
    for (std::size_t at = 0; at < queue.size() && last == kNone; ++at) {
      for (const auto to : next[queue[at]]) {
        if (part[to] != part[first]) continue;
        if (to == first) {
          last = queue[at];
          break;
        }
        if (from.try_emplace(to, queue[at]).second) queue.push_back(to);
      }
    }
    std::vector<std::uint32_t> order;
    for (auto at = last; at != first && at != kNone; at = from[at])
      if (at < tasks) order.push_back(at);
    order.push_back(first);
    std::reverse(order.begin(), order.end());
    const std::unordered_set<std::uint32_t> on_cycle(order.begin(), order.end());
    for (const auto member : members)
      if (!on_cycle.contains(member)) order.push_back(member);
    return order;
  }

  bool waits_long(const Task& task) const {
    const auto age = model_.now() > task.state_since ? model_.now() - task.state_since : 0;
    return model_.clock().duration_ns(age) >= thresholds_.orphan_ns;
  }

  /// Lost wakers by the place of their wait, orphans by what they wait for.
  void find_roots(std::size_t level) {
    std::map<std::uint32_t, std::uint32_t> by_site;
    std::map<std::uint32_t, std::uint32_t> by_source;
    for (const auto number : stuck_) {
      if (jam_of_[number] != kNone) continue;
      const Node& node = nodes_[number];
      for (const auto& leaf : leaves_of(node)) {
        if (leaf.source != kNobody) continue;
        const auto [jam, fresh] = by_site.try_emplace(leaf.wait->site, 0);
        if (fresh) jam->second = add_jam(FindingKind::LostWaker, level);
        put(jam->second, number, leaf.wait->site);
        break;
      }
      if (jam_of_[number] != kNone || level == kCertain || !waits_long(*node.task)) continue;
      for (const auto& leaf : leaves_of(node)) {
        if (leaf.source >= kNobody || sources_[leaf.source].live[level]) continue;
        const auto givers = givers_of(sources_[leaf.source]);
        const auto is_gone = [](const SourceGiver& one) { return one.state == GiverState::Gone; };
        const bool orphaned = sources_[leaf.source].needs_all
                                  ? std::any_of(givers.begin(), givers.end(), is_gone)
                                  : std::all_of(givers.begin(), givers.end(), is_gone);
        if (!orphaned) continue;
        const auto [jam, fresh] = by_source.try_emplace(leaf.source, 0);
        if (fresh) {
          jam->second = add_jam(FindingKind::Orphan, level);
          for (const auto& giver : givers)
            if (is_gone(giver)) jams_.back().others.push_back(giver.task);
        }
        put(jam->second, number, leaf.wait->site, sources_[leaf.source].resource);
        break;
      }
    }
  }

  /// From every jam backwards: who waits for its tasks, then who waits for those, ...
  void find_behind(std::size_t level) {
    struct Step {
      std::uint32_t node, root;
    };
    std::vector<Step> queue;
    for (std::uint32_t number = 0; number < nodes_.size(); ++number)
      if (jam_of_[number] != kNone && jams_[jam_of_[number]].kind != FindingKind::StuckBehind)
        queue.push_back({number, jam_of_[number]});
    std::sort(queue.begin(), queue.end(), [](const Step& a, const Step& b) {
      return a.root != b.root ? a.root < b.root : a.node < b.node;
    });
    std::map<std::uint32_t, std::uint32_t> behind;  // by root
    std::unordered_map<std::uint32_t, const Leaf*> through;
    // Behind what was found certain, others may be stuck by a hint.
    for (std::uint32_t number = 0; number < nodes_.size(); ++number)
      if (jam_of_[number] != kNone && jams_[jam_of_[number]].kind == FindingKind::StuckBehind)
        queue.push_back({number, root_of_[number]});
    if (root_of_.empty()) root_of_.assign(nodes_.size(), kNone);
    std::vector<std::vector<std::uint32_t>> found(jams_.size());
    for (std::size_t at = 0; at < queue.size(); ++at) {
      const auto [node, root] = queue[at];
      for (auto giver = nodes_[node].first_given; giver != kNone; giver = givers_[giver].next) {
        const Source& source = sources_[givers_[giver].source];
        if (source.live[level]) continue;
        for (auto leaf = source.first_waiting; leaf != kNone; leaf = leaves_[leaf].next) {
          const auto waiting = leaves_[leaf].node;
          if (!is_new(waiting, level) || root_of_[waiting] != kNone) continue;
          root_of_[waiting] = root;
          through.emplace(waiting, &leaves_[leaf]);
          found[root].push_back(waiting);
          queue.push_back({waiting, root});
        }
      }
    }
    for (std::uint32_t root = 0; root < found.size(); ++root) {
      if (found[root].empty()) continue;
      std::sort(found[root].begin(), found[root].end(), [&](std::uint32_t a, std::uint32_t b) {
        return nodes_[a].task->id < nodes_[b].task->id;
      });
      const auto jam = add_jam(FindingKind::StuckBehind, level);
      jams_[jam].others = jams_[root].tasks;
      for (const auto node : found[root]) {
        const Leaf& leaf = *through.at(node);
        put(jam, node, leaf.wait->site, sources_[leaf.source].resource);
      }
    }
  }

  std::vector<Jam> order() {
    std::sort(jams_.begin(), jams_.end(), [](const Jam& a, const Jam& b) {
      if (a.kind != b.kind) return a.kind < b.kind;
      if (a.certainty != b.certainty) return a.certainty > b.certainty;
      return a.tasks.front() < b.tasks.front();
    });
    return std::move(jams_);
  }

  struct KeyHash {
    std::size_t operator()(const std::pair<std::uint64_t, std::uint32_t>& key) const noexcept {
      return (key.first * 64 + key.second) * 0x9e3779b97f4a7c15u >> 16;
    }
  };

  const Model& model_;
  const Thresholds& thresholds_;
  std::vector<Node> nodes_;
  std::vector<Leaf> leaves_;  // of each node, one for each of its waits
  std::vector<Source> sources_;
  std::vector<SourceGiver> givers_;
  std::vector<std::uint32_t> node_of_slot_;
  std::unordered_map<std::pair<std::uint64_t, std::uint32_t>, std::uint32_t, KeyHash> source_of_;
  Supply supply_;

  std::vector<std::uint32_t> stuck_;  // nodes stuck at this level and in no jam yet, by task id
  std::vector<Jam> jams_;
  std::vector<std::uint32_t> jam_of_, root_of_;                                 // by node
  std::unordered_set<std::pair<std::uint64_t, std::uint32_t>, KeyHash> named_;  // resource and jam
};

// --- sentences

constexpr std::size_t kTold = 6;  // members of a cycle

/// "to lock mutex #4" of the wait by which `task` is in the jam: the first for one of `resources`
/// or `tasks`.
const Wait* wait_in(const Jam& jam, const Task& task) {
  for (const auto& wait : task.waits) {
    if (is_inner(wait)) continue;
    const auto& among = wait.op == WaitOp::Join
                            ? (jam.kind == FindingKind::StuckBehind ? jam.others : jam.tasks)
                            : jam.resources;
    if (std::find(among.begin(), among.end(), wait.other) != among.end()) return &wait;
  }
  for (const auto& wait : task.waits)
    if (!is_inner(wait)) return &wait;
  return nullptr;
}

std::string waits_words(const Model& model, const Jam& jam, std::uint64_t id) {
  const Task* task = model.tasks().find(id);
  const Wait* wait = task == nullptr ? nullptr : wait_in(jam, *task);
  if (wait == nullptr) return task_words(model, id) + " waits";
  return task_words(model, id) + " waits " + wait_words(model, *wait);
}

std::string deadlock_words(const Model& model, const Jam& jam) {
  const bool certain = jam.certainty == Certainty::Certain;
  const auto count = jam.tasks.size();
  std::string text = count == 1 ? "task " + task_words(model, jam.tasks.front()) +
                                      (certain ? " waits for itself" : " may wait for itself")
                                : tasks_words(count) + (certain ? " wait for each other"
                                                                : " may wait for each other");
  text += ": ";
  for (std::size_t i = 0; i < count && i < kTold; ++i) {
    if (i != 0) text += "; ";
    const auto next = jam.tasks[(i + 1) % count];
    text += waits_words(model, jam, jam.tasks[i]);
    const Task* task = model.tasks().find(jam.tasks[i]);
    const Wait* wait = task == nullptr ? nullptr : wait_in(jam, *task);
    const auto* resource =
        wait == nullptr || wait->op == WaitOp::Join ? nullptr : model.resource(wait->other);
    if (resource == nullptr) continue;
    for (const auto& holder : resource->holders) {
      if (holder.task != next) continue;
      text += holder.role == "sends" ? ", to which " + task_words(model, next) + " sent last"
              : holder.role == "receives"
                  ? ", from which " + task_words(model, next) + " received last"
              : holder.certain ? ", held by " + task_words(model, next)
                               : ", last taken by " + task_words(model, next);
      break;
    }
  }
  if (count > kTold) text += "; and " + std::to_string(count - kTold) + " more";
  return text;
}

std::string list_words(const Model& model, const std::vector<std::uint64_t>& tasks) {
  std::string text;
  for (std::size_t i = 0; i < tasks.size() && i < kTold; ++i)
    text += (i == 0 ? "" : ", ") + task_words(model, tasks[i]);
  if (tasks.size() > kTold) text += " and " + std::to_string(tasks.size() - kTold) + " more";
  return text;
}

std::string at_words(const Model& model, std::uint32_t site) {
  const auto place = place_words(model, site);
  return place.empty() ? place : " at " + place;
}

std::string sentence(const Model& model, const Jam& jam) {
  const bool one = jam.tasks.size() == 1;
  switch (jam.kind) {
    case FindingKind::Deadlock:
      return deadlock_words(model, jam);
    case FindingKind::LostWaker:
      return tasks_words(jam.tasks.size()) + (one ? " waits" : " wait") +
             at_words(model, jam.site) + " until " + (one ? "its waker is" : "their wakers are") +
             " called, and no waker of " + (one ? "it" : "them") +
             " is left: " + list_words(model, jam.tasks);
    case FindingKind::Orphan:
      return tasks_words(jam.tasks.size()) + (one ? " waits" : " wait") +
             " for what a task that is over may have left behind: " +
             waits_words(model, jam, jam.tasks.front()) + ", last used by #" +
             std::to_string(jam.others.empty() ? 0 : jam.others.front()) + ", which is over";
    default:
      return tasks_words(jam.tasks.size()) + (one ? " is" : " are") + " stuck behind tasks that " +
             (jam.certainty == Certainty::Certain ? "never" : "may never") + " go on (" +
             list_words(model, jam.others) + "): " + waits_words(model, jam, jam.tasks.front());
  }
}

}  // namespace

std::vector<Jam> find_jams(const Model& model, const Thresholds& thresholds, std::size_t* work) {
  Search search(model, thresholds);
  auto jams = search.run();
  if (work != nullptr) *work = search.work();
  return jams;
}

Finding finding_of(const Model& model, const Jam& jam, const Thresholds& thresholds) {
  const auto named = [&](const std::vector<std::uint64_t>& ids) {
    const auto count = std::min(ids.size(), thresholds.tasks_per_finding);
    return std::vector<std::uint64_t>(ids.begin(),
                                      ids.begin() + static_cast<std::ptrdiff_t>(count));
  };
  Finding finding;
  finding.kind = jam.kind;
  finding.certainty = jam.certainty;
  finding.tasks = named(jam.tasks);
  finding.others = named(jam.others);
  finding.resources = named(jam.resources);
  finding.site = jam.site;
  finding.task_count = jam.tasks.size();
  // Closed by the last that began to wait; the others are late one by one.
  const bool closes = jam.kind == FindingKind::Deadlock;
  std::uint64_t since = closes ? 0 : UINT64_MAX;
  for (const auto id : jam.tasks) {
    const Task* task = model.tasks().find(id);
    if (task == nullptr) continue;
    since = closes ? std::max(since, task->state_since) : std::min(since, task->state_since);
  }
  finding.since_ns = model.clock().ns(since == UINT64_MAX ? model.now() : since);
  finding.text = sentence(model, jam);
  return finding;
}

}  // namespace taskscope::console::analysis
