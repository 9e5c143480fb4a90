#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "taskscope/runtime/net/tcp_listener.h"
#include "taskscope/runtime/net/tcp_stream.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/support/loopback.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;
using net::SocketAddress;
using net::TcpListener;
using net::TcpStream;
using taskscope::tests::connected;
using taskscope::tests::listen_on_loopback;
using taskscope::tests::must;
using taskscope::tests::Pair;
using taskscope::tests::read_to_end;

namespace {

Task<> echo(TcpStream stream) {
  std::vector<char> buffer(4096);
  for (;;) {
    const auto count = co_await stream.read(buffer);
    if (!count || *count == 0) break;
    const auto sent = co_await stream.write_all(std::string_view(buffer.data(), *count));
    if (!sent) break;
  }
}
Task<> serve(TcpListener listener) {
  for (;;) {
    auto stream = co_await listener.accept();
    if (!stream) break;
    spawn(echo(std::move(*stream))).detach();
  }
}

Task<std::string> talk_to(SocketAddress address, std::string text) {
  auto connecting = co_await TcpStream::connect(address);
  auto stream = must(std::move(connecting));
  const auto sent = co_await stream.write_all(text);
  if (!sent || *sent != text.size()) co_return "not sent";
  const auto down = stream.shutdown();
  if (!down) co_return "not shut down";
  const auto echoed = co_await read_to_end(stream);
  co_return echoed == text ? "ok" : "echoed " + std::to_string(echoed.size());
}
Task<std::string> talk_big(SocketAddress address, std::size_t bytes) {
  auto connecting = co_await TcpStream::connect(address);
  auto stream = must(std::move(connecting));
  std::string text(bytes, '.');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i % 23);
  const auto write = [](TcpStream& to, const std::string& all) -> Task<bool> {
    const auto sent = co_await to.write_all(all);
    const auto down = to.shutdown();
    co_return sent&& down;
  };
  // Both directions at once: the echo stops reading while we do.
  auto both = co_await join(write(stream, text), read_to_end(stream));
  co_return std::get<0>(both) && std::get<1>(both) == text ? "ok" : "wrong";
}
Task<int> talk_many(int connections) {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  auto server = spawn(serve(std::move(listener)));
  std::vector<JoinHandle<std::string>> clients;
  for (int i = 0; i < connections; ++i) {
    clients.push_back(spawn(talk_to(address, "hello " + std::to_string(i))));
  }
  int wrong = 0;
  for (auto& client : clients) {
    const auto said = co_await client;
    wrong += said == "ok" ? 0 : 1;
  }
  server.abort();
  co_return wrong;
}
Task<std::string> talk_big_to_echo(std::size_t bytes) {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  auto server = spawn(serve(std::move(listener)));
  auto said = co_await talk_big(address, bytes);
  server.abort();
  co_return said;
}

