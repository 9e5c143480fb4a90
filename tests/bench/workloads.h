/// The workloads of the peer benchmarks on our runtime. What each means is written in
/// tests/bench/README.md.
#pragma once

#include <chrono>
#include <cstddef>

#include "taskscope/runtime/task/task.h"
#include "taskscope/tests/bench/measure.h"

namespace taskscope::bench {

using Root = runtime::Task<Metrics>;  // runs on a worker

Root spawn_join(std::size_t tasks, std::size_t batch);
Root yield_often(std::size_t tasks, std::size_t times);
Root ping_pong(std::size_t round_trips);
Root chain(std::size_t links);
Root mpsc(std::size_t producers, std::size_t each);
Root mutex(std::size_t tasks, std::size_t times, bool yielding);
Root idle(std::size_t tasks);
Root idle_wait(std::size_t tasks);
Root blocking(std::size_t calls);
Root blocking_in_turn(std::size_t calls);

Root timer_cancel(std::size_t timers);
Root timer_fire(std::size_t timers, std::chrono::milliseconds window);
Root timer_tasks(std::size_t tasks, std::chrono::milliseconds window);

/// Serves echo on 127.0.0.1 until standard input ends; then the process ends.
void serve_echo(std::size_t workers, std::uint16_t port);

}  // namespace taskscope::bench
