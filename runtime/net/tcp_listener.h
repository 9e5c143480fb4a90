/// Waits for TCP connections.
#pragma once

#include <optional>
#include <system_error>
#include <utility>

#include "taskscope/runtime/io/operation.h"
#include "taskscope/runtime/net/address.h"
#include "taskscope/runtime/net/tcp_stream.h"
#include "taskscope/runtime/result.h"

namespace taskscope::runtime::net {

/// Takes the next connection.
class [[nodiscard]] Accept final : public io::Operation<Accept> {
 public:
  explicit Accept(io::Registration& listener) noexcept
      : Operation(&listener, io::Direction::Read, observe::WaitOp::Accept) {}
  Result<TcpStream, std::error_code> await_resume() noexcept;

  [[nodiscard]] bool attempt(std::uint64_t seen) noexcept;
  void fail(std::error_code error) noexcept { error_ = error; }

 private:
  io::RegistrationHandle accepted_;
  std::error_code error_;
};

class TcpListener {
 public:
  /// Binds and listens; port 0 lets the system choose. The address may be bound again at once after
  /// a former listener is gone (SO_REUSEADDR).
  ///
  /// Errors   as socket(2), bind(2), listen(2): address_in_use, permission_denied, ... Outside a
  ///          runtime it throws std::logic_error.
  [[nodiscard]] static Result<TcpListener, std::error_code> bind(const SocketAddress& address,
                                                                 int backlog = 1024);

  /// Waits for a connection and takes it.
  ///
  /// Errors   as accept(2), for the caller to judge: connection_aborted concerns one peer that gave
  ///          up; too_many_files_open comes again at once until a descriptor is free, so wait a
  ///          little before the next call.
  /// Cancel   safe: a cancelled accept has taken no connection.
  /// Source   errors as in tokio::net::TcpListener::accept.
  [[nodiscard]] Accept accept() noexcept { return Accept(*socket_); }

  [[nodiscard]] Result<SocketAddress, std::error_code> local_address() const noexcept;
  [[nodiscard]] int fd() const noexcept { return socket_->fd(); }

 private:
  explicit TcpListener(io::RegistrationHandle socket) noexcept : socket_(std::move(socket)) {}

  io::RegistrationHandle socket_;
};

}  // namespace taskscope::runtime::net
