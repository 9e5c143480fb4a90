#include "taskscope/instrumentation/collector.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>

#include "taskscope/instrumentation/threads.h"
#include "taskscope/instrumentation/unit.h"
#include "taskscope/instrumentation/watchdog.h"
#include "taskscope/runtime/observe/observer.h"
#include "taskscope/runtime/observe/ticks.h"

namespace taskscope::instrumentation {

using protocol::Event;
using protocol::EventKind;
using runtime::observe::number;
using std::chrono::milliseconds;

namespace {

constexpr std::chrono::seconds kReleaseAfter{10};
constexpr milliseconds kShortestSleep{1}, kLongestSleep{50};
/// A ring that was idle may fill at this rate from one moment to the next; a sleep is never so long
/// that it would be full after it.
constexpr double kFastestUnitsPerSecond = 20e6;
/// Of one ring. What tells of losses is kept for who does not read.
constexpr std::chrono::seconds kBetweenLosses{1};
/// Rings kept for threads that come unannounced.
constexpr std::size_t kSmallStock = 32;

std::uint64_t ticks_now() { return static_cast<std::uint64_t>(runtime::observe::read_ticks()); }

/// All clocks at one moment: the reading with the shortest bracket out of a few.
protocol::ClockPoint read_clocks() {
  protocol::ClockPoint best;
  std::uint64_t best_width = UINT64_MAX;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const std::uint64_t before = ticks_now();
    const std::uint64_t monotonic = runtime::observe::monotonic_ns();
    timespec wall{};
    clock_gettime(CLOCK_REALTIME, &wall);
    const std::uint64_t width = ticks_now() - before;
    if (width >= best_width) continue;
    best_width = width;
    best = {.ticks = before + width / 2,
            .monotonic_ns = monotonic,
            .wall_ns = static_cast<std::uint64_t>(wall.tv_sec) * 1'000'000'000u +
                       static_cast<std::uint64_t>(wall.tv_nsec)};
  }
  return best;
}

std::uint64_t thread_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(time.tv_nsec);
}

/// 0 where the kernel does not count it. schedstat: time run, time ready and not run, slices.
std::uint64_t unscheduled_ns(std::int32_t tid) {
  const std::string text = read_thread_file(tid, "schedstat");
  const char* const second = std::strchr(text.c_str(), ' ');
  return second == nullptr ? 0 : std::strtoull(second, nullptr, 10);
}

void read_thread_name(std::int32_t tid, char (&name)[16]) {
  const std::string text = read_thread_file(tid, "comm");
  const auto size = std::min({text.find('\n'), text.size(), sizeof name - 1});
  text.copy(name, size);
  name[size] = '\0';
}

}  // namespace

Collector::Collector(Producers& producers, Inspectors& inspectors, Dictionary& dictionary,
                     Server& server, Census& census)
    : producers_(&producers),
      inspectors_(&inspectors),
      server_(&server),
      census_(&census),
      names_(dictionary),
      first_clock_(read_clocks()) {}

bool Collector::start() {
  thread_ = start_thread("taskscope-drain", [this] { run(); });
  return thread_.joinable();
}

void Collector::wake() {
  {
    const std::lock_guard lock(mutex_);
    has_news_ = true;
  }
  changed_.notify_all();
}

void Collector::wait_for_consumer() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return has_admitted_ || is_stopping_; });
}

void Collector::finish() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Collector::run() {
  while (true) {
    bool has_news = false;
    {
      std::unique_lock lock(mutex_);
      const auto is_due = [this] { return has_news_ || is_stopping_; };
      if (is_watched()) {
        changed_.wait_until(lock, next_pass_, is_due);
      } else if (release_at_ != Clock::time_point::max()) {
        changed_.wait_until(lock, release_at_, is_due);
      } else {
        changed_.wait(lock, is_due);
      }
      if (is_stopping_) break;
      has_news = std::exchange(has_news_, false);
    }
    if (has_news) attend_to_news();
    if (is_watched()) {
      pass();
    } else if (Clock::now() >= release_at_) {
      producers_->release_pages();
      release_at_ = Clock::time_point::max();
    }
  }
  if (!is_watched()) return;
  runtime::observe::set_mask(0);
  pass();
  tell_of_losses({});
  each_second();
  sample();
  is_watched_.store(false, std::memory_order_relaxed);
}

// --- who watches

