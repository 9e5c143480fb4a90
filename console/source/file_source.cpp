#include "taskscope/console/source/file_source.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "taskscope/protocol/trace_file.h"

namespace taskscope::console::source {
namespace {

/// Decoded ahead of the session: enough to hide its pauses, little enough to stay in the cache.
constexpr std::size_t kAheadEvents = 256 * 1024;
constexpr std::size_t kAheadChunks = 256;

std::size_t weight(const protocol::Update& update) {
  if (const auto* run = std::get_if<protocol::Events>(&update)) return run->events.size();
  if (const auto* walk = std::get_if<protocol::Snapshot>(&update)) return walk->tasks.size();
  return 1;
}

class FileSource final : public Source {
 public:
  explicit FileSource(protocol::TraceReader reader)
      : reader_(std::move(reader)), thread_([this] { decode_all(); }) {}

  ~FileSource() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
    thread_.join();
  }

  std::optional<Chunk> next() override {
    std::unique_lock lock(mutex_);
    if (ready_.empty()) return std::nullopt;
    const bool was_full = full();
    Chunk chunk = std::move(ready_.front());
    ready_.pop_front();
    ahead_events_ -= weight(chunk.update);
    ++stats_.chunks;
    stats_.bytes = std::max<std::uint64_t>(stats_.bytes, chunk.place.offset + chunk.place.bytes);
    lock.unlock();
    if (was_full) room_.notify_one();
    return chunk;
  }

  void wait(std::chrono::milliseconds at_most) override {
    std::unique_lock lock(mutex_);
    more_.wait_for(lock, at_most, [&] { return !ready_.empty() || decoded_; });
  }

  SourceState state() const override {
    const std::lock_guard lock(mutex_);
    return decoded_ && ready_.empty() ? SourceState::Ended : SourceState::Open;
  }

  std::string end_reason() const override {
    return reader_.has_footer() ? "the recording ends here"
                                : "the recording ends here: its writer was killed";
  }

  SourceStats stats() const override {
    const std::lock_guard lock(mutex_);
    auto stats = stats_;
    stats.total_bytes = reader_.file_bytes();
    stats.queued_chunks = ready_.size();
    return stats;
  }

  bool live() const override { return false; }
  std::string title() const override { return reader_.path(); }

  std::optional<protocol::Update> read(const ChunkPlace& place) override {
    const auto chunks = reader_.chunks();
    const auto entry = std::lower_bound(
        chunks.begin(), chunks.end(), place.offset,
        [](const protocol::ChunkEntry& one, std::uint64_t offset) { return one.offset < offset; });
    if (entry == chunks.end() || entry->offset != place.offset) return std::nullopt;
    auto update = reader_.read(*entry);
    if (!update) return std::nullopt;
    return std::move(*update);
  }

 private:
  [[nodiscard]] bool full() const {
    return ahead_events_ >= kAheadEvents || ready_.size() >= kAheadChunks;
  }

  void decode_all() {
    // What open() saw damaged comes where it lies.
    auto damaged = reader_.damaged().begin();
    const auto last_damaged = reader_.damaged().end();
    for (const auto& entry : reader_.chunks()) {
      for (; damaged != last_damaged && damaged->offset <= entry.offset; ++damaged)
        if (!offer(protocol::TraceReader::damage(*damaged), {damaged->offset, 0}, true)) return;
      auto update = reader_.read(entry);
      if (update) {
        if (!offer(std::move(*update), {entry.offset, entry.bytes}, false)) return;
      } else if (update.error().code != protocol::ErrorCode::UnknownKind) {
        if (!offer(protocol::TraceReader::damage(entry), {entry.offset, entry.bytes}, true)) return;
      }
    }
    for (; damaged != last_damaged; ++damaged)
      if (!offer(protocol::TraceReader::damage(*damaged), {damaged->offset, 0}, true)) return;
    const std::lock_guard lock(mutex_);
    decoded_ = true;
    more_.notify_all();
  }

  bool offer(protocol::Update update, ChunkPlace place, bool is_damage) {
    const auto events = weight(update);
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return stopping_ || !full(); });
    if (stopping_) return false;
    if (is_damage) ++stats_.damaged_chunks;
    ahead_events_ += events;
    ready_.push_back({std::move(update), place});
    const bool was_empty = ready_.size() == 1;
    lock.unlock();
    if (was_empty) more_.notify_one();
    return true;
  }

  protocol::TraceReader reader_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable more_, room_;
  std::deque<Chunk> ready_;
  std::size_t ahead_events_ = 0;
  bool decoded_ = false, stopping_ = false;
  SourceStats stats_;
  std::thread thread_;
};

FailureKind kind_of(protocol::ErrorCode code) {
  switch (code) {
    case protocol::ErrorCode::NewerVersion:
      return FailureKind::VersionMismatch;
    case protocol::ErrorCode::NotOurFile:
    case protocol::ErrorCode::EmptyFile:
      return FailureKind::NotARecording;
    default:
      return FailureKind::System;
  }
}

}  // namespace

Result<std::unique_ptr<Source>> open_file(const std::string& path) {
  auto reader = protocol::TraceReader::open(path);
  if (!reader) return Failure{kind_of(reader.error().code), reader.error().message};
  return std::unique_ptr<Source>(std::make_unique<FileSource>(std::move(*reader)));
}

}  // namespace taskscope::console::source
