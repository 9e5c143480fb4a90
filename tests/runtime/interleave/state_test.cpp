// The state word of a task in every interleaving: one owner at a time, no wake lost, and whoever
// comes next sees what was written before.

#include "taskscope/runtime/task/state.h"
#include "taskscope/tests/runtime/interleave/part.h"

using namespace taskscope::interleave;
using namespace taskscope::runtime;
using task::State;

namespace {

/// What a header, a body and a result are to the word: data that it guards.
struct FakeTask {
  State state;
  Tracked<int> body, result, slot;
  Tracked<int> link;  // of the queue: who has to queue the task writes it first
  Handoff queue;
  FakeTask() { state.init_scheduled(); }
};

void use(Tracked<int>& data) { data.write(data.read() + 1); }
void put(FakeTask& task) {
  use(task.link);
  task.queue.put(&task);
}
bool take(FakeTask& task) {
  if (task.queue.take() == nullptr) return false;
  use(task.link);
  return true;
}
State::Taken begin(FakeTask& task) {
  const auto taken = task.state.to_running();
  use(task.body);
  return taken;
}
void end(FakeTask& task) {
  if (task.state.to_idle()) put(task);
}
void wake(FakeTask& task) {
  if (task.state.to_scheduled()) put(task);
}

/// A worker polls, a waker brings something. The last poll has seen it; and a second poll is there
/// only for what was brought.
void wake_while_polled() {
  FakeTask task;
  Tracked<int> brought;
  Atomic<bool> is_brought{false};
  bool seen = false;
  put(task);
  threads(
      [&] {
        for (int polls = 1; take(task); ++polls) {
          static_cast<void>(begin(task));
          // Relaxed: the word has to make it visible.
          seen = is_brought.load(kRelaxed);
          if (polls == 2) check(brought.read() == 1, "a second poll sees what it is there for");
          end(task);
        }
      },
      [&] {
        brought.write(1);
        is_brought.store(true, kRelaxed);
        wake(task);
        task.queue.close();
      });
  check(seen, "the last poll has seen what was brought");
}

/// Two workers, so that body and link pass from one to the other, and two wakers.
void wake_on_other_workers() {
  FakeTask task;
  put(task);
  const auto poll = [&] {
    if (!take(task)) return;
    static_cast<void>(begin(task));
    end(task);
  };
  threads(poll, poll, [&] {
    wake(task);
    task.queue.close();
  });
}
void two_wakers() {
  FakeTask task;
  put(task);
  Atomic<int> awake{2};
  const auto waker = [&] {
    wake(task);
    if (awake.fetch_sub(1, kRelaxed) == 1) task.queue.close();
  };
  threads(
      [&] {
        while (take(task)) {
          static_cast<void>(begin(task));
          end(task);
        }
      },
      waker, waker);
}

/// Keeps the body on its way through the queue, to whichever worker.
void requeue_to_another_worker() {
  FakeTask task;
  Tracked<int> brought;
  Atomic<bool> is_brought{false};
  Atomic<int> polls{0};
  put(task);
  const auto worker = [&] {
    while (take(task)) {
      static_cast<void>(begin(task));
      if (polls.fetch_add(1, kRelaxed) == 0) {
        put(task);
      } else {
        end(task);
      }
    }
  };
  threads(worker, worker, [&] {
    brought.write(1);
    is_brought.store(true, kRelaxed);
    wake(task);
    task.queue.close();
  });
}
/// It asks to run again and is cancelled on the way: found in the queue, and nobody else queues it.
void cancel_requeued() {
  FakeTask task;
  Tracked<int> brought;
  put(task);
  threads(
      [&] {
        while (take(task)) {
          if (begin(task) == State::Taken::Cancel) {
            check(brought.read() == 1, "asked for after it was brought");
            static_cast<void>(task.state.to_complete());
            return;
          }
          put(task);
          yield_thread();
        }
      },
      [&] {
        brought.write(1);
        if (task.state.to_cancelled()) put(task);
      });
}

/// yield: runs again whatever happens, and is queued once.
void requeue() {
  FakeTask task;
  Tracked<int> brought;
  Atomic<bool> is_brought{false};
  bool seen = false;
  put(task);
  threads(
      [&] {
        for (int polls = 1; polls <= 2 || take(task); ++polls) {
          if (polls <= 2) check(take(task), "it runs again");
          static_cast<void>(begin(task));
          seen = is_brought.load(kRelaxed);
          if (polls == 1) {
            put(task);  // as it is, without a step on the word
          } else {
            end(task);
          }
        }
      },
      [&] {
        brought.write(1);
        is_brought.store(true, kRelaxed);
        wake(task);
        task.queue.close();
      });
  check(seen, "the last poll has seen what was brought");
}
/// One or two ask for the end while a worker polls: the body is destroyed once, by who owns it.
template <int kAskers>
void cancel() {
  FakeTask task;
  Tracked<int> brought;
  put(task);
  const auto ask = [&] {
    if (kAskers == 1) brought.write(1);
    if (task.state.to_cancelled()) put(task);
  };
  const auto worker = [&] {
    while (take(task)) {
      if (begin(task) == State::Taken::Cancel) {
        if (kAskers == 1) check(brought.read() == 1, "asked for after it was brought");
        static_cast<void>(task.state.to_complete());
        return;
      }
      end(task);
    }
  };
  if constexpr (kAskers == 1) {
    threads(worker, ask);
  } else {
    threads(worker, ask, ask);
  }
}
/// Who asked for the end sees that it is over.
void cancel_complete() {
  FakeTask task;
  threads(
      [&] {
        static_cast<void>(begin(task));
        task.result.write(1);
        static_cast<void>(task.state.to_complete());
      },
      [&] {
        static_cast<void>(task.state.to_cancelled());
        static_cast<void>(task.state.is_cancelled());
      });
}

/// A joiner fills the slot; the end of the task either finds it or was first.
void join() {
  FakeTask task;
  Handoff woken{true};
  threads(
      [&] {
        static_cast<void>(task.state.to_running());
        task.result.write(7);
        if (task.state.to_complete() == State::Ended::WakeJoiner) {
          check(task.slot.read() == 1, "the slot is filled");
          woken.put(&task);
        }
      },
      [&] {
        check(!task.state.has_join_waker(), "nobody else joins");
        task.slot.write(1);
        if (task.state.set_join_waker() == State::Joined::Registered) {
          static_cast<void>(woken.take());
          while (!task.state.is_complete()) yield_thread();
        }
        check(task.result.read() == 7, "the result is in place");
      });
}

/// A joiner that gives up, and comes again with another slot.
void join_again() {
  FakeTask task;
  Handoff woken{true};
  threads(
      [&] {
        static_cast<void>(task.state.to_running());
        task.result.write(7);
        if (task.state.to_complete() == State::Ended::WakeJoiner) {
          use(task.slot);
          woken.put(&task);
        }
      },
      [&] {
        task.slot.write(1);
        if (task.state.set_join_waker() == State::Joined::Complete) {
          check(task.result.read() == 7, "complete");
          return;
        }
        if (task.state.clear_join_waker() == State::Joined::Complete) {
          check(task.result.read() == 7, "complete, and the slot is the other's");
          return;
        }
        task.slot.write(2);
        if (task.state.set_join_waker() == State::Joined::Registered)
          static_cast<void>(woken.take());
      });
}

/// The inspector reads the body of an idle task, while a waker wants it to run.
void inspect() {
  FakeTask task;
  put(task);
  threads(
      [&] {
        while (take(task)) {
          static_cast<void>(begin(task));
          end(task);
        }
      },
      [&] {
        if (!task.state.try_inspect()) return;
        static_cast<void>(task.body.read());
        end(task);
      },
      [&] {
        wake(task);
        task.queue.close();
      });
}

/// The last reference frees; each of them used the memory before.
template <int kHandles>
void references() {
  struct Counted {
    State state;
    Tracked<int> used[kHandles + 1];
  };
  auto* task = new Counted;
  task->state.init_scheduled();
  for (int i = 1; i < kHandles; ++i) task->state.add_reference();
  const auto handle = [task](int i) {
    use(task->used[i]);
    if (task->state.drop_reference()) delete task;
  };
  const auto body = [task] {
    static_cast<void>(task->state.to_running());
    use(task->used[kHandles]);
    if (task->state.to_complete() == State::Ended::Unreferenced) delete task;
  };
  if constexpr (kHandles == 1) {
    threads(body, [&] { handle(0); });
  } else {
    threads(body, [&] { handle(0); }, [&] { handle(1); });
  }
}

/// A reference made from another, on another thread.
void reference_of_reference() {
  struct Counted {
    State state;
    Tracked<int> used[2];
  };
  auto* task = new Counted;
  task->state.init_none();
  task->state.add_reference();
  Handoff given;
  threads(
      [&] {
        task->state.add_reference();
        given.put(task);
        use(task->used[0]);
        if (task->state.drop_reference()) delete task;
      },
      [&] {
        static_cast<void>(given.take());
        use(task->used[1]);
        if (task->state.drop_reference()) delete task;
      });
}

Part state() {
  return {.files = {"task/state.h"},
          .cases = {{"wake while polled", wake_while_polled},
                    {"wake on other workers", wake_on_other_workers},
                    {"two wakers", two_wakers},
                    {"requeue", requeue},
                    {"requeue to another worker", requeue_to_another_worker},
                    {"cancel what is requeued", cancel_requeued},
                    {"cancel", cancel<1>},
                    {"cancel twice", cancel<2>},
                    {"cancel what ends", cancel_complete},
                    {"join", join},
                    {"join again", join_again},
                    {"inspect", inspect},
                    {"references: body and handle", references<1>},
                    {"references: body and two handles", references<2>},
                    {"a reference of a reference", reference_of_reference}}};
}

}  // namespace

TEST_CASE("interleavings: task state") { check_cases(state()); }
TEST_CASE("interleavings: every order of the task state is needed") { check_orders(state()); }
