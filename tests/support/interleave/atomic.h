/// What runtime/atomic.h becomes in a program that tries every interleaving: the same names, and
/// each operation tells the model where it stands and asks it what to do.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

namespace taskscope::interleave {

using Order = std::memory_order;
using Place = std::source_location;

// The model. Values travel as 64 bits; `last` is what the word holds as long as no case runs.
void word_created(const void* word, std::uint64_t value) noexcept;
void word_destroyed(const void* word) noexcept;
[[nodiscard]] std::uint64_t word_load(const void* word, std::uint64_t last, Order order,
                                      const Place& place) noexcept;
void word_store(const void* word, std::uint64_t last, std::uint64_t value, Order order,
                const Place& place) noexcept;
/// A read-modify-write is a begin, which tells the value, and an end; nobody runs in between.
[[nodiscard]] std::uint64_t word_modify(const void* word, std::uint64_t last, const char* name,
                                        Order order, const Place& place) noexcept;
void word_modified(const void* word, std::uint64_t value) noexcept;
/// False: `expected` is what was read instead.
[[nodiscard]] bool word_compare_exchange(const void* word, std::uint64_t last,
                                         std::uint64_t& expected, std::uint64_t desired,
                                         Order success, const Order* failure,
                                         const Place& place) noexcept;
void lock_created(const void* lock) noexcept;
void lock_take(const void* lock, const Place& place) noexcept;
[[nodiscard]] bool lock_try(const void* lock, const Place& place) noexcept;
void lock_release(const void* lock, const Place& place) noexcept;

}  // namespace taskscope::interleave

namespace taskscope::runtime {

template <class T>
class Atomic {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  using Order = std::memory_order;
  using Place = std::source_location;

 public:
  Atomic() noexcept : Atomic(T{}) {}
  Atomic(T value) noexcept : value_(value) { interleave::word_created(this, bits(value)); }
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;
  ~Atomic() { interleave::word_destroyed(this); }

  [[nodiscard]] T load(Order order, Place place = Place::current()) const noexcept {
    return value(interleave::word_load(this, bits(value_), order, place));
  }
  void store(T desired, Order order, Place place = Place::current()) noexcept {
    interleave::word_store(this, bits(value_), bits(desired), order, place);
    value_ = desired;
  }
  T exchange(T desired, Order order, Place place = Place::current()) noexcept {
    return modify("exchange", order, place, [&](T) { return desired; });
  }
  T fetch_add(T operand, Order order, Place place = Place::current()) noexcept {
    return modify("fetch_add", order, place, [&](T before) { return T(before + operand); });
  }
  T fetch_sub(T operand, Order order, Place place = Place::current()) noexcept {
    return modify("fetch_sub", order, place, [&](T before) { return T(before - operand); });
  }
  T fetch_and(T operand, Order order, Place place = Place::current()) noexcept {
    return modify("fetch_and", order, place, [&](T before) { return T(before & operand); });
  }
  T fetch_or(T operand, Order order, Place place = Place::current()) noexcept {
    return modify("fetch_or", order, place, [&](T before) { return T(before | operand); });
  }
  T fetch_xor(T operand, Order order, Place place = Place::current()) noexcept {
    return modify("fetch_xor", order, place, [&](T before) { return T(before ^ operand); });
  }
  bool compare_exchange_strong(T& expected, T desired, Order order,
                               Place place = Place::current()) noexcept {
    return compare_exchange(expected, desired, order, nullptr, place);
  }
  bool compare_exchange_strong(T& expected, T desired, Order success, Order failure,
                               Place place = Place::current()) noexcept {
    return compare_exchange(expected, desired, success, &failure, place);
  }
  bool compare_exchange_weak(T& expected, T desired, Order order,
                             Place place = Place::current()) noexcept {
    return compare_exchange(expected, desired, order, nullptr, place);
  }
  bool compare_exchange_weak(T& expected, T desired, Order success, Order failure,
                             Place place = Place::current()) noexcept {
    return compare_exchange(expected, desired, success, &failure, place);
  }

 private:
  static std::uint64_t bits(T value) noexcept {
    std::uint64_t all = 0;
    std::memcpy(&all, &value, sizeof(T));
    return all;
  }
  static T value(std::uint64_t all) noexcept {
    T value;
    std::memcpy(&value, &all, sizeof(T));
    return value;
  }
  template <class Change>
  T modify(const char* name, Order order, const Place& place, Change change) noexcept {
    const T before = value(interleave::word_modify(this, bits(value_), name, order, place));
    value_ = change(before);
    interleave::word_modified(this, bits(value_));
    return before;
  }
  bool compare_exchange(T& expected, T desired, Order success, const Order* failure,
                        const Place& place) noexcept {
    std::uint64_t found = bits(expected);
    const bool exchanged = interleave::word_compare_exchange(
        this, bits(value_), found, bits(desired), success, failure, place);
    if (exchanged) {
      value_ = desired;
    } else {
      expected = value(found);
    }
    return exchanged;
  }

  T value_;
};

/// Also tells the model what happens before what: for locks, a release is seen by the next taker.
class ThreadMutex {
 public:
  ThreadMutex() noexcept { interleave::lock_created(this); }
  ThreadMutex(const ThreadMutex&) = delete;
  ThreadMutex& operator=(const ThreadMutex&) = delete;
  void lock(std::source_location place = std::source_location::current()) noexcept {
    interleave::lock_take(this, place);
  }
  [[nodiscard]] bool try_lock(
      std::source_location place = std::source_location::current()) noexcept {
    return interleave::lock_try(this, place);
  }
  void unlock(std::source_location place = std::source_location::current()) noexcept {
    interleave::lock_release(this, place);
  }
};

/// Readers exclude each other, too: one less to choose from, and none of what it guards.
class ThreadSharedMutex : public ThreadMutex {
 public:
  void lock_shared(std::source_location place = std::source_location::current()) noexcept {
    lock(place);
  }
  [[nodiscard]] bool try_lock_shared(
      std::source_location place = std::source_location::current()) noexcept {
    return try_lock(place);
  }
  void unlock_shared(std::source_location place = std::source_location::current()) noexcept {
    unlock(place);
  }
};

void fence(std::memory_order order,
           std::source_location place = std::source_location::current()) noexcept;
/// Nothing: who looks again does it at the next step anyway.
inline void spin_pause() noexcept {}
/// Sleeps until the word that this thread read last has changed: who spins for ever is stuck.
void yield_thread(std::source_location place = std::source_location::current()) noexcept;
inline void sleep_briefly(std::source_location place = std::source_location::current()) noexcept {
  yield_thread(place);
}
/// One look more tells nothing that the first did not.
constexpr int spins(int wanted) noexcept { return wanted < 1 ? wanted : 1; }

constexpr std::uint64_t kForever = ~std::uint64_t{0};
/// With a timeout it gives up only when nobody else can go on.
void futex_wait(Atomic<std::uint32_t>& word, std::uint32_t expected,
                std::uint64_t timeout_ns = kForever,
                std::source_location place = std::source_location::current()) noexcept;
void futex_wake(Atomic<std::uint32_t>& word,
                std::source_location place = std::source_location::current()) noexcept;

}  // namespace taskscope::runtime
