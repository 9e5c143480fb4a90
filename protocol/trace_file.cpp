#include "taskscope/protocol/trace_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <tuple>

#include "taskscope/protocol/pack.h"
#include "taskscope_wire/file.pb.h"

namespace taskscope::protocol {
namespace {

using detail::append_text;
using detail::append_varint;
using detail::get_u32;
using detail::get_u64;
using detail::put_u32;
using detail::put_u64;
using detail::Unpacker;

constexpr char kFileMagic[] = {'\x89', 'T', 'S', 'K', '\r', '\n', '\x1a', '\n'};
constexpr BytesView kFileMagicView(kFileMagic, sizeof kFileMagic);
constexpr BytesView kTrailerMagic = "TSKINDEX";
constexpr std::size_t kTrailerBytes = 16;
constexpr std::size_t kIndexPartBytes = 1u << 20;
constexpr std::uint64_t kCopyFlag = 1;
constexpr double kLongestNs = 9e18;  // 285 years: what a signed count of ns holds

Error system_error(const std::string& what) {
  return {ErrorCode::System, what + ": " + std::strerror(errno)};
}

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  void close() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// Bytes written; less than asked for means errno says why.
std::size_t write_all(int fd, BytesView bytes) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    const auto n = ::write(fd, bytes.data() + written, bytes.size() - written);
    if (n > 0) {
      written += static_cast<std::size_t>(n);
    } else if (n == 0 || errno != EINTR) {
      if (n == 0) errno = ENOSPC;
      break;
    }
  }
  return written;
}

void append_entry(std::string& out, const ChunkEntry& entry, std::uint64_t expected_offset) {
  const ChunkHeader& header = entry.header;
  std::string row;
  append_varint(row, entry.offset - expected_offset);
  append_varint(row, entry.bytes);
  append_varint(row, static_cast<std::uint32_t>(header.kind));
  append_varint(row, header.sequence);
  append_varint(row, header.ring);
  append_varint(row, header.events);
  append_varint(row, header.first_ticks);
  append_varint(row, header.last_ticks - header.first_ticks);
  append_varint(row, header.uncompressed_bytes);
  append_varint(row, static_cast<std::uint32_t>(header.compression));
  append_varint(row, header.copy ? kCopyFlag : 0);
  append_text(out, row);
}

ChunkEntry read_entry(Unpacker row, std::uint64_t expected_offset) {
  ChunkEntry entry;
  entry.offset = expected_offset + row.varint_or_0();
  entry.bytes = static_cast<std::uint32_t>(row.varint_or_0());
  entry.header.kind = static_cast<ChunkKind>(row.varint_or_0());
  entry.header.sequence = row.varint_or_0();
  entry.header.ring = row.varint_or_0();
  entry.header.events = static_cast<std::uint32_t>(row.varint_or_0());
  entry.header.first_ticks = row.varint_or_0();
  entry.header.last_ticks = entry.header.first_ticks + row.varint_or_0();
  entry.header.uncompressed_bytes = static_cast<std::uint32_t>(row.varint_or_0());
  entry.header.compression = static_cast<Compression>(row.varint_or_0());
  entry.header.copy = (row.varint_or_0() & kCopyFlag) != 0;
  return entry;
}

ChunkEntry entry_of(const ChunkView& chunk, std::uint64_t offset) {
  return {offset, static_cast<std::uint32_t>(chunk.bytes.size()), chunk.header};
}

Result<Bytes> file_header_of(const std::string& path, int fd) {
  Bytes header(kFileHeaderBytes, '\0');
  const auto n = ::pread(fd, header.data(), header.size(), 0);
  if (n < 0) return system_error("can't read " + path);
  header.resize(static_cast<std::size_t>(n));
  return header;
}

/// Takes the way of an existing recording, so that the new file is another one: readers that have
/// mapped the old one keep it.
Result<Done> make_way(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return Done{};
    return system_error("can't write " + path);
  }
  if (S_ISDIR(info.st_mode))
    return Error{ErrorCode::NotOurFile, path + " is a folder; name a file in it"};
  if (!S_ISREG(info.st_mode)) return Done{};
  if (info.st_size > 0) {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return system_error("can't replace " + path);
    const auto header = file_header_of(path, fd.get());
    if (!header) return header.error();
    if (!header->starts_with(kFileMagicView))
      return Error{ErrorCode::NotOurFile,
                   path + " exists and is not a recording; choose another name or remove it"};
  }
  if (::unlink(path.c_str()) != 0) return system_error("can't replace " + path);
  return Done{};
}

}  // namespace

// --- writing

