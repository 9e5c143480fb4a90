/// Names for addresses of a process on this host, from its files and their debug information.
///
/// The target sends addresses only. Whoever reads the stream beside it looks the names up and adds
/// them to the stream, so that a recording opened elsewhere has them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "taskscope/protocol/update.h"

namespace taskscope::console::source {

/// Works on a thread of its own, which begins with the first stack. A file counts only when its
/// build-id is that of the module; nothing is fetched from elsewhere. Each address is looked up
/// once. Bounded: what comes faster than it is read is left without names.
class Symbolizer {
 public:
  /// `pid` of the target, for files that only it sees. `news` is called, on the thread, whenever
  /// take() has something.
  Symbolizer(std::uint64_t pid, std::function<void()> news);
  ~Symbolizer();
  Symbolizer(const Symbolizer&) = delete;
  Symbolizer& operator=(const Symbolizer&) = delete;

  // One thread, the owner's:
  void add(std::vector<protocol::Module>&& modules);
  void add(const protocol::NativeStack& stack);
  /// What was found since the last call.
  [[nodiscard]] std::vector<protocol::Symbol> take();

  /// Waits until all that was added is found and taken, at most this long. Any thread.
  void settle(std::chrono::milliseconds at_most);
  [[nodiscard]] bool is_settled();

 private:
  struct Address {
    std::uint32_t module;
    std::uint64_t address;
    bool is_leaf;
  };
  using Work = std::variant<std::vector<protocol::Module>, std::vector<Address>>;
  class Files;

  void enqueue(Work&& work);
  void run();

  const std::uint64_t pid_;
  const std::function<void()> news_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Work> queue_;
  std::vector<protocol::Symbol> found_;
  bool is_busy_ = false, is_stopping_ = false;
  std::thread thread_;
};

}  // namespace taskscope::console::source
