/// Stacks of threads that know nothing of it.

#include "taskscope/instrumentation/thread_stack.h"

#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <limits>
#include <thread>

#include <catch2/catch.hpp>

#include "taskscope/tests/instrumentation/blocking_calls.h"

using namespace taskscope;
using namespace taskscope::instrumentation;
using namespace taskscope::test;
using namespace std::chrono_literals;

namespace {

constexpr int kDepth = 5;

/// A thread that blocks until it is released.
struct Blocked {
  explicit Blocked(Blocking how) : thread([this, how] { block_deeply(block, how, kDepth); }) {
    while (block.tid.load() == 0) std::this_thread::yield();
  }
  ~Blocked() {
    block.release();
    thread.join();
  }
  Block block;
  std::thread thread;
};

ThreadStack read(ThreadStacks& stacks, const Blocked& blocked, int signals) {
  const auto tid = blocked.block.tid.load();
  return stacks.read(tid, signals, ThreadStacks::waits(tid));
}

/// Reads until the thread is where it will stay.
ThreadStack read_when(ThreadStacks& stacks, const Blocked& blocked, bool in_kernel) {
  const auto limit = std::chrono::steady_clock::now() + 20s;
  ThreadStack stack;
  do {
    stack = read(stacks, blocked, in_kernel ? 0 : 1);
  } while ((!stack.problem.empty() || stack.in_kernel != in_kernel) &&
           std::chrono::steady_clock::now() < limit);
  return stack;
}

void check_callers(const ThreadStack& stack, Blocking how) {
  const auto& frames = stack.callers.frames;
  INFO(stack.problem);
  REQUIRE(!frames.empty());
  CHECK_FALSE(stack.callers.is_cut);
  const auto leaf = place_in(frames, address_of(how));
  REQUIRE(leaf != SIZE_MAX);
  CHECK(times_in(frames, address_of(how)) == 1);
  CHECK(times_in(frames, address_of(&block_deeply)) == kDepth + 1);
  CHECK(place_in(frames, address_of(&block_deeply)) == leaf + 1);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    INFO("frame " << i);
    CHECK(frames[i].module != 0);
    // Who called through a pointer can't be told for sure from a thread that waits.
    CHECK((!frames[i].guessed || (stack.in_kernel && i == leaf + 1)));
  }
}

std::vector<struct sigaction> real_time_actions() {
  std::vector<struct sigaction> actions;
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number)
    sigaction(number, nullptr, &actions.emplace_back());
  return actions;
}

extern "C" void ignore_it(int) {}

}  // namespace

TEST_CASE("thread stack: a thread that reads a pipe shows the call and its callers, unsignalled") {
  ThreadStacks stacks;
  const Blocked blocked(&read_from_a_pipe);
  const auto sent = ThreadStacks::signals_sent();
  const auto stack = read_when(stacks, blocked, true);
  CHECK(stack.in_kernel);
  CHECK(stack.system_call == "read");
  check_callers(stack, &read_from_a_pipe);
  CHECK(ThreadStacks::signals_sent() == sent);
}

TEST_CASE("thread stack: a thread that waits for a std::mutex shows who wants it, unsignalled") {
  ThreadStacks stacks;
  const Blocked blocked(&lock_a_mutex);
  const auto sent = ThreadStacks::signals_sent();
  const auto stack = read_when(stacks, blocked, true);
  CHECK(stack.system_call == "futex");
  check_callers(stack, &lock_a_mutex);
  CHECK(ThreadStacks::signals_sent() == sent);
}

TEST_CASE("thread stack: a thread that computes is asked once, and shows where it is") {
  ThreadStacks stacks;
  const Blocked blocked(&compute_in_a_loop);
  if (signals_are_late()) {
    CHECK_FALSE(read(stacks, blocked, 1).in_kernel);
    return;
  }
  const auto stack = read_when(stacks, blocked, false);
  CHECK_FALSE(stack.in_kernel);
  CHECK(stack.system_call.empty());
  check_callers(stack, &compute_in_a_loop);
  CHECK(place_in(stack.callers.frames, address_of(&compute_in_a_loop)) == 0);
  const auto sent = ThreadStacks::signals_sent();
  const auto again = read(stacks, blocked, 1);
  CHECK(ThreadStacks::signals_sent() <= sent + 1);
  const auto unasked = read(stacks, blocked, 0);
  CHECK(unasked.callers.frames.empty());
  CHECK_FALSE(unasked.problem.empty());
}

TEST_CASE("thread stack: modules have their path, build-id and a place in the file") {
  ThreadStacks stacks;
  const Blocked blocked(&read_from_a_pipe);
  const auto stack = read_when(stacks, blocked, true);
  REQUIRE(!stack.callers.frames.empty());
  bool has_program = false;
  for (const auto& module : stacks.code().all()) {
    CHECK(module.begin < module.end);
    CHECK(module.bias <= module.begin);
    char link[4096] = {};
    REQUIRE(readlink("/proc/self/exe", link, sizeof link - 1) > 0);
    has_program = has_program || module.path == link;
  }
  CHECK(has_program);
}

