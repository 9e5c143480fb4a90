#include "taskscope/console/source/live_source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>

#include "taskscope/console/source/handshake.h"
#include "taskscope/console/source/spool.h"
#include "taskscope/console/source/symbolizer.h"
#include "taskscope/protocol/codec.h"

namespace taskscope::console::source {
namespace {

constexpr std::size_t kReceiveBytes = 256 << 10;
/// How long the end of a session waits for names, and that of a recording.
constexpr std::chrono::milliseconds kNamesLimit{2000}, kRecordedNamesLimit{500};
constexpr std::size_t kNamesPerChunk = 1024;
constexpr std::size_t kMaxUnsentBytes = 1 << 20;  // of requests to a target that does not read

class LiveSource final : public Source {
 public:
  LiveSource(Descriptor fd, Greeting greeting, std::string title, std::unique_ptr<Spool> spool,
             const LiveOptions& options)
      : fd_(std::move(fd)),
        wakeup_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        title_(std::move(title)),
        options_(options),
        spool_(std::move(spool)),
        pid_(greeting.process.pid),
        name_(greeting.process.name),
        reader_(std::move(greeting.reader)),
        symbolizer_(pid_, [this] { wake(); }) {
    const auto first = protocol::parse_chunk(greeting.chunk);
    if (first) keep(*first);
    request(options_.subscribe);
    thread_ = std::thread([this] { run(); });
  }

  ~LiveSource() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    wake();
    thread_.join();
  }

  std::optional<Chunk> next() override {
    for (;;) {
      ChunkPlace place;
      {
        const std::lock_guard lock(mutex_);
        if (queue_.empty()) return std::nullopt;
        place = queue_.front();
        queue_.pop_front();
        queued_bytes_ -= place.bytes;
      }
      room_.notify_one();
      auto update = read(place);
      if (update) return Chunk{std::move(*update), place};
      if (place.offset >= spool_->state().begin) continue;  // of a kind this version does not know
      protocol::Loss loss;                                  // the cap was faster than the session
      loss.cause = protocol::LossCause::SpoolCapped;
      loss.chunks = 1;
      return Chunk{loss, place};
    }
  }

  void wait(std::chrono::milliseconds at_most) override {
    std::unique_lock lock(mutex_);
    more_.wait_for(lock, at_most, [&] { return !queue_.empty() || state_ != SourceState::Open; });
  }

  SourceState state() const override {
    const std::lock_guard lock(mutex_);
    return queue_.empty() ? state_ : SourceState::Open;
  }

  std::string end_reason() const override {
    const std::lock_guard lock(mutex_);
    return end_reason_;
  }

  SourceStats stats() const override {
    const auto spool = spool_->state();
    const std::lock_guard lock(mutex_);
    auto stats = stats_;
    stats.queued_chunks = queue_.size();
    stats.spool_bytes = spool.bytes;
    stats.spool_cap_bytes = options_.spool_cap_bytes;
    stats.dropped_chunks = spool.dropped_chunks;
    stats.readable_from = spool.begin;
    stats.recorded_bytes = spool.recorded_bytes;
    stats.recording = spool.recording;
    stats.recording_error = spool.recording_error.empty() ? spool.error : spool.recording_error;
    return stats;
  }

  bool live() const override { return true; }
  std::string title() const override { return title_; }

  std::optional<protocol::Update> read(const ChunkPlace& place) override {
    const auto bytes = spool_->read(place);
    if (!bytes) return std::nullopt;
    auto update = protocol::decode(protocol::BytesView(*bytes));
    if (!update) return std::nullopt;
    return std::move(*update);
  }

  void request(const protocol::Request& request) override {
    {
      const std::lock_guard lock(mutex_);
      auto bytes = protocol::encode_request(request, ++requests_);
      if (!bytes || unsent_.size() + bytes->size() > kMaxUnsentBytes) return;
      unsent_ += *bytes;
    }
    wake();
  }

  Result<Nothing> start_recording(const std::string& path) override { return spool_->record(path); }
  bool stop_recording() override {
    // What it shows last gets its names too.
    if (state() == SourceState::Open) symbolizer_.settle(kRecordedNamesLimit);
    return spool_->stop_recording();
  }