Task<std::string> half_close() {
  auto pair = co_await connected();
  static_cast<void>(must(pair.client.peer_address()));
  const auto down = pair.client.shutdown();
  if (!down) co_return "shutdown failed";
  const auto at_server = co_await read_to_end(pair.server);
  if (!at_server.empty()) co_return "data from nowhere";
  // The other direction still works.
  const auto sent = co_await pair.server.write_all("late news");
  if (!sent) co_return sent.error().message();
  {
    const auto dropped = std::move(pair.server);
  }
  co_return co_await read_to_end(pair.client);
}
Task<std::error_code> reset_by_peer() {
  auto pair = co_await connected();
  const linger abort{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(pair.server.fd(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  {
    const auto dropped = std::move(pair.server);
  }
  std::array<char, 16> buffer{};
  const auto count = co_await pair.client.read(std::span<char>(buffer));
  co_return count ? std::error_code{} : count.error();
}
Task<std::error_code> write_to_closed() {
  auto pair = co_await connected();
  {
    const auto dropped = std::move(pair.server);
  }
  const std::string much(1 << 16, 'x');
  for (;;) {
    const auto sent = co_await pair.client.write(much);
    if (!sent) co_return sent.error();
  }
}
Task<std::error_code> connect_error(SocketAddress address) {
  const auto stream = co_await TcpStream::connect(address);
  co_return stream ? std::error_code{} : stream.error();
}
Task<std::error_code> refused() {
  SocketAddress address = SocketAddress::loopback(0);
  {
    const auto listener = listen_on_loopback();
    address = must(listener.local_address());
  }
  co_return co_await connect_error(address);
}
Task<std::error_code> bind_twice() {
  const auto listener = listen_on_loopback();
  const auto again = TcpListener::bind(must(listener.local_address()));
  co_return again ? std::error_code{} : again.error();
}

/// Waits of every kind that end by a timeout, and the connection works afterwards.
Task<std::string> cancelled_waits() {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  const auto nobody = co_await time::timeout(1ms, listener.accept());
  if (nobody) co_return "accepted nobody";
  auto both = co_await join(TcpStream::connect(address), listener.accept());
  auto client = must(std::move(std::get<0>(both)));
  auto server = must(std::move(std::get<1>(both)));
  std::array<char, 64> buffer{};
  for (int i = 0; i < 5; ++i) {
    const auto nothing = co_await time::timeout(1ms, client.read(std::span<char>(buffer)));
    if (nothing) co_return "read nothing";
  }
  const std::string much(1 << 20, 'x');
  std::size_t sent = 0;
  for (;;) {
    const auto some = co_await time::timeout(1ms, client.write(much));
    if (!some) break;
    sent += must(*some);
  }
  const auto down = client.shutdown();
  if (!down) co_return "shutdown failed";
  const auto received = co_await read_to_end(server);
  if (received.size() != sent) co_return "lost or doubled";
  const auto answer = co_await server.write_all("fine");
  if (!answer) co_return answer.error().message();
  const auto count = co_await client.read(std::span<char>(buffer));
  co_return count ? std::string(buffer.data(), *count) : count.error().message();
}
Task<bool> waits_for_ever(TcpStream& stream) {
  std::array<char, 64> buffer{};
  const auto count = co_await stream.read(std::span<char>(buffer));
  co_return count.has_value();
}
Task<bool> aborted_reads() {
  auto pair = co_await connected();
  for (int i = 0; i < 50; ++i) {
    auto reader = spawn(waits_for_ever(pair.client));
    if (i % 2 == 0) co_await yield_now();
    reader.abort();
    bool cancelled = false;
    try {
      const auto read = co_await reader;
      static_cast<void>(read);
    } catch (const Cancelled&) {
      cancelled = true;
    }
    if (!cancelled) co_return false;
  }
  co_return true;
}
/// A read of the caller's that loses; what comes then wakes nobody, and the read gets it later.
Task<std::string> kept_across_a_lost_select() {
  auto pair = co_await connected();
  std::array<char, 64> buffer{};
  auto reading = pair.client.read(std::span<char>(buffer));
  for (int i = 0; i < 3; ++i) {
    const auto result = co_await select_biased(reading, yield_now());
    if (result.index() != 1) co_return "read nothing";
  }
  const auto sent = co_await pair.server.write_all("later");
  if (!sent) co_return sent.error().message();
  co_await time::sleep(3ms);  // the event is there
  const auto count = co_await reading;
  co_return count ? std::string(buffer.data(), *count) : count.error().message();
}
Task<bool> ipv6_works() {
  const auto any = SocketAddress::parse("[::1]:0");
  auto bound = TcpListener::bind(*any);
  if (!bound)
    co_return bound.error() == std::errc::address_not_available ||
        bound.error() == std::errc::address_family_not_supported;
  const auto address = must(bound->local_address());
  auto both = co_await join(TcpStream::connect(address), bound->accept());
  auto client = must(std::move(std::get<0>(both)));
  auto server = must(std::move(std::get<1>(both)));
  co_return must(client.peer_address()) == address&& must(server.peer_address()) ==
      must(client.local_address());
}

/// No descriptor is left: accept and connect say so, and go on when there is one again.
Task<std::string> out_of_descriptors() {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  std::vector<TcpStream> open;
  // The first round opens what the second one finds. (The sanitizer needs descriptors, too, for
  // what it sees the first time.)
  for (const bool starved : {false, true, false}) {
    if (!starved) {
      auto one = co_await TcpStream::connect(address);
      auto other = co_await TcpStream::connect(address);
      open.push_back(must(std::move(one)));
      open.push_back(must(std::move(other)));
    }
    rlimit limit = before;
    if (starved) limit.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    auto accepted = co_await listener.accept();
    auto connecting = co_await TcpStream::connect(address);
    ::setrlimit(RLIMIT_NOFILE, &before);
    if (starved) {
      if (accepted || connecting) co_return "a descriptor from nowhere";
      if (accepted.error() != std::errc::too_many_files_open) co_return "another error";
      if (connecting.error() != std::errc::too_many_files_open) co_return "another error";
    } else {
      open.push_back(must(std::move(accepted)));
      open.push_back(must(std::move(connecting)));
    }
  }
  co_return "ok";
}

Task<int> churn(SocketAddress address, int rounds) {
  int wrong = 0;
  for (int i = 0; i < rounds; ++i) {
    const auto said = co_await talk_to(address, "round");
    wrong += said == "ok" ? 0 : 1;
  }
  co_return wrong;
}
Task<int> churn_all(int clients, int rounds) {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  auto server = spawn(serve(std::move(listener)));
  std::vector<JoinHandle<int>> handles;
  for (int i = 0; i < clients; ++i) handles.push_back(spawn(churn(address, rounds)));
  int wrong = 0;
  for (auto& handle : handles) {
    const int one = co_await handle;
    wrong += one;
  }
  server.abort();
  co_return wrong;
}

Task<TcpStream> escapes() {
  auto pair = co_await connected();
  co_return std::move(pair.client);
}
Task<std::error_code> reads(TcpStream& stream) {
  std::array<char, 8> buffer{};
  for (;;) {
    const auto count = co_await stream.read(std::span<char>(buffer));
    if (!count) co_return count.error();
    if (*count == 0) co_return std::error_code{};
  }
}

}  // namespace

TEST_CASE("address: literals are parsed and printed, other text is refused") {
  for (const std::string text : {"127.0.0.1:80", "0.0.0.0:0", "[::1]:6379", "[fe80::1:2]:65535"}) {
    const auto address = SocketAddress::parse(text);
    REQUIRE(address);
    CHECK(address->to_string() == text);
    CHECK(SocketAddress::parse(address->to_string()) == address);
  }
  for (const char* text :
       {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x",
        "localhost:80", "::1:80", "[::1]", "[::1:80", "[127.0.0.1]:80", "[]:80", "1.2.3:4"}) {
    CHECK_FALSE(SocketAddress::parse(text));
  }
  CHECK(SocketAddress::parse("::1", 80) == SocketAddress::parse("[::1]:80"));
  CHECK(SocketAddress::parse("10.0.0.1", 80)->port() == 80);
}

TEST_CASE("tcp: many connections at once are echoed to their end") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(talk_many(200)) == 0);
}

