/// The gallery, from outside: what it says it planted is there, and it ends cleanly whatever it
/// planted. Under a sanitizer the end is the proof: all that is stuck is destroyed.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "taskscope/tests/instrumentation/console.h"
#include "taskscope/tests/instrumentation/gallery/json.h"

extern char** environ;

using namespace taskscope;
using namespace taskscope::test;

namespace {

/// A place for sockets that belongs to one gallery.
struct RuntimeDirectory {
  RuntimeDirectory() = default;
  ~RuntimeDirectory() {
    for (const auto& socket : sockets()) unlink((own() + "/" + socket).c_str());
    rmdir(own().c_str());
  }
  [[nodiscard]] std::string own() const { return directory.path() + "/taskscope"; }
  [[nodiscard]] std::vector<std::string> sockets() const { return list(own()); }
  Directory directory;
};

class Gallery {
 public:
  explicit Gallery(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), GALLERY);
    int out[2] = {}, errors[2] = {};
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
    std::vector<char*> words, variables;
    for (auto& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    std::string runtime_directory = "XDG_RUNTIME_DIR=" + directory.directory.path();
    for (char** variable = environ; *variable != nullptr; ++variable)
      if (!std::string_view(*variable).starts_with("XDG_RUNTIME_DIR="))
        variables.push_back(*variable);
    variables.push_back(runtime_directory.data());
    variables.push_back(nullptr);
    if (posix_spawn(&pid_, GALLERY, &actions, nullptr, words.data(), variables.data()) != 0)
      pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(errors[1]);
    out_ = out[0];
    errors_ = errors[0];
  }
  ~Gallery() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      static_cast<void>(wait());
    }
    for (const int fd : {out_, errors_}) close(fd);
  }
  Gallery(const Gallery&) = delete;
  Gallery& operator=(const Gallery&) = delete;

  /// What it printed, line by line, until it has planted all. Null where a line is no JSON.
  std::vector<std::optional<Json>> read_planted() {
    std::vector<std::optional<Json>> lines;
    for (;;) {
      const auto line = read_line(out_);
      if (line.empty()) return lines;
      lines.push_back(read_json(line));
      if (lines.back() && lines.back()->has("planted")) return lines;
    }
  }
  void send_signal(int number) const { kill(pid_, number); }
  /// Exit status; -1 when it did not exit by itself.
  int wait() {
    int status = -1;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string output() { return read_all(out_); }
  std::string errors() { return read_all(errors_); }
  std::string socket() const { return directory.own() + "/" + directory.sockets().at(0); }

  const RuntimeDirectory directory;

 private:
  /// Empty at the end, or when a minute and a half brought nothing.
  static std::string read_line(int fd) {
    std::string line;
    char letter = 0;
    pollfd polled{fd, POLLIN, 0};
    while (poll(&polled, 1, 90'000) > 0 && read(fd, &letter, 1) == 1 && letter != '\n')
      line += letter;
    return line;
  }
  static std::string read_all(int fd) {
    std::string text;
    char piece[4096];
    for (ssize_t got = 0; (got = read(fd, piece, sizeof piece)) > 0;)
      text.append(piece, static_cast<std::size_t>(got));
    return text;
  }
  pid_t pid_ = -1;
  int out_ = -1, errors_ = -1;
};

std::map<std::uint64_t, protocol::TaskSnapshot> living_tasks(Console& console) {
  REQUIRE(console.is_connected());
  console.hello();
  console.say(protocol::Subscribe{.events = 0, .sample_every_ms = 0});
  console.say(protocol::RequestSnapshot{.waits = true});
  REQUIRE(console.read_until([&] { return console.whole_snapshot().has_value(); }));
  std::map<std::uint64_t, protocol::TaskSnapshot> tasks;
  const auto snapshot = console.whole_snapshot();
  for (const auto& task : snapshot->tasks) tasks.insert_or_assign(task.task, task);
  return tasks;
}

bool waits_for(const protocol::TaskSnapshot& task, std::uint64_t other) {
  return std::any_of(task.branches.begin(), task.branches.end(),
                     [other](const protocol::BranchState& wait) { return wait.other == other; });
}

std::string place(const Console& console, const protocol::TaskSnapshot& task) {
  std::string places;
  for (const auto& branch : task.branches) {
    const auto* const site = console.site(branch.site);
    if (site != nullptr) places += site->file + ":" + std::to_string(site->line) + " ";
  }
  return places;
}

/// Plants, and compares what is said with what a console is shown.
void visit(const std::string& option, const std::string& name, std::size_t count,
           std::uint64_t seed, const std::string& kind, int signal) {
  std::vector<std::string> arguments;
  if (option == "--decoy") arguments = {"--decoy"};
  arguments.push_back(option == "--decoy" ? name : "--" + name);
  for (const std::string more : {"--load", "24", "--block-ms", "100", "--workers", "3"})
    arguments.push_back(more);
  arguments.insert(arguments.end(),
                   {"--seed", std::to_string(seed), "--count", std::to_string(count)});
  Gallery gallery(arguments);
  const auto lines = gallery.read_planted();
  INFO(name << " with seed " << seed);
  REQUIRE(lines.size() >= count + 1);
  REQUIRE(lines.back());
  CHECK(lines.back()->number_of("planted") == count);

  Console console(gallery.socket());
  const auto living = living_tasks(console);
  std::size_t of_this_kind = 0;
  for (const auto& line : lines) {
    REQUIRE(line);
    if (line->has("planted")) continue;
    CHECK(line->has("shape"));
    CHECK(line->number_of("at_ns") > 0);
    const auto ids = line->ids_of("tasks");
    REQUIRE(!ids.empty());
    CHECK(std::set<std::uint64_t>(ids.begin(), ids.end()).size() == ids.size());
    CHECK(
        std::all_of(ids.begin(), ids.end(), [&](std::uint64_t id) { return living.contains(id); }));
    for (const char* const others : {"waiting", "behind"}) {
      for (const auto id : line->ids_of(others)) CHECK(living.contains(id));
    }
    if (option == "--decoy") {
      CHECK(line->text_of("decoy") == name);
      ++of_this_kind;
      continue;
    }
    if (line->text_of("kind") == kind) ++of_this_kind;
    const auto certainty = line->text_of("certainty");
    CHECK((certainty == "certain" || certainty == "suspect"));
    CHECK(line->text_of("where").find(".cpp:") != std::string::npos);
    if (kind == "deadlock" || kind == "stuck-behind" || kind == "permit-leak" || kind == "orphan" ||
        kind == "lost-waker") {
      // Nothing of this moves: the console sees exactly what was said.
      const auto& first = living.at(ids.front());
      CHECK(place(console, first).find(line->text_of("where") + " ") != std::string::npos);
      const auto resources = line->ids_of("resources");
      if (line->text_of("kind") == "stuck-behind") {
        REQUIRE(resources.size() == ids.size());
        for (std::size_t i = 0; i < ids.size(); ++i)
          CHECK((resources[i] == 0 || waits_for(living.at(ids[i]), resources[i])));
      } else if (line->text_of("kind") != "deadlock" && !resources.empty()) {
        for (const auto id : ids) CHECK(waits_for(living.at(id), resources.front()));
      }
    }
    if (line->text_of("kind") == "deadlock") {
      const auto& waits = line->fields.at("waits").items;
      REQUIRE(waits.size() == ids.size());
      for (std::size_t i = 0; i < waits.size(); ++i) {
        const auto& task = living.at(waits[i].number_of("task"));
        CHECK(waits[i].number_of("task") == ids[i]);
        CHECK(waits[i].number_of("holder") == ids[(i + 1) % ids.size()]);
        CHECK(
            waits_for(task, waits[i].number_of(waits[i].has("resource") ? "resource" : "holder")));
        CHECK(place(console, task).find(waits[i].text_of("where") + " ") != std::string::npos);
      }
    }
    if (kind == "lost-waker") {
      for (const auto id : ids) CHECK(living.at(id).wakers == 0);
    }
    if (kind == "large-frame") {
      for (const auto id : ids) CHECK(living.at(id).frame_bytes > 64u << 10);
    }
  }
  CHECK(of_this_kind == count);

  gallery.send_signal(signal);
  const auto errors = gallery.errors();
  CHECK(errors == "");
  CHECK(gallery.output() == "");
  CHECK(gallery.wait() == 0);
}

struct Named {
  const char* name;
  const char* kind;
};

}  // namespace

TEST_CASE("gallery: troubles of things that stand still are planted as said, and destroyed") {
  const auto trouble =
      GENERATE(Named{"deadlock", "deadlock"}, Named{"stuck-behind", "stuck-behind"},
               Named{"lost-waker", "lost-waker"}, Named{"lost-permit", "permit-leak"},
               Named{"orphan", "orphan"}, Named{"large-frame", "large-frame"});
  visit("--trouble", trouble.name, 24, 1, trouble.kind, SIGTERM);
}

TEST_CASE("gallery: troubles of things that move are planted as said, and end") {
  const auto trouble =
      GENERATE(Named{"slow-consumer", "slow-consumer"}, Named{"self-wakes", "self-wakes"},
               Named{"timer-burst", "timer-burst"}, Named{"starved", "starvation"});
  visit("--trouble", trouble.name, 4, 1, trouble.kind, SIGINT);
}

TEST_CASE("gallery: polls that block or never end give way to the end") {
  const auto seed = GENERATE(1u, 2u, 3u, 4u);
  visit("--trouble", "blocks", 1, seed, "blocking-poll", SIGTERM);
  visit("--trouble", "never-yields", 1, seed, "never-yielded", SIGINT);
}

TEST_CASE("gallery: decoys are planted as said, and end") {
  const std::string decoy =
      GENERATE("contended", "timeout-cycle", "moved-guard", "signal-semaphore", "blocking-holder",
               "slow-sender", "long-yielding", "long-sleep");
  visit("--decoy", decoy, decoy == "contended" || decoy == "long-yielding" ? 1 : 6, 1, "", SIGTERM);
}

TEST_CASE("gallery: without a word it plants nine troubles, and --seconds ends it") {
  Gallery gallery({"--load", "24", "--block-ms", "100", "--seconds", "0"});
  std::vector<std::string> troubles;
  for (const auto& line : gallery.read_planted()) {
    REQUIRE(line);
    if (line->has("trouble")) troubles.push_back(line->text_of("trouble"));
  }
  std::sort(troubles.begin(), troubles.end());
  CHECK(troubles == std::vector<std::string>{"blocks", "deadlock", "lost-permit", "lost-waker",
                                             "never-yields", "self-wakes", "slow-consumer",
                                             "starved", "timer-burst"});
  CHECK(gallery.errors() == "");
  CHECK(gallery.wait() == 0);
}

TEST_CASE("gallery: a seed says the shape") {
  const auto shapes = [](const std::string& seed) {
    Gallery gallery({"--deadlock", "--lost-permit", "--count", "3", "--load", "0", "--seconds", "0",
                     "--seed", seed});
    std::vector<std::string> read;
    for (const auto& line : gallery.read_planted()) {
      REQUIRE(line);
      read.push_back(line->text_of("shape"));
    }
    CHECK(gallery.wait() == 0);
    return read;
  };
  const auto first = shapes("7");
  CHECK(first == shapes("7"));
  CHECK(first != shapes("11"));
}

TEST_CASE("gallery: a signal before all is planted ends it as well") {
  Gallery gallery({"--deadlock", "--count", "10000"});
  REQUIRE(!gallery.directory.directory.path().empty());
  std::size_t tries = 0;
  while (gallery.directory.sockets().empty() && ++tries < 30'000) usleep(1000);
  gallery.send_signal(SIGTERM);
  CHECK(gallery.errors() == "");
  CHECK(gallery.wait() == 0);
}

TEST_CASE("gallery: what it does not understand it says") {
  const std::pair<std::vector<std::string>, std::string> wrong[] = {
      {{"--trouble"}, "--trouble"},
      {{"deadlock"}, "deadlock"},
      {{"--decoy", "duck"}, "duck"},
      {{"--decoy"}, "--decoy needs a value"},
      {{"--seed", "x"}, "--seed"},
      {{"--workers", "0"}, "from 1 to 1024"},
      {{"--load"}, "--load needs"},
      {{"--block-ms", "1.5"}, "--block-ms"},
      {{"--healthy", "--deadlock"}, "--healthy"}};
  for (const auto& [arguments, what] : wrong) {
    Gallery gallery(arguments);
    const auto errors = gallery.errors();
    INFO(errors);
    CHECK(errors.starts_with("taskscope-gallery: "));
    CHECK(errors.find(what) != std::string::npos);
    CHECK(std::count(errors.begin(), errors.end(), '\n') == 1);
    CHECK(gallery.output().empty());
    CHECK(gallery.wait() == 2);
  }
  Gallery help({"--help"});
  CHECK(help.output().find("--slow-consumer") != std::string::npos);
  CHECK(help.wait() == 0);
}