void Collector::attend_to_news() {
  if (const auto arrivals = server_->take_arrivals(); !arrivals.empty()) {
    // What was recorded before is not for those who come now.
    const bool begins = !is_watched();
    if (begins)
      begin_watching();
    else
      pass();
    const std::uint64_t since = ticks_now();
    for (const ConsumerId consumer : arrivals) server_->admit(consumer);
    demand_ = server_->demand();
    runtime::observe::set_mask(demand_.events);
    // Some may have gone to sleep for the first time just before.
    if (begins) reserve_for_workers(Which::All);
    is_watched_.store(true, std::memory_order_relaxed);
    publish_clock_rate();
    for (const ConsumerId consumer : arrivals) {
      observe_from(consumer, since);
      census_->request(consumer, {.waits = true, .stacks = false});
      if (watchdog_ != nullptr) watchdog_->greet(consumer);
    }
    if (watchdog_ != nullptr) watchdog_->watch(true);
    next_sample_ = {};
    {
      const std::lock_guard lock(mutex_);
      has_admitted_ = true;
    }
    changed_.notify_all();
  }
  for (const auto& [consumer, request] : server_->take_snapshot_requests())
    census_->request(consumer, request);
  for (const ConsumerId consumer : server_->take_recovered())
    census_->request(consumer, {.waits = true, .stacks = false});
  if (!is_watched()) return;
  demand_ = server_->demand();
  runtime::observe::set_mask(demand_.events);
  if (demand_.consumers == 0) end_watching();
}

void Collector::begin_watching() {
  producers_->fault_pages();
  producers_->unreserve();
  reserve_for_workers(Which::All);
  producers_->stock(0, kSmallStock);

  // What threads wrote late, after the mask was cleared, belongs to nobody.
  is_emitting_ = false;
  for (Producer& producer : Producers::slots()) {
    drain(producer);
    producer.reported_ = producer.dropped_.read();
    producer.is_announced_ = false;
  }
  is_emitting_ = true;
  reported_without_producer_ = Producers::dropped_without_producer();
  has_lost_ = false;
  release_at_ = Clock::time_point::max();
  last_pass_ = Clock::now();
  next_second_ = last_pass_ + std::chrono::seconds(1);
}

/// Those of the visited workers that have no thread yet are `unstarted_` afterwards. A ring is
/// reserved once at most: the thread may end, and its number stays with the worker.
void Collector::reserve_for_workers(Which which) {
  struct Reserve final : runtime::observe::WorkerVisitor {
    void visit(const runtime::observe::WorkerView& view) override {
      const std::uint32_t worker = number(view.worker);
      if (which == Which::Unstarted &&
          std::find(before.begin(), before.end(), worker) == before.end())
        return;
      if (view.tid == 0) {
        unstarted.push_back(worker);
      } else {
        producers->reserve(view.tid, worker);
      }
    }
    Which which = Which::All;
    Producers* producers = nullptr;
    std::vector<std::uint32_t> before, unstarted;
  } reserve;
  reserve.which = which;
  reserve.producers = producers_;
  reserve.before = std::move(unstarted_);
  for (auto* const inspector : inspectors_->all())
    inspectors_->with(inspector, [&](auto& i) { i.visit_workers(reserve); });
  unstarted_ = std::move(reserve.unstarted);
}

/// A worker whose thread came after the watching began, and went to sleep before it said anything,
/// has a name all the same.
void Collector::announce_late_workers() {
  if (unstarted_.empty()) return;
  const std::uint64_t since = ticks_now();
  reserve_for_workers(Which::Unstarted);
  for (Producer& producer : Producers::slots()) {
    if (producer.state_.load(std::memory_order_acquire) == Producer::State::Reserved &&
        !producer.is_announced_)
      announce(producer, ConsumerId::Everybody, since);
  }
}

void Collector::end_watching() {
  runtime::observe::set_mask(0);
  is_watched_.store(false, std::memory_order_relaxed);
  if (watchdog_ != nullptr) watchdog_->watch(false);
  release_at_ = Clock::now() + kReleaseAfter;
}

/// Tells a consumer from when on each ring is complete; rings that begin later say so themselves.
void Collector::observe_from(ConsumerId consumer, std::uint64_t ticks) {
  for (Producer& producer : Producers::slots()) {
    const auto state = producer.state_.load(std::memory_order_acquire);
    if (state == Producer::State::Empty || state == Producer::State::Stocked) continue;
    announce(producer, consumer, ticks);
  }
}

