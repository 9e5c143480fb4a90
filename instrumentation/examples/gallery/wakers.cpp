/// Troubles with wakers: dropped ones, and tasks that wake themselves.
#include <optional>

#include "taskscope/instrumentation/examples/gallery/curator.h"
#include "taskscope/instrumentation/examples/gallery/plants.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/task/waker.h"
#include "taskscope/runtime/time/sleep.h"

namespace taskscope::gallery {

using runtime::sync::Notify;
using runtime::task::Waker;
namespace time = runtime::time;

namespace {

/// A place for one waker, as many a hand-written future has it.
struct Slot {
  void put(Waker next) {
    const std::lock_guard lock(mutex);
    waker.emplace(std::move(next));
  }
  void clear() {
    const std::lock_guard lock(mutex);
    waker.reset();
  }

  std::mutex mutex;
  std::optional<Waker> waker;  // under mutex
  Site where;
};

enum class Loss { AtOnce, Later, Overwritten, InOneArm };
constexpr const char* name_of(Loss loss) {
  switch (loss) {
    case Loss::AtOnce:
      return "never kept";
    case Loss::Later:
      return "dropped later, by nobody's poll";
    case Loss::Overwritten:
      return "overwritten by the next one's";
    case Loss::InOneArm:
      return "never kept, in one arm of two";
  }
  return "";
}

Task<void> wait_without_waker(Site& where) {
  const auto never = [](const Waker&) { return false; };
  auto wait = runtime::poll_fn(never);
  co_await here(where, wait);
}

Task<void> wait_in_slot(Slot& slot) {
  Slot* const place = &slot;
  const auto never = [place](Waker waker) {
    place->put(std::move(waker));
    return false;
  };
  auto wait = runtime::poll_fn(never);
  co_await here(slot.where, wait);
}

Task<void> wait_a_moment() { co_await time::sleep(1ms); }

Task<void> lose_waker(std::shared_ptr<Slot> slot, Loss loss, std::size_t depth) {
  if (depth > 0) {
    co_await lose_waker(slot, loss, depth - 1);
  } else if (loss == Loss::AtOnce) {
    co_await wait_without_waker(slot->where);
  } else if (loss == Loss::InOneArm) {
    co_await runtime::join(wait_a_moment(), wait_without_waker(slot->where));
  } else {
    co_await wait_in_slot(*slot);
  }
}

}  // namespace

void plant_lost_waker(Curator& curator, Shape& shape) {
  constexpr Loss kLosses[] = {Loss::AtOnce, Loss::Later, Loss::Overwritten, Loss::InOneArm};
  const Loss loss = shape.one_of(kLosses);
  const std::size_t count = shape.between(1, 8);
  const std::size_t depth = shape.between(0, 5);
  std::vector<TaskId> lost;
  std::vector<std::shared_ptr<Slot>> slots;
  std::string where;
  const auto spawn_one = [&](const std::shared_ptr<Slot>& slot, std::uint32_t wakers) {
    Tasks one;
    one.push_back(lose_waker(slot, loss, depth));
    const auto id = curator.spawn("waits for a waker", std::move(one)).front().id();
    curator.until([&] {
      const Seen seen = curator.look(id);
      // Of two arms, one has ended by then: the task was polled again.
      return seen.waits_on(WaitOp::Waker) && seen.wakers == wakers &&
             (loss != Loss::InOneArm || !seen.waits_on(WaitOp::Sleep));
    });
    where = place(slot->where);
    return id;
  };

  if (loss == Loss::Overwritten) {
    // One more than are lost: the last one's waker is in the slot, and nobody will use it.
    const auto slot = std::make_shared<Slot>();
    for (std::size_t i = 0; i <= count; ++i) {
      const TaskId id = spawn_one(slot, 1);
      if (i < count) lost.push_back(id);
    }
    curator.until([&] { return curator.look(lost.back()).wakers == 0; });
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = std::make_shared<Slot>();
      lost.push_back(spawn_one(slot, loss == Loss::Later ? 1 : 0));
      slot->clear();
    }
  }
  curator.say({.trouble = "lost-waker",
               .kind = "lost-waker",
               .certainty = "certain",
               .tasks = std::move(lost),
               .where = std::move(where),
               .shape = counted(count, "task") + ", depth " + std::to_string(depth) + ", waker " +
                        name_of(loss)});
}

namespace {

struct Restless {
  std::size_t batch = 0;  ///< wakes by itself between two by a timer
  Site where;
  std::atomic<std::uint64_t> wakes{0};  // release and acquire: `where` is seen with it
  Notify ping, pong;
};

Task<void> poll_itself(Restless& task) {
  std::size_t left = task.batch;
  Restless* const counted = &task;
  const auto look = [&left, counted](const Waker& waker) {
    if (left-- == 0) return true;
    counted->wakes.fetch_add(1, std::memory_order_release);
    waker.wake();
    return false;
  };
  auto wait = runtime::poll_fn(look);
  co_await here(task.where, wait);
}

Task<void> ask(Restless& task) {
  for (std::size_t left = task.batch; left > 0; --left) {
    task.ping.notify_one();
    co_await here(task.where, task.pong.notified());
    task.wakes.fetch_add(1, std::memory_order_release);
  }
}

Task<void> answer(Restless& task) {
  for (std::size_t left = task.batch; left > 0; --left) {
    co_await task.ping.notified();
    task.pong.notify_one();
  }
}

Task<void> wake_itself(std::shared_ptr<Restless> task, bool in_arms) {
  for (;;) {
    if (in_arms) {
      co_await runtime::join(ask(*task), answer(*task));
    } else {
      co_await poll_itself(*task);
    }
    co_await time::sleep(3ms);
  }
}

}  // namespace

void plant_self_wakes(Curator& curator, Shape& shape) {
  const std::size_t count = shape.between(1, 4);
  const bool in_arms = shape.once_in(2);
  Tasks tasks;
  std::vector<std::shared_ptr<Restless>> restless;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& one = restless.emplace_back(std::make_shared<Restless>());
    one->batch = shape.between(8, 64);
    tasks.push_back(wake_itself(one, in_arms));
  }
  const Handles handles = curator.spawn("wakes itself", std::move(tasks));
  for (const auto& one : restless)
    curator.until([&] { return one->wakes.load(std::memory_order_acquire) > 200; });
  Planted planted{.trouble = "self-wakes", .kind = "self-wakes", .certainty = "certain"};
  planted.tasks = ids_of(handles);
  planted.shape = counted(count, "task") + ", " +
                  (in_arms ? "two arms that notify each other" : "a future that polls itself");
  planted.where = place(restless.front()->where);
  if (in_arms) {
    for (const auto& one : restless) planted.resources.push_back(one->pong.registered());
  }
  curator.say(planted);
}

}  // namespace taskscope::gallery
