#include "taskscope/instrumentation/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

#include "taskscope/instrumentation/engine.h"
#include "taskscope/instrumentation/recorder.h"
#include "taskscope/tests/instrumentation/console.h"

using namespace taskscope;
using namespace taskscope::instrumentation;
using namespace taskscope::test;

namespace {

std::string goodbye(Console& console) {
  console.read_to_end();
  const auto all = console.all<protocol::Goodbye>();
  return all.empty() ? "" : all.back().reason;
}

}  // namespace

TEST_CASE("server: says who it is, to a probe too") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  Console probe(engine.socket_path());
  probe.say(protocol::Hello{.program = "test", .probe = true});
  REQUIRE(probe.read_until([&] { return probe.count<protocol::Process>() == 1; }));
  const auto process = probe.all<protocol::Process>().front();
  CHECK(process.pid == static_cast<std::uint64_t>(getpid()));
  CHECK(process.start_time > 0);
  CHECK(process.name == "instrumentation");
  CHECK(process.executable.ends_with("instrumentation_tests"));
  CHECK_FALSE(process.command_line.empty());
  CHECK_FALSE(process.host.empty());
  CHECK(process.wall_ns > 1'600'000'000'000'000'000u);
  CHECK(directory.entries() == std::vector<std::string>{std::to_string(process.pid) + "-" +
                                                        std::to_string(process.start_time)});
}

TEST_CASE("server: a console of another version gets a sentence and no stream") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  Console console(engine.socket_path());
  console.say(protocol::Hello{.major = protocol::kMajorVersion + 1, .program = "test"});
  const auto reason = goodbye(console);
  CHECK(reason.find("version " + std::to_string(protocol::kMajorVersion + 1)) != std::string::npos);
  CHECK(console.count<protocol::Process>() == 0);
}

TEST_CASE("server: what is not the protocol is answered with a sentence and hung up on") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  {
    Console web(engine.socket_path());
    web.say_bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(goodbye(web).find("not the protocol") != std::string::npos);
  }
  {
    Console rude(engine.socket_path());
    rude.say(protocol::Subscribe{});
    CHECK(goodbye(rude).find("hello") != std::string::npos);
  }
  {
    Console confused(engine.socket_path());
    confused.say_bytes(*protocol::encode(protocol::Goodbye{"wrong direction"}, 0));
    confused.hello();
    CHECK(confused.read_until([&] { return confused.has_ended || !confused.updates.empty(); }));
  }
  Console console(engine.socket_path());
  console.attach();
  CHECK(console.count<protocol::Process>() == 1);
}

TEST_CASE("server: takes many consoles, and refuses one too many with a sentence") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  std::vector<std::unique_ptr<Console>> consoles;
  for (int i = 0; i < 64; ++i) {
    consoles.push_back(std::make_unique<Console>(engine.socket_path()));
    consoles.back()->hello();
    REQUIRE(consoles.back()->read_until([&] { return !consoles.back()->updates.empty(); }));
  }
  Console late(engine.socket_path());
  late.hello();
  CHECK(goodbye(late).find("too many") != std::string::npos);
}

