#include "taskscope/runtime/net/address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace taskscope::runtime::net {

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  // A bare IPv6 address has colons of its own: without brackets its last group is no port.
  if (host.find(':') != std::string_view::npos && !(host.starts_with('[') && host.ends_with(']'))) {
    return std::nullopt;
  }
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return parse(host, port);
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view host, std::uint16_t port) {
  const bool brackets = host.starts_with('[') && host.ends_with(']') && host.size() >= 2;
  const std::string plain(brackets ? host.substr(1, host.size() - 2) : host);
  SocketAddress address;
  if (!brackets && ::inet_pton(AF_INET, plain.c_str(), &address.address_.v4.sin_addr) == 1) {
    address.address_.v4.sin_family = AF_INET;
  } else if (::inet_pton(AF_INET6, plain.c_str(), &address.address_.v6.sin6_addr) == 1) {
    address.address_.v6.sin6_family = AF_INET6;
  } else {
    return std::nullopt;
  }
  address.set_port(port);
  return address;
}

SocketAddress SocketAddress::loopback(std::uint16_t port) noexcept {
  SocketAddress address;
  address.address_.v4.sin_family = AF_INET;
  address.address_.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.set_port(port);
  return address;
}

std::optional<SocketAddress> SocketAddress::from(const sockaddr_storage& storage,
                                                 socklen_t size) noexcept {
  SocketAddress address;
  if (storage.ss_family == AF_INET && size >= sizeof address.address_.v4) {
    std::memcpy(&address.address_.v4, &storage, sizeof address.address_.v4);
  } else if (storage.ss_family == AF_INET6 && size >= sizeof address.address_.v6) {
    std::memcpy(&address.address_.v6, &storage, sizeof address.address_.v6);
  } else {
    return std::nullopt;
  }
  return address;
}

std::uint16_t SocketAddress::port() const noexcept {
  return ntohs(family() == AF_INET6 ? address_.v6.sin6_port : address_.v4.sin_port);
}

void SocketAddress::set_port(std::uint16_t port) noexcept {
  (family() == AF_INET6 ? address_.v6.sin6_port : address_.v4.sin_port) = htons(port);
}

std::string SocketAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  const auto number = std::to_string(port());
  if (family() == AF_INET6) {
    ::inet_ntop(AF_INET6, &address_.v6.sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + number;
  }
  ::inet_ntop(AF_INET, &address_.v4.sin_addr, text, sizeof text);
  return std::string(text) + ":" + number;
}

bool operator==(const SocketAddress& a, const SocketAddress& b) noexcept {
  if (a.family() != b.family() || a.port() != b.port()) return false;
  if (a.family() == AF_INET6) {
    return std::memcmp(&a.address_.v6.sin6_addr, &b.address_.v6.sin6_addr, sizeof(in6_addr)) == 0 &&
           a.address_.v6.sin6_scope_id == b.address_.v6.sin6_scope_id;
  }
  return a.address_.v4.sin_addr.s_addr == b.address_.v4.sin_addr.s_addr;
}

}  // namespace taskscope::runtime::net
