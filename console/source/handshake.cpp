#include "taskscope/console/source/handshake.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "taskscope/protocol/codec.h"

namespace taskscope::console::source {
namespace {

constexpr std::size_t kMaxGreetingBytes = 32u << 20;  // sites may come before a slow Process

std::string words_of(int error) {
  return std::error_code(error, std::generic_category()).message();
}

int left_ms(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

/// False when the time is over.
bool wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    pollfd polled{fd, events, 0};
    const int ready = poll(&polled, 1, left_ms(deadline));
    if (ready > 0) return true;
    if (ready < 0 && errno == EINTR) continue;
    return false;
  }
}

Failure connect_failure(const Target& target, int error) {
  const auto where = target.text();
  switch (error) {
    case ENOENT:
      return {FailureKind::NoSuchTarget, "there is no socket at " + where};
    case ECONNREFUSED:
      return {FailureKind::NoTaskscope,
              "nothing listens at " + where + "; if a process did, it has ended"};
    case EACCES:
    case EPERM:
      return {FailureKind::PermissionDenied,
              "permission denied for " + where + "; it belongs to another user"};
    case ENOTSOCK:
    case EPROTOTYPE:
      return {FailureKind::NoTaskscope, where + " is not a socket of taskscope"};
    default:
      return {FailureKind::System, "can't connect to " + where + ": " + words_of(error)};
  }
}

Failure no_answer(const std::string& title) {
  return {FailureKind::NoAnswer, title +
                                     " does not answer; is it stopped, by a debugger or a signal? "
                                     "Let it run and try again"};
}

Result<Descriptor> dial_address(const Target& target, int family, const sockaddr* address,
                                socklen_t size, Deadline deadline) {
  Descriptor fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return connect_failure(target, errno);
  if (connect(fd.get(), address, size) == 0) return fd;
  if (errno == EAGAIN) return no_answer(target.text());  // the backlog of a Unix socket is full
  if (errno != EINPROGRESS) return connect_failure(target, errno);
  if (!wait_for(fd.get(), POLLOUT, deadline)) return no_answer(target.text());
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return connect_failure(target, error);
  return fd;
}

Result<Descriptor> dial_tcp(const Target& target, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &found);
  if (error != 0)
    return Failure{FailureKind::NoSuchTarget,
                   "there is no host " + target.host + ": " + gai_strerror(error)};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  Result<Descriptor> last = Failure{FailureKind::NoSuchTarget, "no address for " + target.host};
  for (const auto* one = found; one != nullptr; one = one->ai_next) {
    last = dial_address(target, one->ai_family, one->ai_addr, one->ai_addrlen, deadline);
    if (!last) continue;
    const int yes = 1;
    setsockopt(last.value().get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return last;
  }
  return last;
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Result<Descriptor> dial(const Target& target, Deadline deadline) {
  if (target.kind == TargetKind::Tcp) return dial_tcp(target, deadline);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (target.path.size() >= sizeof address.sun_path)
    return Failure{FailureKind::NoSuchTarget,
                   "the path of a socket can't be that long: " + target.path};
  std::memcpy(address.sun_path, target.path.data(), target.path.size());
  return dial_address(target, AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address,
                      deadline);
}

Result<Greeting> greet(int fd, const std::string& title, bool probe, Deadline deadline) {
  protocol::Hello hello;
  hello.program = "taskscope";
  hello.probe = probe;
  auto bytes = protocol::encode_request(hello, 1);
  if (!bytes) return Failure{FailureKind::System, bytes.error().message};
  for (std::size_t sent = 0; sent < bytes->size();) {
    const ssize_t part = send(fd, bytes->data() + sent, bytes->size() - sent, MSG_NOSIGNAL);
    if (part > 0) {
      sent += static_cast<std::size_t>(part);
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline)) return no_answer(title);
    } else if (errno != EINTR) {
      break;  // it may have said why before it hung up
    }
  }
  Greeting greeting;
  std::size_t received = 0;
  for (;;) {
    while (const auto chunk = greeting.reader.next()) {
      auto update = protocol::decode(*chunk);
      if (!update) continue;  // of a later version, or not for us
      if (auto* process = std::get_if<protocol::Process>(&*update)) {
        greeting.process = std::move(*process);
        greeting.chunk = protocol::Bytes(chunk->bytes);
        return greeting;
      }
      if (const auto* goodbye = std::get_if<protocol::Goodbye>(&*update)) {
        const bool versions = goodbye->reason.find("version") != std::string::npos;
        return Failure{versions ? FailureKind::VersionMismatch : FailureKind::Refused,
                       title + " refused: " + goodbye->reason};
      }
    }
    if (greeting.reader.damaged_bytes() > 0 || received > kMaxGreetingBytes)
      return Failure{FailureKind::NoTaskscope,
                     "what answers at " + title + " does not speak the protocol of taskscope"};
    if (!wait_for(fd, POLLIN, deadline)) return no_answer(title);
    constexpr std::size_t kPiece = 64 << 10;
    const ssize_t got = recv(fd, greeting.reader.prepare(kPiece), kPiece, MSG_DONTWAIT);
    greeting.reader.commit(got > 0 ? static_cast<std::size_t>(got) : 0);
    if (got > 0) {
      received += static_cast<std::size_t>(got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
      return Failure{FailureKind::Refused, title + " hung up during the handshake"};
    }
  }
}

}  // namespace taskscope::console::source