struct TraceWriter::State {
  std::string path;
  Options options;
  Descriptor fd;
  std::uint64_t offset = 0;
  std::vector<ChunkEntry> entries;
  std::vector<Bytes> definitions;  // whole chunks marked as copies
  bool failed = false;

  Result<Done> write(BytesView bytes) {
    if (failed || fd.get() < 0)
      return Error{ErrorCode::System, path + " can't be written to any more"};
    if (write_all(fd.get(), bytes) == bytes.size()) {
      offset += bytes.size();
      return Done{};
    }
    auto error = system_error("can't write " + path);
    failed = true;
    // Back to whole chunks; where that fails too, the reader steps over the rest.
    if (::ftruncate(fd.get(), static_cast<off_t>(offset)) != 0)
      error.message += "; its end is cut off";
    return error;
  }

  Result<Done> write_footer() {
    for (const Bytes& copy : definitions) {
      const auto chunk = parse_chunk(copy);
      if (!chunk) return chunk.error();
      const auto entry = entry_of(*chunk, offset);
      if (auto done = write(copy); !done) return done;
      entries.push_back(entry);
    }
    const std::uint64_t index_offset = offset;
    std::uint64_t expected = kFileHeaderBytes;
    std::size_t at = 0;
    do {
      wire::v1::FileIndex part;
      part.set_start(expected);
      auto& rows = *part.mutable_entries();
      while (at < entries.size() && rows.size() < kIndexPartBytes) {
        append_entry(rows, entries[at], expected);
        expected = entries[at].offset + entries[at].bytes;
        ++at;
      }
      part.set_last(at == entries.size());
      ChunkHeader header;
      header.kind = ChunkKind::FileIndex;
      const auto chunk = make_chunk(header, part.SerializeAsString());
      if (!chunk) return chunk.error();
      if (auto done = write(*chunk); !done) return done;
    } while (at < entries.size());
    char trailer[kTrailerBytes];
    put_u64(trailer, index_offset);
    std::memcpy(trailer + 8, kTrailerMagic.data(), kTrailerMagic.size());
    return write(BytesView(trailer, sizeof trailer));
  }
};

