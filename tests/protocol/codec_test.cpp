#include "taskscope/protocol/codec.h"

#include <catch2/catch.hpp>
#include <random>

#include "taskscope/protocol/pack.h"
#include "taskscope/tests/protocol/sample_updates.h"

using namespace taskscope::protocol;

namespace {

Update round_trip(const Update& update) {
  const auto chunk = encode(update, 5);
  REQUIRE(chunk);
  auto back = decode(*chunk);
  REQUIRE(back);
  return std::move(*back);
}

}  // namespace

TEST_CASE("every kind of update comes back as it was") {
  for (const Update& update : test::one_of_each()) {
    INFO("alternative " << update.index());
    CHECK(test::same(round_trip(update), update));
  }
}

TEST_CASE("empty updates come back too") {
  const Update updates[] = {Process{},
                            std::vector<Site>{},
                            ClockPoint{},
                            Loss{},
                            Events{},
                            Snapshot{},
                            Samples{},
                            Goodbye{},
                            std::vector<Module>{},
                            NativeStack{},
                            std::vector<Symbol>{}};
  for (const Update& update : updates) {
    INFO("alternative " << update.index());
    CHECK(test::same(round_trip(update), update));
  }
}

TEST_CASE("random events and snapshots come back as they were") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    INFO("seed " << seed);
    const Update events = test::random_events(seed, seed * 7 % 600);
    CHECK(test::same(round_trip(events), events));
    const Update snapshot = test::random_snapshot(seed, seed % 20);
    CHECK(test::same(round_trip(snapshot), snapshot));
  }
}

TEST_CASE("a chunk of events says in its header what is inside") {
  const Events run = test::server_stream(1000);
  const auto bytes = encode(run, 77);
  REQUIRE(bytes);
  const auto chunk = parse_chunk(*bytes);
  REQUIRE(chunk);
  CHECK(chunk->header.kind == ChunkKind::Events);
  CHECK(chunk->header.sequence == 77);
  CHECK(chunk->header.ring == run.ring);
  CHECK(chunk->header.events == run.events.size());
  CHECK(chunk->header.first_ticks == run.events.front().ticks);
  CHECK(chunk->header.last_ticks == run.events.back().ticks);
}

TEST_CASE("an event of a busy server takes at most 4 bytes on the wire and 3 on disk") {
  const Events run = test::server_stream(4096);
  const auto bytes = encode(run, 0);
  REQUIRE(bytes);
  const auto chunk = parse_chunk(*bytes);
  REQUIRE(chunk);
  const auto packed = compress_chunk(*chunk);
  REQUIRE(packed);
  const auto events = static_cast<double>(run.events.size());
  CHECK(static_cast<double>(bytes->size()) / events <= 4.0);
  CHECK(static_cast<double>(packed->size()) / events <= 3.0);
}

TEST_CASE("the builder packs run after run and tells when a chunk is full") {
  const Events run = test::server_stream(1000);
  EventsBuilder builder(1000);
  builder.begin(run.ring, run.worker, run.tid, run.thread_name);
  std::vector<Event> back;
  std::uint64_t sequence = 0;
  const auto take = [&] {
    const Bytes bytes = builder.finish(sequence++);
    CHECK(builder.empty());
    const auto update = decode(bytes);
    REQUIRE(update);
    const auto& events = std::get<Events>(*update);
    CHECK(events.ring == run.ring);
    CHECK(events.thread_name == run.thread_name);
    back.insert(back.end(), events.events.begin(), events.events.end());
  };
  for (const Event& event : run.events) {
    builder.append(event);
    if (builder.full()) {
      CHECK(builder.size() == 1000);
      take();
    }
  }
  CHECK(builder.empty());
  CHECK(back == run.events);
}

