/// Deadlocks: rings of tasks, each waiting for something that the next one has.
///
///     member 0 ──waits for──▶ tie 0 ◀──had by── member 1 ──waits for──▶ tie 1 ◀── ... member 0
///
/// First every member takes what the one before it will want; when all have, the curator sends them
/// one after the other, in the order of the shape, into the wait that never ends. The last of them
/// closes the ring.
#include <algorithm>
#include <deque>
#include <optional>

#include "taskscope/instrumentation/examples/gallery/curator.h"
#include "taskscope/instrumentation/examples/gallery/plants.h"
#include "taskscope/runtime/sync/mpsc.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/oneshot.h"
#include "taskscope/runtime/sync/semaphore.h"

namespace taskscope::gallery {

namespace mpsc = runtime::sync::mpsc;
namespace oneshot = runtime::sync::oneshot;
using runtime::sync::Mutex;
using runtime::sync::Notify;
using runtime::sync::Semaphore;

namespace {

enum class Kind {
  // Certain: a scoped guard can't leave its task, and a task ends only by itself.
  Lock,
  Join,
  AnyOf,  ///< select of two locks that the same member holds
  AllOf,  ///< join of a lock and a notification
  // Suspect: the holder is a hint, or a stranger could add permits.
  OwnedLock,
  Permits,
  OwnedPermits,
  Receive,  ///< from a channel whose only sender the next member has
  Send,     ///< into a full channel whose receiver the next member has
  Closed,   ///< for a oneshot receiver to go, which the next member has
};
constexpr Kind kCertain[] = {Kind::Lock, Kind::Lock, Kind::Join, Kind::AnyOf, Kind::AllOf};
constexpr Kind kSuspect[] = {Kind::OwnedLock, Kind::Permits, Kind::OwnedPermits,
                             Kind::Receive,   Kind::Send,    Kind::Closed};

constexpr const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::Lock:
      return "lock";
    case Kind::Join:
      return "join";
    case Kind::AnyOf:
      return "any of two locks";
    case Kind::AllOf:
      return "all of a lock and a notification";
    case Kind::OwnedLock:
      return "owned lock";
    case Kind::Permits:
      return "permits";
    case Kind::OwnedPermits:
      return "owned permits";
    case Kind::Receive:
      return "receive";
    case Kind::Send:
      return "send";
    case Kind::Closed:
      return "closed";
  }
  return "";
}

constexpr WaitOp op_of(Kind kind) {
  switch (kind) {
    case Kind::Lock:
    case Kind::AnyOf:
    case Kind::AllOf:
    case Kind::OwnedLock:
      return WaitOp::Lock;
    case Kind::Join:
      return WaitOp::Join;
    case Kind::Permits:
    case Kind::OwnedPermits:
      return WaitOp::Acquire;
    case Kind::Receive:
      return WaitOp::Recv;
    case Kind::Send:
      return WaitOp::Send;
    case Kind::Closed:
      return WaitOp::Closed;
  }
  return WaitOp::None;
}

constexpr bool is_certain(Kind kind) { return kind <= Kind::AllOf; }

/// What one member waits for and the next one has. Only the part that `kind` names is used; ends of
/// channels move into the frames of those who have them.
struct Tie {
  Tie(Kind tie, std::size_t count) : kind(tie), permits(count), semaphore(count) {
    if (kind == Kind::Receive || kind == Kind::Send) {
      auto ends = mpsc::channel<int>(count);
      resource = &ends.first.resource();
      sender.emplace(std::move(ends.first));
      receiver.emplace(std::move(ends.second));
    } else if (kind == Kind::Closed) {
      auto ends = oneshot::channel<int>();
      resource = &ends.first.resource();
      last_word.emplace(std::move(ends.first));
      listener.emplace(std::move(ends.second));
    } else if (kind == Kind::Permits || kind == Kind::OwnedPermits) {
      resource = &semaphore;
    } else if (kind != Kind::Join) {
      resource = &mutex.resource();
    }
  }