void Collector::announce(Producer& producer, ConsumerId to, std::uint64_t ticks) {
  producer.is_announced_ = true;
  begin_chunk(producer);
  append({.kind = EventKind::ObservedFrom, .ticks = ticks});
  publish_chunk({.first_ticks = ticks, .last_ticks = ticks}, to);
}

// --- from rings to chunks

void Collector::pass() {
  const auto began = Clock::now();
  const double elapsed = std::max(
      1e-4, std::chrono::duration<double>(began - std::exchange(last_pass_, began)).count());
  double fastest =
      kFastestUnitsPerSecond / 4 / static_cast<double>(producers_->worker_ring_units());
  tell_of_losses(kBetweenLosses);  // before anything newer is sent
  for (Producer& producer : Producers::slots()) {
    const std::size_t units = drain(producer);
    if (units == 0) continue;
    const auto capacity = static_cast<double>(producer.draining_->capacity());
    fastest = std::max(fastest, static_cast<double>(units) / elapsed / capacity);
  }
  producers_->stock(0, kSmallStock);

  if (began >= next_second_) {
    next_second_ = began + std::chrono::seconds(1);
    each_second();
  }
  if (demand_.sample_every_ms != 0 && began >= next_sample_) {
    next_sample_ = began + milliseconds(demand_.sample_every_ms);
    sample();
  }
  if (demand_.stacks_every_ms != 0 && began >= next_stacks_) {
    next_stacks_ = began + milliseconds(demand_.stacks_every_ms);
    census_->request(ConsumerId::Everybody, {.waits = true, .stacks = true});
  }
  cpu_ns_.store(thread_cpu_ns(), std::memory_order_relaxed);
  const auto sleep =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1.0 / 8 / fastest));
  next_pass_ = began + std::clamp<Clock::duration>(sleep, kShortestSleep, kLongestSleep);
}

void Collector::each_second() {
  publish_clock_point();
  announce_late_workers();
  const Dropped without = Producers::dropped_without_producer();
  if (const Dropped lost = without - reported_without_producer_; lost.events != 0) {
    reported_without_producer_ = without;
    publish_loss({.cause = protocol::LossCause::BeforeAttach,
                  .events = lost.events,
                  .to_ticks = ticks_now(),
                  .spawns = lost.spawns,
                  .polls = lost.polls,
                  .wakes = lost.wakes});
  }
  if (std::exchange(has_lost_, false))
    census_->request(ConsumerId::Everybody, {.waits = true, .stacks = false});
}

/// Of the rings of which nothing was told for `between`: at once when a loss begins, as who reads
/// the stream takes a task for stuck when nothing more is heard of it.
void Collector::tell_of_losses(Clock::duration between) {
  const auto now = Clock::now();
  for (Producer& producer : Producers::slots()) {
    const auto state = producer.state_.load(std::memory_order_acquire);
    if (state != Producer::State::Owned && state != Producer::State::Closed) continue;
    const Dropped dropped = producer.dropped_.read();
    if (dropped == producer.reported_ || now - producer.loss_told_ < between) continue;
    producer.loss_told_ = now;
    report_loss(producer, dropped, producer.last_ticks_, ticks_now());
  }
}

std::size_t Collector::drain(Producer& producer) {
  // Acquire pairs with who stocked, claimed or closed the slot.
  const auto state = producer.state_.load(std::memory_order_acquire);
  if (state == Producer::State::Empty || state == Producer::State::Stocked) return 0;
  std::size_t units = 0;
  while (true) {
    EventRing* const ring = producer.draining_;
    const std::uint64_t end = ring->tail();
    const auto waiting = static_cast<std::size_t>(end - ring->head());
    if (waiting > 0) pack(producer, *ring, end);
    units += waiting;
    // A thread that fills half a small ring in one go gets a large one, worker or not.
    if (state == Producer::State::Owned &&
        (producer.worker_ != 0 || waiting > ring->capacity() / 2))
      producers_->enlarge(producer);
    producers_->follow(producer);
    if (producer.draining_ == ring) break;
  }
  if (state == Producer::State::Closed) {
    report_loss(producer, producer.dropped_.read(), producer.last_ticks_, ticks_now());
    producers_->recycle(producer);
  }
  return units;
}

