/// Drains the rings into chunks, and pulls what is sampled. The one thread that knows who watches.
///
/// It keeps no state of the program: a record becomes an event by looking at the record, at the
/// task that its ring polls, and at the dictionary. It sleeps an eighth of the time in which the
/// ring that fills fastest would be full, and for good while nobody watches.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "taskscope/instrumentation/census.h"
#include "taskscope/instrumentation/dictionary.h"
#include "taskscope/instrumentation/inspectors.h"
#include "taskscope/instrumentation/producers.h"
#include "taskscope/instrumentation/server.h"
#include "taskscope/protocol/codec.h"

namespace taskscope::instrumentation {

class Watchdog;

class Collector {
 public:
  Collector(Producers& producers, Inspectors& inspectors, Dictionary& dictionary, Server& server,
            Census& census);
  ~Collector() { finish(); }

  /// Before start(): who else has to know when somebody watches.
  void tell(Watchdog& watchdog) noexcept { watchdog_ = &watchdog; }
  bool start();
  /// Something is new at the server. Any thread.
  void wake();
  /// Returns when a consumer has been admitted.
  void wait_for_consumer();
  [[nodiscard]] bool is_watched() const noexcept {
    return is_watched_.load(std::memory_order_relaxed);
  }
  /// Publishes counters and queues as they are now. Any thread.
  void sample();
  /// Stops recording, publishes what the rings still hold, and ends the thread.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void attend_to_news();
  void begin_watching();
  void end_watching();
  enum class Which : std::uint8_t { All, Unstarted };
  void reserve_for_workers(Which which);
  void announce_late_workers();
  void observe_from(ConsumerId consumer, std::uint64_t ticks);
  void announce(Producer& producer, ConsumerId to, std::uint64_t ticks);
  void pass();
  void tell_of_losses(Clock::duration between);
  void each_second();

  /// Packs what is in the producer's rings; returns how many units that were.
  std::size_t drain(Producer& producer);
  void pack(Producer& producer, EventRing& ring, std::uint64_t end);
  std::size_t pack_record(Producer& producer, const EventRing& ring, std::uint64_t at,
                          std::uint64_t now);
  void append(const protocol::Event& event, Dropped counts = {});
  void append_wait(std::uint64_t ticks, std::uint64_t task, Unit unit);
  /// Adds the strings at `at` to the chunk; returns the number of the first.
  std::uint32_t append_texts(const EventRing& ring, std::uint64_t at, std::size_t count);
  void begin_chunk(Producer& producer);
  void publish_chunk(const Content& content, ConsumerId audience);
  void flush();
  void change_worker(Producer& producer, std::uint32_t worker);
  void report_loss(Producer& producer, const Dropped& so_far, std::uint64_t from, std::uint64_t to);
  void publish_loss(protocol::Loss loss);
  /// Two points at once, so that whoever comes can convert times before a second has passed.
  void publish_clock_rate();
  void publish_clock_point();
  void publish(const protocol::ClockPoint& point);

  Producers* producers_;
  Inspectors* inspectors_;
  Server* server_;
  Census* census_;
  Watchdog* watchdog_ = nullptr;
  SiteNames names_;
  protocol::EventsBuilder builder_;

  // The chunk in the making.
  Dropped counts_;
  std::uint64_t first_ticks_ = 0, last_ticks_ = 0;

  bool is_emitting_ = false;  // false: records are read and thrown away
  bool has_lost_ = false;     // since the last snapshot that followed a loss
  Dropped reported_without_producer_;
  std::vector<std::uint32_t> unstarted_;  // workers without a thread when the watching began
  Clock::time_point release_at_ = Clock::time_point::max();
  Clock::time_point next_pass_{}, next_second_{}, next_sample_{}, next_stacks_{}, last_pass_{};
  Demand demand_;
  protocol::ClockPoint first_clock_;  // of the collector's life
  double ns_per_tick_ = 0;
  std::atomic<std::uint64_t> events_{0}, lost_{0}, cpu_ns_{0};  // written by the collector's thread
  std::atomic<std::uint64_t> delay_ns_{0};                      // the worst since the last sample

  std::atomic<bool> is_watched_{false};
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool has_news_ = false, is_stopping_ = false, has_admitted_ = false;
  std::thread thread_;
};

}  // namespace taskscope::instrumentation
