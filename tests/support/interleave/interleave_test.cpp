// The checker itself: it finds what the standard allows, and nothing more.

#include "taskscope/tests/support/interleave/interleave.h"

#include <catch2/catch.hpp>
#include <mutex>
#include <set>

#include "taskscope/runtime/atomic.h"

using namespace taskscope::interleave;
using taskscope::runtime::Atomic;
using taskscope::runtime::fence;
using taskscope::runtime::futex_wait;
using taskscope::runtime::futex_wake;
using taskscope::runtime::ThreadMutex;

namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kAcqRel = std::memory_order_acq_rel;
constexpr auto kSeqCst = std::memory_order_seq_cst;

/// All outcomes of a case that ends in a number.
template <class Body>
std::set<int> outcomes(Body body, const Options& options = {}) {
  std::set<int> seen;
  const auto result = explore([&] { seen.insert(body()); }, options);
  REQUIRE_FALSE(result.failure);
  REQUIRE(result.complete);
  return seen;
}
bool fails_with(const Result& result, const std::string& what) {
  return result.failure && result.failure->find(what) != std::string::npos;
}

/// Two threads write one word each and read the other's.
auto store_buffering(std::memory_order store, std::memory_order load, bool fences = false) {
  return outcomes([=] {
    Atomic<int> x{0}, y{0};
    int a = 0, b = 0;
    threads(
        [&] {
          x.store(1, store);
          if (fences) fence(kSeqCst);
          a = y.load(load);
        },
        [&] {
          y.store(1, store);
          if (fences) fence(kSeqCst);
          b = x.load(load);
        });
    return 10 * a + b;
  });
}

/// Data, then a flag; the reader looks at the flag, then at the data.
auto message_passing(std::memory_order store, std::memory_order load) {
  return outcomes([=] {
    Atomic<int> data{0}, flag{0};
    int a = 0, b = 0;
    threads(
        [&] {
          data.store(1, kRelaxed);
          flag.store(1, store);
        },
        [&] {
          a = flag.load(load);
          b = data.load(kRelaxed);
        });
    return 10 * a + b;
  });
}

/// Two independent writers, two readers that may disagree on who was first.
auto independent_reads(std::memory_order store, std::memory_order load) {
  return outcomes([=] {
    Atomic<int> x{0}, y{0};
    int a = 0, b = 0, c = 0, d = 0;
    threads([&] { x.store(1, store); }, [&] { y.store(1, store); },
            [&] {
              a = x.load(load);
              b = y.load(load);
            },
            [&] {
              c = y.load(load);
              d = x.load(load);
            });
    return 1000 * a + 100 * b + 10 * c + d;
  });
}

}  // namespace

TEST_CASE("interleave: store buffering is forbidden by seq_cst alone, operations or fences") {
  CHECK(store_buffering(kRelease, kAcquire) == std::set{0, 1, 10, 11});
  CHECK(store_buffering(kSeqCst, kAcquire).contains(0));
  CHECK(store_buffering(kRelease, kSeqCst).contains(0));
  CHECK(store_buffering(kSeqCst, kSeqCst) == std::set{1, 10, 11});
  CHECK(store_buffering(kRelaxed, kRelaxed, true) == std::set{1, 10, 11});
}

TEST_CASE("interleave: a seq_cst operation on one side and a fence on the other forbid it, too") {
  const auto seen = outcomes([] {
    Atomic<int> x{0}, y{0};
    int a = 0, b = 0;
    threads(
        [&] {
          x.store(1, kRelaxed);
          fence(kSeqCst);
          a = y.load(kRelaxed);
        },
        [&] {
          y.store(1, kSeqCst);
          b = x.load(kSeqCst);
        });
    return 10 * a + b;
  });
  CHECK(seen == std::set{1, 10, 11});
}

TEST_CASE("interleave: a message needs a release and an acquire") {
  CHECK(message_passing(kRelease, kAcquire) == std::set{0, 1, 11});
  CHECK(message_passing(kRelaxed, kAcquire) == std::set{0, 1, 10, 11});
  CHECK(message_passing(kRelease, kRelaxed) == std::set{0, 1, 10, 11});
  CHECK(message_passing(kSeqCst, kSeqCst) == std::set{0, 1, 11});
}

TEST_CASE("interleave: fences pass a message between relaxed operations, and only both of them") {
  const auto pass = [](std::memory_order written, std::memory_order read) {
    return outcomes([=] {
      Atomic<int> data{0}, flag{0};
      int a = 0, b = 0;
      threads(
          [&] {
            data.store(1, kRelaxed);
            fence(written);
            flag.store(1, kRelaxed);
          },
          [&] {
            a = flag.load(kRelaxed);
            fence(read);
            b = data.load(kRelaxed);
          });
      return 10 * a + b;
    });
  };
  CHECK(pass(kRelease, kAcquire) == std::set{0, 1, 11});
  CHECK(pass(kAcquire, kAcquire).contains(10));
  CHECK(pass(kRelease, kRelease).contains(10));
}

