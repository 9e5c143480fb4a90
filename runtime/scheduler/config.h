/// What a runtime is to be.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "taskscope/runtime/metrics/meters.h"

namespace taskscope::runtime {

/// What becomes of an exception that nobody awaits: that of a task that failed, and whose
/// JoinHandle is dropped, before or after, without an await having taken it. It is noticed when the
/// last reference to the task goes, so that a Waker or an AbortHandle may delay it.
/// Source   tokio::runtime::UnhandledPanic, which asks whether a task failed, awaited or not: in
/// C++
///          an exception that somebody awaits is an answer like another.
enum class UnhandledException : std::uint8_t {
  Ignore,           ///< the task is over; watchers are told, as of all
  ShutdownRuntime,  ///< block_on throws, on either kind of runtime; all other tasks are cancelled
  Terminate,        ///< std::terminate, after a line on stderr
};

namespace scheduler {

/// What runtime::Builder says; the words are explained there.
struct Config {
  bool current_thread = false;  ///< one worker, which runs in block_on
  std::uint32_t workers = 1;
  std::uint32_t max_blocking_threads = 512;
  std::chrono::nanoseconds thread_keep_alive = std::chrono::seconds(10);
  std::size_t thread_stack_bytes = 0;
  std::string thread_name = "taskscope";
  std::function<std::string()> thread_name_fn;
  std::function<void()> on_thread_start, on_thread_stop, on_thread_park, on_thread_unpark;
  std::uint32_t event_interval = 61;
  std::uint32_t global_queue_interval = 61;
  std::uint32_t max_io_events = 1024;
  bool disable_lifo_slot = false;
  metrics::HistogramScales histograms;
  bool start_paused = false;
  std::optional<std::uint64_t> rng_seed;
  bool shuffle_tasks = false;
  UnhandledException unhandled = UnhandledException::Ignore;
};

}  // namespace scheduler
}  // namespace taskscope::runtime
