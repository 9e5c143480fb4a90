#include "taskscope/console/source/target.h"

#include <sys/stat.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "taskscope/console/source/open.h"
#include "taskscope/tests/console/source/scripted_target.h"

using namespace taskscope;
using console::source::FailureKind;
using console::source::TargetKind;

namespace {

constexpr std::chrono::milliseconds kShort{50};

/// A socket at `path` that listens and never accepts.
class Listener {
 public:
  explicit Listener(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    good = bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
           listen(fd_, 8) == 0;
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  [[nodiscard]] int fd() const { return fd_; }
  bool good = false;

 private:
  int fd_;
};

std::string own_start_time() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  text = text.substr(text.rfind(')') + 2);
  for (int field = 3; field < 22; ++field) text = text.substr(text.find(' ') + 1);
  return text.substr(0, text.find(' '));
}

}  // namespace

TEST_CASE("discovery finds living sockets, marks stale ones and passes by what it can't trust") {
  const tests::TemporaryDirectory root;
  const auto good = root / "good";
  REQUIRE(mkdir(good.c_str(), 0700) == 0);
  const auto own = std::to_string(getpid()) + "-" + own_start_time();
  const Listener living(good + "/" + own);
  const Listener ended(good + "/" + std::to_string(getpid()) + "-1");
  const Listener other(good + "/notes");
  REQUIRE(living.good);
  REQUIRE(mkdir((root / "open").c_str(), 0755) == 0);
  REQUIRE(symlink(good.c_str(), (root / "link").c_str()) == 0);
  std::ofstream(root / "file") << "x";

  const auto found = console::source::discover_in(
      {good, root / "open", root / "link", root / "file", root / "missing"}, false, kShort);
  REQUIRE(found.candidates.size() == 2);
  const auto& candidates = found.candidates;
  CHECK(candidates[0].pid == static_cast<std::uint64_t>(getpid()));
  CHECK((candidates[0].stale ? candidates[0] : candidates[1]).start_time == 1);
  CHECK((candidates[0].stale ? candidates[1] : candidates[0]).path == good + "/" + own);
  CHECK(candidates[0].stale != candidates[1].stale);
  REQUIRE(found.ignored.size() == 3);
  CHECK(found.ignored[0].find("0700") != std::string::npos);
  CHECK(found.ignored[1].find("symbolic link") != std::string::npos);
  CHECK(found.ignored[2].find("not a directory") != std::string::npos);

  const auto asked = console::source::discover_in({good}, true, kShort);
  REQUIRE(asked.candidates.size() == 2);
  for (const auto& candidate : asked.candidates) {
    CHECK_FALSE(candidate.process);
    if (!candidate.stale) CHECK(candidate.problem.find("does not answer") != std::string::npos);
  }
}

TEST_CASE("a target is found by pid, by name, by path, and errors say what to do") {
  const tests::TemporaryDirectory root;
  REQUIRE(setenv("XDG_RUNTIME_DIR", root.path().c_str(), 1) == 0);
  using console::source::resolve;
  const auto own = std::to_string(getpid());

  const auto without = resolve(own);
  REQUIRE_FALSE(without);
  CHECK(without.failure().kind == FailureKind::NoTaskscope);
  CHECK(without.failure().sentence.find("has no taskscope") != std::string::npos);

  REQUIRE(mkdir((root / "taskscope").c_str(), 0700) == 0);
  const auto path = root / "taskscope/" + own + "-" + own_start_time();
  const Listener listener(path);
  REQUIRE(listener.good);
  const auto by_pid = resolve(own);
  REQUIRE(by_pid);
  CHECK(by_pid.value().kind == TargetKind::Socket);
  CHECK(by_pid.value().path == path);
  CHECK(by_pid.value().pid == static_cast<std::uint64_t>(getpid()));
  std::ifstream comm("/proc/self/comm");
  std::string name;
  std::getline(comm, name);
  const auto by_name = resolve(name);
  REQUIRE(by_name);
  CHECK(by_name.value().path == path);
  const auto by_path = resolve(path);
  REQUIRE(by_path);
  CHECK(by_path.value().kind == TargetKind::Socket);

  CHECK(resolve("999999999").failure().kind == FailureKind::NoSuchTarget);
  CHECK(resolve("no-such-process-here").failure().kind == FailureKind::NoSuchTarget);
  CHECK(resolve(root / "nothing").failure().kind == FailureKind::NoSuchTarget);
  CHECK(resolve(root.path()).failure().kind == FailureKind::NotARecording);
  CHECK(resolve(path, true).failure().kind == FailureKind::NotARecording);
  CHECK(resolve("").failure().kind == FailureKind::NoSuchTarget);
  const auto remote = resolve("example.org:7777");
  REQUIRE(remote);
  CHECK(remote.value().kind == TargetKind::Tcp);
  CHECK(remote.value().host == "example.org");
  CHECK(remote.value().port == 7777);
  const auto six = resolve("[::1]:80");
  REQUIRE(six);
  CHECK(six.value().host == "::1");
  REQUIRE(unsetenv("XDG_RUNTIME_DIR") == 0);
}

TEST_CASE("what can't be connected to says why") {
  const tests::TemporaryDirectory root;
  const auto missing = console::source::open_target(root / "missing");
  REQUIRE_FALSE(missing);
  CHECK(missing.failure().kind == FailureKind::NoSuchTarget);
  {
    const Listener ended(root / "ended");
  }
  const auto stale = console::source::open_target(root / "ended");
  REQUIRE_FALSE(stale);
  CHECK(stale.failure().kind == FailureKind::NoTaskscope);
  const Listener silent(root / "silent");
  console::source::LiveOptions options;
  options.handshake_limit = kShort;
  const auto no_answer = console::source::open_target(root / "silent", false, options);
  REQUIRE_FALSE(no_answer);
  CHECK(no_answer.failure().kind == FailureKind::NoAnswer);
  const console::source::Target target{TargetKind::Socket, std::string(300, 'x'), {}, 0, 0};
  CHECK_FALSE(console::source::probe(target));
}
