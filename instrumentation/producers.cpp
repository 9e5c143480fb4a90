#include "taskscope/instrumentation/producers.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "taskscope/instrumentation/site_table.h"

namespace taskscope::instrumentation {

constinit SiteTable sites;

namespace detail {
constinit thread_local Producer* this_producer __attribute__((tls_model("initial-exec"))) = nullptr;
}

namespace {

constinit Producer slots_of_process[Producers::kMaxProducers];
/// Slots below this were used; written under Producers' mutex. Release publishes the slots.
constinit std::atomic<std::size_t> used_slots{0};
/// Counts additions to the stock, so that a thread that found nothing looks again only after one.
constinit std::atomic<std::uint32_t> stock_generation{0};
constinit std::atomic<std::uint64_t> next_producer_id{1};
constinit DropCounters without_producer;

struct Claims {
  std::uint32_t tried_generation = 0;
  std::int32_t tid = 0;
  bool has_ended = false;  // the thread's destructors ran; nobody would close another producer
};
constinit thread_local Claims claims __attribute__((tls_model("initial-exec")));

pthread_key_t exit_key;
bool has_exit_key = false;

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Brings pages in without changing what is in them: an owner may be writing.
void fault(void* memory, std::size_t bytes) {
#ifdef MADV_POPULATE_WRITE
  if (madvise(memory, bytes, MADV_POPULATE_WRITE) == 0) return;
#endif
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  for (std::size_t at = 0; at < bytes; at += page) {
    auto* const word = reinterpret_cast<std::uint64_t*>(static_cast<char*>(memory) + at);
    __atomic_fetch_or(word, 0, __ATOMIC_RELAXED);
  }
}

}  // namespace

/// What the end of a thread and its claim share.
struct ThreadExit {
  static void close(void* value) noexcept;
};

// --- the owner

bool Producer::open_slowly(std::size_t n, Ticks now) noexcept {
  if (next_.load(std::memory_order_relaxed) != nullptr) {
    // Acquire pairs with the offer: the ring is whole.
    EventRing* const next = next_.exchange(nullptr, std::memory_order_acquire);
    if (next != nullptr) {
      ring_->close();
      ring_ = next;
    }
  }
  const std::size_t room = ring_->refresh();
  if (!is_losing_) {
    if (n <= room) return true;
    is_losing_ = true;
    losing_since_ = static_cast<std::uint64_t>(now);
    ring_->hold();
    return false;
  }
  // Goes on only when there is room for a while: a resync for every other record would help nobody.
  if (room < std::max(ring_->capacity() / 8, n + kResyncUnits)) {
    ring_->hold();
    return false;
  }
  const Dropped dropped = dropped_.read();
  ring_->put(0, head(Record::Resync, now, current_));
  ring_->put(1, {losing_since_, dropped.events});
  ring_->put(2, {dropped.spawns, dropped.polls});
  ring_->put(3, {dropped.wakes, 0});
  ring_->commit(kResyncUnits);
  is_losing_ = false;
  return true;
}

Producer* claim_producer(bool is_busy_thread) noexcept {
  using State = Producer::State;
  Claims& mine = claims;
  if (mine.has_ended) return nullptr;
  // Acquire pairs with the release in Producers: the slots added by then are seen.
  const std::uint32_t generation = stock_generation.load(std::memory_order_acquire);
  if (generation == mine.tried_generation) return nullptr;
  if (mine.tid == 0) mine.tid = static_cast<std::int32_t>(gettid());

  const auto take = [&](Producer& slot, State from) {
    // Acquire pairs with equip(): ring and counters are whole.
    if (!slot.state_.compare_exchange_strong(from, State::Owned, std::memory_order_acquire,
                                             std::memory_order_relaxed))
      return false;
    slot.tid_.store(mine.tid, std::memory_order_relaxed);  // published with the first record
    detail::this_producer = &slot;
    if (has_exit_key) pthread_setspecific(exit_key, &slot);
    return true;
  };
  const std::span<Producer> slots(slots_of_process, used_slots.load(std::memory_order_acquire));
  for (Producer& slot : slots) {
    if (slot.state_.load(std::memory_order_relaxed) == State::Reserved &&
        slot.tid_.load(std::memory_order_relaxed) == mine.tid && take(slot, State::Reserved))
      return &slot;
  }
  for (const bool is_first_choice : {true, false}) {
    for (Producer& slot : slots) {
      // Acquire: is_large_ was written before.
      if (slot.state_.load(std::memory_order_acquire) == State::Stocked &&
          (slot.is_large_.load(std::memory_order_relaxed) == is_busy_thread) == is_first_choice &&
          take(slot, State::Stocked))
        return &slot;
    }
  }
  mine.tried_generation = generation;
  return nullptr;
}

void drop_without_producer(const Dropped& dropped) noexcept {
  without_producer.add_shared(dropped);
}

void ThreadExit::close(void* value) noexcept {
  auto& producer = *static_cast<Producer*>(value);
  claims.has_ended = true;
  detail::this_producer = nullptr;
  // Release: the collector takes over what the owner wrote.
  producer.state_.store(Producer::State::Closed, std::memory_order_release);
}

// --- the collector

EventRing* RingStore::take(std::size_t bytes) {
  const auto units = bytes / sizeof(Unit);
  const auto found = std::find_if(free_.begin(), free_.end(), [units](const EventRing* ring) {
    return ring->capacity() == units;
  });
  if (found != free_.end()) {
    EventRing* const ring = *found;
    free_.erase(found);
    ring->reopen();
    return ring;
  }
  if (mapped_bytes_ + bytes > limit_bytes_) return nullptr;
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (bytes >= kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
  fault(memory, bytes);
  // Units are implicit-lifetime objects: zeroed memory holds them.
  auto ring = std::make_unique<EventRing>(std::span(static_cast<Unit*>(memory), units));
  EventRing* const taken = ring.get();
  mappings_.push_back({std::move(ring), memory, bytes});
  mapped_bytes_ += bytes;
  return taken;
}

void RingStore::give_back(EventRing* ring) { free_.push_back(ring); }

void RingStore::release_pages() {
  for (const Mapping& mapping : mappings_) madvise(mapping.memory, mapping.bytes, MADV_DONTNEED);
  present_ = false;
}

void RingStore::fault_pages() {
  if (present_) return;
  for (const Mapping& mapping : mappings_) fault(mapping.memory, mapping.bytes);
  present_ = true;
}

Producers& Producers::of_process() {
  static auto* const producers = new Producers;
  return *producers;
}

void Producers::configure(const RingSizes& sizes) {
  const std::lock_guard lock(mutex_);
  sizes_ = sizes;
  store_.set_limit(sizes.limit_bytes);
  if (!has_exit_key) has_exit_key = pthread_key_create(&exit_key, &ThreadExit::close) == 0;
  for (Producer& slot : slots()) {
    auto expected = Producer::State::Stocked;
    if (!slot.state_.compare_exchange_strong(expected, Producer::State::Empty,
                                             std::memory_order_acquire))
      continue;
    store_.give_back(slot.ring_);
    spare_.push_back(&slot);
  }
}

Producer* Producers::empty_slot() {
  if (!spare_.empty()) {
    Producer* const slot = spare_.back();
    spare_.pop_back();
    return slot;
  }
  const std::size_t used = used_slots.load(std::memory_order_relaxed);
  if (used == kMaxProducers) return nullptr;
  used_slots.store(used + 1, std::memory_order_release);  // pairs with claim_producer
  return &slots_of_process[used];
}

void Producers::equip(Producer& producer, EventRing* ring) {
  producer.ring_ = producer.draining_ = ring;
  producer.offered_ = nullptr;
  producer.current_ = producer.polled_ = 0;
  producer.is_losing_ = producer.is_named_ = producer.is_announced_ = false;
  producer.worker_ = 0;
  producer.last_ticks_ = 0;
  producer.thread_name_[0] = 0;
  producer.reported_ = producer.dropped_.read();
  producer.id_ = next_producer_id.fetch_add(1, std::memory_order_relaxed);
  producer.is_large_.store(ring->capacity() == worker_ring_units(), std::memory_order_relaxed);
}

void Producers::reserve(std::int32_t tid, std::uint32_t worker) {
  using State = Producer::State;
  if (tid <= 0) return;
  const std::lock_guard lock(mutex_);
  Producer* stocked = nullptr;
  for (Producer& slot : slots()) {
    const State state = slot.state_.load(std::memory_order_acquire);
    const bool is_taken = state == State::Owned || state == State::Reserved;
    if (is_taken && slot.tid_.load(std::memory_order_relaxed) == tid) {
      slot.worker_ = worker;
      return;
    }
    if (state == State::Stocked && slot.is_large_.load(std::memory_order_relaxed)) stocked = &slot;
  }
  if (stocked != nullptr) {
    // Out of stock first, so that nobody takes it meanwhile.
    State expected = State::Stocked;
    if (!stocked->state_.compare_exchange_strong(expected, State::Empty, std::memory_order_acquire))
      stocked = nullptr;
  }
  if (stocked == nullptr) {
    EventRing* const ring = store_.take(sizes_.worker_bytes);
    if (ring == nullptr) return;
    stocked = empty_slot();
    if (stocked == nullptr) return store_.give_back(ring);
    equip(*stocked, ring);
  }
  stocked->worker_ = worker;
  stocked->tid_.store(tid, std::memory_order_relaxed);
  stocked->state_.store(State::Reserved, std::memory_order_release);
  stock_generation.fetch_add(1, std::memory_order_release);
}

void Producers::unreserve() {
  for (Producer& slot : slots()) {
    slot.is_named_ = false;  // its next thread may be another one
    // Release: hands the slot on as equip() left it.
    auto expected = Producer::State::Reserved;
    slot.state_.compare_exchange_strong(expected, Producer::State::Stocked,
                                        std::memory_order_release, std::memory_order_relaxed);
  }
}

void Producers::stock(std::size_t large, std::size_t small) {
  using State = Producer::State;
  const std::lock_guard lock(mutex_);
  std::size_t has_large = 0, has_small = 0;
  for (const Producer& slot : slots()) {
    if (slot.state_.load(std::memory_order_acquire) != State::Stocked) continue;
    ++(slot.is_large_.load(std::memory_order_relaxed) ? has_large : has_small);
  }
  const auto add = [this](std::size_t bytes) {
    EventRing* const ring = store_.take(bytes);
    if (ring == nullptr) return false;
    Producer* const slot = empty_slot();
    if (slot == nullptr) {
      store_.give_back(ring);
      return false;
    }
    equip(*slot, ring);
    slot->state_.store(State::Stocked, std::memory_order_release);
    return true;
  };
  bool is_more = false;
  // Where both sizes are one, all rings are large.
  if (sizes_.worker_bytes == sizes_.other_bytes) {
    large += small;
    small = 0;
  }
  while (has_large++ < large && add(sizes_.worker_bytes)) is_more = true;
  while (has_small++ < small && add(sizes_.other_bytes)) is_more = true;
  if (is_more) stock_generation.fetch_add(1, std::memory_order_release);
}

void Producers::enlarge(Producer& producer) {
  if (producer.is_large_.load(std::memory_order_relaxed) || producer.offered_ != nullptr) return;
  const std::lock_guard lock(mutex_);
  EventRing* const ring = store_.take(sizes_.worker_bytes);
  if (ring == nullptr) return;
  producer.offered_ = ring;
  producer.next_.store(ring, std::memory_order_release);  // pairs with open_slowly
  producer.is_large_.store(true, std::memory_order_relaxed);
}

void Producers::follow(Producer& producer) {
  EventRing* const before = producer.draining_;
  if (producer.offered_ == nullptr || !before->closed() || before->head() != before->tail()) return;
  producer.draining_ = producer.offered_;
  producer.offered_ = nullptr;
  const std::lock_guard lock(mutex_);
  store_.give_back(before);
}

void Producers::recycle(Producer& producer) {
  const std::lock_guard lock(mutex_);
  if (EventRing* const untaken = producer.next_.exchange(nullptr, std::memory_order_acquire))
    store_.give_back(untaken);
  EventRing* const ring = producer.draining_;
  ring->reopen();
  equip(producer, ring);
  producer.state_.store(Producer::State::Stocked, std::memory_order_release);
  stock_generation.fetch_add(1, std::memory_order_release);
}

void Producers::release_pages() {
  const std::lock_guard lock(mutex_);
  store_.release_pages();
}

void Producers::fault_pages() {
  const std::lock_guard lock(mutex_);
  store_.fault_pages();
}

std::size_t Producers::ring_bytes() const {
  const std::lock_guard lock(mutex_);
  return store_.bytes();
}

std::span<Producer> Producers::slots() noexcept {
  return {slots_of_process, used_slots.load(std::memory_order_acquire)};
}

Dropped Producers::dropped_without_producer() noexcept { return without_producer.read(); }

}  // namespace taskscope::instrumentation