TraceWriter::TraceWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TraceWriter::TraceWriter(TraceWriter&&) noexcept = default;
TraceWriter& TraceWriter::operator=(TraceWriter&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
TraceWriter::~TraceWriter() {
  if (state_) (void)finish();
}

Result<TraceWriter> TraceWriter::create(const std::string& path, Options options) {
  if (const auto way = make_way(path); !way) return way.error();
  auto state = std::make_unique<State>();
  state->path = path;
  state->options = options;
  state->fd = Descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (state->fd.get() < 0) return system_error("can't write " + path);
  Bytes header(kFileHeaderBytes, '\0');
  std::memcpy(header.data(), kFileMagicView.data(), kFileMagicView.size());
  put_u32(header.data() + 8, kMajorVersion);
  put_u32(header.data() + 12, kMinorVersion);
  if (auto done = state->write(header); !done) return done.error();
  return TraceWriter(std::move(state));
}

Result<ChunkEntry> TraceWriter::append(BytesView bytes) {
  const auto chunk = parse_chunk(bytes);
  if (!chunk) return chunk.error();
  return append(*chunk);
}

Result<ChunkEntry> TraceWriter::append(const ChunkView& chunk) {
  if (is_reliable(chunk.header.kind)) {
    ChunkHeader header = chunk.header;
    header.copy = true;
    auto copy = make_chunk(header, chunk.body);
    if (!copy) return copy.error();
    state_->definitions.push_back(std::move(*copy));
  }
  Bytes packed;
  BytesView bytes = chunk.bytes;
  if (state_->options.compress) {
    auto compressed = compress_chunk(chunk);
    if (!compressed) return compressed.error();
    packed = std::move(*compressed);
    bytes = packed;
  }
  ChunkEntry entry{state_->offset, static_cast<std::uint32_t>(bytes.size()), chunk.header};
  if (auto done = state_->write(bytes); !done) return done.error();
  if (bytes.size() != chunk.bytes.size()) {
    entry.header.compression = Compression::Zstd;
    entry.header.uncompressed_bytes = static_cast<std::uint32_t>(chunk.body.size());
  }
  state_->entries.push_back(entry);
  return entry;
}

Result<ChunkEntry> TraceWriter::append(const Update& update) {
  const auto chunk = encode(update, state_->entries.size());
  if (!chunk) return chunk.error();
  return append(BytesView(*chunk));
}

Result<Done> TraceWriter::finish() {
  if (state_->fd.get() < 0) return Done{};
  auto done = state_->failed
                  ? Result<Done>(Error{ErrorCode::System, state_->path + " is incomplete"})
                  : state_->write_footer();
  state_->fd.close();
  return done;
}

std::uint64_t TraceWriter::bytes_written() const noexcept { return state_->offset; }
const std::string& TraceWriter::path() const noexcept { return state_->path; }

// --- reading

namespace {

/// What a walk over the chunks finds.
struct Walk {
  std::vector<ChunkEntry> entries;  // also copies and the index
  std::vector<DamagedRange> damaged;
  std::uint64_t cut_bytes = 0;
};

/// A file in memory, unmapped at the end.
class Map {
 public:
  Map() = default;
  Map(const void* at, std::size_t bytes) noexcept : at_(at), bytes_(bytes) {}
  Map(Map&& other) noexcept
      : at_(std::exchange(other.at_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Map& operator=(Map&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Map() {
    if (at_ != nullptr) ::munmap(const_cast<void*>(at_), bytes_);
  }
  [[nodiscard]] BytesView bytes() const noexcept { return {static_cast<const char*>(at_), bytes_}; }

 private:
  const void* at_ = nullptr;
  std::size_t bytes_ = 0;
};

bool ends_with_trailer(BytesView file) {
  return file.size() >= kFileHeaderBytes + kTrailerBytes && file.ends_with(kTrailerMagic);
}

Walk walk(BytesView file) {
  Walk found;
  const BytesView chunks =
      ends_with_trailer(file) ? file.substr(0, file.size() - kTrailerBytes) : file;
  std::uint64_t last_ticks = 0;
  std::optional<DamagedRange> damage;
  std::size_t at = kFileHeaderBytes;
  while (at < chunks.size()) {
    const auto chunk = parse_chunk(chunks.substr(at));
    if (!chunk) {
      if (!damage && !found.entries.empty() && chunks.size() - at < kTrailerBytes &&
          found.entries.back().header.kind == ChunkKind::FileIndex) {  // a piece of the trailer
        found.cut_bytes = chunks.size() - at;
        return found;
      }
      if (!damage) damage = DamagedRange{at, 0, last_ticks, 0};
      // A chunk that is cut off is the end of the file, unless another one follows.
      std::size_t next = find_magic(chunks, at + 1);
      if (chunk.error().code == ErrorCode::Truncated && damage->offset == at) {
        while (next < chunks.size() && !parse_chunk(chunks.substr(next)))
          next = find_magic(chunks, next + 1);
        if (next == chunks.size()) {
          found.cut_bytes = chunks.size() - at;
          return found;
        }
      }
      at = next;
      continue;
    }
    if (damage) {
      damage->bytes = at - damage->offset;
      damage->to_ticks = chunk->header.first_ticks;
      found.damaged.push_back(*damage);
      damage.reset();
    }
    found.entries.push_back(entry_of(*chunk, at));
    if (chunk->header.last_ticks != 0 && !chunk->header.copy) last_ticks = chunk->header.last_ticks;
    at += chunk->bytes.size();
  }
  if (damage) {
    damage->bytes = chunks.size() - damage->offset;
    found.damaged.push_back(*damage);
  }
  return found;
}

/// The index, if the file ends with one that fits the file.
std::optional<std::vector<ChunkEntry>> read_index(BytesView file) {
  if (!ends_with_trailer(file)) return std::nullopt;
  const std::size_t index_end = file.size() - kTrailerBytes;
  const std::uint64_t index_offset = get_u64(file.data() + index_end);
  if (index_offset < kFileHeaderBytes || index_offset >= index_end) return std::nullopt;
  std::vector<ChunkEntry> entries;
  std::uint64_t expected = kFileHeaderBytes;
  bool last = false;
  Bytes storage;
  for (auto at = static_cast<std::size_t>(index_offset); !last;) {
    const auto chunk = parse_chunk(file.substr(at, index_end - at));
    if (!chunk || chunk->header.kind != ChunkKind::FileIndex) return std::nullopt;
    const auto body = plain_body(*chunk, storage);
    wire::v1::FileIndex part;
    if (!body || !part.ParseFromArray(body->data(), static_cast<int>(body->size())) ||
        part.start() != expected)
      return std::nullopt;
    for (Unpacker in(part.entries()); !in.at_end();) {
      const Unpacker row = in.row();
      const ChunkEntry entry = read_entry(row, expected);
      // In order and inside the file, whatever the numbers say: compared without sums that wrap.
      if (in.failed() || entry.offset < expected || entry.offset > index_offset ||
          entry.bytes < kChunkPrefixBytes || entry.bytes > index_offset - entry.offset)
        return std::nullopt;
      entries.push_back(entry);
      expected = entry.offset + entry.bytes;
    }
    last = part.last();
    at += chunk->bytes.size();
    if (at > index_end) return std::nullopt;
  }
  if (expected != index_offset) return std::nullopt;
  return entries;
}

using Identity = std::tuple<std::uint32_t, std::uint64_t, std::uint32_t>;

/// What a footer copy shares with its original.
std::optional<Identity> identity(BytesView file, const ChunkEntry& entry) {
  const auto chunk = parse_chunk(file.substr(static_cast<std::size_t>(entry.offset), entry.bytes));
  if (!chunk) return std::nullopt;
  Bytes storage;
  const auto body = plain_body(*chunk, storage);
  if (!body) return std::nullopt;
  return Identity{static_cast<std::uint32_t>(entry.header.kind), entry.header.sequence,
                  crc32c(*body)};
}

struct OpenFile {
  Map map;
  std::uint32_t major = 0, minor = 0;
};

Result<OpenFile> open_file(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return system_error("can't open " + path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return system_error("can't open " + path);
  if (S_ISDIR(info.st_mode)) return Error{ErrorCode::NotOurFile, path + " is a folder"};
  if (!S_ISREG(info.st_mode))
    return Error{ErrorCode::NotOurFile, path + " is not a regular file, so no recording"};
  if (info.st_size == 0)
    return Error{ErrorCode::EmptyFile, path + " is empty: nothing was ever recorded into it"};
  const auto header = file_header_of(path, fd.get());
  if (!header) return header.error();
  const auto magic_bytes = std::min(header->size(), kFileMagicView.size());
  if (BytesView(*header).substr(0, magic_bytes) != kFileMagicView.substr(0, magic_bytes))
    return Error{ErrorCode::NotOurFile, path + " is not a taskscope recording"};
  if (header->size() < kFileHeaderBytes)
    return Error{ErrorCode::EmptyFile,
                 path + " ends within its first 16 bytes: nothing was recorded into it"};
  OpenFile file;
  file.major = get_u32(header->data() + 8);
  file.minor = get_u32(header->data() + 12);
  if (file.major > kMajorVersion)
    return Error{ErrorCode::NewerVersion,
                 path + " was written by a newer taskscope (format " + std::to_string(file.major) +
                     ", this one reads up to " + std::to_string(kMajorVersion) +
                     "); open it with that one"};
  const auto bytes = static_cast<std::size_t>(info.st_size);
  const void* at = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (at == MAP_FAILED) return system_error("can't map " + path);
  file.map = Map(at, bytes);
  return file;
}

}  // namespace

struct TraceReader::State {
  std::string path;
  OpenFile file;
  bool has_footer = false;
  std::uint64_t cut_bytes = 0;
  std::vector<ChunkEntry> chunks, definitions;
  std::vector<DamagedRange> damaged;

  void use_index(const std::vector<ChunkEntry>& entries) {
    has_footer = true;
    for (const ChunkEntry& entry : entries)
      (entry.header.copy ? definitions : chunks).push_back(entry);
  }

  void use_walk(Walk walked) {
    damaged = std::move(walked.damaged);
    cut_bytes = walked.cut_bytes;
    std::set<Identity> originals;
    const BytesView bytes = file.map.bytes();
    std::vector<ChunkEntry> copies;
    for (const ChunkEntry& entry : walked.entries) {
      if (entry.header.kind == ChunkKind::FileIndex) continue;
      if (entry.header.copy) {
        copies.push_back(entry);
        continue;
      }
      chunks.push_back(entry);
      if (!is_reliable(entry.header.kind)) continue;
      definitions.push_back(entry);
    }
    if (copies.empty()) return;
    for (const ChunkEntry& entry : definitions)
      if (const auto id = identity(bytes, entry)) originals.insert(*id);
    for (const ChunkEntry& entry : copies) {
      const auto id = identity(bytes, entry);
      if (!id || !originals.insert(*id).second) continue;
      chunks.push_back(entry);
      definitions.push_back(entry);
    }
  }
};

TraceReader::TraceReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TraceReader::~TraceReader() = default;
TraceReader::TraceReader(TraceReader&&) noexcept = default;
TraceReader& TraceReader::operator=(TraceReader&&) noexcept = default;

Result<TraceReader> TraceReader::open(const std::string& path) {
  auto file = open_file(path);
  if (!file) return file.error();
  auto state = std::make_unique<State>();
  state->path = path;
  state->file = std::move(*file);
  const BytesView bytes = state->file.map.bytes();
  if (const auto entries = read_index(bytes)) {
    state->use_index(*entries);
  } else {
    state->use_walk(walk(bytes));
  }
  return TraceReader(std::move(state));
}

std::span<const ChunkEntry> TraceReader::chunks() const noexcept { return state_->chunks; }
std::span<const ChunkEntry> TraceReader::definitions() const noexcept {
  return state_->definitions;
}
bool TraceReader::has_footer() const noexcept { return state_->has_footer; }
std::uint64_t TraceReader::cut_bytes() const noexcept { return state_->cut_bytes; }
std::span<const DamagedRange> TraceReader::damaged() const noexcept { return state_->damaged; }
std::uint32_t TraceReader::major() const noexcept { return state_->file.major; }
std::uint32_t TraceReader::minor() const noexcept { return state_->file.minor; }
std::uint64_t TraceReader::file_bytes() const noexcept { return state_->file.map.bytes().size(); }
const std::string& TraceReader::path() const noexcept { return state_->path; }

Result<ChunkView> TraceReader::view(const ChunkEntry& entry) const {
  const BytesView file = state_->file.map.bytes();
  if (entry.offset > file.size() || entry.bytes > file.size() - entry.offset)
    return Error{ErrorCode::Truncated, "the chunk lies outside the file"};
  return parse_chunk(file.substr(static_cast<std::size_t>(entry.offset), entry.bytes));
}

Result<Update> TraceReader::read(const ChunkEntry& entry) const {
  const auto chunk = view(entry);
  if (!chunk) return chunk.error();
  return decode(*chunk);
}

Loss TraceReader::damage(const ChunkEntry& entry) {
  Loss loss;
  loss.producer = entry.header.ring;
  loss.cause = LossCause::Damaged;
  loss.events = entry.header.events;
  loss.chunks = 1;
  loss.from_ticks = entry.header.first_ticks;
  loss.to_ticks = entry.header.last_ticks;
  return loss;
}

Loss TraceReader::damage(const DamagedRange& range) {
  Loss loss;
  loss.cause = LossCause::Damaged;
  loss.chunks = 1;
  loss.from_ticks = range.from_ticks;
  loss.to_ticks = range.to_ticks;
  return loss;
}

// --- verifying

Result<Verification> verify(const std::string& path) {
  const auto file = open_file(path);
  if (!file) return file.error();
  const BytesView bytes = file->map.bytes();
  Verification result;
  result.file_bytes = bytes.size();
  Walk walked = walk(bytes);
  result.damaged = std::move(walked.damaged);
  result.cut_bytes = walked.cut_bytes;
  result.has_footer = ends_with_trailer(bytes);
  if (result.has_footer && !read_index(bytes))
    result.malformed.emplace_back("the index at the end of the file does not fit the file");

  std::optional<ClockPoint> first_point, last_point;
  for (const ChunkEntry& entry : walked.entries) {
    if (entry.header.copy || entry.header.kind == ChunkKind::FileIndex) continue;
    const auto update = decode(bytes.substr(static_cast<std::size_t>(entry.offset), entry.bytes));
    if (!update) {
      if (update.error().code == ErrorCode::UnknownKind ||
          update.error().code == ErrorCode::UnknownCompression)
        ++result.unknown_chunks;
      else
        result.malformed.push_back("at byte " + std::to_string(entry.offset) + ": " +
                                   update.error().message);
      continue;
    }
    ++result.chunks;
    if (std::holds_alternative<Process>(*update)) result.has_process = true;
    if (const auto* events = std::get_if<Events>(&*update)) {
      result.events += events->events.size();
      if (!events->events.empty()) {
        if (result.first_ticks == 0 || entry.header.first_ticks < result.first_ticks)
          result.first_ticks = entry.header.first_ticks;
        result.last_ticks = std::max(result.last_ticks, entry.header.last_ticks);
      }
    }
    if (const auto* loss = std::get_if<Loss>(&*update)) result.lost_events += loss->events;
    if (const auto* point = std::get_if<ClockPoint>(&*update)) {
      if (!first_point) first_point = *point;
      last_point = *point;
    }
  }
  if (first_point && last_point->ticks > first_point->ticks &&
      last_point->monotonic_ns > first_point->monotonic_ns &&
      result.last_ticks > result.first_ticks) {
    const auto ns_per_tick =
        static_cast<double>(last_point->monotonic_ns - first_point->monotonic_ns) /
        static_cast<double>(last_point->ticks - first_point->ticks);
    const double ns = static_cast<double>(result.last_ticks - result.first_ticks) * ns_per_tick;
    result.duration_ns = static_cast<std::uint64_t>(std::min(ns, kLongestNs));
  }
  return result;
}

}  // namespace taskscope::protocol