  const Kind kind;
  const std::size_t permits;
  Mutex<> mutex, second;
  Semaphore semaphore;
  Notify other;
  std::optional<mpsc::Sender<int>> sender;
  std::optional<mpsc::Receiver<int>> receiver;
  std::optional<oneshot::Sender<int>> last_word;
  std::optional<oneshot::Receiver<int>> listener;
  runtime::task::Resource* resource = nullptr;  ///< valid while the ring is closed
};

struct Member {
  std::size_t depth = 0;  ///< awaiting functions between holding and waiting
  Notify gate;
  Mutex<> own;  ///< held all the time; others may wait for it
  Site where;
};

struct Ring {
  [[nodiscard]] std::size_t after(std::size_t i) const { return (i + 1) % ties.size(); }
  [[nodiscard]] Tie& outgoing(std::size_t i) { return ties[i]; }
  [[nodiscard]] Tie& incoming(std::size_t i) { return ties[(i + ties.size() - 1) % ties.size()]; }

  std::deque<Tie> ties;
  std::deque<Member> members;
  std::atomic<std::size_t> arrived{0};
  Handles handles;  ///< set before the first gate opens
};

Task<void> arrive(Ring& ring, std::size_t i) {
  // Release: what this member has done is seen by who counts.
  ring.arrived.fetch_add(1, std::memory_order_release);
  co_await ring.members[i].gate.notified();
}

// The waits that never end.

Task<void> wait_for_lock(Ring& ring, std::size_t i) {
  co_await arrive(ring, i);
  const auto guard = co_await here(ring.members[i].where, ring.outgoing(i).mutex.lock());
}

Task<void> wait_for_owned_lock(Ring& ring, std::size_t i) {
  co_await arrive(ring, i);
  const auto guard = co_await here(ring.members[i].where, ring.outgoing(i).mutex.lock_owned());
}

Task<void> wait_for_task(Ring& ring, std::size_t i) {
  co_await arrive(ring, i);
  JoinHandle<void>& handle = ring.handles[ring.after(i)];
  co_await here(ring.members[i].where, handle);
}

Task<void> wait_for_any(Ring& ring, std::size_t i) {
  co_await arrive(ring, i);
  Tie& tie = ring.outgoing(i);
  Site& where = ring.members[i].where;
  static_cast<void>(
      co_await here(where, runtime::select(tie.mutex.lock_owned(), tie.second.lock_owned())));
}

Task<void> wait_for_all(Ring& ring, std::size_t i) {
  co_await arrive(ring, i);
  Tie& tie = ring.outgoing(i);
  Site& where = ring.members[i].where;
  static_cast<void>(
      co_await here(where, runtime::join(tie.mutex.lock_owned(), tie.other.notified())));
}

Task<void> wait_for_permits(Ring& ring, std::size_t i) {
  co_await arrive(ring, i);
  Tie& tie = ring.outgoing(i);
  const auto permit = co_await here(ring.members[i].where, tie.semaphore.acquire(tie.permits));
}

Task<void> wait_for_message(Ring& ring, std::size_t i) {
  auto receiver = std::move(*ring.outgoing(i).receiver);
  static_cast<void>(co_await receiver.recv());  // the greeting
  co_await arrive(ring, i);
  static_cast<void>(co_await here(ring.members[i].where, receiver.recv()));
}

Task<void> wait_for_room(Ring& ring, std::size_t i) {
  const auto sender = std::move(*ring.outgoing(i).sender);
  co_await arrive(ring, i);
  while (sender.try_send(0)) {
  }
  static_cast<void>(co_await here(ring.members[i].where, sender.send(0)));
}

Task<void> wait_for_listener(Ring& ring, std::size_t i) {
  auto last_word = std::move(*ring.outgoing(i).last_word);
  co_await arrive(ring, i);
  co_await here(ring.members[i].where, last_word.closed());
}

