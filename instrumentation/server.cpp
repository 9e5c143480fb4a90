#include "taskscope/instrumentation/server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <utility>
#include <variant>

#include "taskscope/instrumentation/threads.h"

namespace taskscope::instrumentation {

namespace {

constexpr std::size_t kMaxConsumers = 64;
/// A connection that has not said hello by then is closed.
constexpr std::chrono::seconds kHelloLimit{10};
/// How long connections wait when the program has no descriptors left.
constexpr std::chrono::seconds kAcceptPause{1};
constexpr std::size_t kChunksPerWrite = 32;
/// A queue that is filled to less than this share has room for a walk.
constexpr std::size_t kRoomShare = 4;

using Clock = std::chrono::steady_clock;

}  // namespace

struct Server::Chunk {
  protocol::Bytes bytes;
  Content content;
};

/// One connection. The thread of the server alone reads, writes and removes; what publishers touch
/// too is guarded by mutex_.
struct Server::Consumer {
  ConsumerId id{};
  Descriptor fd;

  // The server thread's.
  protocol::StreamReader reader;
  std::size_t written = 0;  // of the first chunk in the queue
  Clock::time_point since = Clock::now();
  bool is_gone = false;
  bool has_said_hello = false;

  // Guarded by mutex_.
  std::deque<ChunkPtr> queue;
  std::size_t queued_bytes = 0;
  std::optional<protocol::Subscribe> subscription;
  bool is_listening = false;   // gets definitions
  bool is_arriving = false;    // subscribed, not yet admitted
  bool is_admitted = false;    // gets everything
  bool is_leaving = false;     // hang up once the queue is empty
  bool is_losing = false;      // drops until the queue is half empty
  bool has_recovered = false;  // wants a fresh snapshot
  protocol::Loss loss;         // not told yet
  std::uint64_t broken_snapshot = 0;
};

Server::Server(const Options& options, Dictionary& dictionary, std::function<void()> wake)
    : options_(options), dictionary_(&dictionary), wake_(std::move(wake)) {}

Server::~Server() { finish("", std::chrono::milliseconds(0)); }

bool Server::start() {
  const auto complain = [](const std::string& error) {
    std::fprintf(stderr, "taskscope: %s\n", error.c_str());
  };
  std::string error;
  wakeup_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup_) {
    complain("cannot make an eventfd; this process can't be attached to");
    return false;
  }
  unix_ = listen_on_unix(options_.socket_directory, error);
  if (!unix_.fd) complain(error + "; consoles can't attach by pid");
  if (!options_.listen.empty()) {
    tcp_ = listen_on_tcp(options_.listen, options_.listen_beyond_loopback, error);
    if (!tcp_) complain(error);
  }
  if (!unix_.fd && !tcp_) return false;
  thread_ = start_thread("taskscope-serve", [this] { run(); });
  if (!thread_.joinable()) {
    complain("cannot start a thread; this process can't be attached to");
    if (unix_.fd) unlink(unix_.path.c_str());
    return false;
  }
  return true;
}

void Server::wake_thread() noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the thread wakes anyway.
  [[maybe_unused]] const ssize_t written = write(wakeup_.get(), &one, sizeof one);
}

// --- the server thread

void Server::run() {
  std::vector<pollfd> polled;
  std::vector<Consumer*> consumers;
  Clock::time_point accept_again{};
  while (true) {
    polled.clear();
    consumers.clear();
    int timeout_ms = -1;
    const auto now = Clock::now();
    polled.push_back({wakeup_.get(), POLLIN, 0});
    const bool is_accepting = now >= accept_again;
    if (!is_accepting)
      timeout_ms = static_cast<int>(std::chrono::milliseconds(kAcceptPause).count());
    polled.push_back({is_accepting && unix_.fd ? unix_.fd.get() : -1, POLLIN, 0});
    polled.push_back({is_accepting && tcp_ ? tcp_.get() : -1, POLLIN, 0});
    {
      const std::lock_guard lock(mutex_);
      if (is_stopping_) return;
      for (auto& [id, consumer] : consumers_) {
        if (!consumer->has_said_hello) {
          if (now - consumer->since > kHelloLimit) consumer->is_gone = true;
          timeout_ms = 1000;
        }
        const bool has_output = !consumer->queue.empty();
        if (!has_output && consumer->is_leaving) consumer->is_gone = true;
        polled.push_back(
            {consumer->fd.get(), static_cast<short>(POLLIN | (has_output ? POLLOUT : 0)), 0});
        consumers.push_back(consumer.get());
      }
    }
    const bool has_gone = std::any_of(consumers.begin(), consumers.end(),
                                      [](const Consumer* c) { return c->is_gone; });
    const int ready = poll(polled.data(), polled.size(), has_gone ? 0 : timeout_ms);
    if (ready < 0 && errno != EINTR && errno != ENOMEM) return;

    if ((polled[0].revents & POLLIN) != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = read(wakeup_.get(), &count, sizeof count);
    }
    for (std::size_t i = 0; i < consumers.size(); ++i) {
      Consumer& consumer = *consumers[i];
      const auto events = polled[3 + i].revents;
      if ((events & POLLIN) != 0) read_from(consumer);
      if ((events & POLLOUT) != 0 && !consumer.is_gone) write_to(consumer);
      if ((events & (POLLERR | POLLNVAL)) != 0 || (events & (POLLHUP | POLLIN)) == POLLHUP)
        consumer.is_gone = true;
    }
    bool can_accept = true;
    if ((polled[1].revents & POLLIN) != 0) can_accept = accept_from(unix_.fd, true);
    if ((polled[2].revents & POLLIN) != 0) can_accept = accept_from(tcp_, false) && can_accept;
    if (!can_accept) accept_again = Clock::now() + kAcceptPause;

    bool is_changed = false;
    {
      const std::lock_guard lock(mutex_);
      is_changed =
          std::erase_if(consumers_, [](const auto& entry) { return entry.second->is_gone; }) > 0;
    }
    if (is_changed) {
      left_.notify_all();
      wake_();
    }
  }
}

