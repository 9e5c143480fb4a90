#include "taskscope/console/analysis/wait_graph.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "taskscope/console/analysis/components.h"
#include "taskscope/console/analysis/words.h"

namespace taskscope::console::analysis {
namespace {

using protocol::ResourceKind;
using protocol::TaskState;
using protocol::WaitOp;
using session::Model;
using session::Task;
using session::Wait;

/// Nobody who could be alive: over, or named by no record and found by no walk.
bool is_gone(const Model& model, std::uint64_t id) {
  const Task* task = model.tasks().find(id);
  return task != nullptr ? !task->alive() : model.snapshots_completed() != 0;
}

bool is_channel(ResourceKind kind) {
  return kind == ResourceKind::Mpsc || kind == ResourceKind::Oneshot ||
         kind == ResourceKind::Broadcast || kind == ResourceKind::Watch;
}

/// Some other sender than the last one may send.
bool has_many_senders(const session::Resource& resource) {
  for (const auto& attribute : resource.attributes)
    if (attribute.name == "senders") return attribute.value != 1;
  return false;
}

/// Which role of a holder can end the wait; empty: any.
std::string_view role_for(WaitOp op, ResourceKind kind) {
  if (!is_channel(kind)) return {};
  return op == WaitOp::Recv || op == WaitOp::Changed ? "sends" : "receives";
}

void add_holders(const Model& model, const session::Resource& resource, std::string_view role,
                 bool (*may_be_certain)(const protocol::HolderState&), Supply& supply) {
  bool by_thread = false;
  for (const auto& holder : resource.holders) {
    if (!role.empty() && holder.role != role) continue;
    if (holder.task == 0) {
      by_thread = true;
      continue;
    }
    const bool certain = holder.certain && may_be_certain(holder);
    // A guard that can't move dies with its task: without the task, the record is out of date.
    const bool gone = is_gone(model, holder.task);
    if (certain && gone) {
      supply.givers.clear();
      supply.supplier = Supplier::Unknown;
      return;
    }
    supply.givers.push_back({holder.task, certain, gone});
  }
  supply.supplier = by_thread                ? Supplier::Thread
                    : !supply.givers.empty() ? Supplier::Tasks
                                             : Supplier::Unknown;
}

}  // namespace

bool is_stale(const Model& model, const Task& task, const Wait& wait) {
  const session::Resource* resource = model.resource(wait.other);
  return resource != nullptr && is_channel(resource->kind) && resource->read_at < task.state_since;
}

void supply_of(const Model& model, const Task& task, const Wait& wait, Supply& supply) {
  supply.supplier = Supplier::Unknown;
  supply.needs_all = false;
  supply.givers.clear();
  switch (wait.op) {
    case WaitOp::Sleep:
    case WaitOp::Tick:
      supply.supplier = Supplier::Timer;
      return;
    case WaitOp::Readable:
    case WaitOp::Writable:
    case WaitOp::Accept:
    case WaitOp::Connect:
      supply.supplier = Supplier::Io;
      return;
    case WaitOp::Blocking:
      supply.supplier = Supplier::Blocking;
      return;
    case WaitOp::Notified:
    case WaitOp::Arrive:
    case WaitOp::Yield:
      supply.supplier = Supplier::Anybody;
      return;
    case WaitOp::Waker:
      // Only what was read during this very wait tells; a waker made later would be seen later.
      if (task.wakers_at >= task.state_since && task.wakers_at != 0)
        supply.supplier = task.wakers == 0 ? Supplier::Nobody : Supplier::Anybody;
      return;
    case WaitOp::Join: {
      const Task* child = model.tasks().find(wait.other);
      if (wait.other == 0 || child == nullptr) return;
      supply.supplier = Supplier::Tasks;
      supply.givers.push_back({wait.other, true, false});
      return;
    }
    default:
      break;
  }
  const session::Resource* resource = model.resource(wait.other);
  if (resource == nullptr || resource->placeholder || resource->dropped != 0) return;
  switch (resource->kind) {
    case ResourceKind::Mutex:
    case ResourceKind::OnceCell:
      add_holders(model, *resource, {}, [](const auto&) { return true; }, supply);
      return;
    case ResourceKind::RwLock:
      supply.needs_all = true;
      // Who wants to read beside readers waits for a writer in line, who may give up.
      add_holders(
          model, *resource, {},
          wait.op == WaitOp::ReadLock
              ? [](const protocol::HolderState& holder) { return holder.role.starts_with("writ"); }
              : [](const protocol::HolderState&) { return true; },
          supply);
      return;
    case ResourceKind::Notify:
    case ResourceKind::Barrier:
      supply.supplier = Supplier::Anybody;
      return;
    default:
      if (is_channel(resource->kind)) {
        if (resource->read_at < task.state_since) return;
        if (role_for(wait.op, resource->kind) == "sends" && has_many_senders(*resource)) {
          supply.supplier = Supplier::Anybody;
          return;
        }
      }
      add_holders(
          model, *resource, role_for(wait.op, resource->kind), [](const auto&) { return false; },
          supply);
  }
}

// --- a graph to draw

namespace {

class Drawing {
 public:
  Drawing(const Model& model, std::size_t limit) : model_(model), limit_(limit) {}

