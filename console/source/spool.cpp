#include "taskscope/console/source/spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace taskscope::console::source {
namespace {

constexpr std::size_t kMaxDefinitionBytes = 256u << 20;
constexpr std::uint64_t kPunchStep = 1u << 20;

std::string spool_directory(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  const char* from_environment = std::getenv("TMPDIR");
  if (from_environment != nullptr && *from_environment != '\0') return from_environment;
  return access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
}

int open_unnamed(const std::string& directory) {
  const int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return fd;
  std::string name = directory + "/taskscope-spool-XXXXXX";
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) unlink(name.c_str());
  return named;
}

bool write_all(int fd, protocol::BytesView bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return true;
}

std::string system_words() { return std::error_code(errno, std::generic_category()).message(); }

}  // namespace

Result<std::unique_ptr<Spool>> Spool::make(const std::string& directory, std::uint64_t cap_bytes) {
  const auto where = spool_directory(directory);
  const int fd = open_unnamed(where);
  if (fd < 0)
    return Failure{FailureKind::System, "can't keep the session in " + where + ": " +
                                            system_words() +
                                            "; set TMPDIR to a writable directory"};
  return std::unique_ptr<Spool>(new Spool(fd, cap_bytes));
}

Spool::~Spool() {
  stop_recording();
  close(fd_);
}

std::optional<ChunkPlace> Spool::append(const protocol::ChunkView& chunk) {
  const std::lock_guard lock(mutex_);
  if (!write_all(fd_, chunk.bytes, end_)) {
    state_.error = "the spool is full: " + system_words();
    return std::nullopt;
  }
  const ChunkPlace place{end_, static_cast<std::uint32_t>(chunk.bytes.size())};
  end_ += chunk.bytes.size();
  state_.bytes += chunk.bytes.size();
  chunks_.push_back(
      {place, chunk.header.first_ticks, chunk.header.last_ticks, chunk.header.events});
  if (protocol::is_reliable(chunk.header.kind)) {
    definition_bytes_ += chunk.bytes.size();
    if (definition_bytes_ <= kMaxDefinitionBytes)
      definitions_.push_back({place.offset, protocol::Bytes(chunk.bytes)});
  }
  if (cap_bytes_ != 0) drop_oldest();
  grown_.notify_all();
  return place;
}

void Spool::drop_oldest() {
  // In large steps, so that the file is not nibbled at, and never the chunk that just came.
  if (state_.bytes <= cap_bytes_) return;
  const auto goal = cap_bytes_ - cap_bytes_ / 16;
  while (chunks_.size() > 1 && state_.bytes > goal) {
    const auto& oldest = chunks_.front();
    state_.bytes -= oldest.place.bytes;
    dropped_events_ += oldest.events;
    if (dropped_from_ == 0) dropped_from_ = oldest.first_ticks;
    if (oldest.last_ticks > dropped_to_) dropped_to_ = oldest.last_ticks;
    chunks_.pop_front();
    ++first_chunk_;
    ++state_.dropped_chunks;
  }
  const auto begin = chunks_.front().place.offset;
  const auto from = state_.begin / kPunchStep * kPunchStep, to = begin / kPunchStep * kPunchStep;
  state_.begin = begin;
  // Best effort: a file system without holes only keeps more than it was asked to.
  if (to > from)
    fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
              static_cast<off_t>(to - from));
}

std::optional<protocol::Bytes> Spool::read(const ChunkPlace& place) const {
  {
    const std::lock_guard lock(mutex_);
    if (place.offset < state_.begin || place.offset + place.bytes > end_) return std::nullopt;
  }
  protocol::Bytes bytes(place.bytes, '\0');
  std::size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t part =
        pread(fd_, bytes.data() + got, bytes.size() - got, static_cast<off_t>(place.offset + got));
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return std::nullopt;
    got += static_cast<std::size_t>(part);
  }
  return bytes;
}

Spool::State Spool::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Result<Nothing> Spool::record(const std::string& path) {
  stop_recording();
  auto writer = protocol::TraceWriter::create(path);
  if (!writer) return Failure{FailureKind::System, writer.error().message};
  const std::lock_guard lock(mutex_);
  writer_ = std::move(*writer);
  state_.recording = path;
  state_.recording_error.clear();
  state_.recorded_bytes = 0;
  finishing_ = false;
  copier_ = std::thread([this] { copy(); });
  return Nothing{};
}

bool Spool::stop_recording() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  grown_.notify_all();
  if (!copier_.joinable()) return false;
  copier_.join();
  const std::lock_guard lock(mutex_);
  state_.recording.clear();
  return true;
}

void Spool::copy() {
  const auto fail = [&](const std::string& why) {  // under mutex_
    state_.recording_error = why;
    state_.recording.clear();
  };
  std::unique_lock lock(mutex_);
  auto number = first_chunk_;
  const auto begin = state_.begin;
  const auto old = [&] {
    std::vector<protocol::Bytes> copies;
    for (const auto& definition : definitions_)
      if (definition.offset < begin) copies.push_back(definition.bytes);
    return copies;
  }();
  const auto loss_before = [&](std::uint64_t chunks, std::uint64_t events) {
    return protocol::Loss{
        0, protocol::LossCause::SpoolCapped, events, chunks, dropped_from_, dropped_to_, 0, 0, 0};
  };
  auto loss = loss_before(state_.dropped_chunks, dropped_events_);
  lock.unlock();
  for (const auto& bytes : old) {
    const auto written = writer_->append(protocol::BytesView(bytes));
    if (written) continue;
    lock.lock();
    return fail(written.error().message);
  }
  for (;;) {
    if (loss.chunks != 0) {
      const auto written = writer_->append(protocol::Update(loss));
      loss.chunks = 0;
      if (!written) {
        lock.lock();
        return fail(written.error().message);
      }
    }
    lock.lock();
    state_.recorded_bytes = writer_->bytes_written();
    grown_.wait(lock, [&] { return finishing_ || number < first_chunk_ + chunks_.size(); });
    if (number >= first_chunk_ + chunks_.size()) break;
    if (number < first_chunk_) {  // the disk of the recording is slower than the stream
      loss = loss_before(first_chunk_ - number, 0);
      number = first_chunk_;
    }
    const auto place = chunks_[static_cast<std::size_t>(number++ - first_chunk_)].place;
    lock.unlock();
    const auto bytes = read(place);
    if (!bytes) continue;  // dropped between the two
    const auto written = writer_->append(protocol::BytesView(*bytes));
    if (written) continue;
    lock.lock();
    return fail(written.error().message);
  }
  lock.unlock();
  const auto finished = writer_->finish();
  lock.lock();
  state_.recorded_bytes = writer_->bytes_written();
  if (!finished) fail(finished.error().message);
}

}  // namespace taskscope::console::source
