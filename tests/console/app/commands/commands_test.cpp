// The commands as a user runs them: on files, with their output and exit status.
#include "taskscope/console/app/commands/commands.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "taskscope/protocol/trace_file.h"
#include "taskscope/tests/console/app/commands/small_session.h"
#include "taskscope/tests/support/json.h"

using namespace taskscope;
using namespace taskscope::console::app;
using tests::Json;
using tests::parse_json;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "commands_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string recording(const Folder& folder) {
  const auto path = folder / "small.taskscope";
  auto writer = protocol::TraceWriter::create(path);
  REQUIRE(writer);
  for (const auto& update : tests::small_session()) REQUIRE(writer->append(update));
  REQUIRE(writer->finish());
  return path;
}

struct Ran {
  int status = 0;
  std::string out, err;
};

/// Runs a command line with stdout and stderr going to files.
Ran run_line(const Folder& folder, const std::vector<std::string>& arguments) {
  const auto parsed = parse(arguments);
  const auto* command = std::get_if<Command>(&parsed);
  REQUIRE(command != nullptr);
  const auto out = folder / "out.txt", err = folder / "err.txt";
  std::fflush(stdout);
  std::fflush(stderr);
  const int old_out = ::dup(1), old_err = ::dup(2);
  std::FILE* const out_file = std::fopen(out.c_str(), "w");
  std::FILE* const err_file = std::fopen(err.c_str(), "w");
  ::dup2(::fileno(out_file), 1);
  ::dup2(::fileno(err_file), 2);
  Ran ran;
  std::visit(
      [&](const auto& one) {
        if constexpr (requires { commands::run(one); }) ran.status = commands::run(one);
      },
      *command);
  std::fflush(stdout);
  std::fflush(stderr);
  ::dup2(old_out, 1);
  ::dup2(old_err, 2);
  ::close(old_out);
  ::close(old_err);
  std::fclose(out_file);
  std::fclose(err_file);
  ran.out = read_all(out);
  ran.err = read_all(err);
  return ran;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("stats --json is the documented object with the session's numbers") {
  const Folder folder;
  const auto ran =
      run_line(folder, {"stats", recording(folder), "--json", "--set", "blocking-poll=4ms"});
  REQUIRE(ran.status == kExitGood);
  CHECK(ran.err.empty());
  const auto json = parse_json(ran.out);
  REQUIRE(json);
  std::set<std::string> keys;
  for (const auto& [key, value] : json->object()) keys.insert(key);
  CHECK(keys == std::set<std::string>{"process", "span", "tasks", "workers", "resources",
                                      "findings", "lost"});
  CHECK((*json)["process"]["pid"].number() == 4711);
  CHECK((*json)["process"]["command_line"].text() == "small --now");
  CHECK((*json)["span"]["from"].text() == "2023-11-14T22:13:20.000000000Z");
  CHECK((*json)["span"]["duration_ns"].number() == 40e6);
  const auto& tasks = (*json)["tasks"];
  CHECK(tasks["spawned"].number() == 2);
  CHECK(tasks["finished"].number() == 1);
  CHECK(tasks["live"].number() == 2);
  CHECK(std::get<bool>(tasks["walked"].value));
  CHECK(tasks["polls"].number() == 3);
  CHECK(tasks["wakes"].number() == 2);
  CHECK(tasks["by_state"]["waiting"].number() == 1);
  CHECK(tasks["by_state"]["scheduled"].number() == 1);
  CHECK(tasks["outcomes"]["exception"].number() == 1);
  REQUIRE(tasks["by_call_site"].array().size() == 3);
  const auto& first = tasks["by_call_site"][0];  // the busiest
  CHECK(first["where"].text() == "/src/server.cpp:10");
  CHECK(first["busy_ns"].number() == 21e6);
  CHECK(first["max_poll_ns"].number() == 20e6);
  REQUIRE((*json)["workers"].array().size() == 2);
  CHECK((*json)["workers"][0]["name"].text() == "worker-one");
  CHECK((*json)["workers"][0]["polls"].number() == 2);
  CHECK((*json)["workers"][0]["busy_ns"].number() == 21e6);
  bool has_mutex = false;
  for (const auto& resource : (*json)["resources"].array()) {
    if (resource["id"].number() != 7) continue;
    has_mutex = true;
    CHECK(resource["name"].text() == "jobs");
    CHECK(resource["holders"][0]["task"].number() == 3);
  }
  CHECK(has_mutex);
  REQUIRE((*json)["findings"].array().size() == 1);
  const auto& finding = (*json)["findings"][0];
  CHECK(finding["kind"].text() == "blocking-poll");
  CHECK(finding["certainty"].text() == "suspect");
  CHECK(finding["tasks"][0].number() == 2);
  CHECK(finding["where"].text() == "/src/server.cpp:10");
  CHECK(finding["since_ns"].number() == 13e6);
  REQUIRE((*json)["lost"].array().size() == 1);
  CHECK((*json)["lost"][0]["cause"].text() == "ring-full");
  CHECK((*json)["lost"][0]["events"].number() == 5);
  CHECK((*json)["lost"][0]["polls"].number() == 2);
}

TEST_CASE("stats for people names the process, the busiest call site and the losses") {
  const Folder folder;
  const auto ran = run_line(folder, {"stats", recording(folder), "--set", "blocking-poll=4ms"});
  CHECK(ran.status == kExitGood);
  for (const auto* part : {"small (pid 4711)", "/src/server.cpp:10", "worker-one", "mutex \"jobs\"",
                           "blocking-poll (suspect)", "lost    5 events"})
    CHECK(contains(ran.out, part));
}

TEST_CASE("stats says so where the walk over the living is missing") {
  const Folder folder;
  const auto path = folder / "no_walk.taskscope";
  auto writer = protocol::TraceWriter::create(path);
  REQUIRE(writer);
  for (const auto& update : tests::small_session())
    if (!std::holds_alternative<protocol::Snapshot>(update)) REQUIRE(writer->append(update));
  REQUIRE(writer->finish());
  const auto whole = run_line(folder, {"stats", recording(folder)});
  CHECK_FALSE(contains(whole.out, "has not come"));
  const auto ran = run_line(folder, {"stats", path});
  CHECK(ran.status == kExitGood);
  CHECK(contains(ran.out, "the walk over the living tasks has not come"));
  const auto json = parse_json(run_line(folder, {"stats", path, "--json"}).out);
  REQUIRE(json);
  CHECK_FALSE(std::get<bool>((*json)["tasks"]["walked"].value));
}

TEST_CASE("stacks groups what waits alike, and tells of one task why it does not run") {
  const Folder folder;
  const auto path = recording(folder);
  const auto all = run_line(folder, {"stacks", path});
  CHECK(all.status == kExitGood);
  CHECK(contains(all.out, "1 task: #1"));
  CHECK(contains(all.out, "/src/main.cpp:7"));
  CHECK(contains(all.out, "queued"));  // task 3
  const auto one = run_line(folder, {"stacks", path, "--task", "1"});
  CHECK(one.status == kExitGood);
  CHECK(contains(one.out, "task #1 (main), spawned at /src/main.cpp:7"));
  CHECK(contains(one.out, "waits for task #2 (session), which is finished"));
  const auto none = run_line(folder, {"stacks", path, "--task", "99"});
  CHECK(none.status == kExitUnusable);
  CHECK(contains(none.err, "there is no task #99"));
}

TEST_CASE("check says good of a good file and names what is wrong with others") {
  const Folder folder;
  const auto path = recording(folder);
  const auto good = run_line(folder, {"check", path});
  CHECK(good.status == kExitGood);
  CHECK(contains(good.out, "is good."));
  CHECK(contains(good.out, "23 events"));

  auto bytes = read_all(path);
  const auto damaged = folder / "damaged.taskscope";
  {
    auto copy = bytes;
    copy[copy.size() / 3] = static_cast<char>(copy[copy.size() / 3] ^ 1);
    std::ofstream(damaged, std::ios::binary) << copy;
  }
  const auto bad = run_line(folder, {"check", damaged});
  CHECK(bad.status == kExitFound);
  CHECK(contains(bad.out, "damaged: "));
  CHECK(contains(bad.out, "readable: "));
  std::ofstream(damaged, std::ios::binary | std::ios::trunc) << bytes.substr(0, bytes.size() - 30);
  const auto cut = run_line(folder, {"check", damaged});
  CHECK(cut.status == kExitFound);
  CHECK(contains(cut.out, "unfinished"));
}

TEST_CASE("files that can't be used are refused with a sentence and status 3") {
  const Folder folder;
  const auto text = folder / "text.txt";
  std::ofstream(text) << "hello\n";
  const auto empty = folder / "empty";
  std::ofstream{empty};
  const auto out = folder / "out";
  for (const auto& path : {text, empty, folder / "missing", folder / "."}) {
    const std::vector<std::vector<std::string>> lines = {
        {"check", path},
        {"stats", path},
        {"stacks", path},
        {"export", path, "--to", "chrome", "-o", out},
        {"export", path, "--to", "json", "-o", out}};
    for (const auto& line : lines) {
      INFO(line[0] << " " << path);
      const auto ran = run_line(folder, line);
      CHECK(ran.status == kExitUnusable);
      CHECK(ran.err.starts_with("taskscope " + line[0] + ": "));
      CHECK(ran.err.ends_with(".\n"));
    }
  }
  CHECK(run_line(folder, {"record", text, "-o", out}).status == kExitUnusable);
  const auto overwrite = run_line(folder, {"record", "-o", text, "--", "true"});
  CHECK(overwrite.status == kExitUnusable);
  CHECK(contains(overwrite.err, "is not a recording"));
  CHECK(read_all(text) == "hello\n");
  const auto nowhere =
      run_line(folder, {"export", recording(folder), "--to", "csv", "-o", "/no/such/folder/x"});
  CHECK(nowhere.status == kExitUnusable);
  CHECK(contains(nowhere.err, "can't write /no/such/folder/x"));
}

TEST_CASE("a command that can't be started or never listens is said") {
  const Folder folder;
  const auto missing =
      run_line(folder, {"record", "-o", folder / "f", "--", folder / "no-such-program"});
  CHECK(missing.status == kExitUnusable);
  CHECK(contains(missing.err, "can't start"));
  const auto silent = run_line(folder, {"record", "-o", folder / "f", "--", "true"});
  CHECK(silent.status == kExitUnusable);
  CHECK(contains(silent.err, "ended without listening"));
  CHECK(!fs::exists(folder / "f"));
}

TEST_CASE("the Chrome export is JSON with polls, tasks, waits and an arrow a wake") {
  const Folder folder;
  const auto out = folder / "trace.json";
  const auto ran = run_line(folder, {"export", recording(folder), "--to", "chrome", "-o", out});
  REQUIRE(ran.status == kExitGood);
  const auto json = parse_json(read_all(out));
  REQUIRE(json);
  struct Bar {
    double from, to;
    std::string name;
  };
  std::map<double, std::vector<Bar>> polls;  // by track
  std::map<std::string, int> open;           // async pairs by id and name
  std::map<std::string, const Json*> starts;
  std::set<std::string> threads;
  int arrows = 0, losses = 0, parks = 0;
  for (const auto& event : (*json)["traceEvents"].array()) {
    const auto& phase = event["ph"].text();
    CHECK(event["pid"].number() == 4711);
    CHECK(event["ts"].number() >= 0);
    if (phase == "M" && event["name"].text() == "thread_name")
      threads.insert(event["args"]["name"].text());
    if (phase == "X" && event["cat"].text() == "poll")
      polls[event["tid"].number()].push_back({event["ts"].number(),
                                              event["ts"].number() + event["dur"].number(),
                                              event["name"].text()});
    if (phase == "X" && event["cat"].text() == "park") ++parks;
    if (phase == "b") ++open[event["id"].text() + event["name"].text()];
    if (phase == "e") --open[event["id"].text() + event["name"].text()];
    if (phase == "s") starts[event["id"].text()] = &event;
    if (phase == "f") {
      ++arrows;
      REQUIRE(starts.contains(event["id"].text()));
      CHECK(starts[event["id"].text()]->operator[]("ts").number() <= event["ts"].number());
      CHECK(event["bp"].text() == "e");
    }
    if (phase == "i") ++losses;
  }
  CHECK(threads == std::set<std::string>{"worker-one", "worker-two"});
  REQUIRE(polls[1].size() == 2);
  CHECK(polls[1][0].name == "session #2");
  CHECK(polls[1][0].from == 2000);
  CHECK(polls[1][0].to == 3000);
  CHECK(polls[1][1].from == 13000);
  CHECK(polls[1][1].to == 33000);
  REQUIRE(polls[2].size() == 1);
  CHECK(polls[2][0].name == "worker #3");
  for (const auto& [key, count] : open) {
    INFO(key);
    CHECK(count == 0);
  }
  CHECK(open.contains("2session #2"));
  CHECK(open.contains("2waits: lock mutex"));
  CHECK(open.contains("3waits: any of"));
  CHECK(starts.size() == 2);
  CHECK(arrows == 1);  // task 3 was woken and never polled again
  CHECK(losses == 1);
  CHECK(parks == 3);
}

TEST_CASE("csv and json tables hold every event in order and every task") {
  const Folder folder;
  const auto path = recording(folder);
  const auto out = folder / "t.json";
  REQUIRE(run_line(folder, {"export", path, "--to", "json", "-o", out}).status == kExitGood);
  const auto json = parse_json(read_all(out));
  REQUIRE(json);
  CHECK((*json)["events"].array().size() == 23);
  CHECK((*json)["tasks"].array().size() == 3);
  double last = 0;
  for (const auto& event : (*json)["events"].array()) {
    CHECK(event["time_ns"].number() >= last);
    last = event["time_ns"].number();
  }
  CHECK(last == 40e6);
  for (const auto& task : (*json)["tasks"].array()) {
    if (task["task"].number() != 2) continue;
    CHECK(task["outcome"].text() == "exception");
    CHECK(task["error"].text() == "it \"broke\"\n\xef\xbf\xbd");
    CHECK(task["busy_ns"].number() == 21e6);
  }

  const auto csv = folder / "t.csv";
  REQUIRE(run_line(folder, {"export", path, "--to", "csv", "-o", csv}).status == kExitGood);
  const auto events = read_all(csv);
  CHECK(events.starts_with("time_ns,ring,worker,event,task,"));
  CHECK(std::count(events.begin(), events.end(), '\r') == 24);
  CHECK(contains(events, "\"it \"\"broke\"\"\n"));
  const auto tasks = read_all(csv + ".tasks.csv");
  CHECK(std::count(tasks.begin(), tasks.end(), '\r') == 4);
}

TEST_CASE("help and version go to stdout") {
  const Folder folder;
  const auto help = run_line(folder, {"--help"});
  CHECK(help.status == kExitGood);
  CHECK(contains(help.out, "taskscope attach TARGET"));
  const auto version = run_line(folder, {"--version"});
  CHECK(version.status == kExitGood);
  CHECK(version.out.starts_with("taskscope 0."));
}
