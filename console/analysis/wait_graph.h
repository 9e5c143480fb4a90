/// Who waits for whom: what can end each wait, and the graph of it around a few tasks.
///
///     task ──waits for──▶ resource ──held by──▶ task ──waits for──▶ task (join), timer, fd, ...
///
/// What a task waits for is a formula: its waits are the branches of a tree, of which inner ones
/// want any or all of their arms, and each leaf is a wait for one thing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "taskscope/console/session/model.h"

namespace taskscope::console::analysis {

/// What can end a wait.
enum class Supplier : std::uint8_t {
  Tasks,     ///< the tasks named: holders, the other end of a channel, the task joined
  Timer,     ///< a deadline
  Io,        ///< readiness of a descriptor
  Blocking,  ///< a call on the blocking pool
  Thread,    ///< a thread that runs no task, which holds the resource
  Anybody,   ///< whoever notifies, or writes; nobody is known to
  Nobody,    ///< certainly nobody: no waker of the task is left
  Unknown,   ///< not recorded
};

/// A task that can end a wait by what it does next.
struct Giver {
  std::uint64_t task = 0;
  bool certain = false;  ///< else a hint: the last who took or used it
  bool gone = false;     ///< it is over, and has not given back what it took
};

/// What can end one wait. With `needs_all`, every giver has to do its part; else one is enough.
struct Supply {
  Supplier supplier = Supplier::Unknown;
  bool needs_all = false;
  std::vector<Giver> givers;  ///< Supplier::Tasks: at least one
};

/// Fills `supply`, whose memory is used again. `wait` is a leaf of `task`.
///
///   mutex, OnceCell     the holder; certain where its guard can't move
///   rwlock              all holders; certain where their guards can't move
///   semaphore           any holder, and only as a hint: a stranger may add permits
///   channels            receive: the last sender, if there is only one; send and closed: the last
///                       receiver; hints, and only as read during the wait: is_stale
///   join                the task, certain
///   waker               nobody, when none was left as the task was read while it waited so
/// A holder that no walk over the living found and no record names is gone.
void supply_of(const session::Model& model, const session::Task& task, const session::Wait& wait,
               Supply& supply);

/// True: what is known of the resource's ends was read before this wait began, and records tell
/// nothing of them: who used them last may be somebody else by now.
[[nodiscard]] bool is_stale(const session::Model& model, const session::Task& task,
                            const session::Wait& wait);

/// True: the branch has arms of its own, which follow; it is no wait for one thing.
[[nodiscard]] inline bool is_inner(const session::Wait& wait) noexcept {
  return wait.mode != protocol::BranchMode::Single;
}

// --- a graph to draw

enum class NodeKind : std::uint8_t { Task, Resource, Timer, Io, Blocking, Thread, Waker };

struct GraphNode {
  NodeKind kind = NodeKind::Task;
  std::uint64_t id = 0;    ///< of the task or resource; else 0
  std::string label;       ///< "#12 (session)", "mutex #4", "timer, due in 3 s"
  std::string detail;      ///< a task's state in words, where a resource was made; may be empty
  std::uint32_t site = 0;  ///< the task's await, where the resource was made
  bool seed = false;       ///< asked for
  bool on_cycle = false;
  bool gone = false;             ///< a task that is over
  std::size_t more_waiters = 0;  ///< of a resource: waiting tasks that are not drawn
};

struct GraphEdge {
  std::uint32_t from = 0, to = 0;                ///< in Graph::nodes
  std::string label;                             ///< "lock", "join", "held by", "last used by"
  std::uint32_t site = 0;                        ///< of a wait: the await
  std::uint16_t branch = 0;                      ///< of a wait
  protocol::WaitOp op = protocol::WaitOp::None;  ///< of a wait; None from resource to holder
  bool certain = true;                           ///< else dashed
  bool on_cycle = false;
  bool alternative = false;  ///< one of several, of which any is enough
};

struct Graph {
  std::vector<GraphNode> nodes;  ///< seeds first, then what they wait for, then who waits for that
  std::vector<GraphEdge> edges;
  std::size_t left_out = 0;  ///< nodes that the limit kept out, at least
};

struct GraphSeeds {
  std::span<const std::uint64_t> tasks, resources;
};

/// What the seeds wait for, directly and indirectly, and who waits directly for any of that. A
/// cycle is marked by what is drawn, whether or not a timer among its members will end it.
///
/// Walks all tasks once: for a selection that changed, or a few times a second, not for each frame.
[[nodiscard]] Graph graph_around(const session::Model& model, const GraphSeeds& seeds,
                                 std::size_t node_limit = 60);

}  // namespace taskscope::console::analysis