bool Server::accept_from(const Descriptor& listener, bool is_unix) {
  Descriptor fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
  auto consumer = std::make_unique<Consumer>();
  consumer->fd = std::move(fd);
  std::string refusal;
  if (is_unix) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(consumer->fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != geteuid() && peer.uid != 0))
      refusal = "this process belongs to another user";
  }
  const int buffer = 1 << 20;
  setsockopt(consumer->fd.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  Consumer* added = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (consumers_.size() >= kMaxConsumers) refusal = "too many consoles are attached already";
    consumer->id = ConsumerId{next_consumer_++};
    added = consumer.get();
    consumers_.emplace(added->id, std::move(consumer));
  }
  if (!refusal.empty()) refuse(*added, refusal);
  return true;
}

void Server::read_from(Consumer& consumer) {
  constexpr std::size_t kPiece = 16 << 10;
  const ssize_t got = recv(consumer.fd.get(), consumer.reader.prepare(kPiece), kPiece, 0);
  consumer.reader.commit(got > 0 ? static_cast<std::size_t>(got) : 0);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
    consumer.is_gone = true;
    return;
  }
  while (const auto chunk = consumer.reader.next()) {
    auto request = protocol::decode_request(*chunk);
    if (request) {
      answer(consumer, std::move(*request));
    } else if (request.error().code != protocol::ErrorCode::UnknownKind) {
      return refuse(consumer,
                    "the console's request makes no sense here: " + request.error().message);
    }
  }
  if (consumer.reader.damaged_bytes() > 0)
    refuse(consumer, "what came over this connection is not the protocol of taskscope");
}

void Server::answer(Consumer& consumer, protocol::Request request) {
  if (const auto* hello = std::get_if<protocol::Hello>(&request)) {
    if (hello->major != protocol::kMajorVersion)
      return refuse(consumer,
                    "the program speaks version " + std::to_string(protocol::kMajorVersion) +
                        " of the protocol, this console version " + std::to_string(hello->major) +
                        "; use the taskscope that the program was built with");
    if (!consumer.has_said_hello) greet(consumer, hello->probe);
    consumer.has_said_hello = true;
    return;
  }
  if (!consumer.has_said_hello) return refuse(consumer, "a console has to say hello first");
  {
    const std::lock_guard lock(mutex_);
    if (consumer.is_leaving) return;
    if (const auto* subscribe = std::get_if<protocol::Subscribe>(&request)) {
      consumer.subscription = *subscribe;
      if (!consumer.is_admitted) consumer.is_arriving = true;
    } else if (const auto* snapshot = std::get_if<protocol::RequestSnapshot>(&request)) {
      // A console that asks faster than it is answered gets an answer to its latest questions.
      constexpr std::size_t kMaxRequests = 256;
      if (snapshot_requests_.size() >= kMaxRequests)
        snapshot_requests_.erase(snapshot_requests_.begin());
      snapshot_requests_.push_back({consumer.id, *snapshot});
    }
  }
  wake_();
}