void Collector::pack(Producer& producer, EventRing& ring, std::uint64_t end) {
  const std::uint64_t now = ticks_now();
  begin_chunk(producer);
  std::uint64_t at = ring.head();
  if (is_emitting_) {
    const std::uint64_t oldest = extend_ticks(ticks50_of(ring.at(at)), now);
    if (!producer.is_announced_) {
      producer.is_announced_ = true;
      append({.kind = EventKind::ObservedFrom, .ticks = oldest});
    }
    const auto delay = static_cast<std::uint64_t>(
        static_cast<double>(now > oldest ? now - oldest : 0) * ns_per_tick_);
    if (delay > delay_ns_.load(std::memory_order_relaxed))
      delay_ns_.store(delay, std::memory_order_relaxed);
  }
  constexpr std::uint64_t kHandBack = 1024;  // units after which the owner gets room
  std::uint64_t handed_back = at;
  while (at != end) {
    at += pack_record(producer, ring, at, now);
    if (at - handed_back >= kHandBack) {
      ring.pop_to(at);
      handed_back = at;
    }
  }
  ring.pop_to(end);
  flush();
}

std::size_t Collector::pack_record(Producer& producer, const EventRing& ring, std::uint64_t at,
                                   std::uint64_t now) {
  if (builder_.full()) flush();
  const Unit unit = ring.at(at);
  const std::uint64_t id = id_of(unit);
  const std::uint32_t low = aux8_of(unit), high = aux16_of(unit);
  Event event;
  event.ticks = producer.last_ticks_ = extend_ticks(ticks50_of(unit), now);
  const auto is_current = [&] { return (low & kIsCurrent) != 0; };
  switch (kind_of(unit)) {
    case Record::TaskSpawned: {
      const Unit more = ring.at(at + 1);
      const auto field_count = static_cast<std::uint32_t>(more.a >> 56);
      const auto text_units = static_cast<std::size_t>(more.b >> 48);
      event.kind = EventKind::TaskSpawned;
      event.task = id;
      event.other = more.a & kIdMask;
      event.detail = static_cast<std::uint8_t>(more.a >> 48);
      event.site = names_(high);
      event.extra = static_cast<std::uint32_t>(more.b);
      event.value = (more.b >> 32) & 0xffff;
      if (text_units != 0 && is_emitting_) {
        event.text = append_texts(ring, at + 2, 1 + field_count);
        event.field_count = event.text != 0 ? field_count : 0;
        event.fields = event.field_count != 0 ? event.text + 1 : 0;
      }
      append(event, {.events = 1, .spawns = 1});
      return 2 + text_units;
    }
    case Record::TaskFinished: {
      event.kind = EventKind::TaskFinished;
      event.task = id;
      event.detail = static_cast<std::uint8_t>(low & ~kHasText);
      event.site = names_(high);
      std::size_t text_units = 0;
      if ((low & kHasText) != 0) {
        text_units = 1 + static_cast<std::size_t>(ring.at(at + 1).a);
        if (is_emitting_) event.text = append_texts(ring, at + 2, 1);
      }
      append(event, {.events = 1});
      return 1 + text_units;
    }
    case Record::PollStarted:
      change_worker(producer, aux_of(unit));
      producer.polled_ = id;
      event.kind = EventKind::PollStarted;
      event.task = id;
      append(event, {.events = 1});
      return 1;
    case Record::PollEnded:
      producer.polled_ = 0;
      event.kind = EventKind::PollEnded;
      event.task = id;
      event.detail = static_cast<std::uint8_t>(low);
      append(event, {.events = 1, .polls = 1});
      for (std::uint32_t wait = 0; wait < high; ++wait)
        append_wait(event.ticks, id, ring.at(at + 1 + wait));
      return 1 + high;
    case Record::Wait:
      append_wait(event.ticks, id, ring.at(at + 1));
      return 2;
    case Record::WaitCancelled:
      event.kind = EventKind::WaitCancelled;
      event.task = id;
      event.branch = static_cast<std::uint16_t>(high);
      append(event, {.events = 1});
      return 1;
    case Record::Woken:
      event.kind = EventKind::Woken;
      event.task = id;
      event.branch = static_cast<std::uint16_t>(high);
      event.detail = static_cast<std::uint8_t>(low & ~kIsCurrent);
      event.other = is_current() ? producer.polled_ : ring.at(at + 1).a;
      event.value = is_current() ? 0 : ring.at(at + 1).b;
      append(event, {.events = 1, .wakes = 1});
      return is_current() ? 1 : 2;
    case Record::ResourceRegistered: {
      const Unit more = ring.at(at + 1);
      event.kind = EventKind::ResourceRegistered;
      event.other = id;
      event.resource_kind = static_cast<std::uint8_t>(low);
      event.site = names_(high);
      event.value = more.a;
      if (is_emitting_) {
        event.text = append_texts(ring, at + 2, 2);
        event.fields = event.text != 0 ? event.text + 1 : 0;
        event.field_count = event.text != 0 ? 1 : 0;
      }
      append(event, {.events = 1});
      return 2 + static_cast<std::size_t>(more.b);
    }
    case Record::ResourceDropped:
      event.kind = EventKind::ResourceDropped;
      event.other = id;
      append(event, {.events = 1});
      return 1;
    case Record::ResourceAcquired:
    case Record::ResourceReleased:
      event.kind = kind_of(unit) == Record::ResourceAcquired ? EventKind::ResourceAcquired
                                                             : EventKind::ResourceReleased;
      event.other = id;
      event.detail = static_cast<std::uint8_t>(low & kIsCertain);
      event.task = is_current() ? producer.polled_ : ring.at(at + 1).a;
      event.extra = is_current() ? 1 : static_cast<std::uint32_t>(ring.at(at + 1).b);
      append(event, {.events = 1});
      return is_current() ? 1 : 2;
    case Record::WorkerParked:
    case Record::WorkerUnparked:
      change_worker(producer, static_cast<std::uint32_t>(id));
      event.kind = kind_of(unit) == Record::WorkerParked ? EventKind::WorkerParked
                                                         : EventKind::WorkerUnparked;
      append(event, {.events = 1});
      return 1;
    case Record::WorkerStole:
      event.kind = EventKind::WorkerStole;
      event.other = id;
      event.extra = aux_of(unit);
      append(event, {.events = 1});
      return 1;
    case Record::SpanEntered: {
      const Unit more = ring.at(at + 1);
      event.kind = EventKind::SpanEntered;
      event.other = id;
      event.task = more.a;
      if (is_emitting_) {
        event.text = append_texts(ring, at + 2, 1 + low);
        event.field_count = event.text != 0 ? low : 0;
        event.fields = event.field_count != 0 ? event.text + 1 : 0;
      }
      append(event, {.events = 1});
      return 2 + static_cast<std::size_t>(more.b);
    }
    case Record::SpanExited:
      event.kind = EventKind::SpanExited;
      event.other = id;
      event.task = is_current() ? producer.polled_ : ring.at(at + 1).a;
      append(event, {.events = 1});
      return is_current() ? 1 : 2;
    case Record::Resync: {
      flush();
      const Unit first = ring.at(at + 1), second = ring.at(at + 2), third = ring.at(at + 3);
      report_loss(producer,
                  {.events = first.b, .spawns = second.a, .polls = second.b, .wakes = third.a},
                  first.a, event.ticks);
      producer.polled_ = id;
      event.kind = EventKind::Resync;
      event.task = id;
      append(event);
      return kResyncUnits;
    }
    case Record::None:
      break;
  }
  return 1;  // no recorder writes this
}