Task<void> wait_in(Ring& ring, std::size_t i) {
  switch (ring.outgoing(i).kind) {
    case Kind::Lock:
      return wait_for_lock(ring, i);
    case Kind::OwnedLock:
      return wait_for_owned_lock(ring, i);
    case Kind::Join:
      return wait_for_task(ring, i);
    case Kind::AnyOf:
      return wait_for_any(ring, i);
    case Kind::AllOf:
      return wait_for_all(ring, i);
    case Kind::Permits:
    case Kind::OwnedPermits:
      return wait_for_permits(ring, i);
    case Kind::Receive:
      return wait_for_message(ring, i);
    case Kind::Send:
      return wait_for_room(ring, i);
    case Kind::Closed:
      return wait_for_listener(ring, i);
  }
  throw std::logic_error("a tie of no kind");
}

Task<void> descend(Ring& ring, std::size_t i, std::size_t depth) {
  if (depth == 0) {
    co_await wait_in(ring, i);
  } else {
    co_await descend(ring, i, depth - 1);
  }
}

// What the member before will want, held across the wait.

Task<void> go_on(Ring& ring, std::size_t i) { return descend(ring, i, ring.members[i].depth); }

Task<void> hold_lock(Ring& ring, std::size_t i) {
  const auto guard = co_await ring.incoming(i).mutex.lock();
  co_await go_on(ring, i);
}

Task<void> hold_owned_lock(Ring& ring, std::size_t i) {
  const auto guard = co_await ring.incoming(i).mutex.lock_owned();
  co_await go_on(ring, i);
}

Task<void> hold_two_locks(Ring& ring, std::size_t i) {
  const auto first = co_await ring.incoming(i).mutex.lock();
  const auto second = co_await ring.incoming(i).second.lock();
  co_await go_on(ring, i);
}

Task<void> hold_permits(Ring& ring, std::size_t i) {
  Tie& tie = ring.incoming(i);
  const auto permit = co_await tie.semaphore.acquire(tie.permits);
  co_await go_on(ring, i);
}

Task<void> hold_owned_permits(Ring& ring, std::size_t i) {
  Tie& tie = ring.incoming(i);
  const auto permit = co_await tie.semaphore.acquire_owned(tie.permits);
  co_await go_on(ring, i);
}

Task<void> hold_sender(Ring& ring, std::size_t i) {
  const auto sender = std::move(*ring.incoming(i).sender);
  co_await go_on(ring, i);
}

Task<void> hold_receiver(Ring& ring, std::size_t i) {
  auto receiver = std::move(*ring.incoming(i).receiver);
  static_cast<void>(co_await receiver.recv());  // the greeting
  co_await go_on(ring, i);
}

Task<void> hold_listener(Ring& ring, std::size_t i) {
  auto listener = std::move(*ring.incoming(i).listener);
  static_cast<void>(listener.try_recv());  // makes its owner known
  co_await go_on(ring, i);
}

Task<void> hold(Ring& ring, std::size_t i) {
  switch (ring.incoming(i).kind) {
    case Kind::Lock:
    case Kind::AllOf:
      return hold_lock(ring, i);
    case Kind::OwnedLock:
      return hold_owned_lock(ring, i);
    case Kind::AnyOf:
      return hold_two_locks(ring, i);
    case Kind::Join:
      return go_on(ring, i);
    case Kind::Permits:
      return hold_permits(ring, i);
    case Kind::OwnedPermits:
      return hold_owned_permits(ring, i);
    case Kind::Receive:
      return hold_sender(ring, i);
    case Kind::Send:
      return hold_receiver(ring, i);
    case Kind::Closed:
      return hold_listener(ring, i);
  }
  throw std::logic_error("a tie of no kind");
}

Task<void> be_member(std::shared_ptr<Ring> ring, std::size_t i) {
  // Greetings, by which watchers learn who uses which end. There is room for one.
  if (ring->outgoing(i).kind == Kind::Send)
    static_cast<void>(ring->outgoing(i).sender->try_send(0));
  if (ring->incoming(i).kind == Kind::Receive)
    static_cast<void>(ring->incoming(i).sender->try_send(0));
  const auto own = co_await ring->members[i].own.lock();
  co_await hold(*ring, i);
}

