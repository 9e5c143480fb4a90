/// An IPv4 or IPv6 address with a port.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace taskscope::runtime::net {

class SocketAddress {
 public:
  /// "127.0.0.1:80" or "[::1]:80"; no names. Nullopt for anything else.
  [[nodiscard]] static std::optional<SocketAddress> parse(std::string_view text);
  /// The same with the port apart, and IPv6 with or without brackets.
  [[nodiscard]] static std::optional<SocketAddress> parse(std::string_view host,
                                                          std::uint16_t port);
  [[nodiscard]] static SocketAddress loopback(std::uint16_t port) noexcept;
  /// From a system call that filled `size` bytes; nullopt for other families.
  [[nodiscard]] static std::optional<SocketAddress> from(const sockaddr_storage& storage,
                                                         socklen_t size) noexcept;

  [[nodiscard]] int family() const noexcept { return address_.any.sa_family; }
  [[nodiscard]] std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  /// As parse() reads it.
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] const sockaddr* data() const noexcept { return &address_.any; }
  [[nodiscard]] socklen_t size() const noexcept {
    return family() == AF_INET6 ? sizeof address_.v6 : sizeof address_.v4;
  }

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept;

 private:
  SocketAddress() noexcept : address_{} {}

  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } address_;
};

}  // namespace taskscope::runtime::net