void Server::greet(Consumer& consumer, bool is_probe) {
  const protocol::Process description = describe_process();
  const std::lock_guard order(publishing_);
  auto process = protocol::encode(description, sequence_);
  const auto definitions = dictionary_->all();
  const std::lock_guard lock(mutex_);
  const auto queue = [&](protocol::Result<protocol::Bytes> bytes) {
    if (bytes)
      enqueue_for(consumer, std::make_shared<const Chunk>(
                                std::move(*bytes),
                                Content{.is_reliable = true, .needs_subscription = false}));
  };
  consumer.is_listening = true;
  queue(std::move(process));
  if (!is_probe && !definitions.empty()) queue(protocol::encode(definitions, sequence_));
  if (is_probe) consumer.is_listening = false;
}

void Server::refuse(Consumer& consumer, const std::string& reason) {
  const std::lock_guard order(publishing_);
  auto goodbye = protocol::encode(protocol::Goodbye{reason}, sequence_);
  const std::lock_guard lock(mutex_);
  if (consumer.is_leaving || !goodbye) return;
  consumer.is_listening = true;
  enqueue_for(consumer,
              std::make_shared<const Chunk>(
                  std::move(*goodbye), Content{.is_reliable = true, .needs_subscription = false}));
  consumer.is_listening = consumer.is_admitted = consumer.is_arriving = false;
  consumer.is_leaving = true;
}

void Server::write_to(Consumer& consumer) {
  while (true) {
    std::array<ChunkPtr, kChunksPerWrite> chunks;
    std::array<iovec, kChunksPerWrite> pieces;
    std::size_t count = 0;
    {
      const std::lock_guard lock(mutex_);
      for (; count < std::min(kChunksPerWrite, consumer.queue.size()); ++count) {
        chunks[count] = consumer.queue[count];
        const std::size_t skip = count == 0 ? consumer.written : 0;
        // sendmsg takes a pointer to what it only reads.
        pieces[count] = {const_cast<char*>(chunks[count]->bytes.data()) + skip,
                         chunks[count]->bytes.size() - skip};
      }
    }
    if (count == 0) return;
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t sent = sendmsg(consumer.fd.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) consumer.is_gone = true;
      return;
    }
    bytes_sent_.fetch_add(static_cast<std::uint64_t>(sent), std::memory_order_relaxed);
    auto left = static_cast<std::size_t>(sent);
    bool is_empty = false, has_room = false;
    {
      const std::lock_guard lock(mutex_);
      while (left > 0) {
        const std::size_t rest = consumer.queue.front()->bytes.size() - consumer.written;
        if (left < rest) {
          consumer.written += left;
          break;
        }
        left -= rest;
        consumer.written = 0;
        consumer.queued_bytes -= consumer.queue.front()->bytes.size();
        consumer.queue.pop_front();
      }
      is_empty = consumer.queue.empty();
      has_room = consumer.queued_bytes <= options_.queue_bytes / kRoomShare;
    }
    if (has_room) left_.notify_all();
    if (is_empty) return;
  }
}

// --- publishers

bool Server::is_wanted(const Content& content, ConsumerId audience) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(consumers_.begin(), consumers_.end(), [&](const auto& entry) {
    const Consumer& consumer = *entry.second;
    return (audience == ConsumerId::Everybody || audience == consumer.id) &&
           (content.needs_subscription ? consumer.is_admitted : consumer.is_listening);
  });
}

void Server::publish_new_definitions() {
  const auto fresh = dictionary_->take_new();
  if (fresh.empty()) return;
  if (auto chunk = protocol::encode(fresh, sequence_))
    enqueue(std::move(*chunk), {.is_reliable = true, .needs_subscription = false},
            ConsumerId::Everybody);
}

std::size_t Server::enqueue(protocol::Bytes bytes, const Content& content, ConsumerId audience) {
  const std::size_t size = bytes.size();
  const auto chunk = std::make_shared<const Chunk>(std::move(bytes), content);
  const std::lock_guard lock(mutex_);
  for (auto& [id, consumer] : consumers_)
    if (audience == ConsumerId::Everybody || audience == id) enqueue_for(*consumer, chunk);
  return size;
}

void Server::enqueue_for(Consumer& consumer, const ChunkPtr& chunk) {
  const Content& content = chunk->content;
  if (!(content.needs_subscription ? consumer.is_admitted : consumer.is_listening)) return;
  const std::size_t size = chunk->bytes.size();
  if (!content.is_reliable) {
    const std::size_t limit = consumer.is_losing ? options_.queue_bytes / 2 : options_.queue_bytes;
    if (!consumer.queue.empty() && consumer.queued_bytes + size > limit) {
      protocol::Loss& loss = consumer.loss;
      if (!consumer.is_losing) {
        consumer.is_losing = true;
        loss = {.cause = protocol::LossCause::SlowConsumer};
      }
      const auto first = content.first_ticks;
      if (first != 0 && (loss.from_ticks == 0 || first < loss.from_ticks)) loss.from_ticks = first;
      loss.to_ticks = std::max(loss.to_ticks, content.last_ticks);
      ++loss.chunks;
      loss.events += content.counts.events;
      loss.spawns += content.counts.spawns;
      loss.polls += content.counts.polls;
      loss.wakes += content.counts.wakes;
      if (content.snapshot != 0) consumer.broken_snapshot = content.snapshot;
      return;
    }
    flush_loss(consumer);
    if (content.snapshot != 0 && content.snapshot == consumer.broken_snapshot) return;
  }
  const bool was_empty = consumer.queue.empty();
  consumer.queue.push_back(chunk);
  consumer.queued_bytes += size;
  if (was_empty) wake_thread();
}