TEST_CASE("tcp: more than the buffers hold goes both ways at once") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(talk_big_to_echo(8u << 20)) == "ok");
}

TEST_CASE("tcp: connections come and go") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(churn_all(8, 50)) == 0);
  runtime.shutdown();
  const auto metrics = runtime.metrics();
  CHECK(metrics.io_driver_fd_registered_count == metrics.io_driver_fd_deregistered_count);
}

TEST_CASE("tcp: one side may say that it has finished and still listen") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(half_close()) == "late news");
}

TEST_CASE("tcp: failures arrive as what the system said") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(reset_by_peer()) == std::errc::connection_reset);
  const auto closed = runtime.block_on(write_to_closed());
  CHECK((closed == std::errc::broken_pipe || closed == std::errc::connection_reset));
  CHECK(runtime.block_on(refused()) == std::errc::connection_refused);
  CHECK(runtime.block_on(bind_twice()) == std::errc::address_in_use);
}

TEST_CASE("tcp: a wait that was cancelled has taken nothing") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  CHECK(runtime.block_on(cancelled_waits()) == "fine");
  CHECK(runtime.block_on(aborted_reads()));
  CHECK(runtime.block_on(kept_across_a_lost_select()) == "later");
}

TEST_CASE("tcp: IPv6") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  CHECK(runtime.block_on(ipv6_works()));
}

TEST_CASE("tcp: running out of descriptors is an error that passes") {
  auto runtime = Builder::multi_thread().worker_threads(1).build();
  CHECK(runtime.block_on(out_of_descriptors()) == "ok");
}

TEST_CASE("tcp: outside a runtime there are no sockets, and a sentence says so") {
  CHECK_THROWS_AS(TcpListener::bind(SocketAddress::loopback(0)), std::logic_error);
  CHECK_THROWS_AS(TcpStream::connect(SocketAddress::loopback(1)), std::logic_error);
}

TEST_CASE("tcp: a stream outlives its runtime") {
  auto other = Builder::multi_thread().worker_threads(1).build();
  auto runtime = std::make_unique<Runtime>(Builder::multi_thread().worker_threads(1).build());
  auto stream = runtime->block_on(escapes());
  runtime.reset();
  // The peer is gone: what the socket still knows is read, or waiting is refused.
  const auto error = other.block_on(reads(stream));
  CHECK((!error || error == std::errc::operation_canceled));
}

TEST_CASE("tcp: a runtime shuts down with open connections and waits") {
  auto runtime = Builder::multi_thread().worker_threads(2).build();
  const auto leave = []() -> Task<> {
    auto listener = listen_on_loopback();
    const auto address = must(listener.local_address());
    spawn(serve(std::move(listener))).detach();
    for (int i = 0; i < 20; ++i) {
      auto stream = co_await TcpStream::connect(address);
      spawn(echo(must(std::move(stream)))).detach();
    }
  };
  runtime.block_on(leave());
  runtime.shutdown();
  const auto metrics = runtime.metrics();
  CHECK(metrics.io_driver_fd_registered_count == metrics.io_driver_fd_deregistered_count);
}
