#include "taskscope/console/source/target.h"

#include <dirent.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <system_error>
#include <thread>

#include "taskscope/console/source/live_source.h"

namespace taskscope::console::source {
namespace {

constexpr std::size_t kMaxCandidates = 4096, kProbesAtOnce = 64;

std::optional<std::uint64_t> number_in(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

std::string proc_file(std::uint64_t pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  std::string text;
  std::getline(file, text);
  return text;
}

std::string comm_of(std::uint64_t pid) { return proc_file(pid, "comm"); }

/// Field 22 of /proc/PID/stat; the name, field 2, may hold anything but ends with the last ')'.
std::optional<std::uint64_t> start_time_of(std::uint64_t pid) {
  const auto stat = proc_file(pid, "stat");
  auto place = stat.rfind(')');
  if (place == std::string::npos) return {};
  for (int field = 2; field < 22; ++field) {
    place = stat.find(' ', place + 1);
    if (place == std::string::npos) return {};
  }
  const auto end = stat.find(' ', place + 1);
  return number_in(std::string_view(stat).substr(place + 1, end - place - 1));
}

std::string user_name(uid_t uid) {
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer(4096, '\0');
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return found->pw_name;
  return "number " + std::to_string(uid);
}

/// Why a directory can't be trusted; empty: it can, or is not there.
std::string distrust(const std::string& path, bool& exists) {
  struct stat about{};
  exists = lstat(path.c_str(), &about) == 0;
  if (!exists) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return path + ": " + std::error_code(errno, std::generic_category()).message();
  }
  if (S_ISLNK(about.st_mode))
    return path + " is a symbolic link: somebody else may have put it there";
  if (!S_ISDIR(about.st_mode)) return path + " is not a directory";
  if (about.st_uid != geteuid() && geteuid() != 0)
    return path + " belongs to user " + user_name(about.st_uid);
  if ((about.st_mode & 077) != 0) return path + " is open to other users; its mode has to be 0700";
  return {};
}

/// Splits "<pid>-<starttime>".
bool parse_name(std::string_view name, Candidate& candidate) {
  const auto dash = name.find('-');
  if (dash == std::string_view::npos) return false;
  const auto pid = number_in(name.substr(0, dash)), start = number_in(name.substr(dash + 1));
  if (!pid || !start) return false;
  candidate.pid = *pid;
  candidate.start_time = *start;
  return true;
}

void list_directory(const std::string& directory, Discovery& discovery) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(directory.c_str()), closedir);
  if (!open) {
    discovery.ignored.push_back(directory + ": " +
                                std::error_code(errno, std::generic_category()).message());
    return;
  }
  while (const dirent* entry = readdir(open.get())) {
    Candidate candidate;
    if (!parse_name(entry->d_name, candidate)) continue;
    candidate.path = directory + "/" + entry->d_name;
    struct stat about{};
    if (lstat(candidate.path.c_str(), &about) != 0 || !S_ISSOCK(about.st_mode)) continue;
    const auto start = start_time_of(candidate.pid);
    candidate.stale = !start || *start != candidate.start_time;
    if (candidate.stale) candidate.problem = "its process has ended";
    if (discovery.candidates.size() >= kMaxCandidates) {
      discovery.ignored.push_back(directory + " holds too many sockets");
      return;
    }
    discovery.candidates.push_back(std::move(candidate));
  }
}

void ask_all(std::vector<Candidate>& candidates, std::chrono::milliseconds limit) {
  for (std::size_t begin = 0; begin < candidates.size(); begin += kProbesAtOnce) {
    const auto end = std::min(candidates.size(), begin + kProbesAtOnce);
    std::vector<std::thread> threads;
    for (auto i = begin; i < end; ++i) {
      if (candidates[i].stale) continue;
      threads.emplace_back([&one = candidates[i], limit] {
        auto answer = probe({TargetKind::Socket, one.path, {}, 0, one.pid}, limit);
        if (answer)
          one.process = std::move(answer.value());
        else
          one.problem = answer.failure().sentence;
      });
    }
    for (auto& thread : threads) thread.join();
  }
}

std::string describe(std::uint64_t pid) {
  const auto name = comm_of(pid);
  return "process " + std::to_string(pid) + (name.empty() ? "" : " (" + name + ")");
}

std::string ignored_hint(const Discovery& discovery) {
  return discovery.ignored.empty() ? "" : "; passed by: " + discovery.ignored.front();
}

