#include "taskscope/instrumentation/examples/redis/server.h"

#include <sys/socket.h>

#include <bit>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <new>
#include <string>

#include "taskscope/runtime/runtime.h"
#include "taskscope/runtime/signal/signal.h"
#include "taskscope/runtime/time/interval.h"
#include "taskscope/runtime/time/timeout.h"

namespace taskscope::redis {

using namespace std::chrono_literals;
using runtime::Task;
namespace net = runtime::net;
namespace sync = runtime::sync;
namespace task = runtime::task;
namespace time = runtime::time;

namespace {

constexpr std::size_t kFlushBytes = 64u << 10;  // replies that are gathered before they are written
constexpr std::size_t kExpireAtOnce = 1000;     // keys removed before others get the shard
constexpr auto kGrace = 2s;                     // for replies under way when the server stops
constexpr auto kLinger = 1s;                    // for a client to close after the server has

void add(std::atomic<std::uint64_t>& counter, std::uint64_t n) {
  counter.fetch_add(n, std::memory_order_relaxed);
}

/// Counts a connection as long as it lives.
class Connected {
 public:
  explicit Connected(Statistics& statistics) : statistics_(statistics) {
    add(statistics_.connections, 1);
    add(statistics_.connected, 1);
  }
  ~Connected() { statistics_.connected.fetch_sub(1, std::memory_order_relaxed); }
  Connected(const Connected&) = delete;
  Connected& operator=(const Connected&) = delete;

 private:
  Statistics& statistics_;
};

/// Takes and drops what still comes: to close a socket with something unread would make the
/// system reset the connection, and the client lose the last reply.
Task<void> drain(net::TcpStream& stream) {
  std::array<char, 4096> dropped;
  bool more = true;
  while (more) {
    const auto read = co_await stream.read(std::span<char>(dropped));
    more = read && *read != 0;
  }
}

std::size_t first_of(const ShardSet& shards) {
  return static_cast<std::size_t>(std::countr_zero(shards.to_ulong()));
}

bool out_of_resources(const std::error_code& error) {
  return error == std::errc::too_many_files_open ||
         error == std::errc::too_many_files_open_in_system || error == std::errc::no_buffer_space ||
         error == std::errc::not_enough_memory;
}

}  // namespace

UnixMs now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return UnixMs{std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
}

Connections::Entry::Entry(Connections& connections, int fd) : connections_(connections), fd_(fd) {
  const std::lock_guard lock(connections_.mutex_);
  connections_.sockets_.insert(fd);
  if (connections_.stopping()) ::shutdown(fd, SHUT_RD);
}

Connections::Entry::~Entry() {
  const std::lock_guard lock(connections_.mutex_);
  connections_.sockets_.erase(fd_);
}

void Connections::stop() {
  const std::lock_guard lock(mutex_);
  stopping_.store(true, std::memory_order_relaxed);
  for (const int fd : sockets_) ::shutdown(fd, SHUT_RD);
}

Server::Server(Service& service)
    : service_(service), slots_(service.config.max_connections, "connections") {}

Task<std::error_code> Server::run() {
  Config& config = service_.config;
  const auto address = net::SocketAddress::parse(config.bind, config.port);
  if (!address) co_return std::make_error_code(std::errc::invalid_argument);
  auto listener = net::TcpListener::bind(*address);
  if (!listener) co_return listener.error();
  auto interrupt = runtime::signal::listen(SIGINT);
  if (!interrupt) co_return interrupt.error();
  auto terminate = runtime::signal::listen(SIGTERM);
  if (!terminate) co_return terminate.error();

  const auto local = listener->local_address();
  if (!local) co_return local.error();
  config.port = local->port();
  std::printf("Listening on %s\n", local->to_string().c_str());
  std::fflush(stdout);

  const auto acceptor =
      task::Builder().name("accept").spawn(accept_all(std::move(listener).value()));
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    task::Builder()
        .name("expire")
        .field("shard", std::to_string(shard))
        .spawn(expire(shard))
        .detach();
  }
  task::Builder().name("statistics").spawn(measure()).detach();

  static_cast<void>(
      co_await runtime::select(interrupt->recv(), terminate->recv(), stop_.notified()));

  acceptor.abort();
  connections_.stop();
  // Every slot: the last connection is gone. Whoever has not taken its reply by then is cut off.
  static_cast<void>(co_await time::timeout(kGrace, slots_.acquire_owned(config.max_connections)));
  co_return std::error_code();
}

Task<void> Server::accept_all(net::TcpListener listener) {
  for (std::uint64_t id = 1;; ++id) {
    auto slot = co_await slots_.acquire_owned();
    auto accepted = co_await listener.accept();
    if (!accepted) {
      if (accepted.error() == std::errc::operation_canceled) co_return;
      // Else it concerns one client that gave up; but what the system lacks, it lacks next time
      // too.
      if (out_of_resources(accepted.error())) co_await time::sleep(10ms);
      continue;
    }
    bool is_served = false;
    try {
      const auto peer = accepted->peer_address();
      std::string peer_name = peer ? peer->to_string() : std::string("gone");
      task::Builder()
          .name("connection")
          .field("id", std::to_string(id))
          .field("peer", std::move(peer_name))
          .spawn(serve(std::move(accepted).value(), std::move(slot), id))
          .detach();
      is_served = true;
    } catch (const std::bad_alloc&) {
      // This client is turned away; the next ones may find memory.
    }
    if (!is_served) co_await time::sleep(10ms);
  }
}