TEST_CASE("interleave: readers agree on the order of independent writes only under seq_cst") {
  CHECK(independent_reads(kRelease, kAcquire).contains(1010));
  CHECK_FALSE(independent_reads(kSeqCst, kSeqCst).contains(1010));
  CHECK(independent_reads(kSeqCst, kSeqCst).size() == 15);
}

TEST_CASE("interleave: one word is read in its order, by one reader and along happens-before") {
  const auto one = outcomes([] {
    Atomic<int> x{0};
    int a = 0, b = 0;
    threads([&] { x.store(1, kRelaxed), x.store(2, kRelaxed); },
            [&] {
              a = x.load(kRelaxed);
              b = x.load(kRelaxed);
            });
    return 10 * a + b;
  });
  CHECK(one == std::set{0, 1, 2, 11, 12, 22});
  const auto along = outcomes([] {
    Atomic<int> x{0}, y{0};
    int a = 0, b = 0;
    threads([&] { x.store(1, kRelaxed); },
            [&] {
              a = x.load(kRelaxed);
              y.store(1, kRelease);
            },
            [&] { b = y.load(kAcquire) == 1 ? x.load(kRelaxed) : 2; });
    return 10 * a + b;
  });
  CHECK(along == std::set{0, 1, 2, 11, 12});  // never 10
}

TEST_CASE("interleave: a read-modify-write reads the newest and goes on with a release sequence") {
  CHECK(outcomes([] {
          Atomic<int> x{0};
          threads([&] { x.fetch_add(1, kRelaxed); }, [&] { x.fetch_add(1, kRelaxed); });
          return x.load(kRelaxed);
        }) == std::set{2});
  const auto through = [](bool by_store) {
    return explore([by_store] {
      Atomic<int> flag{0};
      Tracked<int> data;
      threads(
          [&] {
            data.write(1);
            flag.store(1, kRelease);
          },
          [&] {
            if (flag.load(kRelaxed) != 1) return;
            by_store ? flag.store(2, kRelaxed) : void(flag.fetch_add(1, kRelaxed));
          },
          [&] {
            if (flag.load(kAcquire) == 2) check(data.read() == 1, "the data is there");
          });
    });
  };
  CHECK(through(false).passed());
  CHECK(fails_with(through(true), "data race"));
}

TEST_CASE("interleave: a failed compare-exchange may have read an old value") {
  const auto seen = outcomes([] {
    Atomic<int> x{0}, y{0};
    int got = 0;
    threads([&] { x.store(1, kRelaxed), y.store(1, kRelaxed); },
            [&] {
              if (y.load(kRelaxed) != 1) return;
              int expected = 5;
              x.compare_exchange_strong(expected, 6, kRelaxed, kRelaxed);
              got = 10 + expected;
            });
    return got;
  });
  CHECK(seen == std::set{0, 10, 11});
}

TEST_CASE("interleave: what it does not model, as its header says") {
  // Load buffering: both loads would have to read what is stored later.
  const auto buffering = outcomes([] {
    Atomic<int> x{0}, y{0};
    int a = 0, b = 0;
    threads(
        [&] {
          a = x.load(kRelaxed);
          y.store(1, kRelaxed);
        },
        [&] {
          b = y.load(kRelaxed);
          x.store(1, kRelaxed);
        });
    return 10 * a + b;
  });
  CHECK_FALSE(buffering.contains(11));
  // 2+2W: each word's last store is the first of the other thread.
  const auto two_writes = outcomes([] {
    Atomic<int> x{0}, y{0};
    threads([&] { x.store(1, kRelaxed), y.store(2, kRelaxed); },
            [&] { y.store(1, kRelaxed), x.store(2, kRelaxed); });
    return 10 * x.load(kRelaxed) + y.load(kRelaxed);
  });
  CHECK_FALSE(two_writes.contains(11));
}

TEST_CASE("interleave: finds a spinlock that does not publish, and one that does not exclude") {
  const auto guarded = [](std::memory_order taken, std::memory_order left, bool atomically) {
    return explore([=] {
      Atomic<bool> held{false};
      Tracked<int> data;
      const auto use = [&] {
        for (;;) {
          if (!held.load(kRelaxed)) {
            if (!atomically) {
              held.store(true, taken == kAcquire ? kRelaxed : taken);
              break;
            }
            if (!held.exchange(true, taken)) break;
          }
          taskscope::runtime::yield_thread();
        }
        data.write(data.read() + 1);
        held.store(false, left);
      };
      threads(use, use);
      check(data.read() == 2, "both counted");
    });
  };
  CHECK(guarded(kAcquire, kRelease, true).passed());
  CHECK(fails_with(guarded(kRelaxed, kRelease, true), "data race"));
  CHECK(fails_with(guarded(kAcquire, kRelaxed, true), "data race"));
  CHECK(fails_with(guarded(kAcquire, kRelease, false), "data race"));
}