 private:
  void wake() const noexcept {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wakeup_.get(), &one, sizeof one);
  }

  // The reader's thread, and the constructor before it starts.

  /// False when the session is being closed.
  bool keep(const protocol::ChunkView& chunk) {
    const auto place = spool_->append(chunk);
    std::unique_lock lock(mutex_);
    ++stats_.chunks;
    stats_.bytes += chunk.bytes.size();
    if (!place || !options_.queue_chunks) return !stopping_;
    // The session does not keep up: stop reading, and the target drops for us and counts.
    room_.wait(lock, [&] {
      return stopping_ || queue_.empty() ||
             queued_bytes_ + place->bytes <= options_.queue_cap_bytes;
    });
    queued_bytes_ += place->bytes;
    queue_.push_back(*place);
    const bool was_empty = queue_.size() == 1;
    const bool go_on = !stopping_;
    lock.unlock();
    if (was_empty) more_.notify_all();
    return go_on;
  }

  bool take_chunks() {
    while (const auto chunk = reader_.next()) {
      if (chunk->header.kind == protocol::ChunkKind::Goodbye) {
        auto update = protocol::decode(*chunk);
        if (update)
          if (const auto* goodbye = std::get_if<protocol::Goodbye>(&*update))
            goodbye_ = goodbye->reason.empty() ? "the target said goodbye" : goodbye->reason;
      }
      if (!keep(*chunk)) return false;
      ask_for_names(*chunk);
    }
    if (const auto loss = reader_.take_loss()) {
      {
        const std::lock_guard lock(mutex_);
        stats_.damaged_chunks += loss->chunks;
      }
      const auto bytes = protocol::encode(*loss, 0);
      const auto chunk = bytes ? protocol::parse_chunk(*bytes)
                               : protocol::Result<protocol::ChunkView>(bytes.error());
      if (chunk && !keep(*chunk)) return false;
    }
    return true;
  }

  void ask_for_names(const protocol::ChunkView& chunk) {
    if (chunk.header.kind != protocol::ChunkKind::Modules &&
        chunk.header.kind != protocol::ChunkKind::NativeStack)
      return;
    auto update = protocol::decode(chunk);
    if (!update) return;
    if (auto* const modules = std::get_if<std::vector<protocol::Module>>(&*update))
      symbolizer_.add(std::move(*modules));
    else if (const auto* const stack = std::get_if<protocol::NativeStack>(&*update))
      symbolizer_.add(*stack);
  }

  /// Adds what was found to the stream, as if the target had sent it.
  bool take_names() {
    const auto symbols = symbolizer_.take();
    for (std::size_t at = 0; at < symbols.size(); at += kNamesPerChunk) {
      const auto begin = symbols.begin() + static_cast<std::ptrdiff_t>(at);
      const auto count = std::min(kNamesPerChunk, symbols.size() - at);
      const auto bytes = protocol::encode(
          std::vector<protocol::Symbol>(begin, begin + static_cast<std::ptrdiff_t>(count)), 0);
      if (!bytes) continue;
      const auto chunk = protocol::parse_chunk(*bytes);
      if (chunk && !keep(*chunk)) return false;
    }
    return true;
  }

