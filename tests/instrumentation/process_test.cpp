/// Programs as they are started by people: switched by their environment, ending as they do.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "taskscope/tests/instrumentation/console.h"

using namespace taskscope;
using namespace taskscope::test;

namespace {

/// A running instrumented_program.
class Program {
 public:
  Program(const std::string& polls, std::vector<std::string> environment) {
    int in[2] = {}, out[2] = {}, errors[2] = {};
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0)
      return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, errors[1], 2);
    std::string name = INSTRUMENTED_PROGRAM, argument = polls;
    char* const arguments[] = {name.data(), argument.data(), nullptr};
    std::vector<char*> variables;
    for (auto& variable : environment) variables.push_back(variable.data());
    variables.push_back(nullptr);
    if (posix_spawn(&pid_, name.c_str(), &actions, nullptr, arguments, variables.data()) != 0)
      pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    close(errors[1]);
    in_ = in[1];
    out_ = out[0];
    errors_ = errors[0];
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      wait();
    }
    for (const int fd : {in_, out_, errors_}) close(fd);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  std::string line() { return read_line(out_); }
  std::string error_line() { return read_line(errors_); }
  void go_on() { static_cast<void>(!write(in_, "\n", 1)); }
  int wait() {
    int status = -1;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }
  /// Threads of ours that it has.
  [[nodiscard]] int threads() const {
    int count = 0;
    const std::string tasks = "/proc/" + std::to_string(pid_) + "/task";
    for (const auto& tid : list(tasks)) {
      std::ifstream file(tasks + "/" + tid + "/comm");
      std::string name;
      std::getline(file, name);
      count += name.starts_with("taskscope-") ? 1 : 0;
    }
    return count;
  }

 private:
  static std::string read_line(int fd) {
    std::string line;
    char letter = 0;
    while (read(fd, &letter, 1) == 1 && letter != '\n') line += letter;
    return line;
  }
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, errors_ = -1;
};

/// The runtime directory of a program, with what it makes in it.
struct RuntimeDirectory {
  RuntimeDirectory() = default;
  ~RuntimeDirectory() {
    for (const auto& socket : sockets()) unlink((own() + "/" + socket).c_str());
    rmdir(own().c_str());
  }
  [[nodiscard]] std::string own() const { return directory.path() + "/taskscope"; }
  [[nodiscard]] std::string variable() const { return "XDG_RUNTIME_DIR=" + directory.path(); }
  [[nodiscard]] std::vector<std::string> sockets() const { return list(own()); }
  Directory directory;
};

}  // namespace

TEST_CASE("process: TASKSCOPE=off makes no thread and no socket") {
  const RuntimeDirectory runtime;
  Program program("0", {runtime.variable(), "TASKSCOPE=off"});
  CHECK(program.line() == "ready 0 0");
  CHECK(program.threads() == 0);
  CHECK(runtime.sockets().empty());
  program.go_on();
  CHECK(program.line() == "done");
  CHECK(program.wait() == 0);
}

TEST_CASE("process: listens by default, in the runtime directory, and cleans up when it ends") {
  const RuntimeDirectory runtime;
  Program program("0", {runtime.variable()});
  CHECK(program.line() == "ready 1 1");
  CHECK(program.threads() == 1);  // it sleeps until somebody comes
  REQUIRE(runtime.sockets().size() == 1);
  CHECK(runtime.sockets()[0].starts_with(std::to_string(program.pid()) + "-"));
  Console console(runtime.own() + "/" + runtime.sockets()[0]);
  console.attach();
  program.go_on();
  CHECK(console.read_to_end());
  REQUIRE(console.count<protocol::Goodbye>() == 1);
  CHECK(console.all<protocol::Goodbye>()[0].reason == "the program has ended");
  CHECK(program.wait() == 0);
  CHECK(runtime.sockets().empty());
}

TEST_CASE("process: TASKSCOPE=wait waits for a console, which then misses nothing to the end") {
  const RuntimeDirectory runtime;
  constexpr std::uint64_t kPolls = 300'000;
  Program program(std::to_string(kPolls), {runtime.variable(), "TASKSCOPE=wait"});
  CHECK(program.error_line().find("waiting for a console") != std::string::npos);
  REQUIRE(runtime.sockets().size() == 1);
  Console console(runtime.own() + "/" + runtime.sockets()[0]);
  console.attach();
  CHECK(console.read_to_end());
  CHECK(program.line() == "ready 1 1");
  CHECK(program.wait() == 0);
  CHECK(console.errors == 0);
  CHECK(console.count<protocol::Goodbye>() == 1);
  std::uint64_t lost = 0;
  for (const auto& loss : console.all<protocol::Loss>()) lost += loss.events;
  CHECK(console.recorded() + lost == 2 * kPolls);
}

TEST_CASE("process: with rings of 64 KiB from the environment the sum is the same") {
  const RuntimeDirectory runtime;
  constexpr std::uint64_t kPolls = 1'000'000;
  Program program(std::to_string(kPolls),
                  {runtime.variable(), "TASKSCOPE=wait", "TASKSCOPE_RING=64K"});
  CHECK(program.error_line().find("waiting") != std::string::npos);
  Console console(runtime.own() + "/" + runtime.sockets().at(0));
  console.attach();
  CHECK(console.read_to_end());
  CHECK(program.wait() == 0);
  const auto lost = console.lost(protocol::LossCause::RingFull);
  CHECK(lost.events > 0);
  CHECK(console.recorded() + lost.events == 2 * kPolls);
  CHECK(console.count(protocol::EventKind::PollEnded) + lost.polls == kPolls);
}

TEST_CASE("process: nonsense in the environment is said and ignored") {
  const RuntimeDirectory runtime;
  Program program("0", {runtime.variable(), "TASKSCOPE=maybe"});
  CHECK(program.error_line() ==
        "taskscope: TASKSCOPE=maybe is not understood, it is ignored; it can be on, off or wait");
  CHECK(program.line() == "ready 1 1");
  Program other("0", {runtime.variable(), "TASKSCOPE_RING=100K"});
  CHECK(other.error_line().find("TASKSCOPE_RING=100K is not understood") != std::string::npos);
  Program third("0", {runtime.variable(), "TASKSCOPE_LISTEN=8.8.8.8:1"});
  CHECK(third.error_line().find("8.8.8.8:1") != std::string::npos);
  CHECK(third.line() == "ready 1 1");
}

TEST_CASE(
    "process: a program that is killed leaves a console that knows, and a socket that the "
    "next one sweeps") {
  const RuntimeDirectory runtime;
  {
    Program program("0", {runtime.variable()});
    CHECK(program.line() == "ready 1 1");
    Console console(runtime.own() + "/" + runtime.sockets().at(0));
    console.attach();
    kill(program.pid(), SIGKILL);
    program.wait();
    CHECK(console.read_to_end());
    CHECK(console.count<protocol::Goodbye>() == 0);
  }
  CHECK(runtime.sockets().size() == 1);
  Program next("0", {runtime.variable()});
  CHECK(next.line() == "ready 1 1");
  REQUIRE(runtime.sockets().size() == 1);
  CHECK(runtime.sockets()[0].starts_with(std::to_string(next.pid()) + "-"));
}