Result<Target> resolve_pid(std::uint64_t pid) {
  const auto discovery = discover(false);
  for (const auto& candidate : discovery.candidates)
    if (candidate.pid == pid && !candidate.stale)
      return Target{TargetKind::Socket, candidate.path, {}, 0, pid};
  struct stat about{};
  if (stat(("/proc/" + std::to_string(pid)).c_str(), &about) != 0)
    return Failure{FailureKind::NoSuchTarget, "there is no process " + std::to_string(pid)};
  if (about.st_uid != geteuid() && geteuid() != 0)
    return Failure{FailureKind::PermissionDenied,
                   "permission denied: " + describe(pid) + " belongs to user " +
                       user_name(about.st_uid) + "; run taskscope as that user"};
  return Failure{FailureKind::NoTaskscope,
                 describe(pid) +
                     " has no taskscope; instrument it with one line in main, or look whether it "
                     "was started with TASKSCOPE=off or another XDG_RUNTIME_DIR" +
                     ignored_hint(discovery)};
}

bool has_process_called(const std::string& name) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir("/proc"), closedir);
  if (!open) return false;
  while (const dirent* entry = readdir(open.get())) {
    const auto pid = number_in(entry->d_name);
    if (pid && comm_of(*pid) == name.substr(0, 15)) return true;
  }
  return false;
}

Result<Target> resolve_name(const std::string& name) {
  const auto discovery = discover(false);
  std::vector<const Candidate*> matches;
  for (const auto& candidate : discovery.candidates) {
    if (candidate.stale) continue;
    // The kernel keeps 15 bytes of a name.
    if (comm_of(candidate.pid) == name.substr(0, 15)) matches.push_back(&candidate);
  }
  if (matches.size() == 1)
    return Target{TargetKind::Socket, matches.front()->path, {}, 0, matches.front()->pid};
  if (matches.size() > 1) {
    std::string pids;
    for (const auto* match : matches)
      pids += (pids.empty() ? "" : ", ") + std::to_string(match->pid);
    return Failure{FailureKind::Ambiguous, std::to_string(matches.size()) +
                                               " processes are called " + name +
                                               "; say which one by its pid: " + pids};
  }
  if (has_process_called(name))
    return Failure{FailureKind::NoTaskscope,
                   name +
                       " runs, but has no taskscope; instrument it with one line in main, or "
                       "look whether it was started with TASKSCOPE=off or another "
                       "XDG_RUNTIME_DIR" +
                       ignored_hint(discovery)};
  return Failure{FailureKind::NoSuchTarget, "there is no process, socket or file called " + name +
                                                "; `taskscope list` shows what can be attached to"};
}

Result<Target> resolve_file(const std::string& path) {
  struct stat about{};
  if (stat(path.c_str(), &about) != 0) {
    if (errno == EACCES)
      return Failure{FailureKind::PermissionDenied, "permission denied for " + path};
    return Failure{FailureKind::NoSuchTarget, "there is no file " + path};
  }
  if (S_ISSOCK(about.st_mode)) return Target{TargetKind::Socket, path, {}, 0, 0};
  if (S_ISDIR(about.st_mode))
    return Failure{FailureKind::NotARecording, path + " is a directory, not a recording"};
  return Target{TargetKind::File, path, {}, 0, 0};
}

std::optional<Target> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return {};
  const auto port = number_in(text.substr(colon + 1));
  if (!port || *port == 0 || *port > 65535) return {};
  auto host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return Target{TargetKind::Tcp, {}, std::string(host), static_cast<std::uint16_t>(*port), 0};
}

}  // namespace

std::string Target::text() const {
  return kind == TargetKind::Tcp ? host + ":" + std::to_string(port) : path;
}

std::vector<std::string> discovery_directories() {
  std::vector<std::string> directories;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/')
    directories.push_back(std::string(runtime) + "/taskscope");
  directories.push_back("/tmp/taskscope-" + std::to_string(geteuid()));
  return directories;
}

Discovery discover_in(const std::vector<std::string>& directories, bool ask,
                      std::chrono::milliseconds limit) {
  Discovery discovery;
  for (const auto& directory : directories) {
    bool exists = false;
    auto reason = distrust(directory, exists);
    if (!reason.empty())
      discovery.ignored.push_back(std::move(reason));
    else if (exists)
      list_directory(directory, discovery);
  }
  std::sort(discovery.candidates.begin(), discovery.candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.pid < b.pid; });
  if (ask) ask_all(discovery.candidates, limit);
  return discovery;
}

Discovery discover(bool ask, std::chrono::milliseconds limit) {
  return discover_in(discovery_directories(), ask, limit);
}

Result<Target> resolve(std::string_view given, bool file_only) {
  const std::string text(given);
  if (text.empty()) return Failure{FailureKind::NoSuchTarget, "no target was named"};
  if (file_only) {
    auto file = resolve_file(text);
    if (file && file.value().kind != TargetKind::File)
      return Failure{FailureKind::NotARecording, text + " is a socket, not a recording"};
    return file;
  }
  if (const auto pid = number_in(text)) return resolve_pid(*pid);
  if (text.find('/') != std::string::npos || access(text.c_str(), F_OK) == 0)
    return resolve_file(text);
  if (auto remote = parse_host_port(text)) return std::move(*remote);
  return resolve_name(text);
}

}  // namespace taskscope::console::source
