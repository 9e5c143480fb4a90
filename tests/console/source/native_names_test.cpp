/// A poll that blocks, from the thread that is in it to a name in a recording.

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "taskscope/console/session/session.h"
#include "taskscope/console/source/file_source.h"
#include "taskscope/console/source/live_source.h"
#include "taskscope/console/source/symbolizer.h"
#include "taskscope/instrumentation/engine.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/tests/instrumentation/blocking_calls.h"

using namespace taskscope;
using namespace taskscope::console;
using namespace taskscope::test;
using namespace std::chrono_literals;

namespace {

runtime::Task<void> block(Block& what, Blocking how) {
  co_await runtime::yield_now();
  block_deeply(what, how, 1);
}
runtime::Task<void> join(runtime::JoinHandle<void>& task) { co_await task; }

struct Folder {
  Folder() {
    char name[] = "/tmp/taskscope-test-XXXXXX";
    if (mkdtemp(name) != nullptr) path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

/// The first frame of that function; null for none.
const session::NativeFrame* frame_of(const session::NativeStack* stack, const std::string& name) {
  if (stack == nullptr) return nullptr;
  for (const auto& frame : stack->frames)
    if (frame.function.find(name) != std::string::npos) return &frame;
  return nullptr;
}

}  // namespace

TEST_CASE("native names: a blocked poll has its functions and lines, live and in the recording") {
  const Folder folder;
  instrumentation::Engine engine({.socket_directory = folder.path});
  REQUIRE(engine.is_listening());
  runtime::Runtime runtime = runtime::Builder::multi_thread().worker_threads(1).build();
  Block what;
  auto task = runtime.spawn(block(what, &read_from_a_pipe));
  const auto id = runtime::observe::number(task.id());
  while (what.tid.load() == 0) std::this_thread::yield();

  source::Target target;
  target.path = engine.socket_path();
  source::LiveOptions options;
  options.record_to = folder.path + "/session.tsk";
  options.handshake_limit = 10s;
  auto source = source::connect(target, options);
  REQUIRE(source.ok());
  session::Session live(std::move(source.value()));
  const auto began = std::chrono::steady_clock::now();
  const auto is_named = [&] {
    return frame_of(live.model().native_stack(id), "read_from_a_pipe") != nullptr;
  };
  while (!is_named() && std::chrono::steady_clock::now() < began + 60s) live.pump_to_end(5ms);
  const std::chrono::duration<double, std::milli> after = std::chrono::steady_clock::now() - began;
  std::printf("a blocked poll has its names %.1f ms after the attach\n", after.count());

  const auto check = [&](const session::Model& model) {
    const auto* const stack = model.native_stack(id);
    REQUIRE(stack != nullptr);
    CHECK(stack->in_kernel);
    CHECK(stack->system_call == "read");
    CHECK(stack->problem.empty());
    const auto* const own = frame_of(stack, "read_from_a_pipe");
    REQUIRE(own != nullptr);
    CHECK(own->file.ends_with("blocking_calls.cpp"));
    CHECK(own->line > 0);
    const auto* const caller = frame_of(stack, "block_deeply");
    REQUIRE(caller != nullptr);
    CHECK(caller->file.ends_with("blocking_calls.cpp"));
    CHECK(caller > own);
    REQUIRE(!stack->frames.empty());
    CHECK(stack->frames.front().module.find("libc") != std::string::npos);
    // Each poll is in the list of the recent once.
    std::size_t times = 0;
    for (const auto& one : model.native_stacks()) times += one.task == id ? 1 : 0;
    CHECK(times == 1);
  };
  check(live.model());
  what.release();
  runtime.block_on(join(task));
  runtime.shutdown();  // before the engine, which has to be told
  engine.finish("over");
  live.pump_to_end(10s);
  live.stop_recording();

  auto file = source::open_file(folder.path + "/session.tsk");
  REQUIRE(file.ok());
  session::Session recorded(std::move(file.value()));
  recorded.pump_to_end(10s);
  check(recorded.model());
}

TEST_CASE("native names: a file that is not there, or another one, gives no name and no error") {
  std::vector<protocol::Module> modules(3);
  modules[0] = {1, 0x1000, 0x2000, 0, "/no/such/file", "c0ffee"};
  modules[1] = {2, 0x1000, 0x2000, 0, "/proc/self/exe", "not its build-id"};
  modules[2] = {3, 0x1000, 0x2000, 0, "/etc/passwd", ""};
  source::Symbolizer symbolizer(0, [] {});
  symbolizer.add(std::move(modules));
  protocol::NativeStack stack;
  for (std::uint32_t module = 0; module < 5; ++module)
    stack.frames.push_back({0x1234, module, false});
  symbolizer.add(stack);
  symbolizer.settle(60s);
  CHECK(symbolizer.is_settled());
  CHECK(symbolizer.take().empty());
}
