/// Sockets on 127.0.0.1 for tests, where an error is a bug and ends the task.
#pragma once

#include <array>
#include <span>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

#include "taskscope/runtime/net/tcp_listener.h"
#include "taskscope/runtime/net/tcp_stream.h"
#include "taskscope/runtime/task/select.h"

namespace taskscope::tests {

template <class T>
T must(runtime::Result<T, std::error_code> result) {
  if (!result) throw std::system_error(result.error());
  return std::move(*result);
}

inline runtime::net::TcpListener listen_on_loopback() {
  return must(runtime::net::TcpListener::bind(runtime::net::SocketAddress::loopback(0)));
}

struct Pair {
  runtime::net::TcpStream client, server;
};
/// Two ends of a connection.
inline runtime::Task<Pair> connected() {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  auto both = co_await runtime::join(runtime::net::TcpStream::connect(address), listener.accept());
  co_return Pair{must(std::move(std::get<0>(both))), must(std::move(std::get<1>(both)))};
}

/// All until the peer ends, or "error: " and what it is.
inline runtime::Task<std::string> read_to_end(runtime::net::TcpStream& stream) {
  std::string all;
  std::array<char, 512> buffer{};
  for (;;) {
    const auto count = co_await stream.read(std::span<char>(buffer));
    if (!count) co_return "error: " + count.error().message();
    if (*count == 0) co_return all;
    all.append(buffer.data(), *count);
  }
}

}  // namespace taskscope::tests
