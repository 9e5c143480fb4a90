/// Polls that block, seen while they do.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "taskscope/instrumentation/engine.h"
#include "taskscope/instrumentation/thread_stack.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/tests/instrumentation/blocking_calls.h"
#include "taskscope/tests/instrumentation/console.h"

using namespace taskscope;
using namespace taskscope::instrumentation;
using namespace taskscope::test;
using namespace std::chrono_literals;
using runtime::Builder;
using runtime::Runtime;
using runtime::Task;

namespace {

Task<void> block(Block& what, Blocking how) {
  co_await runtime::yield_now();
  block_deeply(what, how, 2);
}

Task<void> join(runtime::JoinHandle<void>& task) { co_await task; }

Task<void> wait_for(runtime::sync::Notify& notify) { co_await notify.notified(); }

/// Yields and sleeps: nothing that blocks.
Task<int> behave(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    co_await runtime::yield_now();
    if (i % 16 == 0) co_await runtime::time::sleep(1ms);
  }
  co_return rounds;
}

/// The first stack of the task with frames; without any: empty.
protocol::NativeStack stack_of(const Console& console, std::uint64_t task) {
  for (const auto& stack : console.all<protocol::NativeStack>())
    if (stack.task == task && !stack.frames.empty()) return stack;
  return {};
}

std::set<std::uint64_t> tasks_with_stacks(const Console& console) {
  std::set<std::uint64_t> tasks;
  for (const auto& stack : console.all<protocol::NativeStack>())
    if (!stack.frames.empty()) tasks.insert(stack.task);
  return tasks;
}

}  // namespace

TEST_CASE("blocking poll: is reported while it blocks, with the function it blocks in") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  Console console(engine.socket_path());
  console.attach();
  Runtime runtime = Builder::multi_thread().worker_threads(1).build();
  struct Case {
    const char* name;
    Blocking how;
    const char* system_call;
  };
  const Case cases[] = {{"reads a pipe", &read_from_a_pipe, "read"},
                        {"waits for a std::mutex", &lock_a_mutex, "futex"},
                        {"computes", &compute_in_a_loop, ""}};
  for (const Case& one : cases) {
    INFO(one.name);
    if (one.how == &compute_in_a_loop && signals_are_late()) continue;
    const auto sent = ThreadStacks::signals_sent();
    Block what;
    auto task = runtime.spawn(block(what, one.how));
    const auto id = runtime::observe::number(task.id());
    while (what.tid.load() == 0) std::this_thread::yield();
    const auto began = std::chrono::steady_clock::now();
    REQUIRE(console.read_until([&] { return !stack_of(console, id).frames.empty(); }));
    const std::chrono::duration<double, std::milli> after =
        std::chrono::steady_clock::now() - began;
    const auto stack = stack_of(console, id);
    std::printf("a poll that %s: known %.1f ms after it began, %llu signals\n", one.name,
                after.count(),
                static_cast<unsigned long long>(ThreadStacks::signals_sent() - sent));
    what.release();
    runtime.block_on(join(task));
    CHECK(stack.tid == what.tid.load());
    CHECK(stack.worker != 0);
    CHECK(stack.problem.empty());
    CHECK(stack.system_call == one.system_call);
    CHECK(stack.in_kernel == (*one.system_call != '\0'));
    CHECK(times_in(stack.frames, address_of(one.how)) == 1);
    CHECK(times_in(stack.frames, address_of(&block_deeply)) == 3);
    CHECK(stack.since_ticks <= stack.ticks);
    CHECK(ThreadStacks::signals_sent() - sent <= (stack.in_kernel ? 0u : 3u));
    // Every frame's module was named before.
    std::set<std::uint32_t> named;
    for (const auto& update : console.updates)
      if (const auto* modules = std::get_if<std::vector<protocol::Module>>(&update))
        for (const auto& module : *modules) named.insert(module.id);
    for (const auto& frame : stack.frames) CHECK(named.contains(frame.module));
  }
}