  Graph draw(const GraphSeeds& seeds) {
    for (const auto id : seeds.tasks) seed(task_node(id));
    for (const auto id : seeds.resources) seed(resource_node(id));
    // Breadth first: what is near comes before the limit.
    for (std::uint32_t node = 0; node < graph_.nodes.size(); ++node) follow(node);
    add_waiters();
    mark_cycles();
    return std::move(graph_);
  }

 private:
  using Key = std::pair<NodeKind, std::uint64_t>;

  void seed(std::uint32_t node) {
    if (node != session::kNone) graph_.nodes[node].seed = true;
  }

  std::uint32_t add(GraphNode node) {
    if (graph_.nodes.size() >= limit_) {
      ++graph_.left_out;
      return session::kNone;
    }
    graph_.nodes.push_back(std::move(node));
    return static_cast<std::uint32_t>(graph_.nodes.size() - 1);
  }

  std::uint32_t find_or_add(Key key, GraphNode (*make)(const Model&, std::uint64_t)) {
    if (key.second == 0) return session::kNone;
    if (const auto known = index_.find(key); known != index_.end()) return known->second;
    const auto node = add(make(model_, key.second));
    if (node != session::kNone) index_.emplace(key, node);
    return node;
  }

  std::uint32_t task_node(std::uint64_t id) {
    return find_or_add({NodeKind::Task, id}, [](const Model& model, std::uint64_t task_id) {
      GraphNode node;
      node.id = task_id;
      node.label = "task " + task_words(model, task_id);
      node.gone = is_gone(model, task_id);
      const Task* task = model.tasks().find(task_id);
      if (task == nullptr) {
        node.detail = node.gone ? "is over" : "unknown";
        return node;
      }
      switch (task->alive() ? task->state : TaskState::Finished) {
        case TaskState::Idle:
          node.detail = task->waits.empty() ? "waits" : "waits " + first_wait(model, *task, node);
          break;
        case TaskState::Scheduled:
          node.detail = "is queued";
          break;
        case TaskState::Running:
          node.detail = "is polling";
          break;
        case TaskState::Finished:
          node.detail = "is over";
          break;
      }
      return node;
    });
  }

  static std::string first_wait(const Model& model, const Task& task, GraphNode& node) {
    for (const auto& wait : task.waits) {
      if (is_inner(wait)) continue;
      node.site = wait.site;
      return wait_words(model, wait);
    }
    return {};
  }

  std::uint32_t resource_node(std::uint64_t id) {
    return find_or_add({NodeKind::Resource, id}, [](const Model& model, std::uint64_t resource_id) {
      GraphNode node;
      node.kind = NodeKind::Resource;
      node.id = resource_id;
      node.label = resource_words(model, resource_id, ResourceKind::Other);
      if (const auto* resource = model.resource(resource_id)) {
        node.site = resource->site;
        node.detail = place_words(model, resource->site);
        node.more_waiters = resource->waiters;
      }
      return node;
    });
  }

  void edge(std::uint32_t from, std::uint32_t to, GraphEdge edge) {
    if (from == session::kNone || to == session::kNone) return;
    edge.from = from;
    edge.to = to;
    graph_.edges.push_back(std::move(edge));
  }

  void follow(std::uint32_t node) {
    const auto id = graph_.nodes[node].id;
    if (graph_.nodes[node].kind == NodeKind::Resource) {
      const auto* resource = model_.resource(id);
      if (resource == nullptr) return;
      for (const auto& holder : resource->holders) {
        GraphEdge held;
        held.certain = holder.certain && resource->kind != ResourceKind::Semaphore;
        held.label = holder.role == "sends"      ? "last sender"
                     : holder.role == "receives" ? "last receiver"
                     : holder.certain            ? "held by"
                                                 : "last taken by";
        if (holder.permits > 1) held.label += " (" + std::to_string(holder.permits) + ")";
        edge(node,
             holder.task != 0 ? task_node(holder.task)
                              : add({.kind = NodeKind::Thread, .label = "a thread"}),
             held);
      }
      return;
    }
    if (graph_.nodes[node].kind != NodeKind::Task) return;
    const Task* task = model_.tasks().find(id);
    if (task == nullptr || !task->alive() || task->state != TaskState::Idle) return;
    for (const auto& wait : task->waits)
      if (!is_inner(wait)) edge(node, target_of(*task, wait), words_on(*task, wait));
  }

