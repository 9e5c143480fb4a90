#include "taskscope/instrumentation/endpoint.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <elf.h>
#include <link.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "taskscope/runtime/observe/ticks.h"

namespace taskscope::instrumentation {

namespace {

/// The descriptors that a forked child has to close; 0 marks a free place, else the descriptor + 1.
constinit std::atomic<int> open_descriptors[256];

void forget(int fd) noexcept {
  for (auto& place : open_descriptors) {
    int expected = fd + 1;
    if (place.compare_exchange_strong(expected, 0, std::memory_order_relaxed)) return;
  }
}

std::string reason() { return std::strerror(errno); }

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Field 22 of /proc/PID/stat. The name, field 2, may hold anything but ends with the last ')'.
std::uint64_t start_time_of(const std::string& pid) {
  const std::string stat = read_file(("/proc/" + pid + "/stat").c_str());
  std::size_t at = stat.rfind(')');
  if (at == std::string::npos) return 0;
  for (int field = 2; field < 22; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string::npos) return 0;
  }
  return std::strtoull(stat.c_str() + at + 1, nullptr, 10);
}

/// Makes the directory if need be; it has to be ours alone, and no symbolic link.
bool prepare_directory(const std::string& path, std::string& error) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    error = "cannot make " + path + ": " + reason();
    return false;
  }
  struct stat info{};
  if (lstat(path.c_str(), &info) != 0) {
    error = "cannot look at " + path + ": " + reason();
    return false;
  }
  if (!S_ISDIR(info.st_mode)) {
    error = path + " is not a directory";
    return false;
  }
  if (info.st_uid != geteuid()) {
    error = path + " belongs to another user";
    return false;
  }
  if ((info.st_mode & 077) != 0) {
    error = path + " is open to other users; it needs mode 0700";
    return false;
  }
  return true;
}

/// Removes sockets of processes that were killed.
void sweep(const std::string& directory) {
  DIR* const entries = opendir(directory.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = readdir(entries)) {
    const std::string name = entry->d_name;
    const auto dash = name.find('-');
    if (dash == 0 || dash == std::string::npos ||
        name.find_first_not_of("0123456789-") != std::string::npos)
      continue;
    const std::uint64_t started = std::strtoull(name.c_str() + dash + 1, nullptr, 10);
    if (start_time_of(name.substr(0, dash)) != started) unlink((directory + "/" + name).c_str());
  }
  closedir(entries);
}

UnixListener listen_in(const std::string& directory, std::string& error) {
  if (!prepare_directory(directory, error)) return {};
  sweep(directory);
  const std::string path = directory + "/" + std::to_string(getpid()) + "-" +
                           std::to_string(start_time_of(std::to_string(getpid())));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    error = path + " is too long for a socket";
    return {};
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Descriptor fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) {
    error = "cannot make a socket: " + reason();
    return {};
  }
  unlink(path.c_str());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(path.c_str(), 0600) != 0 || listen(fd.get(), 64) != 0) {
    error = "cannot listen on " + path + ": " + reason();
    return {};
  }
  return {std::move(fd), path};
}

bool is_loopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
  }
  return false;
}

/// The build id of the executable: a note in its first loaded object.
std::string read_build_id() {
  std::string id;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* into) {
        auto& text = *static_cast<std::string*>(into);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          if (header.p_type != PT_NOTE) continue;
          const auto* at = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
          const auto* const end = at + header.p_memsz;
          const auto padded = [](std::size_t size) { return (size + 3) / 4 * 4; };
          while (end - at >= static_cast<std::ptrdiff_t>(sizeof(ElfW(Nhdr)))) {
            ElfW(Nhdr) note;
            std::memcpy(&note, at, sizeof note);
            const char* const name = at + sizeof note;
            const char* const content = name + padded(note.n_namesz);
            const auto size = sizeof note + padded(note.n_namesz) + padded(note.n_descsz);
            if (static_cast<std::size_t>(end - at) < size) break;
            if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
                std::memcmp(name, "GNU", 4) == 0) {
              constexpr char kHex[] = "0123456789abcdef";
              for (std::size_t byte = 0; byte < note.n_descsz; ++byte) {
                const auto value = static_cast<unsigned char>(content[byte]);
                text += kHex[value >> 4];
                text += kHex[value & 15];
              }
              return 1;
            }
            at += size;
          }
        }
        return 1;  // the executable comes first; the others don't matter
      },
      &id);
  return id;
}

}  // namespace

Descriptor::Descriptor(int fd) noexcept : fd_(fd) {
  if (fd < 0) return;
  for (auto& place : open_descriptors) {
    int expected = 0;
    if (place.compare_exchange_strong(expected, fd + 1, std::memory_order_relaxed)) return;
  }
}

Descriptor::~Descriptor() {
  if (fd_ < 0) return;
  forget(fd_);
  close(fd_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

void Descriptor::close_all_in_child() noexcept {
  for (auto& place : open_descriptors) {
    const int fd = place.exchange(0, std::memory_order_relaxed) - 1;
    if (fd >= 0) close(fd);
  }
}

UnixListener listen_on_unix(const std::string& directory, std::string& error) {
  if (!directory.empty()) return listen_in(directory, error);
  if (const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
      runtime != nullptr && runtime[0] == '/') {
    UnixListener listener = listen_in(std::string(runtime) + "/taskscope", error);
    if (listener.fd) return listener;
  }
  const std::string first_error = error;
  UnixListener listener = listen_in("/tmp/taskscope-" + std::to_string(geteuid()), error);
  if (!listener.fd && !first_error.empty()) error = first_error + "; " + error;
  return listener;
}

Descriptor listen_on_tcp(const std::string& address, bool beyond_loopback, std::string& error) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    error = "\"" + address + "\" is not host:port";
    return {};
  }
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int status = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); status != 0) {
    error = "cannot resolve " + address + ": " + gai_strerror(status);
    return {};
  }
  Descriptor fd;
  if (!beyond_loopback && !is_loopback(found->ai_addr)) {
    error = address +
            " can be reached from other machines, and whoever connects may watch this program; "
            "TASKSCOPE_LISTEN_BEYOND_LOOPBACK=yes allows it";
  } else {
    fd = Descriptor(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    if (fd) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!fd || bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
        listen(fd.get(), 64) != 0) {
      error = "cannot listen on " + address + ": " + reason();
      fd = {};
    }
  }
  freeaddrinfo(found);
  return fd;
}

protocol::Process describe_process() {
  protocol::Process process;
  process.pid = static_cast<std::uint64_t>(getpid());
  process.start_time = start_time_of(std::to_string(getpid()));
  process.name = read_file("/proc/self/comm");
  if (!process.name.empty() && process.name.back() == '\n') process.name.pop_back();
  process.command_line = read_file("/proc/self/cmdline");
  while (!process.command_line.empty() && process.command_line.back() == '\0')
    process.command_line.pop_back();
  for (char& letter : process.command_line)
    if (letter == '\0') letter = ' ';
  char text[4096];
  const ssize_t size = readlink("/proc/self/exe", text, sizeof text);
  if (size > 0) process.executable.assign(text, static_cast<std::size_t>(size));
  process.build_id = read_build_id();
  if (gethostname(text, sizeof text) == 0) {
    text[sizeof text - 1] = '\0';
    process.host = text;
  }
  process.taskscope_version = TASKSCOPE_VERSION;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  process.wall_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
                    static_cast<std::uint64_t>(now.tv_nsec);
  process.ticks_are_tsc = runtime::observe::ticks_are_tsc();
  return process;
}

}  // namespace taskscope::instrumentation
