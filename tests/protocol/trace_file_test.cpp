#include "taskscope/protocol/trace_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "taskscope/tests/protocol/sample_updates.h"

using namespace taskscope::protocol;
namespace fs = std::filesystem;

namespace {

/// A folder of its own for each test.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "trace_file_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const char* name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

Bytes read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_all(const std::string& path, BytesView bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// A session: the definitions, then rounds of a clock reading, events and samples.
std::vector<Update> session(std::size_t rounds) {
  const auto each = test::one_of_each();
  std::vector<Update> updates = {each[0], each[1], each[3]};
  for (std::size_t round = 0; round < rounds; ++round) {
    updates.emplace_back(ClockPoint{1'000 + round * 2'000, 10'000 + round * 1'000, 20'000 + round});
    Events events = test::server_stream(5);
    for (auto& event : events.events) event.ticks = 1'000 + round * 2'000 + event.ticks % 1'000;
    updates.emplace_back(events);
    updates.push_back(each[6]);
  }
  return updates;
}

void write_session(const std::string& path, const std::vector<Update>& updates, bool finish) {
  auto writer = TraceWriter::create(path);
  REQUIRE(writer);
  for (const Update& update : updates) REQUIRE(writer->append(update));
  if (finish) {
    REQUIRE(writer->finish());
  } else {
    const Bytes bytes = read_all(path);  // what a killed writer leaves
    REQUIRE(writer->finish());
    write_all(path, bytes);
  }
}

std::vector<Update> read_session(const TraceReader& reader) {
  std::vector<Update> updates;
  for (const ChunkEntry& entry : reader.chunks()) {
    auto update = reader.read(entry);
    REQUIRE(update);
    updates.push_back(std::move(*update));
  }
  return updates;
}

void check_same(const std::vector<Update>& a, const std::vector<Update>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(test::same(a[i], b[i]));
}

}  // namespace

TEST_CASE("a finished file opens by its index and holds what was written") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  const auto updates = session(20);
  write_session(path, updates, true);
  const auto reader = TraceReader::open(path);
  REQUIRE(reader);
  CHECK(reader->has_footer());
  CHECK(reader->damaged().empty());
  CHECK(reader->cut_bytes() == 0);
  CHECK(reader->major() == kMajorVersion);
  check_same(read_session(*reader), updates);
  CHECK(reader->definitions().size() == 3 + 20);
  for (const auto& entry : reader->definitions()) CHECK(reader->read(entry).has_value());
  const auto check = verify(path);
  REQUIRE(check);
  CHECK(check->good());
  CHECK(check->chunks == updates.size());
  CHECK(check->events == 20 * 20);
  CHECK(check->has_process);
  CHECK(check->lost_events == 100);
  CHECK(check->duration_ns == (check->last_ticks - check->first_ticks) / 2);
}

TEST_CASE("a file whose writer was killed opens and holds every chunk") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  const auto updates = session(20);
  write_session(path, updates, false);
  const auto reader = TraceReader::open(path);
  REQUIRE(reader);
  CHECK(!reader->has_footer());
  CHECK(reader->damaged().empty());
  CHECK(reader->cut_bytes() == 0);
  check_same(read_session(*reader), updates);
  CHECK(reader->definitions().size() == 3 + 20);
}

TEST_CASE("the index tells what each chunk is without reading it") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  auto writer = TraceWriter::create(path);
  REQUIRE(writer);
  std::vector<ChunkEntry> written;
  for (const Update& update : session(3)) {
    auto entry = writer->append(update);
    REQUIRE(entry);
    written.push_back(*entry);
  }
  REQUIRE(writer->finish());
  const auto reader = TraceReader::open(path);
  REQUIRE(reader);
  REQUIRE(reader->chunks().size() == written.size());
  for (std::size_t i = 0; i < written.size(); ++i) {
    const auto& entry = reader->chunks()[i];
    const auto chunk = reader->view(entry);
    REQUIRE(chunk);
    for (const ChunkHeader& header : {written[i].header, chunk->header}) {
      CHECK(entry.header.kind == header.kind);
      CHECK(entry.header.sequence == header.sequence);
      CHECK(entry.header.ring == header.ring);
      CHECK(entry.header.events == header.events);
      CHECK(entry.header.first_ticks == header.first_ticks);
      CHECK(entry.header.last_ticks == header.last_ticks);
      CHECK(entry.header.uncompressed_bytes == header.uncompressed_bytes);
      CHECK(entry.header.compression == header.compression);
    }
    CHECK(entry.offset == written[i].offset);
    CHECK(entry.bytes == written[i].bytes);
  }
}

