#include "taskscope/runtime/sync/semaphore.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/sync/sync_support.h"

using namespace taskscope::runtime;
using namespace taskscope::runtime::sync_test;
using namespace std::chrono_literals;
using sync::Semaphore;

namespace {

static_assert(!std::is_move_constructible_v<Semaphore::Permit>);
static_assert(std::is_nothrow_move_constructible_v<Semaphore::OwnedPermit>);

Task<void> log_when_acquired(Semaphore& semaphore, std::size_t permits, char letter,
                             std::string& log) {
  const auto permit = co_await semaphore.acquire(permits);
  log.push_back(permit ? letter : '-');
}

Task<void> release_and_end(Semaphore::OwnedPermit& held) {
  held.release();
  co_return;
}

}  // namespace

TEST_CASE("a semaphore hands out its permits and takes them back") {
  auto runtime = runtime_with(2);
  const auto body = []() -> Task<std::string> {
    Semaphore semaphore(3);
    {
      const auto two = co_await semaphore.acquire(2);
      if (!two || two.permits() != 2 || semaphore.available_permits() != 1) co_return "two";
      const auto refused = semaphore.try_acquire(2);
      if (refused || refused.permits() != 0) co_return "too many";
      auto owned = co_await semaphore.acquire_owned();
      auto moved = std::move(owned);
      if (owned || !moved || semaphore.available_permits() != 0) co_return "moved";
      moved.release();
      if (moved || semaphore.available_permits() != 1) co_return "released";
      const auto none = co_await semaphore.acquire(0);
      if (!none) co_return "none";
    }
    if (semaphore.available_permits() != 3) co_return "not all came back";
    {
      auto forgotten = semaphore.try_acquire(1);
      forgotten.forget();
    }
    if (semaphore.available_permits() != 2) co_return "came back though forgotten";
    if (semaphore.forget_permits(5) != 2 || semaphore.available_permits() != 0) co_return "forget";
    semaphore.add_permits(4);
    if (semaphore.available_permits() != 4) co_return "added";
    co_return "ok";
  };
  CHECK(runtime.block_on(body()) == "ok");
}

TEST_CASE("permits given back gather for the first in line, who is not passed by smaller wishes") {
  auto runtime = runtime_with(2);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Semaphore semaphore(0, "gathers");
    std::string log;
    auto large = spawn(log_when_acquired(semaphore, 3, 'L', log));
    co_await until_waiting(inspected, "gathers", 1);
    auto small = spawn(log_when_acquired(semaphore, 1, 's', log));
    co_await until_waiting(inspected, "gathers", 2);
    semaphore.add_permits(2);
    const auto passed = semaphore.try_acquire(1);
    if (passed) co_return "passed the line";
    if (see(inspected, "gathers")->waiters != 2) co_return "served too early";
    semaphore.add_permits(1);
    co_await large;
    co_await small;
    if (semaphore.available_permits() != 3) co_return "permits lost";
    co_return log;
  };
  CHECK(runtime.block_on(body(runtime)) == "Ls");
}

TEST_CASE("an acquire() that is cancelled passes on what had gathered for it") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Semaphore semaphore(2, "partly");
    std::string log;
    {
      auto acquiring = semaphore.acquire_owned(3);
      const auto lost = co_await select_biased(acquiring, at_once());
      if (lost.index() != 1 || semaphore.available_permits() != 0) co_return "did not gather";
      auto next = spawn(log_when_acquired(semaphore, 1, 'n', log));
      co_await until_waiting(inspected, "partly", 2);
      std::move(next).detach();
    }
    while (log.empty()) co_await yield_now();
    while (semaphore.available_permits() != 2) co_await yield_now();
    co_return log;
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "n");
}

TEST_CASE("an acquire() that is cancelled after its permits were granted passes them on") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Semaphore semaphore(1, "granted permit");
    std::string log;
    auto held = co_await semaphore.acquire_owned();
    const auto lost = co_await select_biased(semaphore.acquire_owned(), release_and_end(held));
    if (lost.index() != 1) co_return "the cancelled arm won";
    if (semaphore.available_permits() != 1) co_return "permit lost";
    if (see(inspected, "granted permit")->waiters != 0) co_return "still in line";
    const auto late = co_await time::timeout(1ms, semaphore.acquire_owned(2));
    if (late || semaphore.available_permits() != 1) co_return "timeout";
    co_return "ok";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("closing a semaphore ends all waits with an empty permit") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Semaphore semaphore(1, "closed");
    std::string log;
    std::vector<JoinHandle<void>> handles;
    for (std::uint32_t i = 0; i < 40; ++i) {  // more than one batch of wakes
      handles.push_back(spawn(log_when_acquired(semaphore, 2, 'x', log)));
      co_await until_waiting(inspected, "closed", i + 1);
    }
    semaphore.close();
    for (auto& handle : handles) co_await handle;
    const auto refused = co_await semaphore.acquire();
    if (refused) co_return "acquired from a closed semaphore";
    if (!semaphore.is_closed() || semaphore.available_permits() != 1) co_return "permits";
    co_return log;
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == std::string(40, '-'));
}