/// A ring that is closed.
struct Closed {
  std::shared_ptr<Ring> ring;
  std::vector<TaskId> tasks;  ///< by member
  bool certain = true;
};

Closed close_ring(Curator& curator, Shape& shape, bool only_certain) {
  Closed closed;
  closed.ring = std::make_shared<Ring>();
  Ring& ring = *closed.ring;
  const std::size_t count = shape.between(2, 8);
  const bool mixed = shape.once_in(2);
  only_certain = only_certain || shape.once_in(2);
  const auto any_kind = [&] {
    return only_certain || shape.once_in(3) ? shape.one_of(kCertain) : shape.one_of(kSuspect);
  };
  const Kind kind = any_kind();
  for (std::size_t i = 0; i < count; ++i) {
    const Kind tie = mixed ? any_kind() : kind;
    ring.ties.emplace_back(tie, shape.between(1, 4));
    ring.members.emplace_back().depth = shape.between(0, 5);
    closed.certain = closed.certain && is_certain(tie);
  }
  Tasks tasks;
  for (std::size_t i = 0; i < count; ++i) tasks.push_back(be_member(closed.ring, i));
  ring.handles = curator.spawn("member of a ring", std::move(tasks));
  closed.tasks = ids_of(ring.handles);
  curator.until([&] { return ring.arrived.load(std::memory_order_acquire) == count; });

  for (const std::size_t i : shape.order(count)) {
    ring.members[i].gate.notify_one();
    curator.until([&] {
      const Seen seen = curator.look(closed.tasks[i]);
      const Tie& tie = ring.ties[i];
      if (tie.kind == Kind::Join) return seen.waits_for(closed.tasks[ring.after(i)]);
      return seen.waits_on(op_of(tie.kind), tie.resource->id());
    });
  }
  return closed;
}

void say_deadlock(const Curator& curator, const Closed& closed) {
  Ring& ring = *closed.ring;
  const std::size_t count = ring.ties.size();
  // From the smallest id on, so that a ring is told in one way only.
  const auto first = static_cast<std::size_t>(
      std::min_element(closed.tasks.begin(), closed.tasks.end()) - closed.tasks.begin());
  Planted planted{.trouble = "deadlock",
                  .kind = "deadlock",
                  .certainty = closed.certain ? "certain" : "suspect"};
  planted.shape = counted(count, "member");
  std::string waits;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t i = (first + k) % count;
    const Tie& tie = ring.ties[i];
    const std::string where = place(ring.members[i].where);
    if (k == 0) planted.where = where;
    planted.tasks.push_back(closed.tasks[i]);
    planted.shape += std::string(k == 0 ? ": " : ", ") + name_of(tie.kind) + " at depth " +
                     std::to_string(ring.members[i].depth);
    Line wait;
    wait.task("task", closed.tasks[i]).task("holder", closed.tasks[ring.after(i)]);
    if (tie.resource != nullptr) {
      planted.resources.push_back(tie.resource->id());
      wait.resource("resource", tie.resource->id());
      if (tie.kind == Kind::AnyOf) {
        planted.resources.push_back(ring.ties[i].second.resource().id());
        wait.resource("or", planted.resources.back());
      }
    }
    wait.text("through", name_of(tie.kind)).text("where", where);
    waits += (k == 0 ? "" : ",") + wait.object();
  }
  planted.more.raw("waits", '[' + waits + ']');
  curator.say(planted);
}

/// Somebody who waits for a member of a ring, or for another of his kind.
enum class Way { Task, Mutex, SameLine, Follower };
constexpr Way kWays[] = {Way::Task, Way::Mutex, Way::SameLine, Way::Follower, Way::Follower};
constexpr const char* name_of(Way way) {
  switch (way) {
    case Way::Task:
      return "for a member";
    case Way::Mutex:
      return "for another mutex of a member";
    case Way::SameLine:
      return "in line with a member";
    case Way::Follower:
      return "for one of them";
  }
  return "";
}
struct Follower {
  Way way = Way::Task;
  std::size_t target = 0;
  std::size_t depth = 0;
  Mutex<> own;
  Site where;
};
struct Queue {
  std::shared_ptr<Ring> ring;
  std::deque<Follower> followers;
};