TEST_CASE("server: listens on TCP when told to, beyond the loopback only when told twice") {
  const Directory directory;
  std::string error;
  CHECK_FALSE(listen_on_tcp("0.0.0.0:0", false, error));
  CHECK(error.find("other machines") != std::string::npos);
  CHECK(listen_on_tcp("0.0.0.0:0", true, error));
  CHECK_FALSE(listen_on_tcp("localhost", false, error));
  CHECK(error.find("host:port") != std::string::npos);
  CHECK_FALSE(listen_on_tcp("no such host.invalid:1", false, error));

  const Descriptor any_port = listen_on_tcp("127.0.0.1:0", false, error);
  REQUIRE(any_port);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(any_port.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  CHECK(ntohl(address.sin_addr.s_addr) == INADDR_LOOPBACK);
}

TEST_CASE("server: serves the same over TCP") {
  const Directory directory;
  std::string error;
  sockaddr_in address{};
  socklen_t size = sizeof address;
  {
    // A port that is free now.
    const Descriptor probe = listen_on_tcp("127.0.0.1:0", false, error);
    REQUIRE(getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  }
  Engine engine({.listen = "127.0.0.1:" + std::to_string(ntohs(address.sin_port)),
                 .socket_directory = directory.path()});
  Descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  Console console(std::move(fd));
  console.attach();
  CHECK(console.count<protocol::Process>() == 1);
  engine.finish("done");
  CHECK(goodbye(console) == "done");
}

TEST_CASE("server: no signal is delivered to our threads, and no descriptor survives an exec") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  Console console(engine.socket_path());
  console.attach();
  int threads = 0;
  for (const auto& tid : list("/proc/self/task")) {
    std::ifstream status("/proc/self/task/" + tid + "/status");
    std::string line;
    bool is_ours = false;
    while (std::getline(status, line)) {
      if (line.starts_with("Name:")) is_ours = line.find("taskscope-") != std::string::npos;
      if (!is_ours || !line.starts_with("SigBlk:")) continue;
      ++threads;
      const auto blocked = std::stoull(line.substr(line.find('\t')), nullptr, 16);
      for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGPIPE, SIGALRM})
        CHECK((blocked >> (signal - 1) & 1) == 1);
    }
  }
  CHECK(threads == 4);
  int left_open = 0;
  for (int fd = 3; fd < 200; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    struct stat info{};
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0 && fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode))
      ++left_open;
  }
  CHECK(left_open == 0);
}

TEST_CASE("server: a directory that is not ours alone is refused") {
  const Directory directory;
  std::string error;
  const std::string open = directory.path() + "/open";
  REQUIRE(mkdir(open.c_str(), 0700) == 0);
  REQUIRE(chmod(open.c_str(), 0755) == 0);
  CHECK_FALSE(listen_on_unix(open, error).fd);
  CHECK(error.find("0700") != std::string::npos);
  REQUIRE(chmod(open.c_str(), 0700) == 0);
  const std::string link = directory.path() + "/link";
  REQUIRE(symlink(open.c_str(), link.c_str()) == 0);
  CHECK_FALSE(listen_on_unix(link, error).fd);
  CHECK(error.find("not a directory") != std::string::npos);
  CHECK_FALSE(listen_on_unix("/proc/taskscope", error).fd);
  {
    // Sockets of processes that were killed go away, nothing else does.
    const std::string stale = open + "/4194303-1", other = open + "/notes";
    close(::open(stale.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    close(::open(other.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    const UnixListener listener = listen_on_unix(open, error);
    CHECK(listener.fd);
    CHECK(access(stale.c_str(), F_OK) != 0);
    CHECK(access(other.c_str(), F_OK) == 0);
    struct stat info{};
    REQUIRE(stat(listener.path.c_str(), &info) == 0);
    CHECK((info.st_mode & 077) == 0);
    unlink(listener.path.c_str());
    unlink(other.c_str());
  }
  rmdir(open.c_str());
}

TEST_CASE("server: after a fork the child is out of it, and the parent goes on") {
  const Directory directory;
  Engine engine({.socket_directory = directory.path()});
  Console console(engine.socket_path());
  console.attach();
  const pid_t child = fork();
  if (child == 0) {
    const bool is_off = runtime::observe::detail::mask.load() == 0 && current_engine() == nullptr;
    // Of the descriptors, only the test's own end of the connection can be a socket.
    int sockets = 0;
    for (int fd = 3; fd < 200; ++fd) {
      struct stat info{};
      if (fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode)) ++sockets;
    }
    _exit(is_off && sockets == 0 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  std::thread([] {
    recorder::poll_started(runtime::observe::TaskId{1}, runtime::observe::WorkerId{1},
                           runtime::observe::read_ticks());
  }).join();
  CHECK(console.read_until([&] { return console.recorded() == 1; }));
}
