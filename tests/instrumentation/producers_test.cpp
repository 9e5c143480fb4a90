#include "taskscope/instrumentation/producers.h"

#include <unistd.h>

#include <atomic>
#include <thread>

#include <catch2/catch.hpp>

#include "taskscope/instrumentation/recorder.h"

using namespace taskscope::instrumentation;
using namespace taskscope::runtime::observe;

TEST_CASE("ring store: pages go and come back, the rings stay") {
  RingStore store;
  store.set_limit(std::size_t{1} << 20);
  EventRing* const ring = store.take(std::size_t{64} << 10);
  REQUIRE(ring != nullptr);
  CHECK(ring->capacity() == 4096);
  CHECK(store.bytes() == std::size_t{64} << 10);
  ring->refresh();
  ring->put(0, {1, 2});
  ring->commit(1);
  store.release_pages();
  CHECK(store.bytes() == 0);
  // A thread that was held up in the middle of a record writes into an empty page.
  ring->put(0, {3, 4});
  ring->commit(1);
  CHECK(ring->at(1).a == 3);
  store.fault_pages();
  CHECK(store.bytes() == std::size_t{64} << 10);
  CHECK(ring->at(1).a == 3);
  CHECK(ring->tail() == 2);
}

TEST_CASE("ring store: makes no more than its limit, and gives the same memory again") {
  RingStore store;
  store.set_limit(std::size_t{192} << 10);
  EventRing* const small = store.take(std::size_t{64} << 10);
  EventRing* const large = store.take(std::size_t{128} << 10);
  REQUIRE(small != nullptr);
  REQUIRE(large != nullptr);
  CHECK(store.take(std::size_t{64} << 10) == nullptr);
  small->close();
  store.give_back(small);
  CHECK(store.take(std::size_t{128} << 10) == nullptr);
  EventRing* const again = store.take(std::size_t{64} << 10);
  CHECK(again == small);
  CHECK_FALSE(again->closed());
}

TEST_CASE("producers: a thread finds what was reserved for it, others what is in stock") {
  Producers& producers = Producers::of_process();
  producers.configure({.worker_bytes = std::size_t{1} << 20});
  std::atomic<std::int32_t> tid{0};
  std::atomic<int> phase{0};
  Producer *reserved = nullptr, *stocked = nullptr, *same = nullptr;
  std::thread worker([&] {
    tid = static_cast<std::int32_t>(gettid());
    phase = 1;
    phase.notify_all();
    phase.wait(1);
    reserved = this_producer(true);
    same = this_producer(false);
  });
  phase.wait(0);
  producers.reserve(tid, 7);
  producers.reserve(tid, 7);  // changes nothing
  producers.stock(0, 2);
  phase = 2;
  phase.notify_all();
  worker.join();
  std::thread([&] { stocked = this_producer(false); }).join();
  CHECK(reserved != nullptr);
  CHECK(same == reserved);
  CHECK(stocked != nullptr);
  CHECK(stocked != reserved);
}

TEST_CASE("producers: where there is no ring, records are dropped and counted by kind") {
  Producers& producers = Producers::of_process();
  producers.configure({.worker_bytes = std::size_t{64} << 10});  // takes what was in stock
  const Dropped before = Producers::dropped_without_producer();
  std::thread([] {
    for (int i = 0; i < 10; ++i) {
      recorder::task_spawned({}, read_ticks());
      recorder::poll_started(TaskId{1}, WorkerId{1}, read_ticks());
      const Wait waits[3] = {};
      recorder::poll_ended(TaskId{1}, read_ticks(), PollEnd::Pending, waits);
      recorder::woken({}, read_ticks());
    }
  }).join();
  const Dropped dropped = Producers::dropped_without_producer() - before;
  CHECK(dropped == Dropped{.events = 70, .spawns = 10, .polls = 10, .wakes = 10});
}
