#include "taskscope/runtime/net/tcp_listener.h"

#include <sys/socket.h>

#include <cerrno>

#include "taskscope/runtime/scheduler/driver_access.h"

namespace taskscope::runtime::net {

namespace {

std::error_code code(int error) noexcept { return {error, std::system_category()}; }

}  // namespace

bool Accept::attempt(std::uint64_t) noexcept {
  for (;;) {
    io::Descriptor socket(
        ::accept4(registration_->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.valid()) {
      // Often the request is there already, and always there is room for an answer.
      auto added = registration_->add_sibling(std::move(socket), io::kReadable | io::kWritable);
      if (added) {
        accepted_ = std::move(*added);
      } else {
        error_ = added.error();
      }
      return true;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (errno != EINTR) {
      error_ = code(errno);
      return true;
    }
  }
}

Result<TcpStream, std::error_code> Accept::await_resume() noexcept {
  unlink();
  if (error_) return error_;
  return TcpStream(std::move(accepted_));
}

Result<TcpListener, std::error_code> TcpListener::bind(const SocketAddress& address, int backlog) {
  io::Driver& driver = scheduler::current_driver();
  io::Descriptor socket(
      ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket.valid()) return code(errno);
  const int on = 1;
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(socket.get(), address.data(), address.size()) != 0 ||
      ::listen(socket.get(), backlog) != 0) {
    return code(errno);
  }
  // Listening before registering: epoll reports a hang-up for sockets that do neither.
  auto added = driver.add(std::move(socket), io::kReadable);
  if (!added) return added.error();
  return TcpListener(std::move(*added));
}

Result<SocketAddress, std::error_code> TcpListener::local_address() const noexcept {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) return code(errno);
  const auto address = SocketAddress::from(storage, size);
  if (!address) return code(EAFNOSUPPORT);
  return *address;
}

}  // namespace taskscope::runtime::net