TEST_CASE("many waits are served by one add_permits") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::size_t> {
    Semaphore semaphore(0, "many");
    std::string log;
    std::vector<JoinHandle<void>> handles;
    for (std::uint32_t i = 0; i < 100; ++i) {
      handles.push_back(spawn(log_when_acquired(semaphore, 1, 'x', log)));
      co_await until_waiting(inspected, "many", i + 1);
    }
    semaphore.add_permits(100);
    for (auto& handle : handles) co_await handle;
    co_return log == std::string(100, 'x') ? semaphore.available_permits() : 0;
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == 100);
}

TEST_CASE("watchers see every holder of a semaphore") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Semaphore semaphore(5, "held");
    const auto scoped = co_await semaphore.acquire(2);
    auto owned = co_await semaphore.acquire_owned();
    auto moved = std::move(owned);
    auto seen = see(inspected, "held");
    if (seen->kind != observe::ResourceKind::Semaphore || seen->holders.size() != 2)
      co_return "two";
    const auto& newest = seen->holders[0];
    const auto& oldest = seen->holders[1];
    if (newest.certain || newest.permits != 1) co_return "a hint";
    if (!oldest.certain || oldest.permits != 2 || oldest.task != newest.task) co_return "certain";
    if (oldest.task == observe::TaskId::None) co_return "nameless";
    if (seen->attributes.at("permits") != 2 || seen->attributes.at("held") != 3) co_return "counts";
    moved.release();
    seen = see(inspected, "held");
    if (seen->holders.size() != 1 || seen->attributes.at("held") != 2) co_return "released";
    auto lost = co_await semaphore.acquire_owned();
    lost.forget();
    static_cast<void>(semaphore.forget_permits(1));
    semaphore.add_permits(3);
    seen = see(inspected, "held");
    if (seen->attributes.at("forgotten") != 2) co_return "forgotten";
    co_return seen->attributes.at("added") == 3 ? "ok" : "added";
  };
  CHECK(runtime.block_on(body(runtime)) == "ok");
}

TEST_CASE("a semaphore refuses more permits than it can count") {
  CHECK_THROWS_AS(Semaphore(Semaphore::kMaxPermits + 1), std::invalid_argument);
  Semaphore semaphore(Semaphore::kMaxPermits);
  CHECK_THROWS_AS(semaphore.add_permits(1), std::invalid_argument);
  CHECK(semaphore.available_permits() == Semaphore::kMaxPermits);
  CHECK_FALSE(semaphore.try_acquire(SIZE_MAX));
}

TEST_CASE("permits are split and merged, and none is lost or made") {
  auto runtime = runtime_with(1);
  const auto body = [](Runtime& inspected) -> Task<std::string> {
    Semaphore semaphore(5, "split");
    Semaphore other(1);
    const auto held = [&] { return see(inspected, "split")->attributes.at("held"); };
    {
      auto all = co_await semaphore.acquire(5);
      {
        auto two = all.split(2);
        if (two.permits() != 2 || all.permits() != 3 || held() != 5) co_return "split";
        if (see(inspected, "split")->holders.size() != 2) co_return "holders";
        const auto too_many = all.split(4);
        if (too_many || all.permits() != 3) co_return "more than there are";
        all.merge(std::move(two));
        if (two || all.permits() != 5) co_return "merged";
        const auto one = all.split(1);
        if (!one) co_return "one";
      }
      if (semaphore.available_permits() != 1 || held() != 4) co_return "the part came back";
      auto foreign = co_await other.acquire();
      bool refused = false;
      try {
        all.merge(std::move(foreign));
      } catch (const std::invalid_argument&) {
        refused = true;
      }
      if (!refused || !foreign || all.permits() != 4) co_return "of another semaphore";
    }
    if (semaphore.available_permits() != 5) co_return "not all came back";
    auto first = semaphore.try_acquire_owned(2);
    auto second = first.split(1);
    Semaphore::OwnedPermit empty;
    empty.merge(std::move(second));
    if (second || empty.permits() != 1 || first.permits() != 1) co_return "into an empty one";
    first.release();
    empty.release();
    co_return semaphore.available_permits() == 5 && held() == 0 ? "ok" : "owned ones lost";
  };
  CHECK(runtime.block_on(on_worker(body(runtime))) == "ok");
}