  void run() {
    std::string unsent;
    int error = 0;
    bool open = take_chunks();
    while (open) {
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) break;
        unsent += unsent_;
        unsent_.clear();
      }
      pollfd polled[] = {
          {fd_.get(), static_cast<short>(POLLIN | (unsent.empty() ? 0 : POLLOUT)), 0},
          {wakeup_.get(), POLLIN, 0}};
      if (poll(polled, 2, -1) < 0 && errno != EINTR) break;
      if ((polled[1].revents & POLLIN) != 0) {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto got = ::read(wakeup_.get(), &count, sizeof count);
      }
      if (!(open = take_names())) break;
      if ((polled[0].revents & POLLOUT) != 0) {
        const auto sent =
            send(fd_.get(), unsent.data(), unsent.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
          unsent.erase(0, static_cast<std::size_t>(sent));
        else if (errno != EAGAIN && errno != EINTR)
          unsent.clear();  // what it still has to say may be in the socket
      }
      if ((polled[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
      const auto got = recv(fd_.get(), reader_.prepare(kReceiveBytes), kReceiveBytes, MSG_DONTWAIT);
      const int why = errno;
      reader_.commit(got > 0 ? static_cast<std::size_t>(got) : 0);
      if (got == 0 || (got < 0 && why != EAGAIN && why != EINTR)) {
        error = got < 0 ? why : 0;
        reader_.end();
        take_chunks();
        break;
      }
      open = take_chunks();
    }
    finish(error);
  }

  void finish(int error) {
    const auto limit = std::chrono::steady_clock::now() + kNamesLimit;
    const auto is_stopping = [this] {
      const std::lock_guard lock(mutex_);
      return stopping_;
    };
    while (!is_stopping() && std::chrono::steady_clock::now() < limit) {
      if (symbolizer_.is_settled()) break;
      if (!take_names()) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    {
      const std::lock_guard lock(mutex_);
      state_ = goodbye_.empty() ? SourceState::Dead : SourceState::Ended;
      end_reason_ = goodbye_.empty() ? why_dead(error) : goodbye_;
    }
    more_.notify_all();
  }

  [[nodiscard]] std::string why_dead(int error) const {
    if (stopping_) return "the session was closed";
    const auto who = "process " + std::to_string(pid_) + (name_.empty() ? "" : " (" + name_ + ")");
    if (error != 0 && error != ECONNRESET && error != EPIPE)
      return "the connection to " + who + " broke";
    return who + " is gone: it was killed or crashed, for it said no goodbye";
  }

  const Descriptor fd_, wakeup_;
  const std::string title_;
  const LiveOptions options_;
  const std::unique_ptr<Spool> spool_;
  const std::uint64_t pid_;
  const std::string name_;
  protocol::StreamReader reader_;  // the reader's thread, once it runs
  std::string goodbye_;            // likewise
  Symbolizer symbolizer_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable more_, room_;
  std::deque<ChunkPlace> queue_;
  std::uint64_t queued_bytes_ = 0, requests_ = 1;
  std::string unsent_;
  SourceState state_ = SourceState::Open;
  std::string end_reason_;
  SourceStats stats_;
  bool stopping_ = false;
  std::thread thread_;
};

Result<std::unique_ptr<Source>> attach(Descriptor fd, const std::string& title,
                                       const LiveOptions& options, Deadline deadline) {
  auto greeting = greet(fd.get(), title, false, deadline);
  if (!greeting) return greeting.failure();
  auto spool = Spool::make(options.spool_directory, options.spool_cap_bytes);
  if (!spool) return spool.failure();
  if (!options.record_to.empty()) {
    const auto recording = spool.value()->record(options.record_to);
    if (!recording) return recording.failure();
  }
  const auto& process = greeting.value().process;
  auto name =
      process.name.empty() ? title : process.name + " (" + std::to_string(process.pid) + ")";
  return std::unique_ptr<Source>(
      std::make_unique<LiveSource>(std::move(fd), std::move(greeting.value()), std::move(name),
                                   std::move(spool.value()), options));
}

}  // namespace

Result<std::unique_ptr<Source>> connect(const Target& target, const LiveOptions& options) {
  const auto deadline = std::chrono::steady_clock::now() + options.handshake_limit;
  auto fd = dial(target, deadline);
  if (!fd) return fd.failure();
  return attach(std::move(fd.value()), target.text(), options, deadline);
}

Result<std::unique_ptr<Source>> connect_descriptor(int fd, const std::string& title,
                                                   const LiveOptions& options) {
  return attach(Descriptor(fd), title, options,
                std::chrono::steady_clock::now() + options.handshake_limit);
}

Result<protocol::Process> probe(const Target& target, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  auto fd = dial(target, deadline);
  if (!fd) return fd.failure();
  auto greeting = greet(fd.value().get(), target.text(), true, deadline);
  if (!greeting) return greeting.failure();
  return std::move(greeting.value().process);
}

}  // namespace taskscope::console::source