void Collector::append_wait(std::uint64_t ticks, std::uint64_t task, Unit unit) {
  if (builder_.full()) flush();
  Event event;
  event.kind = EventKind::Wait;
  event.ticks = ticks;
  event.task = task;
  event.branch = static_cast<std::uint16_t>(unit.a);
  event.parent_branch = static_cast<std::uint16_t>(unit.a >> 16);
  event.site = names_(static_cast<std::uint32_t>((unit.a >> 32) & 0xffff));
  event.detail = static_cast<std::uint8_t>((unit.a >> 48) & 0x3f);
  event.resource_kind = static_cast<std::uint8_t>((unit.a >> 54) & 0x1f);
  event.mode = static_cast<std::uint8_t>((unit.a >> 59) & 0x3);
  const bool is_other = (unit.a >> 61) == 1;
  event.other = is_other ? unit.b : 0;
  event.value = is_other ? 0 : unit.b;
  append(event, {.events = 1});
}

std::uint32_t Collector::append_texts(const EventRing& ring, std::uint64_t at, std::size_t count) {
  std::size_t byte = 0;  // from the start of unit `at`
  const auto copy = [&](void* to, std::size_t size) {
    auto* out = static_cast<char*>(to);
    while (size > 0) {
      const Unit unit = ring.at(at + byte / sizeof(Unit));
      const std::size_t skip = byte % sizeof(Unit);
      const std::size_t part = std::min(size, sizeof(Unit) - skip);
      std::memcpy(out, reinterpret_cast<const char*>(&unit) + skip, part);
      out += part;
      byte += part;
      size -= part;
    }
  };
  std::uint32_t first = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t length = 0;
    copy(&length, sizeof length);
    const std::size_t size = length & ~std::size_t{kTextIsCut};
    char text[kMaxText + 4];
    copy(text, size);
    std::size_t shown = size;
    if ((length & kTextIsCut) != 0) {
      // Not in the middle of a character.
      while (shown > 0 && (static_cast<unsigned char>(text[shown - 1]) & 0xc0) == 0x80) --shown;
      if (shown > 0 && (static_cast<unsigned char>(text[shown - 1]) & 0x80) != 0) --shown;
      std::memcpy(text + shown, "\xe2\x80\xa6", 3);  // an ellipsis
      shown += 3;
    }
    const std::uint32_t number = builder_.add_text(std::string_view(text, shown));
    if (i == 0) first = number;
  }
  return first;
}