  GraphEdge words_on(const Task& task, const Wait& wait) const {
    GraphEdge edge;
    edge.label = words_of(wait.op);
    edge.op = wait.op;
    edge.site = wait.site;
    edge.branch = wait.branch;
    edge.alternative = is_alternative(task, wait);
    return edge;
  }

  /// One of the branches above it wants any of its arms.
  static bool is_alternative(const Task& task, const Wait& wait) {
    std::uint16_t branch = wait.parent;
    for (std::size_t steps = 0; steps <= task.waits.size(); ++steps) {
      const auto above = std::find_if(task.waits.begin(), task.waits.end(),
                                      [&](const Wait& one) { return one.branch == branch; });
      if (above == task.waits.end() || &*above == &wait) return false;
      if (above->mode == protocol::BranchMode::Any) return true;
      if (above->parent == above->branch) return false;
      branch = above->parent;
    }
    return false;
  }

  std::uint32_t target_of(const Task& task, const Wait& wait) {
    const auto outside = [&](NodeKind kind) {
      GraphNode node;
      node.kind = kind;
      node.label = wait_words(model_, wait);
      if (node.label.starts_with("for ")) node.label.erase(0, 4);
      if (node.label.starts_with("until ")) node.label.erase(0, 6);
      return add(std::move(node));
    };
    switch (wait.op) {
      case WaitOp::Join:
        return task_node(wait.other);
      case WaitOp::Sleep:
      case WaitOp::Tick: {
        const auto node = outside(NodeKind::Timer);
        if (node != session::kNone && wait.value != 0) {
          const auto due = model_.clock().ns_of_monotonic(wait.value) - model_.now_ns();
          graph_.nodes[node].detail =
              due >= 0 ? "due in " + duration_words(due) : "due " + duration_words(-due) + " ago";
        }
        return node;
      }
      case WaitOp::Readable:
      case WaitOp::Writable:
      case WaitOp::Accept:
      case WaitOp::Connect:
        return outside(NodeKind::Io);
      case WaitOp::Blocking:
        return outside(NodeKind::Blocking);
      case WaitOp::Waker:
      case WaitOp::Yield: {
        const auto node = outside(NodeKind::Waker);
        if (node != session::kNone) {
          Supply supply;
          supply_of(model_, task, wait, supply);
          graph_.nodes[node].gone = supply.supplier == Supplier::Nobody;
          if (graph_.nodes[node].gone) graph_.nodes[node].detail = "no waker of it is left";
        }
        return node;
      }
      default:
        return resource_node(wait.other);
    }
  }

  /// Who waits directly for what is drawn so far.
  void add_waiters() {
    const auto drawn = graph_.nodes.size();
    for (const auto& edge : graph_.edges) {
      auto& waited = graph_.nodes[edge.to];
      if (waited.kind == NodeKind::Resource && waited.more_waiters > 0) --waited.more_waiters;
    }
    const auto& tasks = model_.tasks();
    for (std::uint32_t slot = 0; slot < tasks.slots(); ++slot) {
      const Task* task = tasks.at(slot);
      if (task == nullptr || task->state != TaskState::Idle || task->waits.empty()) continue;
      if (index_.contains({NodeKind::Task, task->id})) continue;
      for (const auto& wait : task->waits) {
        if (is_inner(wait) || wait.other == 0) continue;
        const auto waited = index_.find(
            {wait.op == WaitOp::Join ? NodeKind::Task : NodeKind::Resource, wait.other});
        if (waited == index_.end() || waited->second >= drawn || wait.op == WaitOp::Blocking)
          continue;
        const auto node = task_node(task->id);
        if (node == session::kNone) continue;
        edge(node, waited->second, words_on(*task, wait));
        auto& resource = graph_.nodes[waited->second];
        if (resource.more_waiters > 0) --resource.more_waiters;
      }
    }
  }

  void mark_cycles() {
    std::vector<std::vector<std::uint32_t>> next(graph_.nodes.size());
    for (const auto& edge : graph_.edges) next[edge.from].push_back(edge.to);
    const auto part = components(next);
    std::vector<std::uint32_t> sizes(graph_.nodes.size());
    for (const auto one : part) ++sizes[one];
    for (auto& edge : graph_.edges) {
      edge.on_cycle =
          part[edge.from] == part[edge.to] && (sizes[part[edge.from]] > 1 || edge.from == edge.to);
      if (edge.on_cycle) graph_.nodes[edge.from].on_cycle = graph_.nodes[edge.to].on_cycle = true;
    }
  }

  const Model& model_;
  const std::size_t limit_;
  Graph graph_;
  std::map<Key, std::uint32_t> index_;
};

}  // namespace

Graph graph_around(const Model& model, const GraphSeeds& seeds, std::size_t node_limit) {
  return Drawing(model, node_limit).draw(seeds);
}

}  // namespace taskscope::console::analysis