TEST_CASE("cut at any byte of its last two chunks and footer, a file opens without the rest") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  const auto updates = session(4);
  write_session(path, updates, true);
  const Bytes whole = read_all(path);
  std::vector<ChunkEntry> entries;
  {
    const auto reader = TraceReader::open(path);
    REQUIRE(reader);
    entries.assign(reader->chunks().begin(), reader->chunks().end());
  }
  const auto from = entries[entries.size() - 2].offset;
  for (std::size_t size = from; size < whole.size(); ++size) {
    write_all(path, BytesView(whole).substr(0, size));
    const auto reader = TraceReader::open(path);
    REQUIRE(reader);
    CHECK(!reader->has_footer());
    CHECK(reader->damaged().empty());
    std::size_t expected = 0;
    for (const auto& entry : entries) expected += entry.offset + entry.bytes <= size ? 1u : 0u;
    CHECK(reader->chunks().size() == expected);  // no copy counts twice
    const auto check = verify(path);
    REQUIRE(check);
    CHECK(!check->good());
    CHECK(check->cut_bytes == reader->cut_bytes());
  }
}

TEST_CASE("flipped bytes cost the chunks they are in and nothing else") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  const auto updates = session(6);
  for (const bool finished : {true, false}) {
    write_session(path, updates, finished);
    const Bytes whole = read_all(path);
    std::vector<ChunkEntry> entries;
    {
      const auto reader = TraceReader::open(path);
      REQUIRE(reader);
      entries.assign(reader->chunks().begin(), reader->chunks().end());
    }
    for (std::uint64_t seed = 0; seed < 1500; ++seed) {
      std::mt19937_64 random(seed);
      INFO("seed " << seed << " finished " << finished);
      Bytes damaged = whole;
      std::vector<std::size_t> places;
      for (auto left = 1 + random() % 4; left > 0; --left) {
        const auto at = kFileHeaderBytes + random() % (whole.size() - kFileHeaderBytes);
        damaged[at] = static_cast<char>(damaged[at] ^ static_cast<char>(1 + random() % 255));
        places.push_back(at);
      }
      write_all(path, damaged);
      const auto reader = TraceReader::open(path);
      REQUIRE(reader);
      std::size_t readable = 0;
      for (const auto& entry : reader->chunks()) {
        auto update = reader->read(entry);
        if (!update) continue;
        ++readable;
        bool known = false;
        for (const auto& original : updates) known = known || test::same(*update, original);
        CHECK(known);
      }
      std::size_t hit = 0;
      for (const auto& entry : entries) {
        bool inside = false;
        for (const auto at : places)
          inside = inside || (damaged[at] != whole[at] && at >= entry.offset &&
                              at < entry.offset + entry.bytes);
        hit += inside ? 1u : 0u;
      }
      CHECK(readable >= entries.size() - hit);
      const auto check = verify(path);
      REQUIRE(check);
      if (damaged != whole) CHECK(!check->good());
    }
  }
}

TEST_CASE("a damaged definition is read from the footer") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  const auto updates = session(3);
  write_session(path, updates, true);
  Bytes bytes = read_all(path);
  bytes[kFileHeaderBytes + 30] = static_cast<char>(bytes[kFileHeaderBytes + 30] ^ 1);  // Process
  const auto has_process = [&] {
    const auto reader = TraceReader::open(path);
    REQUIRE(reader);
    for (const auto& entry : reader->definitions()) {
      const auto update = reader->read(entry);
      if (update && test::same(*update, updates[0])) return true;
    }
    return false;
  };
  write_all(path, bytes);
  CHECK(has_process());
  bytes.resize(bytes.size() - 5);  // and without the index
  write_all(path, bytes);
  CHECK(has_process());
  const auto reader = TraceReader::open(path);
  REQUIRE(reader);
  REQUIRE(reader->damaged().size() == 1);
  CHECK(reader->damaged()[0].offset == kFileHeaderBytes);
  CHECK(reader->chunks().size() == updates.size());  // the copy stands in
}