TEST_CASE("blocking poll: with every worker blocked all are seen, and all others' stacks served") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  constexpr std::uint32_t kWorkers = 3;
  runtime::sync::Notify notify;
  const Blocking how[kWorkers] = {&read_from_a_pipe, &lock_a_mutex,
                                  signals_are_late() ? &read_from_a_pipe : &compute_in_a_loop};
  Runtime runtime = Builder::multi_thread().worker_threads(kWorkers).build();
  Block blocks[kWorkers];  // released before the runtime waits for its workers
  constexpr std::size_t kWaiting = 500;
  for (std::size_t i = 0; i < kWaiting; ++i) runtime.spawn(wait_for(notify)).detach();
  while (runtime.metrics().polls < kWaiting) std::this_thread::yield();
  std::vector<runtime::JoinHandle<void>> tasks;
  std::set<std::uint64_t> ids;
  for (std::size_t i = 0; i < kWorkers; ++i) {
    tasks.push_back(runtime.spawn(block(blocks[i], how[i])));
    ids.insert(runtime::observe::number(tasks.back().id()));
  }
  for (const Block& one : blocks)
    while (one.tid.load() == 0) std::this_thread::yield();

  // Attached when it is stuck already.
  const auto sent = ThreadStacks::signals_sent();
  Console console(engine.socket_path());
  console.attach();
  console.say(protocol::RequestSnapshot{.waits = true, .stacks = true});
  const bool all_seen = console.read_until([&] { return tasks_with_stacks(console) == ids; });
  for (const auto& stack : console.all<protocol::NativeStack>())
    UNSCOPED_INFO("task " << stack.task << ": " << stack.frames.size() << " frames; "
                          << stack.problem);
  REQUIRE(all_seen);
  const auto walked = [&] {
    std::size_t with_stacks = 0;
    for (const auto& piece : console.all<protocol::Snapshot>())
      for (const auto& task : piece.tasks)
        with_stacks += task.has_stacks && !task.branches.empty() ? 1 : 0;
    return with_stacks;
  };
  CHECK(console.read_until([&] { return walked() >= kWaiting; }));
  CHECK(ThreadStacks::signals_sent() - sent <= 3);

  // Who comes later is told too.
  Console second(engine.socket_path());
  second.attach();
  CHECK(second.read_until([&] { return tasks_with_stacks(second) == ids; }));
  CHECK(second.count<std::vector<protocol::Module>>() > 0);

  for (Block& one : blocks) one.release();
  for (auto& task : tasks) runtime.block_on(join(task));
  std::set<const void*> seen;
  for (const auto id : ids)
    for (const auto call : how)
      if (times_in(stack_of(console, id).frames, address_of(call)) == 1)
        seen.insert(address_of(call));
  CHECK(seen == std::set<const void*>{address_of(how[0]), address_of(how[1]), address_of(how[2])});
  notify.notify_waiters();
}

TEST_CASE("blocking poll: nothing is signalled and no stack taken when nothing blocks") {
  const Directory directory;
  // Nothing here takes a second, however slow the machine.
  Engine engine({.blocking_poll = 1000ms, .socket_directory = directory.path()});
  Runtime runtime = Builder::multi_thread().worker_threads(2).build();
  Console console(engine.socket_path());
  console.attach();
  const auto sent = ThreadStacks::signals_sent();
  std::vector<runtime::JoinHandle<int>> tasks;
  for (int i = 0; i < 50; ++i) tasks.push_back(runtime.spawn(behave(2000)));
  struct All {
    static Task<int> of(std::vector<runtime::JoinHandle<int>>& handles) {
      int sum = 0;
      for (auto& handle : handles) {
        const int rounds = co_await handle;
        sum += rounds;
      }
      co_return sum;
    }
  };
  CHECK(runtime.block_on(All::of(tasks)) == 50 * 2000);
  runtime.shutdown();  // before the engine, which has to be told
  engine.finish("over");
  CHECK(console.read_to_end());
  CHECK(console.count<protocol::NativeStack>() == 0);
  CHECK(ThreadStacks::signals_sent() == sent);
}

TEST_CASE("blocking poll: without stacks nobody looks") {
  const Directory directory;
  Engine engine({.stacks = false, .socket_directory = directory.path()});
  Runtime runtime = Builder::multi_thread().worker_threads(1).build();
  Console console(engine.socket_path());
  console.attach();
  Block what;
  auto task = runtime.spawn(block(what, &read_from_a_pipe));
  while (what.tid.load() == 0) std::this_thread::yield();
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(entry.path() / "comm");
    std::string name;
    std::getline(file, name);
    CHECK(name != "taskscope-watch");
  }
  what.release();
  runtime.block_on(join(task));
  runtime.shutdown();  // before the engine, which has to be told
  engine.finish("over");
  CHECK(console.read_to_end());
  CHECK(console.count<protocol::NativeStack>() == 0);
}
