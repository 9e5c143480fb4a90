/// Sleeping on a word, with a deadline: what std::atomic::wait lacks.
#pragma once

#include <atomic>
#include <cstdint>

namespace taskscope::runtime::scheduler {

constexpr std::uint64_t kForever = ~std::uint64_t{0};

/// Sleeps while `word` is `expected`, at most `timeout_ns`. May return early for no reason.
void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                std::uint64_t timeout_ns) noexcept;
/// Wakes one sleeper. The word may be gone already; then nobody is woken.
void futex_wake(std::atomic<std::uint32_t>& word) noexcept;

}  // namespace taskscope::runtime::scheduler
