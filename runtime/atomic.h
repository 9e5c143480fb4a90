/// How threads of the runtime share words, wait for each other and sleep.
///
/// Everything lock-free spells its atomics this way, so that a test can put its own in their place
/// and try every interleaving: a build that defines TASKSCOPE_INTERLEAVE, as the name of a header
/// to include, takes all that is below from there. Such a stand-in has only the named operations,
/// with their order written out: no `word = 1`, no `++word`.
#pragma once

#include <cstdint>

#ifdef TASKSCOPE_INTERLEAVE
#include TASKSCOPE_INTERLEAVE
#else
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <thread>

namespace taskscope::runtime {

template <class T>
using Atomic = std::atomic<T>;
/// A lock of threads, as opposed to sync::Mutex; for locks around which or in which words are
/// shared.
using ThreadMutex = std::mutex;
using ThreadSharedMutex = std::shared_mutex;

inline void fence(std::memory_order order) noexcept { std::atomic_thread_fence(order); }
/// Between two looks at a word that another thread is about to change.
inline void spin_pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}
/// The same when it takes long: that thread may want this core.
inline void yield_thread() noexcept { std::this_thread::yield(); }
/// And when even that does not help: some 50 us.
void sleep_briefly() noexcept;
/// How often to look before sleeping; a test tries all outcomes and need not look as often.
constexpr int spins(int wanted) noexcept { return wanted; }

constexpr std::uint64_t kForever = ~std::uint64_t{0};
/// Sleeps while `word` is `expected`, at most `timeout_ns`. May return early for no reason.
void futex_wait(Atomic<std::uint32_t>& word, std::uint32_t expected,
                std::uint64_t timeout_ns = kForever) noexcept;
/// Wakes one sleeper. The word may be gone already; then nobody is woken, or one who looks again.
void futex_wake(Atomic<std::uint32_t>& word) noexcept;

}  // namespace taskscope::runtime
#endif