TEST_CASE("thread stack: a thread that does not exist is a problem, not a crash") {
  ThreadStacks stacks;
  const auto stack = stacks.read(0x3fffffff, 1, 0);
  CHECK(stack.callers.frames.empty());
  CHECK_FALSE(stack.problem.empty());
}

TEST_CASE("thread stack: a program's handlers stay, and one of all signals is respected") {
  ThreadStacks stacks;
  const Blocked blocked(&compute_in_a_loop);
  const auto before = real_time_actions();
  // The one that would be taken, and some others.
  struct sigaction theirs{};
  theirs.sa_handler = &ignore_it;
  const int taken = ThreadStacks::signal_number() != 0 ? ThreadStacks::signal_number() : SIGRTMAX;
  for (const int number : {taken, taken - 2, SIGRTMIN}) sigaction(number, &theirs, nullptr);
  if (!signals_are_late()) {
    const auto stack = read_when(stacks, blocked, false);
    CHECK(stack.problem.empty());
  } else {
    static_cast<void>(read(stacks, blocked, 1));
  }
  CHECK(ThreadStacks::signal_number() != taken);
  for (const int number : {taken, taken - 2, SIGRTMIN}) {
    struct sigaction now{};
    sigaction(number, nullptr, &now);
    CHECK(now.sa_handler == &ignore_it);
  }

  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) sigaction(number, &theirs, nullptr);
  const auto sent = ThreadStacks::signals_sent();
  const auto stack = read(stacks, blocked, 1);
  CHECK(stack.callers.frames.empty());
  CHECK(stack.problem.find("handles all real-time signals") != std::string::npos);
  CHECK(ThreadStacks::signals_sent() == sent);
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) {
    struct sigaction now{};
    sigaction(number, nullptr, &now);
    CHECK(now.sa_handler == &ignore_it);
    sigaction(number, &before[static_cast<std::size_t>(number - SIGRTMIN)], nullptr);
  }
}

TEST_CASE("thread stack: a thread that blocks all signals is not sent one") {
  ThreadStacks stacks;
  Block block;
  std::thread thread([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    block_deeply(block, &compute_in_a_loop, 0);
  });
  while (block.tid.load() == 0) std::this_thread::yield();
  const auto sent = ThreadStacks::signals_sent();
  const auto stack = stacks.read(block.tid.load(), 1, ThreadStacks::waits(block.tid.load()));
  CHECK(stack.problem.find("blocks signals") != std::string::npos);
  CHECK(ThreadStacks::signals_sent() == sent);
  block.release();
  thread.join();
}

