#include "taskscope/runtime/sync/lock.h"

#include <catch2/catch.hpp>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

using taskscope::runtime::sync::Lock;

TEST_CASE("a lock excludes threads, those that spin and those that sleep") {
  Lock lock;
  long count = 0;
  constexpr int kThreads = 8, kRounds = 20'000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&lock, &count] {
      for (int round = 0; round < kRounds; ++round) {
        const std::lock_guard guard(lock);
        ++count;
        // Held long enough now and then that the others go to sleep.
        if (round % 1000 == 0) std::this_thread::yield();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(count == long{kThreads} * kRounds);
}

TEST_CASE("what a lock guards may be destroyed by the next to hold it") {
  for (int round = 0; round < 2000; ++round) {
    struct Guarded {
      Lock lock;
      bool done = false;
    };
    auto guarded = std::make_unique<Guarded>();
    std::thread other([&shared = *guarded] {
      const std::lock_guard guard(shared.lock);
      shared.done = true;
    });
    for (bool done = false; !done; std::this_thread::yield()) {
      const std::lock_guard guard(guarded->lock);
      done = guarded->done;
    }
    guarded.reset();
    other.join();
  }
}
