#include <array>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "taskscope/runtime/net/tcp_listener.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/tests/bench/workloads.h"

namespace taskscope::bench {

using runtime::Task;
namespace net = runtime::net;

namespace {

Task<void> echo(net::TcpStream stream) {
  static_cast<void>(stream.set_nodelay(true));
  std::array<char, 1024> buffer;
  while (true) {
    const auto read = co_await stream.read(std::span<char>(buffer));
    if (!read || *read == 0) co_return;
    const auto sent = co_await stream.write_all(std::string_view(buffer.data(), *read));
    if (!sent) co_return;
  }
}

Task<void> accept_all(std::uint16_t port) {
  auto listener = net::TcpListener::bind(net::SocketAddress::loopback(port));
  must(listener.has_value(), "can't listen");
  std::printf("ready %u\n", listener->local_address()->port());
  std::fflush(stdout);
  while (true) {
    auto accepted = co_await listener->accept();
    must(accepted.has_value(), "can't accept");
    runtime::spawn(echo(std::move(accepted).value())).detach();
  }
}

}  // namespace

void serve_echo(std::size_t workers, std::uint16_t port) {
  auto runtime =
      runtime::Builder::multi_thread().worker_threads(static_cast<std::uint32_t>(workers)).build();
  auto accepting = runtime.spawn(accept_all(port));
  while (std::getchar() != EOF) {
  }
  std::_Exit(0);
}

}  // namespace taskscope::bench