Task<void> Server::serve(net::TcpStream stream, sync::Semaphore::OwnedPermit slot,
                         std::uint64_t id) {
  const sync::Semaphore::OwnedPermit held = std::move(slot);
  const Connected connected(service_.statistics);
  const Connections::Entry entry(connections_, stream.fd());
  static_cast<void>(stream.set_nodelay(true));
  RequestParser parser;
  Reply reply;
  Session session;
  session.id = id;

  auto status = RequestParser::Status::Incomplete;
  while (true) {
    if (status == RequestParser::Status::Incomplete) {
      if (connections_.stopping()) break;
      const auto read = co_await stream.read(parser.space());
      if (!read || *read == 0) break;
      parser.filled(*read);
      add(service_.statistics.input_bytes, *read);
    }
    status = co_await answer(parser, session, reply);
    if (!reply.bytes().empty()) {
      const auto sent = co_await stream.write_all(reply.bytes());
      if (!sent) break;
      add(service_.statistics.output_bytes, *sent);
      reply.clear();
    }
    if (session.after != Session::After::GoOn) break;
    if (status == RequestParser::Status::Malformed || status == RequestParser::Status::TooLarge)
      break;
  }
  if (session.after == Session::After::Shutdown) stop_.notify_one();
  static_cast<void>(stream.shutdown());
  static_cast<void>(co_await time::timeout(kLinger, drain(stream)));
}

// Answers requests until there is none left (Incomplete), many replies are gathered (Request), or
// the connection has to end.
Task<RequestParser::Status> Server::answer(RequestParser& parser, Session& session, Reply& reply) {
  const UnixMs now = now_ms();
  auto status = RequestParser::Status::Request;
  std::uint64_t commands = 0;
  while (reply.bytes().size() < kFlushBytes && session.after == Session::After::GoOn) {
    status = parser.next();
    if (status != RequestParser::Status::Request) break;
    const Command* const command = find_command(parser.arguments(), reply);
    if (command == nullptr) continue;
    ++commands;
    Call call{service_, session, parser.arguments(), now, reply};
    const ShardSet shards = command->shards(call.arguments);
    if (shards.none()) {
      command->run(call);
    } else if (shards.count() == 1) {
      const std::size_t shard = first_of(shards);
      auto guard = co_await gates_[shard].mutex.lock();
      command->run(call);
      if (command->kind == Command::Kind::Write) after_write(shard);
    } else {
      co_await run_locked(*command, shards, call);
    }
  }
  if (status == RequestParser::Status::Malformed) reply.error(parser.error());
  add(service_.statistics.commands, commands);
  co_return status;
}

Task<void> Server::run_locked(const Command& command, ShardSet shards, Call& call) {
  std::array<Mutex::OwnedGuard, kShards> guards;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    if (!shards[shard]) continue;
    auto guard = co_await gates_[shard].mutex.lock_owned();
    guards[shard] = std::move(guard);
  }
  command.run(call);
  if (command.kind != Command::Kind::Write) co_return;
  for (std::size_t shard = 0; shard < kShards; ++shard) {
    if (shards[shard]) after_write(shard);
  }
}

// With the shard's mutex held.
void Server::after_write(std::size_t shard) {
  Gate& gate = gates_[shard];
  const auto next = service_.keyspace.shards[shard].next_deadline();
  if (!next || (gate.next_expiry != UnixMs::None && gate.next_expiry <= *next)) return;
  gate.next_expiry = *next;
  gate.earlier_deadline.notify_one();
}

Task<void> Server::expire(std::size_t shard) {
  Gate& gate = gates_[shard];
  while (true) {
    std::size_t removed = 0;
    UnixMs next = UnixMs::None;
    {
      auto guard = co_await gate.mutex.lock();
      removed = service_.keyspace.shards[shard].expire_due(now_ms(), kExpireAtOnce);
      next = service_.keyspace.shards[shard].next_deadline().value_or(UnixMs::None);
      gate.next_expiry = next;
    }
    if (removed == kExpireAtOnce) {
      co_await runtime::yield_now();
    } else if (next == UnixMs::None) {
      co_await gate.earlier_deadline.notified();
    } else {
      const std::chrono::milliseconds wait(static_cast<std::int64_t>(next) -
                                           static_cast<std::int64_t>(now_ms()));
      static_cast<void>(co_await time::timeout(wait, gate.earlier_deadline.notified()));
    }
  }
}

Task<void> Server::measure() {
  Statistics& statistics = service_.statistics;
  time::Interval seconds = time::interval(1s);
  std::uint64_t before = 0;
  while (true) {
    co_await seconds.tick();
    const std::uint64_t commands = statistics.commands.load(std::memory_order_relaxed);
    statistics.commands_per_s.store(commands - before, std::memory_order_relaxed);
    before = commands;
  }
}

}  // namespace taskscope::redis
