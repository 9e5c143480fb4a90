/// Serves the stream to consoles, on a thread and sockets of its own.
///
///     collector, census ── publish() ──▶ a queue per consumer ──▶ server thread ──▶ sockets
///
/// publish() never waits for a consumer. One that reads slowly loses whole chunks of events,
/// counted, and later gets a Loss record and a fresh snapshot; definitions, clock points and losses
/// are kept for it however long it takes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "taskscope/instrumentation/dictionary.h"
#include "taskscope/instrumentation/endpoint.h"
#include "taskscope/instrumentation/producer.h"
#include "taskscope/protocol/codec.h"
#include "taskscope/protocol/stream_reader.h"

namespace taskscope::instrumentation {

enum class ConsumerId : std::uint64_t { Everybody = 0 };

/// What all consumers together want.
struct Demand {
  std::size_t consumers = 0;  ///< that were admitted
  std::uint32_t events = 0;
  std::uint32_t sample_every_ms = 0;  ///< 0: no samples
  std::uint32_t stacks_every_ms = 0;  ///< 0: only on request
};

/// What a chunk holds, for those who have to count it as lost.
struct Content {
  bool is_reliable = false;        ///< never dropped
  bool needs_subscription = true;  ///< only for consumers that were admitted
  Dropped counts = {};
  std::uint64_t first_ticks = 0, last_ticks = 0;
  std::uint64_t snapshot =
      0;  ///< id of the walk it is a piece of: all pieces arrive, or no last one
};

class Server {
 public:
  struct Options {
    std::string socket_directory, listen;
    bool listen_beyond_loopback = false;
    std::size_t queue_bytes = 0;
  };
  struct SnapshotRequest {
    ConsumerId consumer;
    protocol::RequestSnapshot request;
  };

  /// `wake` is called, from the server thread and without a lock, whenever one of the take_ or
  /// demand functions has news.
  Server(const Options& options, Dictionary& dictionary, std::function<void()> wake);
  ~Server();

  /// Opens the sockets and starts the thread. False when there is nothing to listen on; complaints
  /// go to stderr, a line each.
  bool start();
  [[nodiscard]] const std::string& socket_path() const noexcept { return unix_.path; }

  /// Queues the chunk that `encode(sequence)` makes, after the definitions that are new.
  /// Returns the chunk's size, 0 when nobody wants it. Any thread.
  template <class Encode>
  std::size_t publish(Encode&& encode, const Content& content,
                      ConsumerId audience = ConsumerId::Everybody) {
    const std::lock_guard order(publishing_);
    if (!is_wanted(content, audience)) return 0;
    publish_new_definitions();
    // What only one consumer gets takes no number: a gap in the numbers means lost chunks.
    if (audience == ConsumerId::Everybody) ++sequence_;
    auto chunk = std::forward<Encode>(encode)(sequence_);
    if (!chunk) return 0;
    return enqueue(std::move(*chunk), content, audience);
  }

  /// Waits, for a bounded time, until those of the audience that read at all have little queued.
  /// For who sends much at once and has time.
  void wait_for_room(ConsumerId audience);

  // --- news for the collector

  [[nodiscard]] Demand demand() const;
  /// Consumers that subscribed and wait for admit().
  std::vector<ConsumerId> take_arrivals();
  /// From now on the consumer gets what is published.
  void admit(ConsumerId consumer);
  std::vector<SnapshotRequest> take_snapshot_requests();
  /// Consumers that lost chunks and have room again.
  std::vector<ConsumerId> take_recovered();
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept {
    return bytes_sent_.load(std::memory_order_relaxed);
  }

  /// Says goodbye, waits until the consumers took what is queued or `deadline` is over, and stops
  /// listening.
  void finish(const std::string& reason, std::chrono::milliseconds linger);

 private:
  struct Chunk;
  struct Consumer;
  using ChunkPtr = std::shared_ptr<const Chunk>;

  void run();
  /// False when the process has no descriptors left.
  bool accept_from(const Descriptor& listener, bool is_unix);
  void read_from(Consumer& consumer);
  void answer(Consumer& consumer, protocol::Request request);
  void write_to(Consumer& consumer);
  void refuse(Consumer& consumer, const std::string& reason);
  void greet(Consumer& consumer, bool is_probe);
  void wake_thread() noexcept;

  bool is_wanted(const Content& content, ConsumerId audience) const;
  void publish_new_definitions();
  std::size_t enqueue(protocol::Bytes bytes, const Content& content, ConsumerId audience);
  void enqueue_for(Consumer& consumer, const ChunkPtr& chunk);
  void flush_loss(Consumer& consumer);

  Options options_;
  Dictionary* dictionary_;
  std::function<void()> wake_;
  UnixListener unix_;
  Descriptor tcp_, wakeup_;
  std::thread thread_;

  std::mutex publishing_;       // held while a chunk is made and queued: order is that of numbers
  std::uint64_t sequence_ = 0;  // guarded by publishing_
  mutable std::mutex mutex_;    // guards what follows; taken after publishing_
  std::map<ConsumerId, std::unique_ptr<Consumer>> consumers_;
  std::uint64_t next_consumer_ = 1;
  std::vector<SnapshotRequest> snapshot_requests_;
  bool is_stopping_ = false;
  std::condition_variable left_;              // a queue has room, or a consumer is gone
  std::atomic<std::uint64_t> bytes_sent_{0};  // written by the server thread
};

}  // namespace taskscope::instrumentation