void Collector::append(const Event& event, Dropped counts) {
  if (!is_emitting_) return;
  if (builder_.empty()) first_ticks_ = event.ticks;
  last_ticks_ = std::max(last_ticks_, event.ticks);
  counts_ += counts;
  builder_.append(event);
}

void Collector::begin_chunk(Producer& producer) {
  const std::int32_t tid = producer.tid_.load(std::memory_order_relaxed);
  if (!producer.is_named_) {
    producer.is_named_ = true;
    read_thread_name(tid, producer.thread_name_);
  }
  builder_.begin(producer.id_, producer.worker_, tid, producer.thread_name_);
  counts_ = {};
  first_ticks_ = last_ticks_ = 0;
}

void Collector::flush() {
  if (builder_.empty()) return;
  events_.store(events_.load(std::memory_order_relaxed) + counts_.events,
                std::memory_order_relaxed);
  publish_chunk({.counts = counts_, .first_ticks = first_ticks_, .last_ticks = last_ticks_},
                ConsumerId::Everybody);
  counts_ = {};
  first_ticks_ = last_ticks_ = 0;
}

void Collector::publish_chunk(const Content& content, ConsumerId audience) {
  server_->publish(
      [this](std::uint64_t sequence) {
        return protocol::Result<protocol::Bytes>(builder_.finish(sequence));
      },
      content, audience);
  // Nobody wanted it: make room all the same.
  if (!builder_.empty()) static_cast<void>(builder_.finish(0));
}

void Collector::change_worker(Producer& producer, std::uint32_t worker) {
  if (producer.worker_ == worker) return;
  flush();
  producer.worker_ = worker;
  begin_chunk(producer);
}

// --- what is not an event

void Collector::report_loss(Producer& producer, const Dropped& so_far, std::uint64_t from,
                            std::uint64_t to) {
  // A resync may tell of what was reported in the meantime, kind by kind.
  const auto more = [](std::uint64_t total, std::uint64_t& reported) {
    const std::uint64_t extra = total > reported ? total - reported : 0;
    reported += extra;
    return extra;
  };
  const Dropped lost{.events = more(so_far.events, producer.reported_.events),
                     .spawns = more(so_far.spawns, producer.reported_.spawns),
                     .polls = more(so_far.polls, producer.reported_.polls),
                     .wakes = more(so_far.wakes, producer.reported_.wakes)};
  if (!is_emitting_ || lost == Dropped{}) return;
  publish_loss({.producer = producer.id_,
                .cause = protocol::LossCause::RingFull,
                .events = lost.events,
                .from_ticks = from,
                .to_ticks = to,
                .spawns = lost.spawns,
                .polls = lost.polls,
                .wakes = lost.wakes});
}

void Collector::publish_loss(protocol::Loss loss) {
  has_lost_ = true;
  lost_.store(lost_.load(std::memory_order_relaxed) + loss.events, std::memory_order_relaxed);
  server_->publish([&](std::uint64_t sequence) { return protocol::encode(loss, sequence); },
                   {.is_reliable = true});
}