void Server::wait_for_room(ConsumerId audience) {
  constexpr std::chrono::milliseconds kLimit{100};
  std::unique_lock lock(mutex_);
  left_.wait_for(lock, kLimit, [&] {
    return std::all_of(consumers_.begin(), consumers_.end(), [&](const auto& entry) {
      const Consumer& consumer = *entry.second;
      return (audience != ConsumerId::Everybody && audience != consumer.id) || is_stopping_ ||
             consumer.is_losing || consumer.queued_bytes <= options_.queue_bytes / kRoomShare;
    });
  });
}

void Server::flush_loss(Consumer& consumer) {
  if (!consumer.is_losing) return;
  consumer.is_losing = false;
  consumer.has_recovered = true;
  if (auto bytes = protocol::encode(consumer.loss, sequence_)) {
    consumer.queued_bytes += bytes->size();
    consumer.queue.push_back(
        std::make_shared<const Chunk>(std::move(*bytes), Content{.is_reliable = true}));
  }
}

// --- the collector's questions

Demand Server::demand() const {
  const std::lock_guard lock(mutex_);
  Demand demand;
  const auto least = [](std::uint32_t& least_ms, std::uint32_t every_ms) {
    if (every_ms != 0 && (least_ms == 0 || every_ms < least_ms)) least_ms = every_ms;
  };
  for (const auto& [id, consumer] : consumers_) {
    if (!consumer->is_admitted || !consumer->subscription) continue;
    ++demand.consumers;
    demand.events |= consumer->subscription->events;
    least(demand.sample_every_ms, consumer->subscription->sample_every_ms);
    least(demand.stacks_every_ms, consumer->subscription->stacks_every_ms);
  }
  return demand;
}

std::vector<ConsumerId> Server::take_arrivals() {
  const std::lock_guard lock(mutex_);
  std::vector<ConsumerId> arrivals;
  for (auto& [id, consumer] : consumers_)
    if (std::exchange(consumer->is_arriving, false)) arrivals.push_back(id);
  return arrivals;
}

void Server::admit(ConsumerId id) {
  const std::lock_guard lock(mutex_);
  const auto consumer = consumers_.find(id);
  if (consumer != consumers_.end() && !consumer->second->is_leaving)
    consumer->second->is_admitted = true;
}

std::vector<Server::SnapshotRequest> Server::take_snapshot_requests() {
  const std::lock_guard lock(mutex_);
  return std::exchange(snapshot_requests_, {});
}

std::vector<ConsumerId> Server::take_recovered() {
  const std::lock_guard lock(mutex_);
  std::vector<ConsumerId> recovered;
  for (auto& [id, consumer] : consumers_)
    if (std::exchange(consumer->has_recovered, false)) recovered.push_back(id);
  return recovered;
}

void Server::finish(const std::string& reason, std::chrono::milliseconds linger) {
  if (!thread_.joinable()) return;
  if (unix_.fd) unlink(unix_.path.c_str());
  {
    const std::lock_guard order(publishing_);
    const auto goodbye = protocol::encode(protocol::Goodbye{reason}, sequence_);
    const std::lock_guard lock(mutex_);
    for (auto& [id, consumer] : consumers_) {
      if (consumer->is_listening && goodbye) {
        flush_loss(*consumer);
        enqueue_for(*consumer,
                    std::make_shared<const Chunk>(
                        *goodbye, Content{.is_reliable = true, .needs_subscription = false}));
      }
      consumer->is_leaving = true;
      consumer->is_listening = consumer->is_admitted = consumer->is_arriving = false;
    }
  }
  wake_thread();
  {
    std::unique_lock lock(mutex_);
    left_.wait_for(lock, linger, [this] {
      return std::all_of(consumers_.begin(), consumers_.end(),
                         [](const auto& entry) { return entry.second->queue.empty(); });
    });
    is_stopping_ = true;
  }
  wake_thread();
  thread_.join();
  consumers_.clear();
  unix_.fd = {};
  tcp_ = {};
}

}  // namespace taskscope::instrumentation
