#include "taskscope/instrumentation/thread_stack.h"

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "taskscope/instrumentation/system_calls.h"
#include "taskscope/instrumentation/threads.h"

namespace taskscope::instrumentation {

namespace {

constexpr std::size_t kStackBytes = 128u << 10;  // that are copied; what lies deeper is cut
constexpr std::chrono::milliseconds kAnswerLimit{20};
constexpr const char* kNoMemory = "the system does not let the program read its own memory";
constexpr int kAttempts = 8;
constexpr std::chrono::microseconds kBetweenAttempts{150};

// --- the signal

/// Where the handler leaves its answer. One question at a time:
///
///     Idle ── ask ──▶ Asked ── handler ──▶ Writing ── handler ──▶ Answered ── taken ──▶ Idle
///                       └────── given up (the handler finds another question, or none) ──▶ Idle
///
/// A thread that is kept from running while it writes keeps the slot, and nobody else is asked.
struct Slot {
  enum State : std::uint64_t { Idle, Asked, Writing, Answered };

  /// State in the low bits, the question's number above. The asker goes from Idle to Asked with
  /// release, so that the handler's acquire sees an empty slot; the handler to Answered with
  /// release, which the asker's acquire pairs with.
  std::atomic<std::uint64_t> state{Idle};
  std::atomic<int> signal{0};               // written by the asker
  std::atomic<std::uint64_t> sent{0};       // written by the asker: a count
  std::atomic<std::uint64_t> restarted{0};  // counted by handlers
  std::uint64_t question = 0;               // the asker's

  // The handler's while Writing, the asker's while Answered.
  Registers registers;
  std::uint64_t base = 0;
  std::size_t bytes = 0;
  alignas(kPageBytes) std::array<std::uint64_t, kStackBytes / sizeof(std::uint64_t)> stack{};
};

/// Never destroyed: a signal may come late.
constinit Slot slot;
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);  // for the handler

constexpr std::uint64_t with_state(std::uint64_t question, Slot::State state) {
  return question << 2 | state;
}

void read_registers(const ucontext_t& context, Registers& to) noexcept {
  const auto& machine = context.uc_mcontext;
#if defined(__aarch64__)
  to.pc = machine.pc;
  for (std::size_t i = 0; i < 31; ++i) to.set(i, machine.regs[i]);
  to.set(Registers::kStack, machine.sp);
#else
  constexpr int kByDwarf[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                              REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};
  to.known = 0;
  for (std::size_t i = 0; i < std::size(kByDwarf); ++i)
    to.set(i, static_cast<std::uint64_t>(machine.gregs[kByDwarf[i]]));
  to.pc = static_cast<std::uint64_t>(machine.gregs[REG_RIP]);
#endif
}

#if defined(__x86_64__)
/// Calls that a signal ends with EINTR whatever SA_RESTART says, and that can begin again.
constexpr bool is_never_restarted(std::int32_t number) {
  switch (number) {
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
#endif
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
    case SYS_futex:
    case SYS_pause:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigtimedwait:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_msgsnd:
    case SYS_msgrcv:
    case SYS_io_getevents:
    // With a time limit on the socket.
    case SYS_accept:
    case SYS_accept4:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
      return true;
    default:
      return false;
  }
}
#endif

/// Sets a thread whose system call ended with EINTR because of us back to that call.
void restart_call(ucontext_t& context) noexcept {
#if defined(__x86_64__)
  auto& registers = context.uc_mcontext.gregs;
  if (registers[REG_RAX] != -EINTR) return;
  // mov $number, %eax; syscall
  unsigned char code[7];
  if (copy_own_memory(code, static_cast<std::uint64_t>(registers[REG_RIP]) - sizeof code,
                      sizeof code) != sizeof code ||
      code[0] != 0xb8 || code[5] != 0x0f || code[6] != 0x05)
    return;
  std::int32_t number = 0;
  std::memcpy(&number, code + 1, sizeof number);
  if (!is_never_restarted(number)) return;
  registers[REG_RIP] -= 2;
  registers[REG_RAX] = number;
  slot.restarted.fetch_add(1, std::memory_order_relaxed);
#else
  static_cast<void>(context);  // the call's first argument is gone
#endif
}

/// Runs on the thread that was asked, between any two instructions of it.
void answer(int, siginfo_t* info, void* untyped) {
  const int error = errno;
  auto& context = *static_cast<ucontext_t*>(untyped);
  if (info->si_code == SI_QUEUE && info->si_pid == getpid()) {
    restart_call(context);
    const auto question =
        static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(info->si_value.sival_ptr));
    std::uint64_t expected = with_state(question, Slot::Asked);
    if (slot.state.compare_exchange_strong(expected, with_state(question, Slot::Writing),
                                           std::memory_order_acquire, std::memory_order_relaxed)) {
      read_registers(context, slot.registers);
      slot.base = slot.registers.values[Registers::kStack] & ~std::uint64_t{7};
      slot.bytes = copy_own_memory(slot.stack.data(), slot.base, kStackBytes);
      slot.state.store(with_state(question, Slot::Answered), std::memory_order_release);
    }
  }
  errno = error;
}