TEST_CASE("interleave: finds a lost wake-up as a deadlock, and replays it") {
  const auto sleep = [](bool looks_again) {
    return [=] {
      Atomic<std::uint32_t> word{0};
      threads(
          [&] {
            const auto seen = word.load(kAcquire);
            if (seen == 0) futex_wait(word, looks_again ? 0 : 1);
          },
          [&] {
            word.store(1, kRelease);
            futex_wake(word);
          });
    };
  };
  CHECK(explore(sleep(true)).passed());
  const auto lost = explore(sleep(false));
  REQUIRE(fails_with(lost, "deadlock"));
  const auto at = lost.failure->find("replay: ");
  REQUIRE(at != std::string::npos);
  const auto choices = lost.failure->substr(at + 8, lost.failure->find('\n', at) - at - 8);
  const auto again = explore(sleep(false), {.replay = choices});
  CHECK(again.executions == 1);
  CHECK(*again.failure == *lost.failure);
}

TEST_CASE("interleave: whom the kernel sends back sees the word's last value, and only that") {
  const auto other = outcomes([] {
    Atomic<std::uint32_t> word{0}, other{0};
    std::uint32_t seen = 0;
    threads(
        [&] {
          while (word.load(kRelaxed) == 0) futex_wait(word, 0);
          seen = other.load(kRelaxed);
        },
        [&] {
          other.store(1, kRelaxed);
          word.store(1, kRelease);
          futex_wake(word);
        });
    return static_cast<int>(seen);
  });
  CHECK(other == std::set{0, 1});
}

TEST_CASE("interleave: locks exclude, publish, and deadlock when taken crosswise") {
  CHECK(explore([] {
          ThreadMutex mutex;
          Tracked<int> data;
          const auto use = [&] {
            const std::lock_guard lock(mutex);
            data.write(data.read() + 1);
          };
          threads(use, use, use);
          check(data.read() == 3, "all counted");
        }).passed());
  CHECK(fails_with(explore([] {
                     ThreadMutex one, two;
                     threads(
                         [&] {
                           const std::lock_guard first(one);
                           const std::lock_guard second(two);
                         },
                         [&] {
                           const std::lock_guard first(two);
                           const std::lock_guard second(one);
                         });
                   }),
                   "deadlock"));
}

TEST_CASE("interleave: finds a word that is destroyed or made while another thread uses it") {
  const auto end = [](std::memory_order order) {
    return explore([=] {
      auto* word = new Atomic<int>{2};
      const auto drop = [=] {
        if (word->fetch_sub(1, order) == 1) delete word;
      };
      threads(drop, drop);
    });
  };
  CHECK(end(kAcqRel).passed());
  CHECK(fails_with(end(kRelease), "destroyed"));
  CHECK(fails_with(end(kAcquire), "destroyed"));
  CHECK(fails_with(explore([] {
                     Atomic<Atomic<int>*> shared{nullptr};
                     threads([&] { shared.store(new Atomic<int>{0}, kRelaxed); },
                             [&] {
                               if (auto* word = shared.load(kAcquire)) word->store(1, kRelaxed);
                             });
                   }),
                   "construction"));
}

TEST_CASE("interleave: equal executions are tried once; a bound on preemptions tries fewer") {
  const auto independent = [](int each) {
    return [=] {
      Atomic<int> x{0}, y{0};
      threads(
          [&] {
            for (int i = 0; i < each; ++i) x.fetch_add(1, kRelaxed);
          },
          [&] {
            for (int i = 0; i < each; ++i) y.fetch_add(1, kRelaxed);
          });
    };
  };
  CHECK(explore(independent(8)).executions < 50);
  // 10 over 5 interleavings of dependent steps, each of them different.
  const auto dependent = [] {
    Atomic<int> x{0};
    const auto add = [&] {
      for (int i = 0; i < 5; ++i) x.fetch_add(1, kRelaxed);
    };
    threads(add, add);
  };
  const auto all = explore(dependent);
  CHECK(all.executions >= 252);
  CHECK(all.executions < 600);
  CHECK(explore(dependent, {.preemptions = 1}).executions < 30);
  const auto cut = explore(dependent, {.executions = 10});
  CHECK(cut.executions == 10);
  CHECK_FALSE(cut.complete);
  CHECK_FALSE(cut.passed());
}