TEST_CASE("the builder numbers texts from one in each chunk and cuts long ones") {
  EventsBuilder builder;
  for (int round = 0; round < 2; ++round) {
    builder.begin(1, 1, 1, "w");
    Event event;
    event.kind = EventKind::TaskSpawned;
    event.text = builder.add_text("name");
    event.fields = builder.add_text("a=1");
    CHECK(builder.add_text(std::string(kMaxTextBytes + 1, 'x')) == 3);
    event.field_count = 2;
    CHECK(event.text == 1);
    CHECK(event.fields == 2);
    builder.append(event);
    const auto update = decode(builder.finish(0));
    REQUIRE(update);
    const auto& events = std::get<Events>(*update);
    REQUIRE(events.texts.size() == 3);
    CHECK(events.texts[2].size() == kMaxTextBytes);
    CHECK(events.events == std::vector<Event>{event});
  }
}

TEST_CASE("texts fill a chunk too, and a full one can always be finished") {
  EventsBuilder builder(1u << 18);
  builder.begin(1, 1, 1, "w");
  const std::string text(kMaxTextBytes, 'x');
  Event event;
  event.kind = EventKind::SpanEntered;
  while (!builder.full()) {
    event.text = builder.add_text(text);
    REQUIRE(event.text != 0);
    builder.append(event);
  }
  const Bytes bytes = builder.finish(0);
  CHECK(bytes.size() < kMaxChunkBytes);
  CHECK(decode(bytes).has_value());
}

TEST_CASE("events that share nothing fill a chunk at its limit") {
  std::mt19937_64 random(1);
  EventsBuilder builder(kMaxEventsPerChunk);
  builder.begin(1, 1, 1, "w");
  std::vector<Event> events;
  while (!builder.full()) {
    Event event;
    event.kind = static_cast<EventKind>(random());
    event.detail = static_cast<std::uint8_t>(random());
    event.mode = static_cast<std::uint8_t>(random());
    event.resource_kind = static_cast<std::uint8_t>(random());
    event.branch = static_cast<std::uint16_t>(random());
    event.parent_branch = static_cast<std::uint16_t>(random());
    event.site = static_cast<std::uint32_t>(random());
    event.extra = static_cast<std::uint32_t>(random());
    event.ticks = random();
    event.task = random();
    event.other = random();
    event.value = random();
    builder.append(event);
    events.push_back(event);
  }
  const auto update = decode(builder.finish(0));
  REQUIRE(update);
  CHECK((std::get<Events>(*update).events == events));
}

TEST_CASE("a reference to a text that is not there becomes none") {
  Events run;
  run.texts = {"only"};
  Event event;
  event.kind = EventKind::TaskSpawned;
  event.text = 2;
  event.fields = 1;
  event.field_count = 2;
  run.events.push_back(event);
  event.text = 1;
  event.fields = ~0u;
  event.field_count = ~0u;
  run.events.push_back(event);
  const auto back = std::get<Events>(round_trip(run));
  CHECK(back.events[0].text == 0);
  CHECK(back.events[0].fields == 0);
  CHECK(back.events[0].field_count == 0);
  CHECK(back.events[1].text == 1);
  CHECK(back.events[1].fields == 0);
  CHECK(back.events[1].field_count == 0);
}

TEST_CASE("what is too much for a chunk is refused") {
  Events events;
  events.events.resize(kMaxEventsPerChunk + 1);
  Snapshot snapshot;
  snapshot.tasks.resize(kMaxSnapshotRows + 1);
  const std::vector<Site> sites(2000, Site{1, std::string(4096, 'f'), "g", 1, 1});
  const std::vector<Module> modules(kMaxModules + 1);
  NativeStack stack;
  stack.frames.resize(kMaxNativeFrames + 1);
  const std::vector<Symbol> symbols(kMaxSymbols + 1);
  std::vector<Symbol> symbol(1);
  symbol[0].lines.resize(65);
  for (const Update& update : {Update(events), Update(snapshot), Update(sites), Update(modules),
                               Update(stack), Update(symbols), Update(symbol)}) {
    const auto chunk = encode(update, 0);
    REQUIRE(!chunk);
    CHECK(chunk.error().code == ErrorCode::TooLarge);
  }
}