bool is_ours(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == &answer;
}

/// The number of a signal that is ours; 0 when the program handles them all.
int claim_signal() {
  struct sigaction ours{}, before{};
  ours.sa_sigaction = &answer;
  ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&ours.sa_mask);
  const int current = slot.signal.load(std::memory_order_relaxed);
  if (current != 0 && sigaction(current, nullptr, &before) == 0 && is_ours(before)) return current;
  // The lowest are delivered first, so that the program's own come before ours; and most programs
  // begin to count at the lowest.
  for (int number = SIGRTMAX; number >= SIGRTMIN; --number) {
    if (sigaction(number, nullptr, &before) != 0) continue;
    if (!is_ours(before)) {
      if ((before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL) continue;
      struct sigaction replaced{};
      if (sigaction(number, &ours, &replaced) != 0) continue;
      // Somebody was faster than us between the two calls.
      if ((replaced.sa_flags & SA_SIGINFO) != 0 || replaced.sa_handler != SIG_DFL) {
        sigaction(number, &replaced, nullptr);
        continue;
      }
    }
    slot.signal.store(number, std::memory_order_relaxed);
    return number;
  }
  return 0;
}

// --- /proc

struct Waiting {
  long call = -1;  // -1: waits for something else, a page for example
  std::uint64_t sp = 0, pc = 0;
  bool operator==(const Waiting&) const = default;
};

enum class Look { Runs, Waits, Unknown };

/// "running", or "CALL six-arguments SP PC", or "-1 SP PC".
Look look_at(std::int32_t tid, Waiting& waiting) {
  const std::string text = read_thread_file(tid, "syscall");
  if (text.empty()) return Look::Unknown;
  if (text.starts_with("running")) return Look::Runs;
  char* at = nullptr;
  waiting.call = std::strtol(text.c_str(), &at, 10);
  std::uint64_t last[2] = {};
  while (*at == ' ') {
    last[0] = last[1];
    last[1] = std::strtoull(at, &at, 16);
  }
  waiting.sp = last[0];
  waiting.pc = last[1];
  return waiting.sp != 0 && waiting.pc != 0 ? Look::Waits : Look::Unknown;
}

/// Would the thread get the signal?
bool lets_through(std::int32_t tid, int number) {
  const std::string status = read_thread_file(tid, "status");
  const auto at = status.find("SigBlk:");
  if (at == std::string::npos) return false;
  const auto blocked = std::strtoull(status.c_str() + at + 7, nullptr, 16);
  return (blocked >> (number - 1) & 1) == 0;
}

}  // namespace

std::uint64_t ThreadStacks::signals_sent() noexcept {
  return slot.sent.load(std::memory_order_relaxed);
}
std::uint64_t ThreadStacks::calls_restarted() noexcept {
  return slot.restarted.load(std::memory_order_relaxed);
}
int ThreadStacks::signal_number() noexcept { return slot.signal.load(std::memory_order_relaxed); }

ThreadStack ThreadStacks::read(std::int32_t tid, int signals, std::uint64_t waits_before) {
  ThreadStack stack;
  Registers registers;
  // A thread may begin or end to wait while it is read; then it is looked at again.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kBetweenAttempts);
    stack = {};
    Waiting waiting;
    const Look look = look_at(tid, waiting);
    if (look == Look::Unknown) {
      stack.problem = "the system does not say what the thread does";
      return stack;
    }
    bool is_read = false;
    if (look == Look::Waits) {
      is_read = copy_waiting(tid, stack, registers);
    } else if (signals > 0) {
      const std::uint64_t before = signals_sent();
      is_read = copy_running(tid, waits_before, stack, registers);
      signals -= static_cast<int>(signals_sent() - before);
      if (!stack.problem.empty()) return stack;
    } else {
      stack.problem = "it runs, and was asked often enough";
      return stack;
    }
    if (!is_read) continue;
    memory_.forget();
    code_.refresh(memory_);
    stack.callers = unwind(registers, {.base = base_, .words = stack_}, code_, memory_);
    stack.problem.clear();
    return stack;
  }
  if (stack.problem.empty()) stack.problem = "it waits and runs in turn, each for a short time";
  return stack;
}

