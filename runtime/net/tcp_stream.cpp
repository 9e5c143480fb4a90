#include "taskscope/runtime/net/tcp_stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "taskscope/runtime/scheduler/driver_access.h"

namespace taskscope::runtime::net {

namespace {

std::error_code code(int error) noexcept { return {error, std::system_category()}; }
bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK; }

using NameCall = int (*)(int, sockaddr*, socklen_t*);

Result<SocketAddress, std::error_code> name_of(int fd, NameCall call) noexcept {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (call(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return code(errno);
  const auto address = SocketAddress::from(storage, size);
  if (!address) return code(EAFNOSUPPORT);
  return *address;
}

}  // namespace

// --- read

bool Read::attempt(std::uint64_t seen) noexcept {
  for (;;) {
    const auto count = ::recv(registration_->fd(), out_.data(), out_.size(), 0);
    if (count >= 0) {
      taken_ = static_cast<std::size_t>(count);
      // Less than asked for: the buffer is drained, and the next read need not find that out.
      if (taken_ != 0 && taken_ < out_.size()) registration_->clear(seen, io::kReadable);
      return true;
    }
    if (would_block(errno)) return false;
    if (errno != EINTR) {
      error_ = code(errno);
      return true;
    }
  }
}

Result<std::size_t, std::error_code> Read::await_resume() noexcept {
  unlink();
  if (error_) return error_;
  return taken_;
}

// --- write

bool Write::attempt(std::uint64_t seen) noexcept {
  for (;;) {
    const auto rest = bytes_.subspan(sent_);
    const auto count = ::send(registration_->fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      sent_ += static_cast<std::size_t>(count);
      if (sent_ == bytes_.size()) return true;
      // Less than asked for: the buffer is full.
      registration_->clear(seen, io::kWritable);
      return !all_;
    }
    if (would_block(errno)) return false;
    if (errno != EINTR) {
      error_ = code(errno);
      return true;
    }
  }
}

Result<std::size_t, std::error_code> Write::await_resume() noexcept {
  unlink();
  if (error_) return error_;
  return sent_;
}

// --- connect

bool Connect::begin() noexcept {
  io::Descriptor socket(
      ::socket(address_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket.valid()) {
    error_ = code(errno);
    return true;
  }
  const bool connected = ::connect(socket.get(), address_.data(), address_.size()) == 0;
  // Interrupted, it goes on in the background as well.
  if (!connected && errno != EINPROGRESS && errno != EINTR) {
    error_ = code(errno);
    return true;
  }
  auto added =
      driver_.add(std::move(socket), connected ? io::kReadable | io::kWritable : std::uint64_t{0});
  if (!added) {
    error_ = added.error();
    return true;
  }
  socket_ = std::move(*added);
  registration_ = socket_.get();
  return connected;
}

bool Connect::attempt(std::uint64_t) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(registration_->fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0) {
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    if (::getpeername(registration_->fd(), reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0) {
      return true;
    }
    if (errno == ENOTCONN) return false;  // not yet
    error = errno;
  }
  error_ = code(error);
  return true;
}

Result<TcpStream, std::error_code> Connect::await_resume() noexcept {
  unlink();
  if (error_) return error_;
  return TcpStream(std::move(socket_));
}

// --- the stream

Connect TcpStream::connect(const SocketAddress& address) {
  return Connect(scheduler::current_driver(), address);
}

Result<void, std::error_code> TcpStream::shutdown() noexcept {
  if (::shutdown(fd(), SHUT_WR) != 0) return code(errno);
  return {};
}

Result<void, std::error_code> TcpStream::set_nodelay(bool on) noexcept {
  const int value = on ? 1 : 0;
  if (::setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &value, sizeof value) != 0) return code(errno);
  return {};
}

Result<SocketAddress, std::error_code> TcpStream::peer_address() const noexcept {
  return name_of(fd(), ::getpeername);
}

Result<SocketAddress, std::error_code> TcpStream::local_address() const noexcept {
  return name_of(fd(), ::getsockname);
}

}  // namespace taskscope::runtime::net