void Collector::publish_clock_rate() {
  const protocol::ClockPoint now = read_clocks();
  if (now.ticks > first_clock_.ticks)
    ns_per_tick_ = static_cast<double>(now.monotonic_ns - first_clock_.monotonic_ns) /
                   static_cast<double>(now.ticks - first_clock_.ticks);
  // On the line from this program's start to now; none where that is too short for a rate.
  constexpr std::uint64_t kBeforeNs = 1'000'000;
  if (now.monotonic_ns - first_clock_.monotonic_ns >= kBeforeNs) {
    protocol::ClockPoint before = now;
    before.ticks -= static_cast<std::uint64_t>(static_cast<double>(kBeforeNs) / ns_per_tick_);
    before.monotonic_ns -= kBeforeNs;
    before.wall_ns -= kBeforeNs;
    publish(before);
  }
  publish(now);
}

void Collector::publish_clock_point() {
  const protocol::ClockPoint point = read_clocks();
  if (point.ticks > first_clock_.ticks)
    ns_per_tick_ = static_cast<double>(point.monotonic_ns - first_clock_.monotonic_ns) /
                   static_cast<double>(point.ticks - first_clock_.ticks);
  publish(point);
}

void Collector::publish(const protocol::ClockPoint& point) {
  server_->publish([&](std::uint64_t sequence) { return protocol::encode(point, sequence); },
                   {.is_reliable = true});
}

void Collector::sample() {
  protocol::Samples samples;
  struct Visitor final : runtime::observe::WorkerVisitor {
    explicit Visitor(std::vector<protocol::WorkerSample>& to) : workers(&to) {}
    void visit(const runtime::observe::WorkerView& view) override {
      const auto& counters = view.counters;
      protocol::WorkerSample worker{.worker = number(view.worker),
                                    .runtime = number(view.runtime),
                                    .index = view.index,
                                    .tid = view.tid,
                                    .current_task = number(view.current),
                                    .poll_sequence = view.poll_sequence,
                                    .parked = view.parked,
                                    .queue_depth = view.queue_depth,
                                    .busy_ns = counters.busy_ns,
                                    .polls = counters.polls,
                                    .parks = counters.parks,
                                    .noops = counters.noops,
                                    .steals = counters.steals,
                                    .steal_operations = counters.steal_operations,
                                    .local_schedules = counters.local_schedules,
                                    .overflows = counters.overflows,
                                    .budget_yields = counters.budget_yields,
                                    .timers_fired = counters.timers_fired,
                                    .timers_late = counters.timers_late,
                                    .late_max_ns = view.late_max_ns,
                                    .unscheduled_ns = unscheduled_ns(view.tid)};
      static_assert(protocol::kWheelLevels == runtime::observe::kWheelLevels);
      std::copy(std::begin(view.wheel), std::end(view.wheel), std::begin(worker.wheel));
      workers->push_back(worker);
    }
    std::vector<protocol::WorkerSample>* workers;
  } visitor(samples.workers);
  for (auto* const inspector : inspectors_->all()) {
    inspectors_->with(inspector, [&](auto& i) {
      const runtime::observe::RuntimeView view = i.runtime();
      samples.runtimes.push_back({.runtime = number(view.runtime),
                                  .workers = view.workers,
                                  .live_tasks = view.live_tasks,
                                  .spawned_tasks = view.spawned_tasks,
                                  .injection_depth = view.injection_depth,
                                  .remote_schedules = view.remote_schedules,
                                  .blocking_threads = view.blocking_threads,
                                  .blocking_idle = view.blocking_idle,
                                  .blocking_queue = view.blocking_queue,
                                  .io_registrations = view.io_registrations,
                                  .io_readiness = view.io_readiness});
      i.visit_workers(visitor);
    });
  }
  samples.ticks = ticks_now();
  samples.cost = protocol::CostSample{
      .events = events_.load(std::memory_order_relaxed),
      .bytes = server_->bytes_sent(),
      .lost_events = lost_.load(std::memory_order_relaxed),
      .collector_cpu_ns = cpu_ns_.load(std::memory_order_relaxed),
      .ring_bytes = producers_->ring_bytes(),
      .delay_ns = delay_ns_.exchange(0, std::memory_order_relaxed),
  };
  server_->publish([&](std::uint64_t sequence) { return protocol::encode(samples, sequence); },
                   {.first_ticks = samples.ticks, .last_ticks = samples.ticks});
}

}  // namespace taskscope::instrumentation
