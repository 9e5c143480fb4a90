/// What packing and unpacking events costs. Prints one JSON object.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "taskscope/protocol/codec.h"
#include "taskscope/tests/protocol/sample_updates.h"

using namespace taskscope::protocol;

namespace {

template <class Work>
double best_ns(int rounds, Work work) {
  double best = 1e18;
  for (int round = 0; round < rounds; ++round) {
    const auto from = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - from;
    best = std::min(best, took.count());
  }
  return best;
}

}  // namespace

int main() {
  constexpr std::size_t kPolls = 4096;
  constexpr int kRounds = 200;
  const Events run = test::server_stream(kPolls);
  const auto events = static_cast<double>(run.events.size());
  EventsBuilder builder(run.events.size());
  Bytes bytes;
  const double encode_ns = best_ns(kRounds, [&] {
    builder.begin(run.ring, run.worker, run.tid, run.thread_name);
    for (const Event& event : run.events) builder.append(event);
    bytes = builder.finish(1);
  });
  const auto chunk = parse_chunk(bytes);
  if (!chunk) return 1;
  Events out;
  bool good = true;
  const double decode_ns =
      best_ns(kRounds, [&] { good = decode_events(*chunk, out).has_value() && good; });
  Bytes packed;
  const double compress_ns = best_ns(kRounds, [&] {
    auto compressed = compress_chunk(*chunk);
    if (compressed) packed = std::move(*compressed);
  });
  if (!good || out.events != run.events) return 1;
  std::printf(
      "{\"benchmark\":\"codec\",\"events\":%zu,\"encode_ns_per_event\":%.2f,"
      "\"decode_ns_per_event\":%.2f,\"compress_ns_per_event\":%.2f,"
      "\"wire_bytes_per_event\":%.3f,\"disk_bytes_per_event\":%.3f}\n",
      run.events.size(), encode_ns / events, decode_ns / events, compress_ns / events,
      static_cast<double>(bytes.size()) / events, static_cast<double>(packed.size()) / events);
  return 0;
}
