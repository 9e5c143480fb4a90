#include "taskscope/console/app/commands/signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>

namespace taskscope::console::app::commands {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

// Written by the handler and read in loops, or the other way round: relaxed, each stands alone.
std::atomic<bool> signal_came{false};
std::atomic<pid_t> passed_to{0};
static_assert(std::atomic<pid_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

struct sigaction before[std::size(kSignals)];

extern "C" void note_signal(int number, siginfo_t* info, void*) {
  const int saved = errno;
  signal_came.store(true, std::memory_order_relaxed);
  const pid_t child = passed_to.load(std::memory_order_relaxed);
  if (child > 0 && info->si_code != SI_KERNEL) ::kill(child, number);
  errno = saved;
}

}  // namespace

Signals::Signals() {
  signal_came.store(false, std::memory_order_relaxed);
  passed_to.store(0, std::memory_order_relaxed);
  struct sigaction action{};
  action.sa_sigaction = &note_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < std::size(kSignals); ++i)
    ::sigaction(kSignals[i], &action, &before[i]);
}

Signals::~Signals() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i)
    ::sigaction(kSignals[i], &before[i], nullptr);
}

void Signals::pass_on_to(pid_t child) noexcept {
  passed_to.store(child, std::memory_order_relaxed);
}
bool Signals::came() const noexcept { return signal_came.load(std::memory_order_relaxed); }

}  // namespace taskscope::console::app::commands
