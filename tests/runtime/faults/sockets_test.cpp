// System calls that fail or are interrupted, and peers that break off.

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "taskscope/runtime/net/tcp_listener.h"
#include "taskscope/runtime/net/tcp_stream.h"
#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/time/sleep.h"
#include "taskscope/runtime/time/timeout.h"
#include "taskscope/tests/runtime/faults/inject.h"
#include "taskscope/tests/runtime/faults/support.h"
#include "taskscope/tests/support/loopback.h"

using namespace taskscope::runtime;
using namespace std::chrono_literals;
using faults::Call;
using faults::Failing;
using faults::must;
using net::SocketAddress;
using net::TcpListener;
using net::TcpStream;
using taskscope::tests::connected;
using taskscope::tests::listen_on_loopback;
using taskscope::tests::Pair;
using taskscope::tests::read_to_end;

namespace {

Task<> echo(TcpStream stream) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto count = co_await stream.read(std::span<char>(buffer));
    if (!count || *count == 0) break;
    const auto sent = co_await stream.write_all(std::string_view(buffer.data(), *count));
    if (!sent) break;
  }
}
void reset(TcpStream stream) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(stream.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/// Connects, says a word and hears it again.
Task<std::string> round_trip(SocketAddress address, std::string word) {
  auto connecting = co_await TcpStream::connect(address);
  if (!connecting) co_return "connect: " + connecting.error().message();
  auto stream = std::move(*connecting);
  const auto sent = co_await stream.write_all(word);
  if (!sent) co_return "write: " + sent.error().message();
  const auto down = stream.shutdown();
  if (!down) co_return "shutdown: " + down.error().message();
  const auto heard = co_await read_to_end(stream);
  co_return heard == word ? "ok" : "heard " + heard;
}

/// What a server does with the errors of accept: each is reported once, and the next connection
/// comes.
Task<std::vector<std::error_code>> accept_all(TcpListener& listener, std::size_t connections) {
  std::vector<std::error_code> errors;
  for (std::size_t had = 0; had < connections;) {
    auto stream = co_await listener.accept();
    if (stream) {
      ++had;
      spawn(echo(std::move(*stream))).detach();
    } else {
      errors.push_back(stream.error());
    }
  }
  co_return errors;
}
Task<std::vector<std::error_code>> errors_of_accept(int error, int times) {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  const Failing failing(Call::Accept, error, times, 1);
  auto accepting = spawn(accept_all(listener, 3));
  for (int i = 0; i < 3; ++i) {
    const auto said = co_await round_trip(address, "word");
    if (said != "ok") throw std::runtime_error(said);
  }
  co_return co_await accepting;
}

/// One system call each is interrupted, as often as it is made before it is done.
Task<std::string> interrupted(int times) {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  const Failing accept(Call::Accept, EINTR, times);
  const Failing receive(Call::Receive, EINTR, times);
  const Failing send(Call::Send, EINTR, times);
  const Failing connect(Call::Connect, EINTR, 1);
  const Failing wait(Call::EpollWait, EINTR, times);
  auto accepting = spawn(accept_all(listener, 1));
  const auto said = co_await round_trip(address, "word");
  const auto errors = co_await accepting;
  if (!errors.empty()) co_return "accept: " + errors.front().message();
  co_await time::sleep(1ms);
  for (const auto* failing : {&accept, &receive, &send, &wait}) {
    if (failing->hits() != times) co_return "interrupted too seldom";
  }
  if (connect.hits() != 1) co_return "connect was not interrupted";
  co_return said;
}

std::atomic<std::uint64_t> signals_handled{0};
extern "C" void on_storm(int) { signals_handled.fetch_add(1, std::memory_order_relaxed); }

/// Interrupts every other thread of the process, again and again, with a signal that restarts
/// nothing.
class Storm {
 public:
  Storm() {
    struct sigaction action{};
    action.sa_handler = &on_storm;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGUSR2, &action, &before_);
    signals_handled = 0;
    thread_ = std::thread([this] { blow(); });
  }
  ~Storm() {
    over_ = true;
    thread_.join();
    ::sigaction(SIGUSR2, &before_, nullptr);
  }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;

 private:
  void blow() {
    const auto self = static_cast<int>(::syscall(SYS_gettid));
    const int process = ::getpid();
    while (!over_) {
      for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
        const int thread = std::stoi(entry.path().filename().string());
        if (thread != self) ::syscall(SYS_tgkill, process, thread, SIGUSR2);
      }
      // Else those threads do nothing but handle signals.
      std::this_thread::sleep_for(50us);
    }
  }

  struct sigaction before_{};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

