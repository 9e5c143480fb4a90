// The way of a deadline from who enters it to the worker that sleeps in the driver, in every
// interleaving; and a timer that fires while its await ends.

#include <memory>
#include <optional>

#include "taskscope/runtime/scheduler/driver_deadline.h"
#include "taskscope/runtime/time/timers.h"
#include "taskscope/tests/runtime/interleave/workers.h"

using namespace taskscope::interleave;
using namespace taskscope::runtime;

namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kStart = 1'000 * kMs;

struct Node final : time::TimerNode {
  Node(std::uint64_t after_ms, task::Branch* branch = nullptr)
      : TimerNode(kStart + after_ms * kMs) {
    branch_ = branch;
  }
  using TimerNode::start_in;
  using TimerNode::stop;
};

/// A worker in the driver: as in Worker::sleep_until_woken, with a word for the event descriptor.
struct Driver {
  time::Timers timers{kStart};
  scheduler::DriverDeadline deadline;
  Atomic<std::uint32_t> event{0};

  /// Until `wanted` is the time to wake at.
  void sleep_until_set_to(std::uint64_t wanted) {
    for (;;) {
      deadline.begin();
      const auto next = timers.next_deadline_ns();
      if (next != kForever) deadline.set(next);
      if (next <= wanted) return;
      futex_wait(event, 0);
      event.store(0, kRelaxed);
      deadline.end();
    }
  }
  void enter(Node& node) {
    if (node.start_in(timers) == time::Inserted::Earliest &&
        deadline.sleeps_beyond(node.deadline_ns())) {
      event.store(1, kRelaxed);
      futex_wake(event);
    }
  }
};

void entered_while_going_to_sleep() {
  Driver driver;
  Node node(5);
  threads([&] { driver.sleep_until_set_to(node.deadline_ns()); }, [&] { driver.enter(node); });
}
void earlier_than_another() {
  Driver driver;
  Node late(50), early(5);
  driver.enter(late);
  threads([&] { driver.sleep_until_set_to(early.deadline_ns()); }, [&] { driver.enter(early); });
}
void entered_by_two() {
  Driver driver;
  Node late(50), early(5);
  threads([&] { driver.sleep_until_set_to(early.deadline_ns()); }, [&] { driver.enter(early); },
          [&] { driver.enter(late); });
}

/// The await ends, and with it its task, while another thread advances the wheel.
void fires_while_it_stops() {
  Workers workers;
  time::Timers timers{kStart};
  auto header = std::make_unique<task::Header>();
  header->state.init_scheduled();
  static_cast<void>(header->state.to_running());
  std::optional<Node> node(std::in_place, 5, &header->root);
  static_cast<void>(node->start_in(timers));
  threads(
      [&] {
        node->stop();
        node.reset();
        header.reset();
      },
      [&] {
        task::WakeBatch batch;
        static_cast<void>(timers.advance(kStart + 10 * kMs, batch));
      });
}

Part timers() {
  return {.files = {"time/timers.h", "time/timers.cpp", "scheduler/driver_deadline.h"},
          .cases = {{"entered while going to sleep", entered_while_going_to_sleep},
                    {"earlier than another", earlier_than_another},
                    {"entered by two", entered_by_two},
                    {"fires while it stops", fires_while_it_stops}}};
}

}  // namespace

TEST_CASE("interleavings: timers and the driver") { check_cases(timers()); }
TEST_CASE("interleavings: every order of timers and the driver is needed") {
  check_orders(timers());
}
