#include "taskscope/runtime/signal/signal.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/time/timeout.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;
using taskscope::runtime::signal::listen;

namespace {

Task<std::string> every_listener_once() {
  auto first = listen(SIGUSR1);
  auto second = listen(SIGUSR1);
  if (!first || !second) co_return "not listening";
  ::raise(SIGUSR1);
  const auto at_first = co_await first->recv();
  const auto at_second = co_await second->recv();
  if (!at_first || !at_second) co_return "failed";
  const auto again = co_await time::timeout(1ms, first->recv());
  if (again) co_return "came twice";
  // Before anybody looks several count as one.
  ::raise(SIGUSR1);
  ::raise(SIGUSR1);
  const auto one = co_await first->recv();
  const auto more = co_await time::timeout(1ms, first->recv());
  if (!one || more) co_return "not one";
  auto late = listen(SIGUSR1);
  const auto old = co_await time::timeout(1ms, late->recv());
  co_return old ? "heard what was before" : "ok";
}
Task<bool> receive(int number, int times) {
  auto listener = listen(number);
  if (!listener) co_return false;
  for (int i = 0; i < times; ++i) {
    const auto received = co_await listener->recv();
    if (!received) co_return false;
  }
  co_return true;
}
Task<std::error_code> refusal_of(int number) {
  const auto listener = listen(number);
  co_return listener ? std::error_code{} : listener.error();
}
template <class T>
Task<T> joined(JoinHandle<T> handle) {
  co_return co_await std::move(handle);
}

}  // namespace

TEST_CASE("signal: every listener gets a signal, once") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(every_listener_once()) == "ok");
  CHECK(runtime.block_on(joined(runtime.spawn(every_listener_once()))) == "ok");
}

TEST_CASE("signal: runtimes and tasks listen side by side while signals rain") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  auto other = Builder::multi_thread().worker_threads(1).build();
  REQUIRE_FALSE(runtime.block_on(refusal_of(SIGUSR2)));  // from here on it is handled
  std::vector<JoinHandle<bool>> handles;
  for (int i = 0; i < 4; ++i) {
    handles.push_back(runtime.spawn(receive(SIGUSR2, 20)));
    handles.push_back(other.spawn(receive(SIGUSR2, 20)));
  }
  int failed = 0;
  for (auto& handle : handles) {
    while (!handle.is_finished()) ::kill(::getpid(), SIGUSR2);
    failed += runtime.block_on(joined(std::move(handle))) ? 0 : 1;
  }
  CHECK(failed == 0);
}

TEST_CASE("signal: Ctrl-C and termination end a wait, not the process") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  REQUIRE_FALSE(runtime.block_on(refusal_of(SIGINT)));
  REQUIRE_FALSE(runtime.block_on(refusal_of(SIGTERM)));
  auto interrupted = runtime.spawn(signal::ctrl_c());
  while (!interrupted.is_finished()) ::kill(::getpid(), SIGINT);
  CHECK(runtime.block_on(joined(std::move(interrupted))).has_value());
  auto terminated = runtime.spawn(signal::terminate());
  while (!terminated.is_finished()) ::kill(::getpid(), SIGTERM);
  CHECK(runtime.block_on(joined(std::move(terminated))).has_value());
}

TEST_CASE("signal: what must not be caught is refused") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  for (const int number : {SIGKILL, SIGSTOP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, 0, -1, 65, 1000}) {
    CHECK(runtime.block_on(refusal_of(number)) == std::errc::invalid_argument);
  }
  CHECK_THROWS_AS(listen(SIGUSR1), std::logic_error);
}