TEST_CASE("thread stack: no system call of the user ends with EINTR") {
  struct Loop {
    const char* name;
    std::function<bool()> call;  // false: it was interrupted
  };
  int fds[2] = {-1, -1};
  REQUIRE(pipe(fds) == 0);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  const auto was_good = [](long result) { return result >= 0 || errno != EINTR; };
  const timespec little{.tv_sec = 0, .tv_nsec = 20'000};
  const Loop loops[] = {
      {"nanosleep", [&] { return was_good(nanosleep(&little, nullptr)); }},
      {"clock_nanosleep",
       [&] { return clock_nanosleep(CLOCK_MONOTONIC, 0, &little, nullptr) != EINTR; }},
      {"read",
       [&] {
         char byte = 'x';
         if (write(fds[1], &byte, 1) != 1) return errno != EINTR;
         return was_good(read(fds[0], &byte, 1));
       }},
      {"poll",
       [&] {
         pollfd polled{fds[0], POLLIN, 0};
         return was_good(poll(&polled, 1, 1));
       }},
      {"ppoll",
       [&] {
         pollfd polled{fds[0], POLLIN, 0};
         return was_good(ppoll(&polled, 1, &little, nullptr));
       }},
      {"select",
       [&] {
         timeval time{.tv_sec = 0, .tv_usec = 20};
         return was_good(select(0, nullptr, nullptr, nullptr, &time));
       }},
      {"epoll_wait",
       [&] {
         epoll_event event{};
         return was_good(epoll_wait(epoll, &event, 1, 1));
       }},
      {"sigtimedwait",
       [&] {
         sigset_t set;
         sigemptyset(&set);
         sigaddset(&set, SIGUSR2);
         return was_good(sigtimedwait(&set, nullptr, &little));
       }},
      {"sem_timedwait",
       [&] {
         timespec until{};
         clock_gettime(CLOCK_REALTIME, &until);
         until.tv_nsec += 20'000;
         if (until.tv_nsec >= 1'000'000'000) until = {until.tv_sec + 1, 0};
         return was_good(sem_timedwait(&semaphore, &until));
       }},
  };
  ThreadStacks stacks;
  for (const Loop& loop : loops) {
    std::atomic<std::int32_t> tid{0};
    std::atomic<bool> is_over{false};
    std::uint64_t calls = 0, interrupted = 0;
    std::uint64_t number = 1;
    std::thread thread([&] {
      tid = static_cast<std::int32_t>(syscall(SYS_gettid));
      while (!is_over.load(std::memory_order_relaxed)) {
        // Computing and waiting in turn: signals are sent to who computes, and arrive at who waits.
        for (std::uint64_t i = 0; i < calls % 64; ++i) {
          number = number * 6364136223846793005u + 1;
          asm volatile("" : "+r"(number));
        }
        ++calls;
        if (!loop.call()) ++interrupted;
      }
    });
    while (tid.load() == 0) std::this_thread::yield();
    const auto sent = ThreadStacks::signals_sent(), restarted = ThreadStacks::calls_restarted();
    const auto end = std::chrono::steady_clock::now() + 400ms;
    // Less careful than the watchdog, which signals only who has not waited for a while.
    while (std::chrono::steady_clock::now() < end) {
      const auto waits = ThreadStacks::waits(tid.load());
      static_cast<void>(stacks.read(tid.load(), 3, waits));
    }
    is_over = true;
    thread.join();
    std::printf("%-18s %8llu calls, %6llu signals, %6llu calls restarted, %llu interrupted\n",
                loop.name, static_cast<unsigned long long>(calls),
                static_cast<unsigned long long>(ThreadStacks::signals_sent() - sent),
                static_cast<unsigned long long>(ThreadStacks::calls_restarted() - restarted),
                static_cast<unsigned long long>(interrupted));
    INFO(loop.name);
    // ThreadSanitizer runs handlers later, with a copy of what they would change.
    if (!signals_are_late()) CHECK(interrupted == 0);
  }
  for (const int fd : {fds[0], fds[1], epoll}) close(fd);
}

TEST_CASE("thread stack: a thread that has waited lately is not sent a signal") {
  std::atomic<std::int32_t> tid{0};
  std::atomic<bool> is_over{false};
  std::thread thread([&] {
    tid = static_cast<std::int32_t>(syscall(SYS_gettid));
    while (!is_over.load(std::memory_order_relaxed)) std::this_thread::sleep_for(10us);
  });
  while (tid.load() == 0) std::this_thread::yield();
  ThreadStacks stacks;
  const auto sent = ThreadStacks::signals_sent();
  for (int round = 0; round < 100; ++round) {
    const auto waits = ThreadStacks::waits(tid.load());
    while (ThreadStacks::waits(tid.load()) == waits) std::this_thread::yield();
    static_cast<void>(stacks.read(tid.load(), 3, waits));
  }
  CHECK(ThreadStacks::signals_sent() == sent);
  is_over = true;
  thread.join();
}

TEST_CASE("thread stack: threads may begin, compute, wait and end while they are read") {
  std::atomic<std::int32_t> tid{0};
  std::atomic<bool> is_over{false};
  std::thread parent([&] {
    while (!is_over.load(std::memory_order_relaxed)) {
      std::thread child([&] {
        tid = static_cast<std::int32_t>(syscall(SYS_gettid));
        std::uint64_t number = 1;
        for (int i = 0; i < 100'000; ++i) number = number * 6364136223846793005u + 1;
        asm volatile("" : "+r"(number));
        std::this_thread::sleep_for(50us);
      });
      child.join();
    }
  });
  ThreadStacks stacks;
  std::size_t with_frames = 0, without = 0;
  const auto end = std::chrono::steady_clock::now() + 1s;
  while (std::chrono::steady_clock::now() < end) {
    const auto whose = tid.load();
    const auto stack = stacks.read(whose, 3, ThreadStacks::waits(whose));
    ++(stack.callers.frames.empty() ? without : with_frames);
    if (stack.callers.frames.empty()) CHECK_FALSE(stack.problem.empty());
  }
  is_over = true;
  parent.join();
  std::printf("%zu stacks of threads that come and go, %zu came too late\n", with_frames, without);
}

TEST_CASE("thread stack: in a forked child the signal does no harm") {
  ThreadStacks stacks;
  {
    const Blocked blocked(&compute_in_a_loop);
    static_cast<void>(read(stacks, blocked, 1));
  }
  const int number = ThreadStacks::signal_number();
  REQUIRE(number != 0);
  const pid_t child = fork();
  if (child == 0) {
    raise(number);
    kill(getpid(), number);
    _exit(7);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("thread stack: a thread that has never waited is told from one that is not there") {
  const Blocked computes(&compute_in_a_loop);
  CHECK(ThreadStacks::waits(computes.block.tid.load()) != 0);
  CHECK(ThreadStacks::waits(0) == 0);
  CHECK(ThreadStacks::waits(std::numeric_limits<std::int32_t>::max()) == 0);
}
