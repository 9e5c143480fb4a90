/// Runs a small program of a few threads in every interleaving, under the memory model of C++20.
///
///     const auto result = interleave::explore([] {
///       runtime::Atomic<int> flag{0};
///       interleave::Tracked<int> data;
///       interleave::threads([&] { data.write(1); flag.store(1, std::memory_order_release); },
///                           [&] { if (flag.load(std::memory_order_acquire)) data.read(); });
///     });
///     CHECK(result.passed());
///
/// The threads are fibers of one thread, and every operation of runtime/atomic.h is a point where
/// another one may go on. The body runs once for each way to choose; so it must do nothing that
/// differs from run to run, and share what it shares through those operations and Tracked.
///
/// **What a load may return.** Each word has its stores in modification order, and each store knows
/// who has seen it since when. A load takes any store from the newest one backwards to the first
/// that it must have seen: its own, one that it or somebody who happens before it has read or
/// written (vector clocks), and for seq_cst loads and fences those that the single order S puts
/// before them ([atomics.order], as amended by P0668). Read-modify-writes take the newest; a failed
/// compare-exchange is a load. Release sequences and fences are followed.
///
/// **What is not tried.** Stores enter the modification order and S in the order of execution, so a
/// load never reads what is stored later in the run (load buffering), and two relaxed stores of two
/// threads never change places against it (2+2W). A weak compare-exchange does not fail without
/// cause. As loom.
///
/// **What is found.** A failed check, an assertion in the code under test, a data race on a Tracked
/// or on a word's construction and destruction, use of a word after its end, and a deadlock: nobody
/// can go on, which is how a lost wake-up looks.
///
/// Interleavings that differ only in the order of independent operations are tried once (sleep
/// sets, Godefroid 1996). With a bound on preemptions they are all tried, up to the bound.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace taskscope::interleave {

/// Threads of a case, with the one that runs its body.
constexpr std::size_t kThreads = 5;

struct Options {
  /// Give up after so many; the result says so.
  std::uint64_t executions = 2'000'000;
  /// At most so many switches away from a thread that could go on; none: unlimited.
  std::optional<int> preemptions;
  /// The choices of one execution, as a failure prints them: runs that one and no other.
  std::string replay;
};

/// An operation in the code under test, with its order.
struct Site {
  std::string file, function;
  unsigned line = 0, column = 0;
  std::string operation;
  std::memory_order order{};
};
[[nodiscard]] std::string name_of(std::memory_order order);
[[nodiscard]] std::string describe(const Site& site);

struct Result {
  std::uint64_t executions = 0;
  bool complete = false;               ///< all were tried
  std::optional<std::string> failure;  ///< the first one: what, its trace, and how to replay it
  std::vector<std::size_t> sites;      ///< operations that were executed: indices into sites()

  [[nodiscard]] bool passed() const noexcept { return complete && !failure; }
};

[[nodiscard]] Result explore(const std::function<void()>& body, const Options& options = {});

/// Every operation that any exploration in this process has met.
[[nodiscard]] const std::vector<Site>& sites() noexcept;
/// From now on `site` is executed with this order; none: as written.
void weaken(std::size_t site, std::memory_order order) noexcept;
void weaken_nothing() noexcept;

// --- within a body ---------------------------------------------------------------------------

/// Runs the functions as threads, and returns when all have ended.
void run_threads(std::vector<std::function<void()>> functions);
template <class... Functions>
void threads(Functions&&... functions) {
  run_threads({std::function<void()>(std::ref(functions))...});
}

/// Fails the execution if `condition` is false.
void check(bool condition, const char* what,
           std::source_location place = std::source_location::current());

/// A place for plain data that several threads use: says whether they race.
class Cell {
 public:
  Cell() noexcept = default;
  void on_read(const std::source_location& place) const noexcept;
  void on_write(const std::source_location& place) noexcept;

 private:
  struct Access {
    std::uint64_t execution = 0;
    std::uint32_t time[kThreads] = {};
  };
  void check_ordered(const Access& others, const char* what,
                     const std::source_location& place) const noexcept;
  mutable Access reads_;
  Access writes_;
};

template <class T>
class Tracked {
 public:
  using Place = std::source_location;
  explicit Tracked(T value = {}, Place place = Place::current()) noexcept
      : value_(std::move(value)) {
    cell_.on_write(place);
  }
  // A message is moved by the code under test: reads there, writes here.
  Tracked(Tracked&& other) noexcept : value_(std::exchange(other.value_, T{})) {
    other.cell_.on_write(Place::current());
    cell_.on_write(Place::current());
  }
  Tracked& operator=(Tracked&& other) noexcept {
    value_ = std::exchange(other.value_, T{});
    other.cell_.on_write(Place::current());
    cell_.on_write(Place::current());
    return *this;
  }
  ~Tracked() { cell_.on_write(Place::current()); }

  [[nodiscard]] const T& read(Place place = Place::current()) const noexcept {
    cell_.on_read(place);
    return value_;
  }
  void write(T value, Place place = Place::current()) noexcept {
    cell_.on_write(place);
    value_ = std::move(value);
  }

 private:
  T value_;
  Cell cell_;
};

/// A queue between threads of a case that is itself right. What is put happens before its taking;
/// or, relaxed, it does not: for a case in which the code under test has to see to that itself.
class Handoff {
 public:
  explicit Handoff(bool relaxed = false) noexcept : relaxed_(relaxed) {}
  Handoff(const Handoff&) = delete;
  Handoff& operator=(const Handoff&) = delete;
  void put(void* item, std::source_location place = std::source_location::current()) noexcept;
  /// Waits for an item; null once closed and empty.
  [[nodiscard]] void* take(std::source_location place = std::source_location::current()) noexcept;
  void close(std::source_location place = std::source_location::current()) noexcept;

 private:
  std::vector<void*> items_;
  bool closed_ = false;
  const bool relaxed_;
};

}  // namespace taskscope::interleave
