// Threads that the system does not give.

#include <grp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <string>
#include <system_error>

#include "taskscope/runtime/runtime.h"
#include "taskscope/tests/runtime/faults/inject.h"
#include "taskscope/tests/runtime/faults/support.h"
#include "taskscope/tests/support/gate.h"

using namespace taskscope::runtime;
using faults::Call;
using faults::Failing;
using faults::Tracked;
using taskscope::tests::Gate;

namespace {

Task<int> forty_two() { co_return 42; }

/// The code of the std::system_error that `attempt` throws; none if it does not.
template <class Attempt>
std::error_code error_of(Attempt attempt) {
  try {
    attempt();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

}  // namespace

TEST_CASE("threads: a runtime that gets too few is refused, and leaves nothing") {
  const auto build = [] { return Builder::multi_thread().worker_threads(4).build(); };
  static_cast<void>(build().block_on(forty_two()));
  const auto threads = faults::threads();
  const auto descriptors = faults::descriptors();
  for (int had = 0; had < 4; ++had) {
    const Failing failing(Call::CreateThread, EAGAIN, 1, had);
    const auto before = faults::live_allocations();
    const auto error = error_of(build);
    const bool freed = faults::live_allocations() <= before;
    CHECK(error == std::errc::resource_unavailable_try_again);
    CHECK(failing.hits() == 1);
    CHECK(freed);
    // The kernel may still be about to take the last joined one from the list.
    CHECK(faults::eventually([&] { return faults::threads() == threads; }));
    CHECK(faults::descriptors() == descriptors);
  }
  CHECK(build().block_on(forty_two()) == 42);
}

TEST_CASE("threads: a process that may have no more gets the system's word for it") {
  if (faults::kSanitized) return;  // their own threads count as well
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // Root may have as many as it likes; a user that nobody else is may have this one.
    constexpr uid_t kNobodyElse = 3'141'592;
    if (::geteuid() == 0 &&
        (::setgroups(0, nullptr) != 0 || ::setresuid(kNobodyElse, kNobodyElse, kNobodyElse) != 0))
      ::_exit(2);
    const rlimit one{1, 1};
    if (::setrlimit(RLIMIT_NPROC, &one) != 0) ::_exit(3);
    const auto error =
        error_of([] { static_cast<void>(Builder::multi_thread().worker_threads(2).build()); });
    ::_exit(error == std::errc::resource_unavailable_try_again ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("threads: a blocking call that gets none is refused, and later ones are made") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  std::atomic<int> made{0};
  const auto call = [&made](Tracked kept) {
    return [&made, kept] {
      ++made;
      return 42;
    };
  };
  {
    const Failing failing(Call::CreateThread, EAGAIN, 2);
    CHECK(error_of([&] { runtime.spawn_blocking(call(Tracked())).detach(); }) ==
          std::errc::resource_unavailable_try_again);
    const auto inside = [](auto& make) -> Task<bool> {
      try {
        spawn_blocking(make(Tracked())).detach();
      } catch (const std::system_error&) {
        co_return true;
      }
      co_return false;
    };
    CHECK(runtime.block_on(faults::joined(runtime.spawn(inside(call)))));
    CHECK(failing.hits() == 2);
  }
  CHECK(made == 0);
  CHECK(Tracked::living() == 0);
  CHECK(faults::eventually([&] { return runtime.metrics().live_tasks == 0; }));
  CHECK(runtime.metrics().blocking_queue_depth == 0);
  CHECK(runtime.block_on(faults::joined(runtime.spawn_blocking(call(Tracked())))) == 42);
}

TEST_CASE("threads: with one at work, a call that gets none of its own waits for that one") {
  Gate gate;  // outlives who is inside
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  auto first = runtime.spawn_blocking([&gate] { gate.pass(); });
  gate.await_inside(1);
  std::atomic<int> made{0};
  {
    const Failing failing(Call::CreateThread, EAGAIN, 1'000);
    for (int i = 0; i < 10; ++i) runtime.spawn_blocking([&made] { ++made; }).detach();
    CHECK(failing.hits() > 0);
    CHECK(made == 0);
    CHECK(runtime.metrics().blocking_queue_depth == 10);
    gate.open();
    CHECK(faults::eventually([&] { return made == 10; }));
  }
  runtime.block_on(faults::joined(std::move(first)));
}
