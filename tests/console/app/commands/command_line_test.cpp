#include "taskscope/console/app/command_line.h"

#include <catch2/catch.hpp>

using namespace taskscope::console::app;

namespace {

template <class Wanted>
Wanted parsed(const std::vector<std::string>& arguments) {
  const auto result = parse(arguments);
  const auto* command = std::get_if<Command>(&result);
  REQUIRE(command != nullptr);
  const auto* wanted = std::get_if<Wanted>(command);
  REQUIRE(wanted != nullptr);
  return *wanted;
}

std::string refused(const std::vector<std::string>& arguments) {
  const auto result = parse(arguments);
  const auto* error = std::get_if<UsageError>(&result);
  REQUIRE(error != nullptr);
  CHECK(error->sentence.back() != '.');
  return error->sentence;
}

}  // namespace

TEST_CASE("no arguments open the start screen") {
  const auto window = parsed<WindowOptions>({});
  CHECK(window.target.empty());
  CHECK(!window.file_only);
}

TEST_CASE("every command takes its arguments") {
  CHECK(parsed<WindowOptions>({"attach", "4711"}).target == "4711");
  const auto open = parsed<WindowOptions>({"open", "a.taskscope", "--view", "tasks", "--size",
                                           "1280x800", "--scale", "2", "--dump", "d.json"});
  CHECK(open.file_only);
  CHECK(open.target == "a.taskscope");
  CHECK(open.view == "tasks");
  CHECK(open.width_px == 1280);
  CHECK(open.height_px == 800);
  CHECK(open.scale == 2.0f);
  CHECK(open.dump == "d.json");
  (void)parsed<ListCommand>({"list"});
  const auto record = parsed<RecordCommand>({"record", "server", "-o", "f", "--seconds", "2.5"});
  CHECK(record.target == "server");
  CHECK(record.output == "f");
  CHECK(record.seconds == 2.5);
  CHECK(record.command.empty());
  const auto started =
      parsed<RecordCommand>({"record", "-o", "f", "--", "server", "--help", "-o", "x"});
  CHECK(started.target.empty());
  CHECK(started.output == "f");
  CHECK(started.command == std::vector<std::string>{"server", "--help", "-o", "x"});
  const auto stats = parsed<StatsCommand>({"stats", "--json", "f"});
  CHECK(stats.json);
  CHECK(stats.target == "f");
  const auto set =
      parsed<StatsCommand>({"stats", "f", "--set", "blocking-poll=25ms", "--set=orphan=2s"});
  CHECK(set.thresholds.blocking_poll_ns == 25'000'000);
  CHECK(set.thresholds.orphan_ns == 2'000'000'000);
  CHECK(parsed<StacksCommand>({"stacks", "f", "--task", "7"}).task == 7u);
  CHECK(parsed<StacksCommand>({"stacks", "f", "--task=#7"}).task == 7u);
  CHECK(!parsed<StacksCommand>({"stacks", "f"}).task);
  const auto picture =
      parsed<ScreenshotOptions>({"screenshot", "f", "-o", "p.png", "--size", "800x600", "--view",
                                 "timeline", "--seconds", "1", "--scale", "1.5"});
  CHECK(picture.target == "f");
  CHECK(picture.output == "p.png");
  CHECK(picture.width_px == 800);
  CHECK(picture.view == "timeline");
  CHECK(picture.seconds == 1);
  CHECK(picture.scale == 1.5f);
  CHECK(parsed<ScreenshotOptions>({"screenshot", "-o", "p", "--view", "start"}).target.empty());
  CHECK(parsed<CheckCommand>({"check", "f"}).file == "f");
  const auto exported = parsed<ExportCommand>({"export", "f", "--to", "csv", "-o", "-"});
  CHECK(exported.file == "f");
  CHECK(exported.format == ExportFormat::Csv);
  CHECK(exported.output == "-");
  (void)parsed<VersionCommand>({"--version"});
}

TEST_CASE("help is there for all and for each, also on a line that is not finished") {
  CHECK(parsed<HelpCommand>({"--help"}).topic.empty());
  CHECK(parsed<HelpCommand>({"help", "record"}).topic == "record");
  for (const std::string topic :
       {"attach", "open", "list", "record", "stats", "stacks", "screenshot", "check", "export"}) {
    CHECK(parsed<HelpCommand>({topic, "--help"}).topic == topic);
    CHECK(parsed<HelpCommand>({topic, "--nonsense", "-h"}).topic == topic);
    CHECK(help_text(topic).starts_with("taskscope " + topic));
    CHECK(help_text("").find("taskscope " + topic) != std::string_view::npos);
  }
}

TEST_CASE("what is wrong is said") {
  CHECK(refused({"atach", "1"}) == "there is no command atach");
  CHECK(refused({"attach"}).find("needs a target") != std::string::npos);
  CHECK(refused({"attach", "a", "b"}).find("a or b") != std::string::npos);
  CHECK(refused({"open"}).find("needs a file") != std::string::npos);
  CHECK(refused({"open", "f", "--nope"}) == "unknown option --nope");
  CHECK(refused({"open", "f", "--size", "12"}).find("WIDTHxHEIGHT") != std::string::npos);
  CHECK(refused({"open", "f", "--size", "0x4"}).find("WIDTHxHEIGHT") != std::string::npos);
  CHECK(refused({"open", "f", "--scale", "-1"}).find("larger than 0") != std::string::npos);
  CHECK(refused({"list", "x"}).find("no arguments") != std::string::npos);
  CHECK(refused({"record", "t"}).find("-o FILE") != std::string::npos);
  CHECK(refused({"record", "-o"}).find("needs a value") != std::string::npos);
  CHECK(refused({"record", "-o", "f"}).find("needs a target") != std::string::npos);
  CHECK(refused({"record", "-o", "f", "--"}).find("command after --") != std::string::npos);
  CHECK(refused({"record", "t", "-o", "f", "--", "c"}).find("not both") != std::string::npos);
  for (const std::string seconds : {"x", "0", "-3", "nan", "inf", "1e99", "3s"})
    CHECK(refused({"record", "t", "-o", "f", "--seconds", seconds}).find("--seconds wants") == 0);
  CHECK(refused({"stacks", "t", "--task", "0"}).find("task's id") != std::string::npos);
  CHECK(refused({"stats"}).find("needs a target") != std::string::npos);
  CHECK(refused({"stats", "f", "--set", "blocking-poll"}).find("needs a value") !=
        std::string::npos);
  CHECK(refused({"stats", "f", "--set", "patience=1s"}).find("no threshold") != std::string::npos);
  CHECK(refused({"check", "", "x"}).find("empty") != std::string::npos);
  CHECK(refused({"export", "f", "-o", "x"}).find("--to") != std::string::npos);
  CHECK(refused({"export", "f", "--to", "xml", "-o", "x"}).find("unknown format xml") == 0);
  CHECK(refused({"screenshot", "f"}).find("-o PNG") != std::string::npos);
  CHECK(refused({"--nope"}).find("unknown option") == 0);
}
