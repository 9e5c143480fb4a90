/// The server on the runtime: who accepts, who answers, who waits for deadlines, and how it ends.
///
///     accept ──a task a connection──▶ serve: read ─▶ answer all there is ─▶ write once
///        │ waits for a slot                              │ locks the shards of the command's keys
///     a semaphore of max_connections                     ▼
///                                    shards ◀── expire, a task a shard: sleeps until the earliest
///                                               deadline, or until an earlier one is set
///
/// A command runs without an await while it holds the mutexes of its shards, taken in the order of
/// the shards, so that commands of several keys are atomic and can't block one another for good.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <system_error>

#include "taskscope/instrumentation/examples/redis/commands.h"
#include "taskscope/instrumentation/examples/redis/request_parser.h"
#include "taskscope/runtime/net/tcp_listener.h"
#include "taskscope/runtime/net/tcp_stream.h"
#include "taskscope/runtime/sync/mutex.h"
#include "taskscope/runtime/sync/notify.h"
#include "taskscope/runtime/sync/semaphore.h"
#include "taskscope/runtime/task/task.h"

namespace taskscope::redis {

/// The sockets that are served, so that a stop can end their waits for requests.
class Connections {
 public:
  /// A socket is among them from here until the entry dies, which has to be before it is closed.
  class Entry {
   public:
    Entry(Connections& connections, int fd);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Connections& connections_;
    int fd_;
  };

  /// From now on nothing more is received: whoever waits for a request reads the end.
  void stop();
  [[nodiscard]] bool stopping() const noexcept {
    // Relaxed: tells when to leave, publishes nothing.
    return stopping_.load(std::memory_order_relaxed);
  }

 private:
  std::mutex mutex_;  // never held across an await
  std::set<int> sockets_;
  std::atomic<bool> stopping_{false};  // written under mutex_
};

class Server {
 public:
  /// `service` and the server must outlive the runtime that runs it.
  explicit Server(Service& service);

  /// Serves until SIGINT, SIGTERM or SHUTDOWN; then accepts nobody, lets replies under way be
  /// finished, for a moment, and returns. Prints one line when it listens.
  ///
  /// Errors   what bind() says, before anything was served.
  [[nodiscard]] runtime::Task<std::error_code> run();

 private:
  using Mutex = runtime::sync::Mutex<>;
  /// What a shard has beside its keys.
  struct Gate {
    Gate(const char* name) : mutex({}, name) {}  // NOLINT: an array of them is made from names
    Mutex mutex;
    runtime::sync::Notify earlier_deadline;
    UnixMs next_expiry = UnixMs::None;  // what `expire` waits for; under the mutex
  };

  runtime::Task<void> accept_all(runtime::net::TcpListener listener);
  runtime::Task<void> serve(runtime::net::TcpStream stream,
                            runtime::sync::Semaphore::OwnedPermit slot, std::uint64_t id);
  runtime::Task<RequestParser::Status> answer(RequestParser& parser, Session& session,
                                              Reply& reply);
  runtime::Task<void> run_locked(const Command& command, ShardSet shards, Call& call);
  runtime::Task<void> expire(std::size_t shard);
  runtime::Task<void> measure();
  void after_write(std::size_t shard);

  Service& service_;
  Connections connections_;
  runtime::sync::Semaphore slots_;
  runtime::sync::Notify stop_{"shutdown"};
  std::array<Gate, kShards> gates_{"shard 0", "shard 1", "shard 2", "shard 3",
                                   "shard 4", "shard 5", "shard 6", "shard 7"};
};

/// The wall clock.
[[nodiscard]] UnixMs now_ms();

}  // namespace taskscope::redis