/// Everything that waits in a system call, at once.
Task<int> work_in_the_storm(SocketAddress address, int rounds) {
  int wrong = 0;
  for (int i = 0; i < rounds; ++i) {
    const auto said = co_await round_trip(address, std::string(static_cast<std::size_t>(i), 'x'));
    wrong += said == "ok" ? 0 : 1;
    auto calling = spawn_blocking([i] {
      std::this_thread::sleep_for(1ms);
      return i;
    });
    const int called = co_await calling;
    wrong += called == i ? 0 : 1;
    const auto before = time::now();
    co_await time::sleep(1ms);
    wrong += time::now() - before >= 1ms ? 0 : 1;
  }
  co_return wrong;
}
Task<int> storm(int clients, int rounds) {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  auto accepting = spawn(accept_all(listener, static_cast<std::size_t>(clients * rounds)));
  std::vector<JoinHandle<int>> handles;
  for (int i = 0; i < clients; ++i) handles.push_back(spawn(work_in_the_storm(address, rounds)));
  int wrong = 0;
  for (auto& handle : handles) {
    const int one = co_await handle;
    wrong += one;
  }
  const auto errors = co_await accepting;
  co_return wrong + static_cast<int>(errors.size());
}

// --- peers

Task<std::error_code> error_of_read(TcpStream& stream) {
  std::array<char, 64> buffer{};
  for (;;) {
    const auto count = co_await stream.read(std::span<char>(buffer));
    if (!count) co_return count.error();
    if (*count == 0) co_return std::error_code{};
  }
}
Task<std::error_code> error_of_write(TcpStream& stream) {
  const std::string much(1 << 20, 'x');
  for (;;) {
    const auto sent = co_await stream.write_all(much);
    if (!sent) co_return sent.error();
  }
}
/// Both directions wait when the reset comes.
Task<std::string> reset_while_both_wait() {
  auto pair = co_await connected();
  auto reading = spawn(error_of_read(pair.client));
  auto writing = spawn(error_of_write(pair.client));
  // The writer fills what buffers there are, and waits; then nothing moves any more.
  co_await time::sleep(5ms);
  reset(std::move(pair.server));
  const auto read = co_await reading;
  const auto written = co_await writing;
  // The reset is told once, to whoever comes first.
  const bool told = read == std::errc::connection_reset || written == std::errc::connection_reset;
  if (!told) co_return "nobody was told of the reset";
  if (!written) co_return "written to nobody";
  // What comes later is an end and a broken pipe, at once.
  const auto again = co_await error_of_write(pair.client);
  if (again != std::errc::broken_pipe && again != std::errc::connection_reset)
    co_return "again: " + again.message();
  const auto end = co_await error_of_read(pair.client);
  co_return end ? "end: " + end.message() : "ok";
}
/// The peer connects and resets before anybody accepts.
Task<std::string> reset_in_the_backlog() {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  for (int i = 0; i < 3; ++i) {
    auto connecting = co_await TcpStream::connect(address);
    reset(must(std::move(connecting)));
  }
  for (int i = 0; i < 3; ++i) {
    auto accepted = co_await listener.accept();
    if (!accepted) {
      if (accepted.error() != std::errc::connection_aborted) co_return accepted.error().message();
      continue;
    }
    const auto error = co_await error_of_read(*accepted);
    if (error != std::errc::connection_reset) co_return "read: " + error.message();
  }
  auto accepting = spawn(accept_all(listener, 1));
  const auto said = co_await round_trip(address, "word");
  const auto errors = co_await accepting;
  co_return errors.empty() ? said : errors.front().message();
}

Task<bool> send_and_close(TcpStream& stream, const std::string& text) {
  const auto sent = co_await stream.write_all(text);
  const auto down = stream.shutdown();
  co_return sent&& down;
}
Task<bool> discard_then(TcpStream& stream, const std::string& expected) {
  const auto all = co_await read_to_end(stream);
  co_return all == expected;
}
/// One side has finished, with more under way than the buffers hold; the other one goes on.
Task<std::string> half_closed(bool client_first) {
  auto pair = co_await connected();
  TcpStream& first = client_first ? pair.client : pair.server;
  TcpStream& second = client_first ? pair.server : pair.client;
  const std::string much(8u << 20, 'm');
  const std::string late(8u << 20, 'l');
  auto there = co_await join(send_and_close(first, much), discard_then(second, much));
  if (!std::get<0>(there) || !std::get<1>(there)) co_return "there";
  // Nothing more is to be had, and that is said at once, however often.
  for (int i = 0; i < 3; ++i) {
    const auto more = co_await read_to_end(second);
    if (!more.empty()) co_return "more";
  }
  auto back = co_await join(send_and_close(second, late), discard_then(first, late));
  if (!std::get<0>(back) || !std::get<1>(back)) co_return "back";
  const auto broken = co_await first.write("after the end");
  if (broken) co_return "wrote after the end";
  co_return broken.error() == std::errc::broken_pipe ? "ok" : broken.error().message();
}
/// Waits for data when the other side finishes instead.
Task<std::string> closed_while_one_waits() {
  auto pair = co_await connected();
  auto reading = spawn(error_of_read(pair.server));
  co_await time::sleep(2ms);
  const auto down = pair.client.shutdown();
  if (!down) co_return down.error().message();
  const auto error = co_await reading;
  co_return error ? error.message() : "ok";
}

