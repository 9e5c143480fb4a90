#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "taskscope/console/session/session.h"
#include "taskscope/console/source/file_source.h"
#include "taskscope/protocol/trace_file.h"
#include "taskscope/tests/console/session/model_text.h"
#include "taskscope/tests/console/session/simulated_program.h"
#include "taskscope/tests/console/source/scripted_target.h"

using namespace taskscope;
using console::session::Model;
using console::session::Session;
using console::source::FailureKind;

namespace {

constexpr std::chrono::milliseconds kLong{60'000};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("the same chunks give the same picture live, reloaded and fed by hand") {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const tests::SimulatedProgram program({.seed = seed, .polls = 8000});
    const tests::TemporaryDirectory directory;
    const auto path = directory / "session.taskscope";

    tests::ScriptedTarget target;
    target.greet();
    console::source::LiveOptions options;
    options.record_to = path;
    auto source = attach(target, options);
    REQUIRE(source);
    target.say_all(program.updates);
    std::string live;
    std::size_t events = 0;
    {
      Session session(std::move(source.value()));
      session.pump_to_end(kLong);
      REQUIRE(session.finished());
      live = tests::model_text(session.model());
      events = session.events_of(5, 50).size();
      CHECK(session.stop_recording());
      CHECK_FALSE(session.stop_recording());
      CHECK(session.source().stats().recording_error.empty());
    }
    auto file = console::source::open_file(path);
    REQUIRE(file);
    Session reloaded(std::move(file.value()));
    CHECK_FALSE(reloaded.live());
    reloaded.pump_to_end(kLong);
    REQUIRE(reloaded.finished());
    CHECK((tests::model_text(reloaded.model()) == live));
    CHECK(reloaded.events_of(5, 50).size() == events);

    Model by_hand;
    for (const auto& update : program.updates) by_hand.apply(protocol::Update(update));
    by_hand.flush();
    CHECK((tests::model_text(by_hand) == live));
  }
}

TEST_CASE("a recording can start in the middle and holds the session from its beginning") {
  const tests::SimulatedProgram program({.polls = 3000});
  const tests::TemporaryDirectory directory;
  tests::ScriptedTarget target;
  target.greet();
  auto source = attach(target);
  REQUIRE(source);
  Session session(std::move(source.value()));
  const auto half = program.updates.size() / 2;
  for (std::size_t i = 0; i < half; ++i) target.say(program.updates[i]);
  REQUIRE(session.start_recording(directory / "a"));
  CHECK(session.source().stats().recording == directory / "a");
  for (std::size_t i = half; i < program.updates.size(); ++i) target.say(program.updates[i]);
  target.hang_up();
  session.pump_to_end(kLong);
  CHECK(session.stop_recording());
  auto file = console::source::open_file(directory / "a");
  REQUIRE(file);
  Session again(std::move(file.value()));
  again.pump_to_end(kLong);
  CHECK((tests::model_text(again.model()) == tests::model_text(session.model())));
  CHECK(again.start_recording(directory / "b").failure().sentence ==
        "this session is a recording already");
}

TEST_CASE("a recording to a place that can't be written fails with a sentence") {
  tests::ScriptedTarget target;
  target.greet();
  auto source = attach(target);
  REQUIRE(source);
  const auto started = source.value()->start_recording("/nowhere/at/all");
  REQUIRE_FALSE(started);
  CHECK_FALSE(started.failure().sentence.empty());
}

TEST_CASE("recordings that were cut or damaged open and say what is missing") {
  const tests::SimulatedProgram program({.polls = 4000});
  const tests::TemporaryDirectory directory;
  {
    auto writer = protocol::TraceWriter::create(directory / "whole");
    REQUIRE(writer);
    for (const auto& update : program.updates) REQUIRE(writer->append(update));
    REQUIRE(writer->finish());
  }
  const auto whole = contents(directory / "whole");
  std::uint64_t last = 0;
  for (std::size_t bytes = 16; bytes <= whole.size(); bytes += whole.size() / 37) {
    write(directory / "cut", whole.substr(0, bytes));
    auto file = console::source::open_file(directory / "cut");
    REQUIRE(file);
    Session session(std::move(file.value()));
    session.pump_to_end(kLong);
    REQUIRE(session.finished());
    CHECK(session.model().totals().polls_ended >= last);
    last = session.model().totals().polls_ended;
  }
  CHECK(last > program.polls / 2);
  for (std::size_t at = 100; at < whole.size(); at += whole.size() / 41) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write(directory / "damaged", damaged);
    auto file = console::source::open_file(directory / "damaged");
    if (!file) continue;  // the header itself
    Session session(std::move(file.value()));
    session.pump_to_end(kLong);
    CHECK(session.finished());
    if (session.model().totals().polls_ended < program.polls)
      CHECK_FALSE(session.model().losses().empty());
  }
}

TEST_CASE("files that are no recordings are refused with a reason") {
  const tests::TemporaryDirectory directory;
  write(directory / "text", "hello, this is some text and no recording at all\n");
  const auto text = console::source::open_file(directory / "text");
  REQUIRE_FALSE(text);
  CHECK(text.failure().kind == FailureKind::NotARecording);
  write(directory / "empty", "");
  const auto empty = console::source::open_file(directory / "empty");
  REQUIRE_FALSE(empty);
  CHECK(empty.failure().kind == FailureKind::NotARecording);
  CHECK_FALSE(console::source::open_file(directory / "missing"));
}