TEST_CASE("requests come back as they were") {
  const auto back = [](const Request& request) {
    const auto bytes = encode_request(request, 1);
    REQUIRE(bytes);
    const auto chunk = parse_chunk(*bytes);
    REQUIRE(chunk);
    const auto decoded = decode_request(*chunk);
    REQUIRE(decoded);
    return *decoded;
  };
  const auto hello = std::get<Hello>(back(Hello{9, 8, "taskscope 7", true}));
  CHECK(hello.major == 9);
  CHECK(hello.minor == 8);
  CHECK(hello.program == "taskscope 7");
  CHECK(hello.probe);
  const auto subscribe = std::get<Subscribe>(back(Subscribe{3, 50, 7}));
  CHECK(subscribe.events == 3);
  CHECK(subscribe.sample_every_ms == 50);
  CHECK(subscribe.stacks_every_ms == 7);
  const auto wish = std::get<RequestSnapshot>(back(RequestSnapshot{false, true, 42}));
  CHECK(!wish.waits);
  CHECK(wish.stacks);
  CHECK(wish.task == 42);
}

TEST_CASE("chunks of later versions are named as unknown, unknown fields are skipped") {
  ChunkHeader header;
  header.kind = static_cast<ChunkKind>(999);
  const auto chunk = make_chunk(header, "whatever");
  REQUIRE(chunk);
  const auto update = decode(*chunk);
  REQUIRE(!update);
  CHECK(update.error().code == ErrorCode::UnknownKind);

  // A field 1000 of each wire type behind a body that we know.
  for (const BytesView extra : {BytesView("\xc0\x3e\x07", 3), BytesView("\xc2\x3e\x02zz", 5),
                                BytesView("\xc1\x3e\x01\x02\x03\x04\x05\x06\x07\x08", 10)}) {
    for (const Update& known : test::one_of_each()) {
      const auto bytes = encode(known, 0);
      REQUIRE(bytes);
      const auto parsed = parse_chunk(*bytes);
      REQUIRE(parsed);
      const auto later = make_chunk(parsed->header, Bytes(parsed->body).append(extra));
      REQUIRE(later);
      const auto back = decode(*later);
      REQUIRE(back);
      CHECK(test::same(*back, known));
    }
  }
}

TEST_CASE("rows that a later version made longer, or an earlier one shorter, are read") {
  // Snapshot{tasks = one row}: field 6, bytes.
  const auto with_row = [](const Bytes& row) {
    Bytes rows;
    detail::append_text(rows, row);
    Bytes body = "\x32";
    detail::append_text(body, rows);
    ChunkHeader header;
    header.kind = ChunkKind::Snapshot;
    const auto chunk = make_chunk(header, body);
    REQUIRE(chunk);
    auto update = decode(*chunk);
    REQUIRE(update);
    return std::get<Snapshot>(*update).tasks.at(0);
  };
  Bytes row;
  detail::append_signed(row, 10);
  detail::append_signed(row, 11);
  const auto shorter = with_row(row);
  CHECK(shorter.ticks == 10);
  CHECK(shorter.task == 11);
  CHECK(shorter.branches.empty());
  for (int field = 0; field < 11; ++field) detail::append_varint(row, 1);
  detail::append_text(row, "name");
  detail::append_varint(row, 0);
  detail::append_varint(row, 0);
  row += "from the future";
  const auto longer = with_row(row);
  CHECK(longer.name == "name");
  CHECK(longer.has_stacks);
}

