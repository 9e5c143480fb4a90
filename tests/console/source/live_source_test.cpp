#include <catch2/catch.hpp>

#include "taskscope/console/session/session.h"
#include "taskscope/console/source/file_source.h"
#include "taskscope/console/source/live_source.h"
#include "taskscope/tests/console/session/model_text.h"
#include "taskscope/tests/console/session/simulated_program.h"
#include "taskscope/tests/console/source/scripted_target.h"

using namespace taskscope;
using console::session::Session;
using console::source::FailureKind;
using console::source::LiveOptions;
using console::source::SourceState;
using tests::ScriptedTarget;

namespace {

constexpr std::chrono::milliseconds kLong{60'000};

/// A run of polls of one task, far enough apart to fill chunks.
protocol::Events some_events(std::uint64_t from, std::size_t count) {
  protocol::Events run;
  run.ring = 1;
  run.worker = 1;
  for (std::size_t i = 0; i < count; ++i) {
    protocol::Event event;
    event.kind = i % 2 == 0 ? protocol::EventKind::PollStarted : protocol::EventKind::PollEnded;
    event.ticks = from + i * 1000;
    event.task = 1 + (i / 2) % 50;
    event.detail = static_cast<std::uint8_t>(protocol::PollEnd::Yielded);
    run.events.push_back(event);
  }
  return run;
}

}  // namespace

TEST_CASE("a live source shakes hands, subscribes and passes on what comes") {
  ScriptedTarget target;
  target.greet();
  LiveOptions options;
  options.subscribe.sample_every_ms = 123;
  auto source = attach(target, options);
  REQUIRE(source);
  const auto hello = target.hear();
  REQUIRE(hello);
  REQUIRE(std::holds_alternative<protocol::Hello>(*hello));
  CHECK(std::get<protocol::Hello>(*hello).major == protocol::kMajorVersion);
  const auto subscribe = target.hear();
  REQUIRE(subscribe);
  REQUIRE(std::holds_alternative<protocol::Subscribe>(*subscribe));
  CHECK(std::get<protocol::Subscribe>(*subscribe).sample_every_ms == 123);

  target.say(some_events(1000, 10));
  Session session(std::move(source.value()));
  CHECK(session.live());
  while (session.model().chunks().empty()) {
    session.wait(kLong);
    session.pump(std::chrono::seconds{1});
  }
  REQUIRE(session.model().process());
  CHECK(session.model().process()->name == "scripted");
  CHECK(session.source().title() == "scripted (4711)");

  session.request_snapshot(true, 17);
  const auto request = target.hear();
  REQUIRE(request);
  REQUIRE(std::holds_alternative<protocol::RequestSnapshot>(*request));
  CHECK(std::get<protocol::RequestSnapshot>(*request).task == 17);
  CHECK(std::get<protocol::RequestSnapshot>(*request).stacks);

  target.say(protocol::Goodbye{"the program ended"});
  target.hang_up();
  session.pump_to_end(kLong);
  CHECK(session.finished());
  CHECK_FALSE(session.live());
  CHECK_FALSE(session.model().dead());
  CHECK(session.model().end_reason() == "the program ended");
  CHECK(session.model().totals().polls_ended == 5);
  CHECK(session.events_of(1).size() == 2);
}

TEST_CASE("a target that dies without a goodbye leaves a session that says so") {
  ScriptedTarget target;
  target.greet();
  target.say(some_events(1000, 9));
  auto source = attach(target);
  REQUIRE(source);
  Session session(std::move(source.value()));
  target.hang_up();
  session.pump_to_end(kLong);
  CHECK(session.finished());
  CHECK(session.model().dead());
  CHECK(session.model().end_reason().find("4711 (scripted) is gone") != std::string::npos);
  CHECK(session.model().totals().polls_started == 5);
  CHECK(session.model().totals().polls_ended == 4);
}

TEST_CASE("a handshake that fails says why") {
  SECTION("refused for its version") {
    ScriptedTarget target;
    target.say(
        protocol::Goodbye{"the program speaks version 2 of the protocol, this console version 1"});
    const auto source = attach(target);
    REQUIRE_FALSE(source);
    CHECK(source.failure().kind == FailureKind::VersionMismatch);
    CHECK(source.failure().sentence.find("version 2") != std::string::npos);
  }
  SECTION("refused for another reason") {
    ScriptedTarget target;
    target.say(protocol::Goodbye{"too many consoles are attached already"});
    const auto source = attach(target);
    REQUIRE_FALSE(source);
    CHECK(source.failure().kind == FailureKind::Refused);
  }
  SECTION("another protocol") {
    ScriptedTarget target;
    target.say_bytes("SSH-2.0-OpenSSH_9.2 and so on\r\n");
    const auto source = attach(target);
    REQUIRE_FALSE(source);
    CHECK(source.failure().kind == FailureKind::NoTaskscope);
  }
  SECTION("hangs up") {
    ScriptedTarget target;
    target.hang_up();
    const auto source = attach(target);
    REQUIRE_FALSE(source);
    CHECK(source.failure().kind == FailureKind::Refused);
  }
  SECTION("says nothing") {
    ScriptedTarget target;
    LiveOptions options;
    options.handshake_limit = std::chrono::milliseconds{20};
    const auto source =
        console::source::connect_descriptor(target.take_peer(), "the script", options);
    REQUIRE_FALSE(source);
    CHECK(source.failure().kind == FailureKind::NoAnswer);
  }
}

TEST_CASE("damage on the way becomes a loss, and the stream goes on") {
  ScriptedTarget target;
  target.greet();
  target.say(some_events(1000, 10));
  auto broken = *protocol::encode(some_events(50'000, 10), 9);
  broken[broken.size() / 2] = static_cast<char>(broken[broken.size() / 2] ^ 0x55);
  target.say_bytes(broken);
  target.say(some_events(90'000, 10));
  auto source = attach(target);
  REQUIRE(source);
  Session session(std::move(source.value()));
  target.hang_up();
  session.pump_to_end(kLong);
  CHECK(session.model().totals().polls_ended == 10);
  CHECK(session.source().stats().damaged_chunks == 1);
  REQUIRE(session.model().losses().size() == 1);
  CHECK(session.model().losses()[0].cause == protocol::LossCause::Damaged);
}

TEST_CASE("a session that is slow to take chunks holds up the target, not its own memory") {
  ScriptedTarget target;
  target.greet();
  LiveOptions options;
  options.queue_cap_bytes = 1;  // one chunk at a time
  auto source = attach(target, options);
  REQUIRE(source);
  std::vector<protocol::Update> updates;
  for (std::uint64_t i = 0; i < 60; ++i)
    updates.push_back(some_events(1000 + i * 10'000'000, 2000));
  target.say_all(updates);
  Session session(std::move(source.value()));
  session.pump_to_end(kLong);
  CHECK(session.finished());
  CHECK(session.model().totals().polls_ended == 60'000);
}

TEST_CASE("a capped spool drops its oldest chunks and says so") {
  ScriptedTarget target;
  target.greet();
  LiveOptions options;
  options.spool_cap_bytes = 256 << 10;
  auto source = attach(target, options);
  REQUIRE(source);
  std::vector<protocol::Update> updates = {protocol::ClockPoint{1000, 1000, 1000}};
  for (std::uint64_t i = 0; i < 200; ++i)
    updates.push_back(some_events(1000 + i * 10'000'000, 4000));
  target.say_all(updates);
  Session session(std::move(source.value()));
  session.pump_to_end(kLong);
  const auto stats = session.source().stats();
  CHECK(stats.dropped_chunks > 100);
  CHECK(stats.spool_bytes <= options.spool_cap_bytes);
  CHECK(session.model().totals().polls_ended <= 400'000);
  REQUIRE_FALSE(session.model().chunks().empty());
  CHECK(session.model().chunks().front().place.offset >= stats.readable_from);
  CHECK(session.source().read(session.model().chunks().front().place));
  CHECK_FALSE(session.source().read({0, 100}));

  // A recording that starts now begins with the definitions, and says what is missing.
  const tests::TemporaryDirectory directory;
  REQUIRE(session.start_recording(directory / "late.taskscope"));
  CHECK(session.stop_recording());
  auto file = console::source::open_file(directory / "late.taskscope");
  REQUIRE(file);
  Session again(std::move(file.value()));
  again.pump_to_end(kLong);
  REQUIRE(again.model().process());
  CHECK(again.model().process()->name == "scripted");
  CHECK(again.model().chunks().size() == session.model().chunks().size());
  bool told = false;
  for (const auto& loss : again.model().losses())
    told = told || loss.cause == protocol::LossCause::SpoolCapped;
  CHECK(told);
}