/// Without a free descriptor the listener says so as often as it is asked, takes nobody, and goes
/// on as soon as there is one.
Task<std::string> starved_listener() {
  auto listener = listen_on_loopback();
  const auto address = must(listener.local_address());
  auto connecting = co_await TcpStream::connect(address);
  const auto client = must(std::move(connecting));
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit starved = before;
  starved.rlim_cur = 0;
  std::error_code error;
  // The first is no error: sanitizers need descriptors for what they see the first time.
  std::vector<TcpStream> taken;
  for (int i = 0; i < 100; ++i) {
    if (i != 0) ::setrlimit(RLIMIT_NOFILE, &starved);
    auto accepted = co_await listener.accept();
    ::setrlimit(RLIMIT_NOFILE, &before);
    if (accepted) {
      if (i != 0) co_return "a descriptor from nowhere";
      taken.push_back(std::move(*accepted));
      auto another = co_await TcpStream::connect(address);
      taken.push_back(must(std::move(another)));
      continue;
    }
    error = accepted.error();
    if (error != std::errc::too_many_files_open) co_return error.message();
  }
  auto accepting = spawn(accept_all(listener, 2));
  const auto said = co_await round_trip(address, "word");
  const auto errors = co_await accepting;
  co_return errors.empty() ? said : errors.front().message();
}

Runtime two_workers() { return Builder::multi_thread().worker_threads(2).build(); }

}  // namespace

TEST_CASE("accept: a connection that was aborted is one error, and the next one comes") {
  auto runtime = two_workers();
  for (const int error : {ECONNABORTED, EPROTO, ENFILE, ENOBUFS, EPERM}) {
    const auto errors = runtime.block_on(errors_of_accept(error, 4));
    REQUIRE(errors.size() == 4);
    for (const auto& seen : errors) CHECK(seen == std::error_code(error, std::system_category()));
  }
}

TEST_CASE("accept: without descriptors it says so, and afterwards takes who waited") {
  auto runtime = two_workers();
  CHECK(runtime.block_on(starved_listener()) == "ok");
}

TEST_CASE("interrupted system calls are made again, and nobody sees it") {
  for (const std::uint32_t workers : {1u, 2u}) {
    auto runtime = Builder::multi_thread().worker_threads(workers).build();
    for (const int times : {1, 3, 17}) CHECK(runtime.block_on(interrupted(times)) == "ok");
  }
}

TEST_CASE(
    "where epoll_pwait2 is missing or forbidden, timers and sockets still work, and nothing "
    "spins") {
  const auto sleeps_and_talks = []() -> Task<std::string> {
    const auto before = time::now();
    co_await time::sleep(30ms);
    if (time::now() - before < 30ms) co_return "too early";
    auto listener = listen_on_loopback();
    const auto address = must(listener.local_address());
    auto accepting = spawn(accept_all(listener, 1));
    const auto said = co_await round_trip(address, "word");
    const auto errors = co_await accepting;
    co_return errors.empty() ? said : errors.front().message();
  };
  for (const int error : {ENOSYS, EPERM}) {
    auto runtime = Builder::multi_thread().worker_threads(1).build();
    const Failing failing(Call::EpollPwait2, error, 1'000'000);
    CHECK(runtime.block_on(sleeps_and_talks()) == "ok");
    CHECK(failing.hits() > 0);
    CHECK(failing.hits() < 1'000);  // one a sleep
  }
}

TEST_CASE("a storm of signals interrupts everything, and everything is done") {
  for (const std::uint32_t workers : {1u, 2u}) {
    auto runtime = Builder::multi_thread().worker_threads(workers).build();
    const Storm signals;
    CHECK(runtime.block_on(storm(4, faults::kSanitized ? 10 : 50)) == 0);
    CHECK(signals_handled > 0);
    runtime.shutdown();
  }
}

TEST_CASE("a peer that resets ends what waits on both directions") {
  auto runtime = two_workers();
  for (int i = 0; i < 10; ++i) CHECK(runtime.block_on(reset_while_both_wait()) == "ok");
  CHECK(runtime.block_on(reset_in_the_backlog()) == "ok");
}

TEST_CASE("a peer that has finished sending still hears the rest") {
  auto runtime = two_workers();
  CHECK(runtime.block_on(half_closed(true)) == "ok");
  CHECK(runtime.block_on(half_closed(false)) == "ok");
  CHECK(runtime.block_on(closed_while_one_waits()) == "ok");
}
