#include "taskscope/console/app/commands/child_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace taskscope::console::app::commands {
namespace {

constexpr int kMaxGenerations = 64;

std::uint64_t parent_of(std::uint64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  // "pid (name) state ppid": the name may hold anything, also parentheses.
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= line.size()) return 0;
  std::uint64_t parent = 0;
  std::from_chars(line.data() + name_end + 4, line.data() + line.size(), parent);
  return parent;
}

}  // namespace

source::Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& command) {
  const auto failed = [&](int error) {
    return source::Failure{source::FailureKind::System,
                           "can't start " + command[0] + ": " + std::strerror(error)};
  };
  std::vector<char*> arguments;
  for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  int report[2];  // closed by a successful exec; else errno comes through
  if (::pipe2(report, O_CLOEXEC) != 0) return failed(errno);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::setenv("TASKSCOPE", "wait", 1);
    ::execvp(arguments[0], arguments.data());
    const int error = errno;
    [[maybe_unused]] const auto written = ::write(report[1], &error, sizeof error);
    ::_exit(127);
  }
  const int fork_error = errno;
  ::close(report[1]);
  int error = 0;
  ssize_t got = 0;
  if (pid > 0) {
    do got = ::read(report[0], &error, sizeof error);
    while (got < 0 && errno == EINTR);
  }
  ::close(report[0]);
  if (pid < 0) return failed(fork_error);
  if (got == sizeof error) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return failed(error);
  }
  return ChildProcess(pid);
}

std::optional<int> ChildProcess::ended() {
  if (status_) return status_;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return status_;
}

bool ChildProcess::is_ancestor_of(std::uint64_t pid) const {
  for (int generation = 0; generation < kMaxGenerations && pid > 1; ++generation) {
    if (pid == static_cast<std::uint64_t>(pid_)) return true;
    pid = parent_of(pid);
  }
  return false;
}

}  // namespace taskscope::console::app::commands
