#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/observe/ticks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdio>
#include <cstring>

namespace taskscope::runtime::observe {

namespace {

/// The counter is used only where it ticks at one rate through all power states (CPUID 8000'0007h
/// EDX bit 8) and the kernel itself trusts it: a guest whose host migrates it has the bit and a
/// clock source of its own.
bool decide_tsc() noexcept {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(0x80000007u, &a, &b, &c, &d) == 0 || (d & (1u << 8)) == 0) return false;
  char name[32] = {};
  if (std::FILE* file =
          std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re")) {
    if (std::fgets(name, sizeof name, file) == nullptr) name[0] = '\0';
    std::fclose(file);
  }
  // kvm-clock is itself computed from the counter; hpet or acpi_pm means that the kernel found it
  // unstable.
  return std::strncmp(name, "hpet", 4) != 0 && std::strncmp(name, "acpi_pm", 7) != 0;
#else
  return false;
#endif
}

}  // namespace

namespace detail {
const bool tsc_is_invariant = decide_tsc();
}

bool ticks_are_tsc() noexcept { return detail::tsc_is_invariant; }

bool set_observer(Observer& observer) noexcept {
  Observer* expected = nullptr;
  // Release: publishes the observer to the acquire load in observer().
  return detail::observer.compare_exchange_strong(expected, &observer, std::memory_order_release,
                                                  std::memory_order_relaxed);
}

void set_mask(std::uint32_t mask) noexcept {
  if (detail::observer.load(std::memory_order_relaxed) == nullptr) return;
  // Relaxed: see wants().
  detail::mask.store(mask & kAllEvents, std::memory_order_relaxed);
}

}  // namespace taskscope::runtime::observe