/// Null: it waits for a task.
Mutex<>* wanted_by(Queue& queue, const Follower& follower) {
  switch (follower.way) {
    case Way::Task:
      break;
    case Way::Mutex:
      return &queue.ring->members[follower.target].own;
    case Way::SameLine:
      return &queue.ring->ties[follower.target].mutex;
    case Way::Follower:
      return &queue.followers[follower.target].own;
  }
  return nullptr;
}

Task<void> follow(Queue& queue, Follower& follower, std::size_t depth) {
  if (depth > 0) {
    co_await follow(queue, follower, depth - 1);
  } else if (Mutex<>* const wanted = wanted_by(queue, follower)) {
    const auto guard = co_await here(follower.where, wanted->lock());
  } else {
    JoinHandle<void>& handle = queue.ring->handles[follower.target];
    co_await here(follower.where, handle);
  }
}

Task<void> be_follower(std::shared_ptr<Queue> queue, std::size_t i) {
  Follower& follower = queue->followers[i];
  const auto guard = co_await follower.own.lock();
  co_await follow(*queue, follower, follower.depth);
}

}  // namespace

void plant_deadlock(Curator& curator, Shape& shape) {
  say_deadlock(curator, close_ring(curator, shape, false));
}

void plant_stuck_behind(Curator& curator, Shape& shape) {
  const Closed closed = close_ring(curator, shape, true);
  say_deadlock(curator, closed);

  const auto queue = std::make_shared<Queue>();
  queue->ring = closed.ring;
  const std::size_t count = shape.between(1, 8);
  Handles handles;
  std::vector<ResourceId> resources;
  std::string ways;
  std::vector<bool> joined;
  for (std::size_t i = 0; i < closed.tasks.size(); ++i)
    joined.push_back(closed.ring->incoming(i).kind == Kind::Join);
  for (std::size_t i = 0; i < count; ++i) {
    Follower& follower = queue->followers.emplace_back();
    follower.depth = shape.between(0, 4);
    follower.target = shape.between(0, closed.tasks.size() - 1);
    follower.way = shape.one_of(kWays);
    // A handle is for one, and not every tie has a line to stand in.
    if ((follower.way == Way::Task && joined[follower.target]) ||
        (follower.way == Way::SameLine && closed.ring->ties[follower.target].kind == Kind::Join) ||
        (follower.way == Way::Follower && i == 0)) {
      follower.way = Way::Mutex;
    }
    if (follower.way == Way::Task) joined[follower.target] = true;
    if (follower.way == Way::Follower) follower.target = shape.between(0, i - 1);
    // One after the other: a follower that is followed has taken its mutex by then.
    Tasks one;
    one.push_back(be_follower(queue, i));
    handles.push_back(std::move(curator.spawn("stuck behind a ring", std::move(one)).front()));
    runtime::task::Resource* resource = nullptr;
    if (Mutex<>* const wanted = wanted_by(*queue, follower)) resource = &wanted->resource();
    curator.until([&] {
      const Seen seen = curator.look(handles[i].id());
      return resource != nullptr ? seen.waits_on(WaitOp::Lock, resource->id())
                                 : seen.waits_for(closed.tasks[follower.target]);
    });
    resources.push_back(resource != nullptr ? resource->id() : ResourceId::None);
    ways += std::string(i == 0 ? ": " : ", ") + name_of(follower.way);
  }
  Planted planted{.trouble = "stuck-behind",
                  .kind = "stuck-behind",
                  .certainty = "certain",
                  .tasks = ids_of(handles),
                  .resources = std::move(resources),
                  .where = place(queue->followers.front().where),
                  .shape = std::to_string(count) + " behind" + ways};
  planted.more.ids<TaskId>("behind", closed.tasks);
  curator.say(planted);
}

}  // namespace taskscope::gallery
