/// A TCP connection.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "taskscope/runtime/io/operation.h"
#include "taskscope/runtime/net/address.h"
#include "taskscope/runtime/result.h"

namespace taskscope::runtime::net {

class TcpStream;

/// Receives what is there.
class [[nodiscard]] Read final : public io::Operation<Read> {
 public:
  Read(io::Registration& registration, std::span<std::byte> out) noexcept
      : Operation(&registration, io::Direction::Read, observe::WaitOp::Readable), out_(out) {}
  Result<std::size_t, std::error_code> await_resume() noexcept;

  [[nodiscard]] bool attempt(std::uint64_t seen) noexcept;
  void fail(std::error_code error) noexcept { error_ = error; }

 private:
  std::span<std::byte> out_;
  std::size_t taken_ = 0;
  std::error_code error_;
};

/// Sends what fits, or all of it.
class [[nodiscard]] Write final : public io::Operation<Write> {
 public:
  Write(io::Registration& registration, std::span<const std::byte> bytes, bool all) noexcept
      : Operation(&registration, io::Direction::Write, observe::WaitOp::Writable),
        bytes_(bytes),
        all_(all) {}
  Result<std::size_t, std::error_code> await_resume() noexcept;

  [[nodiscard]] bool attempt(std::uint64_t seen) noexcept;
  void fail(std::error_code error) noexcept { error_ = error; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t sent_ = 0;
  bool all_;
  std::error_code error_;
};

/// Makes a connection.
class [[nodiscard]] Connect final : public io::Operation<Connect> {
 public:
  Connect(io::Driver& driver, const SocketAddress& address) noexcept
      : Operation(nullptr, io::Direction::Write, observe::WaitOp::Connect),
        driver_(driver),
        address_(address) {}
  ~Connect() { unlink(); }  // before the socket is closed

  [[nodiscard]] bool await_ready() noexcept { return begin() || Operation::await_ready(); }
  Result<TcpStream, std::error_code> await_resume() noexcept;

  [[nodiscard]] bool attempt(std::uint64_t seen) noexcept;
  void fail(std::error_code error) noexcept { error_ = error; }

 private:
  [[nodiscard]] bool begin() noexcept;

  io::Driver& driver_;
  SocketAddress address_;
  io::RegistrationHandle socket_;
  std::error_code error_;
};

/// Non-blocking, closed on exec, and never raises SIGPIPE. One task may read while another writes.
///
/// Errors are std::error_code with what the system call said; operation_canceled when the runtime
/// is gone. Dropping the stream closes it, and nobody may wait for it then.
class TcpStream {
 public:
  explicit TcpStream(io::RegistrationHandle socket) noexcept : socket_(std::move(socket)) {}

  /// Shape    `auto stream = co_await TcpStream::connect(address);`
  /// Errors   as connect(2). Outside a runtime it throws std::logic_error.
  /// Cancel   safe: closes the socket.
  [[nodiscard]] static Connect connect(const SocketAddress& address);

  /// Receives up to out.size() bytes, at least one; waits only while there is none.
  ///
  /// Shape    the number of bytes, 0 when the peer has shut down its side (or `out` is empty).
  /// Errors   as recv(2): connection_reset, timed_out, ...
  /// Cancel   safe: a cancelled read has taken nothing.
  [[nodiscard]] Read read(std::span<std::byte> out) noexcept { return Read(*socket_, out); }
  [[nodiscard]] Read read(std::span<char> out) noexcept {
    return read(std::as_writable_bytes(out));
  }

  /// Sends at least one byte of `bytes`, as many as fit; waits only while none does.
  ///
  /// Errors   as send(2): broken_pipe, connection_reset, ...
  /// Cancel   safe: a cancelled write has sent nothing.
  [[nodiscard]] Write write(std::span<const std::byte> bytes) noexcept {
    return Write(*socket_, bytes, false);
  }
  [[nodiscard]] Write write(std::string_view text) noexcept { return write(bytes_of(text)); }

  /// Sends all of `bytes`.
  ///
  /// Shape    the number of bytes, always all.
  /// Errors   as write; how much was sent before is not known.
  /// Cancel   not safe: a part may have been sent.
  [[nodiscard]] Write write_all(std::span<const std::byte> bytes) noexcept {
    return Write(*socket_, bytes, true);
  }
  [[nodiscard]] Write write_all(std::string_view text) noexcept {
    return write_all(bytes_of(text));
  }

  /// Says that nothing more will be written: the peer reads to the end and then 0. At once.
  Result<void, std::error_code> shutdown() noexcept;

  Result<void, std::error_code> set_nodelay(bool on) noexcept;
  [[nodiscard]] Result<SocketAddress, std::error_code> peer_address() const noexcept;
  [[nodiscard]] Result<SocketAddress, std::error_code> local_address() const noexcept;
  [[nodiscard]] int fd() const noexcept { return socket_->fd(); }
  [[nodiscard]] io::Registration& registration() noexcept { return *socket_; }

 private:
  static std::span<const std::byte> bytes_of(std::string_view text) noexcept {
    return std::as_bytes(std::span(text.data(), text.size()));
  }

  io::RegistrationHandle socket_;
};

}  // namespace taskscope::runtime::net