TEST_CASE("hostile bodies with right checksums never crash and never take much memory") {
  // Bytes of real chunks, changed at random, sealed again.
  auto updates = test::one_of_each();
  updates.emplace_back(test::server_stream(50));
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    std::mt19937_64 random(seed);
    const auto bytes = encode(updates[seed % updates.size()], 0);
    REQUIRE(bytes);
    const auto chunk = parse_chunk(*bytes);
    REQUIRE(chunk);
    Bytes body(chunk->body);
    if (body.empty()) continue;
    for (auto left = 1 + random() % 4; left > 0; --left) {
      const auto at = random() % body.size();
      switch (random() % 4) {
        case 0:
          body[at] = static_cast<char>(random());
          break;
        case 1:
          body[at] = '\xff';
          break;
        case 2:
          body.insert(at, 1, static_cast<char>(random()));
          break;
        default:
          body.erase(at, 1);
      }
      if (body.empty()) break;
    }
    ChunkHeader header = chunk->header;
    if (random() % 8 == 0) header.kind = static_cast<ChunkKind>(random() % 40);
    const auto sealed = make_chunk(header, body);
    REQUIRE(sealed);
    const auto parsed = parse_chunk(*sealed);
    REQUIRE(parsed);
    (void)decode(*parsed);
    (void)decode_request(*parsed);
  }
}

TEST_CASE("counts that nothing backs are refused") {
  const auto decode_rows = [](char field, const Bytes& row) {
    Bytes rows;
    detail::append_text(rows, row);
    Bytes body(1, field);
    detail::append_text(body, rows);
    ChunkHeader header;
    header.kind = ChunkKind::Snapshot;
    const auto chunk = make_chunk(header, body);
    REQUIRE(chunk);
    return decode(*chunk);
  };
  Bytes row(13, '\0');  // up to the name
  row += '\0';
  detail::append_varint(row, 1ull << 62);  // fields
  const auto tasks = decode_rows('\x32', row);
  REQUIRE(!tasks);
  CHECK(tasks.error().code == ErrorCode::Malformed);
  Bytes resource(8, '\0');
  detail::append_varint(resource, ~0ull);  // holders
  const auto resources = decode_rows('\x3a', resource);
  REQUIRE(!resources);
  CHECK(resources.error().code == ErrorCode::Malformed);
}

TEST_CASE("a native stack whose columns differ in length is read as far as it goes") {
  // addresses (field 9, packed fixed64): two; modules (field 10, packed): one; guessed: none.
  const Bytes addresses(
      "\x4a\x10"
      "\x01\0\0\0\0\0\0\0"
      "\x02\0\0\0\0\0\0\0",
      18);
  ChunkHeader header;
  header.kind = ChunkKind::NativeStack;
  const auto chunk = make_chunk(header, addresses + Bytes("\x52\x01\x07", 3));
  REQUIRE(chunk);
  const auto update = decode(*chunk);
  REQUIRE(update);
  const auto& frames = std::get<NativeStack>(*update).frames;
  CHECK(frames == std::vector<NativeFrame>{{1, 7, false}, {2, 0, false}});
}

TEST_CASE("more modules, frames, symbols or lines than allowed are refused by the reader") {
  const auto code_of = [](ChunkKind kind, const Bytes& body) {
    ChunkHeader header;
    header.kind = kind;
    const auto chunk = make_chunk(header, body);
    REQUIRE(chunk);
    const auto update = decode(*chunk);
    REQUIRE(!update);
    return update.error().code;
  };
  const auto repeated = [](const Bytes& one, std::size_t count) {
    Bytes all;
    for (std::size_t i = 0; i < count; ++i) all += one;
    return all;
  };
  const Bytes empty("\x0a\0", 2);  // field 1: a message without fields
  CHECK(code_of(ChunkKind::Modules, repeated(empty, kMaxModules + 1)) == ErrorCode::TooLarge);
  CHECK(code_of(ChunkKind::Symbols, repeated(empty, kMaxSymbols + 1)) == ErrorCode::TooLarge);
  const Bytes frame("\x49\x01\0\0\0\0\0\0\0", 9);  // field 9, not packed
  CHECK(code_of(ChunkKind::NativeStack, repeated(frame, kMaxNativeFrames + 1)) ==
        ErrorCode::TooLarge);
  const Bytes lines = repeated(Bytes("\x1a\0", 2), 65);  // field 3
  Bytes symbol("\x0a");
  detail::append_text(symbol, lines);
  CHECK(code_of(ChunkKind::Symbols, symbol) == ErrorCode::TooLarge);
}