bool ThreadStacks::copy_waiting(std::int32_t tid, ThreadStack& to, Registers& registers) {
  Waiting before, after;
  if (look_at(tid, before) != Look::Waits) return false;
  base_ = before.sp & ~std::uint64_t{7};
  stack_.resize(kStackBytes / sizeof(std::uint64_t));
  const std::size_t got = copy_own_memory(stack_.data(), base_, kStackBytes);
  if (got == 0) to.problem = kNoMemory;
  if (got == 0 || look_at(tid, after) != Look::Waits || before != after) return false;
  stack_.resize(got / sizeof(std::uint64_t));
  to.in_kernel = true;
  if (before.call >= 0) to.system_call = system_call_name(before.call);
  registers = {};
  registers.pc = before.pc;
  registers.set(Registers::kStack, before.sp);
  return true;
}

std::uint64_t ThreadStacks::waits(std::int32_t tid) {
  const std::string status = read_thread_file(tid, "status");
  constexpr std::string_view kName = "\nvoluntary_ctxt_switches:";
  const auto at = status.find(kName);
  if (at == std::string::npos) return 0;
  return std::strtoull(status.c_str() + at + kName.size(), nullptr, 10) + 1;
}

bool ThreadStacks::copy_running(std::int32_t tid, std::uint64_t waits_before, ThreadStack& to,
                                Registers& registers) {
  // One asker in the process: tests make several.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const int number = claim_signal();
  if (number == 0) {
    to.problem = "the program handles all real-time signals, so it can't be asked while it runs";
    return false;
  }
  if (!lets_through(tid, number)) {
    to.problem = "its thread blocks signals, so it can't be asked while it runs";
    return false;
  }
  if ((slot.state.load(std::memory_order_relaxed) & 3) != Slot::Idle) {
    // The thread that was asked before has been kept from running; has it answered now?
    if ((slot.state.load(std::memory_order_acquire) & 3) != Slot::Answered) {
      to.problem = "another thread still answers";
      return false;
    }
  }
  const std::uint64_t question = ++slot.question;
  slot.state.store(with_state(question, Slot::Asked), std::memory_order_release);
  siginfo_t info{};
  info.si_signo = number;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = reinterpret_cast<void*>(static_cast<std::uintptr_t>(question));
  // As late as can be: a thread that waits is not to be woken.
  Waiting waiting;
  if (waits(tid) != waits_before || look_at(tid, waiting) != Look::Runs ||
      syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, number, &info) != 0) {
    slot.state.store(with_state(question, Slot::Idle), std::memory_order_relaxed);
    return false;
  }
  slot.sent.fetch_add(1, std::memory_order_relaxed);

  const auto limit = std::chrono::steady_clock::now() + kAnswerLimit;
  auto pause = std::chrono::microseconds(20);
  while (slot.state.load(std::memory_order_acquire) != with_state(question, Slot::Answered)) {
    if (std::chrono::steady_clock::now() > limit) {
      std::uint64_t expected = with_state(question, Slot::Asked);
      if (slot.state.compare_exchange_strong(expected, with_state(question, Slot::Idle),
                                             std::memory_order_relaxed))
        to.problem = "its thread did not answer in time; it may be waiting for a processor";
      else if (expected != with_state(question, Slot::Answered))
        to.problem = "its thread did not answer in time";
      if (!to.problem.empty()) return false;
      break;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min<std::chrono::microseconds>(pause * 2, std::chrono::microseconds(1000));
  }
  registers = slot.registers;
  base_ = slot.base;
  stack_.assign(slot.stack.begin(),
                slot.stack.begin() + static_cast<std::ptrdiff_t>(slot.bytes / 8));
  slot.state.store(with_state(question, Slot::Idle), std::memory_order_release);
  if (stack_.empty()) {
    to.problem = kNoMemory;
    return false;
  }
  return true;
}

}  // namespace taskscope::instrumentation
