#include "taskscope/instrumentation/engine.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "taskscope/instrumentation/census.h"
#include "taskscope/instrumentation/collector.h"
#include "taskscope/instrumentation/dictionary.h"
#include "taskscope/instrumentation/endpoint.h"
#include "taskscope/instrumentation/inspectors.h"
#include "taskscope/instrumentation/observer.h"
#include "taskscope/instrumentation/producers.h"
#include "taskscope/instrumentation/server.h"
#include "taskscope/instrumentation/watchdog.h"
#include "taskscope/runtime/observe/observer.h"

namespace taskscope::instrumentation {

namespace {

constinit std::atomic<Engine*> running_engine{nullptr};  // written by who makes, ends, or forks

/// Runtimes stay known from one engine to the next.
Inspectors& inspectors_of_process() {
  static auto* const inspectors = new Inspectors;
  return *inspectors;
}

/// A forked child has none of our threads, and locks that somebody may have held: it touches
/// nothing but this.
void switch_off_in_child() {
  runtime::observe::set_mask(0);
  running_engine.store(nullptr, std::memory_order_relaxed);
  Descriptor::close_all_in_child();
}

RingSizes ring_sizes(const Options& options) {
  RingSizes sizes;
  sizes.worker_bytes = std::bit_floor(
      std::clamp(options.worker_ring_bytes, std::size_t{64} << 10, sizes.limit_bytes / 4));
  // An eighth of the memory is for threads that are no workers.
  const std::size_t workers = std::thread::hardware_concurrency() + std::size_t{1};
  while (sizes.worker_bytes * workers > sizes.limit_bytes / 8 * 7 &&
         sizes.worker_bytes > sizes.other_bytes)
    sizes.worker_bytes /= 2;
  return sizes;
}

}  // namespace

struct Engine::Parts {
  explicit Parts(const Options& options)
      : linger(options.linger),
        server({.socket_directory = options.socket_directory,
                .listen = options.listen,
                .listen_beyond_loopback = options.listen_beyond_loopback,
                .queue_bytes = options.queue_bytes},
               dictionary, [this] { wake(); }),
        census(inspectors_of_process(), dictionary, server, options.stacks),
        collector(Producers::of_process(), inspectors_of_process(), dictionary, server, census) {
    if (options.stacks) {
      watchdog.emplace(inspectors_of_process(), server,
                       std::max(options.blocking_poll, std::chrono::milliseconds(1)));
      collector.tell(*watchdog);
    }
  }

  /// News at the server. The first brings the threads that only work while somebody watches.
  void wake() {
    {
      const std::lock_guard lock(mutex);
      if (!std::exchange(has_started, true) &&
          !(census.start() && (!watchdog || watchdog->start()) && collector.start()))
        std::fputs("taskscope: cannot start a thread; consoles wait in vain\n", stderr);
    }
    collector.wake();
  }

  std::chrono::milliseconds linger;
  std::mutex mutex;          // guards has_started
  bool has_started = false;  // or never shall
  Dictionary dictionary;
  Server server;
  Census census;
  std::optional<Watchdog> watchdog;  // none: nobody may see stacks
  Collector collector;
  bool is_listening = false;
};

Engine::Engine(const Options& options) {
  Producers::of_process().configure(ring_sizes(options));
  parts_ = std::make_unique<Parts>(options);
  parts_->is_listening = parts_->server.start();
  static std::once_flag forks;
  std::call_once(forks, [] { pthread_atfork(nullptr, nullptr, &switch_off_in_child); });
  set_observer_of_process();
  running_engine.store(this, std::memory_order_release);
}

Engine::~Engine() {
  parts_->linger = std::chrono::milliseconds(0);
  finish("");
}

bool Engine::is_listening() const noexcept { return parts_->is_listening; }

const std::string& Engine::socket_path() const noexcept { return parts_->server.socket_path(); }

void Engine::wait_for_consumer() { parts_->collector.wait_for_consumer(); }

void Engine::finish(const std::string& reason) {
  running_engine.store(nullptr, std::memory_order_relaxed);
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->has_started = true;
  }
  parts_->collector.finish();
  if (parts_->watchdog) parts_->watchdog->finish();
  parts_->census.finish(parts_->linger / 2);
  parts_->server.finish(reason, parts_->linger);
}

void Engine::runtime_started(runtime::observe::Inspector& inspector) {
  inspectors_of_process().add(inspector);
  // Its threads begin now: rings for them, and one for the thread that will block on it.
  if (parts_->collector.is_watched())
    Producers::of_process().stock(inspector.runtime().workers + std::size_t{1}, 0);
}

void Engine::runtime_stopping(runtime::observe::Inspector& inspector) {
  // The last figures of a runtime, before nobody can ask for them.
  if (parts_->collector.is_watched()) parts_->collector.sample();
  inspectors_of_process().remove(inspector);
}

Engine* current_engine() noexcept {
  // Acquire pairs with the engine's constructor.
  return running_engine.load(std::memory_order_acquire);
}

}  // namespace taskscope::instrumentation