TEST_CASE("an index that lies is not believed") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  const auto updates = session(3);
  write_session(path, updates, true);
  const Bytes whole = read_all(path);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    std::mt19937_64 random(seed);
    // The index chunk with a changed body and a right checksum.
    std::uint64_t offset = 0;
    for (int i = 7; i >= 0; --i)
      offset = offset << 8 |
               static_cast<unsigned char>(whole[whole.size() - 16 + static_cast<std::size_t>(i)]);
    const auto index = parse_chunk(BytesView(whole).substr(offset));
    REQUIRE(index);
    Bytes body(index->body);
    for (auto left = 1 + random() % 3; left > 0; --left)
      body[random() % body.size()] = static_cast<char>(random());
    const auto sealed = make_chunk(index->header, body);
    REQUIRE(sealed);
    write_all(path, whole.substr(0, offset) + *sealed + whole.substr(whole.size() - 16));
    const auto reader = TraceReader::open(path);
    REQUIRE(reader);
    for (const auto& entry : reader->chunks()) (void)reader->read(entry);
    CHECK(verify(path).has_value());
  }
}

TEST_CASE("what is no recording is named as what it is") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  const auto code = [&](const std::string& name) {
    const auto reader = TraceReader::open(name);
    REQUIRE(!reader);
    CHECK(reader.error().message.find(name) != std::string::npos);
    const auto check = verify(name);
    REQUIRE(!check);
    CHECK(check.error().code == reader.error().code);
    return reader.error().code;
  };
  CHECK(code(path) == ErrorCode::System);  // not there
  write_all(path, "");
  CHECK(code(path) == ErrorCode::EmptyFile);
  write_all(path, "\x89TSK\r\n");
  CHECK(code(path) == ErrorCode::EmptyFile);
  write_all(path, "#!/bin/sh\necho hello\n");
  CHECK(code(path) == ErrorCode::NotOurFile);
  write_all(path, "x");
  CHECK(code(path) == ErrorCode::NotOurFile);
  CHECK(code(folder / ".") == ErrorCode::NotOurFile);
  CHECK(code("/dev/null") == ErrorCode::NotOurFile);
  Bytes newer("\x89TSK\r\n\x1a\n\0\0\0\0\0\0\0\0", 16);
  newer[8] = kMajorVersion + 1;
  write_all(path, newer);
  CHECK(code(path) == ErrorCode::NewerVersion);
  newer[8] = kMajorVersion;
  newer[12] = 99;  // a newer minor is fine
  write_all(path, newer);
  const auto reader = TraceReader::open(path);
  REQUIRE(reader);
  CHECK(reader->chunks().empty());
}

TEST_CASE("chunks of later versions in a file are kept apart, not damage") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  auto writer = TraceWriter::create(path);
  REQUIRE(writer);
  REQUIRE(writer->append(Update(Process{})));
  ChunkHeader header;
  header.kind = static_cast<ChunkKind>(500);
  const auto chunk = make_chunk(header, "later");
  REQUIRE(chunk);
  REQUIRE(writer->append(BytesView(*chunk)));
  REQUIRE(writer->finish());
  const auto check = verify(path);
  REQUIRE(check);
  CHECK(check->good());
  CHECK(check->chunks == 1);
  CHECK(check->unknown_chunks == 1);
}

TEST_CASE("a recording is replaced by a new file, anything else is left alone") {
  const Folder folder;
  const auto path = folder / "a.tsk";
  write_session(path, session(2), true);
  const auto old_reader = TraceReader::open(path);
  REQUIRE(old_reader);
  write_session(path, {Update(Goodbye{"new"})}, true);
  check_same(read_session(*old_reader), session(2));  // still whole
  const auto reader = TraceReader::open(path);
  REQUIRE(reader);
  CHECK(reader->chunks().size() == 1);

  write_all(path, "precious");
  const auto refused = TraceWriter::create(path);
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::NotOurFile);
  CHECK(read_all(path) == "precious");
  CHECK(!TraceWriter::create(folder / "."));
  CHECK(!TraceWriter::create(folder / "no/such/folder"));
}

TEST_CASE("a full disk is an error that says so") {
  if (::access("/dev/full", W_OK) != 0) return;
  const auto writer = TraceWriter::create("/dev/full");
  REQUIRE(!writer);
  CHECK(writer.error().code == ErrorCode::System);
  CHECK(writer.error().message.find("No space left") != std::string::npos);
}
